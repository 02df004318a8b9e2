"""The contracts as Pandera checks them: of each value that breaks a rule, it says which one.

Each rule is named as the fact that it states, and that name is what `rejected.csv` and messages say. Pandera checks
values only on an eager frame: hand these schemas a `DataFrame`, never a `LazyFrame`.

Pandera takes as long to load as Polars, and to ask as all else: whether there is anything to ask, one expression tells
(`keeps_rules`, `check_features`, `check_scored`), and this module is only loaded then.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import pandera.polars as pa
import polars as pl

from schemas.features import CATEGORICAL_FEATURES, FEATURE_DTYPES, NUMERIC_FEATURES
from schemas.raw import FINITE, RULES, Rule, dtype_of, words_rule
from schemas.scored import CAMPAIGN_GROUPS, MAY_BE_NULL, SCORED_DTYPES
from schemas.vocabulary import TABLES, UNKNOWN, Heading, Table

if TYPE_CHECKING:
    from collections.abc import Collection


def rows_schema(table: Table, *, labelled: bool, only: Collection[str] | None = None) -> pa.DataFrameSchema:
    """Return the rules that each row of `table` must keep by itself.

    Columns: those of `table` in ASCII, in the order delivered, with the label only if `labelled`; none may be null.

    Args:
        table: whose rules.
        labelled: whether the label column is there.
        only: the rules of these columns alone.
    """
    headings = table.expected(labelled=labelled)
    return _rows_schema(table.name, tuple(h.name for h in headings if only is None or h.name in only))


@cache
def _rows_schema(name: str, columns: tuple[str, ...]) -> pa.DataFrameSchema:
    table = TABLES[name]
    rules = {column: _column(table.heading(column)) for column in columns}
    return pa.DataFrameSchema(rules, strict=True, ordered=True, name=name)


def table_schema(table: Table, *, labelled: bool) -> pa.DataFrameSchema:
    """Return the rules of a whole accepted table: those of its rows, and that its key is unique."""
    rows = rows_schema(table, labelled=labelled)
    return pa.DataFrameSchema(rows.columns, strict=True, ordered=True, name=table.name, unique=list(table.key))


def _column(heading: Heading) -> pa.Column:
    checks = [_check(rule) for rule in RULES.get(heading.name, ())]
    if heading.words is not None:
        allowed = [*heading.words.names, UNKNOWN] if heading.words.unknown_is_scored else heading.words.names
        checks.append(pa.Check.isin(allowed, error=words_rule(heading.words)))
    return pa.Column(dtype_of(heading), checks, nullable=False)


def _check(rule: Rule) -> pa.Check:
    return pa.Check(lambda data: data.lazyframe.select(rule.holds(pl.col(data.key))), error=rule.fact)


FEATURE_SCHEMA: Final = pa.DataFrameSchema(
    {
        **{
            feature.name: pa.Column(FEATURE_DTYPES[feature.name], _check(FINITE), nullable=False)
            for feature in NUMERIC_FEATURES
        },
        **{feature.name: pa.Column(feature.dtype, nullable=False) for feature in CATEGORICAL_FEATURES},
    },
    strict=True,
    ordered=True,
    name="features",
)

_OF_SCORED: Final = {
    "decline_probability": pa.Check.in_range(0, 1),
    "risk_decile": pa.Check.in_range(1, 10),
    "campaign_group": pa.Check.isin(CAMPAIGN_GROUPS),
}
SCORED_SCHEMA: Final = pa.DataFrameSchema(
    {
        name: pa.Column(dtype, _OF_SCORED.get(name), nullable=name in MAY_BE_NULL, unique=name == "id")
        for name, dtype in SCORED_DTYPES.items()
    },
    strict=True,
    ordered=True,
    name="scored",
)
