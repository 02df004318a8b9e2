"""The champion: logistic regression on a fixed, readable basis.

Each numeric feature becomes piecewise linear between a few knots (quantiles of the training rows; beyond the outer ones
a value counts as the knot, which is what caps outliers). The basis has three blocks, each with a penalty of its own:

1. each feature by itself;
2. each feature by favourite category (what is few pages for a buyer of appliances is not for one of children's goods);
3. products of two features.

The penalties are L2, applied by scaling the columns of a block before scikit-learn's logistic regression.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression

from job.models.linear import Calibration, Factor, LinearModel, Term
from schemas.features import CATEGORICAL_FEATURES, NUMERIC_FEATURES

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

MAX_ITERATIONS = 100


@dataclass(frozen=True)
class SplineSettings:
    """How flexible the model is.

    Args:
        knots: per feature, the outer two included.
        tail: share of the rows beyond each outer knot.
        single_penalty: on each feature by itself.
        category_penalty: on features by category.
        product_penalty: on products.
    """

    knots: int = 3
    tail: float = 0.03
    single_penalty: float = 10.0
    category_penalty: float = 60.0
    product_penalty: float = 100.0


@dataclass(frozen=True)
class SplineFit:
    """A fitted basis: what scikit-learn saw, and the same model as readable terms.

    Args:
        basis: turns features into the matrix that scikit-learn saw.
        regression: scikit-learn's model.
        model: the same, uncalibrated, as it is deployed.
    """

    basis: SplineBasis
    regression: LogisticRegression
    model: LinearModel

    def margins(self, features: pl.DataFrame) -> NDArray[np.float64]:
        """Return scikit-learn's decision function of each row, in log-odds."""
        scores: NDArray[np.float64] = self.regression.decision_function(self.basis.matrix(features))
        return scores


def fit_splines(features: pl.DataFrame, labels: NDArray[np.int8], settings: SplineSettings) -> SplineFit:
    """Fit the champion.

    Args:
        features: the feature frame of the training rows.
        labels: 1 for a customer who declined, in the rows' order.
        settings: how flexible the model is.
    """
    basis = SplineBasis.learn(features, settings)
    regression = LogisticRegression(C=1.0, solver="newton-cholesky", max_iter=MAX_ITERATIONS, tol=1e-6)
    regression.fit(basis.matrix(features), labels)
    return SplineFit(basis, regression, basis.to_model(regression.coef_[0], float(regression.intercept_[0]), features))


@dataclass(frozen=True)
class _Standard:
    """Columns less their mean, by their standard deviation (1 where a column does not vary)."""

    mean: Matrix
    scale: Matrix

    @classmethod
    def learn(cls, columns: Matrix) -> _Standard:
        scale = columns.std(axis=0)
        return cls(columns.mean(axis=0), np.where(scale > 1e-9, scale, 1.0))  # noqa: PLR2004 - rounding

    def apply(self, columns: Matrix) -> Matrix:
        return (columns - self.mean) / self.scale


