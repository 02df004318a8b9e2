"""ROC-AUC with its interval, and how far probabilities are from what came: published values, and other libraries'."""

from __future__ import annotations

import random
from math import isclose

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.accuracy import Auc, brier_score, calibration_bins, calibration_error, delong


def test_delong_gives_the_published_interval_of_hanley_and_mcneil_s_ct_ratings() -> None:
    """Ratings of 58 normal and 51 abnormal images (Radiology 143, 1982); DeLong's interval: Stata's manual, roctab."""
    normal, abnormal = [33, 6, 6, 11, 2], [3, 2, 2, 11, 33]
    scores = [float(rating) for counts in (normal, abnormal) for rating, n in enumerate(counts) for _ in range(n)]
    found = delong(pl.Series(scores), pl.Series([False] * 58 + [True] * 51))
    assert found is not None
    assert found.auc == pytest.approx(0.8932, abs=5e-5)
    assert found.low == pytest.approx(0.83295, abs=5e-6)
    assert found.high == pytest.approx(0.95339, abs=5e-6)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=4, max_size=60))
def test_delong_s_area_is_scikit_learn_s(rows: list[tuple[int, bool]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    scores, declined = [float(score) for score, _ in rows], [label for _, label in rows]
    found = delong(pl.Series(scores), pl.Series(declined))
    if min(sum(declined), len(declined) - sum(declined)) < 2:
        assert found is None
        return
    assert found is not None
    assert found.auc == pytest.approx(metrics.roc_auc_score(declined, scores))
    assert 0 <= found.low <= found.auc <= found.high <= 1


def test_the_interval_covers_the_true_area_at_the_stated_rate() -> None:
    source = random.Random(3)  # noqa: S311
    true_area = 0.7602  # of two unit normals one apart: Phi(1 / sqrt(2))
    declined = [False] * 80 + [True] * 50
    covered = 0
    for _ in range(400):
        found = delong(pl.Series([source.gauss(float(label), 1) for label in declined]), pl.Series(declined))
        assert found is not None
        covered += found.low <= true_area <= found.high
    assert 0.925 <= covered / 400 <= 0.975


def test_delong_by_hand_and_without_two_of_a_kind() -> None:
    scores = pl.Series([0.9, 0.8, 0.7, 0.6])
    assert delong(scores, pl.Series([True, True, False, False])) == Auc(1.0, 1.0, 1.0)
    assert delong(scores, pl.Series([True, False, False, False])) is None


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_the_brier_score_is_scikit_learn_s(rows: list[tuple[float, bool]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    probability, declined = [one for one, _ in rows], [one for _, one in rows]
    expected = metrics.brier_score_loss(declined, probability, labels=[False, True])
    assert brier_score(pl.Series(probability), pl.Series(declined)) == pytest.approx(expected)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=300))
def test_bins_are_ten_of_equal_size_by_probability_and_the_error_is_their_mean_gap(
    rows: list[tuple[float, bool]],
) -> None:
    bins = calibration_bins(pl.Series([one for one, _ in rows]), pl.Series([one for _, one in rows]))
    ordered = sorted(rows, key=lambda row: row[0])
    sizes = [len(rows) // 10 + (number < len(rows) % 10) for number in range(10)]
    gaps = 0.0
    for size, (predicted, observed, count) in zip((size for size in sizes if size), bins.iter_rows(), strict=True):
        part, ordered = ordered[:size], ordered[size:]
        assert count == size
        assert predicted == pytest.approx(sum(one for one, _ in part) / size)
        assert observed == pytest.approx(sum(one for _, one in part) / size)
        gaps += abs(sum(one for one, _ in part) - sum(one for _, one in part))
    assert calibration_error(bins) == pytest.approx(gaps / len(rows))


def test_calibration_error_of_a_few_rows() -> None:
    bins = calibration_bins(pl.Series([0.1, 0.6, 0.9]), pl.Series([False, True, True]))
    assert isclose(calibration_error(bins), (0.1 + 0.4 + 0.1) / 3)
