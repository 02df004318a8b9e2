"""What the training customers looked like, in aggregates: later runs and reasons are compared with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from sklearn.metrics import roc_auc_score

from job.models.reference import MISSING, SCORE, Bins, NumberBins, WordBins, count_bins, count_scores, estimate_roc_auc
from schemas.features import CATEGORICAL_FEATURES, NUMERIC_FEATURES

if TYPE_CHECKING:
    from job.training.folds import Groups, Labels, Numbers

QUANTILES: Final = tuple(tenth / 10 for tenth in range(11))
BINS: Final = 10
RESAMPLES: Final = 400
MOST_VALUES: Final = 12  # a number with no more distinct values has a bin for each
SMALLEST_BIN: Final = 0.02  # of the customers; a smaller bin joins the smaller of its neighbours


def describe_reference(
    features: pl.DataFrame,
    probability: Numbers,
    deployed: Numbers,
    labels: Labels,
    groups: Groups,
    *,
    delivered: int,
    seed: int,
) -> dict[str, Any]:
    """Return the distribution of each feature and of the score.

    Args:
        features: the feature frame of the training customers.
        probability: out of fold, of each row, by the models of the folds: those of customers of training.
        deployed: the same as the deployed model gives it to customers that it has not seen.
        labels: 1 for a customer who declined, of each row.
        groups: of near twins, of each row.
        delivered: how many customers the training drop had, those who could not be used among them.
        seed: of the resamples.

    Returns:
        What `job.models.reference` reads, and `numeric`: feature -> `mean`, `sd` and `quantiles` (0, 0.1 ... 1);
        `words`: feature -> word -> share of the customers. `score` is of the two kinds of probability in equal parts,
        because a run has both, and each model its own settings and calibration (edges in steps of 1/10,000).
    """
    features = features.rechunk()  # the last bits of a sum depend on chunks
    numeric = {
        feature.name: {
            "mean": features[feature.name].mean(),
            "sd": features[feature.name].std(),
            "quantiles": [features[feature.name].quantile(share, "linear") for share in QUANTILES],
        }
        for feature in NUMERIC_FEATURES
    }
    bins = {feature.name: _count_number(features[feature.name]) for feature in NUMERIC_FEATURES}
    words = {}
    for feature in CATEGORICAL_FEATURES:
        values = features[feature.name]
        bins[feature.name] = {
            "words": list(feature.values),
            **_count(values, WordBins(values.name, feature.values, (), 0), len(feature.values)),
        }
        shares = [count / features.height for count in bins[feature.name]["counts"]]
        words[feature.name] = dict(zip(feature.values, shares, strict=True))
    both = np.sort(np.concatenate([probability, deployed]))[::2]
    steps = count_scores(pl.Series(SCORE, both)).select("bin", "rows")
    scores = steps["bin"].repeat_by(steps["rows"]).explode().cast(pl.Float64).alias(SCORE)
    sizes = np.unique(groups, return_counts=True)[1]
    return {
        "customers": features.height,
        "delivered": delivered,
        "twins": float((sizes**2).sum() / sizes.sum()),
        "numeric": numeric,
        "words": words,
        "bins": bins,
        "score": {
            **_count_number(scores),
            "roc_auc": _estimate(probability),
            "roc_auc_error": estimate_error(probability, labels, groups, seed=seed),
        },
    }


def estimate_error(probability: Numbers, labels: Labels, groups: Groups, *, seed: int) -> float:
    """Return how far the ROC-AUC without labels is from the one with labels: what calibration does not know.

    The root mean square of the difference over resamples of the groups of near twins (bootstrap). So many customers
    cannot tell whether the scores are calibrated more exactly; no later run, however large, knows more.

    `probability`: out of fold, calibrated, of each row.
    """
    random = np.random.default_rng(seed)
    places = np.unique(groups, return_inverse=True)[1]
    count = int(places.max()) + 1
    squares = []
    for _ in range(RESAMPLES):
        times = np.bincount(random.integers(0, count, count), minlength=count)
        rows = np.repeat(np.arange(len(labels)), times[places])
        if 0 < labels[rows].sum() < len(rows):
            squares.append((_estimate(probability[rows]) - roc_auc_score(labels[rows], probability[rows])) ** 2)
    return float(np.sqrt(np.mean(squares)))


def _estimate(probability: Numbers) -> float:
    estimated = estimate_roc_auc(dict(count_scores(pl.Series(probability)).select("bin", "rows").iter_rows()))
    if estimated is None:
        raise AssertionError("every out-of-fold probability is 0, or every one is 1")
    return estimated[0]


def cut(values: pl.Series) -> list[float]:
    """Return edges that part a number into about ten bins of customers, equal values always together.

    Each of few values has its own bin; of many, the edges are those nearest to the deciles. An edge lies half way
    between two values, so that the last bits of a ratio cannot move a customer to another bin.

    `values`: Float64; null and what is no number is left out.
    """
    counts = values.filter(values.is_finite()).value_counts(name="rows").sort(values.name)
    levels, rows = counts[values.name].to_list(), counts["rows"].to_list()
    total = sum(rows)
    upto = np.cumsum(rows)[:-1]  # rows up to each gap between neighbouring values
    if len(levels) <= MOST_VALUES:
        gaps = list(range(len(upto)))
    else:
        gaps = sorted({int(np.argmin(np.abs(upto - total * part / BINS))) for part in range(1, BINS)})
    while gaps:
        sizes = np.diff([0, *(upto[gap] for gap in gaps), total])
        smallest = int(np.argmin(sizes))
        if sizes[smallest] >= SMALLEST_BIN * total:
            break
        left = sizes[smallest - 1] if smallest > 0 else np.inf
        right = sizes[smallest + 1] if smallest < len(gaps) else np.inf
        del gaps[smallest - 1 if left <= right else smallest]
    return [(levels[gap] + levels[gap + 1]) / 2 for gap in gaps]


def _count_number(values: pl.Series) -> dict[str, Any]:
    edges = cut(values)
    return {"edges": edges, **_count(values, NumberBins(values.name, tuple(edges), (), 0), len(edges) + 1)}


def _count(values: pl.Series, bins: Bins, number: int) -> dict[str, Any]:
    rows = dict(count_bins(values.to_frame(), [bins]).select("bin", "rows").iter_rows())
    return {"counts": [rows.get(bin_number, 0) for bin_number in range(number)], "missing": rows.get(MISSING, 0)}
