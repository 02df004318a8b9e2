"""Whoever writes the drop writes what people open by double click."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from tests.hostile.bounded import score
from tests.intake.drops import frame, make_drop, write_drop

if TYPE_CHECKING:
    from pathlib import Path

FORMULA = "=cmd|' /C calc'!A0"
CELL = re.compile(r"""(?:^|[,;\t\r\n])[\s"\u200b]*[=+@＝]""")


def cells_that_run(path: Path) -> list[str]:
    return CELL.findall(path.read_text(encoding="utf-8-sig"))


def test_formulas_behind_other_separators_do_not_run(tmp_path: Path) -> None:
    drop = make_drop()
    drop["market_time"][3][1] = f"x;{FORMULA}"
    drop["market_time"][4][1] = f"\u200b{FORMULA}"
    drop["market_money"][5][1] = f"x\n{FORMULA}"
    folder = write_drop(tmp_path / "drop", drop)
    (folder / "market_money.csv").unlink()
    frame(drop["market_money"]).write_parquet(folder / "market_money.parquet")  # where a value may have line ends
    result = score(folder, tmp_path / "out", "--max-rejected", "0.5")
    assert result.code == 0
    written = tmp_path / "out" / "latest" / "rejected.csv"
    assert cells_that_run(written) == []
    values = pl.read_csv(written)["value"].to_list()
    assert values[:3] == [f"x\n'{FORMULA}", f"x;'{FORMULA}", f"'\u200b{FORMULA}"]


def test_long_values_are_cut_and_the_cut_is_marked(tmp_path: Path) -> None:
    drop = make_drop()
    drop["market_time"][3][1] = "Я" * 30_000
    folder = write_drop(tmp_path / "drop", drop)
    result = score(folder, tmp_path / "out", "--max-rejected", "0.5")
    assert result.code == 0
    rejected = pl.read_csv(tmp_path / "out" / "latest" / "rejected.csv")
    assert rejected["value"][0] == f"{'Я' * 500}… (30000 characters)"
