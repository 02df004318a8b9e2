"""One file of a drop becomes one accepted table and its rejected rows."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from job.errors import DropError, Problem
from job.intake.dialect import SAMPLE_BYTES, match_headings, recognise_dialect, split_line
from job.intake.drop import TableFile, hash_file
from job.intake.lines import ByteBlocks, LineBlocks, whole_lines
from job.intake.numbers import SPACES, NumberStyle, parse_number, recognise_style
from job.intake.parquet import open_parquet
from job.intake.plain import judge_plain, split_plain
from job.intake.repair import name_words, repair_words
from job.intake.validate import REJECTED_SCHEMA, broken_rules
from job.memory import MemoryPlan
from job.prefetch import mapped, prefetched
from job.spool import Scratch, Spool, compacted
from schemas.raw import accepted_dtype, dtype_of
from schemas.vocabulary import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from job.intake.dialect import Dialect
    from job.intake.parquet import ParquetProbe, ParquetTable
    from schemas.vocabulary import Heading, Words

REPAIRS_SCHEMA: Final = pl.Schema(
    {"file": pl.String, "column": pl.String, "from": pl.String, "to": pl.String, "rows": pl.Int64}
)
FIRST_BYTES: Final = 1 << 17  # of a text file: enough to learn from how its numbers are written
PIECE_BYTES: Final = 1 << 16  # lines among which one is not plain are all read carefully in blocks no larger than this
PIECES: Final = 16
HELD_ROWS: Final = 10_000  # doubtful rows that are judged together: few of them cost as much as these
_UNREADABLE: Final = "\N{REPLACEMENT CHARACTER}"
_PLAIN_OR_QUOTED: Final = r'^(?:"([^"]*)"|([^"]*))$'


class Broken(NamedTuple):
    """How often a rule was broken: in how many rows, first in which, by what value."""

    rows: int
    first_row: int
    value: str | None


@dataclass(frozen=True)
class TableIntake:
    """What became of one file.

    Args:
        file: the file that was read.
        labelled: whether the label is one of the columns that must be there.
        facts: what the manifest says of it: name, SHA-256, bytes, how it is written.
        rows_in: data rows in the file, blank lines not counted.
        blank_lines: lines with nothing in them.
        accepted_rows: `row` (number in the file), `repaired` (a word of it was), then the table's columns, in ASCII; by
            `id`. A label that is there though nobody asked for it is among them, null where it cannot be read.
        rejected_rows: one row per row and broken rule, by `row`.
        refuted_rows: `row` and the key columns of each rejected row whose `id` could be read; by `id`.
        unread: rejected rows whose `id` could not be read.
        rejected_count: rows that were rejected.
        broken: (heading or None, rule) -> how often it was broken.
        repairs: one row per repaired spelling.
        unknown_words: per heading, the rows whose word is not in the vocabulary and that are scored all the same.
        open_end: the last row, if its line has no line end and it was accepted: the file may have been cut there.
    """

    file: TableFile
    labelled: bool
    facts: dict[str, object]
    rows_in: int
    blank_lines: int
    accepted_rows: Spool
    rejected_rows: Spool
    refuted_rows: Spool
    unread: int
    rejected_count: int
    broken: dict[tuple[str | None, str], Broken]
    repairs: pl.DataFrame
    unknown_words: dict[str, int]
    open_end: int | None

    @property
    def accepted(self) -> pl.DataFrame:
        """All accepted rows, in the file's order."""
        return self.accepted_rows.read().sort("row")

    @property
    def rejected(self) -> pl.DataFrame:
        """All rejections, in the file's order."""
        return self.rejected_rows.read()

    @property
    def files(self) -> tuple[TableIntake, ...]:
        """What became of each of the table's files."""
        return (self,)

    def place(self, row: int) -> tuple[str, int]:
        """Return the file of a row, and its number there."""
        return self.file.name, row


