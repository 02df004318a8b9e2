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


def test_the_null_states_of_other_rows_within_a_condition_do_no_harm() -> None:
    states = pl.DataFrame({"state": [0, None, 7]}, schema={"state": pl.UInt64})
    state = pl.col("state")
    mixed = states.select(pl.when(state.is_not_null()).then(splitmix64(state)))["state"]
    assert mixed.to_list() == [hashed_bits(pl.Series([0]), 0).item(), None, hashed_bits(pl.Series([7]), 0).item()]
    assert states.select(splitmix64(state))["state"].to_list() == mixed.to_list()
