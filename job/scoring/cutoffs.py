"""What only shows over a whole run: where it is cut into deciles, and how far its budget reaches.

Exactly, without ordering the run: values are counted in bins that keep their order, and only the bins where a cut lies
are looked into. Each customer is then placed by comparison with a few others, range by range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from job.rounding import with_one_zero

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Fetch = Callable[[Sequence[int]], pl.DataFrame]

RISK_ORDER: Final = pl.Schema({"order": pl.Float64(), "id": pl.Int64()})
"""Customers by risk: `order` is the probability with its sign turned, so that the highest comes first."""
SPENDING_ORDER: Final = pl.Schema({"order": pl.Float64(), "id": pl.Int64(), "cost_parts": pl.Int64()})
"""Candidates of a campaign by expected value per cost, with its sign turned; and what contacting them costs."""

DECILES: Final = 10
BIN_BITS: Final = 44  # of a Float64 that do not count: bins are 2^8 steps from a power of two to the next
HISTOGRAM: Final = pl.Schema({"bin": pl.Int64(), "rows": pl.Int64(), "cost_parts": pl.Int64()})

_ONE_ZERO: Final = with_one_zero(pl.col("order"))
"""`order` without -0.0, which sorting would put before 0.0."""


class Place(NamedTuple):
    """A customer's place in an order: by `order`, then by `id`, both ascending."""

    order: float
    id: int

    def is_before(self, order: pl.Expr) -> pl.Expr:
        """Return whether this place is before each row's (Boolean), of its order and the column `id`."""
        return (order > self.order) | ((order == self.order) & (pl.col("id") > self.id))


class Cutoffs(NamedTuple):
    """Where a run is cut: the last customers of the deciles 1 to 9, by `RISK_ORDER`, and how far the budget reaches.

    That is the last customer whom it reaches (None: nobody), and the first beyond (None: all are reached).
    """

    deciles: tuple[Place, ...]
    budget: Place | None = None
    beyond_budget: Place | None = None

    def risk_decile(self) -> pl.Expr:
        """Return `risk_decile` (Int8): 1 for the tenth of the highest risk, to 10; equal probabilities go by `id`."""
        order = -pl.col("decline_probability")
        below = pl.sum_horizontal(cutoff.is_before(order).cast(pl.Int8) for cutoff in self.deciles)
        return (below + 1).cast(pl.Int8).alias("risk_decile")


def order_by_risk(scores: pl.DataFrame) -> pl.DataFrame:
    """Return `RISK_ORDER` of each customer. Args: scores: `id` and `decline_probability`."""
    return scores.select((-pl.col("decline_probability")).alias("order"), "id")


def last_ranks(customers: int) -> list[int]:
    """Return the rank (from 0, by `RISK_ORDER`) of the last customer of each of the deciles 1 to 9."""
    # Decile k holds the ranks below k x customers / 10; the last of them is one less than that, rounded up.
    return [-(-decile * customers // DECILES) - 1 for decile in range(1, DECILES)]


class Reach(NamedTuple):
    """How far a budget reaches: the last customer whom it does (None: nobody), the first whom not (None: all are)."""

    last: Place | None
    beyond: Place | None


def find_affordable(ordered: pl.DataFrame, budget_parts: int) -> Reach:
    """Return how far a budget (in `cost_parts`) reaches: to the customer before the first that it cannot pay."""
    places = ordered.select("order", "id")
    reached = int((ordered["cost_parts"].cum_sum() <= budget_parts).sum())
    return Reach(
        Place(*places.row(reached - 1)) if reached else None,
        Place(*places.row(reached)) if reached < places.height else None,
    )


def order_bin() -> pl.Expr:
    """Return the bin (Int64) of `order` (Float64, never NaN): a lower value is never in a higher bin."""
    bits = _ONE_ZERO.reinterpret(dtype=pl.Int64)
    # The bits of negative numbers ascend with their size.
    ascending = pl.when(bits < 0).then(-(bits & (2**63 - 1)) - 1).otherwise(bits)
    return (ascending // (1 << BIN_BITS)).alias("bin")


def count_bins(ordered: pl.DataFrame) -> pl.DataFrame:
    """Return the `HISTOGRAM` of rows with `order` and perhaps `cost_parts`."""
    cost = pl.col("cost_parts").sum() if "cost_parts" in ordered.columns else pl.lit(0, pl.Int64).alias("cost_parts")
    counts = ordered.group_by(order_bin()).agg(pl.len().cast(pl.Int64).alias("rows"), cost)
    return counts.cast(HISTOGRAM).select(HISTOGRAM.names())


def add_histograms(*histograms: pl.DataFrame) -> pl.DataFrame:
    """Return the sum of histograms (`HISTOGRAM`), by `bin`."""
    total = pl.concat([HISTOGRAM.to_frame(), *histograms])
    return total.group_by("bin").agg(pl.col("rows", "cost_parts").sum()).sort("bin")


def add_bins(histograms: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return the sum of histograms, by `bin`, with the sums before each bin: `rows_before`, `cost_before`."""
    return add_histograms(*histograms).with_columns(
        (pl.col("rows").cum_sum() - pl.col("rows")).alias("rows_before"),
        (pl.col("cost_parts").cum_sum() - pl.col("cost_parts")).alias("cost_before"),
    )


def find_places(bins: pl.DataFrame, ranks: Sequence[int], fetch: Fetch) -> tuple[Place, ...]:
    """Return the customers of some ascending ranks from 0; `fetch` gives all rows (`order`, `id`) of some bins."""
    holders = [bins.row(int(bins["rows_before"].search_sorted(rank, side="right")) - 1, named=True) for rank in ranks]
    wanted = sorted({holder["bin"] for holder in holders})
    rows = _in_order(fetch(wanted)).with_columns(order_bin())
    by_bin = {number: rows.filter(pl.col("bin") == number) for number in wanted}
    places = []
    for rank, holder in zip(ranks, holders, strict=True):
        part = by_bin[holder["bin"]]
        if part.height != holder["rows"]:
            raise AssertionError(f"{part.height} rows in a bin of {holder['rows']}")
        places.append(Place(*part.select("order", "id").row(rank - holder["rows_before"])))
    return tuple(places)


def find_last_affordable(bins: pl.DataFrame, budget_parts: int, fetch: Fetch) -> Reach:
    """Return what `find_affordable` does, of all rows that were counted; `fetch` gives all rows of some bins."""
    if bins.is_empty():
        return Reach(None, None)
    ends = bins["cost_before"] + bins["cost_parts"]
    last = min(int((ends <= budget_parts).sum()), bins.height - 1)  # where the budget ends, or all do
    first = max(0, last - 1)
    wanted = bins["bin"][first : last + 1].to_list()
    rows = _in_order(fetch(wanted).select(SPENDING_ORDER.names()))
    return find_affordable(rows, budget_parts - bins["cost_before"][first])


def _in_order(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows by `order`, then `id`. Both zeros are equal, which sorting does not know."""
    return rows.with_columns(_ONE_ZERO).sort("order", "id")
