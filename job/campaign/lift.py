"""What a campaign changed: a run's treated customers against its control group, three months later.

Both groups were drawn by chance among those who might have been contacted, so that what differs between them afterwards
is the campaign's doing or chance. The customers in neither group are counted, and they show how the model did; they are
not compared with the treated, from whom they differ by more than the campaign.

The one question of a campaign is whether fewer customers declined, and its answer is the difference that is adjusted
for what was known before (see `job.campaign.adjustment`); both were chosen before any campaign. The other measures are
corrected for their number, the segments for theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from job.accuracy import brier_score, calibration_bins, calibration_error, delong
from job.campaign.adjustment import adjust, adjusted_name, compare_strata
from job.campaign.offers import Plan, compare_offers, find_strata, make_worth
from job.campaign.results import (
    CAPPED,
    DECLINE,
    FATES,
    FOUND,
    MEASURES,
    MINUTES,
    OF_SEGMENTS,
    PROFIT,
    REVENUE,
    REVENUE_BEFORE,
    UNUSABLE,
    VANISHED,
    Case,
    Comparison,
    Decile,
    Delivery,
    Effect,
    Exposure,
    Group,
    Lift,
    Note,
    Quality,
    Vanishing,
    Verdict,
    correct,
)
from job.features import join_tables
from job.models.linear import add_up
from job.statistics import (
    LEVEL,
    Difference,
    Stratum,
    detectable_difference,
    mean_difference,
    rate_difference,
    smallest_fall,
    wilson_interval,
)
from schemas.columns import MARKET_FILE
from schemas.scored import CAMPAIGN_GROUPS, CONTROL, NOT_IN_CAMPAIGN, PROFIT_MONTHS, TREATMENT
from schemas.vocabulary import DECLINED, PERIODS_OF_MINUTES, PERIODS_OF_REVENUE

if TYPE_CHECKING:
    from job.intake.reconcile import Intake

UNLIKE_SCORE: Final = 3.0
"""Standard errors between the groups' means before the campaign, above which chance is a poor explanation."""
COVARIATES: Final = ("decline_probability", "monthly_profit", REVENUE_BEFORE)
"""What every measure is adjusted for, chosen before any campaign."""
CAP_LEVEL: Final = 0.995
"""Quantile of both groups' revenue together at which it is capped: real exports have months of 20 times the usual."""


class Known(NamedTuple):
    """What is known of a campaign beside the run and the outcome."""

    contacted: pl.Series | None = None  # ids that really were sent to (Int64); None if nobody said
    exposure: Exposure = Exposure(0)  # of the control group, to other runs
    # `id`, `revenue_before` (Float64), of the run's drop; None if it is gone
    revenue_before: pl.DataFrame | None = None
    new_customers: int = 0  # in the outcome, but not scored by the run


NOTHING_MORE: Final = Known()


