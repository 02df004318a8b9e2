"""Publish a run: it appears whole, or not at all.

A run is written to a hidden folder beside its final place, flushed to disk, and renamed; `latest` is then swapped by a
second rename. Whoever is killed in between leaves a hidden folder, which the next run removes. One run at a time holds
the output's lock, which the system drops with its process.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from job.errors import OutputBusyError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS: Final = "runs"
LATEST: Final = "latest"
SUCCESS: Final = "_SUCCESS"
MANIFEST: Final = "manifest.json"
LOCK: Final = ".lock"
STAGED_PREFIX: Final = ".partial-"


@contextlib.contextmanager
def locked_output(output: Path) -> Iterator[None]:
    """Hold the output while a run is made; make its folders; remove what dead runs left.

    Raises:
        OutputBusyError: another run holds it.
        OutputError: it cannot be written.
    """
    with _as_output_error(output):
        (output / RUNS).mkdir(parents=True, exist_ok=True)
        descriptor = os.open(output / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputBusyError(f"{output}: another run holds the output") from error
        with _as_output_error(output):
            for stale in (output / RUNS).glob(f"{STAGED_PREFIX}*"):
                shutil.rmtree(stale)
        yield
    finally:
        os.close(descriptor)


def is_published(output: Path, run_id: str) -> bool:
    """Return whether a whole run of this name is there."""
    return (output / RUNS / run_id / SUCCESS).is_file()


@contextlib.contextmanager
def staged_run(output: Path, run_id: str) -> Iterator[Path]:
    """Give a folder to write a run to; publish it when the block ends, remove it when the block raises.

    The output must be locked. `_SUCCESS` is added here, last.

    Raises:
        OutputError: something could not be written; nothing is published.
    """
    runs = output / RUNS
    staged = runs / f"{STAGED_PREFIX}{run_id}"
    with _as_output_error(output):
        staged.mkdir()
        try:
            yield staged
            _flush_files(staged)
            (staged / SUCCESS).touch()
            _flush(staged / SUCCESS)
            _flush(staged)
            staged.rename(runs / run_id)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
        _flush(runs)
        point_latest(output, run_id)


def point_latest(output: Path, run_id: str) -> None:
    """Swap `latest` to a published run, in one step."""
    beside = output / f".{LATEST}.new"
    beside.unlink(missing_ok=True)
    beside.symlink_to(Path(RUNS) / run_id)
    beside.replace(output / LATEST)
    _flush(output)


def heal_latest(output: Path, run_id: str) -> None:
    """Let `latest` name a published run if it names none, or one that was finished earlier.

    A run that was killed between its two renames is whole, but nobody is shown it.
    """
    with _as_output_error(output):
        shown = finished(output / LATEST)
        if shown is None or shown < (finished(output / RUNS / run_id) or ""):
            point_latest(output, run_id)


def finished(run: Path) -> str | None:
    """Return when a run was finished (ISO 8601, UTC), None if there is no whole run."""
    try:
        return str(json.loads((run / MANIFEST).read_text(encoding="utf-8"))["finished"])
    except FileNotFoundError:
        return None


def describe_files(folder: Path) -> dict[str, dict[str, object]]:
    """Return name -> size in bytes and SHA-256 of every file in a folder."""
    described: dict[str, dict[str, object]] = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        described[path.name] = {"bytes": path.stat().st_size, "sha256": digest}
    return described


@contextlib.contextmanager
def _as_output_error(output: Path) -> Iterator[None]:
    """Turn what the system says about the output into one line."""
    try:
        yield
    except OSError as error:
        where = error.filename or output
        raise OutputError(f"{where}: cannot be written: {error.strerror or error}") from error


def _flush_files(folder: Path) -> None:
    for path in folder.iterdir():
        _flush(path)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
