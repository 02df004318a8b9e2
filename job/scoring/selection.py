"""The customers at certain places of an order over a whole run, exactly, without ordering the run.

The order's values are counted in bins that keep their order; only the bins where a place lies are looked into.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from job.rounding import with_one_zero
from job.scoring.cutoffs import SPENDING_ORDER, Place, Reach, find_affordable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Fetch = Callable[[Sequence[int]], pl.DataFrame]

BIN_BITS: Final = 44  # of a Float64 that do not count: bins are 2^8 steps from a power of two to the next
HISTOGRAM: Final = pl.Schema({"bin": pl.Int64(), "rows": pl.Int64(), "cost_parts": pl.Int64()})

_ONE_ZERO: Final = with_one_zero(pl.col("order"))
"""`order` without -0.0, which sorting would put before 0.0."""


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


def add_histograms(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return the sum of two histograms (`HISTOGRAM`), by `bin`."""
    return pl.concat([one, other]).group_by("bin").agg(pl.col("rows", "cost_parts").sum()).sort("bin")


def add_bins(histograms: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return the sum of histograms, by `bin`, with the sums before each bin: `rows_before`, `cost_before`."""
    total = pl.concat([HISTOGRAM.to_frame(), *histograms]).group_by("bin").agg(pl.col("rows", "cost_parts").sum())
    return total.sort("bin").with_columns(
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
