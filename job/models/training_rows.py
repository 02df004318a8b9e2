"""The customers that a model has seen, so that scoring gives them the probability of a model that had not.

A model knows its training customers too well. Training keeps each one's out-of-fold probability under a salted hash of
the id and all features: the artifact holds no raw id, and a customer whose behaviour has changed is a new case.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from job.hashing import HASHED, hashed_bits, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

# Who may have been in training is told by a number that is quick to compute and says next to nothing: among a million
# numbers, the shipped model's 1,297 customers leave 0.1 % of all others to be looked up by the slow hash.
MARK_BITS: Final = 20
MARKED_BY: Final = ("registered_days", "pages_per_visit", "unpaid_items_quarter", "minutes_current_month")


def to_training_rows(
    ids: pl.Series, features: pl.DataFrame, probability: NDArray[np.float64], *, seed: int
) -> dict[str, Any]:
    """Return the salt, the marks, and, by hash in order, the out-of-fold probability of each training customer."""
    salt = hashlib.sha256(f"training rows {seed}".encode()).hexdigest()
    by_hash = dict(zip(_hashes(ids, features, salt), (float(value) for value in probability), strict=True))
    marks = _marks(ids, features, salt).unique().sort().to_list()
    return {"salt": salt, "marks": marks, "probability": dict(sorted(by_hash.items()))}


def seen_probability(ids: pl.Series, features: pl.DataFrame, known: Mapping[str, Any]) -> pl.Series:
    """Return the out-of-fold probability of customers that were in training, null for the others (Float64).

    Args:
        ids: of the customers.
        features: their feature frame, in the same order.
        known: what `to_training_rows` returned.
    """
    by_hash, salt = known["probability"], known["salt"]
    seen = pl.repeat(None, n=len(ids), dtype=pl.Float64, eager=True).alias("seen_probability")
    if not by_hash or not len(ids):
        return seen
    if "marks" in known:
        marks = pl.Series(known["marks"], dtype=pl.UInt64)
        places = _marks(ids, features, salt).is_in(marks.implode()).arg_true()
    else:  # an artifact of a version without marks
        places = pl.int_range(len(ids), dtype=pl.UInt32, eager=True)
    values = [by_hash.get(own) for own in _hashes(ids.gather(places), features[places], salt)]
    return seen.scatter(places, values) if values else seen


def _hashes(ids: pl.Series, features: pl.DataFrame, salt: str) -> Iterator[str]:
    for own, row in zip(ids, features.iter_rows(), strict=True):
        yield hashlib.sha256(json.dumps([salt, own, row]).encode()).hexdigest()[:32]


def _marks(ids: pl.Series, features: pl.DataFrame, salt: str) -> pl.Series:
    """Return each customer's mark (UInt64, below 2^20): SplitMix64 of a sum of the id and some numbers, cut short.

    Each of them is multiplied by an odd number of the salt's.
    """
    factors = [int(salt[start : start + 16], 16) | 1 for start in range(0, 16 * (len(MARKED_BY) + 1) // 2, 8)]
    state = pl.col("id").cast(pl.UInt64) * whole(factors[0])
    for name, factor in zip(MARKED_BY, factors[1:], strict=True):
        state = state + pl.col(name).cast(pl.Int64).cast(pl.UInt64) * whole(factor)
    bits = hashed_bits(features.select(MARKED_BY).with_columns(ids.alias("id")).lazy().select(state))
    return bits.select((pl.col(HASHED) // whole(1 << (64 - MARK_BITS))).alias("mark")).collect().to_series()
