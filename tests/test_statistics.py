"""The formulas: published values, what they are by definition, and their rates of error in simulations."""

from __future__ import annotations

import itertools
import math
import random
from math import isclose
from statistics import NormalDist, mean, variance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.statistics import (
    A_FIFTH,
    BETWEEN,
    SPREAD,
    Difference,
    Effect,
    Estimate,
    Interval,
    PooledEffect,
    Stratum,
    detectable_difference,
    holm,
    mean_difference,
    pool_effects,
    prevented_share,
    rate_difference,
    smallest_control_share,
    smallest_fall,
    student_score,
    wilson_interval,
)

SIMULATIONS = 400
FEWEST_COVERED, MOST_COVERED = 364, 393
"""95 % of 400, and the quantiles 0.0005 and 0.9995 of that binomial count."""
SCORES = 1.959964 + 0.841621


def ends(found: Difference) -> Interval:
    assert found.low is not None
    assert found.high is not None
    return Interval(found.low, found.high)


@pytest.mark.parametrize(
    ("events", "totals", "low", "high"),
    [  # Newcombe 1998, table II, method 10
        ((56, 48), (70, 80), 0.0524, 0.3339),
        ((9, 3), (10, 10), 0.1705, 0.8090),
        ((6, 2), (7, 7), 0.0582, 0.8062),
        ((5, 0), (56, 29), -0.0381, 0.1926),
        ((0, 0), (10, 20), -0.1611, 0.2775),
        ((0, 0), (10, 10), -0.2775, 0.2775),
        ((10, 0), (10, 20), 0.6791, 1.0000),
        ((10, 0), (10, 10), 0.6075, 1.0000),
    ],
)
def test_rate_difference_is_newcombes(
    events: tuple[int, int], totals: tuple[int, int], low: float, high: float
) -> None:
    found = rate_difference(events, totals)
    assert found.difference == events[0] / totals[0] - events[1] / totals[1]
    assert found.low is not None
    assert found.high is not None
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_wilson_interval_is_newcombes() -> None:
    # Newcombe 1998a, table I, method 3
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    found = {counts: wilson_interval(*counts) for counts in published}
    assert {counts: (round(each.low, 4), round(each.high, 4)) for counts, each in found.items()} == published


totals = st.integers(1, 10_000)


@st.composite
def groups(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[int, int]]:
    sizes = (draw(totals), draw(totals))
    return (draw(st.integers(0, sizes[0])), draw(st.integers(0, sizes[1]))), sizes


@given(groups())
def test_interval_of_rates_holds_the_difference_and_agrees_with_its_p_value(
    counts: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    found = rate_difference(*counts)
    assert found.low is not None
    assert found.high is not None
    assert found.p_value is not None
    assert -1 <= found.low <= found.difference <= found.high <= 1
    assert 0 <= found.p_value <= 1
    if abs(found.p_value - 0.05) > 1e-9:
        assert (found.p_value < 0.05) == (not found.low <= 0 <= found.high)


@given(groups())
def test_exchanging_the_groups_turns_the_interval_round(counts: tuple[tuple[int, int], tuple[int, int]]) -> None:
    (events, totals) = counts
    found = ends(rate_difference(events, totals))
    turned = ends(rate_difference((events[1], events[0]), (totals[1], totals[0])))
    assert isclose(found.low, -turned.high, abs_tol=1e-12)
    assert isclose(found.high, -turned.low, abs_tol=1e-12)


def test_no_events_differ_from_no_events_by_nothing() -> None:
    assert rate_difference((0, 0), (50, 20)).p_value == 1


def _coverage(rates: tuple[float, float], sizes: tuple[int, int], *, seed: int) -> tuple[int, int]:
    """Return in how many simulations the interval holds the true difference, and in how many it leaves 0 out."""
    source = random.Random(seed)  # noqa: S311
    covered = effects = 0
    for _ in range(SIMULATIONS):
        events = tuple(
            sum(source.random() < rate for _ in range(size)) for rate, size in zip(rates, sizes, strict=True)
        )
        found = rate_difference((events[0], events[1]), sizes)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= rates[0] - rates[1] <= found.high
        effects += found.p_value is not None and found.p_value < 0.05
    return covered, effects


def test_interval_of_rates_covers_a_known_effect_at_its_rate() -> None:
    covered, _ = _coverage((0.30, 0.38), (450, 50), seed=1)
    assert FEWEST_COVERED <= covered <= MOST_COVERED


def test_no_effect_on_rates_is_reported_at_its_rate() -> None:
    covered, effects = _coverage((0.38, 0.38), (450, 50), seed=2)
    assert covered == SIMULATIONS - effects
    assert SIMULATIONS - MOST_COVERED <= effects <= SIMULATIONS - FEWEST_COVERED


def test_holm_is_the_worked_example() -> None:
    # 0.01 x 4, 0.013 x 3, 0.014 x 2, 0.19 x 1; none smaller than the one before (R: p.adjust)
    assert holm([0.013, None, 0.19, 0.01, 0.014]) == [0.04, None, 0.19, 0.04, 0.04]
    assert holm([]) == []
    assert holm([None]) == [None]
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def test_interval_is_plain() -> None:
    assert wilson_interval(10, 10) == Interval(wilson_interval(10, 10).low, 1.0)


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(6, 2.4469), (9, 2.2622), (15, 2.1314), (30, 2.0423), (120, 1.9799), (1e9, 1.9600)],
)
def test_student_score_is_the_table(freedom: float, quantile: float) -> None:
    # Abramowitz and Stegun, table 26.10
    assert student_score(1.959964, freedom) == pytest.approx(quantile, abs=0.002)


