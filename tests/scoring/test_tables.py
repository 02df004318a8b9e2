"""The same rows give the same bytes, whatever the parts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from job.errors import OutputError
from job.scoring import tables
from job.scoring.spreadsheet import RUSSIAN
from job.scoring.tables import CsvTable, ParquetTable

if TYPE_CHECKING:
    from pathlib import Path

TABLE = pl.DataFrame(
    {
        "id": range(1, 1001),
        "text": [f'a, "{number}"' for number in range(1000)],
        "value": [number / 7 for number in range(1000)],
        "none": pl.Series([None] * 1000, dtype=pl.String),
    }
)


def parted(step: int) -> list[pl.DataFrame]:
    return [TABLE.slice(start, step) for start in range(0, TABLE.height, step)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 300), min_size=1, max_size=10), st.integers(1, 250))
def test_parts_do_not_show(tmp_path_factory: pytest.TempPathFactory, heights: list[int], rows: int) -> None:
    folder = tmp_path_factory.mktemp("parts")
    whole = pl.concat([TABLE] * 3).head(sum(heights))
    stops = [sum(heights[: number + 1]) for number in range(len(heights))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "GROUP_ROWS", rows)
        for name, parts in {
            "whole": [whole],
            "parts": [whole.slice(stop - height, height) for stop, height in zip(stops, heights, strict=True)],
        }.items():
            with ParquetTable(folder / name, TABLE.schema) as file:
                for part in parts:
                    file.add(part)
    assert (folder / "parts").read_bytes() == (folder / "whole").read_bytes()
    assert_frame_equal(pl.read_parquet(folder / "parts"), whole)


@pytest.mark.parametrize("style", [{}, RUSSIAN], ids=["plain", "russian"])
@pytest.mark.parametrize("step", [1000, 333, 1])
def test_csv(tmp_path: Path, step: int, style: dict[str, object]) -> None:
    with CsvTable(tmp_path / "a.csv", TABLE, **style) as file:
        for part in parted(step):
            file.add(part)
    TABLE.write_csv(tmp_path / "b.csv", **style)  # type: ignore[call-overload]
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert file.sha256 == hashlib.sha256((tmp_path / "a.csv").read_bytes()).hexdigest()


def test_csv_without_rows_has_headings(tmp_path: Path) -> None:
    with CsvTable(tmp_path / "a.csv", TABLE):
        pass
    assert (tmp_path / "a.csv").read_text() == "id,text,value,none\n"


def test_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "GROUP_ROWS", 300)
    for step in (1000, 333, 7):
        with ParquetTable(tmp_path / f"{step}.parquet", TABLE.schema) as file:
            for part in parted(step):
                file.add(part)
    assert_frame_equal(pl.read_parquet(tmp_path / "7.parquet"), TABLE)
    assert len({(tmp_path / f"{step}.parquet").read_bytes() for step in (1000, 333, 7)}) == 1


def test_parquet_without_rows(tmp_path: Path) -> None:
    with ParquetTable(tmp_path / "a.parquet", TABLE.schema):
        pass
    assert_frame_equal(pl.read_parquet(tmp_path / "a.parquet"), TABLE.clear())


def test_a_parquet_file_that_cannot_be_written(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"nowhere/a\.parquet: cannot be written: "),
        ParquetTable(tmp_path / "nowhere" / "a.parquet", TABLE.schema) as file,
    ):
        for part in parted(10):
            file.add(part)


def test_an_error_while_rows_are_made_is_the_one_that_is_told(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), ParquetTable(tmp_path / "a.parquet", TABLE.schema) as file:
        file.add(TABLE)
        _ = 1 // 0
