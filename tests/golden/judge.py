"""What the `retention` command makes of the drop of a golden case."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from job.cli import main
from schemas.results import RESULT_FORMAT

if TYPE_CHECKING:
    from pathlib import Path

VOLATILE = ("bytes", "sha256")  # of a file: they say nothing that its content does not


def judge(drop: Path, options: list[str]) -> dict[str, Any]:
    """Return what `retention validate --json` says of a drop, with its exit code and its lines on standard error."""
    result = CliRunner().invoke(main, ["validate", "--input", str(drop), "--json", *options])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    answer: dict[str, Any] = json.loads(result.stdout)
    assert answer["exit_code"] == result.exit_code
    assert answer.pop("format") == RESULT_FORMAT
    for file in answer.get("files", []):
        for fact in VOLATILE:
            del file[fact]
    answer["problems"] = [problem.replace(str(drop), "{drop}") for problem in answer["problems"]]
    answer["stderr"] = result.stderr.replace(str(drop), "{drop}").splitlines()
    return answer


def score(drop: Path, output: Path, options: list[str]) -> tuple[int, list[str]]:
    """Return the exit code of `retention score` and its lines on standard error."""
    result = CliRunner().invoke(main, ["score", "--no-report", "--input", str(drop), "--output", str(output), *options])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stderr.replace(str(drop), "{drop}").splitlines()
