"""Repeatable pseudo-random bits in wrapping UInt64 arithmetic, the same in every version of Polars and NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FIRST: Final = 0xBF58476D1CE4E5B9
_SECOND: Final = 0x94D049BB133111EB


def splitmix64(state: pl.Expr) -> pl.Expr:
    """Return SplitMix64's output for its state (UInt64; multiplication wraps), null where that is null.

    The mixing function of Steele, Lea and Flood, «Fast splittable pseudorandom number generators» (2014).
    """
    bits = (state ^ (state // whole(1 << 30))) * whole(_FIRST)
    bits = (bits ^ (bits // whole(1 << 27))) * whole(_SECOND)
    return bits ^ (bits // whole(1 << 31))


def hashed_bits(numbers: pl.Series, *keys: int) -> NDArray[np.uint64]:
    """Return whole numbers, none of them null, mixed like this once with each key, which is added before."""
    bits = numbers.cast(pl.UInt64).to_numpy()
    for key in keys:
        bits = bits + np.uint64(key)
        bits ^= bits >> 30
        bits *= np.uint64(_FIRST)
        bits ^= bits >> 27
        bits *= np.uint64(_SECOND)
        bits ^= bits >> 31
    return bits


def whole(value: int) -> pl.Expr:
    """Return a UInt64 literal."""
    return pl.lit(value, dtype=pl.UInt64)
