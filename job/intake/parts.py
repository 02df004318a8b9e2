"""A table of many files reads like one: its rows are numbered through, and each rejection goes back to its file."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import polars as pl

from job.errors import DropError, Problem
from job.intake.table import Broken, TableIntake, add_broken, read_table
from job.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from job.intake.drop import TableFile
    from job.intake.parquet import ParquetProbe
    from job.memory import MemoryPlan
    from job.spool import Bound, Scratch


class SpoolChain(Spool):
    """The rows of spools as those of one, each with its `row` moved behind those of the spools before it.

    Args:
        spools: one for each file, all of one schema.
        offsets: how far the rows of each are moved.
        names: of the files; where there is a column `file`, rows that are added get the name of theirs.
    """

    def __init__(self, spools: Sequence[Spool], offsets: Sequence[int], names: Sequence[str]) -> None:
        self._spools = spools
        self._offsets = offsets
        self._names = names
        self._key = spools[0].key
        self.schema = spools[0].schema

    @property
    def height(self) -> int:
        """The rows of all."""
        return sum(spool.height for spool in self._spools)

    def append(self, rows: pl.DataFrame) -> None:
        """Add rows to the spools of their files."""
        for spool, offset, end, name in zip(
            self._spools, self._offsets, [*self._offsets[1:], None], self._names, strict=True
        ):
            own = rows.filter(pl.col("row") > offset, *([pl.col("row") <= end] if end is not None else []))
            if own.height:
                named = [pl.lit(name).alias("file")] if "file" in rows.columns else []
                spool.append(own.with_columns(pl.col("row") - offset, *named))

    def read(self, low: Bound = None, high: Bound = None) -> pl.DataFrame:
        """Return the rows with a key from `low`, below `high`, by key."""
        parts = [
            rows.with_columns(pl.col("row") + offset)
            for spool, offset in zip(self._spools, self._offsets, strict=True)
            if (rows := spool.read(low, high)).height
        ]
        rows = pl.concat(parts) if parts else self.schema.to_frame()
        return rows if rows[self._key].is_sorted() else rows.sort(self._key, maintain_order=True)

    def keys(self) -> pl.Series:
        """Return some of the keys, in no order."""
        return pl.concat([spool.keys() for spool in self._spools])

    def clear(self) -> None:
        """Forget all rows."""
        for spool in self._spools:
            spool.clear()


@dataclass(frozen=True)
class PartedIntake(TableIntake):
    """What became of the files of one table. Rows are numbered through all of them.

    Args:
        parts: what became of each.
        offsets: the number before the first row of each.
    """

    parts: tuple[TableIntake, ...]
    offsets: tuple[int, ...]

    @property
    def files(self) -> tuple[TableIntake, ...]:
        """What became of each file."""
        return self.parts

    def place(self, row: int) -> tuple[str, int]:
        """Return the file of a row, and its number there."""
        index = bisect_right(self.offsets, row - 1) - 1
        return self.parts[index].file.name, row - self.offsets[index]


def read_parts(
    file: TableFile,
    *,
    labelled: bool,
    scratch: Scratch | None = None,
    plan: MemoryPlan | None = None,
    probe: ParquetProbe | None = None,
) -> TableIntake:
    """Read a table of a drop, of one file or of many. Arguments and errors are those of `read_table`.

    Each of many files is recognised by itself; one without rows is no mistake as long as others have some.
    """
    is_one_of_many = bool(file.parts)
    return take_parts(
        file,
        lambda part: read_table(
            part, labelled=labelled, scratch=scratch, plan=plan, probe=probe, may_be_empty=is_one_of_many
        ),
    )


def take_parts(file: TableFile, take: Callable[[TableFile], TableIntake]) -> TableIntake:
    """Return what became of a table, of one file or of many.

    Args:
        file: the table's.
        take: gives what became of a file; of many, one may be empty.

    Raises:
        DropError: of `take`, for all files together; or none has a row.
    """
    if not file.parts:
        return take(file)
    parts: list[TableIntake] = []
    problems: list[str | Problem] = []
    for part in file.parts:
        try:
            parts.append(take(part))
        except DropError as error:
            problems.extend(error.defects)
    if problems:
        raise DropError(problems)
    if not any(part.rows_in for part in parts):
        raise DropError([Problem(file.name, "rows below the headings", "headings only")])
    return chain_parts(file, parts)


def chain_parts(file: TableFile, parts: Sequence[TableIntake]) -> PartedIntake:
    """Return what became of a table's files as of one.

    A label that nobody asked for is left out unless all files have it.
    """
    names = [part.file.name for part in parts]
    lines = [part.rows_in + part.blank_lines + 1 for part in parts]
    offsets = tuple(accumulate(lines[:-1], initial=0))
    broken: dict[tuple[str | None, str], Broken] = {}
    unknown_words: dict[str, int] = {}
    for part, offset in zip(parts, offsets, strict=True):
        add_broken(
            broken, {rule: told._replace(first_row=told.first_row + offset) for rule, told in part.broken.items()}
        )
        for heading, rows in part.unknown_words.items():
            unknown_words[heading] = unknown_words.get(heading, 0) + rows
    open_ends = [
        part.open_end + offset for part, offset in zip(parts, offsets, strict=True) if part.open_end is not None
    ]
    return PartedIntake(
        file=file,
        labelled=parts[0].labelled,
        facts={},
        rows_in=sum(part.rows_in for part in parts),
        blank_lines=sum(part.blank_lines for part in parts),
        accepted_rows=SpoolChain(_alike([part.accepted_rows for part in parts]), offsets, names),
        rejected_rows=SpoolChain([part.rejected_rows for part in parts], offsets, names),
        refuted_rows=SpoolChain([part.refuted_rows for part in parts], offsets, names),
        unread=sum(part.unread for part in parts),
        rejected_count=sum(part.rejected_count for part in parts),
        broken=broken,
        repairs=pl.concat([part.repairs for part in parts]),
        unknown_words=unknown_words,
        open_end=open_ends[-1] if open_ends else None,
        parts=tuple(parts),
        offsets=offsets,
    )


class _Selected(Spool):
    """The rows of a spool with some of its columns."""

    def __init__(self, spool: Spool, columns: Sequence[str]) -> None:
        self._spool = spool
        self.schema = pl.Schema({name: spool.schema[name] for name in columns})

    @property
    def key(self) -> str:
        return self._spool.key

    @property
    def height(self) -> int:
        return self._spool.height

    def read(self, low: Bound = None, high: Bound = None) -> pl.DataFrame:
        return self._spool.read(low, high).select(self.schema.names())

    def keys(self) -> pl.Series:
        return self._spool.keys()

    def clear(self) -> None:
        self._spool.clear()


def _alike(spools: Sequence[Spool]) -> list[Spool]:
    """Return the spools with the columns that all of them have."""
    shared = [name for name in spools[0].schema if all(name in spool.schema for spool in spools)]
    return [spool if spool.schema.names() == shared else _Selected(spool, shared) for spool in spools]
