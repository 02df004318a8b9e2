from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl
from polars.testing import assert_frame_equal, assert_series_equal

from job.features import make_features, split_customers
from job.intake.drop import find_files
from job.intake.reconcile import accept_drop
from job.models.seen import describe_seen, find_folds, find_probability

if TYPE_CHECKING:
    from pathlib import Path

    from job.models.artifact import Artifact
    from job.settings import Limits

IDS = pl.Series("id", [11, 12, 13])


def folds(values: list[int | None]) -> pl.Series:
    return pl.Series("fold", values, dtype=pl.Int8)


def test_customers_of_training_are_known_by_id_and_others_are_not() -> None:
    seen = json.loads(json.dumps(describe_seen(IDS, [1, 0, 1], seed=1)))
    assert_series_equal(find_folds(IDS, seen), folds([1, 0, 1]))
    assert_series_equal(find_folds(pl.Series([13, 14, 12, 11]), seen), folds([1, None, 0, 1]))
    assert find_folds(pl.Series([], dtype=pl.Int64), seen).is_empty()


def test_the_artifact_holds_no_raw_id() -> None:
    seen = describe_seen(pl.Series([987654321]), [0], seed=1)
    assert "987654321" not in json.dumps(seen)
    assert [len(fold) for fold in seen["folds"]] == [1]


def test_the_order_of_the_rows_does_not_matter_and_the_seed_does() -> None:
    forth, back = describe_seen(IDS, [1, 0, 1], seed=1), describe_seen(IDS.reverse(), [1, 0, 1], seed=1)
    assert forth == back
    assert describe_seen(IDS, [1, 0, 1], seed=2) != forth


def test_nobody_seen() -> None:
    assert_series_equal(find_folds(IDS, {"salt": "0" * 32, "folds": []}), folds([None] * 3))


def test_each_customer_of_training_is_scored_by_the_model_of_its_fold(
    small_drop: Path, artifact: Artifact, limits: Limits
) -> None:
    customers, _ = split_customers(accept_drop(find_files(small_drop), labelled=False, limits=limits).tables)
    ids, features = customers["id"], make_features(customers)
    count = len(artifact.fold_models)
    seen = describe_seen(ids.head(40), [place % count for place in range(40)], seed=3)
    known = artifact._replace(seen=seen)
    found = find_probability(known, ids, features)
    parts = [model.probabilities(features) for model in artifact.fold_models]
    expected = artifact.model.probabilities(features).to_list()
    expected[:40] = [parts[place % count][place] for place in range(40)]
    is_seen = [place < 40 for place in range(features.height)]
    assert_frame_equal(found, pl.DataFrame({"decline_probability": expected, "in_training": is_seen}), check_exact=True)
    changed = features.with_columns(registered_days=pl.col("registered_days") + 1)
    assert find_probability(known, ids, changed)["in_training"].to_list() == is_seen
