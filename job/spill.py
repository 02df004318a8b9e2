"""Rows that wait for their turn: written in any order, read back by ranges of a key, in its order.

A drop may be larger than memory. What was read of it is kept here as long as it is little, and else in files of a
spill folder, as sorted runs; whoever reads a range of keys gets the rows of all runs, merged. Nothing else in the job
knows where rows are, or in what order they were delivered.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_left
from collections import Counter
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from job.errors import OutputError, reason_of
from job.memory import RUN_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

KEY_STEP: Final = 256  # every so many rows of a run, its key is kept in memory
PIECE_ROWS: Final = 4096  # that are read from a file together, at least: a range takes little of each run
PIECE_BYTES: Final = 1 << 18  # of rows that take less: to read so many costs about as much as to begin with a piece

NUMBER: Final = "row"

Bound = Any  # a key, or None where a range has no end


class SpillSpace:
    """Where the rows of one run of the job wait: in memory up to a limit of all spools together, then in files.

    Whoever made the folder removes it; without one, all are in memory. Rows are put in order and away together, as many
    as `run_bytes` hold: the fewer runs, the fewer must be merged.
    """

    def __init__(self, folder: Path | None = None, memory_bytes: int = 0, run_bytes: int = RUN_BYTES) -> None:
        self.run_bytes = run_bytes
        self.folder = folder
        self._free = memory_bytes
        self._lock = threading.Lock()  # several tables may be read at once

    def __reduce__(self) -> tuple[type[SpillSpace], tuple[Path | None, int, int]]:
        """Let other processes put rows into files of the same folder; what is kept in memory here is not shared."""
        return (SpillSpace, (self.folder, 0, self.run_bytes))

    def put(self, rows: pl.DataFrame) -> pl.DataFrame | _Pieces:
        """Return rows as they are, if there is memory for them, or else in a file of their own.

        Raises OutputError if it cannot be written.
        """
        size = int(rows.estimated_size())
        with self._lock:
            if self.folder is None or size <= self._free:
                self._free -= size
                return rows
        path = self.folder / f"{os.urandom(8).hex()}.arrows"
        step = max(PIECE_ROWS, PIECE_BYTES * rows.height // max(1, size))
        offsets = [0]
        try:
            with path.open("wb", buffering=0) as stream:
                for piece in rows.iter_slices(step):
                    piece.write_ipc_stream(stream, compression="uncompressed")
                    offsets.append(stream.tell())
        except (OSError, pl.exceptions.PolarsError) as error:
            raise OutputError(f"{self.folder}: cannot be written: {reason_of(error)}") from error
        return _Pieces(path, step, offsets)

    def free(self, rows: pl.DataFrame | _Pieces) -> None:
        """Free what rows take that were put here."""
        if isinstance(rows, _Pieces):
            rows.path.unlink(missing_ok=True)
            return
        with self._lock:
            self._free += int(rows.estimated_size())


class _Pieces(NamedTuple):
    """A file of rows, each so many of which are an Arrow stream of their own.

    Whoever knows where one begins reads it in a twentieth of the time that a query over an Arrow file takes.
    """

    path: Path
    rows: int  # of a piece
    offsets: list[int]  # where each piece begins, and where the last one ends

    def slice(self, offset: int, length: int) -> pl.DataFrame:
        """Return so many rows from one on, as a frame does. Raises OutputError if they cannot be read."""
        first, last = offset // self.rows, -(-(offset + length) // self.rows)
        try:
            with self.path.open("rb") as stream:
                stream.seek(self.offsets[first])
                sizes = (self.offsets[piece + 1] - self.offsets[piece] for piece in range(first, last))
                pieces = [pl.read_ipc_stream(stream.read(size)) for size in sizes]
        except (OSError, pl.exceptions.PolarsError) as error:
            raise OutputError(f"{self.path.parent}: cannot be read: {reason_of(error)}") from error
        rows = pl.concat(pieces).slice(offset - first * self.rows, length)
        if rows.height != length:
            raise OutputError(f"{self.path.parent}: cannot be read: {rows.height:,} rows of {length:,}")
        return rows


class _Run(NamedTuple):
    """Rows in the order of their key, in memory or in a file."""

    rows: pl.DataFrame | _Pieces
    height: int
    keys: list[Any]  # of every KEY_STEP-th row, from the first on
    last: Any
    shift: int = 0  # of `row`: rows are numbered within what they were read from, until it is known what is before

    def shifted(self, key: str, shift: int) -> _Run:
        """Return the same rows with a `row`, also where it is the key, that is higher by so much."""
        run = self._replace(shift=self.shift + shift)
        if key != NUMBER:
            return run
        return run._replace(keys=[number + shift for number in self.keys], last=self.last + shift)

    def read(self, key: str, low: Bound, high: Bound) -> pl.DataFrame | None:
        """Return the rows with a `key` from `low`, below `high`; None if there are none."""
        if (low is not None and self.last < low) or (high is not None and self.keys[0] >= high):
            return None
        start = 0 if low is None else max(0, bisect_left(self.keys, low) - 1) * KEY_STEP
        stop = self.height if high is None else min(self.height, bisect_left(self.keys, high) * KEY_STEP)
        if stop <= start:
            return None
        rows = self.rows.slice(start, stop - start)
        if self.shift:
            rows = rows.with_columns((pl.col(NUMBER) + self.shift).cast(rows.schema[NUMBER]))
        # The ends are within a step of those of the range.
        first = 0 if low is None else int((rows[key].head(KEY_STEP) < low).sum())
        beyond = 0 if high is None else int((rows[key].tail(KEY_STEP) >= high).sum())
        return rows.slice(first, rows.height - first - beyond) if first + beyond < rows.height else None


class SortedRuns:
    """Rows of one table, of one schema. Args: key: the column by which they are read; never null."""

    def __init__(self, space: SpillSpace, schema: pl.Schema, key: str) -> None:
        self._space = space
        self.schema = schema
        self.key = key
        self._runs: list[_Run] = []
        self._pending: list[pl.DataFrame] = []
        self._pending_bytes = 0

    @property
    def height(self) -> int:
        """The rows that were added."""
        return sum(run.height for run in self._runs) + sum(rows.height for rows in self._pending)

    def append(self, rows: pl.DataFrame) -> None:
        """Add rows (the columns of the schema; other dtypes are cast), in any order.

        Raises OutputError if they cannot be written.
        """
        if rows.is_empty():
            return
        waiting = compacted(rows, self.schema)
        self._pending.append(waiting)
        self._pending_bytes += int(waiting.estimated_size())
        if self._pending_bytes >= self._space.run_bytes:
            self._put_away()

    def _put_away(self) -> None:
        """Make a run of the rows that were added last."""
        if not self._pending:
            return
        rows = pl.concat(self._pending)
        self._pending, self._pending_bytes = [], 0
        rows = sorted_by(rows, self.key)
        keys = rows[self.key]
        self._runs.append(_Run(self._space.put(rows), rows.height, keys.gather_every(KEY_STEP).to_list(), keys[-1]))

    def read(self, low: Bound = None, high: Bound = None) -> pl.DataFrame:
        """Return the rows with a key from `low`, below `high`, by key; equal keys in the order they were added."""
        self._put_away()
        parts = [part for run in self._runs if (part := run.read(self.key, low, high)) is not None]
        if not parts:
            return self.schema.to_frame()
        parts = [part.select(self.schema.names()) for part in parts]
        return sorted_by(pl.concat(parts, rechunk=True), self.key)

    def keys(self) -> pl.Series:
        """Return some of the keys (every 256th of each run), in no order."""
        self._put_away()
        return pl.Series(self.key, chain.from_iterable(run.keys for run in self._runs), dtype=self.schema[self.key])

    def least_repeated(self) -> tuple[Bound, int]:
        """Return the key of which the most rows are seen, and how many there are at least. No row is read for that."""
        self._put_away()
        rows: Counter[Any] = Counter()
        for run in self._runs:
            rows.update({key: KEY_STEP * (count - 1) for key, count in Counter(run.keys).items() if count > 1})
        return max(rows.items(), key=itemgetter(1), default=(None, 0))

    def ranges(self, rows: int) -> Iterator[pl.DataFrame]:
        """Yield all rows in the order of their key, about so many at a time."""
        for low, high in cut_ranges([self], rows):
            yield self.read(low, high)

    def ended(self) -> SortedRuns:
        """Put away what was added last, and return the rows, to be sent to whoever reads them."""
        self._put_away()
        return self

    def extend(self, other: SortedRuns, *, shift: int = 0) -> None:
        """Take over the rows of another of the same key, whose files are then removed with these.

        Columns that only one of them has are left out. Args: shift: what is added to the column `row` of its rows.
        """
        self.schema = pl.Schema({name: dtype for name, dtype in self.schema.items() if name in other.schema})
        self._runs.extend(run.shifted(self.key, shift) if shift else run for run in other.ended()._runs)  # noqa: SLF001 - of the same class

    def in_memory(self) -> SortedRuns:
        """Return the same rows in memory, for when the spill folder is gone."""
        copy = SortedRuns(SpillSpace(), self.schema, self.key)
        copy.append(self.read())
        return copy

    def clear(self) -> None:
        """Forget all rows, and free what they took."""
        for run in self._runs:
            self._space.free(run.rows)
        self._runs.clear()
        self._pending, self._pending_bytes = [], 0


def compacted(frame: pl.DataFrame, schema: pl.Schema | None = None) -> pl.DataFrame:
    """Return the same rows, whose texts hold nothing else in memory; as a schema says, if one is given.

    Rows taken from a frame share its texts, all of them: without this, few rows that are kept keep many.
    """
    dtypes = frame.schema
    wanted = dtypes if schema is None else schema
    if dtypes == wanted and pl.String not in dtypes.values():
        return frame
    columns = []
    for name, dtype in wanted.items():
        column = pl.col(name) if dtypes[name] == dtype else pl.col(name).cast(dtype)
        columns.append(pl.concat_str(column, pl.lit("")) if dtype == pl.String else column)
    return frame.select(columns)


def sorted_by(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    """Return rows in the order of a key, and those of one key in the order they had."""
    return rows if rows[key].is_sorted() else rows.sort(key, maintain_order=True)


def cut_ranges(spools: Iterable[SortedRuns], rows: int) -> list[tuple[Bound, Bound]]:
    """Return ranges of keys, in order, each with about so many rows of all spools together.

    The first has no lower and the last no upper end, so that every key is in one of them. Rows of one key are never
    parted.
    """
    spools = list(spools)
    if sum(spool.height for spool in spools) <= rows:
        return [(None, None)]
    keys = pl.concat([spool.keys() for spool in spools]).sort()
    step = max(1, rows // KEY_STEP)
    firsts = keys.gather_every(step, offset=step).unique(maintain_order=True).to_list()
    return list(zip([None, *firsts], [*firsts, None], strict=True))
