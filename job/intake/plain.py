"""Most rows are plain: Polars parses their fields to the columns' dtypes at once, and their words are known.

Whatever is taken for plain here would come out the same the careful way (`job.intake.careful`), which all other rows
take; what is in the least doubt is not taken. What the parser takes too kindly is looked for: see `_odd_lines`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from job.intake.careful import accepted_schema
from job.intake.counts import RowCounts
from job.intake.lines import LINE_LIMIT
from job.intake.numbers import EXACT_FLOATS
from job.rounding import with_one_zero
from schemas.columns import DTYPES, Kind, accepted_dtype, keeps_rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from job.intake.careful import Spellings
    from job.intake.plan import FilePlan
    from schemas.columns import Column
    from schemas.vocabulary import Words

LINE_END: Final = b"\n"
_UNREADABLE: Final = "\N{REPLACEMENT CHARACTER}".encode()


class Plain(NamedTuple):
    """Rows whose fields were parsed at once."""

    accepted: pl.DataFrame  # the plain ones among them, as `accepted_schema`, by row
    doubtful: pl.Series  # which of all rows, counted from 0, the careful way must judge
    counts: RowCounts  # of the accepted rows


class Block(NamedTuple):
    """A block of whole lines whose fields were parsed."""

    typed: pl.DataFrame  # see `judge_typed`
    odd: pl.Series  # for each line whether the parser may have taken it too kindly
    lines: pl.Series  # without their ends
    line_end: str  # of each line


def parse_block(block: bytes, plan: FilePlan) -> Block | None:
    """Parse the fields of a block of whole lines in UTF-8, or return None if not all lines can be told apart."""
    dialect = plan.dialect
    assert dialect is not None  # noqa: S101 - of a text file
    if not block.endswith(LINE_END) or b"\0" in block:
        return None
    dtypes = {name: _read_as(name, plan) for name in plan.columns}
    try:
        lines = pl.read_csv(
            block,
            has_header=False,
            schema={"line": pl.String()},
            separator="\0",
            quote_char=None,
            empty_string_is_null=False,
        ).to_series()
        typed = pl.read_csv(
            block,
            has_header=False,
            schema=dtypes,
            separator=dialect.separator,
            quote_char=None,
            ignore_errors=True,
            decimal_comma=plan.style.decimal_mark == ",",
        )
    except pl.exceptions.PolarsError:  # a line with more fields, a first one with fewer, or what is not UTF-8
        return None
    line_end = _line_end(block, lines)
    if line_end is None or typed.height != lines.len():
        return None
    return Block(typed, _odd_lines(block, lines, plan), lines, line_end)


def _line_end(block: bytes, lines: pl.Series) -> str | None:
    """Return how each line ends, None if they do not all end alike. A carriage return is the end of a line, too."""
    lengths = lines.str.len_bytes()
    if (lengths.max() or 0) > LINE_LIMIT:  # type: ignore[operator] # a number
        return None
    stripped = len(block) - lengths.sum() - lines.len()
    if not stripped:
        return None if b"\r" in block else "\n"
    return "\r\n" if stripped == lines.len() == block.count(b"\r") else None


def _odd_lines(block: bytes, lines: pl.Series, plan: FilePlan) -> pl.Series:
    """Return which lines the parser may have taken too kindly: it knows neither quotes nor text that cannot be read,
    and takes identifiers with leading zeros, signs and blanks, and points beside decimal commas.
    """  # noqa: D205 - one sentence
    odd = lines < "1" if plan.columns[0] == "id" else lines == ""
    searched = [b'"', _UNREADABLE, *([b"."] if plan.style.decimal_mark == "," else [])]
    for text in searched:
        if text[:1] in block and text in block:  # one byte is found ten times as fast as several
            odd |= lines.str.contains(text.decode(), literal=True)
    return odd


def _read_as(name: str, plan: FilePlan) -> pl.DataType:
    heading = plan.file.table.heading(name)
    if heading.words is not None or (heading.kind is Kind.IDENTIFIER and plan.columns[0] != name):
        return pl.String()
    return accepted_dtype(heading)


def parse_batch(batch: pl.DataFrame, plan: FilePlan) -> pl.DataFrame:
    """Return some rows of a Parquet file as for `judge_typed`. Args: batch: the columns by their ASCII names."""
    columns = []
    for name in plan.columns:
        heading, column, dtype = plan.file.table.heading(name), pl.col(name), batch.schema[name]
        if heading.words is not None:
            columns.append(column.cast(pl.String))
        elif dtype.is_integer() or (dtype == pl.Float64 and heading.kind is Kind.NUMBER):
            columns.append(column.cast(accepted_dtype(heading), strict=False))
        elif dtype == pl.Float64:
            whole = pl.when((column == column.floor()) & (column.abs() < EXACT_FLOATS)).then(column)
            columns.append(whole.cast(accepted_dtype(heading), strict=False))
        else:
            columns.append(_number(column.cast(pl.String), heading.kind, plan.style.decimal_mark or "."))
    return batch.select(columns)


def _number(text: pl.Expr, kind: Kind, decimal_mark: str) -> pl.Expr:
    """Return a number, null where the text is anything but a plain one."""
    if kind is Kind.WHOLE:
        return text.cast(pl.Int32, strict=False)
    if kind is Kind.IDENTIFIER:
        # A leading zero and both signs sort before 1.
        return pl.when(text >= "1").then(text.cast(DTYPES[kind], strict=False))
    if decimal_mark != ".":
        text = pl.when(~text.str.contains(".", literal=True)).then(text.str.replace(decimal_mark, ".", literal=True))
    return text.cast(DTYPES[kind], strict=False)


def judge_typed(
    typed: pl.DataFrame, first: int, plan: FilePlan, spellings: Spellings, *, odd: pl.Series | None = None
) -> Plain:
    """Accept the plain ones among rows whose fields were parsed.

    Args:
        typed: the columns by their ASCII names, numbers with their dtypes (an identifier may be text), words as text;
            null where there was nothing or no such value.
        first: the number of the first of them.
        plan: of their file.
        spellings: of words that the careful way has seen.
        odd: for each row whether it is not plain, whatever its values are.
    """
    words = {h.name: _Coded.of(h.words, spellings.get(h.name, {})) for h in plan.headings if h.words is not None}
    label, judged = plan.label, words.copy()
    checks = [keeps_rules(heading) for heading in plan.headings]
    if label is not None and label.words is not None:
        words[label.name] = _Coded.of(label.words, {})
        checks.append(pl.col(label.name).is_not_null())
    numbers = [_plain_number(heading, typed.schema) for heading in plan.headings if heading.words is None]
    columns = (pl.int_range(first, first + typed.height, dtype=pl.UInt32).alias("row"), *numbers)
    codes = typed.lazy().with_columns(*columns, *(coded.code(pl.col(name)) for name, coded in words.items()))
    accepted = codes.with_columns(_is_plain=pl.all_horizontal(checks)).collect()
    is_plain = accepted.drop_in_place("_is_plain")
    if odd is not None:
        is_plain &= ~odd
    if not is_plain.all():
        accepted = accepted.filter(is_plain)
    repaired = pl.repeat(value=False, n=accepted.height, dtype=pl.Boolean, eager=True).alias("repaired")
    repairs: dict[tuple[str, str, str], int] = {}
    for name, coded in judged.items():
        repaired |= accepted[name] >= coded.first_wrong
        delivered = plan.file.table.heading(name).delivered
        repairs |= {(delivered, *spelling): count for spelling, count in coded.count_wrong(accepted[name])}
    last = accepted.item(-1, "row") if accepted.height else 0
    counts = RowCounts(rows=accepted.height, last_accepted=last, repairs=repairs)
    names = (coded.name_of(accepted[name]) for name, coded in words.items())
    accepted = accepted.with_columns(repaired, *names).select(accepted_schema(plan).names())
    return Plain(accepted, (~is_plain).arg_true(), counts)


def _plain_number(heading: Column, dtypes: pl.Schema) -> pl.Expr:
    column = pl.col(heading.name)
    if heading.kind is Kind.NUMBER:
        return pl.when(column.is_finite()).then(with_one_zero(column))
    return _number(column, heading.kind, ".") if dtypes[heading.name] == pl.String else column


class _Coded(NamedTuple):
    """The words of a column as small numbers: the right spellings, then the misspellings that are known."""

    spelled: pl.Enum
    names: pl.Series
    first_wrong: int
    wrong: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, words: Words, spelling: Mapping[str, str]) -> _Coded:
        known = {**words.misspellings, **spelling}
        wrong = [(value, right) for value, right in known.items() if value != right][: 255 - len(words.values)]
        spelled = (*words.values, *(value for value, _ in wrong))
        names = [words.values[known.get(value, value)] for value in spelled]
        return cls(pl.Enum(spelled), pl.Series(names, dtype=words.dtype), len(words.values), tuple(wrong))

    def code(self, text: pl.Expr) -> pl.Expr:
        return text.cast(self.spelled, strict=False).to_physical()

    def count_wrong(self, codes: pl.Series) -> Iterator[tuple[tuple[str, str], int]]:
        """Yield each misspelling that occurs, with the right spelling, and how often."""
        for code, count in codes.filter(codes >= self.first_wrong).value_counts().iter_rows():
            yield self.wrong[code - self.first_wrong], count

    def name_of(self, codes: pl.Series) -> pl.Series:
        return self.names.gather(codes).alias(codes.name)
