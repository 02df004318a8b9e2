"""Runs a command and measures it: seconds, CPU seconds, peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class CommandError(Exception):
    """A command failed; the message is its last lines."""


@dataclass(frozen=True)
class Measurement:
    """What one process cost, with all processes that it started and waited for.

    Args:
        wall: seconds from its start to its end.
        cpu: seconds of processor time, user and system.
        peak: bytes of memory at the peak of the largest process (`ru_maxrss`). Linux counts a process from the memory
            of the one that started it: the harness must stay small, and does (it loads no library).
        written: bytes of the files that it left in its output folder.
        stages: seconds of its stages, as it told them itself.
    """

    wall: float
    cpu: float
    peak: int
    written: int = 0
    stages: dict[str, float] = field(default_factory=dict)


def measure(
    command: Sequence[str], *, environment: Mapping[str, str], cwd: Path, log: Path, limit: float
) -> tuple[Measurement, str]:
    """Run a command to its end.

    Args:
        command: the program and its arguments.
        environment: its environment variables, all of them.
        cwd: where it runs.
        log: the file that gets its standard error.
        limit: seconds after which it is killed.

    Returns:
        What it cost, and its standard output.

    Raises:
        CommandError: it did not end with 0, or not in time.
    """
    output = log.with_suffix(".out")
    with output.open("wb") as out, log.open("wb") as err:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=dict(environment), cwd=cwd, stdout=out, stderr=err)
        alarm = threading.Timer(limit, process.kill)
        alarm.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            alarm.cancel()
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and wall >= limit:
        raise CommandError(f"longer than {limit:,.0f} s")
    if process.returncode:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
        raise CommandError(f"exit code {process.returncode}: {' / '.join(last)}")
    printed = output.read_text(encoding="utf-8")
    return Measurement(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024), printed


def stages_of(printed: str, run: Path) -> dict[str, float]:
    """Return the seconds of each stage: from the manifest of a run of the job, else from the last line printed."""
    manifest = run / "latest" / "manifest.json"
    told: Any = {}
    if manifest.exists():
        told = json.loads(manifest.read_text(encoding="utf-8"))
    elif printed.strip().startswith("{"):
        told = json.loads(printed.strip().splitlines()[-1])
    return {str(name): float(seconds) for name, seconds in told.get("seconds", {}).items()}


def written_bytes(folder: Path) -> int:
    """Return the bytes of all files under a folder; links are not followed."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
