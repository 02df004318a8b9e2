"""A whole run: the contract's frame, consent, groups that stay, and the same bytes for the same inputs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from job.sample import write_drop
from job.scoring.pipeline import Outcome, run_scoring
from job.settings import Campaign, ScoreSettings
from schemas.scored import SCORED_COLUMNS, check_scored

if TYPE_CHECKING:
    from pathlib import Path

BYTES = ("scored.parquet", "scored.csv", "campaign.csv", "campaign.xlsx", "rejected.csv", "excluded.csv")


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline") / "drop"
    write_drop(folder, customers=2000, seed=7, labelled=False, clean=False, table_format="csv", shuffled=True)
    return folder


def run(drop: Path, output: Path, **choices: Any) -> Outcome:
    return run_scoring(
        drop, output, ScoreSettings(campaign=Campaign(**choices), campaign_format="xlsx", no_report=True)
    )


@pytest.fixture(scope="module")
def outcome(drop: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(drop, tmp_path_factory.mktemp("pipeline-out"))


@pytest.fixture(scope="module")
def scored(outcome: Outcome) -> pl.DataFrame:
    return pl.read_parquet(outcome.folder / "scored.parquet")


def test_scored_is_what_the_contract_says(scored: pl.DataFrame) -> None:
    assert scored.columns == list(SCORED_COLUMNS)
    scores = ["id", "decline_probability", "risk_decile", "monthly_profit", "profit_at_risk", "expected_value"]
    campaign = ["segment", "offer", "contact_allowed", "campaign_group"]
    assert scored.columns == [*scores, *campaign, "reason_1", "reason_2", "reason_3", "in_training"]
    check_scored(scored)
    assert scored["id"].is_sorted()


def test_campaign_is_the_treated_and_nobody_without_consent(outcome: Outcome, scored: pl.DataFrame) -> None:
    text = (outcome.folder / "campaign.csv").read_bytes().decode("utf-8-sig")
    listed = [int(line.split(";", 2)[1]) for line in text.splitlines()[1:]]
    treated = scored.filter(pl.col("campaign_group") == "treatment")
    by_worth = treated.sort("expected_value", "id", descending=[True, False])
    assert listed == by_worth["id"].to_list()
    assert treated["contact_allowed"].all()
    assert outcome.manifest["campaign"]["contacts"] == len(listed) > 0
    assert sum(row["treatment"] for row in outcome.manifest["segments"]) == len(listed)


def test_segments_add_up(outcome: Outcome, scored: pl.DataFrame) -> None:
    segments = outcome.manifest["segments"]
    assert sum(row["customers"] for row in segments) == scored.height
    assert sum(row["share"] for row in segments) == pytest.approx(1)
    for row in segments:
        assert row["treatment"] + row["control"] + row["none"] == row["customers"] > 0


def test_the_same_inputs_give_the_same_bytes(outcome: Outcome, drop: Path, tmp_path: Path) -> None:
    again = run(drop, tmp_path)
    assert again.folder.name == outcome.folder.name
    for name in BYTES:
        assert (again.folder / name).read_bytes() == (outcome.folder / name).read_bytes(), name
    assert not run(drop, tmp_path).is_new


def test_choices_make_another_run_and_change_no_score(drop: Path, tmp_path: Path, scored: pl.DataFrame) -> None:
    other = run(drop, tmp_path, name="Осень", control_share=0.5, budget=20)
    assert other.manifest["campaign"]["spent"] <= 20
    frame = pl.read_parquet(other.folder / "scored.parquet")
    assert frame.drop("campaign_group").equals(scored.drop("campaign_group"))
    # The shipped segments were used before in no run of this output: nothing to compare with.
    assert {row["previous_share"] for row in other.manifest["segments"]} == {None}
    again = run(drop, tmp_path, name="Зима")
    assert again.folder != other.folder
    assert [row["previous_share"] for row in again.manifest["segments"]] == [
        row["share"] for row in again.manifest["segments"]
    ]
    assert json.loads((tmp_path / "latest" / "manifest.json").read_bytes())["run_id"] == again.manifest["run_id"]