@dataclass(frozen=True)
class SplineBasis:
    """What turns the feature frame into the columns of the regression. Learned from training rows only."""

    knots: tuple[Matrix, ...]
    words: tuple[tuple[str, str], ...]
    word_means: Matrix
    word_scales: Matrix
    hats: _Standard
    categories: _Standard
    values: _Standard
    products: _Standard
    weights: Matrix  # of each column: 1 / sqrt(its block's penalty)

    @classmethod
    def learn(cls, features: pl.DataFrame, settings: SplineSettings) -> SplineBasis:
        """Learn knots, means and scales from training rows."""
        columns = _numbers(features)
        quantiles = np.linspace(settings.tail, 1 - settings.tail, settings.knots)
        knots = tuple(_distinct_knots(column, quantiles) for column in columns.T)
        words = tuple((feature.name, word) for feature in CATEGORICAL_FEATURES for word in _modelled(feature.values))
        indicators = _indicators(features, words)
        word_standard = _Standard.learn(indicators)
        ones = word_standard.apply(indicators)
        hat_columns = _hats(columns, knots)
        hats = _Standard.learn(hat_columns)
        by_category = _by_category(ones, hats.apply(hat_columns), words)
        values = _Standard.learn(_clipped(columns, knots))
        pairs = _pairs(values.apply(_clipped(columns, knots)))
        sizes = (hat_columns.shape[1] + len(words), by_category.shape[1], pairs.shape[1])
        penalties = (settings.single_penalty, settings.category_penalty, settings.product_penalty)
        return cls(
            knots=knots,
            words=words,
            word_means=word_standard.mean,
            word_scales=word_standard.scale,
            hats=hats,
            categories=_Standard.learn(by_category),
            values=values,
            products=_Standard.learn(pairs),
            weights=1 / np.sqrt(np.repeat(penalties, sizes)),
        )

    def matrix(self, features: pl.DataFrame) -> Matrix:
        """Return the regression's columns: hats, words, hats by category, products; each scaled by its penalty."""
        columns = _numbers(features)
        ones = (_indicators(features, self.words) - self.word_means) / self.word_scales
        hats = self.hats.apply(_hats(columns, self.knots))
        by_category = self.categories.apply(_by_category(ones, hats, self.words))
        products = self.products.apply(_pairs(self.values.apply(_clipped(columns, self.knots))))
        return np.hstack([hats, ones, by_category, products]) * self.weights

    def to_model(self, coefficients: Matrix, intercept: float, features: pl.DataFrame) -> LinearModel:
        """Return the same model as terms: the hats of a feature are one slope and one bend at each inner knot.

        Args:
            coefficients: of the columns of `matrix`.
            intercept: of the regression.
            features: the training rows, for the means of the terms.
        """
        singles, categories, products = self._split(coefficients * self.weights)
        hat_count = len(self.hats.mean)
        columns = _numbers(features)
        factors = self._factors(columns)
        words = [
            Factor(name, "equals", float(mean), word=word)
            for (name, word), mean in zip(self.words, self.word_means, strict=True)
        ]
        terms: list[Term] = []
        for of_column, weights in zip(factors, self._bends(singles[:hat_count] / self.hats.scale), strict=True):
            terms += [Term((factor,), 0.0, float(weight)) for factor, weight in zip(of_column, weights, strict=True)]
        terms += [
            Term((word,), 0.0, float(weight))
            for word, weight in zip(words, singles[hat_count:] / self.word_scales, strict=True)
        ]
        places = [index for index, (name, _) in enumerate(self.words) if name == "favourite_category"]
        by_word = (categories / self.categories.scale).reshape(len(places), hat_count)
        for index, row in zip(places, by_word, strict=True):
            bends = self._bends(row / self.hats.scale / self.word_scales[index])
            for of_column, weights in zip(factors, bends, strict=True):
                terms += [
                    Term((words[index], factor), 0.0, float(weight))
                    for factor, weight in zip(of_column, weights, strict=True)
                ]
        for (left, right), weight in zip(
            combinations(range(len(factors)), 2), products / self.products.scale, strict=True
        ):
            scale = self.values.scale[left] * self.values.scale[right]
            terms.append(Term((factors[left][0], factors[right][0]), 0.0, float(weight / scale)))
        # The regression's columns have mean 0 and so do single factors; a product's mean goes from the columns' means
        # to the terms' centers.
        constant = intercept - float(np.sum(categories / self.categories.scale * self.categories.mean))
        constant -= float(np.sum(products / self.products.scale * self.products.mean))
        model = LinearModel(tuple(terms), constant, self._caps(), Calibration())
        return model.with_centers(features)

    def _caps(self) -> dict[str, tuple[float, float]]:
        return {
            feature.name: (float(knots[0]), float(knots[-1]))
            for feature, knots in zip(NUMERIC_FEATURES, self.knots, strict=True)
        }

    def _factors(self, columns: Matrix) -> list[list[Factor]]:
        """Return, for each feature, its value and its bend at each inner knot."""
        clipped = _clipped(columns, self.knots)
        return [
            [
                Factor(feature.name, "value", float(values.mean())),
                *(
                    Factor(feature.name, "above", float(np.clip(values - knot, 0, None).mean()), knot=float(knot))
                    for knot in knots[1:-1]
                ),
            ]
            for feature, knots, values in zip(NUMERIC_FEATURES, self.knots, clipped.T, strict=True)
        ]

    def _bends(self, weights: Matrix) -> list[Matrix]:
        """Return, for each feature, the slope after its first knot and the change of slope at each inner one.

        A sum of hats is linear between knots and has the hats' weights as its values at them.
        """
        bends = []
        start = 0
        for knots in self.knots:
            at_knots = weights[start : start + len(knots)]
            start += len(knots)
            slopes = np.diff(at_knots) / np.diff(knots)
            bends.append(np.concatenate([slopes[:1], np.diff(slopes)]))
        return bends

    def _split(self, coefficients: Matrix) -> list[Matrix]:
        first = len(self.hats.mean) + len(self.words)
        return np.split(coefficients, [first, first + len(self.categories.mean)])


def _numbers(features: pl.DataFrame) -> Matrix:
    return features.select(feature.name for feature in NUMERIC_FEATURES).to_numpy()


def _modelled(words: tuple[str, ...]) -> tuple[str, ...]:
    """Of two words one says it all."""
    return words[1:] if len(words) == 2 else words  # noqa: PLR2004


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
    return np.column_stack(
        [
            np.clip(column, column_knots[0], column_knots[-1])
            for column, column_knots in zip(columns.T, knots, strict=True)
        ]
    )


def _by_category(ones: Matrix, hats: Matrix, words: tuple[tuple[str, str], ...]) -> Matrix:
    categories = ones[:, [index for index, (name, _) in enumerate(words) if name == "favourite_category"]]
    return (categories[:, :, None] * hats[:, None, :]).reshape(len(ones), -1)


def _pairs(values: Matrix) -> Matrix:
    left, right = np.triu_indices(values.shape[1], 1)
    return values[:, left] * values[:, right]
