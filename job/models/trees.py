"""The trees of a LightGBM model, as its `dump_model` tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

Node = Any  # what `dump_model` tells of a test and all that follows it, or of a leaf: a dict
Bits = np.unsignedinteger[Any]  # a tree's tests or leaves, one bit each


def bits_of(most: int) -> type[Bits]:
    """Return the type of so many bits."""
    return np.uint32 if most <= 32 else np.uint64  # noqa: PLR2004 - bits of a number


def is_leaf(node: Node) -> bool:
    """Return whether a node is a leaf, and not a test."""
    return "leaf_value" in node


def is_plain(test: Node) -> bool:
    """Return whether a test of a finite number is a comparison, whatever is missing."""
    return bool(test["decision_type"] == "<=" and test["missing_type"] in {"None", "NaN"})


def customers_of(node: Node) -> int:
    """Return the rows of training that reached a node."""
    return int(node["leaf_count"] if is_leaf(node) else node["internal_count"])


def leaves_of(node: Node) -> Iterator[float]:
    """Yield what the leaves below a node add, from left to right."""
    if is_leaf(node):
        yield node["leaf_value"]
    else:
        yield from leaves_of(node["left_child"])
        yield from leaves_of(node["right_child"])


class Split(NamedTuple):
    """A test of a tree."""

    node: Node  # what LightGBM tells of it
    first: int  # the place of the first leaf below it
    left: int  # the leaves on its left
    tests: int  # the tests from it on, with itself


def splits_of(tree: Node) -> list[Split]:
    """Return the tests of a tree, each before those on its left, these before those on its right.

    So all below a node stand together.
    """
    splits: list[Split] = []

    def walk(node: Node, first: int) -> int:
        """Return how many leaves are below."""
        if is_leaf(node):
            return 1
        number = len(splits)
        splits.append(Split(node, first, 0, 0))
        left = walk(node["left_child"], first)
        below = left + walk(node["right_child"], first + left)
        splits[number] = Split(node, first, left, below - 1)
        return below

    walk(tree, 0)
    return splits
