"""Prepares the boosted yardsticks, unmeasured: an artifact with a LightGBM model, and the matrix that it predicts.

The model is the challenger's with its first settings (200 rounds, 31 leaves), fitted on synthetic labelled customers;
thresholds and training rows are those of the shipped artifact.

Usage: python -m tests.benchmarks.yardsticks.boosted_model artifact CUSTOMERS SEED DIR
       python -m tests.benchmarks.yardsticks.boosted_model matrix CUSTOMERS SEED DIR FILE.npy
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl

from job.models.artifact import SEEN, default_folder, load_artifact, model_files, to_text, write_artifact
from job.models.boosted import BoostedModel, matrix
from job.models.seen import describe_seen
from job.sample import FIRST_ID, draw_customers, make_tables
from schemas.columns import MARKET_FILE
from schemas.features import CATEGORICAL_FEATURES, FEATURE_NAMES
from schemas.vocabulary import ACTIVITY, CATEGORY, DECLINED, SERVICE_TYPE

WORDS = {"service_type": SERVICE_TYPE, "favourite_category": CATEGORY}


def draw_features(customers: int, seed: int) -> pl.DataFrame:
    """Return the feature frame of the synthetic customers of a clean drop with this seed."""
    drawn = draw_customers(pl.int_range(FIRST_ID, FIRST_ID + customers, eager=True), seed=seed).with_columns(
        revenue_change=pl.col("revenue_current_month") / pl.col("revenue_previous_month") - 1,
        revenue_change_2_months=pl.col("revenue_current_month") / pl.col("revenue_month_before_previous") - 1,
        **{name: pl.col(name).replace_strict(words.values, return_dtype=words.dtype) for name, words in WORDS.items()},
    )
    words = [feature.name for feature in CATEGORICAL_FEATURES]
    return drawn.select(
        pl.col(name) if name in words else pl.col(name).cast(pl.Float64).alias(name) for name in FEATURE_NAMES
    )


def write_boosted_artifact(folder: Path, *, customers: int, seed: int) -> None:
    from job.training.candidates import BOOSTED  # noqa: PLC0415 - scikit-learn is not where the matrix is made

    activity = make_tables(customers=customers, seed=seed, labelled=True)[MARKET_FILE.name][
        MARKET_FILE.heading("activity").delivered
    ]
    labels = activity.replace_strict(ACTIVITY.values) == DECLINED
    model = BOOSTED.fit(draw_features(customers, seed), labels.cast(pl.Int8).to_numpy(), BOOSTED.first, seed).model
    if not isinstance(model, BoostedModel):
        raise TypeError(f"the challenger is a {type(model).__name__}, not a boosted model")
    shipped = load_artifact(default_folder())
    files = {
        **model_files(model),
        SEEN: to_text(describe_seen(pl.Series([], dtype=pl.Int64), [], seed=seed)),
    }
    facts = {key: value for key, value in shipped.manifest.items() if key not in ("format", "files")}
    write_artifact(folder, files=files, facts={**facts, "kind": BOOSTED.name, "title": BOOSTED.title})


def write_matrix(artifact: Path, path: Path, *, customers: int, seed: int) -> None:
    caps = json.loads((artifact / "model.json").read_text(encoding="utf-8"))["caps"]
    np.save(path, matrix(draw_features(customers, seed), caps))


if __name__ == "__main__":
    if sys.argv[1] == "artifact":
        write_boosted_artifact(Path(sys.argv[4]), customers=int(sys.argv[2]), seed=int(sys.argv[3]))
    else:
        write_matrix(Path(sys.argv[4]), Path(sys.argv[5]), customers=int(sys.argv[2]), seed=int(sys.argv[3]))
