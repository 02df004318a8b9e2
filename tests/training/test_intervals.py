from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from job.training.intervals import delong_interval


def test_delong_gives_the_published_interval_of_hanley_and_mcneil_s_ct_ratings() -> None:
    """Ratings of 58 normal and 51 abnormal images (Radiology 143, 1982); DeLong's interval: Stata's manual, roctab."""
    ratings = np.arange(1, 6)
    normal, abnormal = [33, 6, 6, 11, 2], [3, 2, 2, 11, 33]
    scores = np.concatenate([np.repeat(ratings, normal), np.repeat(ratings, abnormal)]).astype(float)
    labels = np.repeat([0, 1], [58, 51]).astype(np.int8)
    interval = delong_interval(scores, labels)
    assert interval.auc == pytest.approx(0.8932, abs=5e-5)
    assert interval.low == pytest.approx(0.83295, abs=5e-6)
    assert interval.high == pytest.approx(0.95339, abs=5e-6)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=4, max_size=60))
def test_delong_s_area_is_scikit_learn_s(rows: list[tuple[int, bool]]) -> None:
    scores = np.array([score for score, _ in rows], dtype=float)
    labels = np.array([label for _, label in rows], dtype=np.int8)
    if min(labels.sum(), (1 - labels).sum()) < 2:
        with pytest.raises(ValueError, match="at least two customers of each kind"):
            delong_interval(scores, labels)
        return
    interval = delong_interval(scores, labels)
    assert interval.auc == pytest.approx(roc_auc_score(labels, scores))
    assert 0 <= interval.low <= interval.auc <= interval.high <= 1


def test_the_interval_covers_the_true_area_at_the_stated_rate() -> None:
    random = np.random.default_rng(3)
    true_area = 0.7602  # of two unit normals one apart: Phi(1 / sqrt(2))
    covered = 0
    for _ in range(400):
        labels = np.repeat([0, 1], [80, 50]).astype(np.int8)
        interval = delong_interval(random.normal(labels), labels)
        covered += interval.low <= true_area <= interval.high
    assert 0.925 <= covered / 400 <= 0.975
