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
    """How the model did, on some of the customers.

    Args:
        customers: found, with a label.
        declined: of them.
        predicted: mean probability.
        observed: rate of decline.
        roc_auc: None if fewer than two customers declined, or did not.
        roc_auc_low: lower end of DeLong's 95 % interval.
        roc_auc_high: upper end.
        brier: mean squared error; None without customers.
        calibration_error: expected calibration error over ten bins of equal size.
        deciles: by the run's `risk_decile`, those with customers.
    """

    customers: int
    declined: int
    predicted: float | None
    observed: float | None
    roc_auc: float | None
    roc_auc_low: float | None
    roc_auc_high: float | None
    brier: float | None
    calibration_error: float | None
    deciles: tuple[Decile, ...]


@dataclass(frozen=True)
class Moments:
    """A sample's size, mean and variance (n - 1 in the denominator; NaN for one value)."""

    size: int
    mean: float
    variance: float

    @property
    def of_mean(self) -> float:
        """The variance of the mean."""
        return self.variance / self.size


def assess_model(customers: pl.DataFrame) -> Quality:
    """Compare the run's probabilities with the labels of the customers who have one."""
    labelled = customers.filter(pl.col("declined").is_not_null())
    if labelled.is_empty():
        return Quality(0, 0, None, None, None, None, None, None, None, ())
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
        predicted=moments(probability).mean,
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


def moments(values: pl.Series) -> Moments:
    """Return the size, mean and variance of values (Float64, no null; 1 or more)."""
    row = values.to_frame("value").select(mean=pl.col("value").mean(), variance=pl.col("value").var()).row(0)
    return Moments(values.len(), row[0], float("nan") if row[1] is None else row[1])
