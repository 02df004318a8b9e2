"""SIGTERM and SIGINT in the middle of a run; two runs at once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from job.process.metrics import Sample, read_metrics
from job.sample import write_drop
from tests.faults.processes import (
    BOUND,
    check_visible,
    child_of,
    hidden,
    run,
    scoring,
    split,
    start,
    wait_for_stage,
)

STOPS = 5  # seconds within which a signal must have ended the run


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signals") / "drop"
    write_drop(folder, customers=3000, seed=4, labelled=False)
    return folder


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_run_and_nothing_stays(number: signal.Signals, drop: Path, tmp_path: Path) -> None:
    output, metrics = tmp_path / "out", tmp_path / "retention.prom"
    process = start(*scoring(drop, output, "--metrics", metrics))
    seen = wait_for_stage(process, "intake")
    process.send_signal(number)
    _, errors = process.communicate(timeout=STOPS)
    lines, log = split(seen + errors)
    assert process.returncode == 128 + number
    assert lines == [f"stopped by {number.name}"]
    closing = log[-1]
    assert (closing["event"], closing["command"], closing["level"]) == ("finished", "score", "error")
    assert (closing["exit_code"], closing["died_of"]) == (128 + number, number.name)
    assert read_metrics(metrics, ["retention_exit_code"])[0] == [Sample("retention_exit_code", 128 + number, {})]
    assert check_visible(output) == hidden(output) == []
    assert run(*scoring(drop, output))[0] == 0
    assert len(check_visible(output)) == 1


def test_two_runs_at_once(drop: Path, tmp_path: Path) -> None:
    """The first holds still while the second tries: no race decides what is tested."""
    output = tmp_path / "out"
    first = start(*scoring(drop, output))
    wait_for_stage(first, "intake")
    working = child_of(first.pid)
    assert working is not None
    os.kill(working, signal.SIGSTOP)
    code, lines, log = run(*scoring(drop, output))
    assert (code, lines) == (7, [f"{output}: another run holds the output"])
    assert log[-1]["exit_code"] == 7
    assert check_visible(output) == []
    os.kill(working, signal.SIGCONT)
    first.communicate(timeout=BOUND)
    assert first.returncode == 0
    assert len(check_visible(output)) == 1


def test_many_runs_started_together_publish_once(drop: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    processes = [start(*scoring(drop, output)) for _ in range(4)]
    for process in processes:
        process.communicate(timeout=BOUND)
    assert {process.returncode for process in processes} <= {0, 7}
    assert 0 in {process.returncode for process in processes}
    assert len(check_visible(output)) == 1
    assert hidden(output) == []


def test_a_killed_supervisor_frees_the_output(drop: Path, tmp_path: Path) -> None:
    """The system kills the working process with it, and that drops the lock."""
    output = tmp_path / "out"
    process = start(*scoring(drop, output))
    wait_for_stage(process, "score")
    process.kill()
    process.communicate(timeout=BOUND)
    assert run(*scoring(drop, output))[0] == 0
    assert len(check_visible(output)) == 1
    assert hidden(output) == []


def test_training_stops_with_its_workers(labelled_drop: Path, tmp_path: Path) -> None:
    """`communicate` ends when the last process that holds standard error is gone: the workers' processes hold it."""
    process = start("train", "--quick", "--input", labelled_drop, "--artifacts", tmp_path / "model")
    working = None
    deadline = time.monotonic() + BOUND
    while time.monotonic() < deadline:
        working = child_of(process.pid)
        if working is not None and child_of(working) is not None:
            break
        time.sleep(0.05)
    assert working is not None
    assert child_of(working) is not None, "no worker was started"
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=STOPS)
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped by SIGTERM" in split(errors)[0]
    assert not (tmp_path / "model" / "manifest.json").exists()
