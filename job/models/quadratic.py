"""A linear model as matrices, run over blocks of customers that fit the processor's cache.

With f the factors of a customer's numbers and c the customer's words, the uncalibrated log-odds are

    constant + a(c) + f . (b + t(c)) + f . W f / 2

with W symmetric. The slopes b + t(c) + W f say the rest: what each feature adds to the log-odds, and by how much they
fall where some features change.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from schemas.features import WORD_FEATURES
from schemas.vocabulary import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from job.models.linear import Factor, LinearModel

    Numbers = NDArray[np.float64]
    Places = NDArray[np.intp]

BLOCK_ROWS: Final = 4096
"""Customers of a block, a column each; the last one is filled up: the same operations and so the same bits for all."""


class Change(NamedTuple):
    """Some features with the same values for all customers."""

    rows: Places  # the factors of their numbers
    factors: Numbers  # the values of these then, a column
    weights: Numbers | None  # W of these rows and columns; None where they are not multiplied with each other
    words: Numbers | None  # by the place of a customer's words, how much lower a(c) is then; None if no words change
    linear: Numbers | None  # the same of b + t(c), a row per factor; None where it does not change


class Block(NamedTuple):
    """Some customers: factors, b + t(c) and W f (a row per factor; W f of `multiplied`), the places of their words."""

    factors: Numbers
    linear: Numbers
    products: Numbers
    words: Places


class QuadraticForm:
    """The terms of a linear model as matrices; see the module's docstring.

    Rows are factors of numbers, in the order of their features; places are combinations of words.
    """

    def __init__(self, model: LinearModel) -> None:
        self._explained = model.explained
        self._numbers = [name for name in model.explained if name not in WORD_FEATURES]
        self._words = [name for name in model.explained if name in WORD_FEATURES]
        caps = np.array([model.caps.get(name, (-np.inf, np.inf)) for name in self._numbers]).reshape(-1, 2)
        self._low, self._high = caps[:, :1], caps[:, 1:]
        factors = {factor for term in model.terms for factor in term.factors if factor.word is None}
        self._factors = sorted(factors, key=lambda factor: (self._numbers.index(factor.feature), factor))
        self._feature_of = np.array([self._numbers.index(factor.feature) for factor in self._factors], dtype=np.intp)
        firsts = np.searchsorted(self._feature_of, np.arange(len(self._numbers) + 1))
        self._rows = {name: slice(*firsts[number : number + 2]) for number, name in enumerate(self._numbers)}
        centers = _column([factor.center for factor in self._factors])
        self._zero = _column([factor.knot or 0.0 for factor in self._factors]) + centers
        self._least = np.where(_column([factor.basis == "above" for factor in self._factors]), -centers, -np.inf)
        self._places = list(product(*(WORD_FEATURES[name].words for name in self._words)))
        self._add_terms(model)

    def _add_terms(self, model: LinearModel) -> None:
        rows, places = len(self._factors), len(self._places)
        row_of = {factor: row for row, factor in enumerate(self._factors)}
        constants = dict.fromkeys(model.explained, 0.0)
        a = {name: np.zeros(places) for name in self._words}
        b = np.zeros((rows, 1))
        t = {name: np.zeros((rows, places)) for name in self._words}
        w = np.zeros((rows, rows))
        for term in model.terms:
            numbers = [row_of[factor] for factor in term.factors if factor.word is None]
            words = [factor for factor in term.factors if factor.word is not None]
            weights = term.weight * np.prod([self._values(factor) for factor in words], axis=0)
            for name in term.features:
                constants[name] -= term.center * term.weight / len(term.features)
                if not numbers:
                    a[name] += weights / len(term.features)
            if numbers and words:
                t[words[0].feature][numbers[0]] += weights
            elif len(numbers) == 1:
                b[numbers] += weights
            elif numbers:
                for first, second in (numbers, reversed(numbers)):
                    w[first, second] += weights
        self._constant = model.intercept + sum(constants.values())
        self._constants = _column(list(constants.values()))
        self._a, self._t = a, {name: table for name, table in t.items() if table.any()}
        self._all_a = sum(a.values(), np.zeros(places))
        self._b, self._linear = b, b + sum(t.values(), np.zeros((rows, places)))
        self._multiplied = np.flatnonzero(w.any(axis=0))
        self._w, self._products = w, w[np.ix_(self._multiplied, self._multiplied)]

    def _values(self, factor: Factor) -> Numbers:
        """Return the value of a factor of a word, at each place of words."""
        words = [place[self._words.index(factor.feature)] for place in self._places]
        return np.array([0.0 if word == UNKNOWN else (word == factor.word) - factor.center for word in words])

    def change(self, values: Mapping[str, float | str]) -> Change:
        """Return what customers are compared with who have these values of some features."""
        rows = np.flatnonzero([factor.feature in values for factor in self._factors])
        factors = self._factors_of(_column([float(values.get(name, 0.0)) for name in self._numbers]))
        weights = self._w[np.ix_(rows, rows)]
        words = linear = None
        if any(name in values for name in self._words):
            changed = [
                tuple(str(values.get(name, word)) for name, word in zip(self._words, place, strict=True))
                for place in self._places
            ]
            places = [self._places.index(place) for place in changed]
            words, linear = self._all_a - self._all_a[places], self._linear - self._linear[:, places]
            linear = linear if linear.any() else None
        return Change(rows, factors[rows], weights if weights.any() else None, words, linear)

    def margins(self, features: pl.DataFrame) -> Numbers:
        """Return the log-odds of each customer of a feature frame."""

        def fill(block: Block, results: Numbers) -> None:
            results[0] = self._margin(block)

        results = self._run(features, 1, fill)
        return results.reshape(-1)

    def explain(self, features: pl.DataFrame, changes: Sequence[Change] = ()) -> tuple[Numbers, Numbers, Numbers]:
        """Return log-odds, what each feature adds to them (a row each), and by how much each change lowers them."""
        end = 1 + len(self._explained)

        def fill(block: Block, results: Numbers) -> None:
            results[0] = self._margin(block)
            self._share(block, results[1:end])
            if changes:
                slopes = block.linear.copy()
                slopes[self._multiplied] += block.products
                for row, change in enumerate(changes, start=end):
                    results[row] = self._fall(block, slopes, change)

        results = self._run(features, end + len(changes), fill)
        return results[0], results[1:end], results[end:]

    def _run(self, features: pl.DataFrame, rows: int, fill: Callable[[Block, Numbers], None]) -> Numbers:
        """Return some results of each customer (a row each), which are filled in block by block."""
        values = [features[name].to_numpy() for name in self._numbers]
        words = features.select(self._place_of_words()).to_series().to_numpy()
        results = np.empty((rows, features.height))
        some_values = np.zeros((len(self._numbers), BLOCK_ROWS))
        some_words = np.zeros(BLOCK_ROWS, dtype=np.intp)
        some_results = np.empty((rows, BLOCK_ROWS))
        for start in range(0, features.height, BLOCK_ROWS):
            here = slice(start, min(start + BLOCK_ROWS, features.height))
            size = here.stop - start
            some_words[:size] = words[here]
            for row, column in enumerate(values):
                some_values[row, :size] = column[here]
            factors = self._factors_of(some_values)
            products = _product(self._products, factors[self._multiplied])
            fill(Block(factors, self._linear.take(some_words, axis=1), products, some_words), some_results)
            results[:, here] = some_results[:, :size]
        return results

    def _place_of_words(self) -> pl.Expr:
        place = pl.repeat(0, pl.len(), dtype=pl.Int64)
        for name in self._words:
            feature = WORD_FEATURES[name]
            place = place * len(feature.words) + pl.col(name).cast(feature.dtype).to_physical()
        return place.alias("place")

    def _factors_of(self, values: Numbers) -> Numbers:
        factors = np.clip(values, self._low, self._high)[self._feature_of]
        factors -= self._zero
        np.maximum(factors, self._least, out=factors)
        return factors

    def _margin(self, block: Block) -> Numbers:
        products = _dot(block.factors[self._multiplied], block.products)
        return _dot(block.factors, block.linear) + products / 2 + (self._all_a + self._constant)[block.words]

    def _share(self, block: Block, shares: Numbers) -> None:
        """Fill in what each feature adds: a product of two is shared equally between them."""
        slopes = block.linear + self._b
        slopes[self._multiplied] += block.products
        slopes *= block.factors
        for row, name in enumerate(self._explained):
            if name in self._rows:
                shares[row] = slopes[self._rows[name]].sum(axis=0) / 2
                continue
            shares[row] = self._a[name][block.words]
            if name in self._t:
                shares[row] += _dot(block.factors, self._t[name].take(block.words, axis=1)) / 2
        shares += self._constants

    def _fall(self, block: Block, slopes: Numbers, change: Change) -> Numbers:
        """Return by how much a change, first of the numbers, then of the words, lowers the log-odds."""
        steps = block.factors[change.rows] - change.factors
        fall = _dot(steps, slopes[change.rows])
        if change.weights is not None:
            fall -= _dot(steps, _product(change.weights, steps)) / 2
        if change.words is not None:
            fall += change.words[block.words]
        if change.linear is not None:
            factors = block.factors.copy()
            factors[change.rows] = change.factors
            fall += _dot(factors, change.linear.take(block.words, axis=1))
        return fall


def _column(values: Sequence[float]) -> Numbers:
    return np.array(values, dtype=np.float64).reshape(-1, 1)


def _dot(left: Numbers, right: Numbers) -> Numbers:
    """Return the product of each customer's columns. Unlike BLAS, this adds up in the same order everywhere."""
    result: Numbers = np.einsum("an,an->n", left, right)
    return result


def _product(matrix: Numbers, columns: Numbers) -> Numbers:
    """Return the matrix product, added up in the same way."""
    result: Numbers = np.einsum("ij,jn->in", matrix, columns)
    return result
