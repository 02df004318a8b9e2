"""Publish a run: it appears whole, or not at all.

A run is written to a hidden folder beside its final place, flushed to disk, and renamed; `latest` is then swapped by a
second rename. Whoever is killed in between leaves a hidden folder, which the next run removes. One run at a time holds
the output's lock, which the system drops with its process.

Runs are numbered in the order of publishing, in `_SUCCESS`: clocks go backwards, numbers do not. Others may write to
the output: what stands in the way and is not of this job's making is put aside and told.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from job.beneath import is_plain_folder, names_beneath, remove_tree
from job.errors import SYSTEM_ERROR, OutputBusyError, OutputError, reason_of, shorten
from job.files import NO_LINKS, flush, replace_file, replace_link
from job.process.supervisor import removed_if_killed
from job.scoring.published import (
    LATEST,
    RUNS,
    SUCCESS,
    is_whole,
    latest_run,
    next_number,
    published_runs,
    tell_strangers,
)
from job.scoring.tables import hash_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from schemas.manifest import Output

LOCK: Final = ".lock"
STAGED_PREFIX: Final = ".partial-"
REMOVED_PREFIX: Final = ".removed-"
SCRATCH_PREFIX: Final = ".scratch-"

_LOCK_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def locked_output(output: Path) -> Iterator[None]:
    """Hold the output while a run is made; make its folders; remove what dead runs left.

    Raises OutputBusyError: another run holds it; OutputError: it cannot be written.
    """
    with as_output_error(output):
        if not is_plain_folder(output / RUNS):
            _put_aside(output / RUNS)
            (output / RUNS).mkdir(parents=True, exist_ok=True)
        descriptor = _open_lock(output / LOCK)
    try:
        if not _lock(descriptor, output / LOCK):
            raise OutputBusyError(f"{output}: another run holds the output")
        with as_output_error(output):
            for prefix in (STAGED_PREFIX, REMOVED_PREFIX):
                for stale in (output / RUNS).glob(f"{prefix}*"):
                    _remove_or_tell(stale)
            remove_stale_scratch(output)
            tell_strangers(output, published_runs(output))
        yield
    finally:
        os.close(descriptor)


def _open_lock(lock: Path) -> int:
    if os.path.lexists(lock) and not stat.S_ISREG(lock.lstat().st_mode):
        _put_aside(lock)
    try:
        return os.open(lock, _LOCK_FLAGS, 0o644)
    except PermissionError as error:
        if not lock.exists():
            raise
        owner, user = lock.stat().st_uid, os.geteuid()
        raise OutputError(
            f"{lock}: belongs to user {owner}, and user {user} may not write it; "
            f"when no run of user {owner} goes on, remove it, and run every job as the same user"
        ) from error


def _lock(descriptor: int, lock: Path) -> bool:
    """Lock an open file; return whether no other process holds it. Raises OutputError where two could not be told."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        needed = "a file system with locks (flock) is needed here"
        raise OutputError(f"{lock}: cannot be locked: {reason_of(error)}; {needed}") from error
    return True


def _put_aside(path: Path) -> None:
    """Rename what stands in the way of this job's files; nothing if nothing does. Raises OSError."""
    if os.path.lexists(path):
        aside = path.with_name(f"aside-{path.name.lstrip('.')}-{os.urandom(4).hex()}")
        path.rename(aside)
        logger.warning("%s: not of this job's making: it is %s now", path, aside.name)


def _remove_or_tell(path: Path) -> None:
    try:
        remove_tree(path)
    except OSError as error:
        _tell_passed_over(path, "it cannot be removed", error)


def _tell_passed_over(path: Path, why: str, error: OSError) -> None:
    where = path.with_name(shorten(path.name))
    logger.warning("%s: passed over, for %s: %s", where, why, reason_of(error))


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Give a folder of this process's own for what does not fit into memory; it is gone when the block ends.

    Should the process die, the folder is removed by whoever watches it, or by the next to call this. Outputs may
    share the parent. Raises OutputError: it cannot be written to.
    """
    with as_output_error(parent), contextlib.ExitStack() as stack:
        parent.mkdir(parents=True, exist_ok=True)
        remove_stale_scratch(parent)
        while True:
            folder = parent / f"{SCRATCH_PREFIX}{os.urandom(4).hex()}"
            stack.enter_context(removed_if_killed(folder))
            folder.mkdir(0o700)
            descriptor = _take(folder)
            if descriptor is not None:  # else somebody took the new folder for a dead one
                break
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)


def remove_stale_scratch(parent: Path) -> None:
    """Remove the scratch folders of dead processes, but none in use or of another user. Raises OSError."""
    for folder in parent.glob(f"{SCRATCH_PREFIX}*"):
        if is_plain_folder(folder) and folder.lstat().st_uid == os.geteuid():
            try:
                descriptor = _take(folder)
            except OSError as error:
                _tell_passed_over(folder, "it is not of this job's making", error)
                continue
            if descriptor is not None:
                _remove_or_tell(folder)
                os.close(descriptor)


def _take(folder: Path) -> int | None:
    """Return the open lock of a scratch folder, held; None if another process holds it, or if it is gone."""
    with contextlib.ExitStack() as released, contextlib.ExitStack() as closed:
        try:
            within = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            closed.callback(os.close, within)
            descriptor = os.open(LOCK, _LOCK_FLAGS, 0o600, dir_fd=within)
        except FileNotFoundError:
            return None
        released.callback(os.close, descriptor)
        if _lock(descriptor, folder / LOCK) and os.fstat(descriptor).st_nlink > 0:  # else it was removed since
            released.pop_all()
            return descriptor
    return None


def name_anew(output: Path, run_id: str) -> str:
    """Return a name for a run that is made though the same was published: the run's own, or else ID-2, ID-3, ..."""
    taken = [folder.name for folder in published_runs(output)]
    if run_id not in taken:
        return run_id
    numbers = [int(name.removeprefix(f"{run_id}-")) for name in taken if re.fullmatch(rf"{run_id}-[0-9]+", name)]
    return f"{run_id}-{max(numbers, default=1) + 1}"


