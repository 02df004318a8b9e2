"""How a model did: agreement with the training's NumPy."""

from __future__ import annotations

import random
from math import isclose

import polars as pl
import pytest

from job.campaign.quality import Auc, brier_score, calibration_error, delong


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
