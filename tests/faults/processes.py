"""The command in processes of its own, to be killed, stopped and starved."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BOUND = 60  # seconds after which a process that should have ended is a failure; no measure of anything
UNMOVED = ("--drift-warn", "1e6", "--drift-stop", "1e6")


def start(*arguments: object, prefix: tuple[str, ...] = (), **options: Any) -> subprocess.Popen[str]:
    """Start the command as a shell or a container would."""
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", "job", *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def scoring(drop: Path, output: Path, *more: object) -> tuple[object, ...]:
    """Return the arguments of a run that no drift makes exit with 8: synthetic customers are not those of training."""
    return ("score", "--input", drop, "--output", output, "--no-report", *UNMOVED, *more)


def run(*arguments: object, **options: Any) -> tuple[int, list[str], list[dict[str, Any]]]:
    """Run the command; return its exit code, the lines on standard error for people, and the log."""
    process = start(*arguments, **options)
    _, errors = process.communicate(timeout=BOUND)
    lines, log = split(errors)
    return process.returncode, lines, log


def split(errors: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the lines for people, and the events of the log."""
    lines = errors.splitlines()
    return [line for line in lines if not line.startswith("{")], [json.loads(x) for x in lines if x.startswith("{")]


def wait_for_stage(process: subprocess.Popen[str], stage: str) -> str:
    """Return what was printed on standard error up to the beginning of a stage."""
    assert process.stderr is not None
    seen = ""
    for line in process.stderr:
        seen += line
        if line.startswith("{") and json.loads(line).get("stage") == stage:
            return seen
    raise AssertionError(f"it never came to {stage}:\n{seen}")


def child_of(pid: int) -> int | None:
    """Return the process that works for a supervisor, None if there is none (any more)."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return None
    return int(children[0]) if children else None


def is_alive(pid: int) -> bool:
    """Return whether a process, which is no child of this one, or one of its threads, still holds anything."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    except (FileNotFoundError, ProcessLookupError):
        return False
    return threads > 1 or status.rpartition(")")[2].split()[0] not in {"Z", "X"}


def check_visible(output: Path) -> list[str]:
    """Check that every run that can be seen is whole, and `latest` one of them; return their names."""
    if not (output / "runs").is_dir():
        return []
    names = sorted(path.name for path in (output / "runs").iterdir() if not path.name.startswith("."))
    for name in names:
        folder = output / "runs" / name
        manifest = json.loads((folder / "manifest.json").read_bytes())
        assert manifest["run_id"] == name
        assert {path.name for path in folder.iterdir()} == {*manifest["outputs"], "manifest.json", "_SUCCESS"}
        for file, told in manifest["outputs"].items():
            assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == told["sha256"], f"{name}/{file}"
    latest = output / "latest"
    if latest.is_symlink():
        assert os.readlink(latest).removeprefix("runs/") in names
    return names


def hidden(output: Path) -> list[str]:
    """Return what is there and meant for nobody's eyes, but the lock."""
    found = [path.name for folder in (output, output / "runs") for path in folder.glob(".*") if path.name != ".lock"]
    return sorted(found)
