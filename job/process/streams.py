"""Standard streams that cost no run: what they refuse is lost, and nothing else is.

A terminal goes away, a pipe is closed by who read it, a disk fills up, an encoding lacks a letter: none of that is a
reason to lose the work, or to end with another exit code than the work's own.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import TextIO

    from _typeshed import ReadableBuffer

_ERRORS: Final = "backslashreplace"  # how letters are written that the encoding lacks


class _Patient(io.FileIO):
    """A file that takes whatever is written, also where the system does not; it says so once, where it can."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._is_told = False

    def write(self, data: ReadableBuffer, /) -> int:
        size = memoryview(data).nbytes
        try:
            written = super().write(data)
            if written is None:  # a pipe that does not block, and is full
                select.select([], [self.fileno()], [])
        except OSError as error:
            self._tell(error)
            return size
        return written or 0

    def _tell(self, error: OSError) -> None:
        is_output = self.fileno() == 1
        if is_output and not self._is_told and not isinstance(error, BrokenPipeError):
            self._is_told = True
            line = f"standard output cannot be written: {error.strerror}; the exit code is that of the work\n"
            with contextlib.suppress(OSError):
                os.write(2, line.encode())


def guard_streams() -> None:
    """Let standard output and error take whatever is written, whatever becomes of it.

    What whoever called has closed is given to nobody: else a file of the run would get its number, and messages of
    libraries would end in it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdout, sys.stderr = _guarded(sys.stdout, 1), _guarded(sys.stderr, 2)


def _guarded(stream: TextIO | None, descriptor: int) -> TextIO:
    encoding = "utf-8" if stream is None else stream.encoding
    buffer = io.BufferedWriter(_Patient(descriptor))
    return io.TextIOWrapper(buffer, encoding, _ERRORS, line_buffering=descriptor == 2 or buffer.isatty())  # noqa: PLR2004
