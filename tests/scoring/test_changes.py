"""A delivery that is half empty, or of which consent is gone, is told; chance is not."""

from __future__ import annotations

from typing import Any

import pytest

from job.scoring.changes import describe_changes, tell_changes
from schemas.manifest import Manifest
from tests.manifests import make_manifest


def month(
    customers: int = 10_000, *, consent: float = 0.8, contacts: int = 2_000, risk: float = 0.3, **lost: Any
) -> Manifest:
    excluded, rejected = lost.get("excluded", 0), lost.get("rejected", 0)
    scored = customers - excluded - rejected
    plain = make_manifest(run_id="before")
    segment = {"contact_allowed": round(scored * consent), "customers": scored, "mean_risk": risk if scored else None}
    return make_manifest(
        run_id="before",
        customers={**plain["customers"], "in": customers, "scored": scored, "excluded": excluded, "rejected": rejected},
        segments=[segment],
        campaign={**plain["campaign"], "contacts": contacts},
        **{key: value for key, value in lost.items() if key == "settings"},
    )


def beyond(now: Manifest, before: Manifest, limit: float = 0.3) -> list[str]:
    return [change["measure"] for change in describe_changes(now, before, limit) if change["is_beyond"]]


def test_the_first_run_has_nothing_before_it() -> None:
    assert describe_changes(month(), None, 0.3) == []


@pytest.mark.parametrize(
    ("now", "measures"),
    [
        (month(), []),
        (month(12_000, contacts=2_400), []),
        (month(6_000, contacts=1_990), ["customers"]),
        (month(400_000), ["customers"]),
        (month(consent=0.3), ["consent"]),
        (month(contacts=1_000), ["contacts"]),
        (month(contacts=0), ["contacts"]),
        (month(risk=0.5), ["mean_risk"]),
        (month(excluded=4_000), ["kept"]),
        (month(rejected=4_000), ["accepted"]),
    ],
)
def test_what_is_beyond_the_limit(now: Manifest, measures: list[str]) -> None:
    assert beyond(now, month()) == measures
    assert beyond(now, month(), limit=100) == []


def test_chance_is_no_change() -> None:
    """Of 20 customers, 8 instead of 12 with consent are a third fewer, and mean nothing."""
    assert beyond(month(20, consent=0.4), month(20, consent=0.6)) == []
    assert beyond(month(2_000, consent=0.4), month(2_000, consent=0.6)) == ["consent"]


def test_a_campaign_that_was_planned_otherwise_is_not_compared() -> None:
    plain = make_manifest()["settings"]
    other = {**plain, "campaign": {**plain["campaign"], "budget": 1.0}}
    changes = describe_changes(month(contacts=1, settings=other), month(), 0.3)
    assert "contacts" not in [change["measure"] for change in changes]


def test_from_nothing_to_something_is_beyond_any_limit() -> None:
    changes = describe_changes(month(contacts=5), month(contacts=0), 1e9)
    assert [change for change in changes if change["is_beyond"]] == [
        {"measure": "contacts", "before": 0.0, "now": 5.0, "change": None, "is_beyond": True}
    ]


def test_nobody_before_or_now_is_no_defect() -> None:
    assert beyond(month(0, contacts=0), month()) == ["customers", "contacts"]
    assert beyond(month(), month(0, contacts=0)) == ["customers", "contacts"]


def test_a_change_is_told_in_a_line() -> None:
    changes = describe_changes(month(6_000, consent=0.3), month(), 0.3)
    assert tell_changes(changes, "abc") == [
        "customers: 6,000, 10,000 in the run before, abc (--max-change)",
        "share of scored customers that may be contacted: 30.0%, 80.0% in the run before, abc (--max-change)",
    ]
