"""Find the four files of a drop, wait for them, and take their fingerprints."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import stat
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from job.beneath import opened_beneath
from job.errors import DropError, DropIncompleteError, Problem, SettingsError, reason_of, shorten
from schemas.columns import TABLES, Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from job.settings import Arrival

READY_MARKER: Final = "_READY"
MOST_FILES: Final = 2_000  # of a drop: each costs some milliseconds, and some lines of the manifest
NAME_BYTES: Final = 512  # of a file's name with its folders: it stands before each of its rejected rows
DEEPEST: Final = 16
READY_MARKER_BYTES_LIMIT: Final = 1 << 20  # of as many files as a drop may have
POLL_SECONDS: Final = 1.0
LOG_EVERY_SECONDS: Final = 60.0
HASH_BLOCK_BYTES: Final = 1 << 20

FileFormat = Literal["csv", "parquet"]
Compression = Literal["gzip", "zstd"]
_ENDINGS: Final[dict[str, tuple[FileFormat, Compression | None]]] = {
    ".csv": ("csv", None),
    ".csv.gz": ("csv", "gzip"),
    ".csv.zst": ("csv", "zstd"),
    ".parquet": ("parquet", None),
}
_LAKES: Final = {"_delta_log": "Delta Lake", ".hoodie": "Hudi", "metadata": "Iceberg"}
"""What lies in the folder of a table format whose files, read one by one, bring deleted rows back."""
_UPLOADING: Final = (".filepart", ".part", ".partial", ".tmp", ".temp", ".crdownload", ".swp", ".upload", ".uploading")
"""How names end that programs give to what they are still writing."""
_LEFTOVERS: Final = ("thumbs.db", "desktop.ini", ".crc", "~")
"""How names end of what systems and programs leave beside files."""
_DIGEST: Final = "[0-9a-fA-F]{64}"
_READY_LINE: Final = re.compile(
    rf"(?P<sha>{_DIGEST})\s+\*?(?:\./)?(?P<name_after>\S+)|(?P<name>\S+)\s+(?:(?P<size>[0-9]{{1,18}})|(?P<sha_after>{_DIGEST}))"
)

logger = logging.getLogger(__name__)


class Stamp(NamedTuple):
    """What tells a file from a changed one without reading it: size in bytes, time of change in ns, inode."""

    size: int
    modified_ns: int
    inode: int


class TableFile(NamedTuple):
    """One table's file in a drop, not yet read.

    Args:
        table: the table that it holds.
        path: where it is; inside the drop also after links are followed.
        file_format: how its rows are written.
        compression: what its bytes are packed with, if anything.
        stamp: its state when it was found.
        within: what stands before its name in the drop: nothing, or folders with a slash at their end.
        parts: the files of the table, in the order of their names, if the path is a folder of them.
        shares: the files of the drop, which share what may be in one though its size does not account for it.
    """

    table: Table
    path: Path
    file_format: FileFormat
    compression: Compression | None
    stamp: Stamp
    within: str = ""
    parts: tuple[TableFile, ...] = ()
    shares: int = 1

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

        Raises:
            DropIncompleteError: it is no longer the file that was found.
            DropError: the system does not let us read it.
        """
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as stream:
                if _stamp_of(os.fstat(handle)) != self.stamp:
                    raise self._changed()
                yield stream
        except OSError as error:
            self.check_unchanged()
            raise _unreadable(self.name, error) from error

    def sharing(self, shares: int) -> TableFile:
        """Return the same file as one of so many of its drop."""
        return self._replace(shares=shares, parts=tuple(part.sharing(shares) for part in self.parts))

    def absolute(self) -> TableFile:
        """Return the same file under a path that holds for other processes, too."""
        return self._replace(path=self.path.absolute(), parts=tuple(part.absolute() for part in self.parts))

    def check_unchanged(self) -> None:
        """Raise DropIncompleteError if the file is no longer what was found: somebody is still writing it."""
        try:
            now = _folder_stamp(self.path) if self.parts else _stamp_of(self.path.stat())
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

    Raises:
        DropError: there is a file that cannot be a table: two for one table, not a regular file, empty, unreadable, a
            link that leaves the drop.
        DropIncompleteError: nothing is wrong but something is missing.
        SettingsError: the drop is not a folder.
    """
    problems: list[str | Problem] = []
    missing: list[str | Problem] = []
    found: dict[str, TableFile] = {}
    candidates = _candidates(folder)
    for name, paths in candidates.items():
        if len(paths) > 1:
            names = ", ".join(path.name for path in paths)
            problems.append(Problem(str(folder), f"one file for the table {name}", names))
        elif paths:
            try:
                found[name] = _table_file(TABLES[name], paths[0], folder)
            except DropError as error:
                problems.extend(error.defects)
            except DropIncompleteError as error:
                missing.extend(error.defects)
        elif (other := _known_otherwise(folder, name)) is not None:
            expected = f"{name}.* ending in {' or '.join(_ENDINGS)}: export it so, under this name"
            problems.append(Problem(str(folder), expected, other))
        else:
            missing.append(Problem(str(folder), f"{name}.* ending in {' or '.join(_ENDINGS)}", "no such file"))
    if problems:
        raise DropError(problems)
    if missing:
        raise DropIncompleteError(missing)
    shares = len(all_files(found))
    if shares > MOST_FILES:
        raise _too_many_files(str(folder))
    return {name: file.sharing(shares) for name, file in found.items()}


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
    files change, and says why it is not the one that is waited for.

    A folder that is not there is not waited for: it is more likely to be named wrongly.

    Raises:
        DropError: as `find_files`; also a `_READY` marker that cannot be understood or whose checksum does not hold.
        DropIncompleteError: still incomplete after `wait_minutes`, or no such folder; its lines say what is missing.
        SettingsError: as `find_files`.
    """
    if not os.path.lexists(folder):
        raise DropIncompleteError(
            [Problem(str(folder), "the folder of a drop (not waited for: make it first)", "none")]
        )
    changed_at, settle = clock(), arrival.settle_seconds
    deadline = changed_at + arrival.wait_minutes * 60
    next_log = changed_at
    before: dict[str, Stamp | None] | None = None
    asked = _ask_once(refuse)
    while True:
        trouble = _trouble_of(refresh)
        seen, now = _snapshot(folder), clock()
        if seen != before:
            before, changed_at = seen, now
        final = now - changed_at >= settle or arrival.wait_minutes <= 0
        try:
            files = _find_unless(trouble, folder)
            obstacle = _obstacle(folder, files, arrival, seen if final else None) or asked(seen, files)
            if obstacle is None:
                return files
            waiting_for: tuple[str, ...] = (str(obstacle),)
        except DropIncompleteError as error:
            waiting_for = error.problems
        except DropError as error:
            if final or now >= deadline:
                raise
            waiting_for = error.problems
        if now >= deadline:
            raise DropIncompleteError(waiting_for)
        if now >= next_log:
            logger.info("waiting for the drop: %s", "; ".join(waiting_for))
            next_log += LOG_EVERY_SECONDS
        sleep(min(POLL_SECONDS, deadline - now))


