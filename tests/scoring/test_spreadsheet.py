"""Files that people open: right for a Russian Excel, and nothing in them runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from job.scoring.spreadsheet import RUSSIAN, cells, cells_of_words, without_formulas
from job.scoring.tables import CsvTable

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+x",
        "-x",
        "@SUM(A1)",
        " =1",
        "-1+1",
        "+7 900",
        "|cmd",
        "%x",
        "-2,5,",
        "＝1",
        "－x",
        "﹢x",
        "＠x",
        "\u200b=1",
        "\ufeff\u00a0=1",
        '"=1"',
        '""=1',
    ],
)
def test_formulas_are_escaped(text: str) -> None:
    assert_frame_equal(without_formulas(pl.DataFrame({"a": [text]})), pl.DataFrame({"a": [f"'{text}"]}))


@pytest.mark.parametrize("end", [*";,|\t\r\n\v\f\x85\u2028\u2029", "x;", "1;2;", "\r\n", ";\n"])
@pytest.mark.parametrize("unseen", ["", " ", "\u200b\u2060", '"', "\ufe0f"])
@pytest.mark.parametrize("sign", "=+-@%|＝＋－＠")
def test_formulas_are_escaped_behind_whatever_separates(end: str, unseen: str, sign: str) -> None:
    shown = without_formulas(pl.DataFrame({"a": [f"x{end}{unseen}{sign}cmd|' /C calc'!A0"]})).item()
    assert f"{end}'{unseen}{sign}cmd|' /C calc'!A0" in shown


@pytest.mark.parametrize("text", ["-1", "+2,5", "-0.5", "12", "всего 2 страницы", "a=1", "", None])
def test_other_text_stays(text: str | None) -> None:
    frame = pl.DataFrame({"a": [text]}, schema={"a": pl.String})
    assert_frame_equal(without_formulas(frame), frame)


def test_numbers_stay() -> None:
    frame = pl.DataFrame({"a": [-1], "b": [-1.5], "c": [True]})
    assert_frame_equal(without_formulas(frame), frame)


def test_russian_csv(tmp_path: Path) -> None:
    texts, other = pl.Series("Текст", ["один; два", "=2"]), pl.Series("Ещё", ["a", None], dtype=pl.Categorical)
    amounts = pl.Series("Число", [1.5, -1234.567])
    shown = pl.DataFrame([pl.Series("id", [1, 2]), cells(texts), amounts, *cells_of_words(other.to_frame())])
    with CsvTable(tmp_path / "a.csv", shown, **RUSSIAN) as file:
        file.add(shown)
    assert (tmp_path / "a.csv").read_bytes() == (
        b"\xef\xbb\xbf" + 'id;Текст;Число;Ещё\r\n1;"один; два";1,50;a\r\n2;\'=2;-1234,57;\r\n'.encode()
    )


def test_cells_are_quoted_where_they_hold_what_ends_one() -> None:
    texts = pl.Series("a", ["x", "1;2", 'a "b"', "a\r\nb", "=1;2", None, "1,2"])
    quoted = ["x", '"1;2"', '"a ""b"""', '"a\r\nb"', '"\'=1;2"', None, "1,2"]
    assert cells(texts).to_list() == quoted
    assert cells_of_words(texts.cast(pl.Categorical).to_frame())["a"].to_list() == quoted
    assert cells_of_words(texts.cast(pl.Categorical).clear().to_frame()).is_empty()
