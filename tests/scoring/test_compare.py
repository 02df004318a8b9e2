"""Why are there fewer contacts? Each part of the answer is right where only one thing changed, and all add up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from job.cli import main
from job.sample import write_drop
from job.scoring.compare import FACTORS, compare_runs, summarise_comparison
from schemas.manifest import Manifest
from tests.faults.processes import UNMOVED
from tests.manifests import make_manifest

Segment = tuple[int, int, int, int]  # customers, consent, planned, held back


def month(
    *segments: Segment, excluded: int = 0, rejected: int = 0, left: str = "not_worth", **changes: Any
) -> Manifest:
    """Return a run. Args: left: the fate of customers with consent who are not planned."""
    plain = make_manifest()
    scored = sum(segment[0] for segment in segments)
    rows = [
        {
            "segment": f"s{number}",
            "customers": size,
            "contact_allowed": consent,
            "treatment": planned - held,
            "control": held,
            "no_consent": size - consent,
            **dict.fromkeys(("onsite_only", "not_worth", "held_elsewhere", "beyond_budget"), 0),
            left: consent - planned,
        }
        for number, (size, consent, planned, held) in enumerate(segments)
    ]
    customers = {"in": scored + excluded + rejected, "scored": scored, "excluded": excluded, "rejected": rejected}
    campaign = {**plain["campaign"], "contacts": sum(row["treatment"] for row in rows)}
    return make_manifest(customers={**plain["customers"], **customers}, segments=rows, campaign=campaign, **changes)


def parts(before: Manifest, now: Manifest) -> dict[str, float]:
    factors = compare_runs(before, now)["factors"]
    return {row["factor"]: row["contacts"] for row in factors if abs(row["contacts"]) > 1e-6}


BEFORE = month((1000, 800, 600, 60), (500, 400, 100, 10), excluded=100, rejected=50)


@pytest.mark.parametrize(
    ("now", "explained"),
    [
        (BEFORE, {}),
        (month((500, 400, 300, 30), (250, 200, 50, 5), excluded=50, rejected=25), {"customers": -315}),
        (month((1000, 400, 300, 30), (500, 200, 50, 5), excluded=100, rejected=50), {"consent": -315}),
        (month((1000, 800, 300, 30), (500, 400, 50, 5), excluded=100, rejected=50), {"worth": -315}),
        (month((1000, 800, 600, 330), (500, 400, 100, 55), excluded=100, rejected=50), {"sent": -315}),
        (month((500, 400, 300, 30), (250, 200, 50, 5), excluded=850, rejected=50), {"kept": -315}),
        (month((500, 400, 300, 30), (250, 200, 50, 5), excluded=50, rejected=850), {"accepted": -315}),
        (month((500, 400, 300, 30), (1000, 800, 200, 20), excluded=100, rejected=50), {"segments": -180}),
    ],
)
def test_one_thing_that_changed_explains_all(now: Manifest, explained: dict[str, float]) -> None:
    assert parts(BEFORE, now) == pytest.approx(explained)


@pytest.mark.parametrize(
    ("fate", "factor"),
    [("onsite_only", "message"), ("not_worth", "worth"), ("held_elsewhere", "free"), ("beyond_budget", "paid")],
)
def test_why_customers_with_consent_are_not_written_to(fate: str, factor: str) -> None:
    before, now = (month((1000, 800, planned, 60 * planned // 600), left=fate) for planned in (600, 300))
    assert parts(before, now) == pytest.approx({factor: -270})


def segment(numbers: tuple[int, int, int, int]) -> Segment:
    size, consent, planned, held = numbers
    consent = min(size, consent)
    planned = min(consent, planned)
    return size, consent, planned, min(planned, held)


counts = st.integers(0, 10_000)
months = st.builds(
    lambda segments, excluded, rejected: month(*map(segment, segments), excluded=excluded, rejected=rejected),
    st.lists(st.tuples(counts, counts, counts, counts), max_size=4),
    counts,
    counts,
)


@given(before=months, now=months)
def test_the_parts_add_up_to_the_change(before: Manifest, now: Manifest) -> None:
    comparison = compare_runs(before, now)
    old, new = comparison["contacts"]
    assert sum(row["contacts"] for row in comparison["factors"]) == pytest.approx(new - old, abs=1e-3)
    assert {row["factor"] for row in comparison["factors"]} == set(FACTORS)
    assert summarise_comparison(comparison).startswith(f"Contacts: {old:,} in run ")


def test_what_else_differs_is_listed() -> None:
    plain = make_manifest()
    settings = {**plain["settings"], "campaign": {**plain["settings"]["campaign"], "budget": 20.0}}
    now = month((1, 1, 1, 0), settings=settings, model={**plain["model"], "version": 2})
    comparison = compare_runs(month((1, 1, 1, 0)), now)
    assert comparison["settings"] == {"campaign.budget": [None, 20.0]}
    assert comparison["model"] == {"version": [None, 2]}
    assert summarise_comparison(comparison).splitlines()[-5:] == [
        "Settings that differ",
        "    campaign.budget: None -> 20.0",
        "",
        "Model",
        "    version: None -> 2",
    ]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def test_as_a_user_asks(tmp_path: Path) -> None:
    output, runs = tmp_path / "out", []
    for seed, customers in ((1, 300), (2, 200)):
        write_drop(tmp_path / str(seed), customers=customers, seed=seed, labelled=False, clean=True)
        drop = tmp_path / str(seed)
        scored = call("score", "--input", drop, "--output", output, "--no-report", "--max-change", 9, *UNMOVED)
        assert scored.exit_code == 0
        runs.append((output / "latest").resolve().name)
    result = call("runs", "--output", output, "--compare", *runs)
    assert result.exit_code == 0
    assert result.stdout.startswith("Contacts: ")
    assert "    market_file.csv    300  200 " in result.stdout
    plain = json.loads(call("runs", "--output", output, "--compare", *runs, "--json").stdout)
    assert [plain["before"], plain["now"]] == runs
    assert plain["files"]["money.csv"]["rows_in"] == [300, 200]
    assert next(row for row in plain["factors"] if row["factor"] == "customers")["contacts"] < 0
    wrong = call("runs", "--output", output, "--compare", runs[0], "none")
    assert (wrong.exit_code, wrong.stderr) == (2, f"--compare: found none, expected the name of a run of {output}\n")
