"""Simulated outcomes: repeatable, accepted, and with the effect that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from job.campaign.outcome import VANISHED_SHARE, simulate_outcome, write_outcome
from job.errors import SettingsError
from job.intake.drop import find_files
from job.intake.reconcile import accept_drop
from job.settings import Limits
from tests.campaign.runs import make_scored, publish

if TYPE_CHECKING:
    from pathlib import Path

MANY = 40_000
DECLINES = pl.col("activity") == "Снизилась"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_declines_come_with_the_probability_less_the_effect() -> None:
    scored = make_scored(MANY)
    outcome = simulate_outcome(scored, effect=0.4, seed=1)
    rates = dict(
        outcome.join(scored, on="id").group_by("campaign_group").agg((DECLINES).mean().alias("rate")).iter_rows()
    )
    expected = dict(scored.group_by("campaign_group").agg(pl.col("decline_probability").mean()).iter_rows())
    assert abs(rates["treatment"] - 0.6 * expected["treatment"]) < 0.012
    assert abs(rates["control"] - expected["control"]) < 0.02
    assert abs(rates["none"] - expected["none"]) < 0.03
    assert abs(1 - outcome.height / MANY - VANISHED_SHARE) < 0.003


def test_effect_changes_only_the_treated_who_are_spared() -> None:
    scored = make_scored(MANY)
    without, with_effect = (simulate_outcome(scored, effect=effect, seed=2) for effect in (0.0, 0.3))
    changed = without.select("id", "activity", after=with_effect["activity"]).filter(
        pl.col("activity") != pl.col("after")
    )
    changed = changed.join(scored, on="id")
    assert without["id"].to_list() == with_effect["id"].to_list()
    assert changed["campaign_group"].unique().to_list() == ["treatment"]
    assert changed["activity"].unique().to_list() == ["Снизилась"]


def test_money_and_minutes_move_with_the_label() -> None:
    scored = make_scored(MANY)
    outcome = simulate_outcome(scored, effect=0, seed=3).join(scored, on="id", suffix="_before")
    change = pl.col("monthly_profit") / pl.col("monthly_profit_before")
    assert outcome.filter(DECLINES).select(change.is_between(0.29, 0.81).all()).item()
    assert outcome.filter(~DECLINES).select(change.is_between(0.89, 1.11).all()).item()
    means = outcome.group_by(DECLINES.alias("declines")).agg(
        pl.col("revenue_current_month", "minutes_current_month").mean()
    )
    fell, kept = means.sort("declines", descending=True).rows()
    assert 0.5 < fell[1] / kept[1] < 0.6
    assert 0.5 < fell[2] / kept[2] < 0.6
    assert (outcome["consent"] == "да").to_list() == outcome["contact_allowed"].to_list()


def test_a_loss_grows_when_a_customer_declines() -> None:
    scored = make_scored(200).with_columns(monthly_profit=pl.lit(-2.0), decline_probability=pl.lit(1.0))
    profits = simulate_outcome(scored, effect=0, seed=1)["monthly_profit"]
    assert profits.is_between(-3.41, -2.39).all()


@pytest.mark.parametrize("table_format", ["csv", "parquet"])
@pytest.mark.parametrize("clean", [False, True])
def test_written_outcome_repeats_and_is_accepted(tmp_path: Path, table_format: str, clean: bool) -> None:  # noqa: FBT001
    run = publish(tmp_path / "runs" / "abc", make_scored(2000, first_id=7_000_000_000))
    for name in ("one", "two"):
        rows = write_outcome(
            tmp_path / name, run=run, effect=0.2, seed=5, clean=clean, table_format=table_format, shuffled=True
        )
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    intake = accept_drop(find_files(tmp_path / "one"), labelled=True, limits=Limits())
    ids = intake.tables["market_file"]["id"]
    assert ids.is_in(range(7_000_000_000, 7_000_002_000)).all()
    assert 1940 < ids.len() < 1980
    assert intake.rejected.is_empty() == clean
    if clean:
        assert rows["market_file"] == ids.len()


def test_nobody_left(tmp_path: Path) -> None:
    run = publish(tmp_path / "abc", make_scored(1).clear())
    with pytest.raises(SettingsError) as error:
        write_outcome(tmp_path / "out", run=run, effect=0, seed=1)
    assert error.value.problems == (
        f"{run}: nobody of this run is left in the outcome; take another seed or a larger run",
    )
    with pytest.raises(SettingsError) as error:
        write_outcome(tmp_path / "out", run=run, effect=1.5, seed=1)
    assert error.value.problems == ("--effect: found 1.5, expected a number from -1 to 1",)
