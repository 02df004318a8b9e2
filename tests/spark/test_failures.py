"""An endpoint that is not there, or goes away: one line, an exit code, and nothing published."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.spark.conftest import ROOT, Server, retention, serve

SCORE = ("score", "--no-report")


@pytest.mark.parametrize(
    ("remote", "code", "told"),
    [
        ("sc://127.0.0.1:1", 1, "sc://127.0.0.1:1: nobody answers: Connection refused"),
        ("127.0.0.1", 2, "--spark-remote: found 127.0.0.1, expected sc://HOST:PORT"),
    ],
)
def test_an_endpoint_that_is_none(tmp_path: Path, small_drop: Path, remote: str, code: int, told: str) -> None:
    pytest.importorskip("pyspark", reason="the extra spark-test is not installed: make spark-test")
    spark = ("--engine", "spark", "--spark-remote", remote)
    done = retention(*SCORE, "--input", small_drop, "--output", tmp_path, *spark)
    said = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert (done.returncode, said) == (code, [told])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [("--engine", "spark"), ("--spark-remote", "sc://127.0.0.1:1")], ids=str)
def test_options_go_together(tmp_path: Path, small_drop: Path, options: tuple[str, ...]) -> None:
    done = retention(*SCORE, "--input", small_drop, "--output", tmp_path, *options)
    said = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert (done.returncode, said) == (2, ["--engine spark and --spark-remote go together"])


@pytest.mark.parametrize("stage", ["intake", "score", "write"])
def test_a_killed_server_leaves_a_whole_run_or_none(
    tmp_path: Path, small_drop: Path, doomed: Server, stage: str
) -> None:
    """Its executors are threads of the server's process: they die with it."""
    out = tmp_path / "out"
    arguments = (*SCORE, "--input", small_drop, "--output", out, "--engine", "spark")
    command = [sys.executable, "-m", "job", *map(str, arguments), "--spark-remote", doomed.remote]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as job:
        assert job.stderr is not None
        said = []
        for line in job.stderr:
            if f'"stage": "{stage}"' in line:
                doomed.process.kill()
            if not line.startswith("{"):
                said.append(line.rstrip())
    published = list((out / "runs").glob("*"))
    if job.returncode == 0:  # it was done when the server died
        assert stage == "write"
        assert all((run / "_SUCCESS").is_file() for run in published)
        return
    assert (job.returncode, len(said), published) == (1, 1, []), said
    assert said[0].startswith(f"{doomed.remote}: Spark gave up: ")
    assert not list(out.glob(".scratch-*"))
    other = serve()
    again = retention(*arguments, "--spark-remote", other.remote)
    other.process.kill()
    other.process.communicate()
    assert (again.returncode, (out / "latest" / "_SUCCESS").is_file()) == (0, True), again.stderr
