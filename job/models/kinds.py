"""The kinds of model that may be deployed, one record each: what an artifact's `kind` means.

A new kind is a module with a class, its record here, and a candidate in `job.training.candidates`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from job.models.linear import Calibration


class Explained(NamedTuple):
    """Why customers have their uncalibrated log-odds, a column each."""

    contributions: NDArray[np.float64]  # what each feature adds (a row per feature, in the order of `explained`)
    margins: NDArray[np.float64]  # the log-odds
    usual: NDArray[np.float64]  # the same with some features at their usual values (a row per theme)


class Model(ABC):
    """A model that may be deployed: what training writes, and scoring runs and explains. Each kind is a frozen record.

    Frames of features have a row per customer; what is returned is in their order, and Float64.
    """

    calibration: Calibration  # from margins to probabilities

    @property
    @abstractmethod
    def kind(self) -> str:
        """Its key in `KINDS`."""

    @property
    @abstractmethod
    def explained(self) -> tuple[str, ...]:
        """The features that it uses, in the order of `contributions`."""

    @abstractmethod
    def margins(self, features: pl.DataFrame) -> pl.Series:
        """Return the uncalibrated log-odds of each row."""

    @abstractmethod
    def explain(self, features: pl.DataFrame, usual: Mapping[str, Mapping[str, float | str]]) -> Explained:
        """Return what explains each row's log-odds. Args: usual: theme -> its features -> their usual values."""

    @abstractmethod
    def calibrated(self, calibration: Calibration) -> Self:
        """Return the same model with another calibration."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return what stands in `model.json`: plain values."""

    @classmethod
    @abstractmethod
    def load(cls, plain: Mapping[str, Any], read: Callable[[str], str]) -> Self:
        """Return the model of `to_json` and `texts` (which `read` gives), equal to the last bit; both are verified.

        Raises ModuleNotFoundError where a library that this kind needs is not installed; ArtifactError, KeyError,
        TypeError or ValueError where it is not of this version.
        """

    def texts(self) -> dict[str, str]:
        """Return its other files, all of them text: name -> content."""
        return {}

    def probabilities(self, features: pl.DataFrame) -> pl.Series:
        """Return the calibrated probability of decline of each row."""
        return self.calibration.probabilities(self.margins(features))

    def contributions(self, features: pl.DataFrame) -> pl.DataFrame:
        """Return what each feature adds to each row's uncalibrated log-odds (one column per feature)."""
        return pl.DataFrame(dict(zip(self.explained, self.explain(features, {}).contributions, strict=True)))


class Kind(NamedTuple):
    """A kind of model."""

    module: str  # where its class is; loaded when a model of this kind is
    class_name: str  # a `Model`
    title: str  # for people, in Russian

    def load(self, plain: Mapping[str, Any], read: Callable[[str], str]) -> Model:
        """Return a model of this kind; see `Model.load`."""
        kind: type[Model] = getattr(import_module(self.module), self.class_name)
        return kind.load(plain, read)


KINDS: Final = {
    "linear": Kind("job.models.linear", "LinearModel", "логистическая регрессия со сплайнами"),
    "boosted": Kind("job.models.boosted", "BoostedModel", "градиентный бустинг (LightGBM)"),
}
