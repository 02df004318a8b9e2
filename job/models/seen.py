"""The customers that a model has seen, so that scoring gives them the probability of a model that had not.

An artifact holds the models of the folds of one repeat of the cross-validation and, under a salted hash of its id, the
fold of each training customer, whatever else has changed of it since. The hash keeps ids out of the file; it is no
protection against who holds the artifact, and can try all ids.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import polars as pl

from job.hashing import hashed_bits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from job.models.artifact import Artifact


def describe_seen(ids: pl.Series, folds: Sequence[int], *, seed: int) -> dict[str, Any]:
    """Return the salt, and of each fold the hashes of its customers, in order.

    `folds`: the fold of each, from 0: the one whose model has not seen it.
    """
    salt = hashlib.sha256(f"seen customers {seed}".encode()).hexdigest()
    hashes, fold_of = _hashes(ids, salt), pl.Series(folds, dtype=pl.Int64)
    by_fold = [hashes.filter(fold_of == fold).sort().to_list() for fold in range(max(folds, default=-1) + 1)]
    return {"salt": salt, "folds": by_fold}


def find_folds(ids: pl.Series, seen: Mapping[str, Any]) -> pl.Series:
    """Return the fold of each customer that was in training (Int8), null for the others, as `describe_seen` has it."""
    known = {number: fold for fold, numbers in enumerate(seen["folds"]) for number in numbers}
    hashes, folds = pl.Series(known.keys(), dtype=pl.UInt64), pl.Series("fold", known.values(), dtype=pl.Int8)
    return _hashes(ids, seen["salt"]).alias("fold").replace_strict(hashes, folds, default=None)


def find_probability(artifact: Artifact, ids: pl.Series, features: pl.DataFrame) -> pl.DataFrame:
    """Return `decline_probability` and `in_training` of each customer, in their order.

    The probability is that of the deployed model, or of a model that had not seen the customer. Revenue is at the level
    of training.
    """
    folds = find_folds(ids, artifact.seen)
    probability = artifact.model.probabilities(features).alias("decline_probability")
    for fold, model in enumerate(artifact.fold_models):
        places = (folds == fold).fill_null(value=False).arg_true()
        if places.len():
            probability = probability.scatter(places, model.probabilities(features[places]))
    return pl.DataFrame([probability, folds.is_not_null().alias("in_training")])


def _hashes(ids: pl.Series, salt: str) -> pl.Series:
    first, second = (int(salt[start : start + 16], 16) for start in (0, 16))
    return pl.Series(ids.name, hashed_bits(ids, first, second))
