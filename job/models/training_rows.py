"""The customers that a model has seen, so that scoring gives them the probability of a model that had not.

A model knows its training customers too well. Training keeps each one's out-of-fold probability under a salted hash of
the id and all features: the artifact holds no raw id, and a customer whose behaviour has changed is a new case.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray


def to_training_rows(
    ids: pl.Series, features: pl.DataFrame, probability: NDArray[np.float64], *, seed: int
) -> dict[str, Any]:
    """Return the salt and, by hash in order, the out-of-fold probability of each training customer."""
    salt = hashlib.sha256(f"training rows {seed}".encode()).hexdigest()
    by_hash = dict(zip(_hashes(ids, features, salt), (float(value) for value in probability), strict=True))
    return {"salt": salt, "probability": dict(sorted(by_hash.items()))}


def seen_probability(ids: pl.Series, features: pl.DataFrame, known: Mapping[str, Any]) -> pl.Series:
    """Return the out-of-fold probability of customers that were in training, null for the others (Float64).

    Args:
        ids: of the customers.
        features: their feature frame, in the same order.
        known: what `to_training_rows` returned.
    """
    by_hash = known["probability"]
    values = [by_hash.get(own) for own in _hashes(ids, features, known["salt"])] if by_hash else [None] * len(ids)
    return pl.Series("seen_probability", values, dtype=pl.Float64)


def _hashes(ids: pl.Series, features: pl.DataFrame, salt: str) -> Iterator[str]:
    for own, row in zip(ids, features.iter_rows(), strict=True):
        yield hashlib.sha256(json.dumps([salt, own, row]).encode()).hexdigest()[:32]
