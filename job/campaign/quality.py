"""How a model did, now that labels exist: without NumPy or SciPy, which the image that scores has not."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Final

import polars as pl

from job.statistics import CONFIDENCE, normal_score, wilson_interval

BINS: Final = 10


@dataclass(frozen=True)
class Auc:
    """A ROC-AUC with its interval."""

    auc: float
    low: float
    high: float


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
        calibration_error=calibration_error(probability, declined),
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


def delong(scores: pl.Series, declined: pl.Series, *, confidence: float = CONFIDENCE) -> Auc | None:
    """Return the ROC-AUC of scores with DeLong's interval, cut at 0 and 1.

    Sources: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988); the midrank form of Sun and Xu, IEEE Signal
    Processing Letters 21 (2014). `job.training.intervals` has the same formula over NumPy; a test compares the two.

    Args:
        scores: higher for a customer more likely to decline (Float64, no null).
        declined: Boolean, no null.
        confidence: of the interval.

    Returns:
        None if there are fewer than two of a kind.
    """
    ranked = (
        pl.DataFrame({"score": scores, "declined": declined})
        .with_columns(rank=pl.col("score").rank("average"))
        .with_columns(pl.col("rank") - pl.col("score").rank("average").over("declined"))
    )
    positive = ranked.filter("declined")["rank"]
    negative = ranked.filter(~pl.col("declined"))["rank"]
    if min(positive.len(), negative.len()) < 2:  # noqa: PLR2004 - a variance needs two
        return None
    above, below = moments(positive / negative.len()), moments(negative / positive.len())
    reach = normal_score(confidence) * sqrt(above.of_mean + below.of_mean)
    return Auc(above.mean, max(0.0, above.mean - reach), min(1.0, above.mean + reach))


def brier_score(probability: pl.Series, declined: pl.Series) -> float:
    """Return the mean squared error of probabilities (Brier, Monthly Weather Review 78, 1950); 1 row or more."""
    return moments((probability - declined.cast(pl.Float64)).pow(2)).mean


def calibration_error(probability: pl.Series, declined: pl.Series) -> float:
    """Return the expected calibration error over ten bins of equal size (Naeini, Cooper and Hauskrecht, AAAI 2015).

    That is the mean over the rows of |mean probability - observed share| of their bin; with fewer rows than bins, each
    row is a bin. Rows of equal probability keep their order.
    """
    rows = probability.len()
    size, longer = divmod(rows, BINS)
    place = pl.int_range(pl.len())
    beyond = place - longer * (size + 1)
    bins = (
        pl.DataFrame({"probability": probability, "declined": declined.cast(pl.Float64)})
        .sort("probability", maintain_order=True)
        .group_by(
            pl.when(beyond < 0).then(place // (size + 1)).otherwise(longer + beyond // max(size, 1)).alias("bin"),
            maintain_order=True,
        )
        .agg(gap=(pl.col("probability").mean() - pl.col("declined").mean()).abs(), size=pl.len())
    )
    return float((bins["gap"] * bins["size"]).sum()) / rows
