from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from job.errors import DropError
from job.training.leaks import guard_against_leaks, single_auc
from job.training.run import Labelled


def test_a_planted_leak_is_refused_and_named(labelled: Labelled) -> None:
    leaky = labelled.features.with_columns(service_errors=pl.Series(labelled.labels.astype(float)))
    with pytest.raises(DropError) as caught:
        guard_against_leaks(labelled.customers, leaky, labelled.labels)
    assert caught.value.exit_code == 3
    assert list(caught.value.problems) == [
        "market_file, column «service_errors»: found a ROC-AUC of 1.000 by itself, "
        "expected at most 0.95: it gives the label away"
    ]


def test_a_clean_drop_passes_and_the_strongest_column_comes_first(labelled: Labelled) -> None:
    findings, warnings = guard_against_leaks(labelled.customers, labelled.features, labelled.labels)
    assert warnings == []
    assert [finding.auc for finding in findings] == sorted((finding.auc for finding in findings), reverse=True)
    assert {"id", "row", "monthly_profit"} < {finding.column for finding in findings}


def test_a_drop_sorted_by_label_is_warned_about(labelled: Labelled) -> None:
    order = np.argsort(-labelled.labels, kind="stable")
    customers = labelled.customers[order].with_columns(row=pl.int_range(pl.len()), id=pl.int_range(pl.len()))
    _, warnings = guard_against_leaks(customers, labelled.features[order], labelled.labels[order])
    assert sorted(warnings) == [
        "id predicts the label with ROC-AUC 1.000 (the drop is sorted by it); it is none of the 17 features",
        "the order of the rows predicts the label with ROC-AUC 1.000 (the drop is sorted by it); "
        "it is none of the 17 features",
    ]


def test_either_direction_counts() -> None:
    labels = np.array([0, 0, 1, 1], dtype=np.int8)
    assert single_auc(pl.Series([1, 2, 3, 4]), labels) == 1.0
    assert single_auc(pl.Series([4, 3, 2, 1]), labels) == 1.0


def test_a_word_that_says_nothing_is_worth_a_coin() -> None:
    labels = np.array([0, 1] * 200, dtype=np.int8)
    assert single_auc(pl.Series(["a", "a", "b", "b"] * 100), labels) == pytest.approx(0.5, abs=0.01)


def test_a_word_that_says_all_is_a_leak() -> None:
    labels = np.array([0, 1] * 20, dtype=np.int8)
    assert single_auc(pl.Series(["no", "yes"] * 20), labels) == 1.0
