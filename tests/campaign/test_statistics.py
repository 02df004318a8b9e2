"""The formulas: agreement with the training's NumPy, and their rates of error in simulations."""

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
    Moments,
    brier_score,
    calibration_error,
    delong,
    detectable_difference,
    mean_difference,
    moments,
)
from job.statistics import Difference

SIMULATIONS = 400
FEWEST_COVERED, MOST_COVERED = 364, 393
"""95 % of 400, and the quantiles 0.0005 and 0.9995 of that binomial count."""


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
