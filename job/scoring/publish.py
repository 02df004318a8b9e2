"""Publish a run: it appears whole, or not at all.

A run is written to a hidden folder beside its final place, flushed to disk, and renamed; `latest` is then swapped by a
second rename. Whoever is killed in between leaves a hidden folder, which the next run removes. One run at a time holds
the output's lock, which the system drops with its process.

Runs are numbered in the order of publishing, in `_SUCCESS`: clocks go backwards, numbers do not.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from job.errors import SYSTEM_ERROR, OutputBusyError, OutputError, reason_of
from job.files import flush, replace_link
from job.process.supervisor import removed_if_killed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from schemas.manifest import Output

RUNS: Final = "runs"
LATEST: Final = "latest"
SUCCESS: Final = "_SUCCESS"
MANIFEST: Final = "manifest.json"
LOCK: Final = ".lock"
STAGED_PREFIX: Final = ".partial-"
REMOVED_PREFIX: Final = ".removed-"
SCRATCH_PREFIX: Final = ".scratch-"


@contextlib.contextmanager
def locked_output(output: Path) -> Iterator[None]:
    """Hold the output while a run is made; make its folders; remove what dead runs left.

    Raises:
        OutputBusyError: another run holds it.
        OutputError: it cannot be written.
    """
    with as_output_error(output):
        (output / RUNS).mkdir(parents=True, exist_ok=True)
        descriptor = _open_lock(output / LOCK)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputBusyError(f"{output}: another run holds the output") from error
        with as_output_error(output):
            for prefix in (STAGED_PREFIX, REMOVED_PREFIX):
                for stale in (output / RUNS).glob(f"{prefix}*"):
                    _remove(stale)
            remove_stale_scratch(output)
        yield
    finally:
        os.close(descriptor)


def _open_lock(lock: Path) -> int:
    try:
        return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except PermissionError as error:
        if not lock.exists():
            raise
        owner, user = lock.stat().st_uid, os.geteuid()
        raise OutputError(
            f"{lock}: belongs to user {owner}, and user {user} may not write it; "
            f"when no run of user {owner} goes on, remove it, and run every job as the same user"
        ) from error


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Give a folder of this process's own for what does not fit into memory; it is gone when the block ends.

    Should the process die, the folder is removed by whoever watches it, or by the next to call this.

    Args:
        parent: where it is made; several outputs may share it.

    Raises:
        OutputError: it cannot be written to.
    """
    with as_output_error(parent), contextlib.ExitStack() as stack:
        parent.mkdir(parents=True, exist_ok=True)
        remove_stale_scratch(parent)
        while True:
            folder = parent / f"{SCRATCH_PREFIX}{os.urandom(4).hex()}"
            stack.enter_context(removed_if_killed(folder))
            folder.mkdir()
            descriptor = _take(folder)
            if descriptor is not None:  # else somebody took the new folder for a dead one
                break
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)


def remove_stale_scratch(parent: Path) -> None:
    """Remove the scratch folders of dead processes; those in use, and those of other users, are left alone.

    Raises:
        OSError: one cannot be removed.
    """
    for folder in parent.glob(f"{SCRATCH_PREFIX}*"):
        with contextlib.suppress(PermissionError):
            if folder.is_symlink() or not folder.is_dir():
                _remove(folder)
            elif (descriptor := _take(folder)) is not None:
                try:
                    _remove(folder)
                finally:
                    os.close(descriptor)


def _take(folder: Path) -> int | None:
    """Return the open lock of a scratch folder, held; None if another process holds it, or if it is gone."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if os.fstat(descriptor).st_nlink == 0:  # it was removed after it was opened
        os.close(descriptor)
        return None
    return descriptor


def name_anew(output: Path, run_id: str) -> str:
    """Return a name for a run that is made though the same was published: the run's own, or else ID-2, ID-3, ..."""
    taken = [folder.name for folder in published_runs(output)]
    if run_id not in taken:
        return run_id
    numbers = [int(name.removeprefix(f"{run_id}-")) for name in taken if re.fullmatch(rf"{run_id}-[0-9]+", name)]
    return f"{run_id}-{max(numbers, default=1) + 1}"


def published_runs(output: Path) -> list[Path]:
    """Return the folders of the whole runs, the newest first. Raises OSError if they cannot be listed."""
    runs = output / RUNS
    if not runs.is_dir():
        return []
    whole = [folder for folder in runs.iterdir() if not folder.name.startswith(".") and (folder / SUCCESS).is_file()]
    return sorted(whole, key=_order, reverse=True)


def keep_newest(output: Path, keep: int | None, *, run_id: str) -> None:
    """Remove the oldest runs beyond `keep` (None: none), but neither the one that `latest` names nor this one.

    The output must be locked. A run disappears at once, by a rename, and only then is deleted.

    Raises:
        OutputError: a run cannot be removed.
    """
    with as_output_error(output):
        kept = {run_id, (output / LATEST).resolve().name}
        for folder in published_runs(output)[keep:] if keep is not None else []:
            if folder.name not in kept:
                away = folder.with_name(f"{REMOVED_PREFIX}{folder.name}")
                folder.rename(away)
                flush(folder.parent)
                _remove(away)


