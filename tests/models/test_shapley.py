"""What a tree adds to each feature is its Shapley value, whatever its parts are."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import numpy as np
import pytest

from job.models import shapley
from job.models.shapley import most_features, parts_of
from job.models.trees import splits_of

Tree = dict[str, Any]


def leaf(value: float, customers: int) -> Tree:
    return {"leaf_value": value, "leaf_count": customers}


def test(feature: int, threshold: float, left: Tree, right: Tree) -> Tree:
    customers = sum(child.get("leaf_count", child.get("internal_count", 0)) for child in (left, right))
    children = {"left_child": left, "right_child": right}
    return {"split_feature": feature, "threshold": threshold, "internal_count": customers, **children}


test.__test__ = False  # type: ignore[attr-defined] - a test of a tree

# Asks about the first feature again below itself, and about the third on one side only.
TREE = test(
    0,
    0.5,
    test(1, 0.5, test(0, 0.2, leaf(1.0, 10), leaf(-2.0, 5)), leaf(0.5, 25)),
    test(2, 0.5, leaf(3.0, 20), test(1, 0.7, leaf(-1.0, 30), test(0, 0.8, leaf(4.0, 4), leaf(0.25, 6)))),
)
ROWS = np.array(list(product((0.1, 0.4, 0.6, 0.9), (0.2, 0.6, 0.8), (0, 1))))


def expected(node: Tree, row: np.ndarray, known: frozenset[int]) -> float:
    """What the tree gives where only some features are known: the mean over the training rows of both ways else."""
    if "leaf_value" in node:
        return float(node["leaf_value"])
    left, right = node["left_child"], node["right_child"]
    if node["split_feature"] in known:
        return expected(left if row[node["split_feature"]] <= node["threshold"] else right, row, known)
    weights = [child.get("leaf_count", child.get("internal_count")) for child in (left, right)]
    values = [expected(child, row, known) for child in (left, right)]
    return float(np.average(values, weights=weights))


def by_definition(tree: Tree, row: np.ndarray) -> list[float]:
    """The mean, over all orders of the features, of what knowing each one more changes."""
    orders = list(permutations(range(3)))
    changes = np.zeros(3)
    for order in orders:
        for place, feature in enumerate(order):
            before = frozenset(order[:place])
            changes[feature] += expected(tree, row, before | {feature}) - expected(tree, row, before)
    return list(changes / len(orders))


def added(tree: Tree, rows: np.ndarray, bits: type[np.unsignedinteger[Any]]) -> np.ndarray:
    held = np.zeros(len(rows), dtype=bits)
    for place, split in enumerate(splits_of(tree)):
        held |= (rows[:, split.node["split_feature"]] <= split.node["threshold"]).astype(bits) << bits(place)
    own = np.zeros((3, len(rows)))
    (parts,) = parts_of([tree])
    for part in parts:
        part.add_to(list(own), held)
    return own.T


@pytest.mark.parametrize("bits", [np.uint32, np.uint64])
@pytest.mark.parametrize(("answers", "parts"), [(1, 7), (3, 5), (4, 2), (5, 2), (6, 1)])
def test_shapley_values_by_definition(
    answers: int, parts: int, bits: type[np.unsignedinteger[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shapley, "PART_ANSWERS", answers)
    assert len(parts_of([TREE])[0]) == parts
    assert added(TREE, ROWS, bits) == pytest.approx(np.array([by_definition(TREE, row) for row in ROWS]), abs=1e-12)


def test_a_tree_without_a_test_has_no_parts() -> None:
    assert parts_of([leaf(1.0, 5), TREE])[0] == []


def test_most_features() -> None:
    assert most_features([leaf(1.0, 5)]) == 0
    assert most_features([leaf(1.0, 5), TREE]) == 3
    assert most_features([]) == 0
