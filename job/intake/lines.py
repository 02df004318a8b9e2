"""Bytes of a text file become blocks of whole lines, and lines become records, in bounded memory.

A record is a line, or several where a field in quotes has line breaks. Everything that could blow up is refused here:
a line without end, a file that unpacks to far more than it should.
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from typing import TYPE_CHECKING, Final

from job.errors import DropError, Problem
from job.intake.characters import WIDE_SPACES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import BinaryIO

    from job.intake.drop import TableFile

BLOCK_BYTES: Final = 4 << 20
LINE_LIMIT: Final = 1 << 16  # characters; real lines have about 120
UNPACKED_RATIO_LIMIT: Final = 100  # real exports shrink about 8 times
UNPACKED_FREE_BYTES: Final = 64 << 20  # of a drop: below this the ratio is not looked at

# zstd packs 128 KiB of one byte into 4 bytes: pieces this small unpack to 16 MiB at most.
_ZSTD_PIECE_BYTES: Final = 512
_ZSTD_WINDOW_LIMIT: Final = 1 << 27  # what `zstd -d` allows, too

RECORD_LINES: Final = 100  # of one record at most: a quote that nothing closes must not swallow the file
SEPARATOR_HINT: Final = re.compile(r"\ufeff?sep=.", re.IGNORECASE)  # a first line that tells Excel the separator

_LOST_SPACE: Final = re.compile(f"Р[{WIDE_SPACES}]")
_UNDEFINED_IN_CP1251: Final = "\x98"  # the one byte that cp1251 leaves open; others map it to this control character
LINE_ENDS: Final = {"\r": "CR", "\n": "LF", "\r\n": "CRLF"}


def byte_blocks(file: TableFile, first: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """Yield the bytes of a file in blocks, unpacked; of one that is not packed, those from `first`, below `stop`.

    Raises DropError if it cannot be read or unpacked, or unpacks to more than 100 times its size.
    """
    with file.open() as stream:
        if file.compression == "gzip":
            unpacked = gzip.GzipFile(fileobj=stream)
            yield from _check_ratio(file, iter(lambda: unpacked.read(BLOCK_BYTES), b""))
        elif file.compression == "zstd":
            yield from _check_ratio(file, whole_lines(_zstd_blocks(stream), BLOCK_BYTES))
        else:
            left = (file.stamp.size if stop is None else stop) - stream.seek(first)
            while block := stream.read(min(BLOCK_BYTES, left)):
                left -= len(block)
                yield block


def _check_ratio(file: TableFile, blocks: Iterator[bytes]) -> Iterator[bytes]:
    limit = max(UNPACKED_FREE_BYTES // file.shares, UNPACKED_RATIO_LIMIT * file.stamp.size)
    unpacked = 0
    try:
        for block in blocks:
            unpacked += len(block)
            if unpacked > limit:
                found = f"more than {limit:,} bytes from {file.stamp.size:,}"
                expected = f"at most {UNPACKED_RATIO_LIMIT} times its size unpacked"
                raise DropError([Problem(file.name, expected, found)])
            yield block
    except (EOFError, gzip.BadGzipFile, zlib.error, _BrokenZstdError) as error:
        expected = f"a whole {file.compression} file"
        raise DropError([Problem(file.name, expected, f"a damaged or cut one ({error})")]) from error


class _BrokenZstdError(Exception):
    """What is packed cannot be unpacked."""


def _zstd_blocks(raw: BinaryIO) -> Iterator[bytes]:
    """Unpack frame after frame. The library's own stream reader takes a cut file for a whole one."""
    import zstandard  # noqa: PLC0415 - only this kind of file needs it

    unpacker = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_LIMIT)
    frame = None
    try:
        while piece := raw.read(_ZSTD_PIECE_BYTES):
            while piece:
                frame = frame or unpacker.decompressobj()
                if block := frame.decompress(piece):
                    yield block
                piece = frame.unused_data
                if frame.eof:
                    frame = None
    except zstandard.ZstdError as error:
        raise _BrokenZstdError(error) from error
    if frame is not None:
        raise _BrokenZstdError("the end is missing")


def whole_lines(blocks: Iterable[bytes], block_bytes: int, *, first_bytes: int | None = None) -> Iterator[bytes]:
    """Yield the same bytes in blocks that end with a line feed, where there is one, of about the sizes asked for."""
    held: list[bytes] = []
    size, wanted = 0, first_bytes or block_bytes
    for block in blocks:
        held.append(block)
        size += len(block)
        while size >= wanted:
            *whole, last = held
            before = size - len(last)
            cut = last.rfind(b"\n", 0, wanted - before) + 1
            if not cut:  # the line began before
                last, whole = b"".join(held), []
                cut = last.rfind(b"\n", 0, wanted) + 1 or wanted
            held, size = [last[cut:]], len(last) - cut
            yield b"".join((*whole, memoryview(last)[:cut]))
            wanted = block_bytes
    if size:
        yield b"".join(held)


