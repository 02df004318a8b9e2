import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_series_equal

from job.errors import DropError
from job.intake.numbers import MISSING, NumberStyle, is_missing, parse_number, recognise_style
from schemas.columns import Kind


def parse(values: list[str | None], kind: Kind, mark: str = ".") -> list[float | int | None]:
    frame = pl.DataFrame({"text": values}, schema={"text": pl.String})
    return frame.select(parse_number(pl.col("text"), kind, mark)).to_series().to_list()


def style(*values: str, may_group: str = ",.") -> NumberStyle:
    return recognise_style("money.csv", [pl.Series("x", values, dtype=pl.String)], may_group=may_group)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5.0),
        ("+5", 5.0),
        ("-5", -5.0),
        ("-0", 0.0),
        ("0.5", 0.5),
        ("1 234.5", 1234.5),
        ("1\u00a0234\u202f567", 1234567.0),
        ("1e5", 1e5),
        ("1.5E-05", 1.5e-05),
        ("1e400", math.inf),  # refused by the rule that it is finite
        ("1e-400", 0.0),
    ],
)
def test_number(text: str, number: float) -> None:
    assert parse([text], Kind.NUMBER) == [number]


def test_negative_zero_is_zero() -> None:
    (zero,) = parse(["-0.0"], Kind.NUMBER)
    assert math.copysign(1, zero or 0) == 1


@pytest.mark.parametrize(
    "text",
    [
        *MISSING,
        "inf",
        "-inf",
        "1,5",
        "٣",
        "１２",
        "0x10",
        "1_000",
        ".",
        "1.2.3",
        "1 23",
        "12 34",
        "0 123",
        "1  234",
        "1,234.5",
        "да",
        "5 5",
        "--5",
        "+-5",
        "5%",
        "1e",
        "10.11.2026",
        "5\x00",
        "5\n",
    ],
)
def test_not_a_number(text: str) -> None:
    assert parse([text], Kind.NUMBER) == [None]
    assert parse([text], Kind.WHOLE) == [None]
    assert parse([text], Kind.IDENTIFIER) == [None]


@pytest.mark.parametrize(
    ("text", "whole", "identifier"),
    [
        ("5", 5, 5),
        ("5.0", 5, 5),
        ("5.000", 5, 5),
        ("5.5", None, None),
        ("+5", 5, 5),
        ("-5", -5, -5),
        ("-0", 0, None),
        ("0", 0, None),
        ("007", 7, None),
        ("1 234", 1234, 1234),
        ("1e3", None, None),
        ("9223372036854775807", 2**63 - 1, 2**63 - 1),
        ("9223372036854775808", None, None),
        ("9" * 400, None, None),
    ],
)
def test_whole_number(text: str, whole: int | None, identifier: int | None) -> None:
    assert parse([text], Kind.WHOLE) == [whole]
    assert parse([text], Kind.IDENTIFIER) == [identifier]


def test_null_stays_null() -> None:
    assert parse([None], Kind.NUMBER) == [None]


def grouped(text: str, space: str, mark: str) -> str:
    whole, _, rest = text.partition(".")
    return f"{int(whole):,}".replace(",", space) + (mark + rest if rest else "")


@given(
    st.floats(min_value=-1e12, max_value=1e12).map(lambda value: value + 0.0),
    st.sampled_from(".,"),
    st.sampled_from(["", " ", "\u00a0", "\u202f", "\u2009", "\u2007"]),
)
def test_any_number_is_read_back(number: float, mark: str, space: str) -> None:
    text = repr(number)
    written = text.replace(".", mark) if "e" in text or text.startswith("-0") else grouped(text, space, mark)
    assert parse([written], Kind.NUMBER, mark) == [number]


@given(st.text(max_size=12))
def test_any_text_is_a_number_or_not(text: str) -> None:
    (found,) = parse([text], Kind.NUMBER)
    if found is not None:
        assert text.isascii() or any(space in text for space in "\u00a0\u2007\u2009\u202f")


def test_missing() -> None:
    values = pl.Series("text", ["", "-", "NaN", "NULL", "None", "#Н/Д", "0", "x", None])
    found = values.to_frame().select(is_missing(pl.col("text"))).to_series()
    assert_series_equal(found, pl.Series("text", [True] * 6 + [False, False, True]))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1.5", "2"], NumberStyle(".", thousands_spaces=False)),
        (["1,5", "2"], NumberStyle(",", thousands_spaces=False)),
        (["1 234,5"], NumberStyle(",", thousands_spaces=True)),
        (["1 234", "5"], NumberStyle(None, thousands_spaces=True)),
        (["5", "да", "", "1.2.3"], NumberStyle(None, thousands_spaces=False)),
        (["1,234", "0,980"], NumberStyle(",", thousands_spaces=False)),
        (["1.5"] * 95 + ["1,5"] * 5, NumberStyle(".", thousands_spaces=False)),
        (["٣,٣"], NumberStyle(None, thousands_spaces=False)),
    ],
)
def test_style(values: list[str], expected: NumberStyle) -> None:
    assert style(*values) == expected


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["1.5", "1,5"], "1 like 1.5 and 1 like 1,5, expected numbers with one decimal mark"),
        (["1.5"] * 94 + ["1,5"] * 6, "94 like 1.5 and 6 like 1,5, expected numbers with one decimal mark"),
        (["1,234", "12,500"], "2 like 1,234, which may be thousands, expected numbers with a clear decimal mark"),
        (["1,234,567"], "1 like 1,234,567, which may be thousands, expected numbers with a clear decimal mark"),
        (["1.234", "5"], "1 like 1.234, which may be thousands, expected numbers with a clear decimal mark"),
    ],
)
def test_style_in_doubt(values: list[str], found: str) -> None:
    with pytest.raises(DropError) as caught:
        style(*values)
    assert caught.value.problems == (f"money.csv: found {found}",)


def test_points_are_not_in_doubt_between_commas() -> None:
    assert style("1.234", may_group=",") == NumberStyle(".", thousands_spaces=False)


def test_a_decimal_mark_may_stand_first_or_last() -> None:
    assert parse([".5", "-.5", "5.", "5.e1"], Kind.NUMBER) == [0.5, -0.5, 5.0, 50.0]


def test_what_is_too_large_is_infinite_and_not_let_pass_by_the_rules() -> None:
    assert parse(["1e5000"], Kind.NUMBER) == [float("inf")]


def test_zero_has_no_sign() -> None:
    for texts in (["-0.0"], ["0.0", "-0.0", "-0", "1.5"]):
        assert [math.copysign(1, value) for value in parse(texts, Kind.NUMBER)] == [1.0] * len(texts)
