"""Most rows are plain: Polars parses their fields to the columns' dtypes at once, and their words are known.

Whatever is taken for plain here would come out the same the careful way (`job.intake.careful`), which all other rows
take; what is in the least doubt is not taken. What the parser takes too kindly is looked for: see `_odd_lines`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from job.intake.careful import Judged, accepted_schema
from job.intake.counts import RowCounts
from job.intake.lines import LINE_LIMIT
from job.intake.numbers import EXACT_FLOATS
from job.rounding import with_one_zero
from schemas.columns import DTYPES, Kind, accepted_dtype, keeps_rules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from job.intake.careful import Spellings
    from job.intake.plan import FilePlan
    from schemas.columns import Column
    from schemas.vocabulary import Words

LINE_END: Final = b"\n"


class Lines(NamedTuple):
    """The lines of a block, which all end alike."""

    block: bytes
    starts: NDArray[np.int64]  # where each begins
    stops: NDArray[np.int64]  # where its end begins
    end: str

    def texts(self, which: pl.Series) -> list[str]:
        """Return some of them without their ends. Args: which: counted from 0."""
        ends = zip(self.starts[which].tolist(), self.stops[which].tolist(), strict=True)
        return [self.block[start:stop].decode(errors="replace") for start, stop in ends]


class Block(NamedTuple):
    """A block of whole lines whose fields were parsed."""

    typed: pl.DataFrame  # see `judge_typed`
    odd: pl.Series  # for each line whether the parser may have taken it too kindly
    lines: Lines


def parse_block(block: bytes, plan: FilePlan) -> Block | None:
    """Parse the fields of a block of whole lines in UTF-8, or return None if not all lines can be told apart."""
    lines = _split_lines(block)
    if lines is None:
        return None
    for words_known in (True, False):
        try:
            typed = pl.read_csv(
                block,
                has_header=False,
                schema={name: _read_as(name, plan, words_known=words_known) for name in plan.columns},
                separator=plan.text.separator,
                quote_char=None,
                ignore_errors=True,
                decimal_comma=plan.style.decimal_mark == ",",
            )
        except pl.exceptions.PolarsError:  # an unknown word; a line with more fields, a first one with fewer; no UTF-8
            continue
        return Block(typed, _odd_lines(lines, plan), lines) if typed.height == lines.starts.size else None
    return None


def _split_lines(block: bytes) -> Lines | None:
    """Return the lines, None if one is long or has no end, or they do not all end alike.

    A carriage return is the end of a line, too.
    """
    raw = np.frombuffer(block, np.uint8)
    stops = np.flatnonzero(raw == ord("\n"))
    starts = np.append(0, stops[:-1] + 1)
    returns = np.count_nonzero(raw == ord("\r"))
    if returns:
        stops -= 1
    are_alike = returns in (0, stops.size) and returns == np.count_nonzero(raw[stops] == ord("\r"))
    if not block.endswith(LINE_END) or not are_alike or (stops - starts).max() > LINE_LIMIT:
        return None
    return Lines(block, starts, stops, "\r\n" if returns else "\n")


def _odd_lines(lines: Lines, plan: FilePlan) -> pl.Series:
    """Return which lines the parser may have taken too kindly: it does not know quotes, and takes identifiers with
    leading zeros, signs and blanks, and points beside decimal commas.
    """  # noqa: D205 - one sentence
    raw = np.frombuffer(lines.block, np.uint8)
    odd = raw[lines.starts] < ord("1") if plan.columns[0] == "id" else np.zeros(lines.starts.size, bool)
    for mark in ('"', *("." if plan.style.decimal_mark == "," else ())):
        if mark.encode() in lines.block:
            odd |= np.logical_or.reduceat(raw == ord(mark), lines.starts)
    return pl.Series(odd)


def _read_as(name: str, plan: FilePlan, *, words_known: bool) -> pl.DataType:
    heading = plan.file.table.heading(name)
    if heading.words is not None:
        return _Coded.of(heading.words, {}).spelled if words_known else pl.String()
    if heading.kind is Kind.IDENTIFIER and plan.columns[0] != name:
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
) -> tuple[Judged, pl.Series]:
    """Accept the plain ones among rows whose fields were parsed, of which this is the number of the first.

    They have the columns by their ASCII names, numbers with their dtypes (an identifier may be text), words as text or
    as spelled; null where there was nothing or no such value. `spellings` are those that the careful way has seen,
    `odd` says of each row whether it is not plain, whatever its values are.

    Returns the accepted rows, and which of all, counted from 0, the careful way must judge.
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
        wrong = accepted[name].filter(accepted[name] >= coded.first_wrong)
        for code, count in wrong.value_counts().iter_rows():
            repairs[delivered, *coded.wrong[code - coded.first_wrong]] = count
    counts = RowCounts(rows=accepted.height, repairs=repairs)
    names = (coded.names.gather(accepted[name]).alias(name) for name, coded in words.items())
    accepted = accepted.with_columns(repaired, *names)[accepted_schema(plan).names()]
    return Judged(accepted, counts), (~is_plain).arg_true()


def _plain_number(heading: Column, dtypes: pl.Schema) -> pl.Expr:
    column = pl.col(heading.name)
    if heading.kind is Kind.NUMBER:
        return with_one_zero(column)  # no infinite one, and no NaN, keeps the column's rules
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
