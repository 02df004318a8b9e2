"""Who is contacted: consent first, then the control group, then the budget."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from job.errors import Problem, SettingsError
from job.mixing import splitmix64, whole
from job.scoring.segments import COST_PARTS
from schemas.scored import CONTROL, NOT_IN_CAMPAIGN, TREATMENT

if TYPE_CHECKING:
    from job.scoring.segments import Segmentation

HIGHEST_BUDGET: Final = 1e12
LONGEST_NAME: Final = 100


@dataclass(frozen=True)
class Campaign:
    """What marketing decides about a campaign.

    Args:
        name: the key of the control group: customers stay in it as long as the name is the same.
        control_share: share of those who would be contacted that is held back.
        budget: what the contacts may cost together, in the unit of `monthly_profit`; None is no limit.
    """

    name: str = "default"
    control_share: float = 0.1
    budget: float | None = None

    def __post_init__(self) -> None:
        """Raise SettingsError for values that no campaign can have."""
        problems = []
        if not self.name.strip() or not self.name.isprintable() or len(self.name) > LONGEST_NAME:
            expected = f"a name on one line of at most {LONGEST_NAME} characters"
            problems.append(Problem("--campaign", expected, self.name or "nothing"))
        if not 0 <= self.control_share <= 1:
            problems.append(Problem("--control-share", "a share from 0 to 1", str(self.control_share)))
        if self.budget is not None and not 0 <= self.budget <= HIGHEST_BUDGET:
            problems.append(Problem("--budget", f"a number from 0 to {HIGHEST_BUDGET:,.0f}", str(self.budget)))
        if problems:
            raise SettingsError(problems)


def control_draw(ids: pl.Expr, name: str) -> pl.Expr:
    """Return a number from 0, below 1, for each id (Float64): uniform, and the same on every rerun of a campaign.

    A keyed hash of the id alone: SplitMix64 twice, with a key before each, both from SHA-256 of the campaign's name.
    It is no secret; it is fast (no Python per customer) and does not change with Polars, as its own hash may.

    Args:
        ids: Int64.
        name: of the campaign.
    """
    digest = hashlib.sha256(name.encode()).digest()
    first, second = (int.from_bytes(digest[start : start + 8], "little") for start in (0, 8))
    bits = splitmix64(splitmix64(ids.cast(pl.UInt64) + whole(first)) + whole(second))
    return (bits // whole(1 << 11)).cast(pl.Float64) * 2.0**-53


def plan_contacts(customers: pl.DataFrame, segmentation: Segmentation, campaign: Campaign) -> pl.DataFrame:
    """Return the customers with `offer` (the offer's code) and `campaign_group`, in their order.

    `treatment` is contacted. `control` would have been, and is held back by lot. `none` is everybody else: who has not
    allowed messages (and is shown the segment's on-site offer only), whose segment's offer is no message, and whom the
    budget does not reach. The lot is drawn before the budget is spent, and the budget reaches down to the same profit
    at risk per cost in both groups, so that they stay comparable.

    Args:
        customers: `id` (unique), `segment`, `contact_allowed`, `profit_at_risk`.
        segmentation: where the segments' offers stand.
        campaign: its name, control share and budget.
    """
    offers = segmentation.offers().select("segment", "offer", "onsite_offer", "is_message", "cost_parts")
    planned = customers.join(offers, on="segment", how="left", maintain_order="left").with_columns(
        _eligible=pl.col("contact_allowed") & pl.col("is_message"),
        _control=control_draw(pl.col("id"), campaign.name) < campaign.control_share,
    )
    reached = pl.col("_eligible") if campaign.budget is None else _reached(planned, campaign.budget)
    return planned.with_columns(
        pl.when("contact_allowed").then("offer").otherwise("onsite_offer").alias("offer"),
        pl.when(~reached)
        .then(pl.lit(NOT_IN_CAMPAIGN))
        .when("_control")
        .then(pl.lit(CONTROL))
        .otherwise(pl.lit(TREATMENT))
        .alias("campaign_group"),
    ).drop("onsite_offer", "is_message", "cost_parts", "_eligible", "_control")


def _reached(planned: pl.DataFrame, budget: float) -> pl.Series:
    """Return whom the budget reaches: those of the highest profit at risk per cost, up to the first it cannot pay.

    Held-back customers cost nothing and are passed on the way. What costs nothing comes first; who costs something and
    puts no profit at risk is not reached. Equal ratios go by `id`.
    """
    is_free = pl.col("cost_parts") == 0
    cost = pl.when("_control").then(0).otherwise("cost_parts")
    return (
        planned.select("id", "profit_at_risk", "cost_parts", "_eligible", "_control")
        .with_row_index("_row")
        .with_columns(
            _ratio=pl.when(is_free).then(math.inf).otherwise(pl.col("profit_at_risk") / pl.col("cost_parts")),
            _candidate=pl.col("_eligible") & (is_free | (pl.col("profit_at_risk") > 0)),
        )
        .sort("_candidate", "_ratio", "id", descending=[True, True, False])
        .with_columns(_reached=pl.col("_candidate") & (cost.cum_sum() <= math.floor(budget * COST_PARTS + 1e-6)))
        .sort("_row")["_reached"]
    )


def describe_campaign(scored: pl.DataFrame, segmentation: Segmentation, campaign: Campaign) -> dict[str, Any]:
    """Return what a run says of its campaign: name, control share, budget, and what it came to.

    Args:
        scored: `segment` and `campaign_group` of each customer.
        segmentation: where the offers' costs stand.
        campaign: its name, control share and budget.
    """
    groups = scored["campaign_group"]
    treated = scored.filter(pl.col("campaign_group") == TREATMENT).select("segment")
    spent = treated.join(segmentation.offers(), on="segment", how="left")["cost_parts"].sum()
    return {
        "name": campaign.name,
        "control_share": campaign.control_share,
        "budget": campaign.budget,
        "spent": spent / COST_PARTS,
        "contacts": int((groups == TREATMENT).sum()),
        "control": int((groups == CONTROL).sum()),
    }