def _trouble_of(refresh: Callable[[], None]) -> DropIncompleteError | None:
    try:
        refresh()
    except DropIncompleteError as error:
        return error
    return None


def _find_unless(trouble: DropIncompleteError | None, folder: Path) -> dict[str, TableFile]:
    if trouble is not None:
        raise trouble
    return find_files(folder)


def _obstacle(
    folder: Path, files: dict[str, TableFile], arrival: Arrival, seen: dict[str, Stamp | None] | None
) -> Problem | str | None:
    """Return why files that are all there are not complete yet, None if they are. Raises as `check_ready_marker`.

    Args:
        folder: of the drop.
        files: table -> its file.
        arrival: when a drop counts as complete.
        seen: its stamps, if they have settled.
    """
    if check_ready_marker(folder, files):
        return None
    if arrival.require_ready:
        return Problem(str(folder), f"{READY_MARKER} that names its files (--require-ready)", "none")
    if seen is not None and _snapshot(folder) == seen:
        return None
    return f"{folder}: the files changed less than {arrival.settle_seconds:g} seconds ago"


def _ask_once(refuse: Refuse) -> Callable[[dict[str, Stamp | None], dict[str, TableFile]], Problem | None]:
    """Return a function that asks `refuse` again only when the stamps have changed: it may read all files."""
    answers: dict[tuple[tuple[str, Stamp | None], ...], Problem | None] = {}

    def asked(seen: dict[str, Stamp | None], files: dict[str, TableFile]) -> Problem | None:
        key = tuple(sorted(seen.items()))
        if key not in answers:
            answers[key] = refuse(files)
        return answers[key]

    return asked


