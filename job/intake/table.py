"""One file of a drop becomes one accepted table and its rejected rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Final

import polars as pl

from job.errors import DropError, Problem
from job.intake.dialect import SAMPLE_BYTES, match_headings, recognise_dialect, split_line
from job.intake.drop import TableFile, hash_file
from job.intake.lines import ByteBlocks, LineBlocks
from job.intake.numbers import SPACES, NumberStyle, parse_number, recognise_style
from job.intake.parquet import open_parquet
from job.intake.repair import name_words, repair_words
from job.intake.validate import broken_rules, concat_rejected
from schemas.raw import DTYPES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from job.intake.dialect import Dialect
    from schemas.vocabulary import Heading, Table, Words

REPAIRS_SCHEMA: Final = pl.Schema(
    {"file": pl.String, "column": pl.String, "from": pl.String, "to": pl.String, "rows": pl.Int64}
)
_UNREADABLE: Final = "\N{REPLACEMENT CHARACTER}"
_PLAIN_OR_QUOTED: Final = r'^(?:"([^"]*)"|([^"]*))$'


@dataclass(frozen=True)
class TableIntake:
    """What became of one file.

    Args:
        file: the file that was read.
        facts: what the manifest says of it: name, SHA-256, bytes, how it is written.
        rows_in: data rows in the file, blank lines not counted.
        blank_lines: lines with nothing in them.
        accepted: `row` (number in the file), `repaired` (a word of it was), then the table's columns, in ASCII.
        rejected: one row per row and broken rule.
        rejected_keys: `row` and the key columns of each rejected row, null where they could not be read.
        repairs: one row per repaired spelling.
        unknown_words: per heading, the rows whose word is not in the vocabulary and that are scored all the same.
        open_end: the last row, if its line has no line end and it was accepted: the file may have been cut there.
    """

    file: TableFile
    facts: dict[str, object]
    rows_in: int
    blank_lines: int
    accepted: pl.DataFrame
    rejected: pl.DataFrame
    rejected_keys: pl.DataFrame
    repairs: pl.DataFrame
    unknown_words: dict[str, int]
    open_end: int | None


def read_table(file: TableFile, *, labelled: bool) -> TableIntake:
    """Read one file of a drop: recognise how it is written, repair words, parse numbers, check each row by itself.

    Args:
        file: the file.
        labelled: whether the label column must be there; otherwise it is passed over, also if it is there.

    Raises:
        DropError: the file as a whole cannot be understood.
        DropIncompleteError: the file changed while it was read.
    """
    rows = _Rows(file, labelled)
    try:
        facts = _read_parquet(rows) if file.file_format == "parquet" else _read_csv(rows)
    except DropError:
        file.check_unchanged()  # if somebody still writes it, that is what is wrong
        raise
    file.check_unchanged()
    if not rows.count:
        raise DropError([Problem(file.name, "rows below the headings", "headings only")])
    return rows.result({"file": file.name, "bytes": file.stamp.size, **facts})


def _read_csv(rows: _Rows) -> dict[str, object]:
    """Take all lines of a text file; return how it is written."""
    file = rows.file
    raw = ByteBlocks(file)
    blocks = iter(raw)
    sample, held = _sample(blocks)
    dialect = recognise_dialect(file.name, sample, rows.table, labelled=rows.labelled)
    lines = LineBlocks(file.name, chain(held, blocks), encoding=dialect.encoding, mojibake=dialect.mojibake)
    last = 0
    quoted = False
    for block in lines:
        numbers = range(last + 1, last + 1 + len(block))
        last += len(block)
        body = pl.DataFrame({"row": numbers, "line": block}, schema={"row": pl.Int64, "line": pl.String})
        quoted = quoted or bool(body["line"].str.contains('"', literal=True).any())
        rows.take_lines(body.filter(pl.col("row") > 1), dialect)
    if not lines.ends_with_line_end:
        rows.judge_last_line(last)
    return {
        "sha256": raw.sha256,
        "format": "csv",
        "compression": file.compression,
        "encoding": dialect.encoding,
        "mojibake_undone": dialect.mojibake,
        "separator": dialect.separator,
        "line_end": lines.line_end,
        "quoted": quoted,
        **asdict(rows.style),
    }


def _read_parquet(rows: _Rows) -> dict[str, object]:
    """Take all rows of a Parquet file; return what it is."""
    digest = hash_file(rows.file)
    parquet = open_parquet(rows.file)
    columns = match_headings(rows.file.name, parquet.headings, rows.table, labelled=rows.labelled)
    names = dict(zip(parquet.headings, columns, strict=True))
    texts = [names[heading] for heading in parquet.headings if heading in parquet.texts]
    first = 1
    for batch in parquet.batches():
        raw = batch.rename(names).with_row_index("row", offset=first).with_columns(pl.col("row").cast(pl.Int64))
        first += batch.height
        rows.count += batch.height
        rows.take_fields(raw, texts=texts, may_group="")
    return {"sha256": digest, "format": "parquet", **asdict(rows.style)}


@dataclass
class _Rows:
    """Collects what becomes of a file's rows, block by block."""

    file: TableFile
    labelled: bool
    count: int = 0
    blank_lines: int = 0
    style: NumberStyle = field(default_factory=NumberStyle)
    accepted: list[pl.DataFrame] = field(default_factory=list)
    rejected: list[pl.DataFrame] = field(default_factory=list)
    rejected_keys: list[pl.DataFrame] = field(default_factory=list)
    spellings: dict[str, dict[str, str]] = field(default_factory=dict)
    repairs: dict[tuple[str, str, str], int] = field(default_factory=dict)
    unknown_words: dict[str, int] = field(default_factory=dict)
    open_end: int | None = None

    @property
    def table(self) -> Table:
        return self.file.table

    def take_lines(self, body: pl.DataFrame, dialect: Dialect) -> None:
        """Take lines (`row`, `line`): split them, and reject those that are no rows of the table."""
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
        may_group = "," if dialect.separator == "," else ",."  # machines separate by commas, and do not group
        self.take_fields(raw, texts=dialect.columns, may_group=may_group)
        self._reject_lines(fields.filter(~fits), dialect)

    def take_fields(self, raw: pl.DataFrame, *, texts: Collection[str], may_group: str) -> None:
        """Take rows of text fields: repair words, parse numbers, and reject the rows that break a rule.

        Args:
            raw: `row`, and the columns by their ASCII names, as delivered.
            texts: the columns in which numbers, if any, are written as in the rest of the file; in others with a point.
            may_group: as in `recognise_style`.
        """
        headings = self.table.expected(labelled=self.labelled)
        raw = raw.select("row", *(heading.name for heading in headings))
        text = raw.with_columns(pl.col(pl.String).str.strip_chars(SPACES))
        self._learn_style([text[h.name] for h in headings if h.words is None and h.name in texts], may_group)
        columns, repaired = [], [pl.lit(value=False)]
        for heading in headings:
            if heading.words is None:
                mark = (self.style.decimal_mark if heading.name in texts else None) or "."
                columns.append(parse_number(pl.col(heading.name), heading.kind, mark))
            else:
                spelling = self._learn_words(text[heading.name], heading, heading.words)
                columns.append(name_words(pl.col(heading.name), spelling, heading.words))
                repaired.append(pl.col(heading.name).is_in([word for word, right in spelling.items() if word != right]))
        typed = text.select(columns).cast({heading.name: DTYPES[heading.kind] for heading in headings})
        broken = broken_rules(self.file.name, typed, raw, self.table, labelled=self.labelled)
        rows = text.select("row", pl.any_horizontal(repaired).fill_null(value=False).alias("repaired"))
        both = pl.concat([rows, typed], how="horizontal")
        self.rejected.append(broken)
        self.accepted.append(both.join(broken, on="row", how="anti", maintain_order="left"))
        rejected = both.join(broken, on="row", how="semi", maintain_order="left")
        self.rejected_keys.append(rejected.select("row", *self.table.key))

    def judge_last_line(self, row: int) -> None:
        """Refuse a file that seems to have been cut: its last line has no line end, and no row of the table."""
        if any((frame["row"] == row).any() for frame in self.rejected):
            found = "a line that breaks off, without a line end"
            raise DropError([Problem(self.file.name, "a whole last line (the file seems cut)", found, row=row)])
        if any((frame["row"] == row).any() for frame in self.accepted):
            self.open_end = row

    def result(self, facts: dict[str, object]) -> TableIntake:
        """Return what became of all rows."""
        repairs = [
            {"file": self.file.name, "column": column, "from": wrong, "to": right, "rows": rows}
            for (column, wrong, right), rows in sorted(self.repairs.items())
        ]
        return TableIntake(
            file=self.file,
            facts=facts,
            rows_in=self.count,
            blank_lines=self.blank_lines,
            accepted=pl.concat(self.accepted),
            rejected=concat_rejected(self.rejected).sort("row", maintain_order=True),
            rejected_keys=pl.concat(self.rejected_keys),
            repairs=pl.DataFrame(repairs, schema=REPAIRS_SCHEMA),
            unknown_words=self.unknown_words,
            open_end=self.open_end,
        )

    def _reject_lines(self, unfit: pl.DataFrame, dialect: Dialect) -> None:
        rule = (
            pl.when(pl.col("line").str.contains(_UNREADABLE, literal=True))
            .then(pl.lit(f"is readable as {dialect.encoding}"))
            .when(pl.col("fields").is_null())
            .then(pl.lit("has paired quotes"))
            .otherwise(pl.lit(f"has {len(dialect.columns)} fields"))
        )
        place = dialect.columns.index("id")
        self.rejected.append(
            unfit.select(
                pl.lit(self.file.name).alias("file"),
                "row",
                pl.col("fields").list.get(place, null_on_oob=True).str.strip_chars(SPACES).alias("id"),
                pl.lit(None, dtype=pl.String).alias("column"),
                rule.alias("rule"),
                pl.col("line").alias("value"),
            )
        )
        unread = [pl.lit(None, dtype=DTYPES[self.table.heading(name).kind]).alias(name) for name in self.table.key]
        self.rejected_keys.append(unfit.select("row", *unread))

    def _learn_style(self, columns: list[pl.Series], may_group: str) -> None:
        """Recognise how numbers are written, until one has shown the decimal mark."""
        if self.style.decimal_mark is None and columns:
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
                key = (heading.delivered, value, right)
                self.repairs[key] = self.repairs.get(key, 0) + counts[value]
        if words.unknown_is_scored:
            unknown = sum(count for value, count in counts.items() if value not in spelling)
            self.unknown_words[heading.delivered] = self.unknown_words.get(heading.delivered, 0) + unknown
        return spelling


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


def _sample(blocks: Iterator[bytes]) -> tuple[bytes, list[bytes]]:
    """Return the first bytes of a file, and the blocks that were taken to have them."""
    held: list[bytes] = []
    size = 0
    while size < SAMPLE_BYTES and (block := next(blocks, b"")):
        held.append(block)
        size += len(block)
    return b"".join(held)[:SAMPLE_BYTES], held
