"""What a comparison of two groups can show, and what several have shown: arithmetic on plain numbers.

A difference is always that of the first group from the second: the first one's rate minus the second one's. An interval
and the p-value beside it come from one method: the interval leaves 0 out exactly if the p-value is below 1 minus its
confidence. An effect is the share of the declines that an offer prevents: 0.2 of a rate of 30 % leaves 24 %.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import erfc, exp, log, sqrt
from statistics import NormalDist
from typing import Final, NamedTuple

CONFIDENCE: Final = 0.95
LEVEL: Final = 0.05  # of a two-sided test
POWER: Final = 0.8
FEWEST: Final = 10  # customers of each group, below which nothing is said of a difference
A_FIFTH: Final = 0.2  # the effect that a campaign should be able to show
SPREAD: Final = 0.2  # standard deviation of what an assumed effect may be wrong by: 95 times in 100 by 0.4 at most
BETWEEN: Final = 0.05  # scale of the half-normal deviation between effects of campaigns: 95 times in 100 at most 0.1

_NORMAL: Final = NormalDist()
_LARGEST_SCORE: Final = 40.0  # normal quantile beyond which a p-value is 0 in floating point
_SMALLEST_PART: Final = 1e-9
_BISECTIONS: Final = 60
_DEVIATIONS: Final = 100  # equally probable points at which the deviation between campaigns is looked at
_FEWEST_FREEDOM: Final = 3.0
_FEWEST_OF_STRATUM: Final = 2  # of each group: a variance needs two


def normal_score(confidence: float) -> float:
    """Return the normal quantile of a two-sided interval."""
    return _NORMAL.inv_cdf((1 + confidence) / 2)


CONFIDENCE_SCORE: Final = normal_score(CONFIDENCE)


@dataclass(frozen=True)
class Interval:
    """The ends of an interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """A difference of two groups' rates or means, its interval and two-sided p-value: None if the groups are small."""

    difference: float
    low: float | None
    high: float | None
    p_value: float | None


class Estimate(NamedTuple):
    """A mean, of one group or of several strata by their weights."""

    mean: float
    variance: float  # of the mean: the sum of the parts' variances, weights included
    scatter: float  # the sum of the parts' squared variances, each over its customers less 1: how well that is known


class Stratum(NamedTuple):
    """Customers whose treated and control group were drawn by one lot: a campaign's, a segment's or an offer's."""

    treated: int
    control: int
    rate: float  # mean probability p of a decline without the offer, of both groups
    # mean of p (1 - p): what is left of a decline's variance once its probability is known, which the adjusted
    # estimator takes off
    variance: float

    def treated_variance(self, effect: float) -> float:
        """Return the mean of p (1 - p) of customers of whose declines an offer prevents this share."""
        left = 1 - effect
        return left * self.rate - left**2 * (self.rate - self.variance)


class Fall(NamedTuple):
    """A fall of a decline rate: in points, as a share of the customers, and as a share of the declines."""

    points: float
    effect: float


class Effect(NamedTuple):
    """What one campaign showed of an offer: the share of the declines that it prevented, and its standard error."""

    effect: float
    error: float


class PooledEffect(NamedTuple):
    """The share of the declines that an offer prevents in the mean of such campaigns, with its 95 % interval.

    `weight_of_assumption` says how much of it is what was assumed, 0 to 1; the campaigns are the rest.
    """

    effect: float
    low: float
    high: float
    weight_of_assumption: float


def wilson_interval(events: int, total: int, *, score: float = CONFIDENCE_SCORE) -> Interval:
    """Return Wilson's score interval of a rate (JASA 22, 1927; Newcombe 1998a's method 3), of this normal quantile."""
    square = score * score
    middle = events + square / 2
    reach = score * sqrt(square / 4 + events * (total - events) / total)
    # The exact ends: rounding would leave 1e-17 where no event, or nothing but events, was seen.
    low = 0.0 if events == 0 else (middle - reach) / (total + square)
    high = 1.0 if events == total else (middle + reach) / (total + square)
    return Interval(low, high)


def rate_difference(events: tuple[int, int], totals: tuple[int, int]) -> Difference:
    """Return the difference of two independent rates with Newcombe's hybrid score interval.

    Source: Newcombe, Statistics in Medicine 17 (1998) 873-890, method 10 (square-and-add of two Wilson intervals, no
    continuity correction). The p-value is 1 minus the largest confidence at which that interval leaves 0 out. The
    totals are 1 or more.
    """
    rates = (events[0] / totals[0], events[1] / totals[1])
    difference = rates[0] - rates[1]

    def interval(score: float) -> tuple[float, float]:
        first, second = (wilson_interval(*group, score=score) for group in zip(events, totals, strict=True))
        low = difference - sqrt((rates[0] - first.low) ** 2 + (second.high - rates[1]) ** 2)
        return low, difference + sqrt((first.high - rates[0]) ** 2 + (rates[1] - second.low) ** 2)

    touching = first_true(lambda score: interval(score)[0] <= 0 <= interval(score)[1], 0.0, _LARGEST_SCORE)
    return Difference(difference, *interval(CONFIDENCE_SCORE), erfc(touching / sqrt(2)))


