"""Pandera schemas of the four tables, once their headings and words are ASCII and their numbers are numbers.

Each rule is named as the fact that it states, and that name is what `rejected.csv` and messages say. Pandera checks
values only on an eager frame: hand these schemas a `DataFrame`, never a `LazyFrame`.

The ranges are what is true of the shop's real export, or must be true by meaning (a share is within 0..1; a month has
at most 44,640 minutes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandera.polars as pa
import polars as pl

from schemas.vocabulary import MARKET_FILE, MARKET_MONEY, MARKET_TIME, MONEY, UNKNOWN, Heading, Kind, Table, Words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MINUTES_PER_MONTH: Final = 31 * 24 * 60
ID_DIGITS: Final = 18

DTYPES: Final[dict[Kind, pl.DataType]] = {
    Kind.IDENTIFIER: pl.Int64(),
    Kind.WHOLE: pl.Int64(),
    Kind.NUMBER: pl.Float64(),
    Kind.WORD: pl.String(),
}


def narrow_dtypes(headings: Sequence[Heading]) -> dict[str, pl.DataType]:
    """Return narrower dtypes that hold all values that the rules let into a column, for rows that wait on disk."""
    return {heading.name: _narrow(heading) for heading in headings}


def _narrow(heading: Heading) -> pl.DataType:
    if heading.words is not None:
        return pl.Enum([*heading.words.names, UNKNOWN])
    return pl.Int32() if heading.kind is Kind.WHOLE else DTYPES[heading.kind]


def _fact(check: pa.Check, fact: str) -> pa.Check:
    """Name a check by the fact it states: Pandera reports that name for each failing value."""
    check.error = fact
    return check


def _not_negative() -> pa.Check:
    return _fact(pa.Check.ge(0), "is not negative")


def _at_most(limit: float, why: str) -> pa.Check:
    return _fact(pa.Check.le(limit), f"is at most {limit:,} ({why})")


def _between(low: float, high: float) -> pa.Check:
    return _fact(pa.Check.in_range(low, high), f"is within {low}..{high}")


def _finite() -> pa.Check:
    return _fact(pa.Check(lambda data: data.lazyframe.select(pl.col(data.key).is_finite())), "is finite")


_CHECKS: Final[Mapping[str, Sequence[pa.Check]]] = {
    "id": [_fact(pa.Check.in_range(1, 10**ID_DIGITS - 1), f"is positive and has at most {ID_DIGITS} digits")],
    "contacts_6_months": [_not_negative(), _finite()],
    "contacts_current_month": [_not_negative(), _at_most(10_000, "contacts in a month")],
    "registered_days": [_not_negative(), _at_most(36_525, "days in a century")],
    "promo_share": [_between(0, 1)],
    "categories_per_visit": [_not_negative(), _at_most(10_000, "categories in a visit")],
    "unpaid_items_quarter": [_not_negative(), _at_most(1_000_000, "items in a quarter")],
    "service_errors": [_not_negative(), _at_most(1_000_000, "errors in a quarter")],
    "pages_per_visit": [_not_negative(), _at_most(1_000_000, "pages in a visit")],
    "revenue": [_not_negative(), _finite()],
    "minutes": [_not_negative(), _at_most(MINUTES_PER_MONTH, "minutes in a month")],
    "monthly_profit": [_finite()],
}


def _column(heading: Heading) -> pa.Column:
    checks = list(_CHECKS.get(heading.name, ()))
    if heading.words is not None:
        allowed = [*heading.words.names, UNKNOWN] if heading.words.unknown_is_scored else heading.words.names
        checks.append(_fact(pa.Check.isin(allowed), words_rule(heading.words)))
    return pa.Column(DTYPES[heading.kind], checks, nullable=False)


def words_rule(words: Words) -> str:
    """Return the rule that a value is one of these words, as the fact that it states."""
    return f"is one of: {', '.join(words.values)}"


def rows_schema(table: Table, *, labelled: bool) -> pa.DataFrameSchema:
    """Return the rules that each row of `table` must keep by itself.

    Columns: those of `table` in ASCII, in the order delivered, with the label only if `labelled`; none may be null.
    """
    columns = {heading.name: _column(heading) for heading in table.expected(labelled=labelled)}
    return pa.DataFrameSchema(columns, strict=True, ordered=True, name=table.name)


def table_schema(table: Table, *, labelled: bool) -> pa.DataFrameSchema:
    """Return the rules of a whole accepted table: those of its rows, and that its key is unique."""
    schema = rows_schema(table, labelled=labelled)
    schema.unique = list(table.key)
    return schema


__all__ = [
    "DTYPES",
    "MARKET_FILE",
    "MARKET_MONEY",
    "MARKET_TIME",
    "MONEY",
    "narrow_dtypes",
    "rows_schema",
    "table_schema",
    "words_rule",
]
