"""A piece of a file becomes accepted and rejected rows, each judged by itself: the same wherever the file was cut."""

from __future__ import annotations

from contextlib import closing
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from job.errors import DropError
from job.intake.careful import (
    Judged,
    Spellings,
    accepted_schema,
    judge_fields,
    judge_lines,
    key_schema,
    number_lines,
)
from job.intake.counts import RowCounts, add_counts
from job.intake.lines import LINE_ENDS, breaks_records, byte_blocks, whole_lines
from job.intake.plain import LINE_END, judge_typed, parse_batch, parse_block
from job.intake.plan import text_lines
from job.intake.validate import REJECTED_SCHEMA, load_pandera
from job.levels import LevelCounts
from job.prefetch import prefetched
from job.spill import SortedRuns, SpillSpace

if TYPE_CHECKING:
    from job.intake.lines import LineBlocks
    from job.intake.plan import FilePlan, Piece
    from job.memory import MemoryPlan

CAREFUL_BYTES: Final = 1 << 16  # at most, of a block whose lines are all read carefully as one of them is not plain
PARTS: Final = 16  # into which a larger block is cut to find that line
HELD_BYTES: Final = 2 << 20  # of them: lines may be long
HELD_ROWS: Final = 10_000  # doubtful rows that are judged together: few of them cost as much as these
REPAIRS_SCHEMA: Final = pl.Schema(
    {"file": pl.String, "column": pl.String, "from": pl.String, "to": pl.String, "rows": pl.Int64}
)


class FileRead(NamedTuple):
    """A file whose rows were judged by themselves, or a piece of one."""

    plan: FilePlan  # without pieces
    counts: RowCounts  # of its rows, which are numbered from 1
    accepted: SortedRuns  # `accepted_schema`, by `id`
    keys: SortedRuns  # of rejected rows whose id could be read, `key_schema`, by `id`
    rejected: SortedRuns  # one row per row and broken rule (`REJECTED_SCHEMA`), by `row`
    levels: LevelCounts  # how often each revenue occurs in its accepted rows; nothing of other tables
    breaks_records: bool  # a line of it has a quote that only another line closes: it may end within a record

    def joined(self, piece: FileRead) -> FileRead:
        """Take over the rows of the piece behind this one, and return both together."""
        lines = self.counts.lines
        for runs, more in ((self.accepted, piece.accepted), (self.keys, piece.keys), (self.rejected, piece.rejected)):
            runs.extend(more, shift=lines)
        return self._replace(counts=self.counts + piece.counts.shifted(lines), levels=self.levels + piece.levels)

    @property
    def repairs(self) -> pl.DataFrame:
        """One row per repaired spelling (`REPAIRS_SCHEMA`)."""
        headings = {(right, delivered, right): 1 for delivered, right in self.plan.heading_repairs}
        repairs = add_counts(self.counts.repairs, headings)
        rows = [(self.plan.file.name, *spelling, count) for spelling, count in sorted(repairs.items())]
        return pl.DataFrame(rows, schema=REPAIRS_SCHEMA, orient="row")

    def describe(self) -> dict[str, object]:
        """Return what the manifest says of the file: name, SHA-256, bytes, how it is written, rows."""
        plan, counts = self.plan, self.counts
        described: dict[str, object] = {
            "table": plan.file.table.name,
            "file": plan.file.name,
            "bytes": plan.file.stamp.size,
            "sha256": plan.sha256,
            "format": plan.file.file_format,
        }
        if plan.dialect is not None:
            described |= {
                "compression": plan.file.compression,
                "encoding": plan.dialect.encoding,
                "mojibake_undone": plan.dialect.mojibake,
                "spaces_restored": counts.spaces_restored,
                "separator": plan.dialect.separator,
                "line_end": " + ".join(name for name in LINE_ENDS.values() if name in counts.line_ends) or None,
                "quoted": counts.quoted,
            }
        return {**described, **plan.style._asdict(), "rows": counts.rows, "blank_lines": counts.blank_lines}


def read_piece(task: tuple[FilePlan, Piece], *, space: SpillSpace, memory: MemoryPlan) -> FileRead:
    """Read a piece of a file, whose rows then wait in the spill space. Args: task: the plan without pieces, and one.

    Raises DropError: something is in it that makes the whole file unreadable; DropIncompleteError: the file changed;
    OutputError: the spill space cannot be written.
    """
    plan, piece = task
    reader = _Reader(plan, space)
    try:
        (reader.read_lines if plan.parquet is None else reader.read_rows)(piece, memory)
    except DropError:
        plan.file.check_unchanged()  # if somebody still writes it, that is what is wrong
        raise
    plan.file.check_unchanged()
    rows = (reader.accepted.ended(), reader.keys.ended(), reader.rejected.ended())
    return FileRead(plan, reader.counts, *rows, reader.levels, reader.breaks_records)


