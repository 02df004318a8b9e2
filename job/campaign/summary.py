"""What a campaign changed, as a page of text for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from job.campaign.lift import CAP_LEVEL
from job.campaign.results import CAPPED, DECLINE, MEASURES, MINUTES, PROFIT, REVENUE
from job.statistics import POWER
from job.text_table import align
from schemas.scored import CAMPAIGN_GROUPS

if TYPE_CHECKING:
    from pathlib import Path

    from job.campaign.quality import Quality
    from job.campaign.results import Case, Delivery, Effect, Lift, OfferPair, OfferResult, Verdict, Worth

UNKNOWN: Final = "-"
TITLES: Final = {
    DECLINE: "decline rate",
    REVENUE: "revenue in three months",
    CAPPED: "the same, capped",
    MINUTES: "minutes a month",
    PROFIT: "change of monthly profit",
}
CASES: Final = {"all_declined": "all declined", "worst": "only the treated declined", "best": "only control declined"}
VERDICTS: Final[dict[Verdict, str]] = {
    "nothing_to_compare": "nothing to compare",
    "not_proven": "no effect on the decline rate that chance does not explain",
    "not_sure": "not proven: customers are gone unequally, and in the worst case nothing is left of the effect",
    "fewer_declined": "fewer customers declined",
    "more_declined": "more customers declined",
}
NOTES: Final = {
    "nothing_to_compare": "no customer of these groups has an outcome, so there is nothing to compare: {groups}",
    "no_cost": "the run's manifest tells no cost of these offers, counted as 0: {offers}",
    "unlike_groups": "the groups differed before the campaign by more than chance explains: mean {column} "
    "{treatment:.3g} of the treated, {control:.3g} of the control group; the adjusted difference takes that off",
    "no_outcome": "of {customers:,} treated and control customers {lost:,} have no outcome: see what that could change",
    "unequal_vanishing": "{treatment:.1f} % of the treated have no outcome and {control:.1f} % of the control group, "
    "more than chance explains: those found are no longer alike, and the worst case decides",
    "no_untreated": "nobody is untreated, so what the model foretold cannot be told from what the campaign changed",
    "control_contacted": "{customers:,} customers of the control group were contacted by other runs ({runs}), so that "
    "the difference shows less than there is; give all campaigns one --control",
    "runs_unread": "runs that cannot be read, so that it is not known whether they contacted the control group: {runs}",
    "no_revenue_before": "the drop that the run scored is not where it was: revenue before the campaign is not "
    "adjusted for, and intervals are longer than they could be",
}
QUALITIES: Final = {"untreated": "untreated (control, none)", "all": "all"}


def summarise_lift(lift: Lift, *, run_id: str, folder: Path | str) -> str:
    """Return the summary of a comparison.

    Args:
        lift: the comparison.
        run_id: the run's name.
        folder: where its files are.
    """
    tested = sum(part.effects[DECLINE].p_value is not None for part in lift.segments.values())
    lines = [
        f"Campaign of run {run_id}: {VERDICTS[lift.verdict]}",
        "",
        "  Customers",
        *_groups(lift),
        *_delivery(lift.delivery),
        "",
        "  Treated against control; adjusted for what was known before, with 95 % intervals",
        *align(
            ("measure", "treated", "control", "difference", "adjusted", "interval", "p", "detectable"),
            [(TITLES[measure], *_cells(lift.overall.effects[measure], measure)) for measure in MEASURES],
        ),
        "    the verdict is the adjusted decline rate; p of the other measures is corrected for their number (Holm)",
        f"    capped at {_amount(lift.revenue_cap)}, the quantile {CAP_LEVEL} of both groups; pp: percentage points",
        f"    detectable: the smallest effect that groups of these sizes show with a power of {POWER:.0%}",
        f"    adjusted for {', '.join(lift.adjusted_for)}",
        "",
        f"  Decline rate by segment; p corrected for {tested} segments (Holm)",
        *align(
            ("segment", "treated", "control", "difference", "adjusted", "interval", "p", "detectable", "net profit"),
            [
                (code, *_cells(part.effects[DECLINE], DECLINE), _amount(part.worth.net))
                for code, part in lift.segments.items()
            ],
        ),
        "",
        "  Offers against the control group of their segments",
        *align(
            ("offer", "treated", "control", "prevented", "interval", "breaks even", "net profit", "decision"),
            [_offer(result) for result in lift.offers],
        ),
        *(f"    {_pair(pair)}" for pair in lift.pairs),
        "",
        f"  Profit in three months, {_worth(lift.overall.worth)}",
        *_sensitivity(lift.sensitivity),
        "",
        "  The model, now that labels exist",
        *align(
            ("customers", "number", "foretold", "declined", "ROC-AUC", "interval", "Brier", "calibration error"),
            [(QUALITIES[name], *_quality(quality)) for name, quality in lift.model.items()],
        ),
        "",
        *(f"  Note: {NOTES[note.kind].format(**note.values)}" for note in lift.notes),
        f"  Files: {folder}",
    ]
    return "\n".join(lines)


def _groups(lift: Lift) -> list[str]:
    rows = [
        (name, *(f"{count:,}" for count in (group.in_run, group.found, group.vanished, group.unusable)))
        for name in CAMPAIGN_GROUPS
        for group in [lift.overall.groups[name]]
    ]
    return [
        *align(("group", "in the run", "found", "vanished", "row unusable"), rows),
        f"    new in the outcome: {lift.new_customers:,}",
    ]


def _delivery(delivery: Delivery | None) -> list[str]:
    if delivery is None:
        return []
    effect = f"{_points(delivery.difference)} ({_interval(_points(delivery.low), _points(delivery.high))})"
    return [
        f"    really contacted: {delivery.treatment_contacted:,} of {delivery.treatment:,} treated, "
        f"{delivery.control_contacted:,} of {delivery.control:,} control, {delivery.outsiders:,} others; "
        f"a contact changes the decline rate by {effect}"
    ]


def _offer(result: OfferResult) -> tuple[str, ...]:
    decision = result.decision.replace("_", " ")
    if result.more_customers is not None:
        decision += f", {result.more_customers:,} more customers"
    return (
        result.offer,
        f"{result.treated:,}",
        f"{result.control:,}",
        _shown(result.effect, ".1%"),
        _interval(_shown(result.low, ".1%"), _shown(result.high, ".1%")),
        _shown(result.break_even, ".1%"),
        _amount(result.worth.net),
        decision,
    )


def _pair(pair: OfferPair) -> str:
    net = f"net {_shown(pair.net_difference, '+,.2f')} a customer"
    ends = _interval(_points(pair.low), _points(pair.high))
    p_value = _p_value(pair.p_value_corrected)
    return f"{pair.first} against {pair.second}: {_points(pair.difference)} ({ends}), p {p_value}, {net}"


def _cells(effect: Effect, measure: str) -> tuple[str, ...]:
    is_rate = measure == DECLINE

    def change(value: float | None) -> str:
        return _points(value) if is_rate else _shown(value, "+,.2f")

    return (
        *(_shown(mean, ".1%" if is_rate else ",.2f") for mean in (effect.treatment, effect.control)),
        change(None if effect.raw is None else effect.raw.difference),
        change(effect.difference),
        _interval(change(effect.low), change(effect.high)),
        _p_value(effect.p_value_corrected),
        change(effect.detectable).lstrip("+"),
    )


def _worth(worth: Worth) -> str:
    gained = f"{_amount(worth.incremental_profit)} more ({_interval(_amount(worth.low), _amount(worth.high))})"
    net = f"net {_amount(worth.net)} ({_interval(_amount(worth.net_low), _amount(worth.net_high))})"
    return f"all treated customers: {gained}, offers cost {worth.offer_cost:,.0f}, {net}"


def _sensitivity(cases: tuple[Case, ...]) -> list[str]:
    if not cases:
        return []
    rows = [
        (
            CASES[case.case],
            _shown(case.treatment, ".1%"),
            _shown(case.control, ".1%"),
            _points(case.difference),
            _interval(_points(case.low), _points(case.high)),
            _p_value(case.p_value),
            _amount(case.net),
        )
        for case in cases
    ]
    headings = ("of those without outcome", "treated", "control", "adjusted", "interval", "p", "net profit")
    return ["", "  Decline rate if the customers without outcome had done so", *align(headings, rows)]


def _quality(quality: Quality) -> tuple[str, ...]:
    return (
        f"{quality.customers:,}",
        _shown(quality.predicted, ".1%"),
        _shown(quality.observed, ".1%"),
        _shown(quality.roc_auc, ".3f"),
        _interval(_shown(quality.roc_auc_low, ".3f"), _shown(quality.roc_auc_high, ".3f")),
        _shown(quality.brier, ".3f"),
        _shown(quality.calibration_error, ".3f"),
    )


def _shown(value: float | None, form: str) -> str:
    return UNKNOWN if value is None else format(value, form)


def _amount(value: float | None) -> str:
    return _shown(value, ",.0f")


def _points(value: float | None) -> str:
    return UNKNOWN if value is None else f"{100 * value:+.1f} pp"


def _interval(low: str, high: str) -> str:
    return UNKNOWN if UNKNOWN in (low, high) else f"{low.removesuffix(' pp')} to {high}"


def _p_value(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return "<0.001" if value < 0.001 else f"{value:.3f}"  # noqa: PLR2004 - the last digit shown
