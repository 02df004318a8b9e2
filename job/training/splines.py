"""The champion: logistic regression on a fixed, readable basis.

Each numeric feature becomes piecewise linear between a few knots (quantiles of the training rows; beyond the outer ones
a value counts as the knot, which is what caps outliers). There are three blocks: each feature by itself; by favourite
category (few pages mean another thing for a buyer of appliances than for one of children's goods); products of two
features. Each has an L2 penalty of its own, applied by scaling its columns before scikit-learn's logistic regression.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression

from job.models.linear import Calibration, Factor, LinearModel, Term
from schemas.features import CATEGORICAL_FEATURES, NUMERIC_FEATURES
from schemas.vocabulary import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

MAX_ITERATIONS = 100


def fit_splines(
    features: pl.DataFrame,
    labels: NDArray[np.int8],
    *,
    knots: int,
    tail: float,
    single_penalty: float,
    category_penalty: float,
    product_penalty: float,
) -> tuple[Callable[[pl.DataFrame], Matrix], LinearModel]:
    """Fit the champion, with so many knots per feature, the outer two included; a share of the rows is in each `tail`.

    Returns scikit-learn's decision function of a feature frame, in log-odds, and the same model as readable terms,
    uncalibrated, as it is deployed.
    """
    penalties = (single_penalty, single_penalty, category_penalty, product_penalty)
    basis = SplineBasis(features, np.linspace(tail, 1 - tail, knots), penalties)
    regression = LogisticRegression(C=1.0, solver="newton-cholesky", max_iter=MAX_ITERATIONS, tol=1e-6)
    regression.fit(basis.matrix(features), labels)
    model = basis.to_model(regression.coef_[0], float(regression.intercept_[0]), features)
    return lambda rows: np.asarray(regression.decision_function(basis.matrix(rows))), model


class _Standard(NamedTuple):
    """Of columns the mean, and the standard deviation (1 where a column does not vary)."""

    mean: Matrix
    scale: Matrix


class SplineBasis:
    """What turns the feature frame into the columns of the regression. Learned from training rows only."""

    def __init__(self, features: pl.DataFrame, quantiles: Matrix, penalties: Sequence[float]) -> None:
        self.knots = tuple(_distinct_knots(column, quantiles) for column in _numbers(features).T)
        self.words = tuple(
            (feature.name, word)
            for feature in CATEGORICAL_FEATURES
            for word in feature.values[len(feature.values) == 2 :]  # noqa: PLR2004 - of two words one says it all
        )
        self.categories = [index for index, (name, _) in enumerate(self.words) if name == "favourite_category"]
        self.weights = 1 / np.sqrt(penalties)  # of the blocks of `matrix`
        self.standards: dict[str, _Standard] = {}
        self.matrix(features)  # learns the standards

    def matrix(self, features: pl.DataFrame) -> Matrix:
        """Return the regression's columns: hats, words, hats by category, products; each scaled by its penalty."""
        columns = _numbers(features)
        hats = self._standardised("hats", _hats(columns, self.knots))
        ones = self._standardised("ones", _indicators(features, self.words))
        by_category = ones[:, self.categories][:, :, None] * hats[:, None, :]
        categories = self._standardised("categories", by_category.reshape(len(ones), -1))
        values = self._standardised("values", _clipped(columns, self.knots))
        left, right = np.triu_indices(values.shape[1], 1)
        products = self._standardised("products", values[:, left] * values[:, right])
        blocks = zip((hats, ones, categories, products), self.weights, strict=True)
        return np.hstack([block * weight for block, weight in blocks])

    def _standardised(self, block: str, columns: Matrix) -> Matrix:
        if block not in self.standards:
            scale = columns.std(axis=0)
            scale = np.where(scale > 1e-9, scale, 1.0)  # noqa: PLR2004 - rounding
            self.standards[block] = _Standard(columns.mean(axis=0), scale)
        standard = self.standards[block]
        return (columns - standard.mean) / standard.scale

    def to_model(self, coefficients: Matrix, intercept: float, features: pl.DataFrame) -> LinearModel:
        """Return the same model as terms: the hats of a feature are one slope and one bend at each inner knot.

        `coefficients`: of the columns of `matrix`. `features`: the training rows, for the means of the terms.
        """
        of_blocks = [self.standards[block] for block in ("hats", "ones", "categories", "products")]
        ends = np.cumsum([len(standard.mean) for standard in of_blocks])[:-1]
        parts = zip(np.split(coefficients, ends), self.weights, of_blocks, strict=True)
        hats, ones, categories, products = (part * weight / standard.scale for part, weight, standard in parts)
        of_hats, of_ones, of_categories, of_products = of_blocks
        of_numbers = self._number_factors(_numbers(features))
        of_words = self._word_factors(features)
        numbers, words = list(of_numbers), list(of_words)
        weighted: list[tuple[tuple[Factor, ...], float]] = [
            ((factor,), weight) for factor, weight in zip(numbers, self._bends(hats), strict=True)
        ]
        weighted += [((word,), weight) for word, weight in zip(words, ones, strict=True)]
        for index, row in zip(self.categories, categories.reshape(len(self.categories), -1), strict=True):
            bends = self._bends(row / of_hats.scale / of_ones.scale[index])
            weighted += [((words[index], factor), weight) for factor, weight in zip(numbers, bends, strict=True)]
        scaled = zip(
            [number for number in numbers if number.basis == "value"], self.standards["values"].scale, strict=True
        )
        for ((left, left_scale), (right, right_scale)), weight in zip(combinations(scaled, 2), products, strict=True):
            weighted.append(((left, right), weight / (left_scale * right_scale)))
        # The regression's columns have mean 0 and so do single factors; a product's mean goes from the columns' means
        # to the terms' centers: then contributions add up to 0 over these rows.
        constant = intercept - float(np.sum(categories * of_categories.mean))
        constant -= float(np.sum(products * of_products.mean))
        knots_of = zip(NUMERIC_FEATURES, self.knots, strict=True)
        caps = {feature.name: (float(knots[0]), float(knots[-1])) for feature, knots in knots_of}
        values = of_numbers | of_words
        terms = tuple(
            Term(each, _mean(np.prod([values[factor] for factor in each], axis=0)), float(weight))
            for each, weight in weighted
        )
        constant += math.fsum(term.center * term.weight for term in terms)
        return LinearModel(terms, constant, caps, Calibration())

    def _number_factors(self, columns: Matrix) -> dict[Factor, Matrix]:
        """Return, for each feature, its value and its bend at each inner knot, with what they are of each row."""
        factors = {}
        for feature, knots, values in zip(NUMERIC_FEATURES, self.knots, _clipped(columns, self.knots).T, strict=True):
            factors[Factor(feature.name, "value", float(values.mean()))] = values
            for knot in knots[1:-1]:
                above = np.clip(values - knot, 0, None)
                factors[Factor(feature.name, "above", float(above.mean()), knot=float(knot))] = above
        return {factor: column - factor.center for factor, column in factors.items()}

    def _word_factors(self, features: pl.DataFrame) -> dict[Factor, Matrix]:
        """Return whether a feature is the word, for each word, with what that is of each row."""
        factors = {}
        columns = _indicators(features, self.words).T
        for (name, word), mean, column in zip(self.words, self.standards["ones"].mean, columns, strict=True):
            is_unknown = (features[name] == UNKNOWN).to_numpy()
            factors[Factor(name, "equals", float(mean), word=word)] = np.where(is_unknown, 0.0, column - mean)
        return factors

    def _bends(self, weights: Matrix) -> Matrix:
        """Return, for each feature, the slope after its first knot and the change of slope at each inner one.

        A sum of hats is linear between knots and has the hats' weights as its values at them.
        """
        ends = np.cumsum([len(knots) for knots in self.knots])[:-1]
        slopes = [
            np.diff(at_knots) / np.diff(knots)
            for at_knots, knots in zip(np.split(weights, ends), self.knots, strict=True)
        ]
        return np.concatenate([np.diff(of_feature, prepend=0.0) for of_feature in slopes])


