from __future__ import annotations

import numpy as np
import pytest

from job.models.linear import Calibration
from job.training.calibration import assess, fit_calibration, probabilities


def simulate(rows: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    margins = random.normal(0, 2, rows)
    labels = (random.random(rows) < 1 / (1 + np.exp(-(0.5 * margins - 1)))).astype(np.int8)
    return margins, labels


def test_the_sigmoid_that_made_the_labels_is_found() -> None:
    calibration = fit_calibration(*simulate(200_000))
    assert calibration.slope == pytest.approx(0.5, abs=0.01)
    assert calibration.intercept == pytest.approx(-1, abs=0.02)


def test_a_misleading_margin_gets_no_slope() -> None:
    margins, labels = simulate(2000)
    calibration = fit_calibration(-margins, labels)
    assert calibration.slope == 0
    assert 1 / (1 + np.exp(-calibration.intercept)) == pytest.approx(labels.mean(), abs=0.02)


def test_calibrated_probabilities_have_a_small_error_and_others_a_large_one() -> None:
    margins, labels = simulate(5000)
    good = assess(probabilities(margins, Calibration(0.5, -1)), labels, seed=1)
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
