"""Deciles and the budget's reach, found from ordered frames, are those of the whole run."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from job.scoring.cutoffs import (
    Cutoffs,
    add_bins,
    count_bins,
    find_affordable,
    find_places,
    last_ranks,
    order_bin,
    order_by_risk,
)

unhurried = settings(deadline=None, max_examples=60)


def parted(frame: pl.DataFrame, step: int) -> list[pl.DataFrame]:
    return [frame.slice(start, step) for start in range(0, frame.height, step)]


@unhurried
@given(st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.50001, 1.0]), min_size=1, max_size=70), st.integers(1, 20))
def test_deciles_are_ranks(probabilities: list[float], step: int) -> None:
    scores = pl.DataFrame({"id": range(1, len(probabilities) + 1), "decline_probability": probabilities})
    ordered = order_by_risk(scores)
    bins = add_bins(count_bins(part) for part in parted(ordered, step))
    cutoffs = Cutoffs(
        find_places(bins, last_ranks(scores.height), lambda numbers: ordered.filter(order_bin().is_in(numbers)))
    )
    by_risk = sorted(scores.rows(), key=lambda row: (-row[1], row[0]))
    expected = {own: rank * 10 // len(by_risk) + 1 for rank, (own, _) in enumerate(by_risk)}
    found = scores.select("id", cutoffs.risk_decile())
    assert dict(found.iter_rows()) == expected
    assert found.schema["risk_decile"] == pl.Int8


@unhurried
@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(0, 9)), max_size=40), st.integers(0, 100))
def test_the_reach_is_where_the_sum_passes_the_budget(candidates: list[tuple[float, int]], budget: int) -> None:
    frame = pl.DataFrame(
        {
            "order": [order for order, _ in candidates],
            "id": range(1, len(candidates) + 1),
            "cost_parts": [cost for _, cost in candidates],
        },
        schema={"order": pl.Float64, "id": pl.Int64, "cost_parts": pl.Int64},
    ).sort("order", "id")
    last, beyond = find_affordable(frame, budget)
    is_reached = pl.col("cost_parts").cum_sum() <= budget
    reached = [] if last is None else frame.filter(~last.is_before(pl.col("order")))["id"].to_list()
    assert reached == frame.filter(is_reached)["id"].to_list()
    assert ([] if beyond is None else [beyond.id]) == frame.filter(~is_reached)["id"].to_list()[:1]
