"""Probabilities that can be acted on, how far they are from the truth, and how well they rank.

Platt's sigmoid (Probabilistic Outputs for Support Vector Machines, 1999) or beta calibration (Kull, Silva Filho and
Flach, AISTATS 2017); no isotonic regression: with about a thousand rows its steps fit noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.metrics import average_precision_score

from job.accuracy import brier_score, calibration_bins, calibration_error
from job.models.linear import Calibration
from job.statistics import wilson_interval

if TYPE_CHECKING:
    from job.training.folds import Labels, Numbers


RESAMPLES: Final = 1000
CUTS: Final = 100
TOP: Final = 0.1


@dataclass(frozen=True)
class CalibrationQuality:
    """How good probabilities are."""

    brier: float
    expected_error: float  # expected calibration error over ten bins of equal size
    expected_error_low: float  # lower end of its 95 % bootstrap interval
    expected_error_high: float  # upper end
    bins: tuple[tuple[float, float, int], ...]  # per bin the mean probability, the observed share and the rows


def choose_calibration(margins: Sequence[Numbers], labels: Sequence[Labels]) -> Calibration:
    """Return Platt's sigmoid or beta calibration, fitted on all margins.

    The one that foretells each fold better from the others, by log-loss; Platt's, which has one number less, of equals.

    `margins`: out of fold, of the rows of each fold; at least two folds.
    """
    losses = dict.fromkeys((False, True), 0.0)
    for fold in range(len(margins)):
        others = [other for other in range(len(margins)) if other != fold]
        known = np.concatenate([margins[other] for other in others])
        truth = np.concatenate([labels[other] for other in others])
        for is_bent in losses:
            fitted = fit_calibration(known, truth, is_bent=is_bent)
            losses[is_bent] += log_loss(probabilities(margins[fold], fitted), labels[fold]) * len(labels[fold])
    is_bent = losses[True] < losses[False]
    return fit_calibration(np.concatenate(margins), np.concatenate(labels), is_bent=is_bent)


def fit_calibration(margins: Numbers, labels: Labels, *, is_bent: bool) -> Calibration:
    """Return the calibration with the least log-loss on out-of-fold margins.

    No slope is negative: margins that mislead get the slope 0, and everybody the share of the labels.

    `is_bent`: beta calibration (Kull and others 2017); else Platt's sigmoid (1999, without his smoothing of labels).
    """
    # ln s and -ln(1 - s) of Kull's formula; their sum is the margin.
    low, high = -np.logaddexp(0, -margins), np.logaddexp(0, margins)
    columns = np.column_stack([low, high] if is_bent else [margins])
    scale = columns.std(axis=0)
    columns /= np.where(scale > 0, scale, 1.0)
    signs = 1.0 - 2.0 * labels

    def loss(weights: Numbers) -> tuple[float, Numbers]:
        wrong = signs * (columns @ weights[1:] + weights[0])
        pull = signs * expit(wrong) / len(labels)
        return float(np.logaddexp(0, wrong).mean()), np.concatenate([[pull.sum()], columns.T @ pull])

    share = float(labels.mean())
    first = np.array([np.log(share / (1 - share)), *np.zeros(columns.shape[1])])
    bounds = [(None, None), *[(0.0, None)] * columns.shape[1]]
    result = minimize(loss, first, jac=True, bounds=bounds, method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-9})
    intercept, *slopes = (float(value) for value in result.x / np.array([1.0, *np.where(scale > 0, scale, 1.0)]))
    return Calibration(slopes[0], intercept, slopes[-1] - slopes[0])


def probabilities(margins: Numbers, calibration: Calibration) -> Numbers:
    """Return the calibrated probability of each margin."""
    bend = calibration.bend * np.logaddexp(0, margins)
    probability: Numbers = expit(margins * calibration.slope + bend + calibration.intercept)
    return probability


def log_loss(probability: Numbers, labels: Labels) -> float:
    """Return the mean log-loss, in nats. Who is told 0 or 1 and is not so costs some 36."""
    given = np.clip(np.where(labels == 1, probability, 1 - probability), np.finfo(float).eps, None)
    return float(-np.log(given).mean())


def assess(probability: Numbers, labels: Labels, *, seed: int) -> CalibrationQuality:
    """Measure how good out-of-fold probabilities are."""
    random = np.random.default_rng(seed)
    foretold, declined = pl.Series(probability), pl.Series(labels)
    bins = calibration_bins(foretold, declined)
    samples = (random.integers(0, len(labels), len(labels)) for _ in range(RESAMPLES))
    errors = [calibration_error(calibration_bins(foretold[rows], declined[rows])) for rows in samples]
    low, high = np.quantile(errors, [0.025, 0.975])
    return CalibrationQuality(
        brier=brier_score(foretold, declined),
        expected_error=calibration_error(bins),
        expected_error_low=float(low),
        expected_error_high=float(high),
        bins=tuple(bins.iter_rows()),
    )


def rank_customers(probability: Numbers, labels: Labels) -> dict[str, Any]:
    """Return how many of the first customers by risk declined: every point of the ROC and precision-recall curves.

    `cuts`: about a hundred pairs, from (0, 0) to all: customers with the highest probability, and how many of them
    declined; customers with equal probabilities are cut together. `average_precision`: of all cuts. `top_tenth`: of
    the riskiest tenth the customers, the declined, their share and its Wilson interval.
    """
    order = np.argsort(-probability, kind="stable")
    declined = np.concatenate([[0], np.cumsum(labels[order])])
    whole = np.flatnonzero(np.diff(probability[order], append=-1.0)) + 1  # where the next customer has less
    wanted = np.searchsorted(whole, np.linspace(0, 1, CUTS + 1)[1:] * len(labels))
    cuts = [0, *np.unique(whole[np.minimum(wanted, len(whole) - 1)]).tolist()]
    top = int(whole[np.searchsorted(whole, TOP * len(labels))])
    interval = wilson_interval(int(declined[top]), top)
    return {
        "cuts": [[cut, int(declined[cut])] for cut in cuts],
        "average_precision": float(average_precision_score(labels, probability)),
        "top_tenth": {
            "customers": top,
            "declined": int(declined[top]),
            "precision": float(declined[top] / top),
            "low": interval.low,
            "high": interval.high,
        },
    }