def read_table(
    file: TableFile,
    *,
    labelled: bool,
    scratch: Scratch | None = None,
    plan: MemoryPlan | None = None,
    probe: ParquetProbe | None = None,
    may_be_empty: bool = False,
) -> TableIntake:
    """Read one file of a drop: recognise how it is written, repair words, parse numbers, check each row by itself.

    Args:
        file: the file.
        labelled: whether the label column must be there; otherwise rows are accepted whatever it says.
        scratch: where the rows wait; None is in memory.
        plan: how much is read at a time.
        probe: decodes Parquet files first; None starts one for this file alone.
        may_be_empty: it is one of many, and need not have a row.

    Raises:
        DropError: the file as a whole cannot be understood.
        DropIncompleteError: the file changed while it was read.
        OutputError: the scratch folder cannot be written.
    """
    scratch, plan = scratch or Scratch(), plan or MemoryPlan()
    try:
        if file.file_format == "parquet":
            rows, facts = _read_parquet(file, labelled, scratch, plan, probe)
        else:
            rows, facts = _read_csv(file, labelled, scratch, plan)
    except DropError:
        file.check_unchanged()  # if somebody still writes it, that is what is wrong
        raise
    file.check_unchanged()
    if not may_be_empty:
        rows.check_some()
    return rows.result(facts)


def _read_csv(file: TableFile, labelled: bool, scratch: Scratch, plan: MemoryPlan) -> tuple[Rows, dict[str, object]]:  # noqa: FBT001 - as in its twin
    """Take all lines of a text file; return how it is written."""
    raw = ByteBlocks(file)
    with closing(prefetched(iter(raw))) as blocks:
        sample, held = take_sample(blocks)
        dialect = recognise_dialect(file.name, sample, file.table, labelled=labelled)
        rows = Rows(file, labelled, dialect.columns, scratch)
        lines = LineBlocks(file.name, (), encoding=dialect.encoding, mojibake=dialect.mojibake)
        whole = whole_lines(chain(held, blocks), first_bytes=FIRST_BYTES, block_bytes=plan.block_bytes)
        # While a block is taken, the next one is split; those of a table must be taken one after the other.
        with closing(mapped(lambda block: split_block(block, dialect), whole, workers=1)) as split:
            for block in split:
                rows.take_block(block, lines, dialect)
        rows.take_lines(lines.finish(), lines.row, dialect)
        rows.finish()
    if not lines.ends_with_line_end:
        rows.judge_last_line(lines.row)
    return rows, rows.describe_text(raw.sha256, dialect, lines.line_end)


def _read_parquet(
    file: TableFile,
    labelled: bool,  # noqa: FBT001 - as in its twin
    scratch: Scratch,
    plan: MemoryPlan,
    probe: ParquetProbe | None,
) -> tuple[Rows, dict[str, object]]:
    """Take all rows of a Parquet file; return what it is."""
    digest = hash_file(file)
    parquet = open_parquet(file, probe)
    columns = match_headings(file.name, parquet.headings, file.table, labelled=labelled)
    rows = Rows(file, labelled, columns, scratch)
    for count, batch in enumerate(parquet.batches(plan.batch_rows)):
        rows.take_batch(batch, parquet, columns, first=count * plan.batch_rows + 1)
    rows.finish()
    return rows, rows.describe_parquet(digest)


class SplitBlock(NamedTuple):
    """A block of whole lines.

    Args:
        text: its bytes.
        plain: of `split_plain`; None if not all of its lines are plain ones.
    """

    text: bytes
    plain: tuple[pl.DataFrame, str] | None


def split_block(text: bytes, dialect: Dialect) -> SplitBlock:
    """Split a block of whole lines, which may be done before it is its turn to be taken."""
    return SplitBlock(text, split_plain(text, dialect.columns, dialect.separator) if dialect.is_utf_8 else None)