def keep_newest(output: Path, keep: int | None, *, run_id: str) -> None:
    """Remove the oldest runs beyond `keep` (None: none), but neither the one that `latest` names nor this one.

    The output must be locked. A run disappears at once, by a rename, and only then is deleted. Raises OutputError.
    """
    with as_output_error(output):
        kept = {run_id, latest_run(output)}
        for folder in published_runs(output)[keep:] if keep is not None else []:
            if folder.name not in kept:
                away = folder.with_name(f"{REMOVED_PREFIX}{folder.name}-{os.urandom(4).hex()}")
                folder.rename(away)
                flush(folder.parent)
                _remove_or_tell(away)


@contextlib.contextmanager
def staged_run(output: Path, run_id: str) -> Iterator[Path]:
    """Give a folder to write a run to; publish it when the block ends, remove it when the block raises.

    The output must be locked. `_SUCCESS` is added here, last. Raises OutputError: nothing is published.
    """
    runs = output / RUNS
    staged = runs / f"{STAGED_PREFIX}{run_id}-{os.urandom(4).hex()}"
    with as_output_error(output, staged=staged, run=runs / run_id), removed_if_killed(staged):
        staged.mkdir()
        try:
            yield staged
            flush_all(staged)
            (staged / SUCCESS).write_text(f"{next_number(output)}\n", encoding="ascii")
            flush(staged / SUCCESS)
            flush(staged)
            broken = runs / f"{REMOVED_PREFIX}{run_id}-{os.urandom(4).hex()}"
            if os.path.lexists(runs / run_id):  # what is there is no whole run
                (runs / run_id).rename(broken)
            staged.rename(runs / run_id)
            _remove_or_tell(broken)
        except BaseException as error:
            is_gone = not staged.exists()
            shutil.rmtree(staged, ignore_errors=True)
            if is_gone and isinstance(error, OSError | pl.exceptions.PolarsError):
                raise OutputError(f"{output}: cannot be written: the folder was removed during the run") from error
            raise
        flush(runs)
        point_latest(output, run_id)


def flush_all(folder: Path) -> None:
    """Flush what lies beneath a folder to disk, as far as it is written. Raises OSError."""
    for path in folder.rglob("*"):
        flush(path)


def point_latest(output: Path, run_id: str) -> None:
    """Swap `latest` to a published run, in one step: a link, or a text file as in object storage where no links are."""
    if is_plain_folder(output / LATEST):
        _put_aside(output / LATEST)
    try:
        replace_link(output / LATEST, Path(RUNS) / run_id)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        replace_file(output / LATEST, f"{RUNS}/{run_id}\n".encode())


def show_again(output: Path, run_id: str) -> tuple[str, str | None]:
    """Let `latest` name a run that was published before; return the one it names now, and another that it named before.

    A forced repetition of the run (ID-2, ...) that `latest` names is as good. A run that was killed between its two
    renames is whole, but shown to nobody.
    """
    with as_output_error(output):
        shown = latest_run(output)
        shown = shown if shown is not None and is_whole(output / RUNS / shown) else None
        if shown is not None and re.fullmatch(rf"{re.escape(run_id)}(-[0-9]+)?", shown):
            return shown, None
        point_latest(output, run_id)
        return run_id, shown


def describe_files(folder: Path, *, known: Mapping[str, str] | None = None) -> dict[str, Output]:
    """Return name (`folder/name` of one in a folder) -> size in bytes and SHA-256, `known` or found, of every file."""
    return {
        name: {
            "bytes": (folder / name).stat().st_size,
            "sha256": (known or {}).get(name) or hash_file(folder / name),
        }
        for name in sorted(names_beneath(folder))
    }


@contextlib.contextmanager
def as_output_error(output: Path, *, staged: Path | None = None, run: Path | None = None) -> Iterator[None]:
    """Turn what the system or Polars says while the output is written into one line. Raises OutputError in its place.

    `output` is named if no file is; messages name `run`, which it will become, in place of `staged`, a hidden folder.
    """

    def shown(text: str) -> str:
        return text if staged is None else text.replace(str(staged), str(run))

    try:
        yield
    except OutputError as error:
        raise OutputError([shown(problem) for problem in error.problems]) from error
    except (OSError, pl.exceptions.PolarsError) as error:
        match = SYSTEM_ERROR.search(str(error))
        if match is None and not isinstance(error, OSError):
            raise
        where = getattr(error, "filename", None) or (match and match["path"]) or output
        raise OutputError(shown(f"{where}: cannot be written: {reason_of(error)}")) from error
