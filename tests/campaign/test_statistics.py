"""The formulas: published values, agreement with the training's NumPy, and their rates of error in simulations."""

from __future__ import annotations

import math
import random
from math import isclose

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.campaign.statistics import (
    Auc,
    Difference,
    Interval,
    Moments,
    brier_score,
    calibration_error,
    delong,
    detectable_difference,
    detectable_fall,
    holm,
    mean_difference,
    moments,
    rate_difference,
    wilson_interval,
)

SIMULATIONS = 400
FEWEST_COVERED, MOST_COVERED = 364, 393
"""95 % of 400, and the quantiles 0.0005 and 0.9995 of that binomial count."""


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


def _skewed(source: random.Random, *, shift: float, size: int) -> pl.Series:
    return pl.Series([shift + source.expovariate(1 / 5) for _ in range(size)])


@pytest.mark.parametrize(("effect", "seed"), [(1.5, 3), (0.0, 4)])
def test_interval_of_means_covers_the_truth_at_its_rate(effect: float, seed: int) -> None:
    source = random.Random(seed)  # noqa: S311
    covered = 0
    for simulation in range(SIMULATIONS):
        found = mean_difference(
            _skewed(source, shift=effect, size=270), _skewed(source, shift=0, size=30), seed=simulation, resamples=499
        )
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= effect <= found.high
        assert found.p_value is not None
    assert FEWEST_COVERED <= covered <= MOST_COVERED


def test_mean_difference_is_the_same_for_the_same_seed() -> None:
    first, second = pl.Series([float(n % 17) for n in range(90)]), pl.Series([float(n % 13) for n in range(40)])
    once = mean_difference(first, second, seed=7, resamples=999)
    assert once == mean_difference(first, second, seed=7, resamples=999)
    assert once != mean_difference(first, second, seed=8, resamples=999)


def test_mean_difference_is_close_to_welchs_where_values_are_normal() -> None:
    source = random.Random(5)  # noqa: S311
    first, second = (pl.Series([source.gauss(mean, 2) for _ in range(400)]) for mean in (10.5, 10))
    found = mean_difference(first, second, seed=1, resamples=9999)
    error = math.sqrt(moments(first).of_mean + moments(second).of_mean)
    assert found.low is not None
    assert found.high is not None
    assert found.p_value is not None
    assert abs(found.low - (found.difference - 1.963 * error)) < 0.06 * error
    assert abs(found.high - (found.difference + 1.963 * error)) < 0.06 * error
    assert abs(found.p_value - math.erfc(found.difference / error / math.sqrt(2))) < 0.005


def test_large_groups_take_the_normal_limit() -> None:
    source = random.Random(6)  # noqa: S311
    first, second = (pl.Series([source.gauss(mean, 2) for _ in range(10_001)]) for mean in (10.1, 10))
    found = mean_difference(first, second, seed=1, resamples=1999)
    error = math.sqrt(moments(first).of_mean + moments(second).of_mean)
    assert found.low is not None
    assert found.high is not None
    assert abs((found.high - found.low) / (2 * 1.96 * error) - 1) < 0.05


@pytest.mark.parametrize(
    ("first", "second"),
    [([1.0, 2.0] * 20, [3.0, 2.0, 4.0] * 3), ([1.0] * 20, [2.0, 3.0] * 20), ([5.0], [2.0, 3.0] * 20)],
)
def test_too_few_values_have_a_difference_without_interval(first: list[float], second: list[float]) -> None:
    found = mean_difference(pl.Series(first), pl.Series(second), seed=1, resamples=199)
    assert found == Difference(sum(first) / len(first) - sum(second) / len(second), None, None, None)


@settings(max_examples=25)
@given(
    st.lists(st.integers(-1000, 1000).map(float), min_size=10, max_size=30),
    st.lists(st.integers(-1000, 1000).map(float), min_size=10, max_size=30),
)
def test_interval_of_means_agrees_with_its_p_value(first: list[float], second: list[float]) -> None:
    found = mean_difference(pl.Series(first), pl.Series(second), seed=1, resamples=199)
    if found.low is None or found.high is None or found.p_value is None:
        assert found == Difference(found.difference, None, None, None)
        return
    assert (found.p_value <= 0.05) <= (not found.low < 0 < found.high)