def _mean(column: Matrix) -> float:
    return float(pl.Series(column).mean())  # type: ignore[arg-type] # a number


def _numbers(features: pl.DataFrame) -> Matrix:
    return features.select(feature.name for feature in NUMERIC_FEATURES).to_numpy()


def _indicators(features: pl.DataFrame, words: tuple[tuple[str, str], ...]) -> Matrix:
    return np.column_stack([(features[name] == word).cast(int).to_numpy() for name, word in words]).astype(float)


def _distinct_knots(column: Matrix, quantiles: Matrix) -> Matrix:
    knots = np.unique(np.quantile(column, quantiles))
    if len(knots) == 1:
        knots = np.unique([column.min(), column.max()])
    return knots if len(knots) > 1 else np.array([knots[0], knots[0] + 1.0])


def _hats(columns: Matrix, knots: tuple[Matrix, ...]) -> Matrix:
    """Return for each feature and knot the hat that is 1 there and 0 at the next ones; flat beyond the outer knots."""
    return np.column_stack(
        [
            np.interp(column, column_knots, peak)
            for column, column_knots in zip(columns.T, knots, strict=True)
            for peak in np.eye(len(column_knots))
        ]
    )


def _clipped(columns: Matrix, knots: tuple[Matrix, ...]) -> Matrix:
    return np.ascontiguousarray(np.clip(columns, [outer[0] for outer in knots], [outer[-1] for outer in knots]))
