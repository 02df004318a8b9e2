"""How the model of a run did, now that labels exist."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from job.accuracy import brier_score, calibration_bins, calibration_error, delong
from job.statistics import wilson_interval


@dataclass(frozen=True)
class Decile:
    """A tenth of the run's customers by risk, 1 the highest: what the model said and what came."""

    decile: int
    customers: int
    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True)
class Quality:
    """How the model did, on some of the customers: those found, with a label."""

    customers: int
    declined: int
    predicted: float | None = None  # mean probability
    observed: float | None = None  # rate of decline
    roc_auc: float | None = None  # None if fewer than two customers declined, or did not
    roc_auc_low: float | None = None  # DeLong's 95 % interval
    roc_auc_high: float | None = None
    brier: float | None = None  # mean squared error
    calibration_error: float | None = None  # expected, over ten bins of equal size
    deciles: tuple[Decile, ...] = ()  # by the run's `risk_decile`, those with customers


def assess_model(customers: pl.DataFrame) -> Quality:
    """Compare the run's probabilities with the labels of the customers who have one."""
    labelled = customers.filter(pl.col("declined").is_not_null())
    if labelled.is_empty():
        return Quality(0, 0)
    probability, declined = labelled["decline_probability"], labelled["declined"]
    auc = delong(probability, declined)
    deciles = (
        labelled.group_by("risk_decile")
        .agg(pl.len(), pl.col("decline_probability").mean(), pl.col("declined").sum())
        .sort("risk_decile")
    )
    return Quality(
        customers=labelled.height,
        declined=int(declined.sum()),
        predicted=mean_of(probability),
        observed=int(declined.sum()) / labelled.height,
        roc_auc=None if auc is None else auc.auc,
        roc_auc_low=None if auc is None else auc.low,
        roc_auc_high=None if auc is None else auc.high,
        brier=brier_score(probability, declined),
        calibration_error=calibration_error(calibration_bins(probability, declined)),
        deciles=tuple(
            Decile(decile, count, predicted, events / count, ends.low, ends.high)
            for decile, count, predicted, events in deciles.iter_rows()
            for ends in [wilson_interval(events, count)]
        ),
    )


def mean_of(values: pl.Series) -> float | None:
    """Return the mean of values (Float64); None without any."""
    mean: float | None = values.to_frame().select(pl.all().mean()).item()
    return mean
