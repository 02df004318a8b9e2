"""How good probabilities are, where labels are known; without SciPy, which the image that scores has not."""

from __future__ import annotations

from math import sqrt
from typing import Final, NamedTuple

import polars as pl

from job.statistics import CONFIDENCE_SCORE

BINS: Final = 10


class Auc(NamedTuple):
    """A ROC-AUC with its interval."""

    auc: float
    low: float
    high: float


def delong(scores: pl.Series, declined: pl.Series) -> Auc | None:
    """Return the ROC-AUC of scores with DeLong's 95 % interval, cut at 0 and 1.

    Sources: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988); the midrank form of Sun and Xu, IEEE Signal
    Processing Letters 21 (2014).

    Scores (Float64) are higher for a customer more likely to decline; `declined` is Boolean; neither has nulls. None if
    there are fewer than two of a kind: a variance needs two.
    """
    ranked = pl.DataFrame({"score": scores, "declined": declined}).select(
        "declined", rank=pl.col("score").rank("average") - pl.col("score").rank("average").over("declined")
    )
    sizes = [int(declined.sum()), declined.len() - int(declined.sum())]
    if min(sizes) < 2:  # noqa: PLR2004
        return None
    means = ranked.group_by("declined").agg(mean=pl.col("rank").mean(), variance=pl.col("rank").var())
    (_, auc, above), (_, _, below) = means.sort("declined", descending=True).rows()
    error = sqrt(above / sizes[1] ** 2 / sizes[0] + below / sizes[0] ** 2 / sizes[1])
    area, reach = auc / sizes[1], CONFIDENCE_SCORE * error
    return Auc(area, max(0.0, area - reach), min(1.0, area + reach))


def brier_score(probability: pl.Series, declined: pl.Series) -> float:
    """Return the mean squared error of probabilities (Brier, Monthly Weather Review 78, 1950); 1 row or more."""
    return float((probability - declined.cast(pl.Float64)).pow(2).mean())  # type: ignore[arg-type] # a number


def calibration_bins(probability: pl.Series, declined: pl.Series) -> pl.DataFrame:
    """Return ten bins of equal size by probability: `predicted` (mean), `observed` (share of declines), `rows`.

    With fewer rows than bins, each row is a bin. Rows of equal probability keep their order.
    """
    size, longer = divmod(probability.len(), BINS)
    place = pl.int_range(pl.len())
    beyond = place - longer * (size + 1)
    number = pl.when(beyond < 0).then(place // (size + 1)).otherwise(longer + beyond // max(size, 1))
    return (
        pl.DataFrame({"probability": probability, "declined": declined.cast(pl.Float64)})
        .sort("probability", maintain_order=True)
        .group_by(number.alias("bin"), maintain_order=True)
        .agg(predicted=pl.col("probability").mean(), observed=pl.col("declined").mean(), rows=pl.len())
        .drop("bin")
    )


def calibration_error(bins: pl.DataFrame) -> float:
    """Return the expected calibration error (Naeini, Cooper and Hauskrecht, AAAI 2015), of one bin or more.

    That is the mean over the rows of |mean probability - observed share| of their bin.
    """
    gaps = (bins["predicted"] - bins["observed"]).abs() * bins["rows"]
    return float(gaps.sum()) / int(bins["rows"].sum())
