"""Numbers as people and Excel write them become numbers.

Understood: a decimal point or comma (one kind per file), spaces between groups of three digits (also the no-break and
narrow ones), a sign, an exponent, `5.0` for a whole number. Everything else is not a number; `inf` is not one either.
"""

from __future__ import annotations

import re
from typing import Final

import polars as pl

from schemas.vocabulary import Kind

SPACES: Final = " \t\u00a0\u2009\u202f\ufeff"
MISSING: Final = ("", "-", "–", "—", "nan", "null", "none", "na", "n/a", "#n/a", "nat")

_GROUP_SPACES: Final = " \u00a0\u2009\u202f"
_GROUPED: Final = rf"^[+-]?\d{{1,3}}(?:[{_GROUP_SPACES}]\d{{3}})+(?:[.,]\d+)?$"
_MARKED: Final = re.compile(rf"[+-]?[\d{_GROUP_SPACES}]*\d([.,])\d+|[+-]?[1-9]\d{{0,2}}(?:(,)\d{{3}}){{2,}}")


def has_thousands(value: str) -> bool:
    """Return whether a value has spaces between groups of three digits."""
    return re.match(_GROUPED, value) is not None


def mark_of(value: str) -> str | None:
    """Return the decimal mark that a value shows, None if it shows none."""
    match = _MARKED.fullmatch(value)
    return match and (match[1] or match[2])


def is_missing(text: pl.Expr) -> pl.Expr:
    """Return whether a trimmed text stands for no value (Boolean; null counts as missing)."""
    return text.is_null() | text.str.to_lowercase().is_in(MISSING)


def parse_number(text: pl.Expr, kind: Kind, decimal_mark: str) -> pl.Expr:
    """Return trimmed text as Float64, or as Int64 for identifiers and whole numbers; null where it is no such number.

    Identifiers may not begin with 0: the zeros would be lost, and two customers might become one.
    """
    mark = re.escape(decimal_mark)
    grouped = text.str.contains(_GROUPED)
    plain = pl.when(grouped).then(text.str.replace_all(rf"[{_GROUP_SPACES}]", "")).otherwise(text)
    if kind is Kind.NUMBER:
        number = rf"^[+-]?\d+(?:{mark}\d+)?(?:[eE][+-]?\d{{1,3}})?$"
        return (
            pl.when(plain.str.contains(number))
            .then(plain.str.replace(decimal_mark, ".", literal=True))
            .cast(pl.Float64, strict=False)
        )
    digits = r"[1-9]\d*" if kind is Kind.IDENTIFIER else r"\d+"
    whole = rf"^([+-]?{digits})(?:{mark}0+)?$"
    return plain.str.extract(whole, 1).str.strip_prefix("+").cast(pl.Int64, strict=False)
