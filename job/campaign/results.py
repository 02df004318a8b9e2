"""What a comparison comes to, as `lift.json` holds it.

Differences are treated minus control, or the first minus the second. The ends of intervals, `low` and `high`, are of
95 %; p-values are two-sided, of no difference, and `p_value_corrected` is so for the number of such results (Holm).
What too few customers do not allow is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeVar

from job.statistics import LEVEL, Difference, holm

FOUND: Final = "found"  # with a usable row in the outcome's `market_file`
VANISHED: Final = "vanished"  # without any row there
UNUSABLE: Final = "unusable"  # whose row there was rejected
FATES: Final = (FOUND, VANISHED, UNUSABLE)

DECLINE: Final = "decline_rate"
REVENUE: Final = "revenue"
CAPPED: Final = "revenue_capped"
MINUTES: Final = "monthly_minutes"
PROFIT: Final = "monthly_profit_change"
MEASURES: Final = (DECLINE, REVENUE, CAPPED, MINUTES, PROFIT)
OF_SEGMENTS: Final = (DECLINE, PROFIT)
REVENUE_BEFORE: Final = "revenue_before"

Verdict = Literal["nothing_to_compare", "not_proven", "not_sure", "fewer_declined", "more_declined"]
"""`not_sure`: proven among those found, but customers are gone unequally and the worst case would prove nothing."""
Decision = Literal["keep", "drop", "too_early"]
"""The effect is proven to be above the break-even, below it, or neither."""


@dataclass(frozen=True)
class Group:
    """How many customers a group has in the run, and how many of each of `FATES`."""

    in_run: int
    found: int
    vanished: int
    unusable: int


class Tested:
    """A result whose p-value is corrected for the number of such results."""

    p_value_corrected: float | None

    @property
    def is_found(self) -> bool:
        """Whether the difference is more than chance explains, at the level of 5 %."""
        return self.p_value_corrected is not None and self.p_value_corrected < LEVEL


@dataclass(frozen=True)
class Effect(Tested):
    """One measure of treated against control customers."""

    treatment_customers: int  # with a value of this measure
    control_customers: int
    treatment: float | None  # mean as it is, or rate
    control: float | None
    raw: Difference | None = None  # as they are; of rates with Newcombe's interval, of means without one
    difference: float | None = None  # adjusted, over the segments with both groups, weighted by their treated customers
    low: float | None = None
    high: float | None = None
    standard_error: float | None = None  # of the adjusted difference
    p_value: float | None = None
    p_value_corrected: float | None = None  # of segments; of measures but the decline rate, whose p-value it is itself
    detectable: float | None = None  # the smallest effect that such groups find with a power of 80 %, positive


@dataclass(frozen=True)
class Worth:
    """What the treated customers brought in, less what contacting them cost; in the shop's units."""

    incremental_profit: float | None  # adjusted difference of the monthly profit's change x treated found x 3 months
    low: float | None
    high: float | None
    offer_cost: float  # contacts and discounts, of all treated customers of the run, vanished or not
    net: float | None  # incremental profit less the cost, with the same interval moved
    net_low: float | None
    net_high: float | None


@dataclass(frozen=True)
class Comparison:
    """Treated against control customers: all, or those of a segment."""

    groups: dict[str, Group]
    effects: dict[str, Effect]
    worth: Worth


@dataclass(frozen=True, kw_only=True)
class OfferResult(Tested):
    """An offer against the control group of its segments."""

    offer: str
    segments: tuple[str, ...]  # that have it
    treated: int  # with it, with a label
    control: int  # of the control groups of the same strata, with a label
    treatment_rate: float | None = None
    control_rate: float | None = None  # what it would have been without the offer: less the adjusted difference
    difference: float | None = None  # of the rates, adjusted
    difference_low: float | None = None
    difference_high: float | None = None
    p_value: float | None = None
    p_value_corrected: float | None = None
    effect: float | None = None  # share of the declines that it prevented; `low` and `high` are its interval
    low: float | None = None
    high: float | None = None
    standard_error: float | None = None  # of the effect
    assumed: float  # the effect that the run took it to have
    break_even: float | None  # the effect at which it earns what it costs; None if there is no profit to be lost
    decision: Decision = "too_early"  # corrected for the number of offers (Holm)
    # How many more it takes, at the same shares, to tell what was assumed from the break-even with a power of 80 %; as
    # many again at least. None where it is decided.
    more_customers: int | None = None
    worth: Worth


