"""SIGKILL at any moment: what can be seen is whole, and the next run succeeds."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from job.sample import write_drop
from tests.faults.processes import ROOT, check_visible, child_of, hidden, is_alive, scoring
from tests.thorough import THOROUGH

KILLS = 50 if THOROUGH else 30  # for each of the seeds
SEEDS = (1, 2, 3, 4) if THOROUGH else (1, 2)


class Server:
    """Runs the command in forks of a process that has loaded it."""

    def __init__(self, errors: Path) -> None:
        self.errors = errors
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.server", str(errors)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, arguments: tuple[object, ...]) -> int:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([str(argument) for argument in arguments]) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def stop(self) -> None:
        self.process.communicate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    started = Server(tmp_path / "errors.txt")
    yield started
    started.stop()


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed") / "drop"
    write_drop(folder, customers=120, seed=3, labelled=False)
    return folder


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_random_moments(seed: int, server: Server, drop: Path, tmp_path: Path) -> None:
    """The supervisor is killed, or the process that works; every third moment is one of the last of a run."""
    output, metrics = tmp_path / "out", tmp_path / "retention.prom"
    call = scoring(drop, output, "--force", "--keep-runs", "3", "--metrics", metrics)
    chance = random.Random(seed)  # noqa: S311 - moments
    before: list[str] = []
    lasts, killed, survived = 0.0, 0, 0  # a run lasts as long as the last that came to its end
    beyond = 0  # runs that were killed after publishing, before they removed the oldest: the next one removes them, too
    while killed < KILLS:
        begun = time.monotonic()
        pid, working = server.start(call), None
        if lasts:
            time.sleep(lasts * (chance.uniform(0, 1.1) if killed % 3 else chance.uniform(0.8, 1.1)))
            working = child_of(pid)
            with contextlib.suppress(ProcessLookupError):  # it was faster
                os.kill(working or pid if chance.random() < 0.5 else pid, signal.SIGKILL)
        status = server.answer()
        while working is not None and is_alive(working):
            time.sleep(0.001)  # the system kills it with its supervisor, but not at the very moment
        visible = check_visible(output)
        published = len(set(visible) - set(before))
        assert published <= 1
        beyond = beyond + published if status else 0
        assert len(visible) <= 3 + beyond, "runs are left that should have been removed"
        assert set(before) <= set(visible) or len(visible) >= 3, "a run was removed that should be kept"
        if status == 0:
            survived += 1
            lasts = time.monotonic() - begun
            assert published
        else:
            killed += 1
            assert status in {signal.SIGKILL, 1 << 8}
        assert os.path.lexists(output / "latest")
        assert metrics.read_text().endswith("\n")
        assert survived < 10 * KILLS, "nothing is killed"
        before = visible
    server.start(call)
    assert server.answer() == 0
    assert len(check_visible(output)) == 3
    assert hidden(output) == []
    lines = {line for line in server.errors.read_text().splitlines() if not line.startswith("{")}
    assert lines <= {"killed by the system, most likely for want of memory; the next try starts afresh"}
