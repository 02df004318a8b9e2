"""Rows come back by ranges of their key, whether they waited in memory or on disk, and in whatever parts."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from job import spill as spill_module
from job.errors import OutputError
from job.spill import SortedRuns, SpillSpace, cut_ranges

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = pl.Schema({"id": pl.Int64(), "word": pl.String(), "value": pl.Float64()})
unhurried = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def rows(ids: list[int], start: int = 0) -> pl.DataFrame:
    places = range(start, start + len(ids))
    return pl.DataFrame({"id": ids, "word": ["ab"[i % 2] for i in ids], "value": [float(i) for i in places]}, SCHEMA)


@unhurried
@given(
    st.lists(st.lists(st.integers(-50, 50), max_size=60), max_size=6),
    st.sampled_from([0, 400, 10**9]),
    st.sampled_from([1, 1000, 10**9]),
    st.integers(1, 30),
    st.none() | st.integers(-60, 60),
    st.none() | st.integers(-60, 60),
)
def test_read_is_sort_and_filter(  # noqa: PLR0917 - hypothesis hands them over
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[list[int]],
    memory: int,
    run_bytes: int,
    step: int,
    low: int | None,
    high: int | None,
) -> None:
    before = spill_module.KEY_STEP, spill_module.PIECE_ROWS, spill_module.PIECE_BYTES
    spill_module.KEY_STEP, spill_module.PIECE_ROWS, spill_module.PIECE_BYTES = 7, 5, 180
    try:
        runs = SortedRuns(SpillSpace(tmp_path_factory.mktemp("scratch"), memory, run_bytes), SCHEMA, "id")
        added = [rows(ids, 1000 * place) for place, ids in enumerate(parts)]
        for part in added:
            runs.append(part)
        everything = pl.concat([SCHEMA.to_frame(), *added]).sort("id", maintain_order=True)
        wanted = everything
        if low is not None:
            wanted = wanted.filter(pl.col("id") >= low)
        if high is not None:
            wanted = wanted.filter(pl.col("id") < high)
        assert_frame_equal(runs.read(low, high), wanted)
        assert_frame_equal(pl.concat([SCHEMA.to_frame(), *runs.ranges(step)]), everything)
        assert runs.height == everything.height
        assert_frame_equal(runs.in_memory().read(), everything)
    finally:
        spill_module.KEY_STEP, spill_module.PIECE_ROWS, spill_module.PIECE_BYTES = before


def test_ranges_are_about_as_long_as_asked_for_and_never_part_a_key(tmp_path: Path) -> None:
    runs = SortedRuns(SpillSpace(tmp_path, 0), SCHEMA, "id")
    for start in (0, 5000, 2500):
        runs.append(rows([*range(start, start + 2500), *[7000] * 3]))
    heights = [part.height for part in runs.ranges(1000)]
    assert sum(heights) == 7509
    assert max(heights) < 2000
    assert len(cut_ranges([runs], 1000)) > 5
    assert [part.filter(id=7000).height for part in runs.ranges(1000) if 7000 in part["id"]] == [10]


def test_files_are_gone_once_cleared(tmp_path: Path) -> None:
    runs = SortedRuns(SpillSpace(tmp_path, 0), SCHEMA, "id")
    runs.append(rows([2, 1]))
    assert runs.read()["id"].to_list() == [1, 2]
    assert len(list(tmp_path.iterdir())) == 1
    runs.clear()
    assert (list(tmp_path.iterdir()), runs.height, runs.read().height) == ([], 0, 0)


def test_memory_is_taken_and_given_back(tmp_path: Path) -> None:
    part = rows([1, 2, 3])
    space = SpillSpace(tmp_path, int(part.estimated_size()))
    first, second = (SortedRuns(space, SCHEMA, "id") for _ in range(2))
    for runs in (first, second):
        runs.append(part)
        assert runs.read().height == 3
    assert len(list(tmp_path.iterdir())) == 1
    first.clear()
    second.append(part)
    assert second.read().height == 6
    assert len(list(tmp_path.iterdir())) == 1
    assert second.read()["id"].to_list() == [1, 1, 2, 2, 3, 3]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    runs = SortedRuns(SpillSpace(tmp_path / "nowhere", 0), SCHEMA, "id")
    runs.append(rows([1]))
    with pytest.raises(OutputError, match=r"nowhere: cannot be written: "):
        runs.read()


@pytest.mark.parametrize("left", [0, 0.5, None])
def test_what_waits_is_gone_or_cut(tmp_path: Path, left: float | None) -> None:
    runs = SortedRuns(SpillSpace(tmp_path, 0), SCHEMA, "id")
    runs.append(rows([1, 2, 3]))
    assert runs.read().height == 3
    (file,) = tmp_path.iterdir()
    if left is None:
        file.unlink()
    else:
        os.truncate(file, int(file.stat().st_size * left))
    with pytest.raises(OutputError, match=rf"^{re.escape(str(tmp_path))}: cannot be read: "):
        runs.read()
