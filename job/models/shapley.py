"""What each feature adds to the margin of a tree (TreeSHAP), looked up for a whole part of the tree at once.

What the leaves of a part add to each feature depends on no more than what the part's own tests say, and whether the
tests on the way to it lead there, feature by feature. Few tests have few ways to answer, and each way has its place in
a table. Yang, «Fast TreeSHAP: accelerating SHAP value computation for trees» (2021), tables single leaves.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from job.models.trees import customers_of, is_leaf, splits_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from job.models.trees import Bits, Node

PART_ANSWERS: Final = 10  # yes or no, of a part: larger tables would not stay in the processor's cache


class Part(NamedTuple):
    """Some leaves of a tree: all below one of its nodes."""

    first: int  # the place of its first test among those of the tree, whose bits it takes in turn
    tests: int  # how many it has
    # for each feature that is asked about on the way to it: the bits of these tests, and of those that hold
    way: tuple[tuple[int, int], ...]
    features: tuple[int, ...]  # that are asked about on the way or in it
    # (features, ways to answer): what its leaves add together. An answer is a bit: first those of its own tests, then
    # one per feature on the way, set if that leads to the part.
    table: NDArray[np.float64]

    def add_to(self, added: Sequence[NDArray[np.float64]], held: NDArray[Bits]) -> None:
        """Add what the part adds to some rows.

        `added`: a row per feature, changed in place. `held`: the bits of the tree's tests that hold.
        """
        number = held.dtype.type
        answers = (held >> number(self.first)) & number((1 << self.tests) - 1)
        for bit, (asked, holds) in enumerate(self.way, start=self.tests):
            leads = (held & number(asked)) == number(holds)
            answers |= leads.view(np.uint8) * number(1 << bit)
        rows_of_table = answers.astype(np.intp)
        values = np.empty(len(rows_of_table))
        for feature, table in zip(self.features, self.table, strict=True):
            # Every place is in the table: `clip` is the mode that needs no copy.
            table.take(rows_of_table, out=values, mode="clip")
            np.add(added[feature], values, out=added[feature])


class _Leaf(NamedTuple):
    """A leaf of a part."""

    value: float  # what it adds
    # by feature that is asked about on its way, the share of training rows that these tests let pass
    covers: dict[int, float]
    leads: dict[int, tuple[int, int]]  # by feature the answers that it asks for, and those of them that must be yes


class _Cut(NamedTuple):
    """A part whose table is not made yet; see `Part`."""

    first: int
    tests: int
    way: tuple[tuple[int, int], ...]
    leaves: tuple[_Leaf, ...]


def parts_of(trees: Sequence[Node]) -> list[list[Part]]:
    """Return the parts of each tree; each leaf that any test leads to is in one of them."""
    cutoffs = [list(_cuts_of(tree)) for tree in trees]
    tables = _tables_of([leaf for tree in cutoffs for cut in tree for leaf in cut.leaves])
    return [[_part_of(cut, tables) for cut in tree] for tree in cutoffs]


def most_features(trees: Sequence[Node]) -> int:
    """Return how many features the way to a leaf asks about at most."""

    def of(node: Node, asked: frozenset[int]) -> int:
        if is_leaf(node):
            return len(asked)
        return max(of(node[child], asked | {node["split_feature"]}) for child in ("left_child", "right_child"))

    return max((of(tree, frozenset()) for tree in trees), default=0)


def _cuts_of(tree: Node) -> Iterator[_Cut]:
    """Yield the largest parts that have few enough answers, and single leaves where none has."""
    places = {id(split.node): (number, split.tests) for number, split in enumerate(splits_of(tree))}

    def cut(node: Node, way: dict[int, tuple[int, int]], covers: dict[int, float]) -> Iterator[_Cut]:
        first, tests = places.get(id(node), (0, 0))  # a leaf has none
        if not tests or tests + len(way) <= PART_ANSWERS:
            answers = {feature: (1 << bit, 1 << bit) for bit, feature in enumerate(way, start=tests)}
            yield _Cut(first, tests, tuple(way.values()), tuple(leaves_below(node, first, answers, covers)))
            return
        for child, asked, passed in _ways_on(node, first, way, covers):
            yield from cut(child, asked, passed)

    def leaves_below(
        node: Node, first: int, leads: dict[int, tuple[int, int]], covers: dict[int, float]
    ) -> Iterator[_Leaf]:
        """Yield the leaves below a node of the part whose tests begin at a place."""
        if is_leaf(node):
            yield _Leaf(node["leaf_value"], covers, leads)
            return
        for child, asked, passed in _ways_on(node, places[id(node)][0] - first, leads, covers):
            yield from leaves_below(child, first, asked, passed)

    if not is_leaf(tree):
        yield from cut(tree, {}, {})


def _ways_on(
    node: Node, number: int, asked: dict[int, tuple[int, int]], covers: dict[int, float]
) -> Iterator[tuple[Node, dict[int, tuple[int, int]], dict[int, float]]]:
    """Yield what follows if a test holds, and if it does not: the node, and the test beside those that were before."""
    feature, bit = node["split_feature"], 1 << number
    tests, holds = asked.get(feature, (0, 0))
    for child, holding in ((node["left_child"], bit), (node["right_child"], 0)):
        share = covers.get(feature, 1.0) * customers_of(child) / customers_of(node)
        yield child, {**asked, feature: (tests | bit, holds | holding)}, {**covers, feature: share}


def _part_of(cut: _Cut, tables: Mapping[int, NDArray[np.float64]]) -> Part:
    """Return a part. Args: tables: of `_tables_of`."""
    features = tuple(dict.fromkeys(feature for leaf in cut.leaves for feature in leaf.leads))
    rows = {feature: row for row, feature in enumerate(features)}
    answers = np.arange(1 << (cut.tests + len(cut.way)), dtype=np.int32)
    table = np.zeros((len(features), len(answers)))
    for leaf in cut.leaves:
        asked, holds = np.array(list(leaf.leads.values()), dtype=np.int32).T[:, :, None]
        leads = (answers & asked) == holds
        answer = (leads << np.arange(len(leads))[:, None]).sum(axis=0)
        table[[rows[feature] for feature in leaf.leads]] += tables[id(leaf)][:, answer]
    return Part(cut.first, cut.tests, cut.way, features, table)


def _tables_of(leaves: Sequence[_Leaf]) -> dict[int, NDArray[np.float64]]:
    """Return id of a leaf -> what it adds to each feature on its way, for each way to answer (features, 2^features).

    A feature's Shapley value is value x (answer - cover) x the mean, over orders of the features, of the product of the
    others: the answer (1 or 0) of those before it, the cover of those after. That mean is the integral over t from 0 to
    1 of the product of (1 - t) x cover + t x answer: a polynomial, which Gauss's quadrature integrates exactly.
    """
    alike: dict[int, list[_Leaf]] = defaultdict(list)
    for leaf in leaves:
        alike[len(leaf.covers)].append(leaf)
    tables = {}
    for features, parts in alike.items():
        cover = np.array([list(leaf.covers.values()) for leaf in parts])[:, :, None]
        answer = (np.arange(1 << features) >> np.arange(features)[:, None]) & 1
        points, weights = np.polynomial.legendre.leggauss((features + 1) // 2)
        mean = np.zeros((len(parts), *answer.shape))
        for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
            mixed = (1 - point) * cover + point * answer
            mean += weight * mixed.prod(axis=1, keepdims=True) / mixed
        added = np.array([leaf.value for leaf in parts])[:, None, None] * (answer - cover) * mean
        tables.update({id(leaf): table for leaf, table in zip(parts, added, strict=True)})
    return tables
