"""The linear model: a weighted sum of terms, each of one or two simple functions of features, through a sigmoid.

A term is readable by itself («pages per visit above 6»), the whole is one Polars expression, and what each feature adds
to a customer's risk is exact. Scoring with it needs neither scikit-learn nor numpy.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from schemas.vocabulary import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Basis = Literal["value", "above", "equals"]


@dataclass(frozen=True)
class Factor:
    """A simple function of one feature, less its mean in training.

    Args:
        feature: the feature's name.
        basis: `value`: the feature itself; `above`: max(0, feature - knot); `equals`: 1 where it is `word`, else 0.
        center: the mean of the basis in training.
        knot: for `above`, in the feature's unit.
        word: for `equals`.
    """

    feature: str
    basis: Basis
    center: float
    knot: float | None = None
    word: str | None = None

    def expression(self) -> pl.Expr:
        """Return the factor's value (Float64). A word that no model knows counts as the mean: it says nothing."""
        column = pl.col(self.feature)
        if self.basis == "above":
            return (column - self.knot).clip(lower_bound=0.0) - self.center
        if self.basis == "equals":
            known = (column == self.word).cast(pl.Float64) - self.center
            return pl.when(column == UNKNOWN).then(pl.lit(0.0)).otherwise(known)
        return column - self.center

    def __str__(self) -> str:
        if self.basis == "above":
            return f"{self.feature} above {self.knot:g}"
        return f"{self.feature} is {self.word}" if self.basis == "equals" else self.feature


@dataclass(frozen=True)
class Term:
    """weight x (product of one or two factors - center), in log-odds; center is the product's mean in training."""

    factors: tuple[Factor, ...]
    center: float
    weight: float

    def __str__(self) -> str:
        return " x ".join(str(factor) for factor in self.factors)


@dataclass(frozen=True)
class Calibration:
    """Platt's sigmoid: probability = 1 / (1 + exp(-(slope x margin + intercept)))."""

    slope: float = 1.0
    intercept: float = 0.0

    def probability(self, margin: pl.Expr) -> pl.Expr:
        """Return the calibrated probability of a margin in log-odds (Float64, 0..1)."""
        return 1.0 / (1.0 + (-(margin * self.slope + self.intercept)).exp())