class _Reader:
    """Takes the rows of a piece, block by block."""

    def __init__(self, plan: FilePlan, space: SpillSpace) -> None:
        self._plan = plan
        self._spellings: Spellings = {}
        self._headings = 0
        self._held: list[pl.DataFrame] = []
        self.counts = RowCounts()
        self.levels = LevelCounts()
        self.breaks_records = False
        self.accepted = SortedRuns(space, accepted_schema(plan), "id")
        self.keys = SortedRuns(space, key_schema(plan.file.table), "id")
        self.rejected = SortedRuns(space, REJECTED_SCHEMA, "row")

    def read_lines(self, piece: Piece, memory: MemoryPlan) -> None:
        """Take the lines of a piece of a text file."""
        self._headings = 0 if piece.first else self._plan.text.heading_row
        lines = text_lines(self._plan, is_begun=piece.first > 0)
        raw = whole_lines(byte_blocks(self._plan.file, *piece), memory.block_bytes)
        with closing(prefetched(raw)) as blocks:
            for block in blocks:
                if self._held:  # some row is doubtful, and it is not the last block
                    load_pandera()
                self._take_block(block, lines)
        self._held.append(self._numbered(lines.finish(), lines))
        last = self._judge_held()
        end = 0 if lines.ends_with_line_end else lines.row
        rejects_end = end in last.rejected["row"]
        self.counts += RowCounts(
            lines=lines.row,
            open_end=end if rejects_end or end in last.accepted["row"] else 0,
            rejects_end=rejects_end,
            line_ends=lines.line_ends,
            line_breaks=lines.line_breaks,
            spaces_restored=lines.spaces_restored,
        )

    def read_rows(self, piece: Piece, memory: MemoryPlan) -> None:
        """Take the rows of a piece of a Parquet file."""
        parquet = self._plan.parquet
        assert parquet is not None  # noqa: S101 - it is no text file
        names = dict(zip(parquet.headings, self._plan.columns, strict=True))
        row = 1
        for batch in parquet.batches(memory.batch_rows, piece.first, piece.stop):
            raw = batch.rename(names)
            plain, doubtful = judge_typed(parse_batch(raw, self._plan), row, self._plan, self._spellings)
            self._take(plain)
            numbers = (doubtful.cast(pl.Int64) + row).alias("row")
            texts = raw[doubtful].select(numbers, pl.all().cast(pl.String))
            self._take(judge_fields(texts, self._plan, self._spellings))
            row += batch.height
        self.counts += RowCounts(lines=row - 1)

    def _take_block(self, block: bytes, lines: LineBlocks) -> None:
        has_breaks = breaks_records(block)
        self.breaks_records |= has_breaks
        while lines.row < self._headings and (end := block.find(LINE_END) + 1) and end < len(block):
            self._hold(self._numbered(lines.feed(block[:end]), lines))
            block = block[end:]
        may_be_plain = lines.row >= self._headings and lines.is_between_lines and self._plan.text.is_utf_8
        parsed = parse_block(block, self._plan) if may_be_plain and not has_breaks else None
        if parsed is not None:
            first = lines.row + 1
            lines.skip(parsed.typed.height, parsed.lines.end)
            plain, doubtful = judge_typed(parsed.typed, first, self._plan, self._spellings, odd=parsed.odd)
            self._take(plain)
            texts = pl.Series("line", parsed.lines.texts(doubtful), dtype=pl.String)
            self._hold(pl.DataFrame([doubtful.cast(pl.Int64).alias("row") + first, texts]))
        elif may_be_plain and len(block) > CAREFUL_BYTES:  # something in it is not: look where
            for part in whole_lines([block], len(block) // PARTS):
                self._take_block(part, lines)
        else:
            self._hold(self._numbered(lines.feed(block), lines))

    def _numbered(self, texts: list[str], lines: LineBlocks) -> pl.DataFrame:
        return number_lines(texts, last=lines.row).filter(pl.col("row") > self._headings)

    def _hold(self, numbered: pl.DataFrame) -> None:
        """Keep lines that must be judged carefully until there are enough of them."""
        if numbered.is_empty():
            return
        self._held.append(numbered)
        size = sum(rows.estimated_size() for rows in self._held)
        if sum(rows.height for rows in self._held) >= HELD_ROWS or size >= HELD_BYTES:
            self._judge_held()

    def _judge_held(self) -> Judged:
        judged = judge_lines(pl.concat(self._held), self._plan, self._spellings)
        self._held.clear()
        self._take(judged)
        return judged

    def _take(self, judged: Judged) -> None:
        self.accepted.append(judged.accepted)
        if "revenue" in judged.accepted.columns and judged.accepted.height:
            self.levels += LevelCounts.of(judged.accepted)
        self.keys.append(judged.keys)
        self.rejected.append(judged.rejected)
        self.counts += judged.counts


def line_of_record(plan: FilePlan, row: int) -> int | None:
    """Return the number of the line with which a record of a text file begins; None if it is that of the record.

    The file is read again: where records have line breaks, only this tells. Raises as `read_piece`.
    """
    if plan.dialect is None:
        return None
    records = chain.from_iterable(text_lines(plan).read(byte_blocks(plan.file)))
    line = 1 + sum(record.count("\n") + 1 for record in islice(records, row - 1))
    return line if line != row else None
