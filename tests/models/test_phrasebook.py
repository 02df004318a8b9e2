"""Each value is put into words once, and found again, wherever it lies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from job.models.phrasebook import HIGHEST, LOWEST, Phrasebook

DECIMALS = (0, 1, 2)
VALUES = st.one_of(
    st.integers(LOWEST - 2, LOWEST + 2),
    st.integers(HIGHEST - 2, HIGHEST + 2),
    st.integers(-300, 300),
    st.sampled_from([10**15, 10**300, -(10**308)]),
)
ASKED = st.lists(st.tuples(st.none() | st.integers(0, 2), VALUES), max_size=30)


def frame(rows: list[tuple[int | None, int]]) -> pl.DataFrame:
    """Return rows of places and of values in units of the last decimal."""
    told = [(place, step / 10 ** DECIMALS[place or 0] + 0.0) for place, step in rows]
    return pl.DataFrame(told, schema={"place": pl.UInt8, "value": pl.Float64}, orient="row")


def words(place: int, value: float) -> str:
    return f"{place}: {value!r}"


def expected(asked: pl.DataFrame) -> list[str | None]:
    return [None if place is None else words(place, value) for place, value in asked.iter_rows()]


@given(st.lists(ASKED, max_size=4))
def test_each_value_has_its_own_words(batches: list[list[tuple[int | None, int]]]) -> None:
    said: list[tuple[int, float]] = []

    def say(place: int, value: float) -> str:
        said.append((place, value))
        return words(place, value)

    book = Phrasebook(DECIMALS, say)
    for batch in [*batches, *batches]:
        asked = frame(batch)
        assert book.phrases(asked).to_list() == expected(asked)
    assert len(said) == len(set(said))


def test_threads_may_ask_at_once() -> None:
    book = Phrasebook(DECIMALS, words)
    batches = [
        frame([(place, step) for step in range(start, start + 3_000, 7)])
        for start in range(0, 2_000, 100)
        for place in (0, 1, 2)
    ]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(book.phrases, batches))
    assert [phrases.to_list() for phrases in found] == [expected(asked) for asked in batches]


def test_nothing_asked() -> None:
    assert Phrasebook(DECIMALS, words).phrases(frame([])).to_list() == []
