"""What a model leans on, measured in two ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from sklearn.metrics import roc_auc_score

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from job.models.kinds import Model
    from job.training.folds import Split
    from job.training.selection import Measured

SHUFFLES: Final = 5


def permutation_importance(
    measured: Measured, splits: Sequence[Split], features: pl.DataFrame, labels: NDArray[np.int8], *, seed: int
) -> dict[str, float]:
    """Return feature -> mean loss of ROC-AUC on test rows when its values are shuffled, the largest first.

    Args:
        measured: the candidate, whose settings of each split are used again.
        splits: the first of the splits that it was measured on.
        features: the feature frame.
        labels: 1 for a customer who declined.
        seed: of the shuffles.
    """
    random = np.random.default_rng(seed)
    losses: dict[str, list[float]] = {name: [] for name in features.columns}
    for split, result in zip(splits, measured.splits, strict=False):
        fitted = measured.candidate.fit(features[split.train], labels[split.train], result.settings, split.seed)
        test, truth = features[split.test], labels[split.test]
        whole = roc_auc_score(truth, fitted.margins(test))
        for name, shuffled in _shuffles(test, random):
            losses[name].append(float(whole - roc_auc_score(truth, fitted.margins(shuffled))))
    means = {name: float(np.mean(values)) for name, values in losses.items()}
    return dict(sorted(means.items(), key=lambda item: -item[1]))


def _shuffles(rows: pl.DataFrame, random: np.random.Generator) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield each column's name with the rows in which that column is shuffled, several times."""
    for name in rows.columns:
        for _ in range(SHUFFLES):
            yield name, rows.with_columns(rows[name].gather(random.permutation(rows.height)).alias(name))


def contribution_importance(model: Model, features: pl.DataFrame) -> dict[str, float]:
    """Return feature -> mean absolute contribution to the log-odds (SHAP values), the largest first."""
    means = model.contributions(features).select(pl.all().abs().mean()).row(0, named=True)
    return dict(sorted(means.items(), key=lambda item: -item[1]))
