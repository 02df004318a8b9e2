"""Bytes of a text file become blocks of whole lines, in bounded memory.

Everything that could blow up is refused here: a line without end, a file that unpacks to far more than it should.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from job.errors import DropError, Problem
from job.intake.drop import TableFile, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

BLOCK_BYTES: Final = 4 << 20
LINE_LIMIT: Final = 1 << 16  # characters; real lines have about 120
UNPACKED_RATIO_LIMIT: Final = 100  # real exports shrink about 8 times
UNPACKED_FREE_BYTES: Final = 64 << 20  # below this the ratio is not looked at

_UNDEFINED_IN_CP1251: Final = "\x98"  # the one byte that cp1251 leaves open; others map it to this control character


class ByteBlocks:
    """The bytes of a file in blocks, unpacked; counts and hashes what lies on disk as it goes.

    Args:
        file: the file to read.

    Iterating raises DropError when the file cannot be read or unpacked, or unpacks to more than 100 times its size.
    `sha256` is complete once the iteration is.
    """

    def __init__(self, file: TableFile) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """SHA-256 of what was read from disk so far, in hexadecimal."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        try:
            with self._file.path.open("rb") as raw:
                yield from self._unpack(raw)
        except OSError as error:
            raise unreadable(self._file.name, error) from error

    def _unpack(self, raw: BinaryIO) -> Iterator[bytes]:
        if self._file.compression is None:
            yield from self._raw_blocks(raw)
            return
        unpacked = 0
        for block in self._gzip_blocks(raw) if self._file.compression == "gzip" else self._zstd_blocks(raw):
            unpacked += len(block)
            limit = max(UNPACKED_FREE_BYTES, UNPACKED_RATIO_LIMIT * self._file.stamp.size)
            if unpacked > limit:
                raise DropError(
                    [
                        Problem(
                            self._file.name,
                            f"at most {UNPACKED_RATIO_LIMIT} times its size unpacked",
                            f"more than {limit:,} bytes from {self._file.stamp.size:,}",
                        )
                    ]
                )
            yield block

    def _raw_blocks(self, raw: BinaryIO) -> Iterator[bytes]:
        while block := raw.read(BLOCK_BYTES):
            self._digest.update(block)
            yield block

    def _gzip_blocks(self, raw: BinaryIO) -> Iterator[bytes]:
        try:
            with gzip.GzipFile(fileobj=_Tee(raw, self._digest)) as stream:  # type: ignore[arg-type]
                while block := stream.read(BLOCK_BYTES):
                    yield block
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise self._broken("gzip", str(error)) from error

    def _zstd_blocks(self, raw: BinaryIO) -> Iterator[bytes]:
        import zstandard  # noqa: PLC0415 - only this kind of file needs it

        try:
            reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
                _Tee(raw, self._digest), read_across_frames=True
            )
            while block := reader.read(BLOCK_BYTES):
                yield block
        except zstandard.ZstdError as error:
            raise self._broken("zstd", str(error)) from error

    def _broken(self, packing: str, detail: str) -> DropError:
        return DropError([Problem(self._file.name, f"a whole {packing} file", f"a damaged or cut one ({detail})")])


@dataclass
class _Tee:
    """A readable stream that hashes what passes through it."""

    raw: BinaryIO
    digest: hashlib._Hash

    def read(self, size: int = -1) -> bytes:
        block = self.raw.read(size)
        self.digest.update(block)
        return block


class LineBlocks:
    """The lines of a file in lists, decoded, without their ends.

    Args:
        file: for messages.
        blocks: the file's bytes.
        encoding: a codec's name; a byte order mark is passed over.
        mojibake: the text is UTF-8 that was read as cp1251 and saved as UTF-8; it is turned back line by line where
            that is lossless, and left alone where not.
        line_end: what ends a line.

    Text that the encoding does not know reads as U+FFFD. `ends_with_line_end` is known once the iteration is complete.
    Iterating raises DropError for a line longer than 65,536 characters.
    """

    def __init__(
        self, file: TableFile, blocks: Iterator[bytes], *, encoding: str, mojibake: bool, line_end: str
    ) -> None:
        self._file = file
        self._blocks = blocks
        self._encoding = encoding
        self._mojibake = mojibake
        self._cut = "\r" if line_end == "\r" else "\n"
        self.ends_with_line_end = True

    def __iter__(self) -> Iterator[list[str]]:
        decoder = codecs.getincrementaldecoder(self._encoding)(errors="replace")
        rest = ""
        row = 1
        for block in self._blocks:
            text = rest + decoder.decode(block)
            whole, cut, rest = text.rpartition(self._cut)
            if cut:
                lines = self._lines(whole, row)
                row += len(lines)
                yield lines
            if len(rest) > LINE_LIMIT:
                raise self._too_long(row)
        rest += decoder.decode(b"", final=True)
        self.ends_with_line_end = not rest
        if rest:
            yield self._lines(rest, row)

    def _lines(self, text: str, first_row: int) -> list[str]:
        lines = text.split(self._cut)
        if "\r" in text:
            lines = [line.removesuffix("\r") for line in lines]
        for offset, line in enumerate(lines):
            if len(line) > LINE_LIMIT:
                raise self._too_long(first_row + offset)
        return [undo_mojibake(line) or line for line in lines] if self._mojibake else lines

    def _too_long(self, row: int) -> DropError:
        expected = f"at most {LINE_LIMIT:,} characters in a line"
        return DropError([Problem(self._file.name, expected, "a longer one", row=row)])


def undo_mojibake(text: str) -> str | None:
    """Return the text whose UTF-8 bytes, read as cp1251, give `text`; None if there is none."""
    try:
        raw = b"".join(b"\x98" if char == _UNDEFINED_IN_CP1251 else char.encode("cp1251") for char in text)
        return raw.decode("utf-8")
    except UnicodeError:
        return None