@dataclass(frozen=True, kw_only=True)
class OfferPair(Tested):
    """Two offers against each other, among customers who might have got either."""

    first: str
    second: str
    first_customers: int  # treated with it, with a label
    second_customers: int
    difference: float  # of the decline rate, adjusted
    low: float | None
    high: float | None
    p_value: float | None
    p_value_corrected: float | None = None
    net_difference: float | None  # of what a customer brings in three months, less contact and discount
    net_low: float | None
    net_high: float | None


_Result = TypeVar("_Result", Effect, OfferResult, OfferPair)


def correct(results: Sequence[_Result]) -> list[_Result]:
    """Return results with their p-values corrected for their number."""
    p_values = holm([result.p_value for result in results])
    return [replace(result, p_value_corrected=p_value) for result, p_value in zip(results, p_values, strict=True)]


@dataclass(frozen=True)
class Case:
    """What all customers of the run would show if those of whom nothing is known had behaved in one way."""

    case: str  # `all_declined` (no profit any more), `worst` (the treated did; control is as before) or `best`
    treatment: float | None  # rate of all treated customers of the run, as it is
    control: float | None
    difference: float | None = None  # adjusted
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    net: float | None = None  # what the campaign was worth then, as in `Worth`


@dataclass(frozen=True)
class Vanishing:
    """The shares of both groups of whom nothing is known, and the p-value of no difference (Newcombe)."""

    treatment: float
    control: float
    p_value: float

    @property
    def is_unequal(self) -> bool:
        """Whether chance does not explain that more are gone of one group: then those found are no longer alike."""
        return self.p_value < LEVEL


@dataclass(frozen=True)
class Delivery:
    """Who was really contacted, and what a contact does to those who get one because they are treated."""

    treatment: int  # treated customers of the run
    treatment_contacted: int
    control: int
    control_contacted: int
    outsiders: int  # contacted without being either
    # Of the decline rate by a contact, by the lot as instrumental variable (Imbens and Angrist, Econometrica 62, 1994);
    # None where contacts do not depend on the lot.
    difference: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Decile:
    """A tenth of the run's customers by risk, 1 the highest: what the model said and what came."""

    decile: int
    customers: int
    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True)
class Quality:
    """How the model did, on some of the customers: those found, with a label."""

    customers: int
    declined: int
    predicted: float | None = None  # mean probability
    observed: float | None = None  # rate of decline
    roc_auc: float | None = None  # None if fewer than two customers declined, or did not
    roc_auc_low: float | None = None  # DeLong's 95 % interval
    roc_auc_high: float | None = None
    brier: float | None = None  # mean squared error
    calibration_error: float | None = None  # expected, over ten bins of equal size
    deciles: tuple[Decile, ...] = ()  # by the run's `risk_decile`, those with customers


@dataclass(frozen=True)
class Exposure:
    """Control customers whom other runs of the same output contacted before the outcome."""

    customers: int  # counted once
    runs: tuple[str, ...] = ()  # that contacted some
    unread: tuple[str, ...] = ()  # that could not be read, so that nothing is known of theirs


@dataclass(frozen=True)
class Note:
    """Something that a reader must know: a key of `job.campaign.summary.NOTES`, and what its text names."""

    kind: str
    values: dict[str, str | int | float]


@dataclass(frozen=True)
class Lift:
    """All that is known of a campaign."""

    verdict: Verdict
    overall: Comparison
    segments: dict[str, Comparison]  # by code; of `OF_SEGMENTS`
    offers: tuple[OfferResult, ...]
    pairs: tuple[OfferPair, ...]  # of offers that have segments in common
    vanishing: Vanishing | None  # None without two groups
    sensitivity: tuple[Case, ...]  # to the customers of whom nothing is known; empty without two groups
    delivery: Delivery | None  # None without `--contacted`
    exposure: Exposure
    adjusted_for: tuple[str, ...]
    model: dict[str, Quality]  # `untreated` (control and none: what the model foretold, undisturbed) and `all`
    revenue_cap: float | None  # of `revenue_capped`; None without treated and control customers
    new_customers: int  # in the outcome, but not scored by the run
    notes: tuple[Note, ...]
