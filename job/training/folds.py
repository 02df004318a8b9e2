"""Splits that keep near twins together.

About 23 % of the customers have a near twin, often with the other label: a split that parts them measures memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

Labels = NDArray[np.int8]
"""1 for a customer who declined, by row."""
Groups = NDArray[np.int64]
"""Of near twins, by row."""
Numbers = NDArray[np.float64]

TWIN_FEATURES: Final = (
    "registered_days",
    "favourite_category",
    "service_type",
    "contacts_current_month",
    "categories_per_visit",
    "unpaid_items_quarter",
)


@dataclass(frozen=True)
class Split:
    """Rows to fit on and rows to test on (positions), and the seed of everything random in between."""

    train: NDArray[np.intp]
    test: NDArray[np.intp]
    seed: int


def twin_groups(features: pl.DataFrame) -> Groups:
    """Return the number of each row's group: equal for customers that are equal in `TWIN_FEATURES`.

    Groups are numbered by their values, words by the alphabet, so that the order of the rows does not matter.
    """
    worded = features.select(TWIN_FEATURES).cast({pl.Enum: pl.String})
    return worded.select(pl.struct(pl.all()).rank("dense")).to_series().cast(pl.Int64).to_numpy()


def group_folds(
    labels: Labels, groups: Groups, *, folds: int, seed: int, rows: NDArray[np.intp] | None = None
) -> Iterator[Split]:
    """Yield the splits of one stratified group k-fold.

    `rows`: only these positions; all of them if None.
    """
    rows = np.arange(len(labels)) if rows is None else rows
    # StratifiedGroupKFold shuffles groups only where their label counts tie, so the rows are shuffled first.
    shuffled = np.random.default_rng(seed).permutation(rows)
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    for number, (train, test) in enumerate(splitter.split(shuffled, labels[shuffled], groups[shuffled])):
        yield Split(np.sort(shuffled[train]), np.sort(shuffled[test]), seed=seed * folds + number)


def repeated_group_folds(labels: Labels, groups: Groups, *, folds: int, repeats: int, seed: int) -> list[Split]:
    """Return the splits of `repeats` group k-folds with different seeds, fold after fold, repeat after repeat."""
    return [
        split for repeat in range(repeats) for split in group_folds(labels, groups, folds=folds, seed=seed + repeat)
    ]
