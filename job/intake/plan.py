"""How a file of a drop is written, and the pieces in which it is read.

What came before a row matters to it in three ways only: its number, how numbers are written in the file, and how the
file is written at all. The file's beginning tells the last two; rows are numbered within their piece until all pieces
were read. So pieces can be read wherever and in whatever order. Only where records have line breaks may a cut be within
one: whoever finds such a record reads the file again, as one piece.
"""

from __future__ import annotations

from itertools import chain, islice, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from job.errors import DropError
from job.intake.careful import number_lines, split_fields
from job.intake.characters import with_plain_minus, without_invisible
from job.intake.dialect import Dialect, match_headings, recognise_dialect, repaired_headings
from job.intake.drop import TableFile, hash_file
from job.intake.lines import BLOCK_BYTES, LINE_LIMIT, LineBlocks, byte_blocks, whole_lines
from job.intake.numbers import NumberStyle, recognise_style
from job.intake.parquet import ParquetTable, open_parquet
from schemas.columns import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from job.intake.parquet import ParquetProbe
    from job.memory import MemoryPlan
    from schemas.columns import Column

SAMPLE_BYTES: Final = 2 * LINE_LIMIT  # of a text file, from which is learned how it is written
_ONE_BYTE_LINE_ENDS: Final = ("utf-8", "utf-8-sig", "cp1251")  # a byte LF or CR is a line end, whatever is around it


class Piece(NamedTuple):
    """Some rows of a file that follow each other."""

    first: int  # the offset of its first byte; in a Parquet file, of its first row
    stop: int | None  # the offset behind its last; None: to the end of the file


class FilePlan(NamedTuple):
    """How a file is written."""

    file: TableFile
    labelled: bool  # whether the label is one of the columns that must be there
    columns: tuple[str, ...]  # their ASCII names, in the file's order
    texts: frozenset[str]  # those in which numbers, if any, are written in the file's style; in others with a point
    heading_repairs: tuple[tuple[str, str], ...]  # of `repaired_headings`
    dialect: Dialect | None  # of a text file
    parquet: ParquetTable | None
    style: NumberStyle
    sha256: str  # of the file as it lies on disk
    pieces: tuple[Piece, ...]  # in order, at least one

    @property
    def text(self) -> Dialect:
        """How a text file is written."""
        assert self.dialect is not None  # noqa: S101 - it is none
        return self.dialect

    @property
    def headings(self) -> tuple[Column, ...]:
        """The columns whose values are judged, in the table's order."""
        return self.file.table.expected(labelled=self.labelled)

    @property
    def label(self) -> Column | None:
        """The label's column, if it is there though nobody asked for it: rows are accepted whatever it says."""
        table = self.file.table
        is_extra = table.label is not None and not self.labelled and table.label in self.columns
        return table.heading(table.label) if is_extra and table.label else None


def plan_file(file: TableFile, *, labelled: bool, memory: MemoryPlan, probe: ParquetProbe | None = None) -> FilePlan:
    """Recognise how a file is written, and cut it into pieces; a packed one, and one in UTF-16, is one piece.

    Raises DropError: the file as a whole cannot be understood; DropIncompleteError: it changed while it was read.
    """
    try:
        if file.file_format == "parquet":
            plan = _plan_parquet(file, memory, probe, labelled=labelled)
        else:
            plan = _plan_text(file, memory, labelled=labelled)
    except DropError:
        file.check_unchanged()  # if somebody still writes it, that is what is wrong
        raise
    file.check_unchanged()
    return plan


def _plan_parquet(file: TableFile, memory: MemoryPlan, probe: ParquetProbe | None, *, labelled: bool) -> FilePlan:
    digest = hash_file(file)
    parquet = open_parquet(file, probe)
    columns = match_headings(file.name, parquet.headings, file.table, labelled=labelled)
    repairs = repaired_headings(parquet.headings, columns, file.table)
    named = dict(zip(columns, parquet.headings, strict=True))
    texts = frozenset(name for name, heading in named.items() if heading in parquet.texts)
    height, step = max(1, parquet.height), memory.piece_rows
    pieces = tuple(Piece(first, min(first + step, height)) for first in range(0, height, step))
    plan = FilePlan(file, labelled, columns, texts, repairs, None, parquet, NumberStyle(), digest, pieces)
    names = [heading.name for heading in plan.headings if heading.words is None and heading.name in texts]
    if not names:
        return plan
    numbers = [pl.col(named[name]).cast(pl.String) for name in names]
    batches = (batch.select(numbers) for batch in parquet.batches(memory.batch_rows))
    return plan._replace(style=_learn_style(file.name, batches, may_group=""))


