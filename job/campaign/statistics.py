"""The statistics of a comparison, without NumPy or SciPy: the image that scores has neither.

A difference is always that of the first group from the second: the first one's rate or mean minus the second one's. An
interval and the p-value beside it come from one method: the interval leaves 0 out exactly if the p-value is below 1
minus its confidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, sqrt
from random import Random
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONFIDENCE: Final = 0.95
POWER: Final = 0.8
BINS: Final = 10
FEWEST_VALUES: Final = 10
"""Of each group, for an interval of means: the resampled deviation of fewer is too often near 0."""
MOST_RESAMPLED: Final = 10_000
"""Values of a group that are resampled; of a larger one the mean is drawn from its normal limit."""

_NORMAL: Final = NormalDist()
_LARGEST_SCORE: Final = 40.0
"""Normal quantile beyond which a p-value is 0 in floating point."""
_SMALLEST_PART: Final = 1e-9
_BISECTIONS: Final = 100
_DRAWN_AT_ONCE: Final = 2_000_000


@dataclass(frozen=True)
class Interval:
    """The ends of an interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """A difference between two groups, as far as the data tell.

    Args:
        difference: the first group's rate or mean minus the second one's.
        low: lower end of its interval; None where the groups are too small for one.
        high: upper end.
        p_value: two-sided, of no difference; None where there is no interval.
    """

    difference: float
    low: float | None
    high: float | None
    p_value: float | None


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


def wilson_interval(events: int, total: int, *, confidence: float = CONFIDENCE) -> Interval:
    """Return Wilson's score interval of a rate (JASA 22, 1927; Newcombe 1998a's method 3).

    Args:
        events: from 0 to `total`.
        total: 1 or more.
        confidence: of the interval.
    """
    return _wilson(events, total, _quantile(confidence))


def rate_difference(events: tuple[int, int], totals: tuple[int, int], *, confidence: float = CONFIDENCE) -> Difference:
    """Return the difference of two independent rates with Newcombe's hybrid score interval.

    Source: Newcombe, Statistics in Medicine 17 (1998) 873-890, method 10 (square-and-add of two Wilson intervals, no
    continuity correction). The p-value is 1 minus the largest confidence at which that interval leaves 0 out.

    Args:
        events: of the two groups.
        totals: of the two groups, each 1 or more.
        confidence: of the interval.
    """
    difference = events[0] / totals[0] - events[1] / totals[1]

    def reaches_zero(score: float) -> bool:
        interval = _newcombe(events, totals, score)
        return interval.low <= 0 <= interval.high

    touching = _bisect(reaches_zero, 0.0, _LARGEST_SCORE)
    interval = _newcombe(events, totals, _quantile(confidence))
    return Difference(difference, interval.low, interval.high, erfc(touching / sqrt(2)))


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


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return the p-values corrected for their number by Holm's step-down method (Scand. J. Statistics 6, 1979).

    All that are below a level when corrected can be called effects: the probability that any of them is none is at most
    that level, however the tests depend on each other. None stays None and does not count.
    """
    order = sorted((p_value, place) for place, p_value in enumerate(p_values) if p_value is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for step, (p_value, place) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - step) * p_value))
        corrected[place] = largest
    return corrected


def detectable_fall(rate: float, totals: tuple[int, int], *, level: float, power: float = POWER) -> float | None:
    """Return the smallest fall below a rate that a comparison of two groups finds with this power.

    Source: Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, 3rd ed. (2003), formula 4.19 (unequal
    groups, without continuity correction), solved for the difference.

    Args:
        rate: of the second group, 0 to 1.
        totals: of the two groups, each 1 or more.
        level: two-sided level of the test.
        power: the probability to find it.

    Returns:
        A share up to `rate`; None if not even a fall to 0 would be found.
    """
    first, second = totals

    def is_missed(fall: float) -> bool:
        lower = rate - fall
        pooled = (first * lower + second * rate) / (first + second)
        alike = sqrt(pooled * (1 - pooled) * (1 / first + 1 / second))
        apart = sqrt(lower * (1 - lower) / first + rate * (1 - rate) / second)
        return fall < -_NORMAL.inv_cdf(level / 2) * alike + _NORMAL.inv_cdf(power) * apart

    # Not from 0: there a rate of 1 has no variance, and nothing would seem enough.
    least = rate * _SMALLEST_PART
    return None if rate == 0 or is_missed(rate) else _bisect(lambda fall: not is_missed(fall), least, rate)


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
    reach = _quantile(confidence) * sqrt(above.of_mean + below.of_mean)
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


def _quantile(confidence: float) -> float:
    """Return the normal quantile of a two-sided interval."""
    return _NORMAL.inv_cdf((1 + confidence) / 2)


def _wilson(events: int, total: int, score: float) -> Interval:
    square = score * score
    middle = events + square / 2
    reach = score * sqrt(square / 4 + events * (total - events) / total)
    # The exact ends: rounding would leave 1e-17 where no event, or nothing but events, was seen.
    low = 0.0 if events == 0 else (middle - reach) / (total + square)
    high = 1.0 if events == total else (middle + reach) / (total + square)
    return Interval(low, high)


def _newcombe(events: tuple[int, int], totals: tuple[int, int], score: float) -> Interval:
    first, second = (_wilson(*group, score) for group in zip(events, totals, strict=True))
    rates = (events[0] / totals[0], events[1] / totals[1])
    difference = rates[0] - rates[1]
    return Interval(
        difference - sqrt((rates[0] - first.low) ** 2 + (second.high - rates[1]) ** 2),
        difference + sqrt((first.high - rates[0]) ** 2 + (rates[1] - second.low) ** 2),
    )


def _bisect(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Return where `holds` begins to be true between `low` and `high` (at which it is), by halving."""
    if holds(low):
        return low
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high


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
