"""Small synthetic drops, and every way to write them."""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import polars as pl
import zstandard

from job.intake.drop import wait_for_files
from job.intake.reconcile import Intake, accept_drop
from job.settings import Arrival, Limits
from schemas.columns import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Cell = int | float | str
Rows = list[list[Cell]]
Drop = dict[str, Rows]

FIRST_ID = 215348
CATEGORIES = ("Товары для детей", "Домашний текстиль", "Косметика и аксессуары", "Кухонная посуда")


def make_drop(customers: int = 30, *, labelled: bool = False) -> Drop:
    """Return a clean drop: table -> rows, of which the first is the headings."""
    ids = [FIRST_ID + place for place in range(customers)]
    label = [["Снизилась"], ["Прежний уровень"]] if labelled else [[], []]
    drop: Drop = {
        "market_file": [
            [
                one,
                *label[one % 2],
                ("стандарт", "премиум")[one % 3 == 0],
                ("да", "нет")[one % 4 == 0],
                2.5 + one % 7 * 0.5,
                3 + one % 3,
                100 + one % 900,
                one % 10 / 10,
                CATEGORIES[one % 4],
                1 + one % 6,
                one % 11,
                one % 9,
                2 + one % 13,
            ]
            for one in ids
        ],
        "market_money": [
            [one, month, 0.0 if one % 29 == 0 else 1000.5 + one * 37 % 5000]
            for one in ids
            for month in ("препредыдущий_месяц", "текущий_месяц", "предыдущий_месяц")
        ],
        "market_time": [[one, month, 5 + one % 23] for one in ids for month in ("текущий_месяц", "предыдущий_месяц")],
        "money": [[one, round(0.98 + one % 17 * 0.31, 2)] for one in ids],
    }
    return {
        name: [[h.delivered for h in TABLES[name].expected(labelled=labelled)], *rows] for name, rows in drop.items()
    }


@dataclass(frozen=True)
class Style:
    """One way to write a text table."""

    encoding: str = "utf-8"
    separator: str = ","
    decimal_mark: str = "."
    thousands: str = ""
    line_end: str = "\r\n"
    quoting: Literal[0, 1, 2, 3] = csv.QUOTE_MINIMAL
    mojibake: bool = False
    trailing: int = 0
    whole_as_float: bool = False
    heading: Callable[[str], str] = str

    def cell(self, value: Cell) -> str:
        """Return a value as text."""
        if isinstance(value, str):
            return value
        if self.whole_as_float:
            value = float(value)
        text = f"{value:,}" if value >= 1000 else str(value)
        return text.replace(".", "\0").replace(",", self.thousands).replace("\0", self.decimal_mark)

    def text(self, rows: Rows) -> str:
        """Return a table as text."""
        stream = io.StringIO()
        writer = csv.writer(stream, delimiter=self.separator, lineterminator=self.line_end, quoting=self.quoting)
        extra = [""] * self.trailing
        writer.writerow([*(self.heading(str(cell)) for cell in rows[0]), *extra])
        writer.writerows([*(self.cell(cell) for cell in row), *extra] for row in rows[1:])
        return stream.getvalue()

    def bytes(self, rows: Rows) -> bytes:
        """Return a table as a file's bytes."""
        text = self.text(rows)
        if self.mojibake:
            text = make_mojibake(text)
        return text.encode(self.encoding)


def make_mojibake(text: str) -> str:
    """Return what a program shows that takes the text's UTF-8 for cp1251."""
    return b"".join(bytes([byte]) for byte in text.encode()).decode("cp1251", errors="mojibake_hole")


def _hole(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "\x98", error.end


__import__("codecs").register_error("mojibake_hole", _hole)

EXCEL_RU = Style(encoding="cp1251", separator=";", decimal_mark=",")
STYLES: Mapping[str, Style] = {
    "plain": Style(),
    "lf": Style(line_end="\n"),
    "cr": Style(line_end="\r"),
    "utf-8-bom": Style(encoding="utf-8-sig", separator=";", decimal_mark=","),
    "cp1251": EXCEL_RU,
    "utf-16": Style(encoding="utf-16", separator="\t", decimal_mark=","),
    "utf-16-le-without-bom": Style(encoding="utf-16-le", separator="\t", decimal_mark=","),
    "utf-16-be-without-bom": Style(encoding="utf-16-be", separator="\t"),
    "tab": Style(separator="\t"),
    "comma-decimals-in-quotes": Style(decimal_mark=","),
    "thousands-spaces": Style(separator=";", decimal_mark=",", thousands=" "),
    "thousands-no-break-spaces": Style(encoding="cp1251", separator=";", decimal_mark=",", thousands="\u00a0"),
    "thousands-narrow-spaces": Style(separator=";", decimal_mark=",", thousands="\u202f"),
    "quoted": Style(quoting=csv.QUOTE_ALL),
    "mojibake": Style(mojibake=True),
    "mojibake-bom": Style(encoding="utf-8-sig", mojibake=True, separator=";", decimal_mark=","),
    "headings": Style(heading=lambda heading: f"  {heading.upper().replace('_', ' ')} "),
    "headings-yo": Style(heading=lambda heading: heading.replace("е", "ё").replace(" ", "_")),
    "trailing-separators": Style(separator=";", decimal_mark=",", trailing=3),
    "whole-as-float": Style(whole_as_float=True),
    "whole-as-float-comma": Style(whole_as_float=True, separator=";", decimal_mark=","),
}


def write_drop(folder: Path, drop: Drop, style: Style = Style(), ending: str = ".csv") -> Path:
    """Write a drop as text, packed if the ending says so; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in drop.items():
        (folder / f"{name}{ending}").write_bytes(pack(style.bytes(rows), ending))
    return folder


def pack(raw: bytes, ending: str) -> bytes:
    """Pack bytes as the file's ending says."""
    if ending.endswith(".gz"):
        return gzip.compress(raw, mtime=0)
    if ending.endswith(".zst"):
        return zstandard.ZstdCompressor().compress(raw)
    return raw


def frame(rows: Rows) -> pl.DataFrame:
    """Return a table as delivered, with the dtypes that its cells have."""
    headings = [str(cell) for cell in rows[0]]
    return pl.DataFrame(rows[1:], schema=headings, orient="row", infer_schema_length=None)


def write_parquet_drop(folder: Path, drop: Drop, **change: Any) -> Path:
    """Write a drop as Parquet; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in drop.items():
        frame(rows).write_parquet(folder / f"{name}.parquet", **change)
    return folder


def take(folder: Path, *, labelled: bool = False, limits: Limits = Limits()) -> Intake:  # noqa: B008
    """Take a drop in, as the job does."""
    return accept_drop(wait_for_files(folder, Arrival()), labelled=labelled, limits=limits)
