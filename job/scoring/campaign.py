"""Who is contacted: consent first, then the control group, then the budget."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Final

import polars as pl

from job.hashing import HASHED, hashed_bits, whole
from job.scoring.segments import COST_PARTS
from job.settings import Campaign  # noqa: TC001 - also for those who take it from here
from schemas.scored import CONTROL, NOT_IN_CAMPAIGN, TREATMENT

if TYPE_CHECKING:
    from job.scoring.cutoffs import Place
    from job.scoring.segments import Segmentation
    from schemas.manifest import CampaignOutcome


def control_draw(ids: pl.Series, name: str) -> pl.Series:
    """Return a number from 0, below 1, for each id (Float64): uniform, and the same on every rerun of a campaign.

    A keyed hash of the id alone: SplitMix64 twice, with a key before each, both from SHA-256 of the campaign's name.
    It is no secret; it is fast (no Python per customer) and does not change with Polars, as its own hash may.

    Args:
        ids: Int64.
        name: of the campaign.
    """
    digest = hashlib.sha256(name.encode()).digest()
    first, second = (int.from_bytes(digest[start : start + 8], "little") for start in (0, 8))
    twice = hashed_bits(ids.to_frame().lazy(), first, second)
    draw = (pl.col(HASHED) // whole(1 << 11)).cast(pl.Float64) * 2.0**-53
    return twice.select(draw.alias("draw")).collect().to_series()


def plan_contacts(
    customers: pl.DataFrame, segmentation: Segmentation, campaign: Campaign, *, budget_cutoff: Place | None = None
) -> pl.DataFrame:
    """Return the customers with `offer` (the offer's code) and `campaign_group`, in their order.

    `treatment` is contacted. `control` would have been, and is held back by lot. `none` is everybody else: who has not
    allowed messages (and is shown the segment's on-site offer only), whose segment's offer is no message, and whom the
    budget does not reach. The lot is drawn before the budget is spent, and the budget reaches down to the same profit
    at risk per cost in both groups, so that they stay comparable.

    Args:
        customers: `id` (unique), `segment`, `contact_allowed`, `profit_at_risk`; of a whole run or a part of it.
        segmentation: where the segments' offers stand.
        campaign: its name, control share and budget.
        budget_cutoff: the last customer whom the budget reaches, of `find_last_affordable`; without a budget not asked.
    """
    planned = _with_offers(customers, segmentation, campaign)
    if campaign.budget is None:
        is_paid = pl.col("_eligible")
    else:
        is_paid = pl.lit(value=False) if budget_cutoff is None else _IS_CANDIDATE & ~budget_cutoff.is_before(_ORDER)
    return planned.with_columns(
        pl.when("contact_allowed").then("offer").otherwise("onsite_offer").alias("offer"),
        pl.when(~is_paid)
        .then(pl.lit(NOT_IN_CAMPAIGN))
        .when("_control")
        .then(pl.lit(CONTROL))
        .otherwise(pl.lit(TREATMENT))
        .alias("campaign_group"),
    ).drop("onsite_offer", "is_message", "cost_parts", "_eligible", "_control")


def order_candidates(customers: pl.DataFrame, segmentation: Segmentation, campaign: Campaign) -> pl.DataFrame:
    """Return `SPENDING_ORDER` of those whom a campaign with a budget might contact or hold back.

    Those of the highest profit at risk per cost come first. Held-back customers cost nothing and are passed on the way.
    What costs nothing comes first; who costs something and puts no profit at risk is no candidate. Equal ratios go by
    `id`.

    Args:
        customers: as for `plan_contacts`.
        segmentation: where the segments' offers stand.
        campaign: its name, control share and budget.
    """
    cost = pl.when("_control").then(0).otherwise("cost_parts").cast(pl.Int64).alias("cost_parts")
    candidates = _with_offers(customers, segmentation, campaign).filter(_IS_CANDIDATE)
    return candidates.select(_ORDER.alias("order"), "id", cost)


def budget_parts(campaign: Campaign) -> int:
    """Return a campaign's budget in whole parts of the shop's unit. It must have one."""
    assert campaign.budget is not None  # noqa: S101 - as said
    return math.floor(campaign.budget * COST_PARTS + 1e-6)


_IS_FREE: Final = pl.col("cost_parts") == 0
_IS_CANDIDATE: Final = pl.col("_eligible") & (_IS_FREE | (pl.col("profit_at_risk") > 0))
_ORDER: Final = pl.when(_IS_FREE).then(-math.inf).otherwise(-pl.col("profit_at_risk") / pl.col("cost_parts"))


def _with_offers(customers: pl.DataFrame, segmentation: Segmentation, campaign: Campaign) -> pl.DataFrame:
    offers = segmentation.offers().select("segment", "offer", "onsite_offer", "is_message", "cost_parts")
    return customers.join(offers, on="segment", how="left", maintain_order="left").with_columns(
        _eligible=pl.col("contact_allowed") & pl.col("is_message"),
        _control=control_draw(customers["id"], campaign.name) < campaign.control_share,
    )


def describe_campaign(counts: pl.DataFrame, segmentation: Segmentation, campaign: Campaign) -> CampaignOutcome:
    """Return what a run says of its campaign: name, control share, budget, and what it came to.

    Args:
        counts: of `count_segments`.
        segmentation: where the offers' costs stand.
        campaign: its name, control share and budget.
    """
    costs = counts.join(segmentation.offers(), on="segment", how="left")
    spent = int(costs.select((pl.col(TREATMENT) * pl.col("cost_parts")).sum()).item())
    return {
        "name": campaign.name,
        "control_share": campaign.control_share,
        "budget": campaign.budget,
        "spent": spent / COST_PARTS,
        "contacts": int(counts[TREATMENT].sum()),
        "control": int(counts[CONTROL].sum()),
    }
