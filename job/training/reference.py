"""What the training customers looked like, in aggregates: later runs and reasons are compared with it."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from schemas.features import CATEGORICAL_FEATURES, NUMERIC_FEATURES

QUANTILES: Final = tuple(tenth / 10 for tenth in range(11))


def describe_reference(features: pl.DataFrame) -> dict[str, Any]:
    """Return the distribution of each feature.

    Args:
        features: the feature frame of the training customers.

    Returns:
        `numeric`: feature -> `mean`, `sd` and `quantiles` (0, 0.1 ... 1; the sixth is the median); `words`: feature ->
        word -> share of the customers.
    """
    numeric = {}
    for feature in NUMERIC_FEATURES:
        column = features[feature.name]
        numeric[feature.name] = {
            "mean": column.mean(),
            "sd": column.std(),
            "quantiles": [column.quantile(share, "linear") for share in QUANTILES],
        }
    words = {
        feature.name: {
            word: features.filter(pl.col(feature.name) == word).height / features.height for word in feature.values
        }
        for feature in CATEGORICAL_FEATURES
    }
    return {"customers": features.height, "numeric": numeric, "words": words}
