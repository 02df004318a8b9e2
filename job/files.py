"""Write a file beside its place and rename it, so that nobody ever reads half of it: the one place that does.

What is written beside has a random name and is made anew: a file or link that somebody has planted is never followed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

MODE: Final = 0o644
NO_LINKS: Final = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
"""What file systems say that have no links, or forbid them."""
_CANNOT_FLUSH: Final = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.ENOSYS}
"""What file systems say that know no such thing."""


def replace_file(path: Path, content: bytes) -> None:
    """Write a file, flushed, in one step, in place of what was there; of a link, in place of the link.

    Raises OSError if it cannot be written; what was there is untouched then.
    """
    with written_beside(path, content) as beside:
        beside.replace(path)
    flush(path.parent)


def create_file(path: Path, content: bytes) -> bool:
    """Do the same only where nothing is there; return whether nothing was. Raises OSError."""
    with written_beside(path, content) as beside:
        try:
            os.link(beside, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            if os.path.lexists(path):  # without hard links there is a moment between
                return False
            beside.rename(path)
    flush(path.parent)
    return True


def replace_link(path: Path, target: Path) -> None:
    """Let a link name another target, in one step. Raises OSError."""
    beside = _beside(path)
    try:
        beside.symlink_to(target)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    flush(path.parent)


@contextmanager
def written_beside(path: Path, content: bytes) -> Iterator[Path]:
    """Give a file with this content, flushed, beside a path; what is left of it is removed. Raises OSError."""
    beside = _beside(path)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            _sync(stream.fileno())
        yield beside
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def flush(path: Path) -> None:
    """Flush a file or a folder to disk. Raises OSError, but not where the file system knows no such thing."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.urandom(8).hex()}")


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise
