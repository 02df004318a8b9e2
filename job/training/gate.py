"""A new model against the artifact that is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import roc_auc_score

from job.models.seen import find_probability
from job.training.selection import Comparison, corrected_interval

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from job.models.artifact import Artifact
    from job.training.selection import Measured


def compare_with_artifact(
    selected: Measured,
    artifact: Artifact,
    ids: pl.Series,
    features: pl.DataFrame,
    labels: NDArray[np.int8],
    *,
    test_share: float,
) -> Comparison:
    """Return the paired gain in ROC-AUC of a candidate over an artifact, on the candidate's test rows.

    The artifact is not fitted again. Customers that it has seen, by their ids, are judged by its models that had not.

    Args:
        selected: the candidate under the protocol.
        artifact: what is in use.
        ids: of the customers.
        features: their feature frame, revenue at the level of the artifact's training.
        labels: 1 for a customer who declined.
        test_share: n_test / n_train of the splits.
    """
    probability = find_probability(artifact, ids, features)["decline_probability"].to_numpy()
    aucs = np.array([roc_auc_score(labels[split.test], probability[split.test]) for split in selected.splits])
    return corrected_interval(selected.aucs - aucs, test_share=test_share)
