r"""Numbers as people and Excel write them become numbers.

Understood: a decimal point or comma (one kind per file), spaces between groups of three digits (also the no-break and
narrow ones), a sign, an exponent, `5.0` for a whole number. Everything else is not a number; `inf` is not one either.
Minus signs of print have become plain ones before: see `job.intake.characters`. Digits are 0 to 9: `\d` would also
match those of other scripts, which nothing can parse.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from job.errors import DropError, Problem
from job.intake.characters import WIDE_SPACES
from job.rounding import with_one_zero
from schemas.columns import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

MISSING: Final = ("", "-", "–", "—", "nan", "null", "none", "na", "n/a", "#n/a", "#н/д", "nat")
EXACT_FLOATS: Final = 2**53  # below it, each whole number has a float of its own
DOUBT_SHARE: Final = 0.05  # of the values with a decimal mark: a rarer mark is those rows' fault, not the file's

_GROUPED: Final = rf"^[+-]?[1-9][0-9]{{0,2}}(?:[{WIDE_SPACES}][0-9]{{3}})+(?:[.,][0-9]+)?$"
_EXPONENT: Final = "(?:[eE][+-]?[0-9]+)?"
_MARKS: Final = (".", ",")
_SHOWS: Final = {mark: rf"^[+-]?[0-9{WIDE_SPACES}]*[0-9]{re.escape(mark)}[0-9]+{_EXPONENT}$" for mark in _MARKS}
"""Mark -> the pattern of numbers that have it before their last digits."""
_GROUPED_BY: Final = {mark: rf"^[+-]?[1-9][0-9]{{0,2}}(?:{re.escape(mark)}[0-9]{{3}})+$" for mark in _MARKS}
"""Mark -> the pattern of numbers like 1,234, which may be one thousand and so on or one and a bit, or 1,234,567."""


class NumberStyle(NamedTuple):
    """How the numbers of a file are written."""

    decimal_mark: str | None = None  # as long as no number has shown `.` or `,`
    thousands_spaces: bool = False  # some numbers have spaces between groups of three digits


def is_missing(text: pl.Expr) -> pl.Expr:
    """Return whether a trimmed text stands for no value (Boolean; null counts as missing)."""
    return text.is_null() | text.str.to_lowercase().is_in(MISSING)


def recognise_style(file: str, columns: Iterable[pl.Series], *, may_group: str) -> NumberStyle:
    """Return how numbers are written in trimmed texts of a file, not all of which need be numbers.

    Args: may_group: the marks that may also stand between groups of three digits. Raises DropError if the decimal mark
    is in doubt: two are frequent, or it is one of these and every value that shows it may be so grouped.
    """
    text = pl.col("text")
    texts = pl.concat([column.alias("text").to_frame() for column in columns])
    texts = texts.filter(text.str.contains_any([*_MARKS, *WIDE_SPACES]))  # no other tells anything
    shown = texts.select(
        "text",
        text.str.contains(_GROUPED).alias("has_spaces"),
        *(text.str.contains(_SHOWS[mark]).alias(mark) for mark in _MARKS),
        *(text.str.contains(_GROUPED_BY[mark]).alias(f"grouped by {mark}") for mark in _MARKS),
    )
    thousands = bool(shown["has_spaces"].any())
    points, commas = (shown.filter(pl.col(mark) | pl.col(f"grouped by {mark}")) for mark in _MARKS)
    if points.is_empty() and commas.is_empty():
        return NumberStyle(None, thousands)
    if min(points.height, commas.height) > DOUBT_SHARE * (points.height + commas.height):
        counted = f"{_count(points)} and {_count(commas)}"
        raise DropError([Problem(file, "numbers with one decimal mark", counted)])
    sign, most = (",", commas) if commas.height > points.height else (".", points)
    if sign in may_group and most[f"grouped by {sign}"].all():
        raise DropError([Problem(file, "numbers with a clear decimal mark", f"{_count(most)}, which may be thousands")])
    return NumberStyle(sign, thousands)


def parse_number(text: pl.Expr, kind: Kind, decimal_mark: str) -> pl.Expr:
    """Return trimmed text as Float64, or as Int64 for identifiers and whole numbers; null where it is no such number.

    Identifiers may not begin with 0: the zeros would be lost, and two customers might become one.
    """
    mark = re.escape(decimal_mark)
    grouped = text.str.contains(_GROUPED)
    plain = pl.when(grouped).then(text.str.replace_all(rf"[{WIDE_SPACES}]", "")).otherwise(text)
    if kind is Kind.NUMBER:
        number = rf"^[+-]?(?:[0-9]+(?:{mark}[0-9]*)?|{mark}[0-9]+){_EXPONENT}$"
        readable = pl.when(plain.str.contains(number)).then(plain.str.replace(decimal_mark, ".", literal=True))
        return with_one_zero(readable.cast(pl.Float64, strict=False))
    digits = "[1-9][0-9]*" if kind is Kind.IDENTIFIER else "[0-9]+"
    whole = plain.str.extract(rf"^([+-]?{digits})(?:{mark}0+)?$").str.strip_prefix("+").cast(pl.Int64, strict=False)
    # 5.0 was a float: beyond 2^53 it may have been another number before.
    was_float = plain.str.contains(decimal_mark, literal=True)
    return pl.when(~was_float | (whole.abs() < EXACT_FLOATS)).then(whole)


def _count(values: pl.DataFrame) -> str:
    return f"{values.height:,} like {values['text'][0]}"
