"""Which machine a session ran on, and with what."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

LIBRARIES = ("polars", "pandera", "click", "pandas", "scikit-learn", "duckdb", "lightgbm", "numpy")


def describe_machine() -> dict[str, str]:
    """Return facts about the machine and the moment, none of which names it."""
    return {
        "when": now(),
        "processor": _field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": str(cores()),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def now() -> str:
    """Return the moment, to the minute."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def describe_versions(python: Path) -> dict[str, str]:
    """Return the versions of Python and of the libraries. Args: python: of an environment with all of them."""
    code = (
        "import importlib.metadata as m, platform\nprint('python', platform.python_version())\n"
        f"for name in {LIBRARIES}:\n    print(name, m.version(name))"
    )
    printed = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout
    return dict(line.split(" ", 1) for line in printed.splitlines())


def commit_of(root: Path) -> str:
    """Return the project's commit, and whether files were changed since."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _memory() -> str:
    kibibytes = _field("/proc/meminfo", "MemTotal").removesuffix("kB").strip()
    return f"{int(kibibytes) / 2**20:.1f} GiB" if kibibytes else "unknown"


def _field(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")
