"""Hostile drops: each shape makes one that has as much of it as is asked for."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import polars as pl
import zstandard

from tests.intake.drops import FIRST_ID, STYLES, Drop, Rows, frame, make_drop, write_drop

MIB = 1 << 20
Shape = Callable[[Path], None]


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=19).compress(content)


def copies_in_parts(
    folder: Path, *, parts: int = 8, pack: Callable[[bytes], bytes] = gzip.compress, size: int = 60 * MIB
) -> None:
    """Write parts of few KB, each of which unpacks to copies of one row below what is free for a whole drop."""
    whole = (folder / "market_money.csv").read_bytes()
    (folder / "market_money.csv").unlink()
    (folder / "market_money").mkdir()
    (folder / "market_money" / "a.csv").write_bytes(whole)
    headings, row = whole.splitlines(keepends=True)[:2]
    packed = pack(headings + row * (size // len(row)))
    ending = "gz" if pack is gzip.compress else "zst"
    for number in range(parts):
        (folder / "market_money" / f"p{number}.csv.{ending}").write_bytes(packed)


def copies_in_one_file(folder: Path) -> None:
    """Write 60 MiB of copies of one row."""
    path = folder / "market_money.csv"
    headings, row = path.read_bytes().splitlines(keepends=True)[:2]
    path.write_bytes(headings + row * (60 * MIB // len(row)))


def wide_words(folder: Path, *, copies: int = 800) -> None:
    """Write a Parquet file of some KB whose texts have more than a GB."""
    table = frame(make_drop()["market_file"])
    (folder / "market_file.csv").unlink()
    table = pl.concat([table] * copies).with_columns(
        pl.int_range(FIRST_ID, FIRST_ID + copies * table.height).alias("id"),
        pl.lit("Я" * 30_000).alias("Популярная_категория"),
    )
    table.write_parquet(folder / "market_file.parquet", compression="zstd")


def some_wide_words(folder: Path) -> None:
    """Write a Parquet file with as many long texts as are free for a drop."""
    table = frame(make_drop(200)["market_file"])
    (folder / "market_file.csv").unlink()
    table = table.with_columns(pl.lit("Я" * 30_000).alias("Популярная_категория"))
    table.write_parquet(folder / "market_file.parquet", compression="zstd")


def long_lines(folder: Path, *, lines: int = 200) -> None:
    """Write lines as long as lines may be, none of which is a row."""
    path = folder / "money.csv"
    packed = zstd(path.read_bytes() + (b'"' + b"x" * 65_000 + b'"\n') * lines)
    path.unlink()
    path.with_suffix(".csv.zst").write_bytes(packed)


def blank_lines(folder: Path, *, lines: int = 15 * MIB) -> None:
    """Write nothing but line ends."""
    path = folder / "money.csv"
    packed = gzip.compress(path.read_bytes() + b"\n" * lines)
    path.unlink()
    path.with_suffix(".csv.gz").write_bytes(packed)


def repeated_rows(folder: Path, *, rows: int = 200_000) -> None:
    """Write a Parquet file of few KB with rows that all say the same."""
    table = frame(make_drop()["money"])
    (folder / "money.csv").unlink()
    pl.concat([table, *[table.head(1)] * 1000] * (rows // 1000)).write_parquet(
        folder / "money.parquet", compression="zstd"
    )


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


def quoted_lines(folder: Path) -> None:
    """Quote every field of some thousand customers."""
    write_drop(folder, make_drop(8_000), STYLES["quoted"])


def tiny_parts(folder: Path, *, parts: int = 1_000) -> None:
    """Write parts of one row each."""
    path = folder / "money.csv"
    headings, *rows = path.read_bytes().splitlines(keepends=True)
    path.unlink()
    (folder / "money").mkdir()
    for number in range(parts):
        (folder / "money" / f"{number}.csv").write_bytes(headings + rows[number % len(rows)])


# What grows with the customers of a drop: table and rows -> rows.


def _spelt(rows: Rows) -> Rows:
    """Misspell each category in a way of its own."""
    chance = random.Random(1)  # noqa: S311 - no secret
    for row in rows:
        word = list(str(row[7]))
        word[chance.randrange(len(word))] = chr(0x4E00 + chance.randrange(20_000))
        row[7] = "".join(word)
    return rows


def _with(place: int, make: Callable[[int], object]) -> Callable[[Rows], Rows]:
    def change(rows: Rows) -> Rows:
        for number, row in enumerate(rows):
            row[place] = make(number)  # type: ignore[call-overload]
        return rows

    return change


def _contradicted(rows: Rows) -> Rows:
    return [row for one in rows for row in (one, [*one[:5], int(one[5]) + 1, *one[6:]])]


def _doubled(rows: Rows) -> Rows:
    return rows + rows


CHANGES: dict[str, Callable[[Rows], Rows]] = {
    "as they are": lambda rows: rows,
    "misspelt": _spelt,
    "unknown words": _with(7, "Категория{}".format),
    "nothing a number": _with(5, "x{}".format),
    "long numbers": _with(5, lambda _: "9" * 4_000),
    "contradicting": _contradicted,
    "doubled": _doubled,
}
"""What becomes of the rows of `market_file`, for as many customers as are asked for."""


def drop_of(change: str, customers: int) -> Drop:
    drop = make_drop(customers)
    headings, *rows = drop["market_file"]
    return {**drop, "market_file": [headings, *CHANGES[change](rows)]}


def write_shape(name: str, size: int, folder: Path) -> Path:
    """Write a drop of a shape that grows, so large."""
    if name in CHANGES:
        return write_drop(folder, drop_of(name, size))
    if name in STYLES:
        return write_drop(folder, make_drop(size), STYLES[name])
    write_drop(folder, make_drop())
    GROWING[name](folder, size)
    return folder


GROWING: dict[str, Callable[[Path, int], None]] = {
    "copies in parts": lambda folder, size: copies_in_parts(folder, parts=size // 400),
    "copies in zstd parts": lambda folder, size: copies_in_parts(folder, parts=size // 400, pack=zstd),
    "copies in one part": lambda folder, size: copies_in_parts(folder, parts=1, size=size * 1_000),
    "rows of one customer": lambda folder, size: copies_in_parts(folder, parts=1, size=size * 20),
    "wide words": lambda folder, size: wide_words(folder, copies=size // 30),
    "long lines": lambda folder, size: long_lines(folder, lines=size // 50),
    "blank lines": lambda folder, size: blank_lines(folder, lines=size * 500),
    "repeated rows": lambda folder, size: repeated_rows(folder, rows=size * 100),
    "tiny parts": lambda folder, size: tiny_parts(folder, parts=size // 10),
}
"""What is added to a small drop, so much of it."""

SHAPES = (*CHANGES, "quoted", "mojibake", "utf-16", *GROWING)
