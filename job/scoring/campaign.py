"""Whom to contact, with which offer: consent first, then what a contact is worth, the control group, the budget."""

from __future__ import annotations

import hashlib
import math
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import polars as pl

from job.hashing import hashed_bits
from job.scoring.segments import COST_PARTS
from job.settings import Campaign  # noqa: TC001 - also for those who take it from here
from schemas.scored import CAMPAIGN_GROUPS, CONTROL, MONEY_DECIMALS, NOT_IN_CAMPAIGN, PROFIT_MONTHS, TREATMENT

if TYPE_CHECKING:
    from job.scoring.cutoffs import Place
    from job.scoring.segments import Segmentation

OFFER_LOT: Final = "offers\0"  # before a mailing's name: its lot of offers is none of any control group


def draw_lots(ids: pl.Series, name: str) -> pl.Series:
    """Return a number from 0, below 1, for each id (Int64): Float64, uniform, and the same whenever the name is.

    A keyed hash of the id alone: SplitMix64 twice, with a key before each, both from SHA-256 of the name.
    It is no secret; it is fast (no Python per customer) and does not change with Polars, as its own hash may.
    """
    digest = hashlib.sha256(name.encode()).digest()
    first, second = (int.from_bytes(digest[start : start + 8], "little") for start in (0, 8))
    return pl.Series("draw", (hashed_bits(ids, first, second) >> 11) * 2.0**-53)


def plan_contacts(
    customers: pl.DataFrame,
    segmentation: Segmentation,
    campaign: Campaign,
    *,
    held: pl.Series,
    budget_cutoff: Place | None = None,
) -> pl.DataFrame:
    """Return the customers with `segment`, `offer`, `expected_value`, `campaign_group`, `fate`, in their order.

    Codes and fates are Enums (of `Segmentation.codes` and `FATES`).

    `treatment` is contacted. `control` would have been, and is held back by lot. `none` is everybody else; `fate`
    (one of `FATES`) says why. The lot is drawn before the budget is spent, and the budget reaches down to the same
    expected value per cost in both groups, so that they stay comparable. Without a budget its cutoff is not asked.

    `customers` have `id` (unique), `segment_row`, `contact_allowed`, `decline_probability` and `monthly_profit`; `held`
    are the ids (Int64, rising) whom other control groups hold back.
    """
    planned = _with_offers(customers, segmentation, campaign, held)
    if campaign.budget is None:
        is_paid = pl.lit(value=True)
    else:
        is_paid = pl.lit(value=False) if budget_cutoff is None else ~budget_cutoff.is_before(_ORDER)
    fate = pl.lit(TREATMENT, _FATE)
    for name, holds in (
        (CONTROL, pl.col("_control")),
        (BEYOND_BUDGET, ~is_paid),
        (HELD_ELSEWHERE, pl.col("_held")),
        (NOT_WORTH, ~_IS_WORTH),
        (ONSITE_ONLY, ~pl.col("is_message")),
        (NO_CONSENT, ~pl.col("contact_allowed")),
    ):
        fate = pl.when(holds).then(pl.lit(name, _FATE)).otherwise(fate)
    groups = pl.Series([fate if fate in CAMPAIGN_GROUPS else NOT_IN_CAMPAIGN for fate in FATES])
    return planned.with_columns(
        pl.when("contact_allowed").then("offer").otherwise("onsite_offer").alias("offer"), fate.alias("fate")
    ).with_columns(pl.lit(groups).gather(pl.col("fate").to_physical()).alias("campaign_group"))


def order_candidates(
    customers: pl.DataFrame, segmentation: Segmentation, campaign: Campaign, held: pl.Series
) -> pl.DataFrame:
    """Return `SPENDING_ORDER` of those whom a campaign with a budget might contact or hold back; see `plan_contacts`.

    Those of the highest expected value per cost come first; what costs nothing comes before. Held-back customers cost
    nothing and are passed on the way. Equal ratios go by `id`.
    """
    cost = pl.when("_control").then(0).otherwise("cost_parts").cast(pl.Int64).alias("cost_parts")
    planned = _with_offers(customers, segmentation, campaign, held)
    candidates = planned.filter(pl.col("contact_allowed") & pl.col("is_message") & _IS_WORTH & ~pl.col("_held"))
    return candidates.select(_ORDER.alias("order"), "id", cost)