def mean_difference(first: Estimate, second: Estimate) -> Difference:
    """Return the difference of two independent means with Welch's interval (Biometrika 34, 1947).

    The degrees of freedom are Satterthwaite's (Biometrics Bulletin 2, 1946), over the parts of both means. There is no
    interval if no value differs from another.
    """
    variance, scatter = first.variance + second.variance, first.scatter + second.scatter
    return _with_interval(first.mean - second.mean, variance, scatter)


def prevented_share(first: Estimate, second: Estimate, *, expected: float = 0.0) -> tuple[Difference, float] | None:
    """Return which share of the second group's mean is missing in the first, with its interval, and its standard error.

    That is 1 - first / second, by the delta method; None if the second mean is not above 0. The first is the treated
    customers'. `expected`: the share that the p-value is of.
    """
    if second.mean <= 0:
        return None
    left = first.mean / second.mean
    variance = (first.variance + left**2 * second.variance) / second.mean**2
    scatter = (first.scatter + left**4 * second.scatter) / second.mean**4
    return _with_interval(1 - left, variance, scatter, expected), sqrt(variance)


def student_score(score: float, freedom: float) -> float:
    """Return Student's quantile of the level at which the normal quantile is `score` (0 or more).

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5, within 0.002 of the 95 % quantile from 6
    degrees of freedom on. Fewer than `_FEWEST_FREEDOM` count as so many.
    """
    freedom = max(freedom, _FEWEST_FREEDOM)
    square = score * score
    terms = (
        (square + 1) / 4,
        ((5 * square + 16) * square + 3) / 96,
        (((3 * square + 19) * square + 17) * square - 15) / 384,
        ((((79 * square + 776) * square + 1482) * square - 1920) * square - 945) / 92160,
    )
    return score * (1 + sum(term / freedom**power for power, term in enumerate(terms, start=1)))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return the p-values corrected for their number by Holm's step-down method (Scand. J. Statistics 6, 1979).

    All that are below a level when corrected can be called effects: the probability that any of them is none is at most
    that level, however the tests depend on each other. None stays None and does not count.
    """
    order = sorted((p_value, index) for index, p_value in enumerate(p_values) if p_value is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for step, (p_value, index) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - step) * p_value))
        corrected[index] = largest
    return corrected


def smallest_fall(strata: Sequence[Stratum], *, level: float = LEVEL) -> Fall | None:
    """Return the smallest fall of the decline rate that a comparison within strata finds with the power `POWER`.

    The normal formula for the adjusted estimator: a fall is found if it is (z of the level + z of the power) x its
    standard error, at the variances that the treated have if the offer prevents that share of the declines. Strata
    weigh by their treated customers, as in the verdict of `lift`; one without two customers in each group is left out.
    None if not even an end of all declines would be found, or a group has fewer than `FEWEST` customers.

    `level`: of a two-sided test; divided by the number of tests where there are several.
    """
    compared = [stratum for stratum in strata if min(stratum.treated, stratum.control) >= _FEWEST_OF_STRATUM]
    treated = sum(stratum.treated for stratum in compared)
    if min(treated, sum(stratum.control for stratum in compared)) < FEWEST:
        return None
    weighted = [(stratum.treated / treated, stratum) for stratum in compared]
    rate = sum(weight * stratum.rate for weight, stratum in weighted)
    scores = _scores(level)

    def is_found(effect: float) -> bool:
        variance = sum(
            weight**2 * (stratum.treated_variance(effect) / stratum.treated + stratum.variance / stratum.control)
            for weight, stratum in weighted
        )
        return effect * rate >= scores * sqrt(variance)

    if rate == 0 or not is_found(1.0):
        return None
    # Not from 0: there customers who are certain to decline have no variance, and nothing would seem enough.
    effect = first_true(is_found, _SMALLEST_PART, 1.0)
    return Fall(effect * rate, effect)


def smallest_control_share(strata: Sequence[Stratum], *, level: float = LEVEL) -> float | None:
    """Return the smallest control share at which these customers would show the effect `A_FIFTH`, with that power.

    All strata get the same share, at most about one half, whatever share they have now. The formula is that of
    `smallest_fall`. None if no share shows the effect.
    """
    customers = sum(stratum.treated + stratum.control for stratum in strata)
    if customers < 2 * FEWEST:
        return None
    weighted = [((stratum.treated + stratum.control) / customers, stratum) for stratum in strata]
    rate = sum(weight * stratum.rate for weight, stratum in weighted)
    untreated = sum(weight * stratum.variance for weight, stratum in weighted)
    treated = sum(weight * stratum.treated_variance(A_FIFTH) for weight, stratum in weighted)
    scores = _scores(level)

    def is_found(share: float) -> bool:
        return A_FIFTH * rate >= scores * sqrt((treated / (1 - share) + untreated / share) / customers)

    if rate == 0:
        return None
    deviations = sqrt(untreated), sqrt(treated)
    fewest = FEWEST / customers
    # Neyman's allocation: no other share has a smaller variance.
    best = deviations[0] / sum(deviations) if any(deviations) else fewest
    best = min(max(best, fewest), 1 - fewest)
    return first_true(is_found, fewest, best) if is_found(best) else None


def pool_effects(
    effects: Sequence[Effect], *, assumed: float, spread: float = SPREAD, between: float = BETWEEN
) -> PooledEffect:
    """Return an offer's effect, pooled over campaigns that need not be alike, and shrunken towards an assumption.

    The normal random-effects model with a normal distribution of the mean effect, around what is assumed, and a
    half-normal one of the deviation between campaigns (Roever, bayesmeta, J. Statistical Software 93 (2020) no. 6).
    Chosen because there are few campaigns: then DerSimonian and Laird's interval is too short, and Hartung and Knapp's
    is so long with two campaigns that two would count for less than one, and there is none with one (Friede, Roever,
    Wandel and Neuenschwander, Research Synthesis Methods 8 (2017) 79-91). The deviation is integrated out over
    quantiles of its distribution; given it, everything is normal.

    Args:
        effects: one per campaign; the errors are above 0.
        assumed: the effect that was assumed before there was any campaign.
        spread: standard deviation of that assumption.
        between: scale of the half-normal distribution; 0 if all campaigns are alike.
    """
    prior = 1 / spread**2
    logs, parts, shares = [], [], []
    for step in range(_DEVIATIONS):
        deviation = between * normal_score((step + 0.5) / _DEVIATIONS)
        weighted = [(1 / (each.error**2 + deviation**2), each.effect - assumed) for each in effects]
        precision = prior + sum(weight for weight, _ in weighted)
        shift = sum(weight * distance for weight, distance in weighted) / precision
        misfit = sum(weight * distance**2 for weight, distance in weighted) - precision * shift**2
        logs.append((sum(log(weight) for weight, _ in weighted) - log(precision) - misfit) / 2)
        parts.append(NormalDist(assumed + shift, 1 / sqrt(precision)))
        shares.append(prior / precision)
    largest = max(logs)
    likelihoods = [exp(each - largest) for each in logs]
    total = sum(likelihoods)
    weights = [likelihood / total for likelihood in likelihoods]
    means = [part.mean for part in parts]
    reach = _LARGEST_SCORE * max(part.stdev for part in parts)

    def quantile(level: float) -> float:
        def is_reached(value: float) -> bool:
            return _sumprod(weights, [part.cdf(value) for part in parts]) >= level

        return first_true(is_reached, min(means) - reach, max(means) + reach)

    tail = (1 - CONFIDENCE) / 2
    return PooledEffect(_sumprod(weights, means), quantile(tail), quantile(1 - tail), _sumprod(weights, shares))


def first_true(holds: Callable[[float], bool], low: float, high: float) -> float:
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


def _sumprod(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the sum of the products (`math.sumprod` is not in Python 3.11)."""
    return sum(one * other for one, other in zip(first, second, strict=True))


def _with_interval(difference: float, variance: float, scatter: float, expected: float = 0.0) -> Difference:
    if variance <= 0:
        return Difference(difference, None, None, None)
    error, freedom = sqrt(variance), variance**2 / scatter
    distance = abs(difference - expected) / error
    score = first_true(lambda score: student_score(score, freedom) >= distance, 0.0, _LARGEST_SCORE)
    reach = student_score(CONFIDENCE_SCORE, freedom) * error
    return Difference(difference, difference - reach, difference + reach, erfc(score / sqrt(2)))


def detectable_difference(error: float, *, level: float = LEVEL) -> float:
    """Return the smallest difference, of this standard error, that a two-sided test finds with the power `POWER`."""
    return _scores(level) * error


def _scores(level: float) -> float:
    return normal_score(1 - level) + _NORMAL.inv_cdf(POWER)