def check_ready_marker(folder: Path, files: dict[str, TableFile]) -> bool:
    """Return whether there is a `_READY` marker, all of whose promises hold.

    Each of its lines names a file and its size in bytes or its SHA-256, in this order or as `sha256sum` prints it; it
    may name other files of the folder, too. An empty marker only says that the drop is complete; one that is older than
    a file was left over from another delivery and says nothing.

    Raises:
        DropError: a line cannot be understood, or a checksum does not hold though the sizes do.
        DropIncompleteError: a size does not hold yet, or a file is not named or not there.
    """
    marker = _read_marker(folder)
    if marker is None:
        return False
    text, written_ns = marker
    if not text.strip():
        return all(file.stamp.modified_ns <= written_ns for file in all_files(files))
    promises = _promises(text)
    by_name = {file.name: file for file in all_files(files)}
    unfinished = [
        Problem(READY_MARKER, f"a line for {name}", "none")
        for name in sorted(by_name.keys() - {promise.name for promise in promises})
    ]
    for promise in promises:
        file = by_name.get(promise.name)
        if file is None and not _is_there(folder, promise.name):
            unfinished.append(Problem(READY_MARKER, "only files that are there", promise.name, row=promise.row))
        elif file is not None and promise.size not in (None, file.stamp.size):
            expected = f"{promise.size:,} bytes as {READY_MARKER} says"
            unfinished.append(Problem(file.name, expected, f"{file.stamp.size:,} bytes"))
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


def belongs_to_drop(name: str) -> bool:
    """Return whether a name, below a drop's folder, is that of a table's file or of the marker."""
    table, slash, below = name.partition("/")
    if slash:
        named = table.lower() in TABLES or _table_of(table) is not None
        return named and not any(_is_hidden(part) for part in below.split("/"))
    return name == READY_MARKER or _table_of(name) is not None


def all_files(files: Mapping[str, TableFile]) -> list[TableFile]:
    """Return every file of a drop; of a table with many, each."""
    return [part for file in files.values() for part in file.files]


