"""What changed since the run before: a delivery that is half empty, or forty times too large, is no drift."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from job.rounding import rounded
from job.scoring.manifest import is_by_chance
from schemas.manifest import Change, Manifest, mean_risk

TITLES: Final = {
    "customers": "customers",
    "accepted": "share of customers that are not rejected",
    "kept": "share of customers that are not excluded",
    "consent": "share of scored customers that may be contacted",
    "mean_risk": "mean decline probability",
    "contacts": "contacts",
}
_COUNTS: Final = ("customers", "contacts")


def describe_changes(manifest: Manifest, previous: Manifest | None, limit: float) -> list[Change]:
    """Return how a run differs from the run before; contacts only where both campaigns are planned alike.

    Beyond the limit, a share of what was before, a person must look; shares must besides differ by more than chance
    does: three standard errors.
    """
    if previous is None:
        return []
    before, now = (dict(_measures(each)) for each in (previous, manifest))
    if any(previous["settings"][key] != manifest["settings"][key] for key in ("segments", "campaign")):
        del now["contacts"]
    changes: list[Change] = []
    for measure in filter(before.__contains__, now):
        (old, old_size), (new, new_size) = before[measure], now[measure]
        change = (new - old) / old if old else (math.inf if new else 0.0)
        is_chance = old_size and is_by_chance(new, new_size, old, old_size)
        changes.append(
            {
                "measure": measure,
                "before": rounded(old),
                "now": rounded(new),
                "change": None if math.isinf(change) else rounded(change),
                "is_beyond": abs(change) > limit and not is_chance,
            }
        )
    return changes


def tell_changes(changes: Sequence[Change], before: str) -> list[str]:
    """Return a line for each change beyond the limit. Args: before: the name of the run before."""
    return [
        f"{TITLES[change['measure']]}: {_shown(change['measure'], change['now'])}, "
        f"{_shown(change['measure'], change['before'])} in the run before, {before} (--max-change)"
        for change in changes
        if change["is_beyond"]
    ]


def _measures(manifest: Manifest) -> Iterator[tuple[str, tuple[float, int]]]:
    """Yield each measure with its value, and of how many customers it is a share (0: it is none)."""
    customers = manifest["customers"]
    delivered, scored = customers["in"], customers["scored"]
    yield "customers", (float(delivered), 0)
    if delivered:
        yield "accepted", (1 - customers["rejected"] / delivered, delivered)
        yield "kept", (1 - customers["excluded"] / delivered, delivered)
    if scored:
        yield "consent", (sum(row["contact_allowed"] for row in manifest["segments"]) / scored, scored)
        yield "mean_risk", (mean_risk(manifest) or 0.0, scored)
    yield "contacts", (float(manifest["campaign"]["contacts"]), 0)


def _shown(measure: str, value: float) -> str:
    return f"{value:,.0f}" if measure in _COUNTS else f"{value:.1%}"