class LineBlocks:
    """The records of a file in lists, decoded, without their ends; an end is CRLF, LF or CR, also mixed.

    Mojibake is UTF-8 that was read as cp1251 and saved as UTF-8; it is turned back line by line where that is lossless
    (or lost no more than no-break spaces), and left alone where not. Text that the encoding does not know reads as
    U+FFFD, a byte order mark is passed over; a line longer than 65,536 characters raises DropError. `fits` says whether
    lines in whose quotes there are line breaks are a record. `row` is the number of the last record; whether it
    `ends_with_line_end`, and the `line_ends`, are known once all was read.
    """

    def __init__(
        self, name: str, *, encoding: str, mojibake: bool, fits: Callable[[Sequence[str]], bool] = lambda _: False
    ) -> None:
        self._name = name
        self._mojibake = mojibake
        decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        self._decoder = io.IncrementalNewlineDecoder(decoder, translate=True)
        self._rest = ""
        self._ends: set[str] = set()
        self._fits = fits
        self._open: list[str] = []
        self.row = 0
        self.line_breaks = 0
        self.spaces_restored = 0
        self.ends_with_line_end = True

    @property
    def line_ends(self) -> frozenset[str]:
        """The names of the line ends seen so far, of `LINE_ENDS`."""
        seen = self._decoder.newlines
        ends = self._ends | set((seen,) if isinstance(seen, str) else seen or ())
        return frozenset(LINE_ENDS[end] for end in ends)

    def read(self, blocks: Iterable[bytes]) -> Iterator[list[str]]:
        """Yield the records of all blocks of a file."""
        for block in blocks:
            yield self.feed(block)
        yield self.finish()

    def feed(self, block: bytes) -> list[str]:
        """Return the records that end in the next block."""
        whole, cut, self._rest = (self._rest + self._decoder.decode(block)).rpartition("\n")
        records = self._records(self._lines(whole) if cut else [])
        self._check_length(self._rest)
        return records

    def finish(self) -> list[str]:
        """Return the last records, once there is no more block."""
        text = self._rest + self._decoder.decode(b"", final=True)
        self.ends_with_line_end = not text or text.endswith("\n")
        return self._records(self._lines(text.removesuffix("\n")) if text else [], is_last=True)

    def skip(self, rows: int, end: str) -> None:
        """Count records of the next block that somebody else has read, all of one line with this line end."""
        self.row += rows
        self._ends.add(end)

    @property
    def is_between_lines(self) -> bool:
        """Whether all that was fed has been returned."""
        return not self._rest and not self._open and self._decoder.getstate() == (b"", 0)

    def _lines(self, text: str) -> list[str]:
        undone = undo_mojibake(text) if self._mojibake else text
        lines = (text if undone is None else undone).split("\n")
        for line in lines if max(map(len, lines)) > LINE_LIMIT else ():
            self._check_length(line)
            self.row += 1
        return [self._undone(line) for line in lines] if undone is None else lines

    def _undone(self, line: str) -> str:
        undone = undo_mojibake(line)
        if undone is None and (undone := undo_mojibake(with_lost_spaces(line))) is not None:
            self.spaces_restored += len(_LOST_SPACE.findall(line))
        return line if undone is None else undone

    def _records(self, lines: list[str], *, is_last: bool = False) -> list[str]:
        """Return the records that end in some lines; one that is open is kept, unless these are the last."""
        if self._open or any(map(_is_open, lines)):
            lines = self._put_together([*self._open, *lines], is_last=is_last)
        self.row += len(lines)
        return lines

    def _put_together(self, lines: list[str], *, is_last: bool) -> list[str]:
        records: list[str] = []
        first, self._open = 0, []
        while first < len(lines):
            stop = first + 1
            if _is_open(lines[first]):
                behind = range(stop, min(first + RECORD_LINES, len(lines)))
                end = next((line for line in behind if _is_open(lines[line])), None)
                if end is None and len(lines) - first < RECORD_LINES and not is_last:
                    self._open = lines[first:]
                    break
                if end is not None and self._fits(lines[first : end + 1]):
                    stop = end + 1
            records.append("\n".join(lines[first:stop]))
            self.line_breaks += stop - first - 1
            first = stop
        return records

    def _check_length(self, line: str) -> None:
        if len(line) > LINE_LIMIT:
            expected = f"at most {LINE_LIMIT:,} characters in a line"
            raise DropError([Problem(self._name, expected, "a longer one", row=self.row + len(self._open) + 1)])


def breaks_records(block: bytes) -> bool:
    """Return whether some line of a block has a quote that only another line closes, in an encoding of bytes."""
    return b'"' in block and any(line.count(b'"') % 2 for line in block.replace(b"\r", b"\n").split(b"\n"))


def _is_open(line: str) -> bool:
    return line.count('"') % 2 == 1


def with_lost_spaces(text: str) -> str:
    """Return mojibake in which each space after «Р» is a no-break one again.

    «Р» is the first byte of two there (0xD0), and 0xA0 is the only second one that reads as a space.
    """
    return _LOST_SPACE.sub("Р\u00a0", text)


def undo_mojibake(text: str) -> str | None:
    """Return the text whose UTF-8 bytes, read as cp1251, give `text`; None if there is none."""
    try:
        return b"\x98".join(part.encode("cp1251") for part in text.split(_UNDEFINED_IN_CP1251)).decode("utf-8")
    except UnicodeError:
        return None
