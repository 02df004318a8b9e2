"""What a customer's risk would be if some of its features were usual: what shows that a reason is material."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from job.models.linear import Factor, LinearModel, add_up, capped, without_word, word_place, word_weights
from schemas.features import FEATURE_DTYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.models.kinds import Model

Themes = dict[str, tuple[str, ...]]  # theme -> its features


class WordFactor(NamedTuple):
    """What the words of a feature weigh, alone or times another factor; no weights where it only is a key."""

    feature: str
    partner: Factor | None
    weights: tuple[float, ...] = ()

    def expression(self) -> pl.Expr:
        """Return the value (Float64)."""
        return pl.lit(pl.Series(self.weights)).gather(word_place(self.feature))


@dataclass(frozen=True)
class UsualRisk:
    """Finds what the probability would be with the features of each theme at their usual values."""

    model: Model
    themes: Themes
    usual: Mapping[str, float | str]

    def probabilities(self, features: pl.DataFrame, contributions: pl.DataFrame) -> pl.DataFrame:
        """Return the calibrated probability of each row with each theme's features at their usual values.

        One Float64 column per theme, in the rows' order. Args: contributions: of the model, of the same rows.
        """
        if isinstance(self.model, LinearModel):
            factors, falls = self._linear
            values = capped(features, self.model.caps).select(factors)
            margin = self.model.margins_of(contributions)
            calibration = self.model.calibration
            return (
                values.with_columns(margin)
                .select((pl.col(margin.name) - fall).alias(theme) for theme, fall in falls.items())
                .select(calibration.probability(pl.col(theme)).alias(theme) for theme in falls)
            )
        return pl.DataFrame(
            self.model.probabilities(
                features.with_columns(pl.lit(self.usual[name], FEATURE_DTYPES[name]).alias(name) for name in names)
            ).alias(theme)
            for theme, names in self.themes.items()
        )

    @cached_property
    def _linear(self) -> tuple[list[pl.Expr], dict[str, pl.Expr]]:
        """Return the factors of a linear model's terms, and by how much the log-odds fall for each theme.

        Log-odds are a sum of factors and of products of two, so that all themes together cost about as much as the
        model. With A, B factors and a the usual value of A, a theme's part is the sum of (A - a) x (weight + sum of
        weight x B) over its factors A and the factors B of others, and of weight x (A x B - a x b) within it.
        """
        assert isinstance(self.model, LinearModel)  # noqa: S101 - as its caller saw
        alone, products = _weights(self.model)
        keys = dict.fromkeys((*alone, *(factor for pair in products for factor in pair)))
        names = {factor: f"factor_{number}" for number, factor in enumerate(keys)}
        factors = [factor.expression().alias(name) for factor, name in names.items()]
        schema = {name: FEATURE_DTYPES[name] for name in self.usual}
        customer = capped(pl.DataFrame([self.usual], schema=schema), self.model.caps).select(factors)
        usual = {factor: float(customer[name].item()) for factor, name in names.items()}
        value = {factor: pl.col(name) for factor, name in names.items()}
        falls = {}
        for theme, members in self.themes.items():
            inner: dict[Factor | WordFactor, list[pl.Expr]] = defaultdict(list)
            parts: list[pl.Expr] = []
            for factor, weight in alone.items():
                if factor.feature in members:
                    inner[factor].append(pl.lit(weight))
            for (first, second), weight in products.items():
                are_members = (first.feature in members, second.feature in members)
                if are_members == (True, True):
                    parts.append((value[first] * value[second] - usual[first] * usual[second]) * weight)
                elif are_members[0]:
                    inner[first].append(value[second] * weight)
                elif are_members[1]:
                    inner[second].append(value[first] * weight)
            parts += [(value[factor] - usual[factor]) * add_up(weighted) for factor, weighted in inner.items()]
            falls[theme] = add_up(parts) if parts else pl.lit(0.0)
        return factors, falls


_Weights = tuple[dict[Factor | WordFactor, float], dict[tuple[Factor | WordFactor, Factor | WordFactor], float]]


def _weights(model: LinearModel) -> _Weights:
    """Return what each factor and each product of two weighs in the uncalibrated log-odds."""
    alone: dict[Factor | WordFactor, float] = defaultdict(float)
    products: dict[tuple[Factor | WordFactor, Factor | WordFactor], float] = defaultdict(float)
    words: dict[tuple[str, Factor | None], dict[Factor, float]] = defaultdict(lambda: defaultdict(float))
    for term in model.terms:
        weight = term.weight
        partner, word = without_word(term)
        if word is not None:
            words[word.feature, partner][word] += weight
        elif len(term.factors) == 1:
            alone[term.factors[0]] += weight
        else:
            first, second = term.factors
            products[first, second] += weight
    for (feature, partner), weights in words.items():
        factor = WordFactor(feature, partner, tuple(word_weights(feature, weights)))
        if partner is None:
            alone[factor] += 1.0
        else:
            products[factor, partner] += 1.0
    return alone, products
