"""Read Parquet files, once another process has shown that they can be read.

Polars takes a damaged file at its word: it panics, or asks for so much memory that the process is aborted, and no
exception tells. So a child process decodes everything first, with bounded memory (`job.intake.parquet_probe`); what
breaks it is refused here. It takes longer to start than to decode a small file, and so decodes all of a drop.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from job.errors import DropError, Problem, shorten
from job.intake.lines import LINE_LIMIT, UNPACKED_FREE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from job.intake.drop import TableFile

# A Parquet file may repeat one value for ever in a few bytes; ids cannot repeat, so real rows take about a byte.
ROWS_PER_BYTE_LIMIT: Final = 8
FREE_ROWS: Final = 1 << 20  # of a drop: below this the ratio is not looked at

# What the words of a dictionary come to is as cheap: real files have some three times their size.
TEXT_BYTES_PER_BYTE_LIMIT: Final = 32
BATCH_BYTES: Final = 8 << 20  # of texts that are spelled out together

_PROBE: Final = Path(__file__).with_name("parquet_probe.py")
_MAGIC: Final = b"PAR1"


class ParquetTable(NamedTuple):
    """A Parquet file that can be decoded."""

    file: TableFile
    headings: tuple[str, ...]  # as delivered, in the file's order
    texts: frozenset[str]  # those of them that hold text; the others hold numbers or anything else that is not nested
    height: int
    row_bytes: int  # the most that the texts of one row may have

    def batches(self, rows: int, first: int = 0, stop: int | None = None) -> Iterator[pl.DataFrame]:
        """Yield its rows, or those from `first` to below `stop`, by heading, up to so many at a time.

        Where texts are long, they are fewer: so many that their texts stay below `BATCH_BYTES`.
        """
        stop = self.height if stop is None else min(stop, self.height)
        with self.file.open() as stream:  # what was checked is what is read, whatever lies under the path now
            scan = pl.scan_parquet(f"/dev/fd/{stream.fileno()}", glob=False, hive_partitioning=False)
            for start in range(first, stop, rows):
                try:
                    for begin, end in self._cut(scan, start, min(start + rows, stop)):
                        yield scan.slice(begin, end - begin).collect()
                except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
                    self.file.check_unchanged()
                    raise _not_whole(self.file, str(error)) from error

    def _cut(self, scan: pl.LazyFrame, start: int, stop: int) -> list[tuple[int, int]]:
        """Return where rows are to be cut so that the texts between have little more than `BATCH_BYTES`."""
        if (stop - start) * self.row_bytes <= BATCH_BYTES:
            return [(start, stop)]
        sizes = pl.sum_horizontal(pl.col(sorted(self.texts)).cast(pl.String).str.len_bytes().cast(pl.Int64))
        parts = scan.slice(start, stop - start).select(part=sizes.cum_sum() // BATCH_BYTES).collect()["part"]
        first_of_part = (parts != parts.shift()).fill_null(value=False).arg_true()
        return list(pairwise([start, *(start + first_of_part), stop]))


class ParquetProbe(AbstractContextManager["ParquetProbe"]):
    """A child process that decodes Parquet files one after the other; threads may ask at once.

    It is started for the first file, and ended on leaving the block.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._end()

    def describe(self, file: TableFile) -> dict[str, Any]:
        """Return what the process found out of a file, or an `error`, also if it died of it.

        One that has decoded others before may have died of what they left: then another one has the last word.
        Raises AssertionError if it cannot be started.
        """
        with self._lock:
            is_fresh = self._child is None
            answer = self._ask(file)
            if answer is None and not is_fresh:
                answer = self._ask(file)
        return answer or {"error": "one that cannot be decoded"}

    def _ask(self, file: TableFile) -> dict[str, Any] | None:
        if self._child is None:
            command = [sys.executable, "-P", str(_PROBE)]
            pipe = subprocess.PIPE
            self._child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)  # noqa: S603 - our own
        child = self._child
        assert child.stdin and child.stdout  # noqa: PT018, S101 - for the type checker
        with suppress(BrokenPipeError):
            child.stdin.write(f"{json.dumps([str(file.path), list(file.stamp)])}\n".encode())
            child.stdin.flush()
        try:
            answer: dict[str, Any] = json.loads(child.stdout.readline())
        except ValueError:  # it died, at most in the middle of the line
            errors = self._end()
            if b"ModuleNotFoundError" in errors:
                raise AssertionError(errors.decode(errors="replace")) from None
            return None
        return answer

    def _end(self) -> bytes:
        """End the process, if there is one; return its errors."""
        child, self._child = self._child, None
        if child is None:
            return b""
        child.kill()
        return child.communicate()[1]


def open_parquet(file: TableFile, probe: ParquetProbe | None = None) -> ParquetTable:
    """Return the file's headings and height, once everything in it could be decoded, by this probe or one of its own.

    Raises DropError if it is damaged or cut, holds something that is neither a number nor text, or has more rows or
    longer texts than its bytes can account for; DropIncompleteError if it changed.
    """
    _check_magic(file)
    with nullcontext(probe) if probe is not None else ParquetProbe() as asked:
        answer = asked.describe(file)
    file.check_unchanged()
    if "error" in answer:
        raise _not_whole(file, answer["error"])
    size, rows, text_bytes = file.stamp.size, answer["rows"], answer["text_bytes"]
    problems = [
        Problem(file.name, "numbers or text", dtype, column=shorten(heading)) for heading, dtype in answer["nested"]
    ]
    if rows > max(FREE_ROWS // file.shares, ROWS_PER_BYTE_LIMIT * size):
        problems.append(Problem(file.name, "rows with an id each", f"{rows:,} rows in {size:,} bytes"))
    if text_bytes > max(UNPACKED_FREE_BYTES // file.shares, TEXT_BYTES_PER_BYTE_LIMIT * size):
        expected = f"texts of at most {TEXT_BYTES_PER_BYTE_LIMIT} times its size"
        problems.append(Problem(file.name, expected, f"{text_bytes:,} bytes in {size:,}"))
    problems.extend(
        Problem(file.name, f"at most {LINE_LIMIT:,} bytes in a value", f"{longest:,}", column=shorten(heading))
        for heading, longest in answer["longest"].items()
        if longest > LINE_LIMIT
    )
    if problems:
        raise DropError(problems)
    row_bytes = sum(answer["longest"][heading] for heading in answer["text"])
    return ParquetTable(file, tuple(answer["schema"]), frozenset(answer["text"]), rows, row_bytes)


def _check_magic(file: TableFile) -> None:
    """Refuse what is no Parquet file, or a cut one, without starting a process."""
    with file.open() as stream:
        begin = stream.read(len(_MAGIC))
        stream.seek(max(0, file.stamp.size - len(_MAGIC)))
        end = stream.read(len(_MAGIC))
    if begin != _MAGIC:
        raise _not_whole(file, f"one that begins with {begin!r}")
    if end != _MAGIC:
        raise _not_whole(file, f"a cut one (it ends with {end!r})")


def _not_whole(file: TableFile, found: str) -> DropError:
    return DropError([Problem(file.name, "a whole Parquet file", found)])