class Rows:
    """Collects what becomes of a file's rows, or of those of a piece of it, block by block; `finish` ends it.

    Args:
        file: the file.
        labelled: whether the label is one of the columns that must be there.
        columns: those that are there.
        scratch: where the rows wait.
    """

    def __init__(self, file: TableFile, labelled: bool, columns: Collection[str], scratch: Scratch) -> None:  # noqa: FBT001 - of a private class
        self.file = file
        self.table = file.table
        self.labelled = labelled
        self.headings = self.table.expected(labelled=labelled)
        extra = [h for h in self.table.headings if h.name in columns and h not in self.headings]
        self.label = extra[0] if extra else None
        self.count = 0
        self.blank_lines = 0
        self.quoted = False
        self.style = NumberStyle()
        read = [*self.headings, *extra]
        keys = {name: dtype_of(self.table.heading(name)) for name in self.table.key}
        own = {heading.name: accepted_dtype(heading) for heading in read}
        accepted = pl.Schema({"row": pl.Int64(), "repaired": pl.Boolean(), **own})
        self.accepted = Spool(scratch, accepted, "id", stored={"row": pl.UInt32()})
        self.rejected = Spool(scratch, REJECTED_SCHEMA, "row")
        refuted = pl.Schema({"row": pl.Int64(), **keys})
        self.refuted = Spool(scratch, refuted, "id")
        self.unread = 0
        self.rejected_count = 0
        self.last_rejected = self.last_accepted = 0
        self.broken: dict[tuple[str | None, str], Broken] = {}
        self.spellings: dict[str, dict[str, str]] = {}
        self.repairs: dict[tuple[str, str, str], int] = {}
        self.unknown_words: dict[str, int] = {}
        self.open_end: int | None = None
        self._held: list[pl.DataFrame] = []
        self._held_style: tuple[Collection[str], str] = ((), "")

    def take_block(self, block: SplitBlock, lines: LineBlocks, dialect: Dialect) -> None:
        """Take the next bytes of a text file: plain lines at once, the others line by line."""
        may_be_plain = (
            lines.row  # the headings have been read
            and lines.is_between_lines
            and dialect.is_utf_8
            and (self.style.decimal_mark is not None or Kind.NUMBER not in {h.kind for h in self.headings})
        )
        if may_be_plain and block.plain is not None:
            fields, end = block.plain
            numbers = pl.int_range(lines.row + 1, lines.row + 1 + fields.height, eager=True).alias("row")
            lines.skip(fields.height, end)
            self.count += fields.height
            self.take_fields(
                fields.insert_column(0, numbers),
                texts=dialect.columns,
                may_group=_may_group(dialect),
                separator=dialect.separator,
            )
        elif may_be_plain and len(block.text) > PIECE_BYTES:  # something in it is not: look where
            size = len(block.text) // PIECES
            for piece in whole_lines([block.text], first_bytes=size, block_bytes=size):
                self.take_block(split_block(piece, dialect), lines, dialect)
        else:
            self.take_lines(lines.feed(block.text), lines.row, dialect)

    def take_batch(self, batch: pl.DataFrame, parquet: ParquetTable, columns: Sequence[str], *, first: int) -> None:
        """Take some rows of a Parquet file, whose columns these are; the first has this number."""
        names = dict(zip(parquet.headings, columns, strict=True))
        texts = [names[heading] for heading in parquet.headings if heading in parquet.texts]
        raw = batch.rename(names).with_row_index("row", offset=first).with_columns(pl.col("row").cast(pl.Int64))
        self.count += batch.height
        self.take_fields(raw, texts=texts, may_group="")

    def take_lines(self, lines: list[str], last: int, dialect: Dialect) -> None:
        """Take lines, the last of them with this number: split them, and reject those that are no rows of the table."""
        if not lines:
            return
        body = pl.DataFrame(
            {"row": range(last + 1 - len(lines), last + 1), "line": lines},
            schema={"row": pl.Int64, "line": pl.String},
        )
        self.quoted = self.quoted or bool(body["line"].str.contains('"', literal=True).any())
        body = body.filter(pl.col("row") > 1)
        blank = body["line"].str.strip_chars(SPACES + dialect.separator + '"') == ""
        self.blank_lines += int(blank.sum())
        fields = split_lines(body.filter(~blank), dialect.separator)
        self.count += fields.height
        width = len(dialect.columns)
        found = pl.col("fields").list.len()
        nothing_more = pl.col("fields").list.slice(width).list.join("").str.strip_chars(SPACES) == ""
        fits = fields.select(
            ((found == width) | ((found > width) & nothing_more)).fill_null(value=False)
            & ~pl.col("line").str.contains(_UNREADABLE, literal=True)
        ).to_series()
        values = (pl.col("fields").list.get(place).alias(name) for place, name in enumerate(dialect.columns))
        raw = fields.filter(fits).select("row", *values)
        unfit = self._reject_lines(fields.filter(~fits), dialect)
        self.take_fields(raw, texts=dialect.columns, may_group=_may_group(dialect), unfit=unfit)

    def take_fields(
        self,
        raw: pl.DataFrame,
        *,
        texts: Collection[str],
        may_group: str,
        separator: str | None = None,
        unfit: pl.DataFrame | None = None,
    ) -> None:
        """Take rows of text fields: repair words, parse numbers, and reject the rows that break a rule.

        Args:
            raw: `row`, and the columns by their ASCII names, as delivered.
            texts: the columns in which numbers, if any, are written as in the rest of the file; in others with a point.
            may_group: as in `recognise_style`.
            separator: given if there may be lines with nothing but it, which do not count as rows.
            unfit: rejections of lines of the same block that are no rows of the table.
        """
        if unfit is not None:
            self._add_rejected(unfit)
        has_numbers = any(heading.kind is Kind.NUMBER and heading.name in texts for heading in self.headings)
        if has_numbers:
            self._learn_style(raw, texts, may_group)
        if self.style.decimal_mark is not None or not has_numbers:
            judged = judge_plain(
                raw,
                self.headings,
                texts=texts,
                decimal_mark=self.style.decimal_mark,
                spellings=self.spellings,
            )
            for (name, value), rows in judged.repairs.items():
                self._count_repair(self.table.heading(name), value, self._right(name, value), rows)
            told = raw.select("row", *([self.label.name] if self.label else ()))
            plain = told if judged.is_plain.all() else told.filter(judged.is_plain)
            self._add_accepted(
                pl.concat(
                    [plain.select("row"), judged.repaired.to_frame(), judged.typed, self._labels(plain)],
                    how="horizontal",
                )
            )
            raw = raw.filter(~judged.is_plain)
            if separator is not None and raw.height:
                raw = self._without_blank_lines(raw, separator)
            self._held.append(compacted(raw))
            self._held_style = (texts, may_group)
            if sum(rows.height for rows in self._held) >= HELD_ROWS:
                self.finish()
        else:
            self._judge_carefully(raw, texts)

    def finish(self) -> None:
        """Judge the rows that still wait to be judged together."""
        if self._held:
            texts, may_group = self._held_style
            raw = pl.concat(self._held)
            self._held.clear()
            self._learn_style(raw, texts, may_group)
            self._judge_carefully(raw, texts)

    def _without_blank_lines(self, raw: pl.DataFrame, separator: str) -> pl.DataFrame:
        texts = pl.all_horizontal(pl.exclude("row").str.strip_chars(SPACES + separator) == "")
        blank = raw.select(texts).to_series()
        rows = int(blank.sum())
        self.blank_lines += rows
        self.count -= rows
        return raw.filter(~blank)

    def _judge_carefully(self, raw: pl.DataFrame, texts: Collection[str]) -> None:
        """Accept or reject each of some rows of text fields, whose style was learned. Args: as of `take_fields`."""
        if raw.is_empty():
            return
        headings = self.headings
        text = raw.with_columns(pl.col(pl.String).str.strip_chars(SPACES))
        columns, repaired = [], [pl.lit(value=False)]
        for heading in headings:
            if heading.words is None:
                mark = (self.style.decimal_mark if heading.name in texts else None) or "."
                columns.append(parse_number(pl.col(heading.name), heading.kind, mark))
            else:
                spelling = self._learn_words(text[heading.name], heading, heading.words)
                columns.append(name_words(pl.col(heading.name), spelling, heading.words))
                repaired.append(pl.col(heading.name).is_in([word for word, right in spelling.items() if word != right]))
        typed = text.select(columns).cast({heading.name: dtype_of(heading) for heading in headings})
        broken = broken_rules(
            self.file.name, typed, raw.select("row", *typed.columns), self.table, labelled=self.labelled
        )
        rows = text.select("row", pl.any_horizontal(repaired).fill_null(value=False).alias("repaired"))
        both = pl.concat([rows, typed, self._labels(raw)], how="horizontal")
        refuted = both.join(broken, on="row", how="semi", maintain_order="left").select("row", *self.table.key)
        self._refute(refuted)
        self._add_accepted(both.join(broken, on="row", how="anti", maintain_order="left"))
        self._add_rejected(broken)

    def _labels(self, raw: pl.DataFrame) -> pl.DataFrame:
        """Return the labels that are there though nobody asked for them, no columns if there are none."""
        if self.label is None or self.label.words is None:
            return pl.DataFrame()
        text = raw.select(pl.col(self.label.name).str.strip_chars(SPACES))
        values = (value for value in text.to_series().unique() if value is not None)
        return text.select(
            name_words(pl.col(self.label.name), repair_words(values, self.label.words), self.label.words)
        )

    def judge_last_line(self, row: int) -> None:
        """Refuse a file that seems to have been cut: its last line has no line end, and no row of the table."""
        if self.last_rejected == row:
            found = "a line that breaks off, without a line end"
            raise DropError([Problem(self.file.name, "a whole last line (the file seems cut)", found, row=row)])
        if self.last_accepted == row:
            self.open_end = row

    def check_some(self) -> None:
        """Raise DropError if there is no row."""
        if not self.count:
            raise DropError([Problem(self.file.name, "rows below the headings", "headings only")])

    def describe_text(self, sha256: str | None, dialect: Dialect, line_end: str | None) -> dict[str, object]:
        """Return what the manifest says of how a text file is written."""
        return {
            "sha256": sha256,
            "format": "csv",
            "compression": self.file.compression,
            "encoding": dialect.encoding,
            "mojibake_undone": dialect.mojibake,
            "separator": dialect.separator,
            "line_end": line_end,
            "quoted": self.quoted,
            **self.style._asdict(),
        }

    def describe_parquet(self, sha256: str | None) -> dict[str, object]:
        """Return what the manifest says of how a Parquet file is written."""
        return {"sha256": sha256, "format": "parquet", **self.style._asdict()}

    def result(self, facts: dict[str, object]) -> TableIntake:
        """Return what became of all rows. Args: facts: how the file is written."""
        repairs = [
            {"file": self.file.name, "column": column, "from": wrong, "to": right, "rows": rows}
            for (column, wrong, right), rows in sorted(self.repairs.items())
        ]
        return TableIntake(
            file=self.file,
            labelled=self.labelled,
            facts={"file": self.file.name, "bytes": self.file.stamp.size, **facts},
            rows_in=self.count,
            blank_lines=self.blank_lines,
            accepted_rows=self.accepted,
            rejected_rows=self.rejected,
            refuted_rows=self.refuted,
            unread=self.unread,
            rejected_count=self.rejected_count,
            broken=self.broken,
            repairs=pl.DataFrame(repairs, schema=REPAIRS_SCHEMA),
            unknown_words=self.unknown_words,
            open_end=self.open_end,
        )

    def _add_accepted(self, accepted: pl.DataFrame) -> None:
        if accepted.height:
            self.last_accepted = max(self.last_accepted, accepted.item(-1, "row"))
            self.accepted.append(accepted)

    def _add_rejected(self, rejected: pl.DataFrame) -> None:
        if rejected.height:
            self.last_rejected = max(self.last_rejected, rejected.item(-1, "row"))
            self.rejected.append(rejected)
            self.rejected_count += rejected["row"].n_unique()
            count_broken(self.broken, rejected)

    def _refute(self, refuted: pl.DataFrame) -> None:
        readable = refuted.filter(pl.col("id").is_not_null())
        self.unread += refuted.height - readable.height
        self.refuted.append(readable)

    def _reject_lines(self, unfit: pl.DataFrame, dialect: Dialect) -> pl.DataFrame:
        rule = (
            pl.when(pl.col("line").str.contains(_UNREADABLE, literal=True))
            .then(pl.lit(f"is readable as {dialect.encoding}"))
            .when(pl.col("fields").is_null())
            .then(pl.lit("has paired quotes"))
            .otherwise(pl.lit(f"has {len(dialect.columns)} fields"))
        )
        place = dialect.columns.index("id")
        self.unread += unfit.height
        return unfit.select(
            pl.lit(self.file.name).alias("file"),
            "row",
            pl.col("fields").list.get(place, null_on_oob=True).str.strip_chars(SPACES).alias("id"),
            pl.lit(None, dtype=pl.String).alias("column"),
            rule.alias("rule"),
            pl.col("line").alias("value"),
        )

    def _learn_style(self, raw: pl.DataFrame, texts: Collection[str], may_group: str) -> None:
        """Recognise how numbers are written, until one has shown the decimal mark."""
        names = [heading.name for heading in self.headings if heading.words is None and heading.name in texts]
        if self.style.decimal_mark is None and names and raw.height:
            columns = raw.select(pl.col(names).str.strip_chars(SPACES)).get_columns()
            style = recognise_style(self.file.name, columns, may_group=may_group)
            thousands = self.style.thousands_spaces or style.thousands_spaces
            self.style = NumberStyle(style.decimal_mark, thousands)

    def _learn_words(self, values: pl.Series, heading: Heading, words: Words) -> dict[str, str]:
        """Return value -> right spelling for the words of one column; count repairs and unknown words."""
        counts: dict[str | None, int] = dict(values.value_counts().iter_rows())
        spelling = self.spellings.setdefault(heading.name, {})
        spelling.update(repair_words((value for value in counts if value is not None and value not in spelling), words))
        for value, right in spelling.items():
            if value != right and value in counts:
                self._count_repair(heading, value, right, counts[value])
        if words.unknown_is_scored:
            unknown = sum(count for value, count in counts.items() if value not in spelling)
            self.unknown_words[heading.delivered] = self.unknown_words.get(heading.delivered, 0) + unknown
        return spelling

    def _count_repair(self, heading: Heading, value: str, right: str, rows: int) -> None:
        key = (heading.delivered, value, right)
        self.repairs[key] = self.repairs.get(key, 0) + rows

    def _right(self, name: str, value: str) -> str:
        words = self.table.heading(name).words
        assert words is not None  # noqa: S101 - for the type checker: only words are repaired
        return self.spellings.get(name, {}).get(value) or words.misspellings[value]


