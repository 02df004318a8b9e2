"""What a campaign changed: a run's treated customers against its control group, three months later.

Both groups were drawn by chance among those who might have been contacted, so that what differs between them afterwards
is the campaign's doing or chance. The customers in neither group are counted, and they show how the model did; they are
not compared with the treated, from whom they differ by more than the campaign.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from math import sqrt
from typing import TYPE_CHECKING, Final

import polars as pl

from job.campaign.statistics import (
    brier_score,
    calibration_error,
    delong,
    detectable_difference,
    mean_difference,
    moments,
)
from job.features import join_tables
from job.models.linear import add_up
from job.statistics import LEVEL, Difference, Stratum, holm, rate_difference, smallest_fall, wilson_interval
from schemas.columns import MARKET_FILE
from schemas.scored import CAMPAIGN_GROUPS, CONTROL, NOT_IN_CAMPAIGN, PROFIT_MONTHS, TREATMENT
from schemas.vocabulary import DECLINED, PERIODS_OF_MINUTES, PERIODS_OF_REVENUE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.intake.reconcile import Intake

RESAMPLES: Final = 1999
UNLIKE_SCORE: Final = 3.0
"""Standard errors between the groups' means before the campaign, above which chance is a poor explanation."""

FOUND: Final = "found"
VANISHED: Final = "vanished"
UNUSABLE: Final = "unusable"
FATES: Final = (FOUND, VANISHED, UNUSABLE)

