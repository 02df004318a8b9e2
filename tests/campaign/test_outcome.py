"""Simulated outcomes: repeatable, accepted, and with the effect that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from click.testing import CliRunner

from job.campaign.outcome import VANISHED_SHARE, Course, Effects, simulate_outcome, write_outcome
from job.cli import main
from job.errors import SettingsError
from job.intake.drop import find_files
from job.intake.reconcile import accept_drop
from job.sample import FIRST_ID, make_tables
from job.settings import Limits
from schemas.vocabulary import MONTHS_OF_REVENUE
from tests.campaign.runs import make_scored, publish

if TYPE_CHECKING:
    from pathlib import Path

MANY = 40_000
DECLINES = pl.col("activity") == "Снизилась"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_declines_come_with_the_probability_less_the_effect() -> None:
    scored = make_scored(MANY)
    outcome = simulate_outcome(scored, Effects(0.4), seed=1)
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
    without, with_effect = (simulate_outcome(scored, Effects(effect), seed=2) for effect in (0.0, 0.3))
    changed = without.select("id", "activity", after=with_effect["activity"]).filter(
        pl.col("activity") != pl.col("after")
    )
    changed = changed.join(scored, on="id")
    assert without["id"].to_list() == with_effect["id"].to_list()
    assert changed["campaign_group"].unique().to_list() == ["treatment"]
    assert changed["activity"].unique().to_list() == ["Снизилась"]


def test_money_and_minutes_move_with_the_label() -> None:
    scored = make_scored(MANY)
    outcome = simulate_outcome(scored, Effects(), seed=3).join(scored, on="id", suffix="_before")
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
    profits = simulate_outcome(scored, Effects(), seed=1)["monthly_profit"]
    assert profits.is_between(-3.41, -2.39).all()


@pytest.mark.parametrize("table_format", ["csv", "parquet"])
@pytest.mark.parametrize("clean", [False, True])
def test_written_outcome_repeats_and_is_accepted(tmp_path: Path, table_format: str, clean: bool) -> None:  # noqa: FBT001
    run = publish(tmp_path / "runs" / "abc", make_scored(2000, first_id=7_000_000_000))
    for name in ("one", "two"):
        rows = write_outcome(
            tmp_path / name, run=run, effects=["0.2"], seed=5, clean=clean, table_format=table_format, shuffled=True
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
        write_outcome(tmp_path / "out", run=run, seed=1)
    assert error.value.problems == (
        f"{run}: nobody of this run is left in the outcome; take another seed or a larger run",
    )


def test_each_offer_has_its_own_effect() -> None:
    scored = make_scored(MANY)
    outcome = simulate_outcome(scored, Effects(0.1, {"discount": 0.5}), seed=1)
    treated = outcome.join(scored.filter(pl.col("campaign_group") == "treatment"), on="id")
    rates = dict(treated.group_by("offer").agg(DECLINES.mean().alias("rate")).iter_rows())
    expected = dict(treated.group_by("offer").agg(pl.col("decline_probability").mean()).iter_rows())
    assert rates["discount"] / expected["discount"] == pytest.approx(0.5, abs=0.04)
    assert rates["news"] / expected["news"] == pytest.approx(0.9, abs=0.04)


def test_who_has_declined_after_one_month_has_after_three() -> None:
    scored = make_scored(MANY)
    one, three = (simulate_outcome(scored, Effects(), Course(months), seed=1) for months in (1, 3))
    assert set(three["id"]) < set(one["id"])
    both = three.select("id", "activity").join(one.select("id", first="activity"), on="id")
    assert both.filter(pl.col("first") == "Снизилась", ~DECLINES).is_empty()
    share = both.select((pl.col("first") == "Снизилась").mean()).item()
    expected = scored.select((1 - (1 - pl.col("decline_probability")).pow(1 / 3)).mean()).item()
    assert share == pytest.approx(expected, abs=0.01)


def test_the_next_month_has_the_same_customers_and_shifts_the_months(tmp_path: Path) -> None:
    """Of a sample's customers, under its seed: what a customer is like stays, and the seasons move on."""
    first = make_tables(customers=2000, seed=5, labelled=False)
    months = [{"period": "", "level": 1.0, "training": 1.0, "ratio": ratio} for ratio in (1.5, 0.8, 1.0)]
    scored = make_scored(2000, first_id=FIRST_ID)
    run = publish(tmp_path / "abc", scored, levels={"source": "drop", "months": months})
    rows = write_outcome(
        tmp_path / "next", run=run, seed=5, months=1, season=0.7, labelled=False, clean=True, effects=["news=0.2"]
    )
    assert 0.985 * 2000 < rows["market_file"] < 2000
    after = accept_drop(find_files(tmp_path / "next"), labelled=False, limits=Limits()).tables
    stayed = first["market_file"].join(after["market_file"].select("id"), on="id")
    assert after["market_file"]["promo_share"].to_list() == stayed["Акционные_покупки"].to_list()
    profits = after["money"].join(scored.select("id", before="monthly_profit"), on="id")
    assert profits["monthly_profit"].to_list() == profits["before"].to_list()
    ratios = (
        after["market_money"]
        .with_columns(pl.col("period").cast(pl.String))
        .join(
            first["market_money"].select(
                "id",
                pl.col("Период").replace_strict(MONTHS_OF_REVENUE.values).alias("period"),
                pl.col("Выручка").alias("usual"),
            ),
            on=["id", "period"],
        )
        .group_by("period")
        .agg((pl.col("revenue") / pl.col("usual")).median().alias("ratio"))
    )
    found = dict(ratios.iter_rows())
    assert found["current_month"] == pytest.approx(0.7, abs=0.04)  # less the decliners'
    assert found["previous_month"] == pytest.approx(1.5, abs=0.001)
    assert found["month_before_previous"] == pytest.approx(0.8, abs=0.001)


def test_each_run_has_a_fate_of_its_own(tmp_path: Path) -> None:
    """Under one seed: else the same customers would decline in every month of a year."""
    for name in ("one", "two"):
        run = publish(tmp_path / "runs" / name, make_scored(500))
        write_outcome(tmp_path / name, run=run, seed=5, clean=True, table_format="parquet")
    one, two = (pl.read_parquet(tmp_path / name / "market_file.parquet") for name in ("one", "two"))
    both = one.join(two, on="id")
    assert not both["Покупательская активность"].equals(both["Покупательская активность_right"])
    assert both["Акционные_покупки"].equals(both["Акционные_покупки_right"])


def test_wrong_settings_are_named_at_once(tmp_path: Path) -> None:
    run = publish(tmp_path / "abc", make_scored(100))
    refused = CliRunner().invoke(
        main,
        ["sample", "--outcome-of", str(run), "--seed", "1", "--season", "nan"]
        + [word for text in ("discont=0.2", "news=3", "nan", "news=a", "0.1") for word in ("--effect", text)]
        + [str(tmp_path / "out")],
    )
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.splitlines() == [
        "--effect: found discont=0.2, expected an offer of the run: discount, news",
        "--effect: found news=3, expected a number from -1 to 1, alone or as OFFER=E",
        "--effect: found nan, expected a number from -1 to 1, alone or as OFFER=E",
        "--effect: found news=a, expected each offer once",
        "--effect: found news=a, expected a number from -1 to 1, alone or as OFFER=E",
        "--effect: found 0.1, expected one number without an offer",
        "--season: found nan, expected a number above 0",
    ]
    assert not (tmp_path / "out").exists()
