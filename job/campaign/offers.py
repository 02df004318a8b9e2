"""Each offer of a campaign against the control group of its segments, and against each other offer.

Offers are drawn by lot within a segment, and so is the control group. But whom a contact is not worth, or the budget
does not reach, depends on the offer that was drawn: so customers are compared within strata of those whom the same
offers of their segment would have reached. There every offer and the control group are alike but for the lot.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from job.campaign.adjustment import adjusted_name, compare_strata
from job.campaign.results import DECLINE, PROFIT, OfferPair, OfferResult, Worth, correct
from job.scoring.campaign import expected_value, is_worth
from job.statistics import (
    A_FIFTH,
    LEVEL,
    Difference,
    detectable_difference,
    holm,
    mean_difference,
    prevented_share,
)
from schemas.scored import CONTROL, PROFIT_MONTHS, TREATMENT

if TYPE_CHECKING:
    from schemas.manifest import Manifest

_STRATUM: Final = "stratum"
_COST: Final = "cost"
_NET: Final = "net"


class PlannedOffer(NamedTuple):
    """An offer in a segment, as the run planned it."""

    segment: str
    code: str
    cost: float  # of one contact
    effect: float  # share of the declines that it was taken to prevent
    discount: float  # share of the profit that is given away


class Plan(NamedTuple):
    """What a run says of its offers."""

    offers: tuple[PlannedOffer, ...]
    profit_lost: float  # share of the profit that is lost with a decline
    has_budget: bool  # which then decided whom the offers reach
    titles: dict[str, str]  # offer -> what people call it


def read_plan(manifest: Manifest) -> Plan:
    """Return what a run's manifest says of its offers."""
    offers, titles = [], {}
    for row in manifest["segments"]:
        for offer in row["offers"]:
            planned = (offer["offer"], offer["cost_per_contact"], offer["effect"], offer["discount"])
            offers.append(PlannedOffer(row["segment"], *planned))
            titles[offer["offer"]] = offer["offer_text"]
    campaign = manifest["campaign"]
    return Plan(tuple(offers), campaign["profit_lost"], campaign["budget"] is not None, titles)


