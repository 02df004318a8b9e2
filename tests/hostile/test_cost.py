"""What a small file may cost: whatever is not refused stays below --memory-limit."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import zstandard

from tests.hostile.bounded import score
from tests.intake.drops import FIRST_ID, frame, make_drop, write_drop

LIMIT_MIB = 384
MIB = 1 << 20


def copies_in_parts(folder: Path, *, parts: int = 8, pack: Callable[[bytes], bytes] = gzip.compress) -> None:
    """Write parts of few KB, each of which unpacks to copies of one row below what is free for a whole drop."""
    whole = (folder / "market_money.csv").read_bytes()
    (folder / "market_money.csv").unlink()
    (folder / "market_money").mkdir()
    (folder / "market_money" / "a.csv").write_bytes(whole)
    headings, row = whole.splitlines(keepends=True)[:2]
    packed = pack(headings + row * (60 * MIB // len(row)))
    ending = "gz" if pack is gzip.compress else "zst"
    for number in range(parts):
        (folder / "market_money" / f"p{number}.csv.{ending}").write_bytes(packed)


def copies_in_one_file(folder: Path) -> None:
    """Write 60 MiB of copies of one row."""
    path = folder / "market_money.csv"
    headings, row = path.read_bytes().splitlines(keepends=True)[:2]
    path.write_bytes(headings + row * (60 * MIB // len(row)))


def wide_words(folder: Path) -> None:
    """Write a Parquet file of some KB whose texts have more than a GB."""
    table = frame(make_drop()["market_file"])
    (folder / "market_file.csv").unlink()
    table = pl.concat([table] * 800).with_columns(
        pl.int_range(FIRST_ID, FIRST_ID + 800 * table.height).alias("id"),
        pl.lit("Я" * 30_000).alias("Популярная_категория"),
    )
    table.write_parquet(folder / "market_file.parquet", compression="zstd")


def some_wide_words(folder: Path) -> None:
    """Write a Parquet file with as many long texts as are free for a drop."""
    table = frame(make_drop(200)["market_file"])
    (folder / "market_file.csv").unlink()
    table = table.with_columns(pl.lit("Я" * 30_000).alias("Популярная_категория"))
    table.write_parquet(folder / "market_file.parquet", compression="zstd")


def long_lines(folder: Path) -> None:
    """Write lines as long as lines may be, none of which is a row."""
    path = folder / "money.csv"
    packed = zstandard.ZstdCompressor().compress(path.read_bytes() + (b'"' + b"x" * 65_000 + b'"\n') * 200)
    path.unlink()
    path.with_suffix(".csv.zst").write_bytes(packed)


def blank_lines(folder: Path) -> None:
    """Write nothing but line ends."""
    path = folder / "money.csv"
    packed = gzip.compress(path.read_bytes() + b"\n" * (15 * MIB))
    path.unlink()
    path.with_suffix(".csv.gz").write_bytes(packed)


def repeated_rows(folder: Path) -> None:
    """Write a Parquet file of few KB with a million rows that all say the same."""
    table = frame(make_drop()["money"])
    (folder / "money.csv").unlink()
    rows = pl.concat([table, pl.concat([table.head(1)] * 1000)])
    pl.concat([rows] * 200).write_parquet(folder / "money.parquet", compression="zstd")


def wide_window(folder: Path) -> None:
    """Pack with the largest window that a reader may be asked for."""
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=27)
    path = folder / "market_money.csv"
    headings, *rows = path.read_bytes().splitlines(keepends=True)
    packed = zstandard.ZstdCompressor(compression_params=parameters).compress(
        headings + b"".join(b"\xd0\x96" * 50 + row for row in rows * 60)
    )
    path.unlink()
    path.with_suffix(".csv.zst").write_bytes(packed)


@pytest.mark.parametrize(
    ("shape", "problem"),
    [
        (copies_in_parts, "expected at most 100 times its size unpacked"),
        (copies_in_one_file, "expected at most 10,000 rows of one customer"),
        (wide_words, "expected texts of at most 32 times its size"),
        (some_wide_words, None),
        (long_lines, None),
        (blank_lines, None),
        (repeated_rows, "expected at most 10,000 rows of one customer"),
        (wide_window, None),
    ],
)
def test_peak_stays_below_the_limit(shape: Callable[[Path], None], problem: str | None, tmp_path: Path) -> None:
    folder = write_drop(tmp_path / "drop", make_drop())
    shape(folder)
    result = score(folder, tmp_path / "out", "--memory-limit", LIMIT_MIB, "--max-rejected", "1", "--max-unknown", "1")
    assert result.peak <= LIMIT_MIB * MIB, f"{result.peak / MIB:.0f} MiB"
    assert result.code in (0, 3), result.lines
    if problem is not None:
        assert problem in result.lines[0], result.lines


def test_many_spellings_make_a_short_manifest(tmp_path: Path) -> None:
    drop = make_drop(3_000)
    chance = random.Random(1)  # noqa: S311 - no secret
    for row in drop["market_file"][1:]:
        word = list(str(row[7]))
        word[chance.randrange(len(word))] = chr(0x4E00 + chance.randrange(20_000))
        row[7] = "".join(word)
    result = score(write_drop(tmp_path / "drop", drop), tmp_path / "out")
    assert result.code == 0
    manifest = json.loads((tmp_path / "out" / "latest" / "manifest.json").read_bytes())
    assert len(manifest["repairs"]) == 1_000
    assert any("spellings were repaired; the 1,000 most frequent are listed" in line for line in manifest["warnings"])
