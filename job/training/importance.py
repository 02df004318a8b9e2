"""What a model leans on: how much, measured in two ways, and in which direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from sklearn.metrics import roc_auc_score

from job.report.data import rank_correlations
from job.training.selection import corrected_interval
from schemas.features import NUMERIC_FEATURES, WORD_FEATURES

if TYPE_CHECKING:
    from job.models.kinds import Model
    from job.training.folds import Labels
    from job.training.selection import SplitResult

SHUFFLES: Final = 5


def measure_importance(
    splits: Sequence[SplitResult],
    fold_models: Sequence[Model],
    model: Model,
    features: pl.DataFrame,
    labels: Labels,
    *,
    seed: int,
) -> list[dict[str, Any]]:
    """Return what is leant on how much, and in which direction: a row per feature, the largest loss first.

    `loss` is that of ROC-AUC on test rows when the feature's values are shuffled, its mean over the splits with the
    corrected interval. `contribution` is the mean absolute contribution to the log-odds (SHAP values) in the deployed
    model, with the least and the most of the models of the folds. Of a number, `correlation` is Spearman's of values
    and contributions; of words, `raises` and `lowers` name those with the highest and the lowest mean contribution. All
    three are None, or the contribution 0, where the model does not use the feature.

    `splits`: of one k-fold. `fold_models`: fitted on the training rows of each. `model`: the deployed one.
    """
    losses = _permutation_losses(splits, fold_models, features, labels, seed=seed)
    shares, *of_folds = (one.contributions(features) for one in (model, *fold_models))
    numbers = [feature.name for feature in NUMERIC_FEATURES if feature.name in shares.columns]
    correlations = rank_correlations(features.select(pl.col(numbers).rank()), shares.select(numbers))
    means, *of_fold_means = (one.select(pl.all().abs().mean()).row(0, named=True) for one in (shares, *of_folds))
    rows = []
    for name in features.columns:
        loss = corrected_interval(np.array(losses[name]), test_share=1 / (len(splits) - 1))
        spread = [one.get(name, 0.0) for one in of_fold_means]
        words = []
        if name in WORD_FEATURES and name in shares:  # those that occur, the lowest mean contribution first
            contributed = pl.DataFrame({"word": features[name].cast(pl.String), "mean": shares[name]})
            words = contributed.group_by("word").agg(pl.col("mean").mean()).sort("mean", "word")["word"].to_list()
        rows.append(
            {
                "feature": name,
                "loss": {"mean": loss.gain, "low": loss.low, "high": loss.high},
                "contribution": {"mean": means.get(name, 0.0), "low": min(spread), "high": max(spread)},
                "correlation": correlations.get(name),
                "raises": words[-1] if words else None,
                "lowers": words[0] if words else None,
            }
        )
    return sorted(rows, key=lambda row: -row["loss"]["mean"])


def _permutation_losses(
    splits: Sequence[SplitResult], models: Sequence[Model], features: pl.DataFrame, labels: Labels, *, seed: int
) -> dict[str, list[float]]:
    """Return feature -> of each split the mean loss of ROC-AUC on its test rows when the values are shuffled."""
    random = np.random.default_rng(seed)
    losses: dict[str, list[float]] = {name: [] for name in features.columns}
    for split, model in zip(splits, models, strict=True):
        test, truth = features[split.test], labels[split.test]
        whole = roc_auc_score(truth, model.margins(test))
        for name in features.columns:
            orders = [random.permutation(test.height) for _ in range(SHUFFLES)]
            shuffled = [model.margins(test.with_columns(test[name].gather(order))) for order in orders]
            losses[name].append(float(whole - np.mean([roc_auc_score(truth, margins) for margins in shuffled])))
    return losses
