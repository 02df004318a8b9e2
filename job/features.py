"""Four tables become one row per customer: the feature frame, and the customers that cannot have one.

Training and scoring call the same functions; nothing here knows which of the two is running.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from schemas.features import FEATURE_NAMES
from schemas.vocabulary import (
    CURRENT_MONTH,
    MONTH_BEFORE_PREVIOUS,
    PERIODS_OF_MINUTES,
    PERIODS_OF_REVENUE,
    PREVIOUS_MONTH,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

INACTIVE_MONTH: Final = "not active for three months: a month without revenue"
NO_REVENUE_ROW: Final = "no accepted revenue row for a month"
NO_MINUTES_ROW: Final = "no accepted minutes row for a month"
NO_PROFIT_ROW: Final = "no accepted profit row"


def join_tables(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Put all that is known of each customer into one row.

    Args:
        tables: the accepted `market_file`, `market_money`, `market_time` and `money`, keys unique.

    Returns:
        One row per row of `market_file`, ordered by `id`; its columns, then `revenue_<period>`, `minutes_<period>` and
        `monthly_profit`, each null where the customer has no such row.
    """
    customers = tables["market_file"].sort("id")
    revenue = _by_month(tables["market_money"], "revenue", PERIODS_OF_REVENUE)
    minutes = _by_month(tables["market_time"], "minutes", PERIODS_OF_MINUTES)
    return (
        customers.join(revenue, on="id", how="left", maintain_order="left")
        .join(minutes, on="id", how="left", maintain_order="left")
        .join(tables["money"], on="id", how="left", maintain_order="left")
    )


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


def feature_columns() -> list[pl.Expr]:
    """Return the expressions that turn a joined customer into the feature frame, in its order.

    Changes of revenue are relative (this month / last month - 1), because baskets differ in size; changes of minutes
    and contacts are differences, because both may be 0. A scored customer has no month without revenue, so that no
    ratio divides by 0.
    """
    current, previous, before = (
        pl.col(f"revenue_{period}") for period in (CURRENT_MONTH, PREVIOUS_MONTH, MONTH_BEFORE_PREVIOUS)
    )
    minutes_current, minutes_previous = (pl.col(f"minutes_{period}") for period in (CURRENT_MONTH, PREVIOUS_MONTH))
    derived = {
        "contacts_change": pl.col("contacts_current_month") - pl.col("contacts_6_months"),
        "revenue_change": current / previous - 1,
        "revenue_previous_change": previous / before - 1,
        "minutes_change": minutes_current - minutes_previous,
    }
    words = {"service_type", "favourite_category"}
    return [
        pl.col(name) if name in words else derived.get(name, pl.col(name)).cast(pl.Float64).alias(name)
        for name in FEATURE_NAMES
    ]


def _by_month(rows: pl.DataFrame, value: str, periods: tuple[str, ...]) -> pl.DataFrame:
    """Spread (id, period, value) rows to one row per id with a column `<value>_<period>` for each period."""
    return rows.group_by("id").agg(
        pl.col(value).filter(pl.col("period") == period).first().alias(f"{value}_{period}") for period in periods
    )
