"""Probabilities that can be acted on: Platt's sigmoid, and how far it is from the truth.

Isotonic regression is not used: with about a thousand rows its steps fit noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from sklearn.linear_model import LogisticRegression

from job.models.linear import Calibration

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS: Final = 10
RESAMPLES: Final = 1000


@dataclass(frozen=True)
class CalibrationQuality:
    """How good probabilities are.

    Args:
        brier: mean squared error.
        expected_error: expected calibration error over ten bins of equal size.
        expected_error_low: lower end of its 95 % bootstrap interval.
        expected_error_high: upper end.
        bins: per bin the mean probability, the observed share and the rows.
    """

    brier: float
    expected_error: float
    expected_error_low: float
    expected_error_high: float
    bins: tuple[tuple[float, float, int], ...]


def fit_calibration(margins: NDArray[np.float64], labels: NDArray[np.int8]) -> Calibration:
    """Return the sigmoid that fits out-of-fold margins best (Platt 1999, without his smoothing of the labels).

    The slope is never negative: margins that mislead get the slope 0, and everybody the share of the labels.
    """
    center, scale = float(margins.mean()), float(margins.std()) or 1.0
    fitted = LogisticRegression(C=np.inf).fit(((margins - center) / scale)[:, None], labels)
    slope = float(fitted.coef_[0, 0]) / scale
    if slope <= 0:
        share = float(labels.mean())
        return Calibration(0.0, float(np.log(share / (1 - share))))
    return Calibration(slope, float(fitted.intercept_[0]) - slope * center)


def probabilities(margins: NDArray[np.float64], calibration: Calibration) -> NDArray[np.float64]:
    """Return the calibrated probability of each margin."""
    return 1 / (1 + np.exp(-(margins * calibration.slope + calibration.intercept)))


def assess(probability: NDArray[np.float64], labels: NDArray[np.int8], *, seed: int) -> CalibrationQuality:
    """Measure how good out-of-fold probabilities are.

    Args:
        probability: of each row, by a model that did not see it.
        labels: 1 for a customer who declined.
        seed: of the bootstrap.
    """
    random = np.random.default_rng(seed)
    errors = [
        _expected_error(probability[rows], labels[rows])
        for rows in (random.integers(0, len(labels), len(labels)) for _ in range(RESAMPLES))
    ]
    low, high = np.quantile(errors, [0.025, 0.975])
    return CalibrationQuality(
        brier=float(np.mean((probability - labels) ** 2)),
        expected_error=_expected_error(probability, labels),
        expected_error_low=float(low),
        expected_error_high=float(high),
        bins=tuple(
            (float(probability[rows].mean()), float(labels[rows].mean()), len(rows)) for rows in _bins(probability)
        ),
    )


def _bins(probability: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """Return the positions of the rows of each of ten bins of equal size, by probability."""
    parts = np.array_split(np.argsort(probability, kind="stable"), BINS)
    return [part for part in parts if len(part)]


def _expected_error(probability: NDArray[np.float64], labels: NDArray[np.int8]) -> float:
    """Return the mean over the rows of |mean probability - observed share| of their bin (Naeini et al. 2015)."""
    gaps = [abs(probability[rows].mean() - labels[rows].mean()) * len(rows) for rows in _bins(probability)]
    return float(sum(gaps) / len(labels))
