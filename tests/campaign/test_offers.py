"""Offers against the control group and against each other."""

from __future__ import annotations

import random

import polars as pl
import pytest

from job.campaign.adjustment import adjust
from job.campaign.offers import Plan, PlannedOffer, compare_offers, find_strata
from job.campaign.results import DECLINE, PROFIT
from job.statistics import Effect as Measured
from job.statistics import holm, pool_effects

PLAN = Plan(
    (
        PlannedOffer("risk", "bonus", 0.1, 0.4, 0.0),
        PlannedOffer("risk", "call", 1.0, 0.3, 0.0),
        PlannedOffer("calm", "bonus", 0.1, 0.1, 0.0),
    ),
    0.5,
    has_budget=False,
    titles={"bonus": "Бонусы", "call": "Звонок"},
)


def draw(
    source: random.Random, customers: int, effects: dict[str, float], *, control_share: float = 0.3
) -> pl.DataFrame:
    """Return treated and control customers as `compare_offers` takes them: whom a contact is not worth has none."""
    rows = []
    for number in range(customers):
        segment = "risk" if number % 3 else "calm"
        offer = "bonus" if segment == "calm" or source.random() < 0.5 else "call"
        probability, profit = source.betavariate(2, 2), max(0.1, source.gauss(4, 1.5))
        group = "control" if source.random() < control_share else "treatment"
        effect = effects[offer] if group == "treatment" else 0.0
        declines = source.random() < probability * (1 - effect)
        change = -0.5 * profit if declines else source.gauss(0, 0.1)
        rows.append((number, segment, offer, group, probability, profit, float(declines), change))
    names = ("id", "segment", "offer", "campaign_group", "decline_probability", "monthly_profit", DECLINE, PROFIT)
    customers_of = pl.DataFrame(rows, schema=names, orient="row")
    worth = pl.lit(value=False)
    for offer in PLAN.offers:
        value = pl.col("decline_probability") * offer.effect * 0.5 * pl.col("monthly_profit") * 3 - offer.cost
        worth = worth | ((pl.col("segment") == offer.segment) & (pl.col("offer") == offer.code) & (value > 0))
    return customers_of.filter(worth)


def prepared(customers: pl.DataFrame, plan: Plan = PLAN) -> pl.DataFrame:
    adjusted = adjust(customers, (DECLINE, PROFIT), ("decline_probability", "monthly_profit"))
    return find_strata(adjusted, plan)


def test_strata_are_those_whom_the_same_offers_would_have_reached() -> None:
    customers = pl.DataFrame(
        {
            "id": range(5),
            "segment": ["risk", "risk", "risk", "calm", "other"],
            "offer": ["bonus", "call", "bonus", "bonus", "unknown"],
            "decline_probability": [0.9, 0.9, 0.1, 0.9, 0.9],
            "monthly_profit": [4.0, 4.0, 4.0, 4.0, 4.0],
        }
    )
    found = find_strata(customers, PLAN)
    assert found["stratum"].to_list() == ["risk bonus call", "risk bonus call", "risk bonus", "calm", "other"]
    assert found["cost"].to_list() == [0.1, 1.0, 0.1, 0.1, 0.0]
    assert found.columns == [*customers.columns, "cost", "stratum"]


def test_a_budget_that_ends_before_an_offer_is_part_of_the_stratum() -> None:
    """The last one whom the budget reached brings 2 per cost; the other offer would have brought less."""
    customers = pl.DataFrame(
        {
            "id": range(2),
            "segment": ["risk", "risk"],
            "offer": ["call", "bonus"],
            "decline_probability": [0.9, 0.5],
            "monthly_profit": [8.0, 8.0],
        }
    )
    with_budget = PLAN._replace(has_budget=True)
    assert find_strata(customers, PLAN)["stratum"].to_list() == ["risk bonus call"] * 2
    assert find_strata(customers, with_budget)["stratum"].to_list() == ["risk bonus call", "risk bonus"]


