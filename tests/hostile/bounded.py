"""The command in a process of its own, bounded in time and memory, however hostile its input."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SECONDS = 60  # after which a process that should have ended is a failure; no measure of anything
MOST_BYTES = 3 << 30  # of memory of one process: this machine's are needed
UNMOVED = ("--drift-warn", "1e6", "--drift-stop", "1e6")  # synthetic customers are not those of training


LAUNCHER = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_maxrss, usage.ru_utime + usage.ru_stime, file=sys.stderr)
sys.exit(code)
"""
"""Tells peak and seconds of its children: the peak of a child of the tests begins with what the tests take."""


class Result(NamedTuple):
    """What became of a process: `peak` is what the largest of its tree took, in bytes, `cpu` the seconds of all."""

    code: int
    lines: list[str]
    peak: int
    output: str
    cpu: float


def retention(*arguments: object, seconds: float = SECONDS, **environment: str) -> Result:
    """Run the command; its lines for people come without those of the log."""
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", LAUNCHER, sys.executable, "-P", "-m", "job", *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        resource.prlimit(process.pid, resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
        signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, seconds)
        process.wait()
        signal.setitimer(signal.ITIMER_REAL, 0)
        texts = []
        for stream in (errors, output):
            stream.seek(0)
            texts.append(stream.read().decode())
    assert process.returncode != -signal.SIGKILL, f"not done after {seconds} seconds: {texts[0]}"
    *lines, usage = texts[0].splitlines()
    peak, cpu = usage.split()
    return Result(
        process.returncode, [line for line in lines if line[:1] != "{"], int(peak) * 1024, texts[1], float(cpu)
    )


def score(drop: Path, output: Path, *more: object, seconds: float = SECONDS) -> Result:
    """Score a drop without a page, and without drift."""
    return retention("score", "--input", drop, "--output", output, "--no-report", *UNMOVED, *more, seconds=seconds)
