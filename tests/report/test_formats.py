from __future__ import annotations

import pytest

from job.report.formats import compact, count, day, fixed, number, percent, significant

N = "\u00a0"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0"),
        (4.04, "4,04"),
        (0.0585, "0,0585"),
        (6006.66, f"6{N}007"),
        (-1234.6, f"−1{N}235"),
        (123_456, f"123{N}тыс."),
        (1_234_567, f"1,23{N}млн"),
        (2_000_000_000, f"2{N}млрд"),
    ],
)
def test_compact(amount: float, text: str) -> None:
    assert compact(amount) == text


def test_numbers_are_never_broken_between_lines() -> None:
    assert number(1234567) == f"1{N}234{N}567"
    assert percent(0.386) == f"39{N}%"
    assert percent(0.9949) == f"99{N}%"
    assert percent(0.9951) == f"больше 99{N}%"
    assert percent(0.99999, decimals=1) == f"больше 99,9{N}%"
    assert percent(1) == f"100{N}%"
    assert percent(-0.125, decimals=1) == f"−12,5{N}%"


def test_measures_keep_their_zeros() -> None:
    assert fixed(0.92, 3) == "0,920"
    assert fixed(-0.5, 2) == "−0,50"


def test_three_significant_digits() -> None:
    assert [significant(value) for value in (0.012345, 12.345, 1234.5678)] == ["0,0123", "12,3", f"1{N}235"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "клиент"), (2, "клиента"), (5, "клиентов"), (11, "клиентов"), (21, "клиент"), (112, "клиентов")],
)
def test_nouns_agree(value: int, text: str) -> None:
    assert count(value, "клиент", "клиента", "клиентов") == f"{value}{N}{text}"


def test_a_day() -> None:
    assert day("2026-11-22T03:05:00+00:00") == f"22{N}ноября 2026{N}г., 03:05{N}UTC"
    assert day("2026-01-02T23:05:00+03:00") == f"2{N}января 2026{N}г., 23:05"
