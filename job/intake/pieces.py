"""A file of a drop in pieces that may be read apart, and what was read of them put together again.

What came before a row matters to it in three ways only: its number, how numbers are written in the file, and how the
file is written at all. One pass over the file (which hashes it anyway) finds the first, its beginning tells the others,
and a piece is told all three. So the pieces give just what `read_table` gives, wherever and in whatever order they are
read.
"""

from __future__ import annotations

from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from job.errors import DropError
from job.intake.dialect import Dialect, match_headings, recognise_dialect
from job.intake.drop import TableFile, hash_file
from job.intake.lines import BLOCK_BYTES, ByteBlocks, LineBlocks, name_line_ends, whole_lines
from job.intake.numbers import NumberStyle
from job.intake.parquet import ParquetTable, open_parquet
from job.intake.table import FIRST_BYTES, Broken, Rows, TableIntake, add_broken, split_block, take_sample
from job.memory import MemoryPlan
from job.prefetch import prefetched
from job.spool import Scratch
from schemas.vocabulary import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from job.spool import Spool

PIECE_BYTES: Final = 32 << 20  # of a text file
_ONE_BYTE_LINE_ENDS: Final = ("utf-8", "utf-8-sig", "cp1251")  # a byte LF or CR is a line end, whatever is around it


class Piece(NamedTuple):
    """Some rows of a file that follow each other.

    Args:
        first: the offset of its first byte; in a Parquet file, of its first row.
        stop: the offset behind its last. None: to the end of the file, and all of its pieces are this one.
        lines: lines before it.
        style: how the numbers before it were written.
    """

    first: int
    stop: int | None
    lines: int
    style: NumberStyle


class Survey(NamedTuple):
    """A file and its pieces.

    Args:
        file: the file.
        labelled: whether the label is one of the columns that must be there.
        columns: their ASCII names, in the file's order.
        dialect: how a text file is written; None for Parquet.
        parquet: the Parquet file; None for text.
        sha256: of the file; None if whoever reads its only piece has to find it.
        pieces: of the file, in order; at least one.
    """

    file: TableFile
    labelled: bool
    columns: tuple[str, ...]
    dialect: Dialect | None
    parquet: ParquetTable | None
    sha256: str | None
    pieces: tuple[Piece, ...]


class PieceCounts(NamedTuple):
    """What became of the rows of a piece, but the rows: additive over the pieces of a file.

    Args:
        rows: data rows.
        lines: lines, with those before the piece.
        blank_lines: lines with nothing in them.
        quoted: whether a field was.
        style: how numbers are written, as far as was seen by the end of the piece.
        line_end: the line ends seen; see `LineBlocks`.
        ends_with_line_end: whether its last line does.
        unread: rejected rows whose `id` could not be read.
        rejected: rejected rows.
        last_accepted: number of the last accepted row, 0 without one.
        last_rejected: number of the last rejected one.
        broken: (heading or None, rule) -> how often it was broken.
        repairs: (heading, from, to) -> rows.
        unknown_words: heading -> rows.
        sha256: of the file, where the survey does not say it.
    """

    rows: int
    lines: int
    blank_lines: int
    quoted: bool
    style: NumberStyle
    line_end: str | None
    ends_with_line_end: bool
    unread: int
    rejected: int
    last_accepted: int
    last_rejected: int
    broken: dict[tuple[str | None, str], Broken]
    repairs: dict[tuple[str, str, str], int]
    unknown_words: dict[str, int]
    sha256: str | None


class PieceRead(NamedTuple):
    """What was read of a piece.

    Args:
        counts: without the rows.
        accepted: as `TableIntake.accepted_rows`, of the piece.
        refuted: as `TableIntake.refuted_rows`.
        rejected: as `TableIntake.rejected_rows`.
    """

    counts: PieceCounts
    accepted: Spool
    refuted: Spool
    rejected: pl.DataFrame


def survey_file(
    file: TableFile,
    *,
    labelled: bool,
    plan: MemoryPlan | None = None,
    piece_bytes: int = PIECE_BYTES,
    first_bytes: int = FIRST_BYTES,
) -> Survey:
    """Recognise how a file is written, and cut it into pieces.

    Args:
        file: the file.
        labelled: whether the label column must be there.
        plan: how much `read_piece` will hold at a time.
        piece_bytes: about how large the pieces of a text file are. A packed one, and one in UTF-16, is one piece.
        first_bytes: of a text file, from which is learned how its numbers are written.

    Raises:
        DropError: the file as a whole cannot be understood.
        DropIncompleteError: the file changed while it was read.
    """
    try:
        if file.file_format == "parquet":
            survey = _survey_parquet(file, labelled, plan or MemoryPlan())
        else:
            survey = _survey_text(file, labelled, plan or MemoryPlan(), piece_bytes, first_bytes)
    except DropError:
        file.check_unchanged()  # if somebody still writes it, that is what is wrong
        raise
    file.check_unchanged()
    return survey


