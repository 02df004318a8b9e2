"""What a comparison says, by hand on small groups."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

import polars as pl
import pytest

from job.campaign.lift import Known, assess_model, match_outcome, measure_lift
from job.campaign.offers import Plan, PlannedOffer
from job.campaign.outcome import Effects, simulate_outcome
from job.campaign.page import render_page
from job.campaign.results import DECLINE, MEASURES, OF_SEGMENTS, PROFIT, Exposure, Group, Note, Verdict
from job.campaign.summary import NOTES
from job.intake.drop import find_files
from job.intake.reconcile import accept_drop
from job.sample import split_tables, write_pieces
from job.settings import Limits
from job.statistics import rate_difference
from tests.campaign.runs import make_group, make_scored

if TYPE_CHECKING:
    from pathlib import Path


def plan(cost: float = 0.0) -> Plan:
    """Return what a run says whose segments all have one offer."""
    segments = ("one", "two", "without control", "at_risk", "loyal")
    offers = [
        PlannedOffer(segment, code, cost, 0.2, 0.0)
        for segment in segments
        for code in (("discount",) if segment == "at_risk" else ("news",))
    ]
    return Plan(tuple(offers), 0.5, has_budget=False, titles={"news": "Новости", "discount": "Скидка"})


def only(kinds: tuple[Note, ...], *but: str) -> list[Note]:
    return [note for note in kinds if note.kind not in but]


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
    lift = measure_lift(campaign(), plan(0.5))
    assert list(lift.segments) == ["one", "two", "without control"]
    overall, one, two = (part.effects[DECLINE] for part in (lift.overall, lift.segments["one"], lift.segments["two"]))
    assert (overall.treatment_customers, overall.control_customers) == (262, 90)
    assert (overall.treatment, overall.control) == (79 / 262, 35 / 90)
    assert (one.treatment, one.control, two.treatment, two.control) == (0.3, 0.5, 0.3, 0.3)
    assert one.raw == rate_difference((48, 20), (160, 40))
    assert one.p_value is not None
    assert one.p_value_corrected == pytest.approx(2 * one.p_value)  # Holm, the smaller of two
    assert not two.is_found
    assert overall.p_value_corrected == overall.p_value
    # Segments without both groups are left out, the others weigh by their treated customers.
    assert one.difference is not None
    assert two.difference is not None
    assert overall.difference == pytest.approx((160 * one.difference + 100 * two.difference) / 260)


def test_measures_beside_the_main_one_are_corrected_for_their_number() -> None:
    effects = measure_lift(campaign(), plan()).overall.effects
    others = sorted(effects[measure].p_value or 1 for measure in MEASURES if measure != DECLINE)
    corrected = sorted(effects[measure].p_value_corrected or 1 for measure in MEASURES if measure != DECLINE)
    assert corrected[0] == pytest.approx(min(1, 4 * others[0]))
    assert all(first <= second for first, second in zip(others, corrected, strict=True))


def test_segment_without_control_has_no_difference() -> None:
    part = measure_lift(campaign(), plan(0.5)).segments["without control"]
    assert tuple(part.effects) == OF_SEGMENTS
    for effect in part.effects.values():
        assert (effect.treatment_customers, effect.control_customers, effect.control) == (2, 0, None)
        assert (effect.difference, effect.p_value, effect.p_value_corrected, effect.detectable) == (None,) * 4
    assert (part.worth.incremental_profit, part.worth.offer_cost, part.worth.net) == (None, 1.0, None)


def test_customers_are_counted_in_every_group() -> None:
    lift = measure_lift(campaign(), plan(), Known(new_customers=12))
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
    lift = measure_lift(customers, plan(0.5))
    assert [(case.case, case.treatment, case.control) for case in lift.sensitivity] == [
        ("all_declined", 0.4, 0.5),
        ("worst", 0.4, 0.4),
        ("best", 0.3, 0.5),
    ]
    differences = [case.difference for case in lift.sensitivity]
    assert differences == pytest.approx([-0.1, 0.0, -0.2], abs=0.03)
    # What the vanished treated brought is lost, what the vanished control customers brought is not.
    nets = {case.case: case.net for case in lift.sensitivity}
    assert nets["worst"] is not None
    assert nets["all_declined"] is not None
    assert nets["best"] is not None
    assert nets["worst"] < nets["all_declined"] < nets["best"]


@pytest.mark.parametrize(
    ("treated", "control", "verdict"),
    [  # declined, unchanged, vanished
        ((60, 340, 8), (40, 60, 2), "fewer_declined"),
        ((160, 240, 8), (10, 90, 2), "more_declined"),
        ((120, 280, 8), (32, 68, 2), "not_proven"),
        ((60, 340, 100), (28, 72, 2), "not_sure"),  # 20 % of the treated are gone, 2 % of the control group
        ((20, 380, 20), (60, 40, 20), "fewer_declined"),  # unequal, but not even the worst case overturns it
        ((4, 5, 0), (40, 60, 0), "nothing_to_compare"),
    ],
)
def test_verdict(treated: tuple[int, int, int], control: tuple[int, int, int], verdict: str) -> None:
    names = ("declined", "unchanged", "vanished")
    groups = [
        make_group(group, **dict(zip(names, counts, strict=True)))
        for group, counts in (("treatment", treated), ("control", control))
    ]
    assert measure_lift(pl.concat(groups), plan()).verdict == verdict


def test_unequal_vanishing_is_named() -> None:
    customers = pl.concat(
        [
            make_group("treatment", declined=300, unchanged=680, vanished=20),
            make_group("control", declined=30, unchanged=59, vanished=11),
        ]
    )
    lift = measure_lift(customers, plan())
    assert lift.vanishing is not None
    assert (lift.vanishing.treatment, lift.vanishing.control) == (0.02, 0.11)
    assert lift.vanishing.p_value == rate_difference((20, 11), (1000, 100)).p_value
    assert Note("unequal_vanishing", {"treatment": 2.0, "control": 11.0}) in lift.notes


def test_worth_is_the_profit_of_the_treated_less_all_contacts() -> None:
    customers = pl.concat(
        [
            make_group("treatment", declined=20, unchanged=80, vanished=5),
            make_group("control", declined=40, unchanged=60),
        ]
    )
    lift = measure_lift(customers, plan(0.25))
    worth, profit = lift.overall.worth, lift.overall.effects[PROFIT]
    assert profit.raw is not None
    assert round(profit.raw.difference, 9) == 0.4  # a fifth of the customers lose 2 less
    assert profit.difference is not None
    assert worth.incremental_profit == profit.difference * 100 * 3
    assert worth.offer_cost == 105 * 0.25
    assert worth.net == worth.incremental_profit - worth.offer_cost
    assert worth.net_low is not None
    assert worth.net_low < worth.net


def test_revenue_is_capped_beside_the_raw_mean() -> None:
    customers = pl.concat(
        [make_group("treatment", declined=100, unchanged=900), make_group("control", declined=10, unchanged=90)]
    ).with_columns(pl.when(pl.int_range(pl.len()) == 950).then(1e6).otherwise("revenue").alias("revenue"))
    lift = measure_lift(customers, plan())
    assert lift.revenue_cap == 12006.0
    raw, capped = (lift.overall.effects[measure].raw for measure in ("revenue", "revenue_capped"))
    assert raw is not None
    assert capped is not None
    assert raw.difference > 900
    assert abs(capped.difference) < 10


def test_notes() -> None:
    unknown = Plan((), 0.5, has_budget=False, titles={})
    lift = measure_lift(campaign(), unknown, Known(exposure=Exposure(3, ("b", "c"), ("d",))))
    assert lift.notes == (
        Note("no_cost", {"offers": "news"}),
        Note("control_contacted", {"customers": 3, "runs": "b, c"}),
        Note("runs_unread", {"runs": "d"}),
        Note("no_revenue_before", {}),
        Note("no_outcome", {"lost": 12, "customers": 364}),
    )
    treated = make_group("treatment", declined=20, unchanged=80)
    alone = measure_lift(treated, plan())
    assert only(alone.notes, "no_revenue_before") == [
        Note("nothing_to_compare", {"groups": "control"}),
        Note("no_untreated", {}),
    ]
    assert (alone.verdict, alone.sensitivity, alone.vanishing) == ("nothing_to_compare", (), None)
    assert alone.model["untreated"].customers == 0


def test_groups_that_differed_before_are_named_and_the_difference_is_taken_off() -> None:
    """The control group's profits are higher, and so fall by more: that is no effect of the campaign."""
    groups = [make_group(group, declined=60, unchanged=240) for group in ("treatment", "control")]
    customers = pl.concat([groups[0], groups[1].with_columns(pl.col("monthly_profit") + 0.5)]).with_columns(
        monthly_profit_change=-pl.col("monthly_profit") + (pl.col("id") % 7) / 100
    )
    lift = measure_lift(customers, plan())
    [note] = only(lift.notes, "no_revenue_before", "no_untreated")
    assert (note.kind, note.values["column"]) == ("unlike_groups", "monthly_profit")
    effect = lift.overall.effects[PROFIT]
    assert effect.raw is not None
    assert effect.raw.difference == pytest.approx(0.5, abs=0.01)
    assert effect.difference == pytest.approx(0, abs=0.01)


