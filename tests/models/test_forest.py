"""Trees run without branches give what LightGBM gives: sums to the last bit, contributions to 1e-12."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.models import forest as forest_module
from job.models.forest import Forest

SETTINGS: dict[str, Any] = {"verbosity": -1, "min_data_in_leaf": 5, "num_threads": 1, "deterministic": True, "seed": 3}


def grown(
    rounds: int = 20, rows: int = 900, seed: int = 1, words: list[int] | None = None, **changed: Any
) -> tuple[lightgbm.Booster, np.ndarray]:
    """A model of numbers of few and of many values, and the rows that it was grown from."""
    draw = np.random.default_rng(seed)
    matrix = np.column_stack([draw.normal(size=rows), draw.integers(0, 5, rows), draw.integers(0, 2, rows)])
    labels = (matrix[:, 0] + matrix[:, 1] * matrix[:, 2] + draw.normal(size=rows) > 1).astype(float)
    data = lightgbm.Dataset(matrix.astype(np.float64), labels, categorical_feature=words or "auto")
    return lightgbm.train({"objective": "binary", **SETTINGS, **changed}, data, rounds), matrix.astype(np.float64)


def assert_equal(booster: lightgbm.Booster, matrix: np.ndarray) -> None:
    forest = Forest.of(booster)
    assert forest is not None
    assert (forest.margins(matrix) == booster.predict(matrix, raw_score=True)).all()


@pytest.mark.parametrize("leaves", [2, 8, 31, 32, 33, 64])
def test_as_lightgbm(leaves: int) -> None:
    booster, matrix = grown(num_leaves=leaves, min_data_in_leaf=2)
    assert_equal(booster, matrix)


def test_values_at_thresholds_and_beside_them() -> None:
    booster, matrix = grown()
    forest = Forest.of(booster)
    assert forest is not None
    at = forest.thresholds[0]
    values = np.concatenate([at, np.nextafter(at, -np.inf), np.nextafter(at, np.inf), [-1e300, 1e300]])
    assert_equal(
        booster, np.column_stack([values, np.resize(matrix[:, 1], len(values)), np.resize([0.0, 1.0], len(values))])
    )


@pytest.mark.parametrize("leaves", [2, 8, 33])
def test_contributions_as_lightgbm(leaves: int) -> None:
    booster, matrix = grown(num_leaves=leaves, min_data_in_leaf=2)
    forest = Forest.of(booster)
    assert forest is not None
    assert forest.is_explained
    expected = booster.predict(matrix, pred_contrib=True)
    found = forest.contributions(matrix)
    assert found.shape == (900, 3)
    assert found == pytest.approx(expected[:, :-1], abs=1e-12)
    assert found.sum(axis=1) + expected[:, -1] == pytest.approx(forest.margins(matrix), abs=1e-12)


def test_contributions_in_batches_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    booster, matrix = grown()
    forest = Forest.of(booster)
    assert forest is not None
    at_once = forest.contributions(matrix)
    monkeypatch.setattr(forest_module, "EXPLAINED_ROWS", 7)
    assert (forest.contributions(matrix) == at_once).all()
    assert forest.contributions(matrix[:0]).shape == (0, 3)


@pytest.mark.parametrize("rows", [1, 6, 10**6])
def test_features_that_share_a_table(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forest_module, "TABLE_ROWS", rows)
    booster, matrix = grown()
    assert_equal(booster, matrix)
    forest = Forest.of(booster)
    assert forest is not None
    shared = {1: [(2,), (1,), (0,)], 6: [(2,), (1,), (0,)], 10**6: [(2, 1, 0)]}[rows]
    assert [lookup.features for lookup in forest.lookups] == shared


def test_paths_that_ask_about_too_many_features(monkeypatch: pytest.MonkeyPatch) -> None:
    booster, _ = grown()
    forest = Forest.of(booster)
    assert forest is not None
    monkeypatch.setattr(forest_module, "MOST_FEATURES", 2)
    assert not forest.is_explained


def test_trees_without_a_test() -> None:
    booster, matrix = grown(min_data_in_leaf=10_000)
    assert_equal(booster, matrix)
    forest = Forest.of(booster)
    assert forest is not None
    assert not forest.contributions(matrix).any()


@settings(max_examples=30)
@given(st.integers(1, 700), st.integers(0, 2**32))
def test_a_row_depends_on_no_other(rows: int, seed: int) -> None:
    booster, _ = grown(rounds=30)
    forest = Forest.of(booster)
    assert forest is not None
    draw = np.random.default_rng(seed)
    matrix = np.column_stack([draw.normal(size=rows), draw.integers(0, 5, rows), draw.integers(0, 2, rows)])
    alone = [forest.margins(matrix[place : place + 1])[0] for place in range(0, rows, 97)]
    assert (forest.margins(matrix)[::97] == alone).all()
    explained = [forest.contributions(matrix[place : place + 1])[0] for place in range(0, rows, 97)]
    assert (forest.contributions(matrix)[::97] == explained).all()


@pytest.mark.parametrize(
    "changed",
    [
        {"num_leaves": 65, "min_data_in_leaf": 1},
        {"zero_as_missing": True},
        {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.7},
        {"words": [1]},
    ],
    ids=["many leaves", "zeros that are missing", "means of trees", "words"],
)
def test_other_kinds_are_left_to_lightgbm(changed: dict[str, Any]) -> None:
    booster, _ = grown(**changed)
    assert Forest.of(booster) is None
