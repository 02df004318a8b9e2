"""The kinds of model that may be deployed, one record each: what an artifact's `kind` means.

A new kind is a module with a class, its record here, and a candidate in `job.training.candidates`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, Self, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from job.models.linear import Calibration


class Explained(NamedTuple):
    """Why customers have their uncalibrated log-odds, a column each.

    Args:
        contributions: what each feature adds (a row per feature, in the order of `explained`).
        margins: the log-odds.
        usual: the same with some features at their usual values (a row per theme).
    """

    contributions: NDArray[np.float64]
    margins: NDArray[np.float64]
    usual: NDArray[np.float64]


class Model(Protocol):
    """A model that may be deployed: what training writes, and scoring runs and explains."""

    @property
    def kind(self) -> str:
        """Its key in `KINDS`."""

    @property
    def explained(self) -> tuple[str, ...]:
        """The features that it uses, in the order of `contributions`."""

    @property
    def calibration(self) -> Calibration:
        """From margins to probabilities."""

    def margins(self, features: pl.DataFrame) -> pl.Series:
        """Return the uncalibrated log-odds of each row (Float64, in the rows' order)."""

    def probabilities(self, features: pl.DataFrame) -> pl.Series:
        """Return the calibrated probability of decline of each row (Float64, in the rows' order)."""

    def contributions(self, features: pl.DataFrame) -> pl.DataFrame:
        """Return what each feature adds to each row's uncalibrated log-odds (one Float64 column per feature)."""

    def explain(self, features: pl.DataFrame, usual: Mapping[str, Mapping[str, float | str]]) -> Explained:
        """Return what explains each row's log-odds. Args: usual: theme -> its features -> their usual values."""

    def calibrated(self, calibration: Calibration) -> Self:
        """Return the same model with another calibration."""

    def to_json(self) -> dict[str, Any]:
        """Return what stands in `model.json`: plain values."""

    def texts(self) -> dict[str, str]:
        """Return its other files, all of them text: name -> content."""


class Kind(NamedTuple):
    """A kind of model."""

    module: str  # where its class is; loaded when a model of this kind is
    class_name: str  # of the class, whose `load(plain, read)` takes `model.json` and a function that reads another file
    title: str  # for people, in Russian

    def load(self, plain: Mapping[str, Any], read: Callable[[str], str]) -> Model:
        """Return the model of an artifact whose checksums have been verified.

        Raises:
            ModuleNotFoundError: a library that this kind needs is not installed.
            ArtifactError, KeyError, TypeError, ValueError: it is not of this version.
        """
        model_class = getattr(import_module(self.module), self.class_name)
        return cast("Model", model_class.load(plain, read))


KINDS: Final = {
    "linear": Kind("job.models.linear", "LinearModel", "логистическая регрессия со сплайнами"),
    "boosted": Kind("job.models.boosted", "BoostedModel", "градиентный бустинг (LightGBM)"),
}