@contextlib.contextmanager
def staged_run(output: Path, run_id: str) -> Iterator[Path]:
    """Give a folder to write a run to; publish it when the block ends, remove it when the block raises.

    The output must be locked. `_SUCCESS` is added here, last.

    Raises:
        OutputError: something could not be written; nothing is published.
    """
    runs = output / RUNS
    staged = runs / f"{STAGED_PREFIX}{run_id}-{os.urandom(4).hex()}"
    with as_output_error(output, staged=staged, run=runs / run_id), removed_if_killed(staged):
        staged.mkdir()
        try:
            yield staged
            _flush_files(staged)
            number = 1 + max((_order(folder)[0] for folder in published_runs(output)), default=0)
            (staged / SUCCESS).write_text(f"{number}\n", encoding="ascii")
            flush(staged / SUCCESS)
            flush(staged)
            broken = runs / f"{REMOVED_PREFIX}{run_id}-{os.urandom(4).hex()}"
            if os.path.lexists(runs / run_id):  # what is there is no whole run
                (runs / run_id).rename(broken)
            staged.rename(runs / run_id)
            _remove(broken)
        except BaseException as error:
            is_gone = not staged.exists()
            shutil.rmtree(staged, ignore_errors=True)
            if is_gone and isinstance(error, OSError | pl.exceptions.PolarsError):
                raise OutputError(f"{output}: cannot be written: the folder was removed during the run") from error
            raise
        flush(runs)
        point_latest(output, run_id)


def point_latest(output: Path, run_id: str) -> None:
    """Swap `latest` to a published run, in one step."""
    replace_link(output / LATEST, Path(RUNS) / run_id)


def show_again(output: Path, run_id: str) -> tuple[str, str | None]:
    """Let `latest` name a run that was published before: what was asked for last is what is shown.

    A forced repetition of the run (ID-2, ...) that `latest` names is as good. A run that was killed between its two
    renames is whole, but shown to nobody.

    Returns:
        The run that `latest` names now, and the other run that it named before, None if it named none.
    """
    with as_output_error(output):
        shown = (output / LATEST).resolve()
        is_run = shown.parent == (output / RUNS).resolve() and (shown / SUCCESS).is_file()
        if is_run and re.fullmatch(rf"{re.escape(run_id)}(-[0-9]+)?", shown.name):
            return shown.name, None
        point_latest(output, run_id)
        return run_id, shown.name if is_run else None


def describe_files(folder: Path, *, known: Mapping[str, str] | None = None) -> dict[str, Output]:
    """Return name -> size in bytes and SHA-256 of every file in a folder; of one in a folder of it, `folder/name`.

    Args:
        folder: of the files.
        known: name -> SHA-256 of the files that were hashed as they were written.
    """
    described: dict[str, Output] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        digest = (known or {}).get(name)
        if digest is None:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        described[name] = {"bytes": path.stat().st_size, "sha256": digest}
    return described


@contextlib.contextmanager
def as_output_error(output: Path, *, staged: Path | None = None, run: Path | None = None) -> Iterator[None]:
    """Turn what the system says while the output is written into one line, also where Polars says it.

    Args:
        output: named if the system does not say which file it is about.
        staged: a hidden folder; messages name `run`, which it will become, in its place.
        run: see `staged`.

    Raises:
        OutputError: in place of an OSError, or of an error of Polars that tells of one.
    """

    def shown(text: str) -> str:
        return text if staged is None else text.replace(str(staged), str(run))

    try:
        yield
    except OutputError as error:
        raise OutputError([shown(problem) for problem in error.problems]) from error
    except (OSError, pl.exceptions.PolarsError) as error:
        found = SYSTEM_ERROR.search(str(error))
        if found is None and not isinstance(error, OSError):
            raise
        where = getattr(error, "filename", None) or (found and found["path"]) or output
        raise OutputError(shown(f"{where}: cannot be written: {reason_of(error)}")) from error


def _order(run: Path) -> tuple[int, str]:
    """Return what orders runs by their publishing: the number, then (for runs without one) the time of finishing."""
    number, finished = 0, ""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # altered, or not to be read
        number = int((run / SUCCESS).read_text(encoding="ascii").strip() or 0)
        finished = str(json.loads((run / MANIFEST).read_bytes())["finished"])
    return number, finished


def _remove(folder: Path) -> None:
    """Remove a folder that another process may be removing, too; of a link, only the link."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink(missing_ok=True)
        return
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
    if folder.exists():
        shutil.rmtree(folder)


def _flush_files(folder: Path) -> None:
    for path in folder.rglob("*"):
        flush(path)
