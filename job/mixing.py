"""Repeatable pseudo-random bits in wrapping UInt64 arithmetic, the same in every version of Polars."""

from __future__ import annotations

import polars as pl


def splitmix64(state: pl.Expr) -> pl.Expr:
    """Return SplitMix64's output for its state (UInt64; multiplication wraps).

    The mixing function of Steele, Lea and Flood, «Fast splittable pseudorandom number generators» (2014).
    """
    mixed = (state ^ (state // whole(1 << 30))) * whole(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed // whole(1 << 27))) * whole(0x94D049BB133111EB)
    return mixed ^ (mixed // whole(1 << 31))


def whole(value: int) -> pl.Expr:
    """Return a UInt64 literal."""
    return pl.lit(value, dtype=pl.UInt64)
