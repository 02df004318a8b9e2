"""The trees of a LightGBM model, as its `dump_model` tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


def splits_of(node: Node, first: int = 0) -> Iterator[tuple[Mapping[str, Any], int, int]]:
    """Yield each test from a node on, the place of the first leaf on its left, and how many there are.

    A test comes before those on its left, these before those on its right: all below a node stand together.
    """
    if not is_leaf(node):
        left = sum(1 for _ in leaves_of(node["left_child"]))
        yield node, first, left
        yield from splits_of(node["left_child"], first)
        yield from splits_of(node["right_child"], first + left)
