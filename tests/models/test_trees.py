"""A model's trees as LightGBM tells them: what stands where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from job.models.trees import Split, bits_of, customers_of, is_leaf, is_plain, leaves_of, splits_of

LEFT: dict[str, Any] = {"leaf_value": 1.5, "leaf_count": 3}
BELOW: dict[str, Any] = {
    "internal_count": 7,
    "decision_type": "<=",
    "missing_type": "None",
    "left_child": {"leaf_value": -1.0, "leaf_count": 2},
    "right_child": {"leaf_value": 2.0, "leaf_count": 5},
}
TREE: dict[str, Any] = {"internal_count": 10, "left_child": LEFT, "right_child": BELOW}


def test_leaves_from_left_to_right() -> None:
    assert list(leaves_of(TREE)) == [1.5, -1.0, 2.0]


def test_splits_with_the_leaves_on_their_left() -> None:
    assert splits_of(TREE) == [Split(TREE, first=0, left=1, tests=2), Split(BELOW, first=1, left=1, tests=1)]
    assert splits_of(LEFT) == []


def test_customers() -> None:
    assert (customers_of(TREE), customers_of(LEFT)) == (10, 3)
    assert (is_leaf(TREE), is_leaf(LEFT)) == (False, True)


@pytest.mark.parametrize(
    ("changed", "found"),
    [({}, True), ({"missing_type": "NaN"}, True), ({"missing_type": "Zero"}, False), ({"decision_type": "=="}, False)],
)
def test_plain_comparisons(changed: dict[str, str], found: object) -> None:
    assert is_plain({**BELOW, **changed}) is found


def test_bits() -> None:
    assert [bits_of(most) for most in (1, 32, 33, 64)] == [np.uint32, np.uint32, np.uint64, np.uint64]
