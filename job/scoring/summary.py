"""What a run came to, as a page of text for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from job.scoring.drift import summarise_drift
from job.scoring.past import OUTCOME_DAYS
from job.text_table import Columns, table

if TYPE_CHECKING:
    from schemas.manifest import CampaignOutcome, CampaignPower, HistoryUsed, Manifest, ModelUsed, RevenueLevels


ROWS: Final[Columns] = {
    "file": "{file}",
    "in": "{rows_in:,}",
    **{key.replace("_", " "): f"{{{key}:,}}" for key in ("as_delivered", "repaired", "rejected", "dropped")},
}
SEGMENTS: Final[Columns] = {
    "segment": "{segment}",
    "title": "{title}",
    "customers": "{customers:,}",
    "mean risk": "{mean_risk:.0%}",
    "profit at risk": "{profit_at_risk:,.0f}",
    "contacts": "{treatment:,}",
    "control": "{control:,}",
    "offer": lambda row: ", ".join(offer["offer"] for offer in row["offers"]),
}


def summarise_run(manifest: Manifest, *, latest: str) -> str:
    """Return the summary of a run. Args: latest: where the run's files can be found."""
    customers = manifest["customers"]
    lines = [
        f"Run {manifest['run_id']}, {manifest['finished']}",
        "",
        f"  customers in  {customers['in']:>10,}",
        f"  scored        {customers['scored']:>10,}",
        f"  excluded      {customers['excluded']:>10,}",
        *(f"    {count:>8,}  {reason}" for reason, count in customers["excluded_by_reason"].items()),
        f"  rejected      {customers['rejected']:>10,}",
        "",
        "  Rows",
        *table(ROWS, ({"file": file, **rows} for file, rows in manifest["rows"].items())),
        "",
        "  Segments, the largest profit at risk first",
        *table(SEGMENTS, manifest["segments"]),
        "",
        f"  Campaign: {describe_campaign(manifest['campaign'])}",
        f"  Worth: {describe_worth(manifest['campaign'], manifest['settings']['history']['effects'])}",
        f"  Power: {describe_power(manifest['campaign']['power'])}",
        f"  Control: {describe_control(manifest['campaign'], manifest['settings']['history'])}",
        f"  Model: {describe_quality(manifest['model'])}",
        f"  Revenue: {describe_levels(manifest['levels'])}",
        *([f"  Drift: {summarise_drift(manifest['drift'])}"] if manifest["drift"] else []),
        *(f"  Note: {warning}" for warning in manifest["warnings"]),
        f"  Files: {latest}",
    ]
    return "\n".join(lines)


def describe_levels(levels: RevenueLevels) -> str:
    """Return one line: at which level each month's revenue is, against training."""
    if levels["source"] == "training":
        return (
            "taken at the level of training: the drop has too few customers to know its own, or --month-level says so"
        )
    changes = {month["period"].replace("_", " "): round(month["ratio"] - 1, 2) or 0.0 for month in levels["months"]}
    months = ", ".join(f"{period} {change:+.0%}" for period, change in changes.items())
    how = "as --month-level says" if levels["source"] == "option" else "half of the customers"
    return f"{months} against training ({how}); customers are compared at that level"


def describe_campaign(campaign: CampaignOutcome) -> str:
    """Return one line: whom the campaign contacts, holds back, and what it costs."""
    budget = campaign["budget"]
    cost = f"{campaign['spent']:,.2f}" + (" with no budget set" if budget is None else f" of a budget of {budget:,.2f}")
    return f"{campaign['name']}; {campaign['contacts']:,} contacts in campaign.csv for {cost}"


def describe_worth(campaign: CampaignOutcome, measured: Mapping[str, float]) -> str:
    """Return one line: what the contacts are expected to bring, who is not worth one, what more budget would bring."""
    how = f"effects of {len(measured):,} offers measured, the others assumed" if measured else "all effects are assumed"
    parts = [
        f"{campaign['expected_value']:,.2f} expected beyond the cost ({how})",
        f"{campaign['not_worth']:,} customers are not worth a contact",
    ]
    if campaign["beyond_budget"]:
        more = campaign["next_unit"]
        brings = "" if more is None else f"; the next 1.00 of it would bring {more:,.2f} more than it costs"
        parts.append(f"the budget does not reach {campaign['beyond_budget']:,}{brings}")
    return "; ".join(parts)


def describe_power(power: CampaignPower) -> str:
    """Return one line: what the campaign will be able to show."""
    overall = power["overall"]
    sizes = f"{overall['treated']:,} against {overall['control']:,} customers"
    shows = f"{sizes} can show no effect at all"
    if overall["fall"] is not None:
        fall = f"falls by {overall['fall'] * 100:.1f} points or more ({overall['effect'] or 0.0:.0%} of the declines)"
        shows = f"{sizes} can show that the rate of {overall['rate']:.0%} {fall}"
    share = overall["control_share"]
    some = "no control share" if share is None else f"a control share of {share:.2f}"
    parts = [shows, f"{some} would show a fifth fewer declines"]
    if len(power["too_small"]) == len(power["segments"]) > 0:
        parts.append("no segment by itself is large enough for that")
    elif power["too_small"]:
        parts.append(f"too small ever: {', '.join(power['too_small'])}")
    return "; ".join(parts)


def describe_control(campaign: CampaignOutcome, history: HistoryUsed) -> str:
    """Return one line: who is held back, and by which control group."""
    text = "no customer is held back: what this campaign changes cannot be measured"
    if campaign["control"]:
        text = f"{campaign['control']:,} customers held back as the control group {campaign['control_name']}"
    if history["held_by"]:
        text += (
            f"; {campaign['held_elsewhere']:,} more are in other control groups of the last {OUTCOME_DAYS} days and "
            "not contacted either (--release-control gives these up)"
        )
    return text


def describe_quality(model: ModelUsed) -> str:
    """Return one line: the model and its measured ROC-AUC with the interval and how it was measured."""
    auc = model["roc_auc"]
    return f"{model['title']}; ROC-AUC {auc['mean']:.3f} ({auc['low']:.3f} to {auc['high']:.3f}; {auc['how']})"
