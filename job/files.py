"""Write a file beside its place and rename it, so that nobody ever reads half of it: the one place that does.

What is written beside has a random name and is made anew: a file or link that somebody has planted is never followed.
Large files are flushed while they are written.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Final

MODE: Final = 0o644
NO_LINKS: Final = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
"""What file systems say that have no links, or forbid them."""
_CANNOT_FLUSH: Final = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.ENOSYS}
"""What file systems say that know no such thing."""
FLUSHED_BYTES: Final = 32 << 20  # of a large file that are flushed together


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


class LargeFile(AbstractContextManager["LargeFile"]):
    """A new file that a thread flushes to disk, and out of the system's cache, while more of it is written.

    Whoever writes gigabytes otherwise waits for the disk at their end, and fills the memory of the machine with what
    nobody reads again: in a virtual machine to get it from the host takes seven times as long as the writing itself.
    """

    def __init__(self, path: Path) -> None:
        self._stream = path.open("wb")
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="flush")
        self._flushing: Future[None] | None = None
        self._flushed = 0

    def __exit__(self, kind: object, *_: object) -> None:
        self._pool.shutdown()
        self._stream.close()
        if kind is None and self._flushing is not None:
            self._flushing.result()

    def write(self, block: bytes | memoryview) -> None:
        """Write some bytes. Raises OSError, also if those before cannot be flushed."""
        self._stream.write(block)
        if (end := self._stream.tell()) >= self._flushed + FLUSHED_BYTES:
            if self._flushing is not None:
                self._flushing.result()
            self._flushing = self._pool.submit(_flush_out, self._stream.fileno(), end)
            self._flushed = end


def _flush_out(descriptor: int, end: int) -> None:
    _sync(descriptor)
    with suppress(OSError, AttributeError):  # not every system does
        os.posix_fadvise(descriptor, 0, end, os.POSIX_FADV_DONTNEED)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.urandom(8).hex()}")


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise
