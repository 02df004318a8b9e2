"""What a campaign changed: a run's treated customers against its control group, three months later.

Both groups were drawn by chance among those who might have been contacted, so that what differs between them afterwards
is the campaign's doing or chance. The customers in neither group are counted, and they show how the model did; they are
not compared with the treated, from whom they differ by more than the campaign.

The one question of a campaign is whether fewer customers declined, and its answer is the difference that is adjusted
for what was known before (see `job.campaign.adjustment`); both were chosen before any campaign. The other measures are
corrected for their number, the segments for theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import sqrt
from typing import TYPE_CHECKING, Final

import polars as pl

from job.campaign.adjustment import DECLINE, PROFIT, adjust, adjusted_name, compare_strata
from job.campaign.offers import OfferPair, OfferResult, Worth, compare_offers, find_strata, make_worth
from job.campaign.quality import Quality, assess_model, moments
from job.features import join_tables
from job.models.linear import add_up
from job.statistics import (
    LEVEL,
    Difference,
    Stratum,
    detectable_difference,
    holm,
    mean_difference,
    rate_difference,
    smallest_fall,
)
from schemas.columns import MARKET_FILE
from schemas.scored import CAMPAIGN_GROUPS, CONTROL, NOT_IN_CAMPAIGN, PROFIT_MONTHS, TREATMENT
from schemas.vocabulary import DECLINED, PERIODS_OF_MINUTES, PERIODS_OF_REVENUE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from job.campaign.offers import Plan
    from job.intake.reconcile import Intake

UNLIKE_SCORE: Final = 3.0
"""Standard errors between the groups' means before the campaign, above which chance is a poor explanation."""

FOUND: Final = "found"
VANISHED: Final = "vanished"
UNUSABLE: Final = "unusable"
FATES: Final = (FOUND, VANISHED, UNUSABLE)

REVENUE: Final = "revenue"
CAPPED: Final = "revenue_capped"
MINUTES: Final = "monthly_minutes"
MEASURES: Final = (DECLINE, REVENUE, CAPPED, MINUTES, PROFIT)
OF_SEGMENTS: Final = (DECLINE, PROFIT)
REVENUE_BEFORE: Final = "revenue_before"
COVARIATES: Final = ("decline_probability", "monthly_profit", REVENUE_BEFORE)
"""What every measure is adjusted for, chosen before any campaign."""
CAP_LEVEL: Final = 0.995
"""Quantile of both groups' revenue together at which it is capped: real exports have months of 20 times the usual."""


@dataclass(frozen=True)
class Group:
    """The customers of one group, by what the outcome says of them.

    Args:
        in_run: all that the run scored.
        found: with a usable row in the outcome's `market_file`.
        vanished: without any row there.
        unusable: whose row there was rejected.
    """

    in_run: int
    found: int
    vanished: int
    unusable: int


@dataclass(frozen=True)
class Effect:
    """One measure of treated against control customers.

    Args:
        treatment_customers: with a value of this measure.
        control_customers: with a value.
        treatment: mean of the treated as it is, or their rate; None without customers.
        control: of the control group.
        raw: treated minus control, as they are; of rates with Newcombe's interval, of means without one.
        difference: the same adjusted, over the segments that have both groups, weighted by their treated customers.
        low: lower end of its 95 % interval; None where too few customers allow none.
        high: upper end.
        standard_error: of the adjusted difference.
        p_value: two-sided.
        p_value_corrected: the same corrected (Holm): of a segment, for the number of segments; of all but the decline
            rate overall, for the number of such measures; of the decline rate overall, the p-value itself.
        detectable: the smallest effect that groups of these sizes find with a power of 80 %, positive; None if none.
    """

    treatment_customers: int
    control_customers: int
    treatment: float | None
    control: float | None
    raw: Difference | None
    difference: float | None
    low: float | None
    high: float | None
    standard_error: float | None
    p_value: float | None
    p_value_corrected: float | None
    detectable: float | None

    @property
    def is_found(self) -> bool:
        """Whether the difference is more than chance explains, at the level of 5 %."""
        return self.p_value_corrected is not None and self.p_value_corrected < LEVEL


@dataclass(frozen=True)
class Comparison:
    """Treated against control customers: all, or those of a segment."""

    groups: dict[str, Group]
    effects: dict[str, Effect]
    worth: Worth


@dataclass(frozen=True)
class Case:
    """What all customers of the run would show if those of whom nothing is known had behaved in one way.

    Args:
        case: `all_declined` (and brought no profit any more), `worst` (of them the treated did, the control customers
            are as before) or `best`.
        treatment: rate of all treated customers of the run, as it is.
        control: rate of all control customers.
        difference: treated minus control, adjusted.
        low: lower end of its 95 % interval.
        high: upper end.
        p_value: two-sided.
        net: what the campaign was worth then, as in `Worth`.
    """

    case: str
    treatment: float
    control: float
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    net: float | None


@dataclass(frozen=True)
class Vanishing:
    """The shares of treated and control customers of whom nothing is known, and their difference.

    Args:
        treatment: of the treated.
        control: of the control group.
        p_value: two-sided, of no difference (Newcombe).
    """

    treatment: float
    control: float
    p_value: float

    @property
    def is_unequal(self) -> bool:
        """Whether chance does not explain that more are gone of one group: then those found are no longer alike."""
        return self.p_value < LEVEL


@dataclass(frozen=True)
class Delivery:
    """Who was really contacted, and what a contact does to those who get one because they are treated.

    Args:
        treatment: treated customers of the run.
        treatment_contacted: of them.
        control: control customers.
        control_contacted: of them.
        outsiders: contacted without being either.
        difference: of the decline rate by a contact, by the lot as instrumental variable (Imbens and Angrist,
            Econometrica 62, 1994); None where contacts do not depend on the lot.
        low: lower end of its 95 % interval.
        high: upper end.
    """

    treatment: int
    treatment_contacted: int
    control: int
    control_contacted: int
    outsiders: int
    difference: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Exposure:
    """Control customers whom other runs of the same output contacted before the outcome.

    Args:
        customers: of the control group, counted once.
        runs: that contacted some.
        unread: runs that could not be read, so that nothing is known of theirs.
    """

    customers: int
    runs: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Note:
    """Something that a reader must know.

    Args:
        kind: a key of `job.campaign.summary.NOTES`.
        values: what its text names.
    """

    kind: str
    values: dict[str, str | int | float]


@dataclass(frozen=True)
class Lift:
    """All that is known of a campaign.

    Args:
        verdict: one of `VERDICTS`.
        overall: all segments together.
        segments: segment -> its comparison, by code; of `OF_SEGMENTS`.
        offers: each offer against the control group of its segments.
        pairs: each two offers against each other, where they have segments in common.
        vanishing: of both groups; None without them.
        sensitivity: to the customers of whom nothing is known; empty without two groups.
        delivery: of `--contacted`; None without.
        exposure: of the control group, to other runs.
        adjusted_for: the covariates.
        model: `untreated` (control and none: what the model foretold, undisturbed) and `all`.
        revenue_cap: what `revenue_capped` is capped at; None without treated and control customers.
        new_customers: in the outcome, but not scored by the run.
        notes: what a reader must know.
    """

    verdict: str
    overall: Comparison
    segments: dict[str, Comparison]
    offers: tuple[OfferResult, ...]
    pairs: tuple[OfferPair, ...]
    vanishing: Vanishing | None
    sensitivity: tuple[Case, ...]
    delivery: Delivery | None
    exposure: Exposure
    adjusted_for: tuple[str, ...]
    model: dict[str, Quality]
    revenue_cap: float | None
    new_customers: int
    notes: tuple[Note, ...]


NOTHING: Final = "nothing_to_compare"
UNPROVEN: Final = "not_proven"
UNSURE: Final = "not_sure"
FEWER: Final = "fewer_declined"
MORE: Final = "more_declined"
VERDICTS: Final = (NOTHING, UNPROVEN, UNSURE, FEWER, MORE)
"""`not_sure`: proven among those found, but customers are gone unequally and the worst case would prove nothing."""


@dataclass(frozen=True)
class Known:
    """What is known of a campaign beside the run and the outcome.

    Args:
        contacted: ids that really were sent to (Int64); None if nobody said.
        exposure: of the control group, to other runs.
        revenue_before: `id` and `revenue_before` (Float64), of the drop that the run scored; None if it is gone.
        new_customers: in the outcome, but not scored by the run.
    """

    contacted: pl.Series | None = None
    exposure: Exposure = field(default_factory=lambda: Exposure(0))
    revenue_before: pl.DataFrame | None = None
    new_customers: int = 0


NOTHING_MORE: Final = Known()


def match_outcome(scored: pl.DataFrame, intake: Intake) -> pl.DataFrame:
    """Put beside each customer of a run what the outcome says.

    Args:
        scored: the run's customers, ordered by `id`.
        intake: the labelled drop of three months later.

    Returns:
        The rows and columns of `scored`, and: `fate` (one of `FATES`), `declined` (Boolean), `revenue` (sum of three
        months), `monthly_minutes` (mean of two months), `monthly_profit_change` (against the run); each null where not
        all rows that it needs were accepted.
    """
    joined = join_tables(intake.tables).select(
        "id",
        (pl.col("activity") == DECLINED).alias("declined"),
        add_up([pl.col(f"revenue_{month}") for month in PERIODS_OF_REVENUE]).alias(REVENUE),
        pl.mean_horizontal(
            (pl.col(f"minutes_{month}").cast(pl.Float64) for month in PERIODS_OF_MINUTES), ignore_nulls=False
        ).alias(MINUTES),
        pl.col("monthly_profit").alias("profit_after"),
    )
    market_files = [str(file["file"]) for file in intake.files if file["table"] == MARKET_FILE.name]
    rejected = (
        intake.rejected.filter(pl.col("file").is_in(market_files))
        .select(pl.col("id").cast(pl.Int64, strict=False))
        .drop_nulls()
        .unique()
        .with_columns(is_rejected=True)
    )
    fate = (
        pl.when(pl.col("declined").is_not_null())
        .then(pl.lit(FOUND))
        .when("is_rejected")
        .then(pl.lit(UNUSABLE))
        .otherwise(pl.lit(VANISHED))
    )
    return (
        scored.join(joined, on="id", how="left", maintain_order="left")
        .join(rejected, on="id", how="left", maintain_order="left")
        .with_columns(fate.alias("fate"), (pl.col("profit_after") - pl.col("monthly_profit")).alias(PROFIT))
        .drop("profit_after", "is_rejected")
    )


def measure_lift(customers: pl.DataFrame, plan: Plan, known: Known = NOTHING_MORE) -> Lift:
    """Compare treated with control customers, overall, by segment and by offer, and labels with probabilities.

    Differences are adjusted, with Welch's intervals; beside the decline rate's stands the raw one with Newcombe's.
    The smallest effect that a segment could have shown is for the level that Holm begins with, 5 % / segments.

    Args:
        customers: from `match_outcome`.
        plan: what the run says of its offers; one that it does not know costs nothing, and a note says so.
        known: what else is known.
    """
    customers, cap, covariates = _measured(customers, known)
    compared = adjust(customers.filter(pl.col("campaign_group") != NOT_IN_CAMPAIGN), MEASURES, covariates)
    compared = find_strata(compared, plan)
    codes = sorted(customers["segment"].unique())
    parts = {code: compared.filter(pl.col("segment") == code) for code in codes}
    tested = max(1, sum(_is_comparable(part) for part in parts.values()))
    segments = _correct_segments(
        {
            code: _compare(customers.filter(pl.col("segment") == code), part, OF_SEGMENTS, level=LEVEL / tested)
            for code, part in parts.items()
        }
    )
    overall = _correct_measures(_compare(customers, compared, MEASURES, level=LEVEL))
    vanishing = _vanishing(compared)
    sensitivity = _sensitivity(compared, covariates)
    results, pairs = compare_offers(compared, plan)
    untreated = customers.filter(pl.col("campaign_group") != TREATMENT)
    return Lift(
        verdict=_judge(overall.effects[DECLINE], vanishing, sensitivity),
        overall=overall,
        segments=segments,
        offers=results,
        pairs=pairs,
        vanishing=vanishing,
        sensitivity=sensitivity,
        delivery=None if known.contacted is None else _delivery(compared, known.contacted),
        exposure=known.exposure,
        adjusted_for=covariates,
        model={"untreated": assess_model(untreated), "all": assess_model(customers)},
        revenue_cap=cap,
        new_customers=known.new_customers,
        notes=tuple(_notes(customers, compared, plan, known)),
    )