def match_outcome(scored: pl.DataFrame, intake: Intake) -> pl.DataFrame:
    """Return a run's customers, in their order, with what the labelled drop of three months later says of them.

    Added are `fate` (one of `FATES`), `declined` (Boolean), `revenue` (sum of three months), `monthly_minutes` (mean of
    two months) and `monthly_profit_change` (against the run); each null where not all rows that it needs were accepted.
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
    rejected = intake.rejected.filter(pl.col("file").is_in(market_files))["id"].cast(pl.Int64, strict=False)
    gone = pl.when(pl.col("id").is_in(rejected.implode())).then(pl.lit(UNUSABLE)).otherwise(pl.lit(VANISHED))
    return (
        scored.join(joined, on="id", how="left", maintain_order="left")
        .with_columns(
            pl.when(pl.col("declined").is_not_null()).then(pl.lit(FOUND)).otherwise(gone).alias("fate"),
            (pl.col("profit_after") - pl.col("monthly_profit")).alias(PROFIT),
        )
        .drop("profit_after")
    )


def measure_lift(customers: pl.DataFrame, plan: Plan, known: Known = NOTHING_MORE) -> Lift:
    """Compare treated with control customers, overall, by segment and by offer, and labels with probabilities.

    Differences are adjusted, with Welch's intervals; beside the decline rate's stands the raw one with Newcombe's.
    The smallest effect that a segment could have shown is for the level that Holm begins with, 5 % / segments. An offer
    that the plan does not know costs nothing, and a note says so.

    `customers`: from `match_outcome`.
    """
    customers, cap, covariates = _measured(customers, known)
    compared = adjust(customers.filter(pl.col("campaign_group") != NOT_IN_CAMPAIGN), MEASURES, covariates)
    compared = find_strata(compared, plan)
    overall = _compare(customers, compared, MEASURES, level=LEVEL)
    others = [measure for measure in MEASURES if measure != DECLINE]
    overall.effects.update(zip(others, correct([overall.effects[measure] for measure in others]), strict=True))
    vanishing = _vanishing(compared)
    sensitivity = _sensitivity(compared, covariates) if vanishing is not None else ()
    results, pairs = compare_offers(compared, plan)
    untreated = customers.filter(pl.col("campaign_group") != TREATMENT)
    return Lift(
        verdict=_judge(overall.effects[DECLINE], vanishing, sensitivity),
        overall=overall,
        segments=_compare_segments(customers, compared),
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
        notes=_notes(customers, plan, known, vanishing),
    )


def _measured(customers: pl.DataFrame, known: Known) -> tuple[pl.DataFrame, float | None, tuple[str, ...]]:
    """Return the customers with all measures and covariates, what revenue is capped at, and the covariates."""
    compared = pl.col("campaign_group") != NOT_IN_CAMPAIGN
    covariates = COVARIATES if known.revenue_before is not None else COVARIATES[:-1]
    if known.revenue_before is not None:
        customers = customers.join(known.revenue_before, on="id", how="left", maintain_order="left")
        before = customers.select(pl.col(REVENUE_BEFORE).filter(compared).quantile(CAP_LEVEL)).item()
        customers = customers.with_columns(pl.col(REVENUE_BEFORE).clip(upper_bound=before))
    cap = customers.select(pl.col(REVENUE).filter(compared).quantile(CAP_LEVEL)).item()
    capped, decline = pl.col(REVENUE).clip(upper_bound=cap), pl.col("declined").cast(pl.Float64)
    return customers.with_columns(capped.alias(CAPPED), decline.alias(DECLINE)), cap, covariates


def _compare_segments(customers: pl.DataFrame, compared: pl.DataFrame) -> dict[str, Comparison]:
    """Return each segment's comparison, its p-values corrected for the number of segments, a measure at a time."""
    codes = sorted(customers["segment"].unique())
    parts = {code: compared.filter(pl.col("segment") == code) for code in codes}
    labelled = (_split(part.filter(pl.col("declined").is_not_null())) for part in parts.values())
    tested = max(1, sum(not (treated.is_empty() or control.is_empty()) for treated, control in labelled))
    segments = {
        code: _compare(customers.filter(pl.col("segment") == code), part, OF_SEGMENTS, level=LEVEL / tested)
        for code, part in parts.items()
    }
    for measure in OF_SEGMENTS:
        effects = correct([segment.effects[measure] for segment in segments.values()])
        for segment, effect in zip(segments.values(), effects, strict=True):
            segment.effects[measure] = effect
    return segments


def _compare(part: pl.DataFrame, compared: pl.DataFrame, measures: Sequence[str], *, level: float) -> Comparison:
    fates = {group: part.filter(pl.col("campaign_group") == group)["fate"] for group in CAMPAIGN_GROUPS}
    groups = {
        group: Group(of_group.len(), *(int((of_group == fate).sum()) for fate in FATES))
        for group, of_group in fates.items()
    }
    effects = {measure: _effect(compared, measure, level=level) for measure in measures}
    cost = float(_split(compared)[0]["cost"].sum())
    profit = effects[PROFIT]
    gained = None if profit.difference is None else Difference(profit.difference, profit.low, profit.high, None)
    return Comparison(groups, effects, make_worth(gained, profit.treatment_customers, cost))


def _effect(compared: pl.DataFrame, measure: str, *, level: float) -> Effect:
    treated, control = _split(compared.filter(pl.col(measure).is_not_null()))
    sizes = (treated.height, control.height)
    means = mean_of(treated[measure]), mean_of(control[measure])
    effect = Effect(*sizes, *means)
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
    effect = replace(effect, **vars(difference), p_value_corrected=difference.p_value, standard_error=error)
    return effect if measure == DECLINE else replace(effect, detectable=detectable_difference(error, level=level))