def _plan_text(file: TableFile, memory: MemoryPlan, *, labelled: bool) -> FilePlan:
    blocks = whole_lines(byte_blocks(file), BLOCK_BYTES, first_bytes=SAMPLE_BYTES)
    sample = next(blocks, b"")
    dialect = recognise_dialect(file.name, sample[:SAMPLE_BYTES], file.table, labelled=labelled)
    columns, repairs, whole = dialect.columns, dialect.heading_repairs, (Piece(0, None),)
    plan = FilePlan(file, labelled, columns, frozenset(columns), repairs, dialect, None, NumberStyle(), "", whole)
    style = _learn_from_blocks(plan, chain([sample], blocks))
    plan = plan._replace(style=style, sha256=hash_file(file))
    if file.compression is not None or dialect.encoding not in _ONE_BYTE_LINE_ENDS:
        return plan
    return plan._replace(pieces=_cut_text(file, memory.piece_bytes))


def text_lines(plan: FilePlan, *, is_begun: bool = False) -> LineBlocks:
    """Return what turns the bytes of a text file into records.

    Args: is_begun: they do not begin with the file's: a byte order mark is one only there.
    """
    dialect = plan.text
    encoding = "utf-8" if is_begun and dialect.encoding == "utf-8-sig" else dialect.encoding
    return LineBlocks(plan.file.name, encoding=encoding, mojibake=dialect.mojibake, fits=dialect.is_record)


def _cut_text(file: TableFile, piece_bytes: int) -> tuple[Piece, ...]:
    """Cut a text file behind line feeds, into pieces of at least so many bytes."""
    size, cuts = file.stamp.size, [0]
    with file.open() as stream:
        while cuts[-1] + piece_bytes < size:
            stream.seek(cuts[-1] + piece_bytes - 1)
            while (line := stream.readline(BLOCK_BYTES)) and not line.endswith(b"\n"):
                pass
            cuts.append(stream.tell())
    if cuts[-1] < size:
        cuts.append(size)
    return tuple(Piece(*ends) for ends in pairwise(cuts))


def _learn_from_blocks(plan: FilePlan, blocks: Iterable[bytes]) -> NumberStyle:
    """Return how the numbers of a text file are written; blocks are taken until one has shown the decimal mark."""
    names = [heading.name for heading in plan.headings if heading.words is None]
    if all(plan.file.table.heading(name).kind is not Kind.NUMBER for name in names):
        blocks = islice(blocks, 1)  # only 5.0 for 5 shows a mark, then in every row
    lines = text_lines(plan)

    def fields_of(texts: list[str]) -> pl.DataFrame:
        body = number_lines(texts, last=lines.row).filter(pl.col("row") > plan.text.heading_row)
        return split_fields(body, plan)[0].select(names)

    may_group = "," if plan.text.separator == "," else ",."
    return _learn_style(plan.file.name, map(fields_of, lines.read(blocks)), may_group=may_group)


def _learn_style(name: str, batches: Iterable[pl.DataFrame], *, may_group: str) -> NumberStyle:
    """Return how numbers are written in batches of text, of which no more are taken than needed.

    Machines separate by commas, and do not group: then only a comma may stand between thousands.
    """
    style = NumberStyle()
    for batch in batches:
        if batch.height:
            columns = batch.select(with_plain_minus(without_invisible(pl.all()))).get_columns()
            shown = recognise_style(name, columns, may_group=may_group)
            style = NumberStyle(shown.decimal_mark, style.thousands_spaces or shown.thousands_spaces)
        if style.decimal_mark is not None:
            break
    return style
