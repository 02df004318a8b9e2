"""Places in an order, found through bins, are those of the whole order."""

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from job.scoring.cutoffs import (
    SPENDING_ORDER,
    Place,
    add_bins,
    add_histograms,
    count_bins,
    find_affordable,
    find_last_affordable,
    find_places,
    order_bin,
)

# Few values tie; neighbours of a bin's edge, both zeros, and infinities are among them.
ORDERS = st.one_of(
    st.sampled_from([0.0, -0.0, -0.5, -1.0, 1.0, -math.inf, math.inf, math.nextafter(1.0, 0), -math.nextafter(1.0, 2)]),
    st.floats(allow_nan=False),
    st.floats(-1, 0),
)
ROWS = st.lists(st.tuples(ORDERS, st.integers(0, 3)), min_size=1, max_size=200)


def frame(rows: list[tuple[float, int]]) -> pl.DataFrame:
    orders, costs = zip(*rows, strict=True)
    return pl.DataFrame({"order": orders, "id": range(len(rows)), "cost_parts": costs}, schema=SPENDING_ORDER)


def in_order(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(pl.when(pl.col("order") == 0).then(0.0).otherwise("order").alias("order")).sort(
        "order", "id"
    )


def fetch(table: pl.DataFrame):  # noqa: ANN201 - a function
    return lambda bins: table.filter(order_bin().is_in(bins)).reverse()


@given(rows=ROWS)
def test_bins_keep_the_order(rows: list[tuple[float, int]]) -> None:
    assert (
        frame(rows)
        .with_columns(pl.when(pl.col("order") == 0).then(0.0).otherwise("order").alias("order"))
        .sort("order")
        .select(order_bin())
        .to_series()
        .is_sorted()
    )


@given(rows=ROWS, cut=st.integers(0, 200))
def test_places_are_those_of_the_whole_order(rows: list[tuple[float, int]], cut: int) -> None:
    table = frame(rows)
    bins = add_bins([count_bins(table.head(cut)), count_bins(table.slice(cut))])
    ranks = [-(-decile * table.height // 10) - 1 for decile in range(1, 10)]
    found = find_places(bins, ranks, fetch(table))
    assert found == tuple(Place(*in_order(table).select("order", "id").row(rank)) for rank in ranks)


@given(rows=ROWS, budget=st.integers(0, 400), cut=st.integers(0, 200))
def test_a_budget_reaches_as_far_as_in_the_whole_order(rows: list[tuple[float, int]], budget: int, cut: int) -> None:
    table = frame(rows)
    bins = add_bins([count_bins(table.head(cut)), count_bins(table.slice(cut))])
    assert find_last_affordable(bins, budget, fetch(table)) == find_affordable(in_order(table), budget)


def test_a_budget_without_candidates_reaches_nobody() -> None:
    assert find_last_affordable(add_bins([]), 5, lambda _: SPENDING_ORDER.to_frame()) == (None, None)


@given(rows=ROWS, cut=st.integers(0, 200))
def test_histograms_add_up(rows: list[tuple[float, int]], cut: int) -> None:
    table = frame(rows)
    total = add_histograms(count_bins(table.head(cut)), count_bins(table.slice(cut)))
    assert_frame_equal(total, count_bins(table).sort("bin"))


def test_rows_that_were_lost_are_a_defect() -> None:
    table = frame([(0.5, 1), (0.25, 1)])
    with pytest.raises(AssertionError, match="0 rows in a bin of 1"):
        find_places(add_bins([count_bins(table)]), [0], lambda _: table.clear())
