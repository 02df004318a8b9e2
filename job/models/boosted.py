"""The boosted model: LightGBM's own text format, read and run by LightGBM."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from job.errors import ArtifactError
from job.models.forest import Forest
from job.models.kinds import Explained, Model
from job.models.linear import Calibration, add_up, capped, read_caps
from schemas.features import CATEGORICAL_FEATURES, FEATURE_DTYPES, FEATURE_NAMES, NUMERIC_FEATURES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import lightgbm
    from numpy.typing import NDArray

FOREST_ROWS: Final = 10_000  # LightGBM runs fewer in less time than its trees are taken apart; the results are equal


def matrix_columns() -> list[pl.Expr]:
    """Return the columns of the matrix that the trees see: the numbers, then one column of 0 and 1 per word.

    LightGBM ignores column names: this order is the only one that models are trained and run with. An unknown word is
    0 in all of its feature's columns.
    """
    words = [
        (pl.col(feature.name) == word).cast(pl.Float64).alias(f"{feature.name}_{word}")
        for feature in CATEGORICAL_FEATURES
        for word in feature.values
    ]
    return [*(pl.col(feature.name) for feature in NUMERIC_FEATURES), *words]


def matrix_names() -> list[str]:
    """Return the names of these columns."""
    return [column.meta.output_name() for column in matrix_columns()]


def matrix(features: pl.DataFrame, caps: Mapping[str, tuple[float, float]]) -> NDArray[np.float64]:
    """Return the matrix that the trees see (rows as given, columns as `matrix_columns`, C order)."""
    return capped(features, caps).select(matrix_columns()).to_numpy(order="c")


@dataclass(frozen=True)
class BoostedModel(Model):
    """A fitted LightGBM model."""

    booster: lightgbm.Booster
    caps: Mapping[str, tuple[float, float]]  # as for the linear model; both kinds see the same values
    calibration: Calibration  # from LightGBM's raw scores to probabilities

    kind = "boosted"
    explained = FEATURE_NAMES

    def margins(self, features: pl.DataFrame) -> pl.Series:
        """Return LightGBM's raw scores."""
        if features.is_empty():
            return pl.Series("margin", [], dtype=pl.Float64)
        rows = matrix(features, self.caps)
        if features.height >= FOREST_ROWS and self._forest is not None:
            return pl.Series("margin", self._forest.margins(rows))
        return pl.Series("margin", self.booster.predict(rows, raw_score=True))

    def explain(self, features: pl.DataFrame, usual: Mapping[str, Mapping[str, float | str]]) -> Explained:
        """Return what explains each row's log-odds, by TreeSHAP."""
        changed = (
            features.with_columns(pl.lit(value, FEATURE_DTYPES[name]).alias(name) for name, value in values.items())
            for values in usual.values()
        )
        lowered = [self.margins(rows).to_numpy() for rows in changed]
        return Explained(
            self._contributions(features).to_numpy().T,
            self.margins(features).to_numpy(),
            np.array(lowered).reshape(len(lowered), features.height),
        )

    def _contributions(self, features: pl.DataFrame) -> pl.DataFrame:
        """Return what each feature adds to each row's uncalibrated log-odds (TreeSHAP, one column each)."""
        rows = matrix(features, self.caps)
        if self._forest is not None and self._forest.is_explained:
            values = self._forest.contributions(rows)
        else:
            values = np.asarray(self.booster.predict(rows, pred_contrib=True))[:, :-1]
        columns = pl.DataFrame(values, schema=matrix_names())
        words = [
            add_up([pl.col(f"{feature.name}_{word}") for word in feature.values]).alias(feature.name)
            for feature in CATEGORICAL_FEATURES
        ]
        return columns.select(*(feature.name for feature in NUMERIC_FEATURES), *words)

    @cached_property
    def _forest(self) -> Forest | None:
        return Forest.of(self.booster)

    def calibrated(self, calibration: Calibration) -> BoostedModel:
        """Return the same model with another calibration."""
        return replace(self, calibration=calibration)

    def to_json(self) -> dict[str, Any]:
        """Return what LightGBM's own text does not hold."""
        return {
            "calibration": self.calibration._asdict(),
            "caps": {feature: list(caps) for feature, caps in self.caps.items()},
            "columns": matrix_names(),
        }

    def texts(self) -> dict[str, str]:
        """Return LightGBM's own text."""
        return {"model.txt": str(self.booster.model_to_string())}

    @classmethod
    def load(cls, plain: Mapping[str, Any], read: Callable[[str], str]) -> BoostedModel:
        """Return the model; see `Model.load`. LightGBM needs a system library, too: ArtifactError without."""
        try:
            import lightgbm  # noqa: PLC0415 - heavy, and only this kind of model needs it
        except OSError as error:
            needed = "on Debian and Ubuntu: apt-get install libgomp1"
            raise ArtifactError(f"LightGBM needs a system library ({needed}): {error}") from error
        if plain["columns"] != matrix_names():
            raise ArtifactError(f"model.json: the boosted model was trained on other columns: {plain['columns']}")
        booster = lightgbm.Booster(model_str=read("model.txt"))
        return cls(booster, read_caps(plain["caps"]), Calibration(**plain["calibration"]))
