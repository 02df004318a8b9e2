"""Manifests of runs made by hand: whole, with what a test wants to be otherwise; and the JSON Schema of all of them."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, NotRequired, cast, get_args, get_origin, get_type_hints, is_typeddict

from schemas.manifest import FORMAT, Manifest

if TYPE_CHECKING:
    from schemas.report_data import ReportData


def make_manifest(**changes: Any) -> Manifest:
    """Return the manifest of a run of nobody; `changes` replace its entries."""
    manifest: Manifest = {
        "format": FORMAT,
        "run_id": "abc",
        "identity": "abc",
        "product": {"name": "oneclick-retention", "version": "0.1.0"},
        "started": "2026-07-01T05:00:00+00:00",
        "finished": "2026-07-01T05:01:00+00:00",
        "drop": "drop",
        "inputs": [],
        "model": {
            "digest": "0" * 64,
            "version": None,
            "kind": "linear",
            "title": "linear",
            "thresholds": {"risk": 0.5, "profit": 4.0, "promo_share": 0.5},
        },
        "settings": {
            "max_rejected": 0.05,
            "max_unknown": 0.05,
            "segments": "0" * 64,
            "segment_change": 1.5,
            "campaign": {"name": "default", "control_name": "default", "control_share": 0.1, "budget": None},
            "history": {"effects_from": "measured", "effects": {}, "release_control": False, "held_by": []},
            "format": "csv",
            "drift": [0.1, 0.25],
            "max_change": 0.3,
            "month_level": None,
        },
        "customers": {"in": 0, "scored": 0, "excluded": 0, "rejected": 0, "excluded_by_reason": {}},
        "rows": {},
        "repairs": [],
        "warnings": [],
        "segments_file": "segments.toml",
        "segments": [],
        "campaign": {
            "name": "default",
            "control_name": "default",
            "control_share": 0.1,
            "budget": None,
            "profit_lost": 0.5,
            "spent": 0.0,
            "contacts": 0,
            "control": 0,
            "not_worth": 0,
            "held_elsewhere": 0,
            "beyond_budget": 0,
            "expected_value": 0.0,
            "next_unit": None,
            "power": {
                "power": 0.8,
                "level": 0.05,
                "overall": {
                    "name": "all",
                    "treated": 0,
                    "control": 0,
                    "rate": 0.0,
                    "fall": None,
                    "effect": None,
                    "control_share": None,
                },
                "segments": [],
                "offers": [],
                "too_small": [],
            },
        },
        "report_data": make_report_data(),
        "drift": None,
        "levels": {"source": "training", "months": []},
        "changes": [],
        "earlier": [],
        "look": [],
        "seconds": {},
        "outputs": {},
    }
    return {**manifest, **changes}  # type: ignore[typeddict-item] # a test may want any entry to be wrong


def make_report_data() -> ReportData:
    """Return the report data of a run of nobody."""
    counts = {"allowed": 0, "treatment": 0, "control": 0, "treatment_profit_at_risk": 0.0, "treatment_declines": 0.0}
    plain = {
        "customers": 0,
        "sample": None,
        "thresholds": {"risk": 0.5, "profit": 4.0, "promo_share": 0.5},
        "risk": {
            **dict.fromkeys(("high", "in_training"), 0),
            **dict.fromkeys(("mean", "high_profit_at_risk", "profit_at_risk", "monthly_profit"), 0.0),
            "median": None,
            "histogram": [0] * 20,
        },
        "deciles": [],
        "risk_and_profit": {"profit_edges": [], "customers": []},
        "segments": [],
        "matches": {},
        "contacts": counts,
        "drivers": {"overall": {}, "direction": {}, "segments": {}, "spread": {"edges": [], "features": {}}},
        "capped": [],
        "correlations": {"names": [], "phi_k": []},
        "inflation": [],
        "distributions": {"by": "risk", "base_rate": None, "customers": [0, 0], "numbers": [], "words": []},
        "labels": None,
        "card": None,
    }
    return cast("ReportData", plain)


_PLAIN = {
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    Any: {},
}


def json_schema(hint: Any = Manifest) -> dict[str, Any]:
    """Return the JSON Schema of a type of `schemas.manifest`: its entries, those that must be there, and no others."""
    if hint in _PLAIN:
        return dict(_PLAIN[hint])
    if is_typeddict(hint):
        return {
            "type": "object",
            "properties": {name: json_schema(own) for name, own in get_type_hints(hint).items()},
            "required": sorted(
                name
                for name, marked in get_type_hints(hint, include_extras=True).items()
                if get_origin(marked) is not NotRequired
            ),
            "additionalProperties": False,
        }
    arguments = get_args(hint)
    if get_origin(hint) is list:
        return {"type": "array", "items": json_schema(arguments[0])}
    if get_origin(hint) is dict:
        return {"type": "object", "additionalProperties": json_schema(arguments[1])}
    if get_origin(hint) is types.UnionType:
        return {"anyOf": [json_schema(argument) for argument in arguments]}
    raise TypeError(f"{hint} has no JSON Schema here")