def test_revenue_before_is_adjusted_for_where_it_is_known() -> None:
    source = random.Random(1)  # noqa: S311
    customers = pl.concat(
        [make_group("treatment", declined=300, unchanged=600), make_group("control", declined=40, unchanged=60)]
    )
    before = pl.Series([source.gauss(12_000, 2_000) for _ in range(customers.height)])
    customers = customers.with_columns(revenue=before + pl.Series([source.gauss(0, 300) for _ in before]))
    known = Known(revenue_before=pl.DataFrame({"id": customers["id"], "revenue_before": before}))
    without, with_it = (measure_lift(customers, plan(), each) for each in (Known(), known))
    assert with_it.adjusted_for == ("decline_probability", "monthly_profit", "revenue_before")
    assert without.adjusted_for == ("decline_probability", "monthly_profit")
    errors = [lift.overall.effects["revenue"].standard_error for lift in (with_it, without)]
    assert errors[0] is not None
    assert errors[1] is not None
    assert errors[0] < 0.3 * errors[1]


def test_who_was_really_contacted() -> None:
    """Half of the treated were not sent to: the contact does twice what the lot does."""
    treated = make_group("treatment", declined=100, unchanged=300)
    control = make_group("control", declined=100, unchanged=100)
    sent = [*treated["id"].to_list()[::2], 10**9]
    lift = measure_lift(pl.concat([treated, control]), plan(), Known(contacted=pl.Series("id", sent, pl.Int64)))
    delivery = lift.delivery
    assert delivery is not None
    counts = (delivery.treatment, delivery.treatment_contacted, delivery.control, delivery.control_contacted)
    assert (*counts, delivery.outsiders) == (400, 200, 200, 0, 1)
    difference, error = lift.overall.effects[DECLINE].difference, lift.overall.effects[DECLINE].standard_error
    assert difference is not None
    assert error is not None
    assert delivery.difference == pytest.approx(2 * difference)
    assert delivery.low is not None
    assert delivery.high is not None
    assert (delivery.high - delivery.low) / 2 / 1.96 == pytest.approx(2 * error, rel=0.1)
    assert delivery.low < 2 * difference < delivery.high
    everybody = pl.concat([treated, control])["id"]
    assert measure_lift(pl.concat([treated, control]), plan(), Known(contacted=everybody)).delivery is not None