def _survey_parquet(file: TableFile, labelled: bool, plan: MemoryPlan) -> Survey:  # noqa: FBT001 - as in its twin
    digest = hash_file(file)
    parquet = open_parquet(file)
    columns = match_headings(file.name, parquet.headings, file.table, labelled=labelled)
    style = NumberStyle()
    height = max(1, parquet.height)
    # Numbers may be texts: then what was read before tells how they are written.
    step = height if parquet.texts & {h.delivered for h in _numbers(file)} else plan.batch_rows
    pieces = tuple(Piece(first, min(first + step, height), first, style) for first in range(0, height, step))
    return Survey(file, labelled, columns, None, parquet, digest, pieces)


def _survey_text(
    file: TableFile,
    labelled: bool,  # noqa: FBT001 - as in its twin
    plan: MemoryPlan,
    piece_bytes: int,
    first_bytes: int,
) -> Survey:
    raw = ByteBlocks(file)
    with closing(prefetched(iter(raw))) as blocks:
        sample, held = take_sample(blocks)
        dialect = recognise_dialect(file.name, sample, file.table, labelled=labelled)
        if file.compression is not None or dialect.encoding not in _ONE_BYTE_LINE_ENDS:
            return Survey(file, labelled, dialect.columns, dialect, None, None, (Piece(0, None, 0, NumberStyle()),))
        whole = whole_lines(chain(held, blocks), first_bytes=first_bytes, block_bytes=plan.block_bytes)
        pieces = tuple(_cut(whole, file, labelled, dialect, piece_bytes))
    return Survey(file, labelled, dialect.columns, dialect, None, raw.sha256, pieces)


def _cut(
    blocks: Iterator[bytes],
    file: TableFile,
    labelled: bool,  # noqa: FBT001 - as in its twin
    dialect: Dialect,
    piece_bytes: int,
) -> Iterator[Piece]:
    """Yield pieces of whole lines. As long as no number has shown the decimal mark, each block is one."""
    lines = LineBlocks(file.name, (), encoding=dialect.encoding, mojibake=dialect.mojibake)
    has_numbers = bool(_numbers(file))
    piece = Piece(0, 0, 0, NumberStyle())
    style = piece.style
    stop = count = 0
    last = b""
    for block in blocks:
        if has_numbers and style.decimal_mark is None:
            learning = Rows(file, labelled, dialect.columns, Scratch())
            learning.style = style
            learning.take_block(split_block(block, dialect), lines, dialect)
            style = learning.style
            is_whole = True
        else:
            is_whole = stop + len(block) - piece.first >= piece_bytes
        stop += len(block)
        count += _line_ends(block) - (last == b"\r" and block.startswith(b"\n"))
        last = block[-1:]
        if is_whole and last == b"\n":
            yield piece._replace(stop=stop)
            piece = Piece(stop, stop, count, style)
    if stop > piece.first:
        yield piece._replace(stop=stop)


def _line_ends(block: bytes) -> int:
    returns = block.count(b"\r")
    return block.count(b"\n") + (returns - block.count(b"\r\n") if returns else 0)


def _numbers(file: TableFile) -> list[Any]:
    return [heading for heading in file.table.headings if heading.kind is Kind.NUMBER]


def read_piece(survey: Survey, piece: Piece, *, plan: MemoryPlan | None = None) -> PieceRead:
    """Read a piece of a file as `read_table` reads all of it, in memory.

    Args:
        survey: of the file, of `survey_file`.
        piece: one of its pieces.
        plan: the one of the survey.

    Raises:
        DropError: something is in it that makes the whole file unreadable.
        DropIncompleteError: the file changed.
    """
    plan = plan or MemoryPlan()
    rows = Rows(survey.file, survey.labelled, survey.columns, Scratch())
    rows.style = piece.style
    try:
        read = (_read_rows if survey.dialect is None else _read_lines)(survey, piece, rows, plan)
    except DropError:
        survey.file.check_unchanged()
        raise
    survey.file.check_unchanged()
    return read


