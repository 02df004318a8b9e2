from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from job.training.folds import TWIN_FEATURES, group_folds, repeated_group_folds, twin_groups


def frame(rows: int, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame({name: random.integers(0, 2, rows).astype(str) for name in TWIN_FEATURES})


def test_twins_share_a_group_and_others_do_not() -> None:
    features = pl.DataFrame({name: [1, 1, 2] for name in TWIN_FEATURES})
    first, second, third = twin_groups(features)
    assert first == second != third


def test_groups_do_not_depend_on_the_order_of_rows() -> None:
    features = frame(200)
    assert twin_groups(features.reverse()).tolist() == twin_groups(features).tolist()[::-1]


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_no_group_is_parted_and_every_row_is_tested_once(seed: int) -> None:
    groups = twin_groups(frame(200))
    labels = np.random.default_rng(1).integers(0, 2, 200).astype(np.int8)
    splits = list(group_folds(labels, groups, folds=5, seed=seed))
    for split in splits:
        assert not set(groups[split.train]) & set(groups[split.test])
        assert sorted([*split.train, *split.test]) == list(range(200))
    assert sorted(np.concatenate([split.test for split in splits])) == list(range(200))


def test_inner_folds_stay_within_their_rows() -> None:
    groups = np.arange(100)
    labels = (np.arange(100) % 2).astype(np.int8)
    rows = np.arange(0, 80)
    for split in group_folds(labels, groups, folds=3, seed=1, rows=rows):
        assert sorted([*split.train, *split.test]) == rows.tolist()


def test_repeats_differ_and_seeds_are_distinct_and_reruns_agree() -> None:
    groups = np.arange(100)
    labels = (np.arange(100) % 2).astype(np.int8)
    splits = repeated_group_folds(labels, groups, folds=5, repeats=3, seed=4)
    again = repeated_group_folds(labels, groups, folds=5, repeats=3, seed=4)
    assert len(splits) == 15
    assert len({split.seed for split in splits}) == 15
    assert splits[0].test.tolist() != splits[5].test.tolist()
    assert [split.test.tolist() for split in splits] == [split.test.tolist() for split in again]
