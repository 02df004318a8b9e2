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
from job.scoring.tables import CsvTable, ParquetTable, even_parts

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


@settings(max_examples=50)
@given(st.lists(st.integers(0, 30), max_size=10), st.integers(1, 25))
def test_even_parts(heights: list[int], rows: int) -> None:
    given_parts = [pl.DataFrame({"a": range(height)}) for height in heights]
    found = list(even_parts(given_parts, rows))
    assert [part.height for part in found[:-1]] == [rows] * (len(found) - 1)
    assert all(0 < part.height <= rows for part in found)
    if found:
        assert_frame_equal(pl.concat(found), pl.concat(given_parts))
    else:
        assert not sum(heights)


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
