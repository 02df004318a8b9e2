"""SHA-256 of a drop's files, begun while libraries are loaded: it takes a processor, but not Python's lock.

Nothing slow is imported here.
"""

from __future__ import annotations

import hashlib
import os
import stat
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import BinaryIO


BLOCK_BYTES: Final = 16 << 20  # between two of them, Python's lock is waited for


class Stamp(NamedTuple):
    """What tells a file from a changed one without reading it: size in bytes, time of change in ns, inode."""

    size: int
    modified_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Return the stamp of a file."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


_begun: Final[dict[Stamp, Future[str | None]]] = {}


def hash_ahead(folder: Path) -> None:
    """Begin to hash the files of a folder, in a thread. What is wrong with them is told by whoever reads them."""
    files: dict[Stamp, Path] = {}
    with suppress(OSError, RuntimeError):  # no folder, or no more threads
        for path in sorted(folder.iterdir()):
            status = path.stat()
            if stat.S_ISREG(status.st_mode) and not path.name.startswith("."):
                files[Stamp.of(status)] = path
        begun: dict[Stamp, Future[str | None]] = {stamp: Future() for stamp in files}
        _begun.update(begun)
        # The end of the process does not wait for what nobody asks for any more, as it would for a pool's threads.
        Thread(target=_hash_all, args=(files, begun), name="hash", daemon=True).start()


def known_hash(stamp: Stamp) -> str | None:
    """Return the SHA-256 of the file with a stamp; None if nobody has begun with it, or it was another one then."""
    begun = _begun.get(stamp)
    return None if begun is None or begun.cancel() else begun.result()


def hash_stream(stream: BinaryIO) -> str:
    """Return the SHA-256 of what is left of a stream, in hexadecimal."""
    digest = hashlib.sha256()
    while block := stream.read(BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()


def _hash_all(files: Mapping[Stamp, Path], begun: Mapping[Stamp, Future[str | None]]) -> None:
    for stamp, path in files.items():
        if begun[stamp].set_running_or_notify_cancel():
            begun[stamp].set_result(_hash(path, stamp))


def _hash(path: Path, stamp: Stamp) -> str | None:
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as stream:
            if Stamp.of(os.fstat(stream.fileno())) != stamp:
                return None
            digest = hash_stream(stream)
            return digest if Stamp.of(os.fstat(stream.fileno())) == stamp else None
    except (OSError, MemoryError):  # whoever asks tries again by himself
        return None
