"""What a run says of its segments, and what it warns of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from job.scoring.manifest import count_segments, describe_segments, previous_shares, read_previous, segment_warnings
from job.scoring.publish import locked_output, staged_run
from job.scoring.segments import load_segmentation
from schemas.manifest import manifest_text
from tests.manifests import make_manifest

if TYPE_CHECKING:
    from pathlib import Path

SEGMENTATION = load_segmentation()
SCORED = pl.DataFrame(
    {
        "decline_probability": [0.9, 0.8, 0.1, 0.3],
        "monthly_profit": [2.0, 3.0, 4.0, 0.5],
        "profit_at_risk": [5.0, 7.0, 1.0, 0.5],
        "expected_value": [0.5, 0.6, 0.0, 0.0],
        "offer": ["promo", "promo", "onsite_selection", "onsite_promo"],
        "segment": ["top_risk", "top_risk", "rest", "top_risk"],
        "contact_allowed": [True, True, True, False],
        "campaign_group": ["treatment", "control", "none", "none"],
        "fate": ["treatment", "control", "onsite_only", "no_consent"],
    }
)


def row(*, share: float, before: float | None, customers: int = 1) -> dict[str, Any]:
    return {"segment": "a", "title": "А", "customers": customers, "share": share, "previous_share": before}


def test_described() -> None:
    rows = describe_segments(count_segments(SCORED, SCORED["fate"]), SEGMENTATION, previous={"top_risk": 0.5})
    assert [one["segment"] for one in rows[:2]] == ["top_risk", "rest"]
    assert len(rows) == len(SEGMENTATION.segments)
    assert rows[0] == {
        "segment": "top_risk",
        "title": "Самый высокий риск",
        "condition": "risk_decile = 1",
        "priority": 3,
        "offers": [
            {
                "offer": "promo",
                "offer_text": "Промокод на следующую покупку",
                "channel": "sms",
                "cost_per_contact": 0.3,
                "effect": 0.2,
                "assumed": 0.2,
                "discount": 0.03,
                "share": 1.0,
                "customers": 2,
                "treatment": 1,
                "control": 1,
                "cost": 0.3,
                "expected_value": 0.5,
                "break_even": 0.192,  # (0.3 + 0.03 x 2 x 3) / (0.5 x 5)
            }
        ],
        "onsite_offer": "onsite_promo",
        "customers": 3,
        "share": 0.75,
        "previous_share": 0.5,
        "mean_risk": 0.6666666667,
        "profit_at_risk": 12.5,
        "contact_allowed": 2,
        "treatment": 1,
        "control": 1,
        "none": 1,
        "no_consent": 1,
        "onsite_only": 0,
        "not_worth": 0,
        "held_elsewhere": 0,
        "beyond_budget": 0,
        "cost": 0.3,
        "expected_value": 0.5,
    }
    empty = rows[-1]
    assert (empty["customers"], empty["mean_risk"], empty["profit_at_risk"], empty["cost"]) == (0, None, 0.0, 0.0)


@pytest.mark.parametrize(
    ("rows", "customers", "lines"),
    [
        (row(share=0.0, before=0.2, customers=0), 1000, ["segment a («А») is empty"]),
        (row(share=0.0, before=None, customers=0), 1000, ["segment a («А») is empty"]),
        (row(share=0.2, before=None), 1000, []),
        (row(share=0.2, before=0.14), 1000, []),  # less than the factor
        (
            row(share=0.2, before=0.1),
            1000,
            ["segment a («А») has 20.0% of the customers, 10.0% in the previous run"],
        ),
        (
            row(share=0.1, before=0.2),
            1000,
            ["segment a («А») has 10.0% of the customers, 20.0% in the previous run"],
        ),
        (row(share=0.2, before=0.1), 30, []),  # as chance would have it
        (row(share=0.2, before=0.0), 1000, ["segment a («А») has 20.0% of the customers, 0.0% in the previous run"]),
    ],
)
def test_warnings(rows: dict[str, Any], customers: int, lines: list[str]) -> None:
    assert segment_warnings([rows], customers=customers, previous_customers=customers, limit=1.5) == lines


def test_previous_run(tmp_path: Path) -> None:
    name = "a" * 16
    assert read_previous(tmp_path) is None
    with locked_output(tmp_path), staged_run(tmp_path, name) as staged:
        (staged / "manifest.json").write_text(manifest_text(make_manifest(run_id=name)))
    assert read_previous(tmp_path) == make_manifest(run_id=name)
    (tmp_path / "runs" / name / "manifest.json").write_text(manifest_text(make_manifest(run_id=name, format=0)))
    assert read_previous(tmp_path) is None


def test_shares_of_the_previous_run() -> None:
    plain = make_manifest()
    previous = make_manifest(
        settings={**plain["settings"], "segments": "abc"},
        customers={**plain["customers"], "scored": 4},
        segments=[{"segment": "top_risk", "share": 0.75}],
    )
    assert previous_shares(previous, "abc") == ({"top_risk": 0.75}, 4)
    assert previous_shares(previous, "other segments") == ({}, 0)
    assert previous_shares(None, "abc") == ({}, 0)