def find_strata(compared: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Return treated and control customers with `cost` (of contact and discount) and `stratum`.

    `compared`: `segment`, `offer`, `decline_probability`, `monthly_profit`. An offer that the plan lacks costs nothing.
    """
    schema = {"segment": pl.String, "offer": pl.String, "contact": pl.Float64, "discount": pl.Float64}
    known = pl.DataFrame([(o.segment, o.code, o.cost, o.discount) for o in plan.offers], schema=schema, orient="row")
    profit = pl.col("monthly_profit") * PROFIT_MONTHS
    cost = pl.col("contact").fill_null(0.0) + pl.col("discount").fill_null(0.0) * profit.clip(lower_bound=0)
    compared = compared.join(known, on=["segment", "offer"], how="left", maintain_order="left")
    compared = compared.with_columns(cost.alias(_COST))
    reached = _last_reached(compared, plan)
    several = {offer.segment for offer in plan.offers if sum(o.segment == offer.segment for o in plan.offers) > 1}
    marks = [
        pl.when(pl.col("segment") == offer.segment, _is_reached(offer, plan, reached) | (pl.col("offer") == offer.code))
        .then(pl.lit(f" {offer.code}"))
        .otherwise(pl.lit(""))
        for offer in plan.offers
        if offer.segment in several
    ]
    return compared.with_columns(pl.concat_str(["segment", *marks]).alias(_STRATUM)).drop("contact", "discount")


def compare_offers(compared: pl.DataFrame, plan: Plan) -> tuple[tuple[OfferResult, ...], tuple[OfferPair, ...]]:
    """Compare each offer with the control group, and each two offers. Args: compared: adjusted and in strata."""
    compared = compared.with_columns((pl.col(adjusted_name(PROFIT)) * PROFIT_MONTHS - pl.col(_COST)).alias(_NET))
    control = compared.filter(pl.col("campaign_group") == CONTROL)
    treated = {
        str(code): group.sort("id")
        for (code,), group in compared.filter(pl.col("campaign_group") == TREATMENT).group_by("offer")
    }
    codes = sorted(treated)
    judged = [_compare_offer(code, treated[code], control, plan) for code in codes]
    decided = holm([p_value for _, p_value in judged])
    results = [_decide(*each) for each in zip(correct([result for result, _ in judged]), decided, strict=True)]
    pairs = [pair for one, other in combinations(codes, 2) if (pair := _compare_pair(one, other, treated))]
    return tuple(results), tuple(correct(pairs))


def make_worth(profit: Difference | None, customers: int, cost: float) -> Worth:
    """Return what treated customers brought in.

    `profit`: adjusted difference of the monthly profit's change; `customers`: treated, with a known profit; `cost`: of
    all treated customers of the run.
    """
    ends = (None, None, None) if profit is None else (profit.difference, profit.low, profit.high)
    total, low, high = (None if end is None else end * customers * PROFIT_MONTHS for end in ends)
    return Worth(total, low, high, cost, *(None if end is None else end - cost for end in (total, low, high)))


def _expected_value(offer: PlannedOffer, plan: Plan) -> pl.Expr:
    return expected_value(pl.lit(offer.effect), pl.lit(offer.cost), pl.lit(offer.discount), plan.profit_lost)


def _last_reached(compared: pl.DataFrame, plan: Plan) -> float:
    """Return the smallest expected value per cost that a budget reached; 0 without one."""
    if not plan.has_budget:
        return 0.0
    ratios = (
        compared.filter(pl.col("segment") == offer.segment, pl.col("offer") == offer.code)
        .select((_expected_value(offer, plan) / offer.cost).min())
        .item()
        for offer in plan.offers
        if offer.cost > 0
    )
    return min((ratio for ratio in ratios if ratio is not None), default=0.0)


def _is_reached(offer: PlannedOffer, plan: Plan, reached: float) -> pl.Expr:
    value = _expected_value(offer, plan)
    return is_worth(value) & (value >= reached * offer.cost)


def _compare_offer(
    code: str, treated: pl.DataFrame, control: pl.DataFrame, plan: Plan
) -> tuple[OfferResult, float | None]:
    """Return the comparison without its decision, and the p-value of the effect at which it breaks even."""
    alike = control.filter(pl.col(_STRATUM).is_in(treated[_STRATUM].unique().implode()))
    labelled = [group.filter(pl.col(DECLINE).is_not_null()) for group in (treated, alike)]
    profit = compare_strata(treated, alike, adjusted_name(PROFIT), stratum=_STRATUM)
    gained = None if profit is None else mean_difference(*profit)
    cost = float(treated[_COST].sum())
    result = OfferResult(
        offer=code,
        segments=tuple(sorted(treated["segment"].unique())),
        treated=labelled[0].height,
        control=labelled[1].height,
        assumed=_assumed(code, treated, plan),
        break_even=_break_even(treated, cost, plan),
        worth=make_worth(gained, treated[PROFIT].drop_nulls().len(), cost),
    )
    estimates = compare_strata(labelled[0], labelled[1], adjusted_name(DECLINE), stratum=_STRATUM)
    raw = compare_strata(labelled[0], labelled[1], DECLINE, stratum=_STRATUM)
    if estimates is None or raw is None:
        return result, None
    difference = mean_difference(*estimates)
    # What is adjusted has another mean; the share is of the rate that these customers would have had.
    rate = raw[0].mean
    rates = (estimates[0]._replace(mean=rate), estimates[1]._replace(mean=rate - difference.difference))
    result = replace(
        result,
        treatment_rate=rate,
        control_rate=rates[1].mean,
        difference=difference.difference,
        difference_low=difference.low,
        difference_high=difference.high,
        p_value=difference.p_value,
    )
    share = prevented_share(*rates, expected=_earning(result))
    if share is None:
        return result, None
    effect, error = share
    result = replace(result, effect=effect.difference, low=effect.low, high=effect.high, standard_error=error)
    return result, effect.p_value


def _earning(result: OfferResult) -> float:
    """Return the effect above which an offer earns something; all declines where nothing is to be lost."""
    return 1.0 if result.break_even is None else result.break_even


def _assumed(code: str, treated: pl.DataFrame, plan: Plan) -> float:
    """Return the effect that an offer was taken to have, in the mean of its treated customers."""
    effects = {offer.segment: offer.effect for offer in plan.offers if offer.code == code}
    counts = treated["segment"].value_counts().sort("segment").iter_rows()
    return float(sum(effects.get(segment, 0.0) * count for segment, count in counts)) / treated.height


def _break_even(treated: pl.DataFrame, cost: float, plan: Plan) -> float | None:
    """Return which share of the declines an offer must prevent to earn its cost; None if nothing is to be lost."""
    at_risk = pl.col("decline_probability") * pl.col("monthly_profit").clip(lower_bound=0) * PROFIT_MONTHS
    to_be_lost = float(treated.select(at_risk.sum()).item()) * plan.profit_lost
    return cost / to_be_lost if to_be_lost > 0 else None


def _decide(result: OfferResult, p_value: float | None) -> OfferResult:
    """Return the comparison with its decision. Args: p_value: of the break-even, corrected."""
    earning = _earning(result)
    if result.effect is not None and p_value is not None and p_value < LEVEL:
        return replace(result, decision="keep" if result.effect > earning else "drop")
    if result.standard_error is None:
        return result
    distance = result.assumed - earning if result.assumed > earning else A_FIFTH
    needed = (detectable_difference(result.standard_error) / distance) ** 2
    customers = result.treated + result.control
    return replace(result, more_customers=math.ceil(customers * max(needed - 1, 1.0)))


def _compare_pair(one: str, other: str, treated: dict[str, pl.DataFrame]) -> OfferPair | None:
    groups = [treated[code].filter(pl.col(DECLINE).is_not_null()) for code in (one, other)]
    estimates = compare_strata(groups[0], groups[1], adjusted_name(DECLINE), stratum=_STRATUM)
    if estimates is None:
        return None
    common = set(groups[0][_STRATUM]) & set(groups[1][_STRATUM])
    sizes = [group.filter(pl.col(_STRATUM).is_in(list(common))).height for group in groups]
    money = compare_strata(treated[one], treated[other], _NET, stratum=_STRATUM)
    net = None if money is None else mean_difference(*money)
    return OfferPair(
        first=one,
        second=other,
        first_customers=sizes[0],
        second_customers=sizes[1],
        **vars(mean_difference(*estimates)),
        net_difference=None if net is None else net.difference,
        net_low=None if net is None else net.low,
        net_high=None if net is None else net.high,
    )
