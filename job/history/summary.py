"""All months, as text for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from job.text_table import Columns, table

_CAME: Final = "{net[mean]:,.2f} ({net[low]:,.2f} to {net[high]:,.2f})"
OFFERS: Final[Columns] = {
    "offer": "{offer}",
    "effect": "{effect:.1%}",
    "95 % interval": "{low:.1%} to {high:.1%}",
    "assumed": "{assumed:.1%}",
    "of it assumed": "{weight_of_assumption:.0%}",
    "campaigns": "{campaigns:,}",
    "treated": "{treated:,}",
    "control": "{control:,}",
}
CAMPAIGNS: Final[Columns] = {
    "run": "{run_id}",
    "campaign": "{name:s}",
    "treated": "{treated:,}",
    "control": "{control:,}",
    "fall": "{fall[mean]:.1%} ({fall[low]:.1%} to {fall[high]:.1%})",
    "expected": "{expected_value:,.2f}",
    "came": _CAME,
}
RUNS: Final[Columns] = {
    "run": "{run_id}",
    "finished": "{finished}",
    "customers": "{customers:,}",
    "mean risk": "{mean_risk:.1%}",
    "revenue": lambda run: f"{run['levels']['current_month'] - 1:+.0%}" if "current_month" in run["levels"] else "-",
    "drift": "{drift:s}",
    "ROC-AUC": "{roc_auc_foretold:.3f}",
    "found": "{roc_auc_found:.3f}",
    "contacts": "{contacts:,}",
    "control": "{control:,}",
}


def summarise_history(history: Mapping[str, Any]) -> str:
    """Return what offers are worth, what campaigns brought, and the runs, the newest first."""
    together = f"  together: {{expected_value:,.2f}} expected, {_CAME} came"
    lines = [
        "Offers: share of the declines that each prevents",
        *table(OFFERS, history["offers"]),
        "",
        "Campaigns measured: fall of the decline rate, money beyond the cost",
        *table(CAMPAIGNS, history["campaigns"]),
        *([together.format_map(history["expected"])] if history["expected"]["net"] else []),
        "",
        "Runs",
        *table(RUNS, history["runs"]),
        *(f"Note: {warning}" for warning in history["warnings"]),
    ]
    return "\n".join(lines)
