"""What a comparison says: by hand on small groups, and at its stated rates on simulated campaigns."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import polars as pl

from job.campaign.lift import DECLINE, MEASURES, PROFIT, Case, Group, Note, assess_model, match_outcome, measure_lift
from job.campaign.outcome import Effects, simulate_outcome
from job.intake.drop import find_files
from job.intake.reconcile import accept_drop
from job.sample import split_tables, write_pieces
from job.settings import Limits
from job.statistics import rate_difference
from tests.campaign.runs import make_group, make_scored

if TYPE_CHECKING:
    from pathlib import Path

SIMULATIONS, CUSTOMERS = 400, 500
MEAN_PROBABILITY = 0.6 / 1.6
FEWEST_COVERED, MOST_COVERED = 364, 393
"""The quantiles 0.0005 and 0.9995 of the number of 95 % intervals among 400 that hold the truth."""


def campaign() -> pl.DataFrame:
    return pl.concat(
        [
            make_group("treatment", declined=48, unchanged=112, vanished=10),
            make_group("control", declined=20, unchanged=20, vanished=2),
            make_group("none", declined=10, unchanged=20, vanished=3),
            make_group("treatment", declined=30, unchanged=70, segment="two"),
            make_group("control", declined=15, unchanged=35, segment="two"),
            make_group("treatment", declined=1, unchanged=1, segment="without control"),
        ]
    )


def test_rates_overall_and_by_segment() -> None:
    lift = measure_lift(campaign(), {"news": 0.5}, seed=1, resamples=199)
    assert list(lift.segments) == ["one", "two", "without control"]
    overall, one, two = (part.effects[DECLINE] for part in (lift.overall, lift.segments["one"], lift.segments["two"]))
    assert (overall.treatment_customers, overall.control_customers) == (262, 90)
    assert (overall.treatment, overall.control) == (79 / 262, 35 / 90)
    assert (one.treatment, one.control, two.treatment, two.control) == (0.3, 0.5, 0.3, 0.3)
    expected = rate_difference((48, 20), (160, 40))
    assert (one.difference, one.low, one.high, one.p_value) == (
        expected.difference,
        expected.low,
        expected.high,
        expected.p_value,
    )
    assert expected.p_value is not None
    assert one.p_value_corrected == 2 * expected.p_value  # Holm, the smaller of two
    assert (two.p_value, two.p_value_corrected, two.is_found) == (1, 1, False)
    assert overall.p_value_corrected == overall.p_value


def test_segment_without_control_has_no_difference() -> None:
    part = measure_lift(campaign(), {"news": 0.5}, seed=1, resamples=199).segments["without control"]
    for measure in MEASURES:
        effect = part.effects[measure]
        assert (effect.treatment_customers, effect.control_customers, effect.control) == (2, 0, None)
        assert (effect.difference, effect.p_value, effect.p_value_corrected, effect.detectable) == (None,) * 4
    assert (part.worth.incremental_profit, part.worth.offer_cost, part.worth.net) == (None, 1.0, None)


def test_customers_are_counted_in_every_group() -> None:
    lift = measure_lift(campaign(), {}, seed=1, resamples=199, new_customers=12)
    assert lift.overall.groups == {
        "treatment": Group(in_run=272, found=262, vanished=10, unusable=0),
        "control": Group(in_run=92, found=90, vanished=2, unusable=0),
        "none": Group(in_run=33, found=30, vanished=3, unusable=0),
    }
    assert lift.new_customers == 12


def test_sensitivity_to_the_vanished() -> None:
    customers = pl.concat(
        [
            make_group("treatment", declined=30, unchanged=60, vanished=10),
            make_group("control", declined=20, unchanged=25, vanished=5),
        ]
    )
    cases = measure_lift(customers, {}, seed=1, resamples=199).sensitivity
    assert [(case.case, case.treatment, case.control) for case in cases] == [
        ("all_declined", 0.4, 0.5),
        ("worst", 0.4, 0.4),
        ("best", 0.3, 0.5),
    ]
    found = rate_difference((40, 25), (100, 50))
    assert cases[0] == Case("all_declined", 0.4, 0.5, found.difference, found.low, found.high, found.p_value)


def test_worth_is_the_profit_of_the_treated_less_all_contacts() -> None:
    customers = pl.concat(
        [
            make_group("treatment", declined=20, unchanged=80, vanished=5),
            make_group("control", declined=40, unchanged=60),
        ]
    )
    lift = measure_lift(customers, {"news": 0.25}, seed=1, resamples=199)
    worth, profit = lift.overall.worth, lift.overall.effects[PROFIT]
    assert profit.difference is not None
    assert round(profit.difference, 9) == 0.4  # a fifth of the customers lose 2 less
    assert worth.incremental_profit is not None
    assert round(worth.incremental_profit, 6) == 0.4 * 100 * 3
    assert worth.offer_cost == 105 * 0.25
    assert worth.net == worth.incremental_profit - worth.offer_cost
    assert worth.net_low is not None
    assert worth.net_low < worth.net


def test_revenue_is_capped_beside_the_raw_mean() -> None:
    customers = pl.concat(
        [make_group("treatment", declined=100, unchanged=900), make_group("control", declined=10, unchanged=90)]
    ).with_columns(pl.when(pl.int_range(pl.len()) == 950).then(1e6).otherwise("revenue").alias("revenue"))
    lift = measure_lift(customers, {}, seed=1, resamples=199)
    assert lift.revenue_cap == 12006.0
    raw, capped = (lift.overall.effects[measure].difference for measure in ("revenue", "revenue_capped"))
    assert raw is not None
    assert capped is not None
    assert raw > 900
    assert abs(capped) < 10


def test_notes() -> None:
    lift = measure_lift(campaign(), {}, seed=1, resamples=199)
    assert lift.notes == (
        Note("no_cost", {"offers": "news"}),
        Note("no_outcome", {"lost": 12, "customers": 364}),
    )
    treated = make_group("treatment", declined=20, unchanged=80)
    alone = measure_lift(treated, {"news": 0}, seed=1, resamples=199)
    assert alone.notes == (Note("nothing_to_compare", {"groups": "control"}), Note("no_untreated", {}))
    assert (alone.sensitivity, alone.model["untreated"].customers) == ((), 0)


def test_groups_that_differed_before_are_named() -> None:
    control = make_group("control", declined=20, unchanged=80).with_columns(pl.col("monthly_profit") + 1)
    lift = measure_lift(
        pl.concat([make_group("treatment", declined=20, unchanged=80), control]), {"news": 0}, seed=1, resamples=199
    )
    [note] = lift.notes
    assert (note.kind, note.values["column"]) == ("unlike_groups", "monthly_profit")


def test_model_by_decile() -> None:
    quality = assess_model(make_group("none", declined=30, unchanged=70))
    assert (quality.customers, quality.declined, quality.observed) == (100, 30, 0.3)
    assert [decile.decile for decile in quality.deciles] == list(range(1, 11))
    assert {decile.customers for decile in quality.deciles} == {10}
    assert round(sum(decile.observed for decile in quality.deciles), 9) == 3
    assert assess_model(make_group("none", declined=1, unchanged=9)).roc_auc is None


def test_match_outcome_sorts_fates(tmp_path: Path) -> None:
    scored = make_scored(60)
    outcome = simulate_outcome(scored, Effects(), seed=3)
    present = outcome.filter(pl.col("id").is_in([500, 501, 502, 503, *range(510, 560)]))
    tables = split_tables(present, labelled=True)
    pages = "Страниц_за_визит"
    contradiction = tables["market_file"].filter(pl.col("id") == 502).with_columns(pl.col(pages) + 1)
    tables["market_file"] = pl.concat([tables["market_file"], contradiction])
    tables["money"] = tables["money"].filter(pl.col("id") != 503)
    write_pieces(tmp_path / "drop", iter([tables]), table_format="csv", shuffle_seed=None)
    intake = accept_drop(find_files(tmp_path / "drop"), labelled=True, limits=Limits(0.2, 0.2))
    matched = match_outcome(scored, intake)
    assert matched["id"].to_list() == scored["id"].to_list()
    fates = dict(matched.select("id", "fate").iter_rows())
    assert [fates[id_] for id_ in (500, 501, 502, 503, 504)] == ["found", "found", "unusable", "found", "vanished"]
    row = matched.row(by_predicate=pl.col("id") == 503, named=True)
    assert row["monthly_profit_change"] is None
    expected = outcome.row(by_predicate=pl.col("id") == 503, named=True)
    months = ("current_month", "previous_month", "month_before_previous")
    assert round(row["revenue"], 6) == round(sum(expected[f"revenue_{month}"] for month in months), 6)
    assert row["monthly_minutes"] == (expected["minutes_current_month"] + expected["minutes_previous_month"]) / 2
    assert row["declined"] == (expected["activity"] == "Снизилась")
    profit = matched.row(by_predicate=pl.col("id") == 501, named=True)
    after = outcome.row(by_predicate=pl.col("id") == 501, named=True)["monthly_profit"]
    assert profit["monthly_profit_change"] == after - profit["monthly_profit"]


def simulated(*, effect: float, seed: int) -> list[pl.DataFrame]:
    """Return many campaigns among customers drawn anew, as `match_outcome` gives them, without money and minutes.

    The probabilities have a beta distribution with the mean `MEAN_PROBABILITY`.
    """
    source = random.Random(seed)  # noqa: S311
    customers = SIMULATIONS * CUSTOMERS
    scored = make_scored(customers).with_columns(
        pl.Series("decline_probability", [source.betavariate(0.6, 1.0) for _ in range(customers)]),
        pl.Series("campaign_group", ["treatment" if source.random() < 0.8 else "control" for _ in range(customers)]),
    )
    outcome = simulate_outcome(scored, Effects(effect), seed=seed).select(
        "id", declined=pl.col("activity") == "Снизилась"
    )
    unknown = pl.lit(None, dtype=pl.Float64)
    matched = scored.join(outcome, on="id", how="left", maintain_order="left").with_columns(
        fate=pl.when(pl.col("declined").is_null()).then(pl.lit("vanished")).otherwise(pl.lit("found")),
        revenue=unknown,
        monthly_minutes=unknown,
        monthly_profit_change=unknown,
    )
    return list(matched.iter_slices(CUSTOMERS))


def test_effect_of_simulated_campaigns_is_covered_at_the_stated_rate() -> None:
    covered = 0
    for customers in simulated(effect=0.25, seed=11):
        effect = measure_lift(customers, {}, seed=1).overall.effects[DECLINE]
        assert effect.low is not None
        assert effect.high is not None
        covered += effect.low <= -0.25 * MEAN_PROBABILITY <= effect.high
    assert FEWEST_COVERED <= covered <= MOST_COVERED


def test_campaigns_without_effect_show_one_at_the_stated_rate_and_segments_no_more_often() -> None:
    overall = segments = 0
    for customers in simulated(effect=0, seed=12):
        lift = measure_lift(customers, {}, seed=1)
        overall += lift.overall.effects[DECLINE].is_found
        segments += any(part.effects[DECLINE].is_found for part in lift.segments.values())
    assert SIMULATIONS - MOST_COVERED <= overall <= SIMULATIONS - FEWEST_COVERED
    assert segments <= SIMULATIONS - FEWEST_COVERED
