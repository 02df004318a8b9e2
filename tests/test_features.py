from __future__ import annotations

from pathlib import Path

import pandera.polars as pa
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from job.errors import DropError
from job.features import (
    INACTIVE_MONTH,
    NO_MINUTES_ROW,
    NO_PROFIT_ROW,
    NO_REVENUE_ROW,
    count_reasons,
    join_tables,
    make_features,
    split_customers,
)
from job.intake.drop import find_files
from job.intake.reconcile import accept_drop
from job.settings import Limits
from schemas.columns import MARKET_FILE
from schemas.features import CATEGORICAL_FEATURES, FEATURE_NAMES, check_features

BEHAVIOUR = {
    "service_type": "standard",
    "consent": "yes",
    "contacts_6_months": 4.2,
    "contacts_current_month": 4,
    "registered_days": 500,
    "promo_share": 0.25,
    "favourite_category": "kitchenware",
    "categories_per_visit": 3,
    "unpaid_items_quarter": 2,
    "service_errors": 4,
    "pages_per_visit": 8,
}
MONTHS = ("current_month", "previous_month", "month_before_previous")


def drop(
    revenue: dict[int, list[float | None]], minutes: dict[int, list[int]], profit: list[int]
) -> dict[str, pl.DataFrame]:
    """Tables of the customers of `revenue`; a month with None has no row."""
    return {
        "market_file": pl.DataFrame(
            [{"id": own, **BEHAVIOUR} for own in revenue],
            schema_overrides={heading.name: heading.words.dtype for heading in MARKET_FILE.headings if heading.words},
        ).drop("activity", strict=False),
        "market_money": pl.DataFrame(
            [
                {"id": own, "period": month, "revenue": value}
                for own, values in revenue.items()
                for month, value in zip(MONTHS, values, strict=True)
                if value is not None
            ]
        ),
        "market_time": pl.DataFrame(
            [
                {"id": own, "period": month, "minutes": value}
                for own, values in minutes.items()
                for month, value in zip(MONTHS, values, strict=False)
            ]
        ),
        "money": pl.DataFrame({"id": profit, "monthly_profit": [4.0] * len(profit)}),
    }


def test_customers_are_split_by_reason() -> None:
    tables = drop(
        {5: [1.0, 2.0, 4.0], 4: [1.0, 0.0, 4.0], 3: [1.0, None, 4.0], 2: [1.0, 2.0, 4.0], 1: [1.0, 2.0, 4.0]},
        {5: [10, 20], 4: [10, 20], 3: [10, 20], 2: [10], 1: [10, 20]},
        [5, 4, 3, 2],
    )
    kept, excluded = split_customers(tables)
    assert kept["id"].to_list() == [5]
    assert_frame_equal(
        excluded,
        pl.DataFrame({"id": [1, 2, 3, 4], "reason": [NO_PROFIT_ROW, NO_MINUTES_ROW, NO_REVENUE_ROW, INACTIVE_MONTH]}),
    )
    assert count_reasons(excluded) == {
        NO_MINUTES_ROW: 1,
        NO_PROFIT_ROW: 1,
        NO_REVENUE_ROW: 1,
        INACTIVE_MONTH: 1,
    }


def test_nobody_to_score_is_refused() -> None:
    tables = drop({1: [1.0, 0.0, 4.0], 2: [0.0, 0.0, 4.0]}, {1: [1, 2], 2: [1, 2]}, [1, 2])
    with pytest.raises(DropError) as caught:
        split_customers(tables)
    assert caught.value.problems == (
        "no customer of market_file can be scored: 2 x «not active for three months: a month without revenue»",
    )


def test_the_feature_frame_by_hand() -> None:
    features = make_features(split_customers(drop({7: [3.0, 2.0, 4.0]}, {7: [10, 20]}, [7]))[0])
    assert tuple(features.columns) == FEATURE_NAMES
    assert features.row(0, named=True) == {
        **{name: value for name, value in BEHAVIOUR.items() if name != "consent"},
        "revenue_current_month": 3.0,
        "revenue_previous_month": 2.0,
        "revenue_month_before_previous": 4.0,
        "revenue_change": 0.5,
        "revenue_change_2_months": -0.25,
        "minutes_current_month": 10.0,
        "minutes_previous_month": 20.0,
    }


def test_id_order_profit_consent_and_label_are_no_features() -> None:
    assert not {"id", "row", "monthly_profit", "consent", "activity"} & set(FEATURE_NAMES)


def test_the_order_of_rows_does_not_matter(small_drop: Path, limits: Limits) -> None:
    tables = accept_drop(find_files(small_drop), labelled=False, limits=limits).tables
    turned = {name: table.reverse() for name, table in tables.items()}
    assert_frame_equal(join_tables(turned), join_tables(tables))


def test_a_feature_that_is_not_finite_is_refused() -> None:
    features = make_features(split_customers(drop({7: [3.0, 2.0, 4.0]}, {7: [10, 20]}, [7]))[0])
    with pytest.raises(pa.errors.SchemaErrors):
        check_features(features.with_columns(revenue_change=pl.lit(float("inf"))))
    with pytest.raises(pa.errors.SchemaErrors):
        check_features(features.with_columns(pl.col(CATEGORICAL_FEATURES[0].name).cast(pl.String)))
