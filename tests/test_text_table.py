from __future__ import annotations

from job.text_table import align


def test_words_stand_left_and_numbers_right() -> None:
    rows = [("money.csv", "1,300", "0.5%"), ("market_file.csv", "7", "-12%")]
    assert align(("file", "rows", "share"), rows, indent="") == [
        "file              rows  share",
        "money.csv        1,300   0.5%",
        "market_file.csv      7   -12%",
    ]


def test_no_rows_leave_the_headings() -> None:
    assert align(("file", "rows"), [], indent="  ") == ["  file  rows"]
