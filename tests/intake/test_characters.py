"""What looks the same is taken for the same; what cannot be told is named."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.intake.characters import (
    INVISIBLE,
    name_odd_character,
    plain_spelling,
    with_plain_minus,
    without_invisible,
)
from job.intake.repair import repair_words
from schemas.columns import TABLES
from schemas.vocabulary import Words

LATIN = str.maketrans("аАВсСеЕНкКМоОрРТхХуУ", "aABcCeEHkKMoOpPTxXyY")
VOCABULARIES = [heading.words for table in TABLES.values() for heading in table.headings if heading.words is not None]
HEADINGS = [[heading.delivered for heading in table.headings] for table in TABLES.values()]


def disguised(text: str, choices: st.DataObject) -> str:
    """Return a text with some letters of Latin and some characters that are not seen."""
    letters = [choices.draw(st.sampled_from((letter, letter.translate(LATIN)))) for letter in text]
    return "".join(letter + choices.draw(st.sampled_from(("", "", "", *INVISIBLE[:10]))) for letter in letters)


@given(words=st.sampled_from(VOCABULARIES), choices=st.data())
def test_a_disguised_word_is_the_word_and_no_other(words: Words, choices: st.DataObject) -> None:
    word = choices.draw(st.sampled_from(list(words.values)))
    value = disguised(word, choices)
    assert repair_words([value], words) == {value: word}


@given(headings=st.sampled_from(HEADINGS), choices=st.data())
def test_a_disguised_heading_is_the_heading_and_no_other(headings: list[str], choices: st.DataObject) -> None:
    heading = choices.draw(st.sampled_from(headings))
    looks = plain_spelling(disguised(heading, choices))
    assert [other for other in headings if plain_spelling(other) == looks] == [heading]


def test_plain_spelling() -> None:
    assert plain_spelling(" Сре\u0301дний__Ёж \u00a0") == plain_spelling("сре\u0301дний_еж")
    assert plain_spelling("и\u0306") == "й"
    assert plain_spelling("Тип\r\nсервиса") == plain_spelling("тип сервиса")
    assert plain_spelling("да") != plain_spelling("нет")


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        ("Cтраниц_за_визит", "U+0043 LATIN CAPITAL LETTER C"),
        ("стандарт", None),
        ("id_клиента", None),
        ("VIP клиент", None),
        ("да\u200b", "U+200B ZERO WIDTH SPACE"),
        ("по\u00adсуда", "U+00AD SOFT HYPHEN"),
        ("1\u00a0234,5", "U+00A0 NO-BREAK SPACE"),
        ("\u22125", "U+2212 MINUS SIGN"),
        ("9000О1", "U+041E CYRILLIC CAPITAL LETTER O"),
        ("9000l1", "U+006C LATIN SMALL LETTER L"),
        ("9.00001E+05", None),
        ("5\u066b5", "U+066B ARABIC DECIMAL SEPARATOR"),
        ("٣", "U+0663 ARABIC-INDIC DIGIT THREE"),
        ("１２", "U+FF11 FULLWIDTH DIGIT ONE"),
        ("a\tb", "U+0009 a control character"),
        ("\ufffd", "U+FFFD REPLACEMENT CHARACTER"),
        ("2 года", None),
        ("=cmd()", None),
        ("", None),
    ],
)
def test_name_odd_character(text: str, odd: str | None) -> None:
    assert name_odd_character(text) == odd


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        *((f"{minus}5", "-5") for minus in "-\u02d7\u2010\u2011\u2012\u2013\u2043\u207b\u2212\u2796\ufe63\uff0d"),
        ("\u2212 5", "-5"),
        ("\u2212\u202f1\u00a0234,5", "-1\u00a0234,5"),
        ("\u2212,5", "-,5"),
        ("\u200b\u22125\u2060", "-5"),
        ("\u20145", "\u20145"),
        ("\u2013", "\u2013"),
        ("--5", "--5"),
        ("5-", "5-"),
        ("2026\u201311\u201301", "2026\u201311\u201301"),
    ],
)
def test_minus_signs(text: str, plain: str) -> None:
    frame = pl.DataFrame({"text": [text]})
    assert frame.select(with_plain_minus(without_invisible(pl.col("text")))).item() == plain
