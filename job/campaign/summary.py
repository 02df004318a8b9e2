"""What a campaign changed, as a page of text for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from job.campaign.lift import CAP_LEVEL
from job.campaign.results import CAPPED, DECLINE, MEASURES, MINUTES, PROFIT, REVENUE
from job.statistics import POWER
from job.text_table import Columns, align, fill, fill_cell, table
from schemas.scored import CAMPAIGN_GROUPS

if TYPE_CHECKING:
    from job.campaign.results import Lift, Verdict

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
RATES: Final[Columns] = {
    "treated": "{treatment:.1%}",
    "control": "{control:.1%}",
    "difference": "{raw[difference]:+pp} pp",
    "adjusted": "{difference:+pp} pp",
    "interval": "{low:+pp} to {high:+pp} pp",
    "p": "{p_value_corrected:p}",
    "detectable": "{detectable:pp} pp",
}
AMOUNTS: Final[Columns] = {
    "treated": "{treatment:,.2f}",
    "control": "{control:,.2f}",
    "difference": "{raw[difference]:+,.2f}",
    "adjusted": "{difference:+,.2f}",
    "interval": "{low:+,.2f} to {high:+,.2f}",
    "p": "{p_value_corrected:p}",
    "detectable": "{detectable:,.2f}",
}
SEGMENTS: Final[Columns] = {"segment": "{segment}", **RATES, "net profit": "{net:,.0f}"}
OFFERS: Final[Columns] = {
    "offer": "{offer}",
    "treated": "{treated:,}",
    "control": "{control:,}",
    "prevented": "{effect:.1%}",
    "interval": "{low:.1%} to {high:.1%}",
    "breaks even": "{break_even:.1%}",
    "net profit": "{worth[net]:,.0f}",
    "decision": lambda row: (
        row["decision"].replace("_", " ")
        + ("" if row["more_customers"] is None else f", {row['more_customers']:,} more customers")
    ),
}
CASES_COLUMNS: Final[Columns] = {
    "of those without outcome": lambda row: CASES[row["case"]],
    **{heading: RATES[heading] for heading in ("treated", "control", "adjusted", "interval")},
    "p": "{p_value:p}",
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
    """Return the summary of a comparison, whose files are in `folder`."""
    plain = asdict(lift)
    overall, segments = plain["overall"], plain["segments"]
    tested = sum(part["effects"][DECLINE]["p_value"] is not None for part in segments.values())
    measures = [
        (TITLES[measure], *cells)
        for measure in MEASURES
        for cells in fill(RATES if measure == DECLINE else AMOUNTS, [overall["effects"][measure]])
    ]
    by_segment = (
        {"segment": code, "net": part["worth"]["net"], **part["effects"][DECLINE]} for code, part in segments.items()
    )
    lines = [
        f"Campaign of run {run_id}: {VERDICTS[lift.verdict]}",
        "",
        "  Customers",
        *table(GROUPS, ({"name": name, **overall["groups"][name]} for name in CAMPAIGN_GROUPS)),
        f"    new in the outcome: {lift.new_customers:,}",
        *([f"    {_delivery(plain['delivery'])}"] if lift.delivery else []),
        "",
        "  Treated against control; adjusted for what was known before, with 95 % intervals",
        *align(("measure", *RATES), measures),
        "    the verdict is the adjusted decline rate; p of the other measures is corrected for their number (Holm)",
        f"    capped at {fill_cell('{revenue_cap:,.0f}', plain)}, the quantile {CAP_LEVEL} of both groups; "
        "pp: percentage points",
        f"    detectable: the smallest effect that groups of these sizes show with a power of {POWER:.0%}",
        f"    adjusted for {', '.join(lift.adjusted_for)}",
        "",
        f"  Decline rate by segment; p corrected for {tested} segments (Holm)",
        *table(SEGMENTS, by_segment),
        "",
        "  Offers against the control group of their segments",
        *table(OFFERS, plain["offers"]),
        *(f"    {_pair(pair)}" for pair in plain["pairs"]),
        "",
        f"  Profit in three months, {_worth(overall['worth'])}",
        *(["", "  Decline rate if the customers without outcome had done so"] if lift.sensitivity else []),
        *(table(CASES_COLUMNS, plain["sensitivity"]) if lift.sensitivity else []),
        "",
        "  The model, now that labels exist",
        *table(QUALITY, ({"name": QUALITIES[name], **quality} for name, quality in plain["model"].items())),
        "",
        *(f"  Note: {NOTES[note.kind].format(**note.values)}" for note in lift.notes),
        f"  Files: {folder}",
    ]
    return "\n".join(lines)


def _delivery(delivery: Mapping[str, Any]) -> str:
    change, ends = (fill_cell(RATES[heading], delivery) for heading in ("adjusted", "interval"))
    return (
        "really contacted: {treatment_contacted:,} of {treatment:,} treated, {control_contacted:,} of {control:,} "
        "control, {outsiders:,} others; ".format_map(delivery)
        + f"a contact changes the decline rate by {change} ({ends})"
    )


def _pair(pair: Mapping[str, Any]) -> str:
    change, ends, p_value = (fill_cell(RATES[heading], pair) for heading in ("adjusted", "interval", "p"))
    net = fill_cell("{net_difference:+,.2f}", pair)
    return f"{pair['first']} against {pair['second']}: {change} ({ends}), p {p_value}, net {net} a customer"


def _worth(worth: Mapping[str, Any]) -> str:
    amounts = (
        "{incremental_profit:,.0f}",
        "{low:,.0f} to {high:,.0f}",
        "{net:,.0f}",
        "{net_low:,.0f} to {net_high:,.0f}",
    )
    gained, ends, net, net_ends = (fill_cell(amount, worth) for amount in amounts)
    cost = f"offers cost {worth['offer_cost']:,.0f}"
    return f"all treated customers: {gained} more ({ends}), {cost}, net {net} ({net_ends})"