def hash_file(file: TableFile) -> str:
    """Return the SHA-256 of the file's bytes as they lie on disk, in hexadecimal. Raises as `TableFile.open`."""
    digest = hashlib.sha256()
    with file.open() as stream:
        while block := stream.read(HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _candidates(folder: Path) -> dict[str, list[Path]]:
    """Return the paths in the folder that are named like a file of each table."""
    candidates: dict[str, list[Path]] = {name: [] for name in TABLES}
    for path in _list(folder):
        table = _table_of(path.name) or (path.name.lower() if _is_table_folder(path) else None)
        if table is not None:
            candidates[table].append(path)
    return candidates


def _table_of(name: str) -> str | None:
    """Return the table whose file has such a name, None if none has."""
    table, _, ending = name.lower().partition(".")
    return table if table in TABLES and f".{ending}" in _ENDINGS else None


def _is_table_folder(path: Path) -> bool:
    """Return whether a path is a folder of a table's files: `money/`, or `money.csv/` as Spark names it."""
    return (path.name.lower() in TABLES or _table_of(path.name) is not None) and path.is_dir()


def _known_otherwise(folder: Path, table: str) -> str | None:
    """Return what lies there in place of a table, under another name or in another format; None if nothing does.

    What begins like a whole name is still being written.
    """
    for path in _list(folder):
        rest = path.name.lower().removeprefix(table)
        is_near = rest != path.name.lower() and rest[:1] in {".", "_", "-", " ", "("}
        if is_near and not rest.startswith(tuple(_ENDINGS)) and not rest.endswith(_UPLOADING):
            return path.name
    return None


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


def _snapshot(folder: Path) -> dict[str, Stamp | None]:
    """Return the stamp of each file that matters; None for one that cannot be looked at."""
    paths = [path for paths in _candidates(folder).values() for path in paths]
    stamps: dict[str, Stamp | None] = {}
    for path in [*paths, folder / READY_MARKER]:
        try:
            stamps[path.name] = _folder_stamp(path) if _is_table_folder(path) else _stamp_of(path.stat())
        except (OSError, DropError):
            stamps[path.name] = None
    return stamps


def _read_marker(folder: Path) -> tuple[str, int] | None:
    """Return the marker's text and when it was written (ns), None if there is no marker."""
    try:
        root = folder.resolve()
        marker = (folder / READY_MARKER).resolve(strict=True)
        if not marker.is_relative_to(root):
            raise DropError([Problem(READY_MARKER, "a file inside the drop", "a link that leaves the drop")])
        status = marker.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise DropError([Problem(READY_MARKER, "a regular file", _file_kind(status.st_mode))])
        with opened_beneath(root, marker.relative_to(root).as_posix()) as stream:
            status = os.fstat(stream.fileno())
            raw = stream.read(READY_MARKER_BYTES_LIMIT + 1)
        if len(raw) > READY_MARKER_BYTES_LIMIT:
            expected = f"at most {READY_MARKER_BYTES_LIMIT:,} bytes"
            raise DropError([Problem(READY_MARKER, expected, f"{status.st_size:,} bytes")])
        return raw.decode("utf-8-sig"), status.st_mtime_ns
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(READY_MARKER, error) from error
    except RuntimeError:  # a loop of links, on Python < 3.13
        raise DropError([Problem(READY_MARKER, "a readable file", "a loop of links")]) from None
    except UnicodeDecodeError as error:
        raise DropError([Problem(READY_MARKER, "text in UTF-8", "other bytes")]) from error


class _Promise(NamedTuple):
    """What a line of the marker says of a file: its size or its digest."""

    row: int
    name: str
    size: int | None
    digest: str | None


def _promises(text: str) -> list[_Promise]:
    """Return what the marker's lines say. Raises DropError for lines that cannot be understood."""
    promises: list[_Promise] = []
    bad: list[Problem] = []
    for row, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        match = _READY_LINE.fullmatch(line.strip())
        if match is None:
            bad.append(Problem(READY_MARKER, "a file of the drop, then its size in bytes or SHA-256", line, row=row))
            continue
        size, digest = match["size"], match["sha"] or match["sha_after"]
        name = match["name"] or match["name_after"]
        promises.append(_Promise(row, name, None if size is None else int(size), digest and digest.lower()))
    if bad:
        raise DropError(bad)
    return promises


def _is_there(folder: Path, name: str) -> bool:
    try:
        return (folder / name).exists()
    except OSError:
        return False


def _table_folder(table: Table, path: Path, drop: Path) -> TableFile:
    """Return a table of many files: all below its folder that are not hidden, of one format.

    Raises:
        DropError: something among them cannot be such a file; all of them are named.
        DropIncompleteError: there is none.
    """
    for name, title in _LAKES.items():
        if (path / name).exists():
            expected = "the table's rows as CSV or Parquet, exported (the files here may hold deleted and older rows)"
            raise DropError([Problem(f"{path.name}/", expected, f"a {title} table ({name})")])
    parts: list[TableFile] = []
    problems: list[str | Problem] = []
    stamp = _folder_stamp(path)
    for file in _files_below(path):
        if file.name.lower().endswith(_LEFTOVERS):
            logger.info("%s/%s is passed over: it is no part of the table", path.name, shorten(file.name))
            continue
        if file.name.lower().endswith(_UPLOADING):
            raise DropIncompleteError([Problem(f"{path.name}/", "files that are whole", file.name)])
        try:
            parts.append(_table_file(table, file, drop))
        except DropError as error:
            problems.extend(error.defects)
    formats = {part.file_format: part for part in parts}
    if len(formats) > 1:
        found = " and ".join(part.name for part in formats.values())
        problems.append(Problem(f"{path.name}/", "files of one format", found))
    if problems:
        raise DropError(problems)
    if not parts:
        raise DropIncompleteError([Problem(f"{path.name}/", f"files ending in {' or '.join(_ENDINGS)}", "none")])
    return TableFile(table, path, parts[0].file_format, None, stamp, parts=tuple(parts))


def _files_below(folder: Path) -> list[Path]:
    """Return the files in a folder and its folders, by name; what begins with a dot or an underscore is none."""
    found: list[Path] = []
    waiting = [folder]
    while waiting:
        within = waiting.pop()
        if len(within.parts) - len(folder.parts) > DEEPEST:
            raise DropError([Problem(f"{folder.name}/", "a table's files", f"folders more than {DEEPEST} deep")])
        for path in _list(within):
            if not _is_hidden(path.name):
                (waiting if path.is_dir() and not path.is_symlink() else found).append(path)
        if len(found) + len(waiting) > MOST_FILES:
            raise _too_many_files(f"{folder.name}/")
    return sorted(found)


def _too_many_files(where: str) -> DropError:
    return DropError([Problem(where, f"at most {MOST_FILES:,} files; write fewer, larger ones", "more")])


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "_"))


