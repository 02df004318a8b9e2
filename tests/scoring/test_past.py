"""What a run takes from the runs before it: control groups of other keys, measured effects; never from itself."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from click.testing import CliRunner, Result

from job.cli import main
from job.sample import write_drop
from job.scoring.past import choose_holding
from job.scoring.published import read_runs
from job.settings import Campaign
from tests.faults.processes import UNMOVED

if TYPE_CHECKING:
    from pathlib import Path

OCTOBER = ("--campaign", "october", "--control", "autumn")


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("past") / "drop"
    write_drop(folder, customers=600, seed=1, labelled=False, clean=True)
    return folder


@pytest.fixture(scope="module")
def first(drop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output with October's run."""
    output = tmp_path_factory.mktemp("output")
    assert score(drop, output, *OCTOBER).exit_code == 0
    return output


@pytest.fixture
def output(first: Path, tmp_path: Path) -> Path:
    shutil.copytree(first, tmp_path / "out", symlinks=True)
    return tmp_path / "out"


def score(drop: Path, output: Path, *more: object) -> Result:
    arguments = ("score", "--input", drop, "--output", output, "--no-report", "--format", "csv", *UNMOVED, *more)
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def manifest_of(output: Path, run_id: str = "latest") -> dict[str, Any]:
    folder = output / "latest" if run_id == "latest" else output / "runs" / run_id
    read: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    return read


def groups_of(output: Path) -> dict[str, set[int]]:
    scored = pl.read_parquet(output / "latest" / "scored.parquet")
    return {
        str(group): set(rows["id"])
        for (group,), rows in scored.select("campaign_group", "id").group_by("campaign_group")
    }


def test_under_one_key_the_same_customers_are_held_back_and_nothing_is_taken(drop: Path, output: Path) -> None:
    october = groups_of(output)
    assert score(drop, output, "--campaign", "november", "--control", "autumn").exit_code == 0
    assert groups_of(output)["control"] == october["control"]
    history = manifest_of(output)["settings"]["history"]
    assert history == {"effects_from": "measured", "effects": {}, "release_control": False, "held_by": []}


def test_whom_another_key_holds_back_is_not_contacted(drop: Path, output: Path) -> None:
    october, run_id = groups_of(output), manifest_of(output)["run_id"]
    result = score(drop, output, "--campaign", "november", "--control", "winter")
    november, manifest = groups_of(output), manifest_of(output)
    assert not october["control"] & (november["treatment"] | november["control"])
    assert manifest["settings"]["history"]["held_by"] == [run_id]
    held = manifest["campaign"]["held_elsewhere"]
    assert 0 < held <= len(october["control"])
    assert f"{held:,} more are in other control groups of the last 92 days and not contacted either" in result.stdout
    rerun = score(drop, output, "--campaign", "november", "--control", "winter")
    assert "Nothing to do" in rerun.stderr + rerun.stdout
    assert manifest_of(output)["run_id"] == manifest["run_id"]


def test_control_groups_can_be_released(drop: Path, output: Path) -> None:
    october = groups_of(output)
    score(drop, output, "--campaign", "november", "--control", "winter", "--release-control")
    assert october["control"] & groups_of(output)["treatment"]
    assert manifest_of(output)["settings"]["history"] == {
        "effects_from": "measured",
        "effects": {},
        "release_control": True,
        "held_by": [],
    }


def test_a_smaller_share_under_the_same_key_writes_to_nobody_who_was_held_back(drop: Path, output: Path) -> None:
    october = groups_of(output)
    score(drop, output, "--campaign", "november", "--control", "autumn", "--control-share", "0.02")
    assert not october["control"] & groups_of(output)["treatment"]
    assert manifest_of(output)["campaign"]["held_elsewhere"] > 0


def test_a_run_that_was_altered_is_told_and_loses_nothing(drop: Path, output: Path) -> None:
    run_id = manifest_of(output)["run_id"]
    scored = output / "runs" / run_id / "scored.parquet"
    content = bytearray(scored.read_bytes())
    content[100] ^= 1
    scored.write_bytes(content)
    assert score(drop, output, "--campaign", "november", "--control", "winter").exit_code == 0
    manifest = manifest_of(output)
    assert manifest["settings"]["history"]["held_by"] == []
    assert manifest["warnings"] == [
        f"the control group of run {run_id} is not held back: scored.parquet is not as published"
    ]


def test_after_three_months_a_control_group_is_free(output: Path) -> None:
    runs = read_runs(output)
    finished = datetime.fromisoformat(runs[0][1]["finished"])
    winter = Campaign(control="winter")
    for days, count in ((92, 1), (93, 0)):
        now = (finished + timedelta(days=days)).astimezone(UTC)
        assert len(choose_holding(runs, winter, identity="another", now=now)) == count
    assert choose_holding(runs, winter, identity=runs[0][1]["identity"], now=finished) == []
    assert choose_holding(runs, Campaign(control="autumn", control_share=0.2), identity="another", now=finished) == []


def write_lift(output: Path, run_id: str, effect: float, error: float) -> Path:
    offer = {
        "offer": "personal_discount",
        "treated": 100,
        "control": 50,
        "effect": effect,
        "low": effect - 2 * error,
        "high": effect + 2 * error,
        "standard_error": error,
    }
    folder = output / "lift" / run_id
    folder.mkdir(parents=True)
    (folder / "lift.json").write_text(json.dumps({"run_id": run_id, "offers": [offer]}))
    return folder / "lift.json"


def test_what_lifts_measured_is_used_by_the_next_run(drop: Path, output: Path) -> None:
    write_lift(output, manifest_of(output)["run_id"], 0.8, 0.01)
    before = manifest_of(output)
    assert score(drop, output, "--campaign", "november", "--control", "autumn").exit_code == 0
    measured = manifest_of(output)
    # 0.2 wide is the assumption of 0.3, 0.05 campaigns' own deviation: the measurement weighs nearly all.
    effect = measured["settings"]["history"]["effects"]["personal_discount"]
    assert 0.75 < effect < 0.8
    offers = {
        offer["offer"]: (offer["effect"], offer["assumed"]) for row in measured["segments"] for offer in row["offers"]
    }
    assert offers["personal_discount"] == (effect, 0.3)
    assert offers["promo"] == (0.2, 0.2)
    assert measured["campaign"]["expected_value"] > before["campaign"]["expected_value"]
    score(drop, output, "--campaign", "november", "--control", "autumn", "--effects", "assumed")
    assert manifest_of(output)["campaign"]["expected_value"] == before["campaign"]["expected_value"]


def test_a_run_does_not_learn_from_itself(drop: Path, output: Path) -> None:
    run_id = manifest_of(output)["run_id"]
    write_lift(output, run_id, 0.8, 0.01)
    again = score(drop, output, *OCTOBER)
    assert "Nothing to do" in again.stderr + again.stdout
    assert manifest_of(output)["run_id"] == run_id


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{}", "no run_id, offers"),
        ('{"run_id": "0000000000000000", "offers": []}', "it is of run 0000000000000000"),
        ('{"run_id": NaN, "offers": []}', "NaN, which is no number"),
    ],
)
def test_a_lift_that_is_none_is_told_and_not_used(drop: Path, output: Path, text: str, fault: str) -> None:
    run_id = manifest_of(output)["run_id"]
    write_lift(output, run_id, 0.8, 0.01).write_text(text)
    assert score(drop, output, "--campaign", "november", "--control", "autumn").exit_code == 0
    assert manifest_of(output)["warnings"] == [f"the lift of run {run_id} is not used: {fault}"]