def budget_parts(campaign: Campaign) -> int:
    """Return a campaign's budget in whole parts of the shop's unit. It must have one."""
    assert campaign.budget is not None  # noqa: S101 - as said
    return math.floor(campaign.budget * COST_PARTS + 1e-6)


NO_CONSENT: Final = "no_consent"
ONSITE_ONLY: Final = "onsite_only"
NOT_WORTH: Final = "not_worth"
HELD_ELSEWHERE: Final = "held_elsewhere"
BEYOND_BUDGET: Final = "beyond_budget"
LEFT_OUT: Final = (NO_CONSENT, ONSITE_ONLY, NOT_WORTH, HELD_ELSEWHERE, BEYOND_BUDGET)
"""Why a customer is in neither group, in the order in which that is asked."""
FATES: Final = (TREATMENT, CONTROL, *LEFT_OUT)
"""What becomes of a customer: contacted, held back, or why in neither group."""
_FATE: Final = pl.Enum(FATES)


def expected_value(effect: pl.Expr, cost: pl.Expr, discount: pl.Expr, profit_lost: float) -> pl.Expr:
    """Return what a contact is expected to bring, net (Float64), of `decline_probability` and `monthly_profit`.

    `effect` is the share of the declines that the offer prevents, `discount` that of the profit that it gives away,
    `profit_lost` that of the profit that is lost with a decline; `cost` is of one contact.
    """
    profit = pl.col("monthly_profit") * PROFIT_MONTHS
    kept = pl.col("decline_probability") * effect * profit_lost * profit
    return (kept - cost - discount * profit).round(MONEY_DECIMALS)


def is_worth(value: pl.Expr) -> pl.Expr:
    """Return whether a contact of that expected value pays; a discount on a loss would by the formula alone."""
    return (value > 0) & (pl.col("monthly_profit") > 0)


_IS_WORTH: Final = is_worth(pl.col("expected_value"))
_ORDER: Final = (
    pl.when(pl.col("cost_parts") == 0)
    .then(-math.inf)
    .otherwise(-pl.col("expected_value") / pl.col("cost_parts") * COST_PARTS)
)
"""The expected value of a unit of cost, with its sign turned."""


def _with_offers(
    customers: pl.DataFrame, segmentation: Segmentation, campaign: Campaign, held: pl.Series
) -> pl.DataFrame:
    ids = customers["id"]
    known = segmentation.offers()[_offer_rows(customers, segmentation, campaign)]
    nearby = held.filter(held.is_between(ids.min(), ids.max())) if len(held) else held
    is_held = pl.col("id").is_in(nearby.implode()) if len(nearby) else pl.lit(value=False)
    cost = pl.col("cost_parts") / COST_PARTS
    worth = expected_value(pl.col("effect"), cost, pl.col("discount"), segmentation.profit_lost)
    is_asked = pl.col("contact_allowed") & pl.col("is_message")
    return pl.concat([customers, known], how="horizontal").with_columns(
        pl.when(is_asked).then(worth).otherwise(0.0).alias("expected_value"),
        _held=is_held,
        _control=draw_lots(ids, campaign.control) < campaign.control_share,
    )


def _offer_rows(customers: pl.DataFrame, segmentation: Segmentation, campaign: Campaign) -> pl.Series:
    """Return which row of `Segmentation.offers` is each customer's (UInt32): by lot, where a segment has several."""
    sizes = [len(segment.offers) for segment in segmentation.segments]
    first = pl.Series([0, *accumulate(sizes)], dtype=pl.UInt32)
    rows = first.gather(customers["segment_row"])
    if max(sizes) == 1:
        return rows
    lot = pl.col("lot")
    later = pl.lit(0, pl.UInt32)
    for number, segment in enumerate(segmentation.segments):
        if len(segment.offers) > 1:
            passed = pl.sum_horizontal(
                (lot >= share).cast(pl.UInt32) for share in list(accumulate(segment.shares))[:-1]
            )
            later = pl.when(pl.col("segment_row") == number).then(passed).otherwise(later)
    drawn = customers.select("segment_row", lot=draw_lots(customers["id"], OFFER_LOT + campaign.name))
    return rows + drawn.select(later.cast(pl.UInt32)).to_series()
