"""Read a Parquet file, once another process has shown that it can be read.

Polars takes a damaged file at its word: it panics, or asks for so much memory that the process is aborted, and no
exception tells. So a child process decodes everything first, with bounded memory (`job.intake.parquet_probe`); what
breaks it is refused here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from job.errors import DropError, Problem, shorten
from job.intake.lines import LINE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from job.intake.drop import TableFile

# A Parquet file may repeat one value for ever in a few bytes; ids cannot repeat, so real rows take about a byte.
ROWS_PER_BYTE_LIMIT: Final = 8
FREE_ROWS: Final = 1 << 20

_PROBE: Final = Path(__file__).with_name("parquet_probe.py")
_MAGIC: Final = b"PAR1"


class ParquetTable(NamedTuple):
    """A Parquet file that can be decoded.

    Args:
        file: the file.
        headings: as delivered, in the file's order.
        texts: those of them that hold text; the others hold numbers or anything else that is not nested.
        height: its rows.
    """

    file: TableFile
    headings: tuple[str, ...]
    texts: frozenset[str]
    height: int

    def batches(self, rows: int, first: int = 0, stop: int | None = None) -> Iterator[pl.DataFrame]:
        """Yield its rows, or those from `first` to below `stop`, as text by heading, up to so many at a time."""
        scan = pl.scan_parquet(self.file.path, glob=False, hive_partitioning=False)
        text = scan.select(pl.all().cast(pl.String))
        stop = self.height if stop is None else min(stop, self.height)
        for start in range(first, stop, rows):
            try:
                yield text.slice(start, min(rows, stop - start)).collect()
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
                self.file.check_unchanged()
                raise _not_whole(self.file, str(error)) from error


def open_parquet(file: TableFile) -> ParquetTable:
    """Return the file's headings and height, once everything in it could be decoded.

    Raises:
        DropError: the file is damaged or cut, holds something that is neither a number nor text, or has more rows or
            longer texts than its bytes can account for.
        DropIncompleteError: the file changed.
    """
    _check_magic(file)
    answer = _probe(file)
    problems = [
        Problem(file.name, "numbers or text", told, column=shorten(heading)) for heading, told in answer["nested"]
    ]
    if answer["rows"] > max(FREE_ROWS, ROWS_PER_BYTE_LIMIT * file.stamp.size):
        found = f"{answer['rows']:,} rows in {file.stamp.size:,} bytes"
        problems.append(Problem(file.name, "rows with an id each", found))
    problems.extend(
        Problem(file.name, f"at most {LINE_LIMIT:,} bytes in a value", f"{longest:,}", column=shorten(heading))
        for heading, longest in answer["longest"].items()
        if longest > LINE_LIMIT
    )
    if problems:
        raise DropError(problems)
    return ParquetTable(file, tuple(answer["schema"]), frozenset(answer["text"]), answer["rows"])


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


def _probe(file: TableFile) -> dict[str, Any]:
    """Return what the child process found out. Raises DropError when it failed or was killed."""
    command = [sys.executable, "-P", str(_PROBE), str(file.path)]
    child = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603 - our own
    file.check_unchanged()
    try:
        answer: dict[str, Any] = json.loads(child.stdout)
    except ValueError:
        if child.returncode == 1 and b"ModuleNotFoundError" in child.stderr:
            raise AssertionError(child.stderr.decode(errors="replace")) from None
        raise _not_whole(file, "one that cannot be decoded") from None
    if "error" in answer:
        raise _not_whole(file, answer["error"])
    return answer


def _not_whole(file: TableFile, found: str) -> DropError:
    return DropError([Problem(file.name, "a whole Parquet file", found)])
