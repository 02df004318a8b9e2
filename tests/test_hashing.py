"""SplitMix64 in Polars gives what the published algorithm gives."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from job.hashing import hashed_bits, splitmix64, whole

MASK = 2**64 - 1


@given(st.integers(0, MASK))
def test_like_the_published_algorithm(state: int) -> None:
    mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
    assert pl.select(splitmix64(whole(state))).item() == mixed ^ (mixed >> 31)
    assert hashed_bits(pl.Series([state], dtype=pl.UInt64), 0).item() == mixed ^ (mixed >> 31)