DECLINE: Final = "decline_rate"
PROFIT: Final = "monthly_profit_change"
REVENUE: Final = "revenue"
CAPPED: Final = "revenue_capped"
MINUTES: Final = "monthly_minutes"
MEASURES: Final = (DECLINE, REVENUE, CAPPED, MINUTES, PROFIT)
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
        treatment: mean of the treated, or their rate; None without customers.
        control: of the control group.
        difference: treated minus control; None without customers in both.
        low: lower end of its 95 % interval; None where too few customers allow none.
        high: upper end.
        p_value: two-sided.
        p_value_corrected: the same corrected for the number of segments (Holm); overall, the p-value itself.
        detectable: the smallest effect that groups of these sizes find with a power of 80 %, positive; None if none.
    """

    treatment_customers: int
    control_customers: int
    treatment: float | None
    control: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    p_value_corrected: float | None
    detectable: float | None

    @property
    def is_found(self) -> bool:
        """Whether the difference is more than chance explains, at the level of 5 %."""
        return self.p_value_corrected is not None and self.p_value_corrected < LEVEL


@dataclass(frozen=True)
class Worth:
    """What the treated customers brought in, less what contacting them cost; in the shop's units.

    Args:
        incremental_profit: difference of the monthly profit's change x treated customers found x 3 months; None if
            there is no difference.
        low: lower end of its 95 % interval.
        high: upper end.
        offer_cost: cost per contact x treated customers in the run, vanished or not.
        net: incremental profit less the cost, with the same interval moved.
        net_low: lower end.
        net_high: upper end.
    """

    incremental_profit: float | None
    low: float | None
    high: float | None
    offer_cost: float
    net: float | None
    net_low: float | None
    net_high: float | None


@dataclass(frozen=True)
class Comparison:
    """Treated against control customers: all, or those of a segment."""

    groups: dict[str, Group]
    effects: dict[str, Effect]
    worth: Worth


@dataclass(frozen=True)
class Case:
    """The decline rates if the customers of whom nothing is known had behaved in one way.

    Args:
        case: `all_declined`, `worst` (of them the treated declined, the control customers did not) or `best`.
        treatment: rate of all treated customers of the run.
        control: rate of all control customers.
        difference: treated minus control.
        low: lower end of its 95 % interval.
        high: upper end.
        p_value: two-sided.
    """

    case: str
    treatment: float
    control: float
    difference: float
    low: float | None
    high: float | None
    p_value: float | None


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
    """How the model did, on some of the customers.

    Args:
        customers: found, with a label.
        declined: of them.
        predicted: mean probability.
        observed: rate of decline.
        roc_auc: None if fewer than two customers declined, or did not.
        roc_auc_low: lower end of DeLong's 95 % interval.
        roc_auc_high: upper end.
        brier: mean squared error; None without customers.
        calibration_error: expected calibration error over ten bins of equal size.
        deciles: by the run's `risk_decile`, those with customers.
    """

    customers: int
    declined: int
    predicted: float | None
    observed: float | None
    roc_auc: float | None
    roc_auc_low: float | None
    roc_auc_high: float | None
    brier: float | None
    calibration_error: float | None
    deciles: tuple[Decile, ...]


@dataclass(frozen=True)
class Note:
    """Something that a reader must know.

    Args:
        kind: `nothing_to_compare`, `no_cost`, `unlike_groups`, `no_outcome` or `no_untreated`.
        values: what its text names.
    """

    kind: str
    values: dict[str, str | int | float]


@dataclass(frozen=True)
class Lift:
    """All that is known of a campaign.

    Args:
        overall: all segments together.
        segments: segment -> its comparison, by code.
        sensitivity: of the overall rates to the customers of whom nothing is known; empty without two groups.
        model: `untreated` (control and none: what the model foretold, undisturbed) and `all`.
        revenue_cap: what `revenue_capped` is capped at; None without treated and control customers.
        new_customers: in the outcome, but not scored by the run.
        notes: what a reader must know.
    """

    overall: Comparison
    segments: dict[str, Comparison]
    sensitivity: tuple[Case, ...]
    model: dict[str, Quality]
    revenue_cap: float | None
    new_customers: int
    notes: tuple[Note, ...]


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


def measure_lift(
    customers: pl.DataFrame,
    costs: Mapping[str, float],
    *,
    seed: int,
    resamples: int = RESAMPLES,
    new_customers: int = 0,
) -> Lift:
    """Compare treated with control customers, overall and by segment, and labels with probabilities.

    Rates: Newcombe's hybrid score interval. Means: bootstrap-t. The p-values of each measure are corrected for the
    number of segments by Holm's method; the smallest effect that a segment could have shown is for the level that Holm
    begins with, 5 % / segments. The decline rate is the campaign's purpose; the p-values of the four measures are not
    corrected for being four.

    Args:
        customers: from `match_outcome`.
        costs: offer -> cost per contact; an offer that is not there costs 0, and a note says so.
        seed: of the bootstrap.
        resamples: of the bootstrap.
        new_customers: in the outcome, but not scored by the run.
    """
    compared = customers.filter(pl.col("campaign_group").is_in([TREATMENT, CONTROL]))
    cap = compared.select(pl.col(REVENUE).quantile(CAP_LEVEL)).item()
    customers = customers.with_columns(pl.col(REVENUE).clip(upper_bound=cap).alias(CAPPED))
    codes = sorted(customers["segment"].unique())
    parts = {code: customers.filter(pl.col("segment") == code) for code in codes}
    tested = max(1, sum(_is_comparable(part) for part in parts.values()))

    def compare(part: pl.DataFrame, name: str, tests: int) -> Comparison:
        effects = {
            measure: _effect(part, measure, seed=_seed(seed, name, measure), resamples=resamples, level=LEVEL / tests)
            for measure in MEASURES
        }
        groups = {group: _count_group(part.filter(pl.col("campaign_group") == group)) for group in CAMPAIGN_GROUPS}
        return Comparison(groups, effects, _worth(effects[PROFIT], _cost(part, costs)))

    segments = _correct({code: compare(part, f"segment {code}", tested) for code, part in parts.items()})
    untreated = customers.filter(pl.col("campaign_group") != TREATMENT)
    return Lift(
        overall=compare(customers, "overall", 1),
        segments=segments,
        sensitivity=_sensitivity(customers),
        model={"untreated": assess_model(untreated), "all": assess_model(customers)},
        revenue_cap=cap,
        new_customers=new_customers,
        notes=tuple(_notes(customers, costs)),
    )


def assess_model(customers: pl.DataFrame) -> Quality:
    """Compare the run's probabilities with the labels of the customers who have one."""
    labelled = customers.filter(pl.col("declined").is_not_null())
    if labelled.is_empty():
        return Quality(0, 0, None, None, None, None, None, None, None, ())
    probability, declined = labelled["decline_probability"], labelled["declined"]
    auc = delong(probability, declined)
    deciles = (
        labelled.group_by("risk_decile")
        .agg(pl.len(), pl.col("decline_probability").mean(), pl.col("declined").sum())
        .sort("risk_decile")
    )
    return Quality(
        customers=labelled.height,
        declined=int(declined.sum()),
        predicted=moments(probability).mean,
        observed=int(declined.sum()) / labelled.height,
        roc_auc=None if auc is None else auc.auc,
        roc_auc_low=None if auc is None else auc.low,
        roc_auc_high=None if auc is None else auc.high,
        brier=brier_score(probability, declined),
        calibration_error=calibration_error(probability, declined),
        deciles=tuple(
            Decile(decile, count, predicted, events / count, ends.low, ends.high)
            for decile, count, predicted, events in deciles.iter_rows()
            for ends in [wilson_interval(events, count)]
        ),
    )


def _is_comparable(part: pl.DataFrame) -> bool:
    """Return whether both groups have a customer with a label."""
    groups = part.filter(pl.col("declined").is_not_null())["campaign_group"].unique()
    return {TREATMENT, CONTROL} <= set(groups)


def _count_group(part: pl.DataFrame) -> Group:
    fates = dict(part["fate"].value_counts().iter_rows())
    return Group(part.height, *(fates.get(fate, 0) for fate in FATES))


