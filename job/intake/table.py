"""One file of a drop becomes one accepted table and its rejected rows."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import polars as pl

from job.errors import DropError, Problem
from job.intake.dialect import SAMPLE_BYTES, Dialect, match_headings, recognise_dialect
from job.intake.drop import TableFile, hash_file
from job.intake.lines import ByteBlocks, LineBlocks
from job.intake.numbers import SPACES, parse_number
from job.intake.repair import name_words, repair_words
from job.intake.validate import broken_rules, concat_rejected, reject_rows
from schemas.raw import DTYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.vocabulary import Table, Words

REPAIRS_SCHEMA: Final = pl.Schema(
    {"file": pl.String, "column": pl.String, "from": pl.String, "to": pl.String, "rows": pl.Int64}
)
# A Parquet file may repeat one value for ever in a few bytes; ids cannot repeat, so real rows take at least bytes.
PARQUET_ROWS_PER_BYTE_LIMIT: Final = 8
PARQUET_FREE_ROWS: Final = 1_000_000


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
        warnings: one line each, for a person.
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
    warnings: tuple[str, ...]


def read_table(file: TableFile, *, labelled: bool) -> TableIntake:
    """Read one file of a drop: recognise how it is written, repair words, parse numbers, check each row by itself.

    Args:
        file: the file.
        labelled: whether the label column must be there; otherwise it is passed over, also if it is there.

    Raises:
        DropError: the file as a whole cannot be understood.
        DropIncompleteError: the file changed while it was read.
    """
    reader = _Reader(file, labelled)
    facts = reader.read_parquet() if file.file_format == "parquet" else reader.read_csv()
    file.check_unchanged()
    if not reader.rows_in:
        raise DropError([Problem(file.name, "rows below the headings", "headings only")])
    return reader.result({"file": file.name, "bytes": file.stamp.size, **facts})


@dataclass
class _Reader:
    """Collects what becomes of a file's rows, block by block."""

    file: TableFile
    labelled: bool
    rows_in: int = 0
    blank_lines: int = 0
    accepted: list[pl.DataFrame] = field(default_factory=list)
    rejected: list[pl.DataFrame] = field(default_factory=list)
    rejected_keys: list[pl.DataFrame] = field(default_factory=list)
    repairs: dict[tuple[str, str, str], int] = field(default_factory=dict)
    unknown_words: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def table(self) -> Table:
        return self.file.table

    def result(self, facts: dict[str, object]) -> TableIntake:
        repairs = [
            {"file": self.file.name, "column": column, "from": wrong, "to": right, "rows": rows}
            for (column, wrong, right), rows in sorted(self.repairs.items())
        ]
        return TableIntake(
            file=self.file,
            facts=facts,
            rows_in=self.rows_in,
            blank_lines=self.blank_lines,
            accepted=pl.concat(self.accepted),
            rejected=concat_rejected(self.rejected).sort("row", maintain_order=True),
            rejected_keys=pl.concat(self.rejected_keys),
            repairs=pl.DataFrame(repairs, schema=REPAIRS_SCHEMA),
            unknown_words=self.unknown_words,
            warnings=tuple(self.warnings),
        )

    def read_csv(self) -> dict[str, object]:
        raw = ByteBlocks(self.file)
        blocks = iter(raw)
        sample, held = _sample(blocks)
        dialect = recognise_dialect(
            self.file.name, sample, self.table, labelled=self.labelled, whole=len(sample) < SAMPLE_BYTES
        )
        lines = LineBlocks(
            self.file,
            _chain(held, blocks),
            encoding=dialect.encoding,
            mojibake=dialect.mojibake,
            line_end=dialect.line_end,
        )
        row = 1
        last: pl.DataFrame | None = None
        for block in lines:
            numbers = range(row, row + len(block))
            row += len(block)
            body = pl.DataFrame({"row": numbers, "line": block}, schema={"row": pl.Int64, "line": pl.String})
            last = self._take_lines(body.slice(1) if numbers.start == 1 else body, dialect)
        if not lines.ends_with_line_end:
            self._judge_last_line(row - 1, last)
        return {"sha256": raw.sha256, "format": "csv", "compression": self.file.compression, **dialect.describe()}

    def read_parquet(self) -> dict[str, object]:
        digest = hash_file(self.file)
        try:
            scan = pl.scan_parquet(self.file.path, glob=False, hive_partitioning=False)
            schema = scan.collect_schema()
            height = int(scan.select(pl.len()).collect().item())
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._bad_parquet(error) from error
        columns = match_headings(self.file.name, schema.names(), self.table, labelled=self.labelled)
        nested = [
            Problem(self.file.name, "numbers or text", str(dtype), column=heading)
            for heading, dtype in schema.items()
            if dtype.is_nested() or dtype in (pl.Binary, pl.Object)
        ]
        if nested:
            raise DropError(nested)
        if height > max(PARQUET_FREE_ROWS, PARQUET_ROWS_PER_BYTE_LIMIT * self.file.stamp.size):
            found = f"{height:,} rows in {self.file.stamp.size:,} bytes"
            raise DropError([Problem(self.file.name, "rows with an id each", found)])
        try:
            text = scan.select(
                pl.col(heading).cast(pl.String).str.strip_chars(SPACES).alias(column)
                for heading, column in zip(schema.names(), columns, strict=True)
            ).collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._bad_parquet(error) from error
        self.rows_in += text.height
        self._take_fields(text.with_row_index("row", offset=1).with_columns(pl.col("row").cast(pl.Int64)), ".")
        return {"sha256": digest, "format": "parquet"}

    def _bad_parquet(self, error: Exception) -> DropError:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return DropError([Problem(self.file.name, "a whole Parquet file", reason)])

    def _take_lines(self, body: pl.DataFrame, dialect: Dialect) -> pl.DataFrame:
        """Split lines into fields and take those with the right number of them; return the ones that are not."""
        blank = body["line"].str.strip_chars(SPACES + dialect.separator + '"') == ""
        self.blank_lines += int(blank.sum())
        body = body.filter(~blank)
        self.rows_in += body.height
        fields = _split(body, dialect)
        fits = (fields["fields"].list.len() == len(dialect.columns)).fill_null(value=False) & ~body["line"].str.contains(
            "\N{REPLACEMENT CHARACTER}", literal=True
        )
        text = fields.filter(fits).select(
            "row",
            *(
                pl.col("fields").list.get(place).str.strip_chars(SPACES).alias(column)
                for place, column in enumerate(dialect.columns)
            ),
        )
        self._take_fields(text, dialect.decimal_mark)
        unfit = fields.filter(~fits)
        self._reject_lines(unfit, dialect)
        return unfit

    def _reject_lines(self, unfit: pl.DataFrame, dialect: Dialect) -> None:
        count = len(dialect.columns)
        unreadable = pl.col("line").str.contains("\N{REPLACEMENT CHARACTER}", literal=True)
        rule = (
            pl.when(unreadable)
            .then(pl.lit(f"is readable as {dialect.encoding}"))
            .when(pl.col("fields").is_null())
            .then(pl.lit("has paired quotes"))
            .otherwise(pl.lit(f"has {count} fields"))
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

    def _judge_last_line(self, row: int, unfit: pl.DataFrame | None) -> None:
        """A file that does not end with a line end may have been cut: refuse it if its last line is visibly short."""
        if unfit is not None and row in unfit["row"]:
            found = "a line that breaks off, without a line end"
            raise DropError([Problem(self.file.name, "a whole last line (the file seems cut)", found, row=row)])
        self.warnings.append(
            f"{self.file.name}, row {row}: the last line has no line end; if the file was cut there, its value is wrong"
        )

    def _take_fields(self, text: pl.DataFrame, decimal_mark: str) -> None:
        """Repair, parse and check rows of text fields."""
        headings = self.table.expected(labelled=self.labelled)
        text = text.select("row", *(heading.name for heading in headings))
        columns: list[pl.Expr] = []
        repaired = pl.lit(value=False)
        for heading in headings:
            raw = pl.col(heading.name)
            if heading.words is None:
                columns.append(parse_number(raw, heading.kind, decimal_mark).alias(heading.name))
                continue
            spelling = self._learn_words(text[heading.name], heading.delivered, heading.words)
            changed = [value for value, right in spelling.items() if value != right]
            repaired = repaired | raw.is_in(changed)
            columns.append(name_words(raw, spelling, heading.words).alias(heading.name))
        typed = text.select(columns).cast({heading.name: DTYPES[heading.kind] for heading in headings})
        broken = broken_rules(self.file.name, typed, text, self.table, labelled=self.labelled)
        self.rejected.append(broken)
        rows = text.select("row", repaired.fill_null(value=False).alias("repaired"))
        is_broken = rows["row"].is_in(broken["row"].implode())
        both = pl.concat([rows, typed], how="horizontal")
        self.accepted.append(both.filter(~is_broken))
        self.rejected_keys.append(both.filter(is_broken).select("row", *self.table.key))

    def _learn_words(self, values: pl.Series, heading: str, words: Words) -> dict[str, str]:
        """Return value -> right spelling for the words of one column; count repairs and unknown words."""
        counts = dict(values.drop_nulls().value_counts().iter_rows())
        spelling = repair_words(counts, words)
        for value, right in spelling.items():
            if value != right:
                key = (heading, value, right)
                self.repairs[key] = self.repairs.get(key, 0) + counts[value]
        if words.unknown_is_scored:
            unknown = sum(count for value, count in counts.items() if value not in spelling)
            self.unknown_words[heading] = self.unknown_words.get(heading, 0) + unknown
        return spelling


def _sample(blocks: Iterator[bytes]) -> tuple[bytes, list[bytes]]:
    """Return the first bytes of a file, and the blocks that were taken to have them."""
    held: list[bytes] = []
    size = 0
    for block in blocks:
        held.append(block)
        size += len(block)
        if size >= SAMPLE_BYTES:
            break
    return b"".join(held)[:SAMPLE_BYTES], held


def _chain(held: list[bytes], blocks: Iterator[bytes]) -> Iterator[bytes]:
    while held:
        yield held.pop(0)
    yield from blocks


def _split(body: pl.DataFrame, dialect: Dialect) -> pl.DataFrame:
    """Return the rows with a column `fields` (list of text; null where quotes are not paired)."""
    plain = body.with_columns(fields=pl.col("line").str.split(dialect.separator))
    if not dialect.quoted and not body["line"].str.contains('"', literal=True).any():
        return plain
    quoted = body["line"].str.contains('"', literal=True)
    split = pl.Series([_split_quoted(line, dialect.separator) for line in body["line"].filter(quoted)], dtype=pl.List(pl.String))
    fields = plain.filter(quoted).with_columns(fields=split)
    return pl.concat([plain.filter(~quoted), fields]).sort("row")


def _split_quoted(line: str, separator: str) -> list[str] | None:
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error:
        return None
