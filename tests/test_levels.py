"""The level of a month: exact, whatever the parts; a season moves it, and no customer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from job.errors import SettingsError
from job.features import make_features, split_customers
from job.intake.drop import find_files
from job.intake.reconcile import accept_drop
from job.levels import FEWEST, LevelCounts, Levels, find_levels, parse_levels
from job.sample import write_drop
from job.scoring.pipeline import run_scoring
from job.settings import Limits, ScoreSettings
from schemas.vocabulary import CURRENT_MONTH, PERIODS_OF_REVENUE

if TYPE_CHECKING:
    from pathlib import Path

TRAINING = {"current_month": 5000.0, "previous_month": 4900.0, "month_before_previous": 4800.0}
REVENUE = st.one_of(st.just(0.0), st.floats(0.01, 1e9), st.sampled_from([4972.5, 4972.4, 5000.0]))


def rows(months: dict[str, list[float]]) -> pl.DataFrame:
    pairs = [(period, revenue) for period, values in months.items() for revenue in values]
    return pl.DataFrame(pairs, schema={"period": pl.String, "revenue": pl.Float64}, orient="row")


@given(st.lists(REVENUE, min_size=1, max_size=80), st.integers(0, 80))
def test_a_level_is_the_median_of_who_paid_whatever_the_parts(values: list[float], cut: int) -> None:
    months = {key: [*values, 1.0] for key in PERIODS_OF_REVENUE}
    whole = rows(months)
    found = (LevelCounts.of(whole.head(cut)) + LevelCounts.of(whole.slice(cut))).medians(fewest=1)
    paid = pl.Series(sorted(value for value in months[CURRENT_MONTH] if value > 0)).round_sig_figs(4)
    assert found == dict.fromkeys(PERIODS_OF_REVENUE, paid[(len(paid) - 1) // 2])


def test_a_drop_that_is_too_small_is_scored_at_the_level_of_training() -> None:
    counts = LevelCounts.of(rows(dict.fromkeys(PERIODS_OF_REVENUE, [7000.0] * (FEWEST - 1))))
    assert find_levels(counts, TRAINING, None) == Levels(TRAINING, TRAINING, "training")
    counts += LevelCounts.of(rows({key: [7000.0] for key in PERIODS_OF_REVENUE}))
    assert find_levels(counts, TRAINING, None) == Levels(dict.fromkeys(PERIODS_OF_REVENUE, 7000.0), TRAINING)


def test_the_user_has_the_last_word() -> None:
    counts = LevelCounts.of(rows(dict.fromkeys(PERIODS_OF_REVENUE, [7000.0] * FEWEST)))
    assert find_levels(counts, TRAINING, "training") == Levels(TRAINING, TRAINING, "training")
    found = find_levels(counts, TRAINING, "6000,5900.5,5800")
    assert (list(found.here.values()), found.source) == ([6000.0, 5900.5, 5800.0], "option")


@pytest.mark.parametrize("text", ["", "1,2", "1,2,3,4", "1,2,x", "0,1,2", "1,2,inf", "nan,1,2", "-1,2,3"])
def test_what_is_no_level(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_levels(text)
    assert caught.value.problems == (
        f"--month-level: found {text or 'nothing'}, expected `training`, or the levels of this month, last month and "
        "the month before, like 4972,5020,4890",
    )


def test_what_is_far_from_training_is_a_question() -> None:
    here = {**TRAINING, "current_month": 10_001.0, "previous_month": 2449.0}
    assert Levels(here, TRAINING).findings() == [
        "revenue of current month: half of the customers spent 10,001, 5,000 in training; "
        "a currency, a unit, a broken export? (--month-level)",
        "revenue of previous month: half of the customers spent 2,449, 4,900 in training; "
        "a currency, a unit, a broken export? (--month-level)",
    ]
    assert Levels({**TRAINING, "current_month": 10_000.0}, TRAINING).findings() == []


def test_features_at_the_level_of_training(small_drop: Path, limits: Limits) -> None:
    """Revenue times a season, at that season's level, is what it was; and what is shown is what was delivered."""
    tables = accept_drop(find_files(small_drop), labelled=False, limits=limits).tables
    season = {"current_month": 1.3, "previous_month": 1.0, "month_before_previous": 0.9}
    dearer = pl.col("revenue") * pl.col("period").cast(pl.String).replace_strict(season, return_dtype=pl.Float64)
    plain = make_features(split_customers(tables)[0])
    moved = make_features(split_customers({**tables, "market_money": tables["market_money"].with_columns(dearer)})[0])
    levels = Levels({period: TRAINING[period] * factor for period, factor in season.items()}, TRAINING)
    assert_frame_equal(levels.at_training(moved), plain, rel_tol=1e-12)
    assert_frame_equal(levels.as_delivered(levels.at_training(moved)), moved, rel_tol=1e-12)
    assert Levels(TRAINING, TRAINING).at_training(plain) is plain


def test_a_year_of_seasons_and_prices_changes_no_decision(tmp_path: Path) -> None:
    """Twelve months of the same behaviour: no alarm, and the same customers at risk."""
    write_drop(tmp_path / "drop", customers=1000, seed=4, labelled=False, clean=True)
    files = {path.name: path.read_bytes() for path in (tmp_path / "drop").iterdir()}
    money = pl.read_csv(files["market_money.csv"])
    year = [1.0, 0.8, 0.95, 1.0, 1.05, 1.0, 0.9, 0.85, 1.1, 1.05, 1.15, 1.4, 0.75, 0.9, 1.0]
    risks = []
    for month in range(2, 14):
        season = dict(zip(("текущий_месяц", "предыдущий_месяц", "препредыдущий_месяц"), year[month::-1], strict=False))
        factor = pl.col("Период").replace_strict(season, return_dtype=pl.Float64) * 1.01**month
        drop = tmp_path / f"month-{month}"
        drop.mkdir()
        for name, content in files.items():
            (drop / name).write_bytes(content)
        money.with_columns(pl.col("Выручка") * factor).write_csv(drop / "market_money.csv")
        outcome = run_scoring(drop, tmp_path / "out", ScoreSettings(no_report=True))
        assert outcome.look == ()
        risks.append(pl.read_parquet(outcome.folder / "scored.parquet").select("id", "decline_probability"))
        levels = json.loads((outcome.folder / "manifest.json").read_text())["levels"]
        assert levels["source"] == "drop"
    for risk in risks[1:]:
        assert risk["id"].equals(risks[0]["id"])
        assert (risk["decline_probability"] - risks[0]["decline_probability"]).abs().max() < 0.02
