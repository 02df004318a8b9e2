"""Find the four files of a drop, wait for them, and take their fingerprints."""

from __future__ import annotations

import gzip
import logging
import os
import re
import stat
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from job.beneath import opened_beneath
from job.errors import DropError, DropIncompleteError, Problem, SettingsError, reason_of, shorten
from job.executor import attempt_all
from job.intake.hashes import Stamp, hash_stream, known_hash
from job.intake.names import (
    ENDINGS,
    FORMATS,
    ICEBERG,
    LAKES,
    READY_MARKER,
    Compression,
    FileFormat,
    Role,
    is_hidden,
    may_hold_parts,
    other_table_of,
    role_of,
    table_of,
)
from schemas.columns import TABLES, Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from job.settings import Arrival

MOST_FILES: Final = 2_000  # of a drop: each costs some milliseconds, and some lines of the manifest
NAME_BYTES: Final = 512  # of a file's name with its folders: it stands before each of its rejected rows
DEEPEST: Final = 16
SHOWN_NAMES: Final = 3
EXPORTED: Final = "the table's rows as CSV or Parquet, exported (the files here may hold deleted and older rows)"
BLANK: Final = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"  # bytes of order marks and spaces, in any encoding
BLANK_BYTES: Final = 64  # at most, of a part without headings, packed
READY_MARKER_BYTES_LIMIT: Final = 1 << 20  # of as many files as a drop may have
POLL_SECONDS: Final = 1.0
LOG_EVERY_SECONDS: Final = 60.0

_DIGEST: Final = "[0-9a-fA-F]{64}"
_DIGEST_FIRST: Final = re.compile(rf"^({_DIGEST})\s+\*?(?:\./)?(\S+)")  # as `sha256sum` prints it
_READY_LINE: Final = re.compile(  # no file has a NUL in its name
    rf"(?P<name>[^\s\0]+)\s+(?:(?P<size>[0-9]{{1,18}})|(?P<digest>{_DIGEST}))"
)

logger = logging.getLogger(__name__)