def test_welchs_interval_is_the_worked_example() -> None:
    # R's sleep data, t.test(extra ~ group): t = -1.8608, df = 17.776, p = 0.07939, -3.3655 to 0.2055
    groups = (
        [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
        [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
    )
    estimates = [Estimate(mean(values), variance(values) / 10, (variance(values) / 10) ** 2 / 9) for values in groups]
    found = mean_difference(estimates[0], estimates[1])
    assert found.low == pytest.approx(-3.3655, abs=0.001)
    assert found.high == pytest.approx(0.2055, abs=0.001)
    assert found.p_value == pytest.approx(0.07939, abs=0.0005)


def test_prevented_share_is_the_delta_method() -> None:
    treated, control = Estimate(0.24, 0.0001, 1e-10), Estimate(0.3, 0.0004, 1e-10)
    share = prevented_share(treated, control)
    assert share is not None
    difference, error = share
    assert difference.difference == pytest.approx(0.2)
    assert error == pytest.approx(math.sqrt(0.0001 + 0.64 * 0.0004) / 0.3)
    assert difference.low is not None
    assert difference.high is not None
    assert (difference.low + difference.high) / 2 == pytest.approx(0.2)
    assert (difference.high - difference.low) / 2 == pytest.approx(1.96 * error, rel=0.02)
    as_expected = prevented_share(treated, control, expected=0.2)
    assert as_expected is not None
    assert as_expected[0].p_value == pytest.approx(1, abs=1e-6)
    assert prevented_share(treated, Estimate(0.0, 0.1, 0.1)) is None
    assert mean_difference(Estimate(1, 0, 0), Estimate(2, 0, 0)) == Difference(-1, None, None, None)


def test_detectable_difference_of_means() -> None:
    assert detectable_difference(0.5) == pytest.approx(SCORES * 0.5, abs=1e-5)


def test_smallest_fall_is_the_normal_formula() -> None:
    """Nobody's probability is known better than the rate: then p (1 - p) is that of the rate, and Fleiss' formula."""
    stratum = Stratum(900, 100, 0.3, 0.21)
    fall = smallest_fall([stratum])
    assert fall is not None
    left = 0.3 - fall.points
    assert isclose(fall.points, SCORES * math.sqrt(left * (1 - left) / 900 + 0.21 / 100), rel_tol=1e-6)
    assert isclose(fall.effect, fall.points / 0.3)
    stricter = smallest_fall([stratum], level=0.05 / 7)
    assert stricter is not None
    assert stricter.points > fall.points


def test_known_probabilities_make_smaller_falls_visible_and_more_customers_too() -> None:
    coarse, sharp, more = (
        smallest_fall([each])
        for each in (Stratum(900, 100, 0.3, 0.21), Stratum(900, 100, 0.3, 0.1), Stratum(1800, 200, 0.3, 0.1))
    )
    assert coarse is not None
    assert sharp is not None
    assert more is not None
    assert more.points < sharp.points < coarse.points


def test_alike_strata_are_one_stratum() -> None:
    parts = [Stratum(300, 50, 0.3, 0.15), Stratum(600, 100, 0.3, 0.15)]
    together, whole = smallest_fall(parts), smallest_fall([Stratum(900, 150, 0.3, 0.15)])
    assert together is not None
    assert whole is not None
    assert isclose(together.points, whole.points, rel_tol=1e-9)


def test_what_groups_are_too_small_to_show() -> None:
    assert smallest_fall([]) is None
    assert smallest_fall([Stratum(900, 9, 0.9, 0.01)]) is None
    assert smallest_fall([Stratum(900, 12, 0.02, 0.0196)]) is None
    assert smallest_fall([Stratum(900, 100, 0.0, 0.0)]) is None
    # One customer has no variance: the stratum is left out, and so is not counted.
    alone = Stratum(90, 1, 0.3, 0.2)
    assert smallest_fall([Stratum(900, 100, 0.3, 0.2), alone]) == smallest_fall([Stratum(900, 100, 0.3, 0.2)])


def test_customers_who_are_certain_to_decline_show_the_smallest_falls() -> None:
    fall = smallest_fall([Stratum(100, 30, 1.0, 0.0)])
    assert fall is not None
    assert isclose(fall.points, SCORES * math.sqrt(fall.points * (1 - fall.points) / 100), rel_tol=1e-6)
    assert isclose(fall.points, fall.effect)


@given(st.integers(10, 10**6), st.integers(10, 10**6), st.floats(0.001, 1), st.floats(0, 1))
def test_a_visible_fall_is_a_part_of_the_rate(treated: int, control: int, rate: float, known: float) -> None:
    fall = smallest_fall([Stratum(treated, control, rate, known * rate * (1 - rate))])
    assert fall is None or 0 < fall.points <= rate


def test_smallest_control_share_shows_just_a_fifth() -> None:
    strata = [Stratum(4500, 500, 0.3, 0.15), Stratum(2700, 300, 0.1, 0.08)]
    share = smallest_control_share(strata)
    assert share is not None
    assert 0.02 < share < 0.5
    split = [
        Stratum(n - round(share * n), round(share * n), each.rate, each.variance)
        for each in strata
        for n in [each.treated + each.control]
    ]
    fall = smallest_fall(split)
    assert fall is not None
    assert abs(fall.effect - A_FIFTH) < 0.002


def test_no_control_share_shows_a_fifth_among_few() -> None:
    assert smallest_control_share([Stratum(90, 10, 0.3, 0.15)]) is None
    assert smallest_control_share([Stratum(10, 5, 0.9, 0.01)]) is None
    assert smallest_control_share([Stratum(900, 100, 0.0, 0.0)]) is None
    assert smallest_control_share([]) is None
    # Who certainly declines needs no large control group; but of so few customers nothing is ever said.
    assert smallest_control_share([Stratum(900, 100, 1.0, 0.0)]) == 0.01


def _adjusted(outcomes: list[int], probabilities: list[float], middle: float) -> tuple[float, float]:
    """Return a group's mean outcome at the common mean probability, by its regression, and the variance of that."""
    known, seen = mean(probabilities), mean(outcomes)
    pairs = [
        (probability - known, outcome - seen) for probability, outcome in zip(probabilities, outcomes, strict=True)
    ]
    slope = sum(x * y for x, y in pairs) / sum(x * x for x, _ in pairs)
    return seen - slope * (known - middle), sum((y - slope * x) ** 2 for x, y in pairs) / (len(pairs) - 2) / len(pairs)


def test_the_visible_fall_is_found_in_four_of_five_campaigns() -> None:
    """With the adjusted estimator of one stratum, and a model whose probabilities are true."""
    source = random.Random(11)  # noqa: S311
    everybody = [source.betavariate(0.8, 1.6) for _ in range(1000)]
    rate = mean(everybody)
    fall = smallest_fall([Stratum(850, 150, rate, mean(p * (1 - p) for p in everybody))])
    assert fall is not None
    seen = 0
    for _ in range(SIMULATIONS):
        source.shuffle(everybody)
        treated, control = everybody[:850], everybody[850:]
        first = _adjusted([source.random() < p * (1 - fall.effect) for p in treated], treated, rate)
        second = _adjusted([source.random() < p for p in control], control, rate)
        seen += abs(first[0] - second[0]) > 1.959964 * math.sqrt(first[1] + second[1])
    assert abs(seen / SIMULATIONS - 0.8) < 0.066  # 3.3 standard errors


SCHOOLS = [Effect(*each) for each in ((28, 15), (8, 10), (-3, 16), (7, 11), (-1, 9), (1, 11), (18, 10), (12, 18))]
"""Rubin, Journal of Educational Statistics 6 (1981); Gelman et al., Bayesian Data Analysis, 3rd ed., table 5.2."""


def test_alike_campaigns_are_pooled_as_published() -> None:
    # Bayesian Data Analysis, section 5.5: the pooled estimate is 7.7, with a standard error of 4.1
    pooled = pool_effects(SCHOOLS, assumed=0, spread=1e6, between=0)
    assert round(pooled.effect, 1) == 7.7
    assert round((pooled.high - pooled.low) / 2 / 1.959964, 1) == 4.1
    assert pooled.weight_of_assumption < 1e-9


def test_pooled_effect_is_the_posterior_by_definition() -> None:
    """Both unknowns on a grid, without any of the formulas that integrate one out."""
    assumed, spread, between = 5.0, 10.0, 6.0
    deviations = [0.1 * (step + 0.5) for step in range(300)]
    means = [-25 + 0.25 * step for step in range(261)]
    masses = dict.fromkeys(means, 0.0)
    for deviation in deviations:
        spreads = [math.sqrt(each.error**2 + deviation**2) for each in SCHOOLS]
        weight = NormalDist(0, between).pdf(deviation)
        for middle in means:
            likelihood = math.prod(
                NormalDist(middle, error).pdf(each.effect) for each, error in zip(SCHOOLS, spreads, strict=True)
            )
            masses[middle] += weight * likelihood * NormalDist(assumed, spread).pdf(middle)
    total = sum(masses.values())
    pooled = pool_effects(SCHOOLS, assumed=assumed, spread=spread, between=between)
    assert isclose(pooled.effect, sum(middle * mass for middle, mass in masses.items()) / total, abs_tol=0.02)
    below = sum(mass for middle, mass in masses.items() if middle < pooled.low) / total
    above = sum(mass for middle, mass in masses.items() if middle > pooled.high) / total
    assert abs(below - 0.025) < 0.003
    assert abs(above - 0.025) < 0.003


def test_without_campaigns_the_assumption_is_all_there_is() -> None:
    pooled = pool_effects([], assumed=0.1, spread=0.2)
    expected = PooledEffect(0.1, 0.1 - 1.959964 * 0.2, 0.1 + 1.959964 * 0.2, 1.0)
    assert [round(value, 6) for value in pooled] == [round(value, 6) for value in expected]


def test_the_assumption_weighs_less_with_each_campaign() -> None:
    campaigns = [Effect(0.3, 0.1)] * 6
    pooled = [pool_effects(campaigns[:count], assumed=0.1) for count in range(7)]
    weights = [each.weight_of_assumption for each in pooled]
    assert weights == sorted(weights, reverse=True)
    assert weights[1] < 0.3
    assert weights[6] < 0.06
    assert all(first.effect < second.effect < 0.3 for first, second in itertools.pairwise(pooled))


def test_campaigns_that_contradict_each_other_leave_a_longer_interval() -> None:
    alike = pool_effects([Effect(0.2, 0.03)] * 4, assumed=0.2)
    apart = pool_effects([Effect(effect, 0.03) for effect in (0.05, 0.35, 0.05, 0.35)], assumed=0.2)
    assert isclose(alike.effect, apart.effect)
    assert apart.high - apart.low > 1.4 * (alike.high - alike.low)


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0.001, 2)), max_size=6), st.floats(0, 1))
def test_a_pooled_effect_lies_within_what_was_assumed_and_seen(
    effects: list[tuple[float, float]], assumed: float
) -> None:
    pooled = pool_effects([Effect(*each) for each in effects], assumed=assumed)
    seen = [assumed, *(effect for effect, _ in effects)]
    assert min(seen) - 1e-9 <= pooled.effect <= max(seen) + 1e-9
    assert pooled.low < pooled.effect < pooled.high
    assert 0 < pooled.weight_of_assumption <= 1 + 1e-12


def test_pooled_intervals_cover_the_truth_at_their_rate() -> None:
    """Where the truth is drawn as assumed, an interval holds it as often as it says, with however few campaigns."""
    source = random.Random(12)  # noqa: S311
    covered = 0
    for simulation in range(SIMULATIONS):
        truth, deviation = source.gauss(0.1, SPREAD), abs(source.gauss(0, BETWEEN))
        errors = [source.uniform(0.03, 0.2) for _ in range(1 + simulation % 4)]
        campaigns = [Effect(source.gauss(source.gauss(truth, deviation), error), error) for error in errors]
        pooled = pool_effects(campaigns, assumed=0.1)
        covered += pooled.low <= truth <= pooled.high
    assert FEWEST_COVERED <= covered <= MOST_COVERED
