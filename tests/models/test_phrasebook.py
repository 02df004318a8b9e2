"""Each value is put into words once, and found again, wherever it lies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from job.models.phrasebook import HIGHEST, LOWEST, Phrasebook

if TYPE_CHECKING:
    from numpy.typing import NDArray

DECIMALS = (0, 1, 2)
VALUES = st.one_of(
    st.integers(LOWEST - 2, LOWEST + 2),
    st.integers(HIGHEST - 2, HIGHEST + 2),
    st.integers(-300, 300),
    st.sampled_from([10**15, 10**300, -(10**308)]),
)
ASKED = st.lists(st.tuples(st.none() | st.integers(0, 2), VALUES), max_size=30)


Rows = list[tuple[int | None, int]]


def asked_of(rows: Rows) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.bool_]]:
    """Return features, values and whether they are wanted, of places and values in units of the last decimal."""
    features = np.array([place or 0 for place, _ in rows], dtype=np.uint8)
    values = [step / 10 ** DECIMALS[place or 0] for place, step in rows]
    return features, np.array(values, dtype=np.float64), np.array([place is not None for place, _ in rows], dtype=bool)


def words(place: int, value: float) -> str:
    return f"{place}: {value!r}"


def expected(rows: Rows) -> list[str | None]:
    return [None if place is None else words(place, step / 10 ** DECIMALS[place] + 0.0) for place, step in rows]


@given(st.lists(ASKED, max_size=4))
def test_each_value_has_its_own_words(batches: list[Rows]) -> None:
    said: list[tuple[int, float]] = []

    def say(place: int, value: float) -> str:
        said.append((place, value))
        return words(place, value)

    book = Phrasebook(DECIMALS, say)
    for batch in [*batches, *batches]:
        assert book.phrases(*asked_of(batch)).to_list() == expected(batch)
    assert len(said) == len(set(said))


def test_threads_may_ask_at_once() -> None:
    book = Phrasebook(DECIMALS, words)
    batches = [
        [(place, step) for step in range(start, start + 3_000, 7)]
        for start in range(0, 2_000, 100)
        for place in (0, 1, 2)
    ]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda rows: book.phrases(*asked_of(rows)), batches))
    assert [phrases.to_list() for phrases in found] == [expected(rows) for rows in batches]


def test_nothing_asked() -> None:
    assert Phrasebook(DECIMALS, words).phrases(*asked_of([])).to_list() == []