def test_holm_is_the_worked_example() -> None:
    # 0.01 x 4, 0.013 x 3, 0.014 x 2, 0.19 x 1; none smaller than the one before (R: p.adjust)
    assert holm([0.013, None, 0.19, 0.01, 0.014]) == [0.04, None, 0.19, 0.04, 0.04]
    assert holm([]) == []
    assert holm([None]) == [None]
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def test_detectable_fall_is_the_inverse_of_the_published_sample_size() -> None:
    # Fleiss 2003, table A.3: 0.60 against 0.70, level 0.01, power 0.95 needs 827 a group with the continuity
    # correction, which adds 2 / 0.1 = 20, less a fraction.
    fall = detectable_fall(0.7, (808, 808), level=0.01, power=0.95)
    assert fall is not None
    assert round(fall, 3) == 0.1
    assert detectable_fall(0.38, (20, 3), level=0.05) is None
    certain = detectable_fall(1.0, (100, 30), level=0.05)
    assert certain is not None
    assert 0.05 < certain < 0.2
    assert detectable_fall(0.0, (20, 3), level=0.05) is None


def test_power_of_the_detectable_fall() -> None:
    fall = detectable_fall(0.38, (900, 100), level=0.05)
    assert fall is not None
    _, effects = _coverage((0.38 - fall, 0.38), (900, 100), seed=7)
    assert abs(effects / SIMULATIONS - 0.8) < 0.066  # 3.3 standard errors


def test_detectable_difference_of_means() -> None:
    alike = Moments(100, 5.0, 16.0)
    assert round(detectable_difference(alike, alike, level=0.05), 4) == round((1.959964 + 0.841621) * 0.565685, 4)


@pytest.mark.filterwarnings("ignore")
def test_delong_agrees_with_the_trainings() -> None:
    np = pytest.importorskip("numpy")
    intervals = pytest.importorskip("job.training.intervals")
    source = random.Random(8)  # noqa: S311
    labels = [source.random() < 0.4 for _ in range(300)]
    scores = [round(source.gauss(0.8 * label, 1), 1) for label in labels]  # rounded: with ties
    expected = intervals.delong_interval(np.array(scores), np.array(labels, dtype=np.int8))
    found = delong(pl.Series(scores), pl.Series(labels))
    assert found is not None
    assert isclose(found.auc, expected.auc, rel_tol=1e-12)
    assert isclose(found.low, expected.low, rel_tol=1e-12)
    assert isclose(found.high, expected.high, rel_tol=1e-12)


def test_delong_by_hand_and_without_two_of_a_kind() -> None:
    scores = pl.Series([0.9, 0.8, 0.7, 0.6])
    assert delong(scores, pl.Series([True, True, False, False])) == Auc(1.0, 1.0, 1.0)
    assert delong(scores, pl.Series([True, False, False, False])) is None


def test_calibration_agrees_with_the_trainings() -> None:
    np = pytest.importorskip("numpy")
    calibration = pytest.importorskip("job.training.calibration")
    source = random.Random(9)  # noqa: S311
    probability = [source.random() for _ in range(237)]
    declined = [source.random() < share**2 for share in probability]
    expected = calibration.assess(np.array(probability), np.array(declined, dtype=np.int8), seed=1)
    assert isclose(brier_score(pl.Series(probability), pl.Series(declined)), expected.brier, rel_tol=1e-12)
    found = calibration_error(pl.Series(probability), pl.Series(declined))
    assert isclose(found, expected.expected_error, rel_tol=1e-12)


def test_calibration_error_of_a_few_rows() -> None:
    assert isclose(calibration_error(pl.Series([0.1, 0.6, 0.9]), pl.Series([False, True, True])), (0.1 + 0.4 + 0.1) / 3)


def test_interval_is_plain() -> None:
    assert wilson_interval(10, 10) == Interval(wilson_interval(10, 10).low, 1.0)
