"""The conditions of segments: a closed part of SQL over named columns, checked before anything runs.

A condition comes from a file that anyone may edit. It is read token by token against a list of what is allowed; there
are no functions, no subqueries, no comments and no names but those of the columns, so that it can neither read files
nor run anything. Only then is it handed to Polars, which parses it and tries it on one row.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

import polars as pl

from schemas.features import CATEGORICAL_FEATURES, NUMERIC_FEATURES

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST: Final = 1000  # characters; deeper nesting than that could hold is of no use to a person
WORDS: Final = {
    feature.name: {**feature.vocabulary.values, **{word: word for word in feature.words}}
    for feature in CATEGORICAL_FEATURES
}
"""Column -> what may stand in quotes beside it -> its ASCII name: the shop's words, and the ASCII names themselves."""

CONDITION_COLUMNS: Final[dict[str, pl.DataType]] = {
    **{feature.name: pl.Float64() for feature in NUMERIC_FEATURES},
    **{feature.name: feature.dtype for feature in CATEGORICAL_FEATURES},
    "decline_probability": pl.Float64(),
    "risk_decile": pl.Int8(),
    "monthly_profit": pl.Float64(),
    "profit_at_risk": pl.Float64(),
    "contact_allowed": pl.Boolean(),
    "high_risk": pl.Boolean(),
    "high_profit": pl.Boolean(),
    "high_promo": pl.Boolean(),
}
"""Column -> dtype of what a condition may name. None is ever null."""

_ALLOWED: Final = "columns, numbers, words in single quotes, comparisons, arithmetic, AND, OR, NOT, IN, BETWEEN"
_KEYWORDS: Final = {"AND", "OR", "NOT", "IN", "BETWEEN", "TRUE", "FALSE"}
_TOKENS: Final = re.compile(
    r"""
    (?P<space> \s+ )
  | (?P<comment> -- | /\* )
  | (?P<number> \d+ (?: \.\d+ )? (?: [eE][+-]?\d+ )? (?![\w.]) )
  | (?P<word> '[^']*' )
  | (?P<name> [A-Za-z_][A-Za-z0-9_]* )
  | (?P<operator> <> | != | <= | >= | == | [=<>+\-*/(),] )
  | (?P<other> [^\x00-\x7F\s][^\x00-\x7F\s\w]*(?:_[^\x00-\x7F\s\w]+)* | . )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)


_COLUMN: Final = r"\b(?P<column>promo_share|decline_probability)"
_NUMBER: Final = r"\d+(?:\.\d+)?"
_COMPARED: Final = r"\s*(?:<>|!=|<=|>=|==|[=<>])\s*"
_SHARES: Final = (
    re.compile(rf"{_COLUMN}{_COMPARED}(?P<first>{_NUMBER})"),
    re.compile(rf"(?P<first>{_NUMBER}){_COMPARED}{_COLUMN}"),
    re.compile(rf"{_COLUMN}\s+(?:NOT\s+)?BETWEEN\s+(?P<first>{_NUMBER})\s+AND\s+(?P<second>{_NUMBER})", re.IGNORECASE),
)
"""Comparisons of a column that is a share with numbers."""


class ConditionError(ValueError):
    """A condition is refused: what was found, and a kind of `job.scoring.mistakes.kinds` with its values."""

    def __init__(self, found: str, kind: str, **values: object) -> None:
        super().__init__(found, kind, values)
        self.found = found
        self.kind = kind
        self.values = values


def parse_condition(text: str) -> pl.Expr:
    """Return a condition as an expression (Boolean) over `CONDITION_COLUMNS`. Raises ConditionError."""
    if len(text) > LONGEST:
        raise ConditionError(f"{len(text):,} characters", "condition_length", most=LONGEST)
    tokens = list(_TOKENS.finditer(text))
    for compared in (match.groupdict() for pattern in _SHARES for match in pattern.finditer(text)):
        column = compared.pop("column")
        for number in compared.values():
            if float(number) > 1:
                raise ConditionError(f"{column} beside {number}", "condition_share", column=column)
    known = {word: name for match in tokens for word, name in WORDS.get(match[0], {}).items()}
    sql = "".join(_translated(match, text, known) for match in tokens)
    customer = _one_customer()
    try:
        expression = pl.sql_expr(sql)
        outcome = customer.select(holds=expression)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = str(error).partition("\n")[0]
        raise ConditionError(text, "condition_reason", reason=reason) from error
    if outcome.schema["holds"] != pl.Boolean:
        raise ConditionError(text, "condition_boolean")
    return expression


def is_always_true(text: str) -> bool:
    """Return whether a condition is the word `true`: the segment that takes all the others."""
    return text.strip().upper() == "TRUE"


def _translated(match: re.Match[str], text: str, known: Mapping[str, str]) -> str:
    """Return a token as Polars shall read it."""
    token = match[0]
    match match.lastgroup:
        case "name":
            if token.upper() in _KEYWORDS or token in CONDITION_COLUMNS:
                return token
            if text[match.end() :].lstrip().startswith("("):
                raise ConditionError(f"{token}(…)", "condition_function", allowed=_ALLOWED)
            raise ConditionError(token, "condition_column", known=", ".join(CONDITION_COLUMNS))
        case "word":
            # Polars compares a column with a word that it cannot hold, which would be an empty segment.
            if token[1:-1] in known:
                return f"'{known[token[1:-1]]}'"
            if words := [word for column in WORDS if column in text for word in WORDS[column]]:
                raise ConditionError(token, "condition_word", known=", ".join(words))
            raise ConditionError(token, "condition_lone_word", known=" or ".join(WORDS))
        case "comment" | "other":
            raise ConditionError(token, "condition_token", allowed=_ALLOWED)
    return token


@cache
def _one_customer() -> pl.DataFrame:
    values = {
        name: dtype.categories[0] if isinstance(dtype, pl.Enum) else True if dtype == pl.Boolean else 1
        for name, dtype in CONDITION_COLUMNS.items()
    }
    one = pl.DataFrame({name: [value] for name, value in values.items()}, schema=CONDITION_COLUMNS)
    # A first query: where Polars cannot run any, for want of memory or threads, no condition is to blame.
    return one.select(pl.all())
