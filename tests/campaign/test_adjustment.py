"""Adjusted differences: by definition, by hand, and at their stated rates on simulated campaigns."""

from __future__ import annotations

import math
import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.campaign.adjustment import adjust, adjusted_name, compare_strata
from job.campaign.results import DECLINE
from job.statistics import Estimate, mean_difference

SIMULATIONS, CUSTOMERS = 400, 600
FEWEST_COVERED, MOST_COVERED = 364, 393
"""95 % of 400, and the quantiles 0.0005 and 0.9995 of that binomial count."""
COVARIATES = ("decline_probability", "monthly_profit")
ADJUSTED = adjusted_name(DECLINE)


def split(customers: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    treated, control = (customers.filter(pl.col("campaign_group") == group) for group in ("treatment", "control"))
    return treated, control


def draw(source: random.Random, customers: int, *, control_share: float = 0.25) -> pl.DataFrame:
    """Return customers in three segments, by risk, without an outcome."""
    risks = [source.betavariate(0.7, 1.3) for _ in range(customers)]
    return pl.DataFrame(
        {
            "segment": ["high" if risk > 0.6 else "middle" if risk > 0.2 else "low" for risk in risks],
            "campaign_group": ["control" if source.random() < control_share else "treatment" for _ in risks],
            "decline_probability": risks,
            "monthly_profit": [source.gauss(4, 1) for _ in risks],
        }
    )


def test_one_segment_is_lins_estimator() -> None:
    """The difference of two regressions, one in each group, at the mean of the covariate over both."""
    source = random.Random(1)  # noqa: S311
    customers = draw(source, 300).with_columns(segment=pl.lit("one"))
    customers = customers.with_columns(
        pl.Series(DECLINE, [float(source.random() < p**2) for p in customers["decline_probability"]])
    )
    middle = customers["decline_probability"].mean()
    assert isinstance(middle, float)
    at_middle = []
    for group in split(customers):
        x, y = group["decline_probability"].to_list(), group[DECLINE].to_list()
        means = sum(x) / len(x), sum(y) / len(y)
        slope = sum((a - means[0]) * (b - means[1]) for a, b in zip(x, y, strict=True)) / sum(
            (a - means[0]) ** 2 for a in x
        )
        at_middle.append(means[1] + slope * (middle - means[0]))
    found = compare_strata(*split(adjust(customers, [DECLINE], COVARIATES[:1])), ADJUSTED)
    assert found is not None
    assert found[0].mean - found[1].mean == pytest.approx(at_middle[0] - at_middle[1], abs=1e-12)


def test_strata_weigh_by_the_first_groups_customers() -> None:
    first = pl.DataFrame(
        {"segment": ["a"] * 9 + ["b"] * 3 + ["c"] * 5, "value": [1.0, 2, 3] * 3 + [4.0, 6, 8] + [9.0] * 5}
    )
    second = pl.DataFrame({"segment": ["a"] * 10 + ["b"] * 2 + ["c"], "value": [2.0, 4] * 5 + [1.0, 3] + [7.0]})
    found = compare_strata(first, second, "value")
    assert found is not None
    # c has one control customer, whose variance nobody knows: 9 and 3 customers are left.
    assert found[0].mean == pytest.approx(0.75 * 2 + 0.25 * 6)
    assert found[1].mean == pytest.approx(0.75 * 3 + 0.25 * 2)
    parts = [0.75**2 * 0.75 / 9, 0.25**2 * 4 / 3]
    assert found[0] == Estimate(
        pytest.approx(3.0), pytest.approx(sum(parts)), pytest.approx(parts[0] ** 2 / 8 + parts[1] ** 2 / 2)
    )


@pytest.mark.parametrize("sizes", [(9, 100), (100, 9), (0, 100)])
def test_of_few_customers_nothing_is_said(sizes: tuple[int, int]) -> None:
    schema = {"segment": pl.String, "value": pl.Float64}
    groups = [pl.DataFrame([("a", float(k % 3)) for k in range(n)], schema, orient="row") for n in sizes]
    assert compare_strata(groups[0], groups[1], "value") is None


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(-50, 50), st.floats(-50, 50))
def test_what_was_foreseeable_changes_nothing(seed: int, by_risk: float, by_profit: float) -> None:
    source = random.Random(seed)  # noqa: S311
    customers = draw(source, 120)
    customers = customers.with_columns(pl.Series(DECLINE, [source.random() for _ in range(customers.height)]))
    moved = customers.with_columns(
        pl.col(DECLINE) + by_risk * pl.col("decline_probability") + by_profit * pl.col("monthly_profit")
    )
    one, other = (compare_strata(*split(adjust(each, [DECLINE], COVARIATES)), ADJUSTED) for each in (customers, moved))
    assert one is not None
    assert other is not None
    assert one[0].mean - one[1].mean == pytest.approx(other[0].mean - other[1].mean, abs=1e-8)