class TableFile(NamedTuple):
    """One table's file in a drop, not yet read."""

    table: Table
    path: Path  # absolute, inside the drop also after links are followed
    file_format: FileFormat
    compression: Compression | None
    stamp: Stamp  # when it was found
    within: str = ""  # what stands before its name in the drop: nothing, or folders with a slash at their end
    parts: tuple[TableFile, ...] = ()  # of a folder, in the order of their names
    shares: int = 1  # files of the drop, which share what may be in one though its size does not account for it

    @property
    def name(self) -> str:
        """The file's name, as messages and `rejected.csv` give it; that of a folder has a slash at its end."""
        return f"{self.within}{self.path.name}{'/' if self.parts else ''}"

    @property
    def files(self) -> tuple[TableFile, ...]:
        """The file itself, or its parts."""
        return self.parts or (self,)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the file for reading. Never hangs, also when somebody puts a pipe in its place.

        Raises DropIncompleteError if it is no longer what was found, DropError if the system does not let us read it.
        """
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as stream:
                if Stamp.of(os.fstat(handle)) != self.stamp:
                    raise self._changed()
                yield stream
        except OSError as error:
            self.check_unchanged()
            raise _unreadable(self.name, error) from error

    def sharing(self, shares: int) -> TableFile:
        """Return the same file as one of so many of its drop."""
        return self._replace(shares=shares, parts=tuple(part.sharing(shares) for part in self.parts))

    def check_unchanged(self) -> None:
        """Raise DropIncompleteError if the file is no longer what was found: somebody is still writing it."""
        try:
            now = _stamp_now(self.path)
        except OSError:
            raise self._changed() from None
        if now != self.stamp:
            raise self._changed()

    def _changed(self) -> DropIncompleteError:
        return DropIncompleteError(
            [Problem(self.name, "a file that nobody writes any more", "one that changed while it was read")]
        )


Refuse = Callable[[Mapping[str, TableFile]], Problem | None]
"""Says why a complete drop is not the one that is waited for."""


def find_files(folder: Path) -> dict[str, TableFile]:
    """Return the drop's file for each table.

    Raises DropError: a file cannot be a table (two for one, not a regular file, empty, unreadable, a link out of the
    drop); DropIncompleteError: nothing is wrong but something is missing; SettingsError: the drop is not a folder.
    """
    problems: list[str | Problem] = []
    missing: list[str | Problem] = []
    files: dict[str, TableFile] = {}
    for name, paths in _candidates(folder).items():
        if len(paths) > 1:
            names = ", ".join(path.name for path in paths)
            problems.append(Problem(str(folder), f"one file for the table {name}", names))
        elif paths:
            try:
                find = _table_folder if paths[0].is_dir() else _table_file
                files[name] = find(TABLES[name], paths[0], folder)
            except DropError as error:
                problems.extend(error.defects)
            except DropIncompleteError as error:
                missing.extend(error.defects)
        elif other := next((path.name for path in _list(folder) if other_table_of(path.name) == name), None):
            expected = f"{name}.* ending in {ENDINGS}: export it so, under this name"
            problems.append(Problem(str(folder), expected, other))
        else:
            missing.append(Problem(str(folder), f"{name}.* ending in {ENDINGS}", _all_there_is(folder)))
    if problems:
        raise DropError(problems)
    if missing:
        raise DropIncompleteError(missing)
    shares = len(all_files(files))
    if shares > MOST_FILES:
        raise _too_many_files(str(folder))
    return {name: file.sharing(shares) for name, file in files.items()}


def wait_for_files(
    folder: Path,
    arrival: Arrival,
    *,
    refresh: Callable[[], None] = lambda: None,
    refuse: Refuse = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, TableFile]:
    """Return the drop's files once they are complete.

    Complete means: all four are there, and either the `_READY` marker names them and what it says holds, or nothing has
    changed in size and time for `settle_seconds`. What is wrong with files that still change may heal: it is an error
    only once they have settled. With `wait_minutes` 0 nothing is waited for: what is there must be complete (the marker
    is verified if there is one; the settling time is not asked for). `refresh` is called before each look, and brings
    the folder up to date where it is a copy of something else. `refuse` is asked about a complete drop, once until its
    files change, and says why it is not the one that is waited for. A folder that is not there is not waited for: it is
    more likely to be named wrongly.

    Raises as `find_files` and `check_ready_marker`; DropIncompleteError only after `wait_minutes`, or without a folder.
    """
    if not os.path.lexists(folder):
        raise DropIncompleteError(
            [Problem(str(folder), "the folder of a drop (not waited for: make it first)", "none")]
        )
    changed_at = next_log = clock()
    deadline = changed_at + arrival.wait_minutes * 60
    before: dict[str, Stamp] | None = None
    answers: list[Problem | None] = []  # of `refuse`, since the drop changed last: it may read all files
    while True:
        trouble = _trouble_of(refresh)
        seen, now = _snapshot(folder), clock()
        if seen != before:
            before, changed_at, answers = seen, now, []
        final = now - changed_at >= arrival.settle_seconds or arrival.wait_minutes <= 0
        try:
            files = _find_complete(folder, arrival, trouble, seen if final else None)
            answers = answers or [refuse(files)]
            if answers[0] is None:
                _tell_what_is_passed_over(folder, files)
                return files
            waiting_for: tuple[str | Problem, ...] = (answers[0],)
        except DropIncompleteError as error:
            waiting_for = error.defects
        except DropError as error:
            if final or now >= deadline:
                raise
            waiting_for = error.defects
        if now >= deadline:
            raise DropIncompleteError(waiting_for)
        if now >= next_log:
            logger.info("waiting for the drop: %s", "; ".join(map(str, waiting_for)))
            next_log += LOG_EVERY_SECONDS
        sleep(min(POLL_SECONDS, deadline - now))


def _trouble_of(refresh: Callable[[], None]) -> tuple[str | Problem, ...]:
    try:
        refresh()
    except DropIncompleteError as error:
        return error.defects
    return ()


def _find_complete(
    folder: Path, arrival: Arrival, trouble: tuple[str | Problem, ...], settled: dict[str, Stamp] | None
) -> dict[str, TableFile]:
    """Return the files of a complete drop. Raises as `find_files` and `check_ready_marker`, and where it is not.

    Args: trouble: of the refresh; settled: the drop's stamps, if they have settled.
    """
    if trouble:
        raise DropIncompleteError(trouble)
    files = find_files(folder)
    if check_ready_marker(folder, files):
        return files
    if arrival.require_ready:
        expected = f"{READY_MARKER} that names its files (--require-ready)"
        raise DropIncompleteError([Problem(str(folder), expected, "none")])
    if settled is None or _snapshot(folder) != settled:
        raise DropIncompleteError(f"{folder}: the files changed less than {arrival.settle_seconds:g} seconds ago")
    return files


def check_ready_marker(folder: Path, files: dict[str, TableFile]) -> bool:
    """Return whether there is a `_READY` marker, all of whose promises hold.

    Each of its lines names a file and its size in bytes or its SHA-256, in this order or as `sha256sum` prints it; it
    may name other files of the folder, too. An empty marker only says that the drop is complete; one that is older than
    a file was left over from another delivery and says nothing.

    Raises DropError: a line cannot be understood, or a checksum does not hold though the sizes do; DropIncompleteError:
    a size does not hold yet, or a file is not named or not there.
    """
    marker = _read_marker(folder)
    if marker is None:
        return False
    text, written_ns = marker
    if not text.strip():
        return all(file.stamp.modified_ns <= written_ns for file in all_files(files))
    promises = _promises(text)
    by_name = {file.name: file for file in all_files(files)}
    unnamed = by_name.keys() - {promise.name for promise in promises}
    unfinished = [Problem(READY_MARKER, f"a line for {name}", "none") for name in sorted(unnamed)]
    for promise in promises:
        file = by_name.get(promise.name)
        try:
            size = file.stamp.size if file is not None else (folder / promise.name).stat().st_size
        except OSError:
            unfinished.append(Problem(READY_MARKER, "only files that are there", promise.name, row=promise.row))
            continue
        if promise.size not in (None, size) and (file is not None or "/" in promise.name):
            expected = f"{promise.size:,} bytes as {READY_MARKER} says"
            unfinished.append(Problem(promise.name, expected, f"{size:,} bytes"))
    if unfinished:
        raise DropIncompleteError(unfinished)
    wrong = [
        Problem(promise.name, f"the SHA-256 {promise.digest} as {READY_MARKER} says", actual)
        for promise in promises
        if promise.digest and promise.name in by_name
        if (actual := hash_file(by_name[promise.name])) != promise.digest
    ]
    if wrong:
        raise DropError(wrong)
    return True


def all_files(files: Mapping[str, TableFile]) -> list[TableFile]:
    """Return every file of a drop; of a table with many, each."""
    return [part for file in files.values() for part in file.files]


def hash_file(file: TableFile) -> str:
    """Return the SHA-256 of the file's bytes as they lie on disk, in hexadecimal. Raises as `TableFile.open`."""
    with file.open() as stream:
        return known_hash(file.stamp) or hash_stream(stream)


