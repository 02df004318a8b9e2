"""Repeatable pseudo-random bits in wrapping UInt64 arithmetic, the same in every version of Polars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable

HASHED: Final = "mixed"

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


def hashed_bits(state: pl.LazyFrame, *keys: int) -> pl.LazyFrame:
    """Return the same of the only column, whole numbers, as the column `HASHED`; each step is taken once.

    The expression repeats its argument eight times. The keys are added one before each mixing; without any, it is mixed
    once.
    """
    frame = state.select(pl.all().cast(pl.UInt64).alias(HASHED))
    for key in keys or (0,):
        frame = frame.select(pl.col(HASHED) + whole(key))
        for step in _STEPS:
            frame = frame.select(step(pl.col(HASHED)))
    return frame


def whole(value: int) -> pl.Expr:
    """Return a UInt64 literal."""
    return pl.lit(value, dtype=pl.UInt64)