def _is_comparable(part: pl.DataFrame) -> bool:
    """Return whether both groups have a customer with a label."""
    groups = part.filter(pl.col("declined").is_not_null())["campaign_group"].unique()
    return {TREATMENT, CONTROL} <= set(groups)


def _count_group(part: pl.DataFrame) -> Group:
    fates = dict(part["fate"].value_counts().iter_rows())
    return Group(part.height, *(fates.get(fate, 0) for fate in FATES))


def _measured(customers: pl.DataFrame, known: Known) -> tuple[pl.DataFrame, float | None, tuple[str, ...]]:
    """Return the customers with all measures and covariates, what revenue is capped at, and the covariates."""
    compared = pl.col("campaign_group") != NOT_IN_CAMPAIGN
    covariates = COVARIATES if known.revenue_before is not None else COVARIATES[:-1]
    if known.revenue_before is not None:
        customers = customers.join(known.revenue_before, on="id", how="left", maintain_order="left")
        before = customers.select(pl.col(REVENUE_BEFORE).filter(compared).quantile(CAP_LEVEL)).item()
        customers = customers.with_columns(pl.col(REVENUE_BEFORE).clip(upper_bound=before))
    cap = customers.select(pl.col(REVENUE).filter(compared).quantile(CAP_LEVEL)).item()
    customers = customers.with_columns(
        pl.col(REVENUE).clip(upper_bound=cap).alias(CAPPED), pl.col("declined").cast(pl.Float64).alias(DECLINE)
    )
    return customers, cap, covariates


def _compare(part: pl.DataFrame, compared: pl.DataFrame, measures: Sequence[str], *, level: float) -> Comparison:
    groups = {group: _count_group(part.filter(pl.col("campaign_group") == group)) for group in CAMPAIGN_GROUPS}
    effects = {measure: _effect(compared, measure, level=level) for measure in measures}
    cost = float(compared.filter(pl.col("campaign_group") == TREATMENT)["cost"].sum())
    profit = effects[PROFIT]
    gained = None if profit.difference is None else Difference(profit.difference, profit.low, profit.high, None)
    return Comparison(groups, effects, make_worth(gained, profit.treatment_customers, cost))


def _effect(compared: pl.DataFrame, measure: str, *, level: float) -> Effect:
    treated, control = _split(compared.filter(pl.col(measure).is_not_null()))
    sizes = (treated.height, control.height)
    means = [moments(group[measure]).mean if group.height else None for group in (treated, control)]
    effect = Effect(sizes[0], sizes[1], means[0], means[1], None, None, None, None, None, None, None, None)
    if means[0] is None or means[1] is None:
        return effect
    if measure == DECLINE:
        raw = rate_difference((int(treated[measure].sum()), int(control[measure].sum())), sizes)
        fall = smallest_fall(_strata(compared), level=level)
        effect = replace(effect, raw=raw, detectable=None if fall is None else fall.points)
    else:
        effect = replace(effect, raw=Difference(means[0] - means[1], None, None, None))
    estimates = compare_strata(treated, control, adjusted_name(measure))
    if estimates is None:
        return effect
    difference = mean_difference(*estimates)
    error = sqrt(estimates[0].variance + estimates[1].variance)
    return replace(
        effect,
        difference=difference.difference,
        low=difference.low,
        high=difference.high,
        standard_error=error,
        p_value=difference.p_value,
        p_value_corrected=difference.p_value,
        detectable=effect.detectable if measure == DECLINE else detectable_difference(error, level=level),
    )