def _candidates(folder: Path) -> dict[str, list[Path]]:
    """Return the paths in the folder that are named like a file of each table."""
    candidates: dict[str, list[Path]] = {name: [] for name in TABLES}
    for path in _list(folder):
        table = may_hold_parts(path.name) if path.is_dir() else table_of(path.name)
        if table is not None:
            candidates[table].append(path)
    return candidates


def _list(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        raise SettingsError([Problem(str(folder), "the folder of a drop", "a file")]) from None
    except PermissionError as error:
        expected = f"a folder that user {os.geteuid()} may list"
        raise SettingsError([Problem(str(folder), expected, reason_of(error))]) from error
    except OSError as error:
        raise DropError([Problem(str(folder), "a folder that can be listed", reason_of(error))]) from error


def _snapshot(folder: Path) -> dict[str, Stamp]:
    """Return the stamp of each file that matters and can be looked at."""
    stamps: dict[str, Stamp] = {}
    for path in [*chain.from_iterable(_candidates(folder).values()), folder / READY_MARKER]:
        with suppress(OSError, DropError):
            stamps[path.name] = _stamp_now(path)
    return stamps


def _read_marker(folder: Path) -> tuple[str, int] | None:
    """Return the marker's text and when it was written (ns), None if there is no marker."""
    try:
        with _opened_within(folder, folder / READY_MARKER, READY_MARKER) as stream:
            status = os.fstat(stream.fileno())
            raw = stream.read(READY_MARKER_BYTES_LIMIT + 1)
    except FileNotFoundError:
        return None
    if len(raw) > READY_MARKER_BYTES_LIMIT:
        expected = f"at most {READY_MARKER_BYTES_LIMIT:,} bytes"
        raise DropError([Problem(READY_MARKER, expected, f"{status.st_size:,} bytes")])
    try:
        return raw.decode("utf-8-sig"), status.st_mtime_ns
    except UnicodeDecodeError as error:
        raise DropError([Problem(READY_MARKER, "text in UTF-8", "other bytes")]) from error


@contextmanager
def _opened_within(folder: Path, path: Path, name: str) -> Iterator[BinaryIO]:
    """Open a regular file of a drop, which may be a link within it. What is looked at is what was opened.

    Raises FileNotFoundError if it is not there, DropError if it is no such file or cannot be read.
    """
    try:
        resolved, root = path.resolve(strict=True), folder.resolve()
        if not resolved.is_relative_to(root):
            raise DropError([Problem(name, "a file inside the drop", "a link that leaves the drop")])
        mode = resolved.lstat().st_mode
        if not stat.S_ISREG(mode):
            kinds = {stat.S_IFDIR: "a folder", stat.S_IFSOCK: "a socket", stat.S_IFIFO: "a pipe"}
            raise DropError([Problem(name, "a regular file", kinds.get(stat.S_IFMT(mode), "a device"))])
        with opened_beneath(root, resolved.relative_to(root).as_posix()) as stream:
            yield stream
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unreadable(name, error) from error
    except RuntimeError:  # a loop of links, on Python < 3.13
        raise DropError([Problem(name, "a readable file", "a loop of links")]) from None


class _Promise(NamedTuple):
    """What a line of the marker says of a file: its size or its digest."""

    row: int
    name: str
    size: int | None
    digest: str


def _promises(text: str) -> list[_Promise]:
    """Return what the marker's lines say. Raises DropError for lines that cannot be understood."""
    promises, bad = [], []
    for row, line in enumerate(text.split("\n"), start=1):
        match = _READY_LINE.fullmatch(_DIGEST_FIRST.sub(r"\2 \1", line.strip()))
        if match is not None:
            size, digest = match["size"], match["digest"] or ""
            promises.append(_Promise(row, match["name"], int(size) if size else None, digest.lower()))
        elif line.strip():
            expected = "a file of the drop, then its size in bytes or SHA-256"
            bad.append(Problem(READY_MARKER, expected, line, row=row))
    if bad:
        raise DropError(bad)
    return promises


def _all_there_is(folder: Path) -> str:
    """Return what a folder without any table holds, so that a wrong one is seen."""
    names = [path.name for path in _list(folder) if not is_hidden(path.name)]
    if not names or any(may_hold_parts(name) for name in names):
        return "no such file"
    return f"only {', '.join(names[:SHOWN_NAMES])}{', …' if len(names) > SHOWN_NAMES else ''}"


def _table_folder(table: Table, path: Path, drop: Path) -> TableFile:
    """Return a table of many files: all below its folder that are not hidden, left over or empty, of one format.

    Raises DropError if something among them cannot be such a file (all of them are named), DropIncompleteError if there
    is none, or one is still being written.
    """
    below = _look_below(path)
    if below["arriving"]:
        found = ", ".join(file.relative_to(path).as_posix() for file in below["arriving"][:SHOWN_NAMES])
        raise DropIncompleteError([Problem(f"{path.name}/", "files that are whole", found)])

    def part_of(file: Path) -> TableFile | None:
        part = _table_file(table, file, drop)
        return None if _is_blank(part) else part

    there, problems = attempt_all(part_of, below["part"])
    parts = [part for part in there if part is not None]
    formats = {part.file_format: part for part in parts}
    if len(formats) > 1:
        found = " and ".join(part.name for part in formats.values())
        problems.append(Problem(f"{path.name}/", "files of one format", found))
    if problems:
        raise DropError(problems)
    if not parts:
        raise DropIncompleteError([Problem(f"{path.name}/", f"files ending in {ENDINGS}", "none with rows")])
    stamp = _stamp_of_all(below["part"])
    return TableFile(table, path.absolute(), parts[0].file_format, None, stamp, parts=tuple(parts))


def _tell_what_is_passed_over(folder: Path, files: Mapping[str, TableFile]) -> None:
    for table in files.values():
        if table.parts:
            below, whole = _look_below(table.path), {part.path for part in table.parts}
            gone = [(path, "it is empty") for path in below["part"] if path not in whole]
            for path, why in [*((path, "it is no part") for path in below["leftover"]), *gone]:
                logger.info("%s is passed over: %s", shorten(path.relative_to(folder.absolute()).as_posix()), why)


def _look_below(folder: Path) -> dict[Role, list[Path]]:
    """Return the files in a table's folder and the folders in it, by what they are.

    Raises DropError if they are too many or too deep, or those of a table of another kind.
    """
    below: dict[Role, list[Path]] = {"part": [], "hidden": [], "leftover": [], "arriving": []}
    waiting = [folder]
    while waiting:
        within = waiting.pop()
        if len(within.parts) - len(folder.parts) > DEEPEST:
            raise DropError([Problem(f"{folder.name}/", "a table's files", f"folders more than {DEEPEST} deep")])
        paths = _list(within)
        names = {path.name for path in paths}
        for path in paths:
            lake = LAKES.get(path.name) or ("Iceberg" if path.name == ICEBERG and path.is_dir() else None)
            if lake is not None:
                found = f"a {lake} table ({path.relative_to(folder).as_posix()})"
                raise DropError([Problem(f"{folder.name}/", EXPORTED, found)])
            role = role_of(path.name, names)
            is_folder = role == "part" and path.is_dir() and not path.is_symlink()
            (waiting if is_folder else below[role]).append(path)
        if len(below["part"]) + len(waiting) > MOST_FILES:
            raise _too_many_files(f"{folder.name}/")
    below["part"].sort()
    return below


def _is_blank(part: TableFile) -> bool:
    """Return whether a part has not even headings: what Spark writes where a partition has no rows."""
    if part.file_format == "parquet" or part.stamp.size > BLANK_BYTES:
        return part.stamp.size == 0
    with part.open() as stream:
        raw = stream.read()
    try:
        text = gzip.decompress(raw) if part.compression == "gzip" else raw
    except (OSError, EOFError, zlib.error):  # it is read, and refused, where all are
        return False
    return not text.strip(BLANK)


def _too_many_files(where: str) -> DropError:
    return DropError([Problem(where, f"at most {MOST_FILES:,} files; write fewer, larger ones", "more")])


def _stamp_now(path: Path) -> Stamp:
    return _stamp_of_all(_look_below(path)["part"]) if path.is_dir() else Stamp.of(path.stat())


def _stamp_of_all(paths: list[Path]) -> Stamp:
    """Return the sums of the stamps of some files."""
    stamps = [Stamp.of(path.stat()) for path in paths] or [Stamp(0, 0, 0)]
    return Stamp(*map(sum, zip(*stamps, strict=True)))


def _table_file(table: Table, path: Path, folder: Path) -> TableFile:
    within = "" if path.parent == folder else f"{path.parent.relative_to(folder).as_posix()}/"
    name = f"{within}{path.name}"
    if not name.isprintable():
        raise DropError([Problem(name, "a name in UTF-8 without control characters", "another")])
    if len(name.encode()) > NAME_BYTES:
        raise DropError([Problem(shorten(name), f"a name of at most {NAME_BYTES} bytes", f"{len(name.encode()):,}")])
    ending = next((ending for ending in FORMATS if path.name.lower().endswith(ending)), None)
    if ending is None:
        expected = f"only parts of the table, ending in {ENDINGS} (take it away if it is none)"
        raise DropError([Problem(name, expected, "a file in another format")])
    try:
        with _opened_within(folder, path, name) as stream:
            status = os.fstat(stream.fileno())
    except FileNotFoundError as error:
        raise _unreadable(name, error) from error
    if status.st_size == 0 and not within:
        raise DropError([Problem(name, "a table with headings", "an empty file (0 bytes)")])
    file_format, compression = FORMATS[ending]
    file = TableFile(table, path.absolute(), file_format, compression, Stamp.of(status), within)
    with file.open():  # so that a file that may not be read is named together with whatever else is wrong
        return file


def _unreadable(name: str, error: OSError) -> DropError:
    expected = f"a file that user {os.geteuid()} may read" if isinstance(error, PermissionError) else "a readable file"
    return DropError([Problem(name, expected, reason_of(error))])
