from __future__ import annotations

import pytest

from job.text_table import align, table


def test_words_stand_left_and_numbers_right() -> None:
    rows = [("money.csv", "1,300", "0.5%"), ("market_file.csv", "7", "-12%")]
    assert align(("file", "rows", "share"), rows, indent="") == [
        "file              rows  share",
        "money.csv        1,300   0.5%",
        "market_file.csv      7   -12%",
    ]


def test_no_rows_leave_the_headings() -> None:
    assert align(("file", "rows"), [], indent="  ") == ["  file  rows"]


def test_a_cell_of_something_unknown_says_so() -> None:
    columns = {
        "name": "{name}",
        "share": "{low:.0%} to {high:.0%}",
        "net": "{worth[net]:,}",
        "twice": lambda row: 2 * row["name"],
    }
    known = {"name": "a", "low": 0.1, "high": 0.2, "worth": {"net": 1300}}
    assert table(columns, [known, {**known, "high": None}, {**known, "worth": None}]) == [
        "    name  share       net    twice",
        "    a     10% to 20%  1,300  aa",
        "    a     -           1,300  aa",
        "    a     10% to 20%  -      aa",
    ]


def test_a_mistake_of_a_function_is_no_unknown_value() -> None:
    with pytest.raises(TypeError):
        table({"sum": lambda row: row["a"] + 1}, [{"a": None}])