def test_contacts_that_do_not_depend_on_the_lot_tell_nothing_of_their_effect() -> None:
    customers = pl.concat(
        [make_group("treatment", declined=100, unchanged=300), make_group("control", declined=50, unchanged=50)]
    )
    delivery = measure_lift(customers, plan(), Known(contacted=customers["id"].gather_every(2))).delivery
    assert delivery is not None
    assert (delivery.control_contacted, delivery.difference, delivery.low) == (50, None, None)


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


@pytest.mark.parametrize("verdict", get_args(Verdict))
def test_the_page_has_words_for_every_verdict_and_note(verdict: Verdict) -> None:
    values = {"groups": "treatment, control", "offers": "news", "column": "monthly_profit", "runs": "abc"}
    values |= dict.fromkeys(("treatment", "control"), 12.345) | dict.fromkeys(("lost", "customers"), 1234)
    notes = tuple(Note(kind, values) for kind in NOTES)
    lift = replace(measure_lift(campaign(), plan()), verdict=verdict, notes=notes)
    page = render_page(lift, run_id="abc", titles={}, plan=plan())
    told = re.findall(r"<li>(.*)</li>", page.partition("На что обратить внимание")[2].partition("</section>")[0])
    assert len(set(told)) == len(NOTES)
    assert all(len(note) > 40 for note in told)
    assert "групп: «Получили предложение», «Контрольная группа»." in told[0]
    assert "прибыль в среднем 12,35 у получивших предложение" in page
