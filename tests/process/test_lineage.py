"""What OpenLineage is told: of a run that was published, of one that failed, of one that died."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from job.cli import main
from job.process.invocation import close_for
from job.process.supervisor import Ending, signal
from tests.faults.processes import scoring


def call(*arguments: object) -> int:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False).exit_code


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_run_is_told_with_the_digests_of_its_files(small_drop: Path, tmp_path: Path) -> None:
    output, path = tmp_path / "out", tmp_path / "lineage.jsonl"
    assert call(*scoring(small_drop, output, "--lineage", path)) == 0
    start, end = events(path)
    assert (start["eventType"], end["eventType"]) == ("START", "COMPLETE")
    assert start["run"]["runId"] == end["run"]["runId"]
    assert start["job"] == end["job"]
    assert (end["job"]["namespace"], end["job"]["name"]) == ("oneclick-retention", "score")
    assert [(dataset["namespace"], dataset["name"]) for dataset in start["inputs"]] == [("file", str(small_drop))]
    manifest = json.loads((output / "latest" / "manifest.json").read_bytes())
    assert {dataset["name"]: dataset["facets"]["version"]["datasetVersion"] for dataset in end["inputs"]} == {
        f"{small_drop}/{file['file']}": file["sha256"] for file in manifest["inputs"]
    }
    assert {dataset["name"]: dataset["facets"]["version"]["datasetVersion"] for dataset in end["outputs"]} == {
        f"{output}/runs/{manifest['run_id']}/{name}": told["sha256"] for name, told in manifest["outputs"].items()
    }
    assert end["eventTime"] > start["eventTime"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["lineage.jsonl", "out"]


def test_a_failure_is_told_without_a_value_of_a_row(tmp_path: Path) -> None:
    path = tmp_path / "lineage.jsonl"
    assert call(*scoring(tmp_path, tmp_path / "out", "--lineage", path)) == 6
    start, end = events(path)
    assert (start["eventType"], end["eventType"], end["outputs"]) == ("START", "FAIL", [])
    assert end["run"]["facets"]["errorMessage"]["message"] == "exit code 6"


def test_a_call_that_died_is_closed_as_the_same_run(tmp_path: Path) -> None:
    path = tmp_path / "lineage.jsonl"
    note = json.dumps(["score", None, str(path), "s3://shop/drops/july", "s3://shop/out", "json", "info", 0.0, 1.0])
    close_for(Ending(None, signal.SIGTERM, is_stopped=True, notes={"call": note}))
    start, end = events(path)
    assert start["run"]["runId"] == end["run"]["runId"]
    assert end["run"]["facets"]["errorMessage"]["message"] == "exit code 143"
    assert [(dataset["namespace"], dataset["name"]) for dataset in end["inputs"]] == [("s3://shop", "drops/july")]


def test_what_is_needed_is_told_before_the_work(
    small_drop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openlineage", None)
    monkeypatch.setattr("job.process.lineage.find_spec", lambda _: None)
    result = CliRunner().invoke(
        main, [str(part) for part in scoring(small_drop, tmp_path / "out", "--lineage", tmp_path / "l.jsonl")]
    )
    assert result.exit_code == 2
    assert result.stderr == "--lineage needs OpenLineage's library: pip install 'oneclick-retention[lineage]'\n"
    assert not (tmp_path / "out").exists()
