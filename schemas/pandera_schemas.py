"""Contracts as Pandera models, which say of each value that breaks a rule which one it is.

Each check is named as the fact that its rule states. Pandera checks values only on an eager frame: hand these models a
`DataFrame`, never a `LazyFrame`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pandera.polars as pa
import polars as pl

if TYPE_CHECKING:
    from schemas.contract import Contract, Field, Rule


@cache
def pandera_schema(contract: Contract) -> pa.DataFrameSchema:
    """Return a contract as a Pandera model: columns, order, dtypes and all rules."""
    return pa.DataFrameSchema(
        {field.name: _column(field) for field in contract.fields},
        strict=True,
        ordered=True,
        name=contract.name,
        unique=list(contract.unique) or None,
    )


def _column(field: Field) -> pa.Column:
    checks = [_check(rule) for rule in field.rules]
    if field.rises:
        checks.append(pa.Check(_rises, error="is above the one before"))
    return pa.Column(field.dtype, checks, nullable=field.may_be_null)


def _check(rule: Rule) -> pa.Check:
    return pa.Check(lambda data: data.lazyframe.select(rule.holds(pl.col(data.key))), error=rule.fact)


def _rises(data: pa.PolarsData) -> pl.LazyFrame:
    return data.lazyframe.select(pl.col(data.key).diff().fill_null(1) > 0)
