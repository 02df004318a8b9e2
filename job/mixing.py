"""Repeatable pseudo-random bits in wrapping UInt64 arithmetic, the same in every version of Polars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable

_STEPS: Final[tuple[Callable[[pl.Expr], pl.Expr], ...]] = (
    lambda bits: (bits ^ (bits // whole(1 << 30))) * whole(0xBF58476D1CE4E5B9),
    lambda bits: (bits ^ (bits // whole(1 << 27))) * whole(0x94D049BB133111EB),
    lambda bits: bits ^ (bits // whole(1 << 31)),
)


def splitmix64(state: pl.Expr) -> pl.Expr:
    """Return SplitMix64's output for its state (UInt64; multiplication wraps).

    The mixing function of Steele, Lea and Flood, «Fast splittable pseudorandom number generators» (2014).
    """
    mixed = state
    for step in _STEPS:
        mixed = step(mixed)
    return mixed


def mixed_bits(state: pl.Series, key: int = 0) -> pl.Series:
    """Return the same of a column of whole numbers with a key added, each step taken once.

    The expression repeats its argument eight times.
    """
    frame = state.to_frame("mixed").select(pl.col("mixed").cast(pl.UInt64) + whole(key))
    for step in _STEPS:
        frame = frame.select(step(pl.col("mixed")))
    return frame["mixed"]


def whole(value: int) -> pl.Expr:
    """Return a UInt64 literal."""
    return pl.lit(value, dtype=pl.UInt64)