def _split(compared: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    treated, control = (compared.filter(pl.col("campaign_group") == group) for group in (TREATMENT, CONTROL))
    return treated, control


def _strata(compared: pl.DataFrame) -> list[Stratum]:
    """Return both groups' sizes by segment, and what the run knew of them; of the customers with a label."""
    is_treated, probability = pl.col("campaign_group") == TREATMENT, pl.col("decline_probability")
    variance = probability * (1 - probability)
    strata = (
        compared.filter(pl.col(DECLINE).is_not_null())
        .group_by("segment")
        .agg(t=is_treated.sum(), c=(~is_treated).sum(), p=probability.mean(), v=variance.mean())
        .sort("segment")
    )
    return [Stratum(*row[1:]) for row in strata.iter_rows()]


def _judge(effect: Effect, vanishing: Vanishing | None, sensitivity: Sequence[Case]) -> Verdict:
    if effect.difference is None or effect.p_value is None:
        return "nothing_to_compare"
    if not effect.is_found:
        return "not_proven"
    against = "worst" if effect.difference < 0 else "best"
    [opposite] = [case for case in sensitivity if case.case == against]
    is_overturned = opposite.p_value is None or opposite.p_value >= LEVEL or opposite.difference * effect.difference < 0  # type: ignore[operator]
    if vanishing is not None and vanishing.is_unequal and is_overturned:
        return "not_sure"
    return "fewer_declined" if effect.difference < 0 else "more_declined"


def _vanishing(compared: pl.DataFrame) -> Vanishing | None:
    treated, control = _split(compared)
    if treated.is_empty() or control.is_empty():
        return None
    gone = (treated["declined"].null_count(), control["declined"].null_count())
    totals = (treated.height, control.height)
    p_value = rate_difference(gone, totals).p_value
    return Vanishing(gone[0] / totals[0], gone[1] / totals[1], 1.0 if p_value is None else p_value)


def _sensitivity(compared: pl.DataFrame, covariates: Sequence[str]) -> tuple[Case, ...]:
    is_treated = pl.col("campaign_group") == TREATMENT
    cases = []
    for case, declines in {"all_declined": pl.lit(value=True), "worst": is_treated, "best": ~is_treated}.items():
        filled = compared.select(
            "segment",
            "campaign_group",
            "cost",
            *covariates,
            pl.col(DECLINE).fill_null(declines.cast(pl.Float64)),
            pl.col(PROFIT).fill_null(pl.when(declines).then(-pl.col("monthly_profit")).otherwise(0.0)),
        )
        groups = _split(adjust(filled, OF_SEGMENTS, covariates))
        declined, profit = (compare_strata(*groups, adjusted_name(measure)) for measure in OF_SEGMENTS)
        result = Case(case, *(mean_of(group[DECLINE]) for group in groups))
        if declined is not None:
            result = replace(result, **vars(mean_difference(*declined)))
        if profit is not None:
            gained = (profit[0].mean - profit[1].mean) * groups[0].height * PROFIT_MONTHS
            result = replace(result, net=gained - float(groups[0]["cost"].sum()))
        cases.append(result)
    return tuple(cases)


def _delivery(compared: pl.DataFrame, contacted: pl.Series) -> Delivery:
    """Return who was contacted, and the effect of the lot on declines over that on contacts (two-stage least squares).

    Its error is that of the outcome less the effect of each customer's own contact.
    """
    ids = contacted.unique()
    compared = compared.with_columns(contact=pl.col("id").is_in(ids.implode()).cast(pl.Float64))
    treated, control = _split(compared)
    counts = (treated.height, int(treated["contact"].sum()), control.height, int(control["contact"].sum()))
    delivery = Delivery(*counts, ids.len() - counts[1] - counts[3])
    treated, control = (group.filter(pl.col(DECLINE).is_not_null()) for group in (treated, control))
    outcomes = compare_strata(treated, control, adjusted_name(DECLINE))
    contacts = compare_strata(treated, control, "contact")
    if outcomes is None or contacts is None:
        return delivery
    by_lot = mean_difference(*contacts)
    contact = by_lot.difference
    if contact <= 0 or (by_lot.p_value is not None and by_lot.p_value >= LEVEL):
        return delivery
    effect = (outcomes[0].mean - outcomes[1].mean) / contact
    without = (pl.col(adjusted_name(DECLINE)) - effect * pl.col("contact")).alias("without")
    rest = compare_strata(treated.with_columns(without), control.with_columns(without), "without")
    if rest is None:
        return replace(delivery, difference=effect)
    difference = mean_difference(*rest)
    low, high = (None if end is None else effect + end / contact for end in (difference.low, difference.high))
    return replace(delivery, difference=effect, low=low, high=high)


def assess_model(customers: pl.DataFrame) -> Quality:
    """Compare the run's probabilities with the labels of the customers who have one."""
    labelled = customers.filter(pl.col("declined").is_not_null())
    if labelled.is_empty():
        return Quality(0, 0)
    probability, declined = labelled["decline_probability"], labelled["declined"]
    roc_auc, low, high = delong(probability, declined) or (None, None, None)
    deciles = (
        labelled.group_by("risk_decile")
        .agg(pl.len(), pl.col("decline_probability").mean(), pl.col("declined").sum())
        .sort("risk_decile")
    )
    return Quality(
        customers=labelled.height,
        declined=int(declined.sum()),
        predicted=mean_of(probability),
        observed=int(declined.sum()) / labelled.height,
        roc_auc=roc_auc,
        roc_auc_low=low,
        roc_auc_high=high,
        brier=brier_score(probability, declined),
        calibration_error=calibration_error(calibration_bins(probability, declined)),
        deciles=tuple(
            Decile(decile, count, predicted, events / count, ends.low, ends.high)
            for decile, count, predicted, events in deciles.iter_rows()
            for ends in [wilson_interval(events, count)]
        ),
    )


def mean_of(values: pl.Series) -> float | None:
    """Return the mean of values (Float64); None without any."""
    mean: float | None = values.to_frame().select(pl.all().mean()).item()
    return mean


def _notes(customers: pl.DataFrame, plan: Plan, known: Known, vanishing: Vanishing | None) -> tuple[Note, ...]:
    treated, control = _split(customers)
    groups = {TREATMENT: treated, CONTROL: control}
    missing = [name for name, group in groups.items() if group["declined"].drop_nulls().is_empty()]
    free = sorted(set(treated["offer"]) - {offer.code for offer in plan.offers})
    runs, unread = (", ".join(names) for names in (known.exposure.runs, known.exposure.unread))
    lost = sum(group["declined"].null_count() for group in groups.values())
    shares: dict[str, str | int | float] = {}
    if vanishing is not None and vanishing.is_unequal:
        shares = {"treatment": 100 * vanishing.treatment, "control": 100 * vanishing.control}
    values: list[tuple[str, bool, dict[str, str | int | float]]] = [
        ("nothing_to_compare", bool(missing), {"groups": ", ".join(missing)}),
        ("no_cost", bool(free), {"offers": ", ".join(free)}),
        ("control_contacted", known.exposure.customers > 0, {"customers": known.exposure.customers, "runs": runs}),
        ("runs_unread", bool(unread), {"runs": unread}),
        ("no_revenue_before", known.revenue_before is None, {}),
        *(("unlike_groups", True, means) for means in _unlike(treated, control)),
        ("no_outcome", lost > 0, {"lost": lost, "customers": treated.height + control.height}),
        ("unequal_vanishing", bool(shares), shares),
        ("no_untreated", treated.height == customers.height, {}),
    ]
    return tuple(Note(kind, named) for kind, is_so, named in values if is_so)


def _unlike(treated: pl.DataFrame, control: pl.DataFrame) -> Iterator[dict[str, str | int | float]]:
    """Yield the means of what differed between the groups before the campaign by more than chance explains."""
    for column in ("decline_probability", "monthly_profit"):
        means = [mean_of(group[column]) for group in (treated, control)]
        if means[0] is None or means[1] is None:
            return
        of_means = pl.col(column).var() / pl.len()
        error = sqrt(sum(group.select(of_means).item() or 0.0 for group in (treated, control)))
        if abs(means[0] - means[1]) > UNLIKE_SCORE * error > 0:
            yield {"column": column, "treatment": means[0], "control": means[1]}
