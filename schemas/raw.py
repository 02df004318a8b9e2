"""The rules of the four tables, once their headings and words are ASCII and their numbers are numbers.

Each rule is named as the fact that it states, and that name is what `rejected.csv` and messages say; `schemas.checks`
has them as Pandera checks them.

The ranges are what is true of the shop's real export, or must be true by meaning (a share is within 0..1; a month has
at most 44,640 minutes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from schemas.vocabulary import Heading, Kind, Words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MINUTES_PER_MONTH: Final = 31 * 24 * 60
ID_DIGITS: Final = 18

DTYPES: Final[dict[Kind, pl.DataType]] = {
    Kind.IDENTIFIER: pl.Int64(),
    Kind.WHOLE: pl.Int64(),
    Kind.NUMBER: pl.Float64(),
}
"""Kind -> dtype of its columns; those of words have the dtype of their words."""


def dtype_of(heading: Heading) -> pl.DataType:
    """Return the dtype of a column whose rules are still to be checked."""
    return DTYPES[heading.kind] if heading.words is None else heading.words.dtype


def accepted_dtype(heading: Heading) -> pl.DataType:
    """Return the dtype of a column once its rules hold: a narrower one may then have all its values."""
    return pl.Int32() if heading.kind is Kind.WHOLE else dtype_of(heading)


class Rule(NamedTuple):
    """What must be true of each value of a column.

    Args:
        fact: what it is called.
        low: the lowest value, if there is one.
        high: the highest value, if there is one.
    """

    fact: str
    low: float | None = None
    high: float | None = None

    def holds(self, column: pl.Expr) -> pl.Expr:
        """Return where the rule holds (Boolean)."""
        if self.low is None and self.high is None:
            return column.is_finite()
        if self.low is None:
            return column <= self.high
        return column >= self.low if self.high is None else column.is_between(self.low, self.high)


_NOT_NEGATIVE: Final = Rule("is not negative", low=0)
FINITE: Final = Rule("is finite")


def _at_most(limit: int, why: str) -> Rule:
    return Rule(f"is at most {limit:,} ({why})", high=limit)


RULES: Final[Mapping[str, Sequence[Rule]]] = {
    "id": [Rule(f"is positive and has at most {ID_DIGITS} digits", 1, 10**ID_DIGITS - 1)],
    "contacts_6_months": [_NOT_NEGATIVE, FINITE],
    "contacts_current_month": [_NOT_NEGATIVE, _at_most(10_000, "contacts in a month")],
    "registered_days": [_NOT_NEGATIVE, _at_most(36_525, "days in a century")],
    "promo_share": [Rule("is within 0..1", 0, 1)],
    "categories_per_visit": [_NOT_NEGATIVE, _at_most(10_000, "categories in a visit")],
    "unpaid_items_quarter": [_NOT_NEGATIVE, _at_most(1_000_000, "items in a quarter")],
    "service_errors": [_NOT_NEGATIVE, _at_most(1_000_000, "errors in a quarter")],
    "pages_per_visit": [_NOT_NEGATIVE, _at_most(1_000_000, "pages in a visit")],
    "revenue": [_NOT_NEGATIVE, FINITE],
    "minutes": [_NOT_NEGATIVE, _at_most(MINUTES_PER_MONTH, "minutes in a month")],
    "monthly_profit": [FINITE],
}
"""Column -> its rules. The schemas of `schemas.checks` say of each value which it breaks."""


def keeps_rules(heading: Heading) -> pl.Expr:
    """Return whether a value keeps all rules of its column in `schemas.checks` (Boolean), in one expression.

    It only tells whether the schema has anything to say of a value; what that is, the schema says.
    """
    value = pl.col(heading.name)
    return pl.all_horizontal(value.is_not_null(), *(rule.holds(value) for rule in RULES.get(heading.name, ())))


def words_rule(words: Words) -> str:
    """Return the rule that a value is one of these words, as the fact that it states."""
    return f"is one of: {', '.join(words.values)}"
