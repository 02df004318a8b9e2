"""The models that compete, each with its search space; all are tuned and measured in the same way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import lightgbm
import numpy as np
from optuna.distributions import CategoricalDistribution as Choice
from optuna.distributions import FloatDistribution as Real
from optuna.distributions import IntDistribution as Whole
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from job.models.boosted import BoostedModel, matrix
from job.models.linear import Calibration
from job.training.splines import fit_splines
from schemas.features import NUMERIC_FEATURES

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray
    from optuna.distributions import BaseDistribution

    from job.models.kinds import Model

Settings = dict[str, Any]
Margins = Callable[["pl.DataFrame"], "NDArray[np.float64]"]

REFERENCE_ROWS: Final = 5_000  # the time of some grows with the square of the rows, and more
CAP_TAIL: Final = 0.005  # share of the rows beyond each cap, for the models without knots


@dataclass(frozen=True)
class Fitted:
    """A fitted candidate."""

    margins: Margins  # feature frame -> log-odds (or any score that rises with the risk), one per row
    model: Model | None  # what can be deployed, uncalibrated; None for a reference


Fit = Callable[["pl.DataFrame", "NDArray[np.int8]", Settings, int], Fitted]
"""Features, labels, settings and seed -> what is fitted."""


@dataclass(frozen=True)
class Candidate:
    """A kind of model."""

    name: str  # in tables and artifacts
    title: str
    space: Mapping[str, BaseDistribution]  # setting -> the values that are tried
    first: Settings  # settings that are tried first
    fit: Fit
    # training rows of a split that are used at most; beyond, a sample is drawn. None uses all.
    most_rows: int | None = None


def learn_caps(features: pl.DataFrame) -> dict[str, tuple[float, float]]:
    """Return for each numeric feature the quantiles 0.5 % and 99.5 %: beyond them a value counts as the cap.

    One customer's revenue of 106,862 where the next has 7,799 then weighs no more than 7,300.
    """
    numbers = features.select(feature.name for feature in NUMERIC_FEATURES)
    low, high = (numbers.quantile(share, "linear").row(0) for share in (CAP_TAIL, 1 - CAP_TAIL))
    return dict(zip(numbers.columns, zip(low, high, strict=True), strict=True))


def _fit_boosted(features: pl.DataFrame, labels: NDArray[np.int8], settings: Settings, seed: int) -> Fitted:
    """Fit LightGBM with extremely randomised splits, which suit a thousand rows better than the best splits do."""
    caps = learn_caps(features)
    parameters = {
        "objective": "binary",
        "extra_trees": True,
        "bagging_freq": 1,
        "max_bin": 63,
        "min_data_in_bin": 1,
        "num_threads": 1,
        "force_col_wise": True,
        "deterministic": True,
        "verbosity": -1,
        "seed": seed % 2**31,
        **{name: value for name, value in settings.items() if name != "rounds"},
    }
    data = lightgbm.Dataset(matrix(features, caps), labels, params=parameters)
    booster = lightgbm.train(parameters, data, num_boost_round=settings["rounds"])
    model = BoostedModel(booster, caps, Calibration())
    return Fitted(lambda rows: model.margins(rows).to_numpy(), model)


Searched = Mapping[str, tuple[Any, "BaseDistribution"]]
"""Setting -> the value that is tried first, and the values that are tried."""


def _candidate(name: str, title: str, settings: Searched, fit: Fit, most_rows: int | None = None) -> Candidate:
    space = {setting: tried for setting, (_, tried) in settings.items()}
    first = {setting: value for setting, (value, _) in settings.items()}
    return Candidate(name, title, space, first, fit, most_rows)


def _reference(name: str, title: str, settings: Searched, make: Callable[[Settings, int], Any]) -> Candidate:
    """Return a candidate that is a scikit-learn classifier, made of settings and seed, on the boosted model's matrix.

    It is never deployed: the artifacts of some would hold customers' rows.
    """

    def fit(features: pl.DataFrame, labels: NDArray[np.int8], settings: Settings, seed: int) -> Fitted:
        caps = learn_caps(features)
        estimator = make(settings, seed % 2**31).fit(matrix(features, caps), labels)

        def margins(rows: pl.DataFrame) -> NDArray[np.float64]:
            columns = matrix(rows, caps)
            if hasattr(estimator, "decision_function"):
                return np.asarray(estimator.decision_function(columns))
            return np.asarray(estimator.predict_proba(columns))[:, 1]

        return Fitted(margins, None)

    return _candidate(name, title, settings, fit, REFERENCE_ROWS)


CHAMPION: Final = _candidate(
    "linear",
    "logistic regression with splines",
    {
        "knots": (3, Choice((3, 4))),
        "tail": (0.03, Choice((0.01, 0.03, 0.06))),
        "single_penalty": (20.0, Real(2, 200, log=True)),
        "category_penalty": (75.0, Real(15, 400, log=True)),
        "product_penalty": (130.0, Real(30, 600, log=True)),
    },
    lambda features, labels, settings, _: Fitted(*fit_splines(features, labels, **settings)),
)
# The challenger: deployed if it is better than the champion.
BOOSTED: Final = _candidate(
    "boosted",
    "LightGBM, extremely randomised",
    {
        "num_leaves": (31, Whole(15, 63)),
        "min_data_in_leaf": (5, Whole(2, 20)),
        "feature_fraction_bynode": (0.5, Real(0.25, 1.0)),
        "lambda_l2": (1.0, Real(0.1, 10, log=True)),
        "learning_rate": (0.04, Real(0.025, 0.06, log=True)),
        "bagging_fraction": (0.8, Real(0.6, 1.0)),
        "rounds": (200, Whole(120, 260, step=20)),
    },
    _fit_boosted,
)
PLAIN: Final = _reference(
    "plain_logistic",
    "logistic regression, plain",
    {"C": (0.1, Real(1e-4, 10, log=True))},
    lambda tuned, _: make_pipeline(StandardScaler(), LogisticRegression(**tuned, max_iter=1000)),
)
_FOREST_SPACE: Final = {
    "min_samples_leaf": (2, Whole(1, 10)),
    "max_features": (0.3, Real(0.1, 0.6)),
    "max_depth": (16, Whole(6, 24)),
}
# They say whether the two above leave much behind.
REFERENCES: Final = (
    PLAIN,
    _reference(
        "tree",
        "decision tree",
        {"max_depth": (5, Whole(2, 10)), "min_samples_leaf": (20, Whole(2, 60))},
        lambda tuned, seed: DecisionTreeClassifier(**tuned, random_state=seed),
    ),
    _reference(
        "neighbours",
        "k-nearest neighbours",
        {"n_neighbors": (20, Whole(3, 60)), "weights": ("distance", Choice(("uniform", "distance")))},
        lambda tuned, _: make_pipeline(StandardScaler(), KNeighborsClassifier(**tuned)),
    ),
    _reference(
        "svc",
        "SVC, radial",
        {"C": (0.5, Real(0.05, 20, log=True)), "gamma": (0.05, Real(0.005, 0.3, log=True))},
        lambda tuned, seed: make_pipeline(StandardScaler(), SVC(**tuned, random_state=seed)),
    ),
    _reference(
        "forest",
        "random forest",
        _FOREST_SPACE,
        lambda tuned, seed: RandomForestClassifier(100, **tuned, random_state=seed),
    ),
    _reference(
        "extra_trees",
        "extra trees",
        {**_FOREST_SPACE, "max_features": (0.4, Real(0.1, 0.6))},
        lambda tuned, seed: ExtraTreesClassifier(100, **tuned, random_state=seed),
    ),
)