def _folder_stamp(folder: Path) -> Stamp:
    """Return what tells a folder of files from a changed one: the sums and the latest of its files' stamps."""
    stamps = [_stamp_of(path.stat()) for path in _files_below(folder)]
    return Stamp(
        sum(stamp.size for stamp in stamps),
        max((stamp.modified_ns for stamp in stamps), default=0),
        sum(stamp.inode for stamp in stamps),
    )


def _table_file(table: Table, path: Path, folder: Path) -> TableFile:
    if path.parent == folder and _is_table_folder(path):
        return _table_folder(table, path, folder)
    within = "" if path.parent == folder else f"{path.parent.relative_to(folder).as_posix()}/"
    _check_name(f"{within}{path.name}")
    ending = next((ending for ending in _ENDINGS if path.name.lower().endswith(ending)), None)
    if ending is None:
        raise DropError([Problem(f"{within}{path.name}", f"a file ending in {' or '.join(_ENDINGS)}", "another")])
    try:
        resolved, root = path.resolve(strict=True), folder.resolve()
        if not resolved.is_relative_to(root):
            raise DropError([Problem(f"{within}{path.name}", "a file inside the drop", "a link that leaves the drop")])
        status = resolved.lstat()
        if stat.S_ISREG(status.st_mode):  # what is taken for the drop's file is what was opened within the drop
            with opened_beneath(root, resolved.relative_to(root).as_posix()) as stream:
                status = os.fstat(stream.fileno())
    except OSError as error:
        raise _unreadable(f"{within}{path.name}", error) from error
    except RuntimeError:  # a loop of links, on Python < 3.13
        raise DropError([Problem(f"{within}{path.name}", "a readable file", "a loop of links")]) from None
    if not stat.S_ISREG(status.st_mode):
        raise DropError([Problem(f"{within}{path.name}", "a regular file", _file_kind(status.st_mode))])
    if status.st_size == 0:
        raise DropError([Problem(f"{within}{path.name}", "a table with headings", "an empty file (0 bytes)")])
    file_format, compression = _ENDINGS[ending]
    file = TableFile(table, path, file_format, compression, _stamp_of(status), within)
    with file.open():  # so that a file that may not be read is named together with whatever else is wrong
        return file


def _check_name(name: str) -> None:
    """Raise DropError for a file's name that cannot be shown as it is."""
    if not name.isprintable():
        raise DropError([Problem(name, "a name in UTF-8 without control characters", "another")])
    if len(name.encode()) > NAME_BYTES:
        raise DropError([Problem(shorten(name), f"a name of at most {NAME_BYTES} bytes", f"{len(name.encode()):,}")])


def _unreadable(name: str, error: OSError) -> DropError:
    expected = f"a file that user {os.geteuid()} may read" if isinstance(error, PermissionError) else "a readable file"
    return DropError([Problem(name, expected, reason_of(error))])


def _file_kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFSOCK: "a socket", stat.S_IFIFO: "a pipe"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _stamp_of(status: os.stat_result) -> Stamp:
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ino)
