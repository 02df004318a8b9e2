"""The linear model: a weighted sum of terms, each of one or two simple functions of features, through a sigmoid.

A term is readable by itself («pages per visit above 6»), and what each feature adds to a customer's risk is exact.
Scoring with it needs no scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import polars as pl

from job.models.kinds import Explained, Model
from job.models.quadratic import QuadraticForm
from schemas.features import FEATURE_NAMES, NUMERIC_FEATURES, WORD_FEATURES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

NUMERIC_NAMES: Final = frozenset(feature.name for feature in NUMERIC_FEATURES)

Basis = Literal["value", "above", "equals"]


class Factor(NamedTuple):
    """A simple function of one feature, less its mean in training (`center`).

    `value` is the feature itself; `above` is max(0, feature - knot); `equals` is 1 where it is `word`, else 0. A word
    that no model knows counts as the mean: it says nothing.
    """

    feature: str
    basis: Basis
    center: float
    knot: float | None = None
    word: str | None = None

    def check(self) -> None:
        """Raise ValueError if the feature frame has no such feature or word, or the basis is none of a number."""
        if self.feature in WORD_FEATURES:
            is_known = self.basis == "equals" and self.word in WORD_FEATURES[self.feature].values
        else:
            needed = {"value": True, "above": self.knot is not None}
            is_known = self.feature in FEATURE_NAMES and needed.get(self.basis, False)
        if not is_known:
            raise ValueError(f"no feature, word or basis of this version: {self.feature[:40]!r}, {self.basis[:40]!r}")


class Term(NamedTuple):
    """weight x (product of one or two factors - center), in log-odds; center is the product's mean in training."""

    factors: tuple[Factor, ...]
    center: float
    weight: float

    @property
    def features(self) -> list[str]:
        """The names of its features, one or two."""
        return sorted({factor.feature for factor in self.factors})


class Calibration(NamedTuple):
    """From margins to calibrated log-odds: slope x margin + bend x ln(1 + exp(margin)) + intercept.

    Beta calibration (Kull, Silva Filho and Flach, AISTATS 2017), whose a is the slope here (that of low margins) and b
    slope + bend (that of high ones), for a ln s - b ln(1 - s) + c with s = 1 / (1 + exp(-margin)). Without a bend it is
    Platt's sigmoid.
    """

    slope: float = 1.0
    intercept: float = 0.0
    bend: float = 0.0

    def probability(self, margin: pl.Expr) -> pl.Expr:
        """Return the calibrated probability of a margin in log-odds (Float64, 0..1)."""
        logit = margin * self.slope + self.intercept
        if self.bend:
            softplus = (-margin.abs()).exp().log1p() + margin.clip(lower_bound=0.0)
            logit += softplus * self.bend
        return 1.0 / (1.0 + (-logit).exp())

    def probabilities(self, margins: pl.Series) -> pl.Series:
        """Return `decline_probability` of margins (Float64)."""
        probability = self.probability(pl.col(margins.name)).alias("decline_probability")
        return margins.to_frame().select(probability).to_series()


@dataclass(frozen=True)
class LinearModel(Model):
    """A fitted linear model; see the module's docstring. `intercept` is in log-odds, of the mean customer.

    The contributions are against the mean customer: their sum is the margin less `intercept`, a term of two features is
    shared equally between them.

    `caps` has the lowest and highest value that is believed of a feature; beyond them a value counts as the cap.
    """

    terms: tuple[Term, ...]
    intercept: float
    caps: Mapping[str, tuple[float, float]]
    calibration: Calibration

    kind = "linear"

    @cached_property
    def explained(self) -> tuple[str, ...]:
        """The features that have a term."""
        return tuple(dict.fromkeys(name for term in self.terms for name in term.features))

    def margins(self, features: pl.DataFrame) -> pl.Series:
        """Return the uncalibrated log-odds of each row."""
        return pl.Series("margin", self._form.margins(features))

    def explain(self, features: pl.DataFrame, usual: Mapping[str, Mapping[str, float | str]]) -> Explained:
        """Return what explains each row's log-odds."""
        changes = [self._form.change(values) for values in usual.values()]
        margins, contributions, falls = self._form.explain(features, changes)
        return Explained(contributions, margins, margins - falls)

    def calibrated(self, calibration: Calibration) -> LinearModel:
        """Return the same model with another calibration."""
        return replace(self, calibration=calibration)

    @cached_property
    def _form(self) -> QuadraticForm:
        return QuadraticForm(self)

    def to_json(self) -> dict[str, Any]:
        """Return what stands in `model.json`."""
        return {
            "intercept": self.intercept,
            "calibration": self.calibration._asdict(),
            "caps": {feature: list(caps) for feature, caps in self.caps.items()},
            "terms": [
                {
                    "factors": [
                        {key: value for key, value in factor._asdict().items() if value is not None}
                        for factor in term.factors
                    ],
                    "center": term.center,
                    "weight": term.weight,
                }
                for term in self.terms
            ],
        }

    @classmethod
    def load(cls, plain: Mapping[str, Any], _read: Callable[[str], str]) -> LinearModel:
        """Return the model; see `Model.load`."""
        terms = tuple(
            Term(tuple(Factor(**factor) for factor in term["factors"]), float(term["center"]), float(term["weight"]))
            for term in plain["terms"]
        )
        for factor in {factor for term in terms for factor in term.factors}:
            factor.check()
        caps = read_caps(plain["caps"])
        return cls(terms, float(plain["intercept"]), caps, Calibration(**plain["calibration"]))


def read_caps(plain: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, float]]:
    """Return the caps of an artifact: feature -> lowest and highest value. Raises ValueError for what is none."""
    caps = {feature: (float(low), float(high)) for feature, (low, high) in plain.items()}
    wrong = [name for name, (low, high) in caps.items() if name not in NUMERIC_NAMES or not low <= high]
    if wrong:
        raise ValueError(f"no caps of a number of this version: {wrong[0][:40]!r}")
    return caps


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
