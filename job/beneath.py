"""What lies in a folder that others may write to: opened beneath it, through no link, without waiting, bounded in size.

The folder itself is taken as it was named; of what is in it, only plain folders are entered and only plain files read.
Whoever swaps one of them in between is found out: what is looked at is what was opened.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from io import BufferedReader

SMALL_BYTES: Final = 8 << 20  # the most that a file may have which is read at once
MOST_ENTRIES: Final = 100_000  # of a folder and the folders in it
DEEPEST: Final = 64

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextlib.contextmanager
def opened_beneath(folder: Path, name: str) -> Iterator[BufferedReader]:
    """Open a plain file of a folder for reading; the folder may be a link, parts of the name are separated by slashes.

    Raises OSError if it is not there, is no plain file, or is reached through a link.
    """
    *within, last = name.split("/")
    if not last or {"", ".", ".."} & set(within) or last in (".", "..") or "\0" in name:
        raise OSError(errno.EINVAL, "No name of a file in the folder", name)
    with contextlib.ExitStack() as stack:
        descriptor = os.open(folder, _FOLDER & ~os.O_NOFOLLOW)
        stack.callback(os.close, descriptor)
        for part in within:
            descriptor = os.open(part, _FOLDER, dir_fd=descriptor)
            stack.callback(os.close, descriptor)
        opened = os.open(last, _FILE, dir_fd=descriptor)
        stream = stack.enter_context(os.fdopen(opened, "rb"))
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise OSError(errno.EINVAL, "Not a plain file", name)
        yield stream


def read_beneath(folder: Path, name: str, *, limit: int = SMALL_BYTES) -> bytes:
    """Return what a plain file of a folder holds. Raises OSError as `opened_beneath`, also beyond `limit` bytes."""
    with opened_beneath(folder, name) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), name)
    return content


def is_file_beneath(folder: Path, name: str) -> bool:
    """Return whether a folder holds such a plain file, and it can be read."""
    try:
        with opened_beneath(folder, name):
            return True
    except OSError:
        return False


def is_plain_folder(path: Path) -> bool:
    """Return whether a path is a folder, and no link to one."""
    return not path.is_symlink() and path.is_dir()


def names_beneath(folder: Path) -> Iterator[str]:
    """Yield the names, below a folder, of all that lies in it and is no folder; no link is followed.

    Raises OSError if something cannot be listed, or is nested too deeply, or there are too many.
    """
    waiting, seen = [""], 0
    while waiting:
        within = waiting.pop()
        with os.scandir(folder / within) as entries:
            for entry in entries:
                seen += 1
                name = f"{within}{entry.name}"
                if seen > MOST_ENTRIES or within.count("/") > DEEPEST:
                    raise OSError(errno.EFBIG, f"More than {MOST_ENTRIES:,} entries, or {DEEPEST} folders deep", name)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{name}/")
                else:
                    yield name


def remove_tree(path: Path) -> None:
    """Remove a folder with all that is in it, however deep; of a link, only the link. Another may be removing it, too.

    Raises OSError if something cannot be removed.
    """
    try:
        root = os.open(path, _FOLDER)
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            raise
        path.unlink(missing_ok=True)
        return
    try:
        with contextlib.suppress(FileNotFoundError):
            waiting = _emptied(root, root)
            while waiting:
                name = waiting.pop()
                inner = os.open(name, _FOLDER, dir_fd=root)
                try:
                    waiting += _emptied(inner, root)
                finally:
                    os.close(inner)
                os.rmdir(name, dir_fd=root)
            path.rmdir()
    finally:
        os.close(root)


def _emptied(folder: int, root: int) -> list[str]:
    """Remove the files of a folder, and move its folders up to the root; return their new names."""
    with os.scandir(folder) as entries:
        inside = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    moved = []
    for name, is_folder in inside:
        if is_folder:
            new = os.urandom(8).hex()
            os.rename(name, new, src_dir_fd=folder, dst_dir_fd=root)
            moved.append(new)
        else:
            os.unlink(name, dir_fd=folder)
    return moved