def _split(compared: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    treated, control = (compared.filter(pl.col("campaign_group") == group) for group in (TREATMENT, CONTROL))
    return treated, control


def _strata(compared: pl.DataFrame) -> list[Stratum]:
    """Return both groups' sizes by segment, and what the run knew of them; of the customers with a label."""
    is_treated = pl.col("campaign_group") == TREATMENT
    probability = pl.col("decline_probability")
    strata = (
        compared.filter(pl.col(DECLINE).is_not_null())
        .group_by("segment")
        .agg(
            is_treated.sum(),
            (~is_treated).sum().alias("control"),
            probability.mean(),
            v=(probability * (1 - probability)).mean(),
        )
        .sort("segment")
    )
    return [Stratum(*row) for row in strata.drop("segment").iter_rows()]


def _correct_segments(segments: dict[str, Comparison]) -> dict[str, Comparison]:
    """Correct the p-values of each measure for the number of segments."""
    corrected = dict(segments)
    for measure in OF_SEGMENTS:
        p_values = holm([part.effects[measure].p_value for part in segments.values()])
        for code, p_value in zip(segments, p_values, strict=True):
            corrected[code] = _corrected(corrected[code], measure, p_value)
    return corrected


def _correct_measures(overall: Comparison) -> Comparison:
    """Correct the p-values of all measures but the decline rate for their number."""
    others = [measure for measure in MEASURES if measure != DECLINE]
    for measure, p_value in zip(others, holm([overall.effects[each].p_value for each in others]), strict=True):
        overall = _corrected(overall, measure, p_value)
    return overall


def _corrected(part: Comparison, measure: str, p_value: float | None) -> Comparison:
    effect = replace(part.effects[measure], p_value_corrected=p_value)
    return replace(part, effects={**part.effects, measure: effect})


def _judge(effect: Effect, vanishing: Vanishing | None, sensitivity: Sequence[Case]) -> str:
    if effect.difference is None or effect.p_value is None:
        return NOTHING
    if not effect.is_found:
        return UNPROVEN
    against = "worst" if effect.difference < 0 else "best"
    [opposite] = [case for case in sensitivity if case.case == against]
    is_overturned = opposite.p_value is None or opposite.p_value >= LEVEL or opposite.difference * effect.difference < 0  # type: ignore[operator]
    if vanishing is not None and vanishing.is_unequal and is_overturned:
        return UNSURE
    return FEWER if effect.difference < 0 else MORE


def _vanishing(compared: pl.DataFrame) -> Vanishing | None:
    treated, control = _split(compared)
    if treated.is_empty() or control.is_empty():
        return None
    gone = (treated["declined"].null_count(), control["declined"].null_count())
    totals = (treated.height, control.height)
    p_value = rate_difference(gone, totals).p_value
    return Vanishing(gone[0] / totals[0], gone[1] / totals[1], 1.0 if p_value is None else p_value)


def _sensitivity(compared: pl.DataFrame, covariates: Sequence[str]) -> tuple[Case, ...]:
    if any(group.is_empty() for group in _split(compared)):
        return ()
    is_treated = pl.col("campaign_group") == TREATMENT
    cases = []
    for case, declines in {
        "all_declined": pl.lit(value=True),
        "worst": is_treated,
        "best": ~is_treated,
    }.items():
        filled = adjust(
            compared.select(
                "segment",
                "campaign_group",
                "cost",
                *covariates,
                pl.col(DECLINE).fill_null(declines.cast(pl.Float64)),
                pl.col(PROFIT).fill_null(pl.when(declines).then(-pl.col("monthly_profit")).otherwise(0.0)),
                *([] if "monthly_profit" in covariates else ["monthly_profit"]),
            ),
            OF_SEGMENTS,
            covariates,
        )
        groups = _split(filled)
        estimates, profit = (compare_strata(*groups, adjusted_name(measure)) for measure in OF_SEGMENTS)
        difference = None if estimates is None else mean_difference(*estimates)
        gained = None if profit is None else (profit[0].mean - profit[1].mean) * groups[0].height * PROFIT_MONTHS
        cases.append(
            Case(
                case,
                moments(groups[0][DECLINE]).mean,
                moments(groups[1][DECLINE]).mean,
                None if difference is None else difference.difference,
                None if difference is None else difference.low,
                None if difference is None else difference.high,
                None if difference is None else difference.p_value,
                None if gained is None else gained - float(groups[0]["cost"].sum()),
            )
        )
    return tuple(cases)


def _delivery(compared: pl.DataFrame, contacted: pl.Series) -> Delivery:
    """Return who was contacted, and the effect of the lot on declines over that on contacts (two-stage least squares).

    Its error is that of the outcome less the effect of each customer's own contact.
    """
    ids = contacted.unique()
    compared = compared.with_columns(contact=pl.col("id").is_in(ids.implode()).cast(pl.Float64))
    treated, control = _split(compared)
    counts = (treated.height, int(treated["contact"].sum()), control.height, int(control["contact"].sum()))
    outsiders = ids.len() - counts[1] - counts[3]
    treated, control = (group.filter(pl.col(DECLINE).is_not_null()) for group in (treated, control))
    outcomes = compare_strata(treated, control, adjusted_name(DECLINE))
    contacts = compare_strata(treated, control, "contact")
    if outcomes is None or contacts is None:
        return Delivery(*counts, outsiders, None, None, None)
    by_lot = mean_difference(*contacts)
    contact = by_lot.difference
    if contact <= 0 or (by_lot.p_value is not None and by_lot.p_value >= LEVEL):
        return Delivery(*counts, outsiders, None, None, None)
    effect = (outcomes[0].mean - outcomes[1].mean) / contact
    without = (pl.col(adjusted_name(DECLINE)) - effect * pl.col("contact")).alias("without")
    rest = compare_strata(treated.with_columns(without), control.with_columns(without), "without")
    if rest is None:
        return Delivery(*counts, outsiders, effect, None, None)
    difference = mean_difference(*rest)
    ends = [None if end is None else effect + end / contact for end in (difference.low, difference.high)]
    return Delivery(*counts, outsiders, effect, *ends)


def _notes(customers: pl.DataFrame, compared: pl.DataFrame, plan: Plan, known: Known) -> list[Note]:
    notes = []
    groups = {group: customers.filter(pl.col("campaign_group") == group) for group in CAMPAIGN_GROUPS}
    missing = [group for group in (TREATMENT, CONTROL) if groups[group]["declined"].drop_nulls().is_empty()]
    if missing:
        notes.append(Note("nothing_to_compare", {"groups": ", ".join(missing)}))
    free = sorted(set(groups[TREATMENT]["offer"]) - {offer.code for offer in plan.offers})
    if free:
        notes.append(Note("no_cost", {"offers": ", ".join(free)}))
    if known.exposure.customers:
        runs = ", ".join(known.exposure.runs)
        notes.append(Note("control_contacted", {"customers": known.exposure.customers, "runs": runs}))
    if known.exposure.unread:
        notes.append(Note("runs_unread", {"runs": ", ".join(known.exposure.unread)}))
    if known.revenue_before is None:
        notes.append(Note("no_revenue_before", {}))
    notes.extend(_unlike(groups[TREATMENT], groups[CONTROL]))
    lost = sum(groups[group]["declined"].null_count() for group in (TREATMENT, CONTROL))
    if lost:
        notes.append(Note("no_outcome", {"lost": lost, "customers": compared.height}))
    vanishing = _vanishing(compared)
    if vanishing is not None and vanishing.is_unequal:
        shares = {"treatment": 100 * vanishing.treatment, "control": 100 * vanishing.control}
        notes.append(Note("unequal_vanishing", {**shares}))
    if groups[NOT_IN_CAMPAIGN].is_empty() and groups[CONTROL].is_empty():
        notes.append(Note("no_untreated", {}))
    return notes


def _unlike(treated: pl.DataFrame, control: pl.DataFrame) -> list[Note]:
    """Name what differed between the groups before the campaign by more than chance explains."""
    notes: list[Note] = []
    if treated.is_empty() or control.is_empty():
        return notes
    for column in ("decline_probability", "monthly_profit"):
        first, second = moments(treated[column]), moments(control[column])
        error = sqrt(first.of_mean + second.of_mean)
        if abs(first.mean - second.mean) > UNLIKE_SCORE * error > 0:
            values: dict[str, str | int | float] = {"column": column, "treatment": first.mean, "control": second.mean}
            notes.append(Note("unlike_groups", values))
    return notes
