"""What a campaign changed, as a page of text for a person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from job.campaign.lift import CAP_LEVEL
from job.campaign.results import CAPPED, DECLINE, MEASURES, MINUTES, PROFIT, REVENUE
from job.statistics import POWER
from job.text_table import UNKNOWN, Columns, align, table
from schemas.scored import CAMPAIGN_GROUPS

if TYPE_CHECKING:
    from job.campaign.results import Delivery, Effect, Lift, OfferPair, Verdict, Worth

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
GROUPS: Final[Columns] = {
    "group": "{name}",
    "in the run": "{in_run:,}",
    "found": "{found:,}",
    "vanished": "{vanished:,}",
    "row unusable": "{unusable:,}",
}
OFFERS: Final[Columns] = {
    "offer": "{offer}",
    "treated": "{treated:,}",
    "control": "{control:,}",
    "prevented": "{effect:.1%}",
    "interval": "{low:.1%} to {high:.1%}",
    "breaks even": "{break_even:.1%}",
    "net profit": "{worth.net:,.0f}",
    "decision": lambda row: (
        row["decision"].replace("_", " ")
        + ("" if row["more_customers"] is None else f", {row['more_customers']:,} more customers")
    ),
}
CASES_COLUMNS: Final[Columns] = {
    "of those without outcome": lambda row: CASES[row["case"]],
    "treated": "{treatment:.1%}",
    "control": "{control:.1%}",
    "adjusted": lambda row: _points(row["difference"]),
    "interval": lambda row: _interval(_points(row["low"]), _points(row["high"])),
    "p": lambda row: _p_value(row["p_value"]),
    "net profit": "{net:,.0f}",
}
QUALITY: Final[Columns] = {
    "customers": "{name}",
    "number": "{customers:,}",
    "foretold": "{predicted:.1%}",
    "declined": "{observed:.1%}",
    "ROC-AUC": "{roc_auc:.3f}",
    "interval": "{roc_auc_low:.3f} to {roc_auc_high:.3f}",
    "Brier": "{brier:.3f}",
    "calibration error": "{calibration_error:.3f}",
}


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
        *table(GROUPS, ({"name": name, **vars(lift.overall.groups[name])} for name in CAMPAIGN_GROUPS)),
        f"    new in the outcome: {lift.new_customers:,}",
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
        *table(OFFERS, map(vars, lift.offers)),
        *(f"    {_pair(pair)}" for pair in lift.pairs),
        "",
        f"  Profit in three months, {_worth(lift.overall.worth)}",
        *(["", "  Decline rate if the customers without outcome had done so"] if lift.sensitivity else []),
        *(table(CASES_COLUMNS, map(vars, lift.sensitivity)) if lift.sensitivity else []),
        "",
        "  The model, now that labels exist",
        *table(QUALITY, ({"name": QUALITIES[name], **vars(quality)} for name, quality in lift.model.items())),
        "",
        *(f"  Note: {NOTES[note.kind].format(**note.values)}" for note in lift.notes),
        f"  Files: {folder}",
    ]
    return "\n".join(lines)


def _delivery(delivery: Delivery | None) -> list[str]:
    if delivery is None:
        return []
    effect = f"{_points(delivery.difference)} ({_interval(_points(delivery.low), _points(delivery.high))})"
    return [
        f"    really contacted: {delivery.treatment_contacted:,} of {delivery.treatment:,} treated, "
        f"{delivery.control_contacted:,} of {delivery.control:,} control, {delivery.outsiders:,} others; "
        f"a contact changes the decline rate by {effect}"
    ]


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
