"""All runs and lifts of an output, as plain values: what `history.json` holds and the page shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from job.rounding import rounded
from job.scoring.effects import Lift, OfferEffect, pool_lifts, read_lifts
from job.scoring.published import read_runs
from job.statistics import pool_effects
from schemas.manifest import Interval, Manifest, OfferRow, mean_risk
from schemas.phrases import ONSITE
from schemas.results import RESULT_FORMAT

DECLINE: Final = "decline_rate"


def describe_history(output: Path) -> dict[str, Any]:
    """Return what an output knows of its runs and campaigns, the newest first.

    What cannot be read is in `warnings`. Raises OSError if the output cannot be listed.
    """
    lifts, unmeasured = read_lifts(output)
    manifests = {folder.name: manifest for folder, manifest in read_runs(output)}
    # Of each offer what the newest run says that has it.
    offers = {
        offer["offer"]: offer
        for manifest in reversed(manifests.values())
        for segment in manifest["segments"]
        for offer in segment["offers"]
        if offer["channel"] != ONSITE
    }
    measured = {lift.run_id: lift for lift in lifts}
    finished = {name: manifest["finished"] for name, manifest in manifests.items()}
    lifts.sort(key=lambda lift: (finished.get(lift.run_id, ""), lift.run_id), reverse=True)
    campaigns = [_describe_campaign(lift, manifests.get(lift.run_id)) for lift in lifts]
    plain: dict[str, Any] = rounded(
        {
            "format": RESULT_FORMAT,
            "offers": _describe_offers(lifts, offers),
            "campaigns": campaigns,
            "expected": _sum_up(campaigns),
            "runs": [_describe_run(manifest, measured.get(name)) for name, manifest in manifests.items()],
            "warnings": unmeasured,
        }
    )
    return plain


def _describe_offers(lifts: Sequence[Lift], offers: Mapping[str, OfferRow]) -> list[dict[str, Any]]:
    """Return each offer's effect, the largest first; of those that no campaign measured, what is assumed."""
    assumed = {code: offer["assumed"] for code, offer in offers.items()}
    pooled = pool_lifts(lifts, assumed)
    rows: list[dict[str, Any]] = [
        {
            "offer": offer,
            "text": offers[offer]["offer_text"],
            "effect": result.pooled.effect,
            "low": result.pooled.low,
            "high": result.pooled.high,
            "assumed": effect,
            "weight_of_assumption": result.pooled.weight_of_assumption,
            "campaigns": result.campaigns,
            "treated": result.treated,
            "control": result.control,
        }
        for offer, effect in assumed.items()
        for result in [pooled.get(offer) or OfferEffect(pool_effects([], assumed=effect), effect, 0, 0, 0)]
    ]
    return sorted(rows, key=lambda row: (-row["effect"], row["offer"]))


def _describe_campaign(lift: Lift, manifest: Manifest | None) -> dict[str, Any]:
    """Return what a campaign was expected to bring, and what came. Args: manifest: None if the run is gone."""
    overall: Any = lift.content.get("overall")
    groups = _part(overall, "groups")
    planned = None if manifest is None else manifest["campaign"]
    treated, control = (int(_number(_part(groups, name).get("in_run")) or 0) for name in ("treatment", "control"))
    return {
        "run_id": lift.run_id,
        "finished": None if manifest is None else manifest["finished"],
        "name": None if planned is None else planned["name"],
        "treated": treated,
        "control": control,
        "fall": _interval(_part(overall, "effects", DECLINE), "difference", "low", "high", sign=-1),
        "p_value": _number(_part(overall, "effects", DECLINE).get("p_value")),
        "expected_value": None if planned is None else planned["expected_value"],
        "net": _interval(_part(overall, "worth"), "net", "net_low", "net_high"),
    }


def _describe_run(manifest: Manifest, lift: Lift | None) -> dict[str, Any]:
    campaign, drift, scored = manifest["campaign"], manifest["drift"], manifest["customers"]["scored"]
    foretold = drift and drift["roc_auc"]
    untreated = {} if lift is None else _part(lift.content.get("model"), "untreated")
    return {
        "run_id": manifest["run_id"],
        "finished": manifest["finished"],
        "model": manifest["model"]["digest"],
        "customers": manifest["customers"]["in"],
        "scored": scored,
        "mean_risk": mean_risk(manifest),
        "high_risk": manifest["report_data"]["risk"]["high"],
        "levels": {month["period"]: month["ratio"] for month in manifest["levels"]["months"]},
        "drift": drift and drift["severity"],
        "roc_auc_foretold": foretold and foretold["estimate"],
        "roc_auc_found": _number(untreated.get("roc_auc")),
        "campaign": campaign["name"],
        "control_name": campaign["control_name"],
        "contacts": campaign["contacts"],
        "cost": campaign["spent"],
        "control": campaign["control"],
        "held_elsewhere": campaign["held_elsewhere"],
        "expected_value": campaign["expected_value"],
        "effects": manifest["settings"]["history"]["effects_from"],
    }


def _sum_up(campaigns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sums, over the measured campaigns, of what was expected and of what came, with its 95 % interval.

    Campaigns are taken to be independent of each other; those that share a control group are so but nearly.
    """
    both = [one for one in campaigns if None not in (one["expected_value"], one["net"])]
    reach = math.hypot(*((one["net"]["high"] - one["net"]["low"]) / 2 for one in both))
    came = math.fsum(one["net"]["mean"] for one in both)
    return {
        "campaigns": len(both),
        "expected_value": math.fsum(one["expected_value"] for one in both),
        "net": {"mean": came, "low": came - reach, "high": came + reach} if both else None,
    }


def _part(plain: Any, *names: str) -> dict[str, Any]:  # noqa: ANN401 - what others may have written
    for name in names:
        plain = plain.get(name) if isinstance(plain, dict) else None
    return plain if isinstance(plain, dict) else {}


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None  # type: ignore[arg-type] # as just asked


def _interval(plain: dict[str, Any], mean: str, low: str, high: str, *, sign: int = 1) -> Interval | None:
    ends = [_number(plain.get(name)) for name in ((mean, low, high) if sign > 0 else (mean, high, low))]
    if None in ends:
        return None
    first, second, third = (sign * float(end or 0.0) for end in ends)
    return {"mean": first, "low": second, "high": third}
