from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.models.linear import Calibration
from job.training.calibration import assess, choose_calibration, fit_calibration, log_loss, probabilities

STRAIGHT = Calibration(0.5, -1)
BENT = Calibration(0.3, -1.0, 0.9)


def simulate(rows: int, seed: int = 1, truth: Calibration = STRAIGHT) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    margins = random.normal(0, 2, rows)
    labels = (random.random(rows) < probabilities(margins, truth)).astype(np.int8)
    return margins, labels


def folds_of(margins: np.ndarray, labels: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return np.array_split(margins, 3), np.array_split(labels, 3)


@pytest.mark.parametrize("truth", [STRAIGHT, BENT])
def test_the_calibration_that_made_the_labels_is_found(truth: Calibration) -> None:
    found = fit_calibration(*simulate(200_000, truth=truth), is_bent=truth.bend != 0)
    assert found == pytest.approx(truth, abs=0.05)
    assert fit_calibration(*simulate(2000), is_bent=False).bend == 0


def test_a_bend_is_taken_where_it_foretells_better() -> None:
    straight = choose_calibration(*folds_of(*simulate(20_000)))
    bent = choose_calibration(*folds_of(*simulate(20_000, truth=BENT)))
    assert straight == fit_calibration(*simulate(20_000), is_bent=False)
    assert bent == fit_calibration(*simulate(20_000, truth=BENT), is_bent=True)


@pytest.mark.parametrize("is_bent", [False, True])
def test_a_misleading_margin_gets_no_slope(*, is_bent: bool) -> None:
    margins, labels = simulate(2000)
    found = fit_calibration(-margins, labels, is_bent=is_bent)
    assert (found.slope, found.bend) == (0, 0)
    assert 1 / (1 + np.exp(-found.intercept)) == pytest.approx(labels.mean())


@pytest.mark.parametrize("is_bent", [False, True])
def test_margins_that_part_the_labels_or_are_all_equal_give_probabilities(*, is_bent: bool) -> None:
    labels = np.array([0, 0, 1, 1], dtype=np.int8)
    parted = probabilities(
        np.array([-2.0, -1, 1, 2]), fit_calibration(np.array([-2.0, -1, 1, 2]), labels, is_bent=is_bent)
    )
    assert parted == pytest.approx(labels, abs=0.01)
    equal = fit_calibration(np.full(4, 3.0), labels, is_bent=is_bent)
    assert probabilities(np.full(4, 3.0), equal) == pytest.approx(np.full(4, 0.5))


@given(
    st.floats(0, 5),
    st.floats(0, 5),
    st.floats(-5, 5),
    st.lists(st.floats(-700, 700), min_size=2, max_size=9).map(sorted),
)
def test_probabilities_rise_with_the_margin_and_are_those_of_scoring(
    low: float, high: float, intercept: float, margins: list[float]
) -> None:
    calibration = Calibration(low, intercept, high - low)
    found = probabilities(np.array(margins), calibration)
    assert (np.diff(found) >= -1e-12).all()
    scored = pl.DataFrame({"margin": margins}).select(calibration.probability(pl.col("margin"))).to_series()
    assert scored.to_numpy() == pytest.approx(found, abs=1e-12)
    if max(margins) < 30 and min(margins) > -30:  # where 1 - s is not rounded away
        s = 1 / (1 + np.exp(-np.array(margins)))
        kull = low * np.log(s) - high * np.log(1 - s) + intercept
        assert found == pytest.approx(1 / (1 + np.exp(-kull)), abs=1e-3)


def test_log_loss_by_hand() -> None:
    labels = np.array([1, 0, 1], dtype=np.int8)
    assert log_loss(np.array([0.5, 0.2, 1.0]), labels) == pytest.approx(-(np.log(0.5) + np.log(0.8)) / 3)
    assert log_loss(np.array([0.0]), labels[:1]) == pytest.approx(36.04, abs=0.01)


def test_calibrated_probabilities_have_a_small_error_and_others_a_large_one() -> None:
    margins, labels = simulate(5000)
    good = assess(probabilities(margins, STRAIGHT), labels, seed=1)
    bad = assess(probabilities(margins, Calibration(2, 1)), labels, seed=1)
    assert good.expected_error < 0.03
    assert bad.expected_error > 0.15
    assert good.brier < bad.brier
    assert good.expected_error_low <= good.expected_error <= good.expected_error_high


def test_bins_hold_all_rows_and_the_error_is_their_mean_gap() -> None:
    probability = np.repeat([0.1, 0.9], 50)
    labels = np.repeat([0, 1], 50).astype(np.int8)
    quality = assess(probability, labels, seed=1)
    assert [rows for _, _, rows in quality.bins] == [10] * 10
    assert quality.expected_error == pytest.approx(0.1)
    assert quality.brier == pytest.approx(0.01)
