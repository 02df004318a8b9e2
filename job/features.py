"""Four tables become one row per customer: the feature frame, and the customers that cannot have one.

Training and scoring call the same functions; nothing here knows which of the two is running.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

import polars as pl

from job.errors import DropError
from schemas.columns import MARKET_FILE
from schemas.features import CATEGORICAL_FEATURES, NUMERIC_FEATURES, check_features
from schemas.vocabulary import PERIODS_OF_MINUTES, PERIODS_OF_REVENUE

INACTIVE_MONTH: Final = "not active for three months: a month without revenue"
NO_REVENUE_ROW: Final = "no accepted revenue row for a month"
NO_MINUTES_ROW: Final = "no accepted minutes row for a month"
NO_PROFIT_ROW: Final = "no accepted profit row"
EXCLUSIONS: Final = {
    INACTIVE_MONTH: "не были активны все три месяца: есть месяц без выручки",
    NO_REVENUE_ROW: "нет пригодной строки выручки за один из месяцев",
    NO_MINUTES_ROW: "нет пригодной строки минут за один из месяцев",
    NO_PROFIT_ROW: "нет пригодной строки прибыли",
}
"""Reason -> as people read it."""


def join_tables(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return all that is known of each customer of the accepted tables, whose keys are unique, in one row.

    One row per row of `market_file`, ordered by `id`; its columns, then `revenue_<period>`, `minutes_<period>` and
    `monthly_profit`, each null where the customer has no such row.
    """
    joined = _by_id(tables["market_file"])
    for values in (
        *_by_month(tables["market_money"], "revenue", PERIODS_OF_REVENUE),
        *_by_month(tables["market_time"], "minutes", PERIODS_OF_MINUTES),
        tables["money"].select("id", "monthly_profit"),
    ):
        joined = joined.join(_by_id(values), on="id", how="left", maintain_order="left")
    return joined


@cache
def exclusion_reason() -> pl.Expr:
    """Return why a joined customer is not scored (String), null for one who is."""
    revenue = [pl.col(f"revenue_{period}") for period in PERIODS_OF_REVENUE]
    minutes = [pl.col(f"minutes_{period}") for period in PERIODS_OF_MINUTES]
    return (
        pl.when(pl.any_horizontal(column.is_null() for column in revenue))
        .then(pl.lit(NO_REVENUE_ROW))
        .when(pl.any_horizontal(column.is_null() for column in minutes))
        .then(pl.lit(NO_MINUTES_ROW))
        .when(pl.col("monthly_profit").is_null())
        .then(pl.lit(NO_PROFIT_ROW))
        .when(pl.any_horizontal(column == 0 for column in revenue))
        .then(pl.lit(INACTIVE_MONTH))
    )


def split_customers(tables: Mapping[str, pl.DataFrame]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the customers of a whole drop that can be scored, joined, and `id` and `reason` of the others.

    Both are ordered by `id`. Args: tables: as for `join_tables`. Raises DropError if no customer can be scored.
    """
    kept, excluded = split_range(tables)
    check_some_scored(kept.height, count_reasons(excluded))
    return kept.rechunk(), excluded  # the last bits of a sum depend on chunks, and these on the machine's cores


def split_range(tables: Mapping[str, pl.DataFrame]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the same as `split_customers` of some customers of a drop; there may be none that can be scored."""
    joined = join_tables(tables).with_columns(exclusion_reason().alias("reason"))
    excluded = joined.filter(pl.col("reason").is_not_null()).select("id", "reason")
    return joined.filter(pl.col("reason").is_null()).drop("reason"), excluded


def check_some_scored(scored: int, reasons: Mapping[str, int]) -> None:
    """Raise DropError if no customer of a drop can be scored. Args: reasons: reason -> customers that cannot."""
    if not scored:
        listed = ", ".join(f"{count:,} x «{reason}»" for reason, count in order_reasons(reasons).items())
        raise DropError(f"no customer of {MARKET_FILE.name} can be scored: {listed}")


def count_reasons(excluded: pl.DataFrame) -> dict[str, int]:
    """Return reason -> customers, the most frequent first."""
    return order_reasons(dict(excluded["reason"].value_counts().iter_rows()))


def order_reasons(reasons: Mapping[str, int]) -> dict[str, int]:
    """Return the same with the most frequent reason first."""
    return dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))


def make_features(customers: pl.DataFrame) -> pl.DataFrame:
    """Return the feature frame of joined customers (`FEATURES`), one row each, in their order.

    Raises pandera's SchemaErrors where a feature is missing or not finite: a defect of the job.
    """
    features = customers.select(feature_columns())
    check_features(features)
    return features


@cache
def feature_columns() -> tuple[pl.Expr, ...]:
    """Return the expressions that turn a joined customer into the feature frame, in its order."""
    numbers = (feature.formula.cast(pl.Float64).alias(feature.name) for feature in NUMERIC_FEATURES)
    return (*numbers, *(pl.col(feature.name) for feature in CATEGORICAL_FEATURES))


def _by_id(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows in the order of `id`, which says so: joined like this, they are merged, five times as fast."""
    return rows.with_columns(pl.col("id").set_sorted()) if rows["id"].is_sorted() else rows.sort("id")


def _by_month(rows: pl.DataFrame, value: str, periods: tuple[str, ...]) -> list[pl.DataFrame]:
    """Return for each period its (id, period, value) rows as `id` and `<value>_<period>`."""
    return [
        rows.lazy()
        .filter(pl.col("period") == period)
        .select("id", pl.col(value).alias(f"{value}_{period}"))
        .collect(engine="in-memory")
        for period in periods
    ]