def test_a_discount_costs_its_share_of_the_profit() -> None:
    plan = PLAN._replace(offers=(PlannedOffer("risk", "bonus", 0.5, 0.3, 0.05),))
    customers = pl.DataFrame(
        {
            "id": [1, 2],
            "segment": ["risk"] * 2,
            "offer": ["bonus"] * 2,
            "decline_probability": [0.5] * 2,
            "monthly_profit": [4.0, -4.0],
        }
    )
    assert find_strata(customers, plan)["cost"].to_list() == pytest.approx([0.5 + 0.05 * 4 * 3, 0.5])


def test_the_better_offer_is_kept_and_the_dear_one_without_effect_dropped() -> None:
    customers = prepared(draw(random.Random(1), 12_000, {"bonus": 0.4, "call": 0.0}))  # noqa: S311
    results, [pair] = compare_offers(customers, PLAN)
    bonus, call = results
    assert (bonus.offer, bonus.segments, bonus.decision, bonus.more_customers) == (
        "bonus",
        ("calm", "risk"),
        "keep",
        None,
    )
    assert (call.offer, call.segments, call.decision) == ("call", ("risk",), "drop")
    assert bonus.low is not None
    assert bonus.high is not None
    assert bonus.low < 0.4 < bonus.high
    assert call.low is not None
    assert call.high is not None
    assert call.low < 0 < call.high
    assert (pair.first, pair.second, pair.is_found) == ("bonus", "call", True)
    assert pair.difference < -0.1
    assert pair.net_low is not None
    assert pair.net_low > 0
    assert bonus.worth.net is not None
    assert bonus.worth.net > 0
    assert bonus.treatment_rate is not None
    assert bonus.control_rate is not None
    assert bonus.effect == pytest.approx(1 - bonus.treatment_rate / bonus.control_rate)
    assert bonus.difference == pytest.approx(bonus.treatment_rate - bonus.control_rate)
    assert [bonus.p_value_corrected, call.p_value_corrected] == holm([bonus.p_value, call.p_value])


def test_of_few_customers_it_is_too_early_and_how_many_more_it_takes() -> None:
    results, pairs = compare_offers(prepared(draw(random.Random(2), 400, {"bonus": 0.3, "call": 0.3})), PLAN)  # noqa: S311
    assert [result.decision for result in results] == ["too_early", "too_early"]
    for result in results:
        assert result.more_customers is not None
        assert result.break_even is not None
        assert result.standard_error is not None
        distance = result.assumed - result.break_even
        customers = result.treated + result.control
        needed = customers * ((1.959964 + 0.841621) * result.standard_error / distance) ** 2
        assert result.more_customers == pytest.approx(max(needed - customers, customers), abs=1)
    assert not pairs[0].is_found


def test_of_a_handful_nothing_is_said() -> None:
    results, pairs = compare_offers(prepared(draw(random.Random(3), 30, {"bonus": 0.3, "call": 0.3})), PLAN)  # noqa: S311
    assert pairs == ()
    assert {(result.effect, result.difference, result.p_value, result.decision) for result in results} == {
        (None, None, None, "too_early")
    }


def test_effects_of_offers_are_covered_though_their_customers_differ() -> None:
    """Whom a contact is not worth depends on the offer: against all of the control group one would look too good."""
    source, covered, campaigns = random.Random(4), {"bonus": 0, "call": 0}, 120  # noqa: S311
    truth = {"bonus": 0.3, "call": 0.1}
    measured: dict[str, list[Measured]] = {"bonus": [], "call": []}
    for _ in range(campaigns):
        results, _ = compare_offers(prepared(draw(source, 900, truth)), PLAN)
        for result in results:
            assert result.low is not None
            assert result.high is not None
            assert result.effect is not None
            assert result.standard_error is not None
            covered[result.offer] += result.low <= truth[result.offer] <= result.high
            measured[result.offer].append(Measured(result.effect, result.standard_error))
    assert all(106 <= count <= 119 for count in covered.values())  # 95 % of 120, quantiles 0.001 and 0.999
    pooled = {offer: pool_effects(effects, assumed=0.2) for offer, effects in measured.items()}
    assert all(pooled[offer].low < effect < pooled[offer].high for offer, effect in truth.items())