def _effect(part: pl.DataFrame, measure: str, *, seed: int, resamples: int, level: float) -> Effect:
    column = "declined" if measure == DECLINE else measure
    treated, control = (
        part.filter(pl.col("campaign_group") == group)[column].drop_nulls() for group in (TREATMENT, CONTROL)
    )
    means = [moments(values.cast(pl.Float64)).mean if values.len() else None for values in (treated, control)]
    effect = Effect(treated.len(), control.len(), means[0], means[1], None, None, None, None, None, None)
    if not (treated.len() and control.len()):
        return effect
    if measure == DECLINE:
        events, totals = (int(treated.sum()), int(control.sum())), (treated.len(), control.len())
        difference = rate_difference(events, totals)
        fall = smallest_fall([_stratum(part)], level=level)
        detectable = None if fall is None else fall.points
    else:
        difference = mean_difference(treated, control, seed=seed, resamples=resamples)
        detectable = None
        if difference.low is not None:
            detectable = detectable_difference(moments(treated), moments(control), level=level)
    return _filled(effect, difference, detectable)


def _stratum(part: pl.DataFrame) -> Stratum:
    """Return the sizes of both groups and what the run knew of them; of the customers with a label."""
    compared = part.filter(pl.col("declined").is_not_null(), pl.col("campaign_group") != NOT_IN_CAMPAIGN)
    probability = pl.col("decline_probability")
    rate, variance = compared.select(probability.mean(), (probability * (1 - probability)).mean().alias("v")).row(0)
    treated = compared.filter(pl.col("campaign_group") == TREATMENT).height
    return Stratum(treated, compared.height - treated, rate, variance)


def _filled(effect: Effect, found: Difference, detectable: float | None) -> Effect:
    return replace(
        effect,
        difference=found.difference,
        low=found.low,
        high=found.high,
        p_value=found.p_value,
        p_value_corrected=found.p_value,
        detectable=detectable,
    )


def _correct(segments: dict[str, Comparison]) -> dict[str, Comparison]:
    """Correct the p-values of each measure for the number of segments."""
    corrected = dict(segments)
    for measure in MEASURES:
        p_values = holm([part.effects[measure].p_value for part in segments.values()])
        for code, p_value in zip(segments, p_values, strict=True):
            part = corrected[code]
            effect = replace(part.effects[measure], p_value_corrected=p_value)
            corrected[code] = replace(part, effects={**part.effects, measure: effect})
    return corrected


def _cost(part: pl.DataFrame, costs: Mapping[str, float]) -> float:
    contacts = part.filter(pl.col("campaign_group") == TREATMENT)["offer"].value_counts().sort("offer")
    return float(sum(count * costs.get(offer, 0.0) for offer, count in contacts.iter_rows()))


def _worth(profit: Effect, cost: float) -> Worth:
    scale = profit.treatment_customers * PROFIT_MONTHS
    total, low, high = (None if end is None else end * scale for end in (profit.difference, profit.low, profit.high))
    net, net_low, net_high = (None if end is None else end - cost for end in (total, low, high))
    return Worth(total, low, high, cost, net, net_low, net_high)


def _sensitivity(customers: pl.DataFrame) -> tuple[Case, ...]:
    groups = [customers.filter(pl.col("campaign_group") == group) for group in (TREATMENT, CONTROL)]
    if any(group.is_empty() for group in groups):
        return ()
    totals = (groups[0].height, groups[1].height)
    known = [int(group["declined"].sum()) for group in groups]
    unknown = [group["declined"].null_count() for group in groups]
    cases = []
    for case, declined in {"all_declined": (1, 1), "worst": (1, 0), "best": (0, 1)}.items():
        events = (known[0] + declined[0] * unknown[0], known[1] + declined[1] * unknown[1])
        found = rate_difference(events, totals)
        cases.append(
            Case(
                case=case,
                treatment=events[0] / totals[0],
                control=events[1] / totals[1],
                difference=found.difference,
                low=found.low,
                high=found.high,
                p_value=found.p_value,
            )
        )
    return tuple(cases)


def _notes(customers: pl.DataFrame, costs: Mapping[str, float]) -> list[Note]:
    notes = []
    groups = {group: customers.filter(pl.col("campaign_group") == group) for group in CAMPAIGN_GROUPS}
    missing = [group for group in (TREATMENT, CONTROL) if groups[group]["declined"].drop_nulls().is_empty()]
    if missing:
        notes.append(Note("nothing_to_compare", {"groups": ", ".join(missing)}))
    free = sorted(set(groups[TREATMENT]["offer"]) - set(costs))
    if free:
        notes.append(Note("no_cost", {"offers": ", ".join(free)}))
    notes.extend(_unlike(groups[TREATMENT], groups[CONTROL]))
    lost = sum(groups[group]["declined"].null_count() for group in (TREATMENT, CONTROL))
    if lost:
        known = groups[TREATMENT].height + groups[CONTROL].height
        notes.append(Note("no_outcome", {"lost": lost, "customers": known}))
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


def _seed(seed: int, *names: str) -> int:
    """Return a seed of its own for each comparison, so that one does not depend on what else is compared."""
    return int.from_bytes(sha256(":".join((str(seed), *names)).encode()).digest()[:8], "little")