def test_covariates_that_tell_nothing_new_are_passed_over() -> None:
    source = random.Random(2)  # noqa: S311
    customers = draw(source, 200).with_columns(twice=2 * pl.col("decline_probability"), same=pl.lit(3.0))
    customers = customers.with_columns(pl.Series(DECLINE, [source.random() for _ in range(200)]))
    one = adjust(customers, [DECLINE], COVARIATES)[ADJUSTED]
    assert adjust(customers, [DECLINE], (*COVARIATES, "twice", "same"))[ADJUSTED].to_list() == pytest.approx(
        one.to_list()
    )


def test_few_customers_and_unknown_values_are_left_as_they_are() -> None:
    source = random.Random(3)  # noqa: S311
    customers = draw(source, 30).with_columns(pl.Series(DECLINE, [float(k % 2) if k % 5 else None for k in range(30)]))
    adjusted = adjust(customers, [DECLINE], COVARIATES)[ADJUSTED]
    assert adjusted.to_list() == customers[DECLINE].to_list()
    many = draw(source, 300).with_columns(pl.Series(DECLINE, [float(k % 2) if k % 5 else None for k in range(300)]))
    many = many.with_columns(
        monthly_profit=pl.when(pl.int_range(pl.len()) % 7 == 0).then(None).otherwise("monthly_profit")
    )
    values = adjust(many, [DECLINE], COVARIATES)[ADJUSTED]
    assert values.is_null().to_list() == many[DECLINE].is_null().to_list()


def _as_foretold(risk: float, _: float) -> float:
    return risk


def _otherwise(risk: float, profit: float) -> float:
    """Return a probability that the run did not foretell: steeper in the middle, and higher for the profitable."""
    return 1 / (1 + math.exp(2 - 5 * risk**3 - 0.8 * (profit - 4)))


@pytest.mark.parametrize(
    ("truth", "effect", "seed"),
    [(_as_foretold, 0.25, 11), (_otherwise, 0.25, 12), (_otherwise, 0.0, 13), (_otherwise, -0.2, 14)],
)
def test_simulated_effects_are_covered_at_the_stated_rate_whatever_the_outcome_comes_from(
    truth: object, effect: float, seed: int
) -> None:
    """The true effect is that on these very customers; the lot and the outcomes are drawn anew."""
    assert callable(truth)
    source = random.Random(seed)  # noqa: S311
    covered, shorter = 0, 0
    everybody = draw(source, SIMULATIONS * CUSTOMERS)
    for customers in everybody.iter_slices(CUSTOMERS):
        risks = [truth(*row) for row in customers.select(*COVARIATES).iter_rows()]
        treated = (customers["campaign_group"] == "treatment").to_list()
        outcomes = [
            float(source.random() < risk * (1 - effect * is_treated))
            for risk, is_treated in zip(risks, treated, strict=True)
        ]
        known = adjust(customers.with_columns(pl.Series(DECLINE, outcomes)), [DECLINE], COVARIATES)
        found, raw = (compare_strata(*split(known), name) for name in (ADJUSTED, DECLINE))
        assert found is not None
        assert raw is not None
        difference = mean_difference(*found)
        assert difference.low is not None
        assert difference.high is not None
        expected = (
            -effect * sum(risk for risk, is_treated in zip(risks, treated, strict=True) if is_treated) / sum(treated)
        )
        covered += difference.low <= expected <= difference.high
        shorter += found[0].variance + found[1].variance < raw[0].variance + raw[1].variance
    assert FEWEST_COVERED <= covered <= MOST_COVERED
    assert shorter > 0.9 * SIMULATIONS