def count_broken(broken: dict[tuple[str | None, str], Broken], rejections: pl.DataFrame) -> None:
    """Add rejections, ordered by row, to how often each rule was broken."""
    by_rule = rejections.group_by("column", "rule", maintain_order=True).agg(
        pl.col("row").n_unique().alias("rows"), pl.col("row").first().alias("first"), pl.col("value").first()
    )
    told = by_rule.iter_rows()
    add_broken(broken, {(column, rule): Broken(rows, first, value) for column, rule, rows, first, value in told})


def add_broken(broken: dict[tuple[str | None, str], Broken], more: Mapping[tuple[str | None, str], Broken]) -> None:
    """Add to how often each rule was broken."""
    for rule, told in more.items():
        before = broken.get(rule)
        if before is None:
            broken[rule] = told
        else:
            earliest = told if told.first_row < before.first_row else before
            broken[rule] = Broken(before.rows + told.rows, earliest.first_row, earliest.value)


def _may_group(dialect: Dialect) -> str:
    return "," if dialect.separator == "," else ",."  # machines separate by commas, and do not group


def split_lines(body: pl.DataFrame, separator: str) -> pl.DataFrame:
    """Return lines (`row`, `line`) with their `fields`: a list of text without quotes, null where unpaired."""
    value = pl.element()
    split = pl.col("line").str.split(separator)
    body = body.with_columns(fields=split, quoted=pl.col("line").str.contains('"', literal=True))
    if not body["quoted"].any():
        return body.drop("quoted")
    simple = pl.col("fields").list.eval(value.str.contains(_PLAIN_OR_QUOTED)).list.all()
    body = body.with_columns(doubtful=pl.col("quoted") & ~simple)
    undone = pl.col("fields").list.eval(value.str.replace(_PLAIN_OR_QUOTED, "$1$2"))
    doubtful = body.filter("doubtful")
    read = pl.Series("fields", [split_line(line, separator) for line in doubtful["line"]], dtype=pl.List(pl.String))
    parts = [body.filter(~pl.col("doubtful")).with_columns(fields=undone), doubtful.with_columns(read)]
    return pl.concat(parts).sort("row").drop("quoted", "doubtful")


def take_sample(blocks: Iterator[bytes]) -> tuple[bytes, list[bytes]]:
    """Return the first bytes of a file, which tell its dialect, and the blocks that were taken to have them."""
    held: list[bytes] = []
    size = 0
    while size < SAMPLE_BYTES and (block := next(blocks, b"")):
        held.append(block)
        size += len(block)
    return b"".join(held)[:SAMPLE_BYTES], held