def _read_lines(survey: Survey, piece: Piece, rows: Rows, plan: MemoryPlan) -> PieceRead:
    file, dialect = survey.file, survey.dialect
    assert dialect is not None  # noqa: S101 - of a text file
    # A byte order mark is one only at the beginning.
    encoding = "utf-8" if piece.first and dialect.encoding == "utf-8-sig" else dialect.encoding
    lines = LineBlocks(file.name, (), encoding=encoding, mojibake=dialect.mojibake)
    lines.row = piece.lines
    raw = ByteBlocks(file) if piece.stop is None else _bytes_of(file, piece.first, piece.stop)
    first_bytes = plan.block_bytes if piece.first else FIRST_BYTES
    with closing(prefetched(iter(raw))) as blocks:
        for block in whole_lines(blocks, first_bytes=first_bytes, block_bytes=plan.block_bytes):
            rows.take_block(split_block(block, dialect), lines, dialect)
    rows.take_lines(lines.finish(), lines.row, dialect)
    rows.finish()
    return _told(rows, lines, raw.sha256 if isinstance(raw, ByteBlocks) else None)


def _bytes_of(file: TableFile, first: int, stop: int) -> Iterator[bytes]:
    with file.open() as stream:
        stream.seek(first)
        while first < stop and (block := stream.read(min(BLOCK_BYTES, stop - first))):
            first += len(block)
            yield block


def _read_rows(survey: Survey, piece: Piece, rows: Rows, plan: MemoryPlan) -> PieceRead:
    parquet = survey.parquet
    assert parquet is not None  # noqa: S101 - it is no text file
    for count, batch in enumerate(parquet.batches(plan.batch_rows, piece.first, piece.stop)):
        rows.take_batch(batch, parquet, survey.columns, first=piece.first + count * plan.batch_rows + 1)
    rows.finish()
    return _told(rows, None, None)


def _told(rows: Rows, lines: LineBlocks | None, sha256: str | None) -> PieceRead:
    counts = PieceCounts(
        rows=rows.count,
        lines=0 if lines is None else lines.row,
        blank_lines=rows.blank_lines,
        quoted=rows.quoted,
        style=rows.style,
        line_end=None if lines is None else lines.line_end,
        ends_with_line_end=lines is None or lines.ends_with_line_end,
        unread=rows.unread,
        rejected=rows.rejected_count,
        last_accepted=rows.last_accepted,
        last_rejected=rows.last_rejected,
        broken=rows.broken,
        repairs=rows.repairs,
        unknown_words=rows.unknown_words,
        sha256=sha256,
    )
    return PieceRead(counts, rows.accepted, rows.refuted, rows.rejected.read())


def join_pieces(
    survey: Survey, read: Sequence[PieceCounts], scratch: Scratch | None = None, *, may_be_empty: bool = False
) -> TableIntake:
    """Return what `read_table` returns, but without rows: whoever keeps them adds the rejected ones.

    Args:
        survey: of the file.
        read: what became of its pieces, in their order.
        scratch: where the rejected rows will wait; None is in memory.
        may_be_empty: it is one of many, and need not have a row.

    Raises:
        DropError: the file has no rows, or was cut.
        DropIncompleteError: it changed.
    """
    file = survey.file
    rows = Rows(file, survey.labelled, survey.columns, scratch or Scratch())
    for part in read:
        rows.count += part.rows
        rows.blank_lines += part.blank_lines
        rows.quoted = rows.quoted or part.quoted
        rows.unread += part.unread
        rows.rejected_count += part.rejected
        rows.last_accepted = max(rows.last_accepted, part.last_accepted)
        rows.last_rejected = max(rows.last_rejected, part.last_rejected)
        add_broken(rows.broken, part.broken)
        for key, count in part.repairs.items():
            rows.repairs[key] = rows.repairs.get(key, 0) + count
        for heading, count in part.unknown_words.items():
            rows.unknown_words[heading] = rows.unknown_words.get(heading, 0) + count
    last = read[-1]
    rows.style = last.style
    file.check_unchanged()
    if not last.ends_with_line_end:
        rows.judge_last_line(last.lines)
    if not may_be_empty:
        rows.check_some()
    sha256, dialect = survey.sha256 or last.sha256, survey.dialect
    if dialect is None:
        return rows.result(rows.describe_parquet(sha256))
    ends = (end for part in read if part.line_end for end in part.line_end.split(" + "))
    return rows.result(rows.describe_text(sha256, dialect, name_line_ends(ends)))