@dataclass(frozen=True)
class LinearModel:
    """A fitted linear model. See the module's docstring.

    Args:
        terms: what is added up, never empty.
        intercept: log-odds of the mean customer.
        caps: feature -> lowest and highest value that is believed; beyond them a value counts as the cap.
        calibration: from margins to probabilities.
    """

    terms: tuple[Term, ...]
    intercept: float
    caps: Mapping[str, tuple[float, float]]
    calibration: Calibration

    kind = "linear"

    def margins(self, features: pl.DataFrame) -> pl.Series:
        """Return the uncalibrated log-odds of each row (Float64, in the rows' order)."""
        return self._factor_values(features).select(self._margin.alias("margin")).to_series()

    def probabilities(self, features: pl.DataFrame) -> pl.Series:
        """Return the calibrated probability of decline of each row (Float64, in the rows' order)."""
        probability = self.calibration.probability(self._margin).alias("decline_probability")
        return self._factor_values(features).select(probability).to_series()

    def contributions(self, features: pl.DataFrame) -> pl.DataFrame:
        """Return what each feature adds to each row's calibrated log-odds against the mean customer of training.

        A term of two features is shared equally between them. One Float64 column per feature that has a term; their
        sum is the calibrated margin less `slope x intercept` and the calibration's own intercept.
        """
        together, shares = self._contributions
        return self._factor_values(features).with_columns(together).select(shares)

    def with_centers(self, features: pl.DataFrame) -> LinearModel:
        """Return the same model with each product's mean over the given rows as its center.

        Margins stay as they are; contributions then add up to 0 over these rows.
        """
        means = self._factor_values(features).select(
            self._product(term).mean().alias(str(place)) for place, term in enumerate(self.terms)
        )
        centers = means.row(0)
        terms = tuple(replace(term, center=center) for term, center in zip(self.terms, centers, strict=True))
        moved = math.fsum((new.center - old.center) * old.weight for new, old in zip(terms, self.terms, strict=True))
        return replace(self, terms=terms, intercept=self.intercept + moved)

    def calibrated(self, calibration: Calibration) -> LinearModel:
        """Return the same model with another calibration."""
        return replace(self, calibration=calibration)

    @cached_property
    def _columns(self) -> dict[Factor, str]:
        factors = dict.fromkeys(factor for term in self.terms for factor in term.factors)
        return {factor: f"factor_{place}" for place, factor in enumerate(factors)}

    @cached_property
    def _contributions(self) -> tuple[list[pl.Expr], list[pl.Expr]]:
        """What two features add together, and from these and the factors what each feature adds."""
        shares: dict[str, list[pl.Expr]] = defaultdict(list)
        constants: dict[str, list[float]] = defaultdict(list)
        pairs: dict[tuple[str, str], list[tuple[Factor, Factor, float]]] = defaultdict(list)
        for term in self.terms:
            own = sorted({factor.feature for factor in term.factors})
            weight = term.weight * self.calibration.slope / len(own)
            for feature in own:
                constants[feature].append(-term.center * weight)
            if len(own) == 1:
                shares[own[0]].append(self._product(term) * weight)
            else:
                first, second = sorted(term.factors, key=lambda factor: factor.feature)
                pairs[first.feature, second.feature].append((first, second, weight))
        # What two features add together is computed once and given to both: nearly as cheap as the margin.
        together = {pair: "factors_of_" + "_and_".join(pair) for pair in pairs}
        for pair, name in together.items():
            for feature in pair:
                shares[feature].append(pl.col(name))
        return (
            [self._pair(parts).alias(together[pair]) for pair, parts in pairs.items()],
            [
                add_up([*shares[feature], pl.lit(math.fsum(parts))]).alias(feature)
                for feature, parts in constants.items()
            ],
        )

    @cached_property
    def _factors(self) -> list[pl.Expr]:
        return [factor.expression().alias(name) for factor, name in self._columns.items()]

    def _factor_values(self, features: pl.DataFrame) -> pl.DataFrame:
        """Return each distinct factor's value, computed once (one Float64 column each)."""
        return capped(features, self.caps).select(self._factors)

    def _product(self, term: Term) -> pl.Expr:
        first, *rest = (pl.col(self._columns[factor]) for factor in term.factors)
        return first * rest[0] if rest else first

    def _pair(self, products: Sequence[tuple[Factor, Factor, float]]) -> pl.Expr:
        """Sum weight x first x second, grouped by the first."""
        groups: dict[Factor, list[pl.Expr]] = defaultdict(list)
        for first, second, weight in products:
            groups[first].append(pl.col(self._columns[second]) * weight)
        return add_up([pl.col(self._columns[first]) * add_up(weighted) for first, weighted in groups.items()])

    @cached_property
    def _margin(self) -> pl.Expr:
        """Sum the terms; those of two factors are grouped by their first one, which halves the multiplications."""
        constant = self.intercept - math.fsum(term.center * term.weight for term in self.terms)
        parts = [pl.lit(constant)]
        pairs: dict[Factor, list[pl.Expr]] = defaultdict(list)
        for term in self.terms:
            weighted = pl.col(self._columns[term.factors[-1]]) * term.weight
            if len(term.factors) == 1:
                parts.append(weighted)
            else:
                pairs[term.factors[0]].append(weighted)
        parts += [pl.col(self._columns[first]) * add_up(weighted) for first, weighted in pairs.items()]
        return add_up(parts)

    def to_json(self) -> dict[str, Any]:
        """Return the model as plain values; `from_json` gives it back, equal to the last bit."""
        return {
            "intercept": self.intercept,
            "calibration": {"slope": self.calibration.slope, "intercept": self.calibration.intercept},
            "caps": {feature: list(caps) for feature, caps in self.caps.items()},
            "terms": [
                {
                    "factors": [
                        {key: value for key, value in vars(factor).items() if value is not None}
                        for factor in term.factors
                    ],
                    "center": term.center,
                    "weight": term.weight,
                }
                for term in self.terms
            ],
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> LinearModel:
        """Return the model that `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        terms = tuple(
            Term(
                tuple(Factor(**factor) for factor in term["factors"]),
                float(term["center"]),
                float(term["weight"]),
            )
            for term in plain["terms"]
        )
        caps = {feature: (float(low), float(high)) for feature, (low, high) in plain["caps"].items()}
        return cls(terms, float(plain["intercept"]), caps, Calibration(**plain["calibration"]))


def capped(features: pl.DataFrame, caps: Mapping[str, tuple[float, float]]) -> pl.DataFrame:
    """Return the feature frame with the columns that have caps held within them."""
    return features.with_columns(pl.col(name).clip(low, high) for name, (low, high) in caps.items())


def add_up(parts: Sequence[pl.Expr]) -> pl.Expr:
    """Return the sum of expressions, added in pairs.

    `pl.sum_horizontal` adds in an order that depends on the threads, so that the last bits of a sum would differ
    between runs; one long chain of `+` is nested too deeply for the optimiser.
    """
    while len(parts) > 1:
        pairs = [left + right for left, right in zip(parts[::2], parts[1::2], strict=False)]
        parts = pairs + list(parts[len(pairs) * 2 :])
    return parts[0]
