"""The statistics of means and of the model, over Polars and without NumPy or SciPy: the image that scores has neither.

As in `job.statistics`, a difference is that of the first group from the second, and an interval leaves 0 out exactly if
the p-value beside it is below 1 minus its confidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from random import Random
from statistics import NormalDist
from typing import Final

import polars as pl

from job.statistics import CONFIDENCE, POWER, Difference, normal_score

BINS: Final = 10
FEWEST_VALUES: Final = 10
"""Of each group, for an interval of means: the resampled deviation of fewer is too often near 0."""
MOST_RESAMPLED: Final = 10_000
"""Values of a group that are resampled; of a larger one the mean is drawn from its normal limit."""

_NORMAL: Final = NormalDist()
_DRAWN_AT_ONCE: Final = 2_000_000


@dataclass(frozen=True)
class Auc:
    """A ROC-AUC with its interval."""

    auc: float
    low: float
    high: float


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


def mean_difference(
    first: pl.Series, second: pl.Series, *, seed: int, resamples: int, confidence: float = CONFIDENCE
) -> Difference:
    """Return the difference of two independent means with a bootstrap-t interval.

    Each group is resampled by itself; a resample gives the difference minus the one found, divided by the resample's
    own standard error (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 12.5). With few and skewed
    values this comes closer to its level than the percentile interval, which is too short. The p-value is twice the
    smaller tail of the resamples beyond the value found, (count + 1) / (resamples + 1) (Davison and Hinkley, Bootstrap
    Methods and their Application, 1997, formula 4.11).

    Args:
        first: the first group's values (Float64, no null); 1 or more.
        second: the second group's.
        seed: any whole number; one seed and one version of Polars give one result.
        resamples: 100 or more.
        confidence: of the interval.

    Returns:
        Without an interval if a group has fewer than `FEWEST_VALUES`, or no value differs from another.
    """
    found = (moments(first), moments(second))
    difference = found[0].mean - found[1].mean
    if min(group.size for group in found) < FEWEST_VALUES or min(group.variance for group in found) == 0:
        return Difference(difference, None, None, None)
    error = sqrt(found[0].of_mean + found[1].of_mean)
    random = Random(seed)  # noqa: S311 - statistics, not secrets
    means, errors = zip(
        *(
            _resample(values, group, resamples=resamples, random=random)
            for values, group in zip((first, second), found, strict=True)
        ),
        strict=True,
    )
    scores = ((means[0] - means[1] - difference) / (errors[0] + errors[1]).sqrt()).sort()
    tail = (1 - confidence) / 2
    low, high = (_order_statistic(scores, level) for level in (tail, 1 - tail))
    score = difference / error
    beyond = min(int((scores >= score).sum()), int((scores <= score).sum()))
    return Difference(
        difference,
        difference - high * error,
        difference - low * error,
        min(1.0, 2 * (beyond + 1) / (resamples + 1)),
    )


def moments(values: pl.Series) -> Moments:
    """Return the size, mean and variance of values (Float64, no null; 1 or more)."""
    row = values.to_frame("value").select(mean=pl.col("value").mean(), variance=pl.col("value").var()).row(0)
    return Moments(values.len(), row[0], float("nan") if row[1] is None else row[1])


def detectable_difference(first: Moments, second: Moments, *, level: float, power: float = POWER) -> float:
    """Return the smallest difference of two means that a two-sided test at this level finds with this power.

    The normal formula: (z of the level + z of the power) x the standard error of the difference.
    """
    scores = -_NORMAL.inv_cdf(level / 2) + _NORMAL.inv_cdf(power)
    return scores * sqrt(first.of_mean + second.of_mean)


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


def _resample(values: pl.Series, found: Moments, *, resamples: int, random: Random) -> tuple[pl.Series, pl.Series]:
    """Return the mean of each resample, and the variance of that mean (both Float64)."""
    size = found.size
    if size > MOST_RESAMPLED:
        drawn = pl.Series([random.gauss(found.mean, sqrt(found.of_mean)) for _ in range(resamples)])
        return drawn, pl.Series([found.of_mean]).extend_constant(found.of_mean, resamples - 1)
    means, variances = [], []
    step = max(1, _DRAWN_AT_ONCE // size)
    for first in range(0, resamples, step):
        count = min(step, resamples - first)
        drawn = values.sample(count * size, with_replacement=True, seed=random.getrandbits(32)).reshape((count, size))
        means.append(drawn.arr.mean())
        variances.append(drawn.arr.var() / size)
    return pl.concat(means), pl.concat(variances)


def _order_statistic(ordered: pl.Series, level: float) -> float:
    """Return the value at (n + 1) x level: with 1999 resamples, the 50th and the 1950th for 95 %."""
    place = round((ordered.len() + 1) * level) - 1
    return float(ordered[min(max(place, 0), ordered.len() - 1)])
