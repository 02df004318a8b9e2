"""All months, as text for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from job.text_table import align

if TYPE_CHECKING:
    from schemas.manifest import Interval
    from schemas.results import HistoryFile


def summarise_history(history: HistoryFile) -> str:
    """Return what offers are worth, what campaigns brought, and the runs, the newest first."""
    lines = ["Offers: share of the declines that each prevents"]
    lines += align(
        ("offer", "effect", "95 % interval", "assumed", "of it assumed", "campaigns", "treated", "control"),
        [
            (
                offer["offer"],
                f"{offer['effect']:.1%}",
                f"{offer['low']:.1%} to {offer['high']:.1%}",
                f"{offer['assumed']:.1%}",
                f"{offer['weight_of_assumption']:.0%}",
                f"{offer['campaigns']:,}",
                f"{offer['treated']:,}",
                f"{offer['control']:,}",
            )
            for offer in history["offers"]
        ],
    )
    lines += ["", "Campaigns measured: fall of the decline rate, money beyond the cost"]
    lines += align(
        ("run", "campaign", "treated", "control", "fall", "expected", "came"),
        [
            (
                campaign["run_id"],
                campaign["name"] or "-",
                f"{campaign['treated']:,}",
                f"{campaign['control']:,}",
                _shown(campaign["fall"], percent=True),
                "-" if campaign["expected_value"] is None else f"{campaign['expected_value']:,.2f}",
                _shown(campaign["net"]),
            )
            for campaign in history["campaigns"]
        ],
    )
    expected = history["expected"]
    if expected["net"] is not None:
        lines.append(f"  together: {expected['expected_value']:,.2f} expected, {_shown(expected['net'])} came")
    lines += ["", "Runs"]
    lines += align(
        ("run", "finished", "customers", "mean risk", "revenue", "drift", "ROC-AUC", "found", "contacts", "control"),
        [
            (
                run["run_id"],
                run["finished"],
                f"{run['customers']:,}",
                "-" if run["mean_risk"] is None else f"{run['mean_risk']:.1%}",
                f"{run['levels']['current_month'] - 1:+.0%}" if "current_month" in run["levels"] else "-",
                run["drift"] or "-",
                "-" if run["roc_auc_foretold"] is None else f"{run['roc_auc_foretold']:.3f}",
                "-" if run["roc_auc_found"] is None else f"{run['roc_auc_found']:.3f}",
                f"{run['contacts']:,}",
                f"{run['control']:,}",
            )
            for run in history["runs"]
        ],
    )
    return "\n".join([*lines, *(f"Note: {warning}" for warning in history["warnings"])])


def _shown(interval: Interval | None, *, percent: bool = False) -> str:
    if interval is None:
        return "-"
    mean, low, high = (
        f"{value:.1%}" if percent else f"{value:,.2f}"
        for value in (interval["mean"], interval["low"], interval["high"])
    )
    return f"{mean} ({low} to {high})"
