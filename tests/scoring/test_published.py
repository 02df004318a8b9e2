"""A run is what was published, or it is named, and made again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from job.errors import Problem
from job.scoring.pipeline import run_scoring
from job.scoring.publish import point_latest
from job.scoring.published import is_whole, verify_output
from job.settings import ScoreSettings

SETTINGS = ScoreSettings(no_report=True)
TABLES = (".csv", ".parquet")


@pytest.fixture(scope="module")
def published(small_drop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("published")
    run_scoring(small_drop, output, SETTINGS)
    return output


@pytest.fixture
def output(published: Path, tmp_path: Path) -> Path:
    copy: Path = shutil.copytree(published, tmp_path / "out", symlinks=True)
    return copy


def run_of(output: Path) -> Path:
    (run,) = (output / "runs").iterdir()
    return run


def test_what_was_published_is_well(output: Path) -> None:
    assert is_whole(run_of(output))
    assert verify_output(output) == (1, 6, [])


def test_an_output_without_runs_has_no_problem(tmp_path: Path) -> None:
    assert verify_output(tmp_path) == (0, 0, [])


def empty(run: Path) -> None:
    os.truncate(run / "scored.csv", 0)


def test_a_changed_byte_is_seen_by_its_digest(output: Path) -> None:
    run = run_of(output)
    raw = bytearray((run / "campaign.csv").read_bytes())
    raw[-3] ^= 1
    (run / "campaign.csv").write_bytes(raw)
    assert is_whole(run)
    ((problem,),) = [verify_output(output).problems]
    assert problem.file == f"runs/{run.name}/campaign.csv"
    assert problem.expected.startswith("SHA-256 ")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (empty, ("scored.csv", "found 0 bytes, expected ")),
        (
            lambda run: (run / "scored.parquet").unlink(),
            ("scored.parquet", "found No such file or directory, expected "),
        ),
        (lambda run: (run / "_SUCCESS").unlink(), ("", "found no _SUCCESS: it will be made again, expected ")),
        (lambda run: (run / "manifest.json").write_text("{"), ("manifest.json", "found Expecting property name")),
        (lambda run: (run / "manifest.json").write_text('{"format": 0}'), ("manifest.json", "found format 0, not 1")),
    ],
)
def test_a_damaged_run_is_named_and_made_again(
    damage: object, problem: tuple[str, str], small_drop: Path, output: Path
) -> None:
    run = run_of(output)
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.suffix in TABLES}
    assert callable(damage)
    damage(run)
    assert not is_whole(run)
    line = str(verify_output(output).problems[0])
    place = f"runs/{run.name}/{problem[0]}".removesuffix("/")
    assert line.startswith(f"{place}: {problem[1]}")
    assert run_scoring(small_drop, output, SETTINGS).is_new
    assert is_whole(run)
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.suffix in TABLES} == before
    assert verify_output(output).problems == []


def test_strangers_and_a_latest_that_names_nothing(output: Path) -> None:
    run = run_of(output)
    (run / "notes.txt").touch()
    (output / "runs" / ".partial-x").mkdir()
    point_latest(output, "gone")
    assert verify_output(output).problems == [
        Problem(f"runs/{run.name}/notes.txt", "only files of the manifest", "another"),
        Problem("latest", "the name of a published run", "none"),
    ]
