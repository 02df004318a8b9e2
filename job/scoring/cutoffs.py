"""What only shows over a whole run: where it is cut into deciles, and how far its budget reaches.

Each customer is then placed by comparison with a few others, so that a run can be finished range by range.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import polars as pl

RISK_ORDER: Final = pl.Schema({"order": pl.Float64(), "id": pl.Int64()})
"""Customers by risk: `order` is the probability with its sign turned, so that the highest comes first."""
SPENDING_ORDER: Final = pl.Schema({"order": pl.Float64(), "id": pl.Int64(), "cost_parts": pl.Int64()})
"""Candidates of a campaign by expected value per cost, with its sign turned; and what contacting them costs."""

EXPLAIN_PRIORITY: Final = pl.when("contact_allowed").then("profit_at_risk").otherwise(-math.inf)
"""In which order customers at high risk are explained: the largest profit at risk first, of those to be contacted."""

DECILES: Final = 10


class Place(NamedTuple):
    """A customer's place in an order: by `order`, then by `id`, both ascending."""

    order: float
    id: int

    def is_before(self, order: pl.Expr) -> pl.Expr:
        """Return whether this place is before each row's (Boolean), of its order and the column `id`."""
        return (order > self.order) | ((order == self.order) & (pl.col("id") > self.id))


class Cutoffs(NamedTuple):
    """Where a run is cut.

    Args:
        deciles: the last customers of the deciles 1 to 9, by `RISK_ORDER`.
        budget: the last customer whom the budget reaches, by `SPENDING_ORDER`; None if it reaches none.
        beyond_budget: the first whom it does not reach; None if it reaches all.
    """

    deciles: tuple[Place, ...]
    budget: Place | None = None
    beyond_budget: Place | None = None

    def risk_decile(self) -> pl.Expr:
        """Return `risk_decile` (Int8): 1 for the tenth of the run with the highest `decline_probability`, to 10.

        Equal probabilities are told apart by `id`, so that every decile has its share and reruns agree.
        """
        order = -pl.col("decline_probability")
        below = pl.sum_horizontal(cutoff.is_before(order).cast(pl.Int8) for cutoff in self.deciles)
        return (below + 1).cast(pl.Int8).alias("risk_decile")


def order_by_risk(scores: pl.DataFrame) -> pl.DataFrame:
    """Return `RISK_ORDER` of each customer. Args: scores: `id` and `decline_probability`."""
    return scores.select((-pl.col("decline_probability")).alias("order"), "id")


def order_by_priority(scores: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Return the order in which customers at high risk are explained, as `SPENDING_ORDER` with a cost of one each.

    Below the threshold, a probability, customers have no reasons.
    """
    one = pl.lit(1, pl.Int64).alias("cost_parts")
    high = scores.filter(pl.col("decline_probability") >= threshold)
    return high.select((-EXPLAIN_PRIORITY).alias("order"), "id", one)


def last_ranks(customers: int) -> list[int]:
    """Return the rank (from 0, by `RISK_ORDER`) of the last customer of each of the deciles 1 to 9."""
    # Decile k holds the ranks below k x customers / 10; the last of them is one less than that, rounded up.
    return [-(-decile * customers // DECILES) - 1 for decile in range(1, DECILES)]


class Reach(NamedTuple):
    """How far a budget reaches.

    Args:
        last: the last customer whom it reaches; None if it reaches none.
        beyond: the first whom it does not; None if it reaches all.
    """

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
