"""Numbers and nouns in Russian."""

from __future__ import annotations

import pytest

from job.russian import noun, number, percent

PAGES = ("страница", "страницы", "страниц")


@pytest.mark.parametrize(
    ("value", "decimals", "signed", "text"),
    [
        (4972.4, 0, False, "4 972"),
        (1234567.0, 2, False, "1 234 567"),
        (2.5, 1, False, "2,5"),
        (2.0, 1, False, "2"),
        (-1200.25, 2, False, "−1 200,25"),
        (3, 0, True, "+3"),
        (-0.4, 0, True, "0"),
        (0.4, 0, True, "0"),
    ],
)
def test_number(value: float, decimals: int, signed: bool, text: str) -> None:  # noqa: FBT001 - a case
    assert number(value, decimals=decimals, signed=signed) == text


def test_percent() -> None:
    assert [percent(0.885), percent(0.125, decimals=1), percent(-0.07, signed=True)] == ["88 %", "12,5 %", "−7 %"]


@pytest.mark.parametrize(
    ("form", "values"),
    [
        ("страница", [1, 21, 101, 1.04]),
        ("страницы", [2, 3, 4, 22, 104, 2.5, 0.5]),
        ("страниц", [0, 5, 10, 11, 12, 14, 19, 20, 111, 112]),
    ],
)
def test_noun(form: str, values: list[float]) -> None:
    assert {noun(value, PAGES, decimals=1) for value in values} == {form}


@pytest.mark.parametrize(
    ("value", "decimals", "signed", "text"),
    [(-8, 1, True, "\u22128,0"), (0.6, 2, True, "+0,60"), (-0.04, 1, True, "0,0"), (1234.5, 2, False, "1 234,50")],
)
def test_all_decimals_where_a_column_needs_them(value: float, decimals: int, *, signed: bool, text: str) -> None:
    assert number(value, decimals=decimals, signed=signed, is_fixed=True) == text
