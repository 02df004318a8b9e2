from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import auc, roc_auc_score

from job.training.calibration import rank_customers


def test_the_first_customers_by_risk_are_counted_with_those_who_declined() -> None:
    ranking = rank_customers(np.array([0.1, 0.9, 0.5, 0.9]), np.array([0, 1, 1, 0], dtype=np.int8))
    assert ranking["cuts"] == [[0, 0], [2, 1], [3, 2], [4, 2]]
    top = ranking["top_tenth"]
    assert (top["customers"], top["declined"], top["precision"]) == (2, 1, 0.5)
    assert (top["low"], top["high"]) == pytest.approx((0.0945, 0.9055), abs=1e-4)  # Wilson, 1 of 2
    assert ranking["average_precision"] == pytest.approx(0.5 * 0.5 + 0.5 * 2 / 3)


@given(st.integers(0, 2**32 - 1), st.integers(20, 3000), st.integers(2, 5000))
def test_a_hundred_cuts_keep_the_curve(seed: int, customers: int, distinct: int) -> None:
    random = np.random.default_rng(seed)
    probability = np.round(random.random(customers) * distinct) / distinct
    labels = (random.random(customers) < probability).astype(np.int8)
    labels[:2] = (0, 1)
    cuts = np.array(rank_customers(probability, labels)["cuts"])
    assert cuts[0].tolist() == [0, 0]
    assert cuts[-1].tolist() == [customers, labels.sum()]
    assert (np.diff(cuts, axis=0) >= [1, 0]).all()
    assert len(cuts) <= 101
    area = auc((cuts[:, 0] - cuts[:, 1]) / (labels == 0).sum(), cuts[:, 1] / labels.sum())
    assert area == pytest.approx(roc_auc_score(labels, probability), abs=0.02)
