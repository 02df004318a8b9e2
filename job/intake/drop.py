"""Find the four files of a drop, wait for them, and take their fingerprints."""

from __future__ import annotations

import hashlib
import logging
import re
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from job.errors import DropError, DropIncompleteError, Problem, SettingsError
from schemas.vocabulary import TABLES, Table

if TYPE_CHECKING:
    from collections.abc import Callable

READY_MARKER: Final = "_READY"
POLL_SECONDS: Final = 1.0
LOG_EVERY_SECONDS: Final = 60.0
HASH_BLOCK_BYTES: Final = 1 << 20

Compression = Literal["gzip", "zstd"]
_ENDINGS: Final[dict[str, tuple[Literal["csv", "parquet"], Compression | None]]] = {
    ".csv": ("csv", None),
    ".csv.gz": ("csv", "gzip"),
    ".csv.zst": ("csv", "zstd"),
    ".parquet": ("parquet", None),
}
_READY_LINE: Final = re.compile(
    r"(?P<digest>[0-9a-fA-F]{64})\s+\*?(?P<digest_name>\S+)|(?P<name>\S+)\s+(?:(?P<size>\d{1,18})|(?P<sha>[0-9a-fA-F]{64}))"
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stamp:
    """What tells a file from a changed one without reading it: size in bytes, time of change in ns, inode."""

    size: int
    modified_ns: int
    inode: int


@dataclass(frozen=True)
class TableFile:
    """One table's file in a drop, not yet read.

    Args:
        table: the table that it holds.
        path: where it is; inside the drop also after links are followed.
        file_format: how its rows are written.
        compression: what its bytes are packed with, if anything.
        stamp: its state when it was found.
    """

    table: Table
    path: Path
    file_format: Literal["csv", "parquet"]
    compression: Compression | None
    stamp: Stamp

    @property
    def name(self) -> str:
        """The file's name, as messages and `rejected.csv` give it."""
        return self.path.name

    def check_unchanged(self) -> None:
        """Raise DropIncompleteError if the file is no longer what was found: somebody is still writing it."""
        try:
            now = _stamp(self.path)
        except OSError:
            now = None
        if now != self.stamp:
            raise DropIncompleteError(f"{self.name}: changed while it was read; wait until it is written completely")


def find_files(folder: Path) -> dict[str, TableFile]:
    """Return the drop's file for each table.

    Raises:
        DropError: there is a file that cannot be a table: two for one table, not a regular file, empty, unreadable, a
            link that leaves the drop.
        DropIncompleteError: nothing is wrong but something is missing.
    """
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{folder}: found a file, expected the folder of a drop")
    candidates: dict[str, list[Path]] = {name: [] for name in TABLES}
    try:
        entries = sorted(folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise DropError(f"{folder}: cannot be listed: {error.strerror}") from error
    for path in entries:
        table, _, ending = path.name.lower().partition(".")
        if table in candidates and f".{ending}" in _ENDINGS:
            candidates[table].append(path)
    problems: list[str | Problem] = []
    found: dict[str, TableFile] = {}
    for name, paths in candidates.items():
        if len(paths) > 1:
            names = ", ".join(path.name for path in paths)
            problems.append(Problem(str(folder), f"one file for the table {name}", names))
        elif paths:
            try:
                found[name] = _table_file(TABLES[name], paths[0], folder)
            except DropError as error:
                problems.extend(error.defects)
    if problems:
        raise DropError(problems)
    missing = [name for name in TABLES if name not in found]
    if missing:
        endings = " or ".join(_ENDINGS)
        raise DropIncompleteError(
            Problem(str(folder), f"{name}.* ending in {endings}", "no such file") for name in missing
        )
    return found


def wait_for_files(
    folder: Path,
    *,
    minutes: float,
    settle_seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, TableFile]:
    """Return the drop's files once they are complete.

    Complete means: all four are there, and either the `_READY` marker names them and what it says holds, or none has
    changed in size and time for `settle_seconds`. With `minutes` 0 nothing is waited for: what is there must be
    complete (the marker is verified if there is one; the settling time is not asked for).

    Raises:
        DropError: as `find_files`; also a `_READY` marker that cannot be understood or whose checksum does not hold.
        DropIncompleteError: still incomplete after `minutes`; its lines say what is missing.
    """
    deadline = clock() + minutes * 60
    next_log = clock() + LOG_EVERY_SECONDS
    settled_since: float | None = None
    before: dict[str, Stamp] = {}
    while True:
        try:
            files = find_files(folder)
            if check_ready_marker(folder, files) or minutes <= 0:
                return files
            now = {name: file.stamp for name, file in files.items()}
            if now != before or settled_since is None:
                before, settled_since = now, clock()
            if clock() - settled_since >= settle_seconds:
                return files
            waiting_for = [f"{folder}: the files changed less than {settle_seconds:g} seconds ago"]
        except DropIncompleteError as error:
            if minutes <= 0:
                raise
            settled_since = None
            waiting_for = list(error.problems)
        if clock() >= deadline:
            raise DropIncompleteError(waiting_for)
        if clock() >= next_log:
            logger.info("waiting for the drop: %s", "; ".join(waiting_for))
            next_log += LOG_EVERY_SECONDS
        sleep(min(POLL_SECONDS, max(0.0, deadline - clock())))


def check_ready_marker(folder: Path, files: dict[str, TableFile]) -> bool:
    """Return whether there is a `_READY` marker, all of whose promises hold.

    Each of its lines names a file and its size in bytes or its SHA-256, in this order or as `sha256sum` prints it. An
    empty marker only says that the drop is complete.

    Raises:
        DropError: a line cannot be understood, or a checksum does not hold though nobody is writing.
        DropIncompleteError: a size does not hold yet, or a table's file is not named.
    """
    marker = folder / READY_MARKER
    try:
        lines = marker.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        return False
    except (OSError, UnicodeDecodeError) as error:
        raise DropError(f"{READY_MARKER}: cannot be read as text: {error}") from error
    by_name = {file.name: file for file in files.values()}
    bad: list[Problem] = []
    unfinished: list[Problem] = []
    named: set[str] = set()
    for row, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        match = _READY_LINE.fullmatch(line.strip())
        name = match and (match["name"] or match["digest_name"])
        if match is None or name not in by_name:
            bad.append(Problem(READY_MARKER, "a file of the drop, then its size in bytes or SHA-256", line, row=row))
            continue
        named.add(name)
        file = by_name[name]
        size, digest = match["size"], (match["digest"] or match["sha"])
        if size is not None and int(size) != file.stamp.size:
            unfinished.append(Problem(name, f"{size} bytes as {READY_MARKER} says", f"{file.stamp.size} bytes"))
        if digest is not None and (actual := hash_file(file)) != digest.lower():
            bad.append(Problem(name, f"the SHA-256 {digest.lower()} as {READY_MARKER} says", actual))
    if named:
        unfinished.extend(
            Problem(READY_MARKER, f"a line for {name}", "none") for name in sorted(by_name.keys() - named)
        )
    if bad:
        raise DropError(bad)
    if unfinished:
        raise DropIncompleteError(unfinished)
    return True


def hash_file(file: TableFile) -> str:
    """Return the SHA-256 of the file's bytes as they lie on disk, in hexadecimal. Raises DropError if unreadable."""
    digest = hashlib.sha256()
    try:
        with file.path.open("rb") as stream:
            while block := stream.read(HASH_BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise unreadable(file.name, error) from error
    return digest.hexdigest()


def unreadable(name: str, error: OSError) -> DropError:
    """Return the error for a file that the system does not let us read."""
    return DropError([Problem(name, "a readable file", error.strerror or str(error))])


def _table_file(table: Table, path: Path, folder: Path) -> TableFile:
    try:
        resolved = path.resolve(strict=True)
        if not resolved.is_relative_to(folder.resolve()):
            raise DropError([Problem(path.name, "a file inside the drop", "a link that leaves the drop")])
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise DropError([Problem(path.name, "a regular file", _file_kind(mode))])
        stamp = _stamp(path)
        if stamp.size == 0:
            raise DropError([Problem(path.name, "a table with headings", "an empty file (0 bytes)")])
        with path.open("rb"):
            pass
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, on Python < 3.13
        raise unreadable(path.name, error if isinstance(error, OSError) else OSError(str(error))) from error
    file_format, compression = _ENDINGS[path.name.lower()[len(table.name) :]]
    return TableFile(table, path, file_format, compression, stamp)


def _file_kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFSOCK: "a socket", stat.S_IFIFO: "a pipe"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ino)
