import string

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_series_equal

from job.intake.repair import SHORTEST_FOR_EDITS, name_words, nearest, repair_words
from schemas.vocabulary import ACTIVITY, CATEGORY, CONSENT, MONTHS_OF_REVENUE, SERVICE_TYPE, Words

ALL = (ACTIVITY, CATEGORY, CONSENT, MONTHS_OF_REVENUE, SERVICE_TYPE)
LETTERS = "абвгдежзийклмнопрстуфхцчшщъыьэюя" + string.ascii_lowercase

vocabularies = st.sampled_from(ALL)


@st.composite
def one_edit(draw: st.DrawFn) -> tuple[str, str, Words]:
    """A word, the same after one edit, and its vocabulary."""
    words = draw(vocabularies)
    word = draw(st.sampled_from([word for word in words.values if len(word) >= SHORTEST_FOR_EDITS] or ["да"]))
    at = draw(st.integers(0, len(word) - 1))
    letter = draw(st.sampled_from(LETTERS))
    edits = [word[:at] + letter + word[at:], word[:at] + letter + word[at + 1 :], word[:at] + word[at + 1 :]]
    swapped = word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :]
    return word, draw(st.sampled_from([*edits, swapped])), words


@given(one_edit())
def test_one_edit_from_exactly_one_word_is_repaired(case: tuple[str, str, Words]) -> None:
    word, edited, words = case
    if words is not CONSENT:
        assert repair_words([edited], words) == {edited: word}


@given(st.text(max_size=40), vocabularies)
def test_any_text_is_repaired_to_a_word_or_not_at_all(text: str, words: Words) -> None:
    assert set(repair_words([text], words).values()) <= set(words.values)


@pytest.mark.parametrize("words", ALL)
def test_vocabulary_and_known_misspellings(words: Words) -> None:
    assert repair_words([*words.values, *words.misspellings], words) == {
        **{word: word for word in words.values},
        **words.misspellings,
    }


@pytest.mark.parametrize("words", ALL)
def test_no_word_is_near_another(words: Words) -> None:
    for word in words.values:
        assert nearest(word, tuple(other for other in words.values if other != word)) is None


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("ДА", "да"),
        ("Да", "да"),
        ("даа", "да"),
        ("не", None),
        ("на", None),
        ("д", None),
        ("нет.", None),
        ("yes", None),
        ("", None),
    ],
)
def test_consent_is_not_guessed(value: str, word: str | None) -> None:
    assert nearest(value, tuple(CONSENT.values)) == word


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("Текущий месяц", "текущий_месяц"),
        ("текущий__месяц", "текущий_месяц"),
        ("тёкущий_мёсяц", "текущий_месяц"),
        ("теккущий_месяц", "текущий_месяц"),
        ("текущиймесяц", "текущий_месяц"),
        ("предыдущий_месяц", "предыдущий_месяц"),
        ("препредидущий месяц", "препредыдущий_месяц"),
        ("предпредыдущий_месяц", "препредыдущий_месяц"),
        ("прошлый_месяц", None),
        ("current_month", None),
        ("текущий_месяцтекущий_месяц", None),
    ],
)
def test_months(value: str, word: str | None) -> None:
    assert nearest(value, tuple(MONTHS_OF_REVENUE.values)) == word


def test_a_left_out_word_of_one_letter_is_one_edit() -> None:
    word = "Мелкая бытовая техника и электроника"
    assert nearest("Мелкая бытовая техника  электроника", tuple(CATEGORY.values)) == word


def test_nothing_is_repaired_when_two_words_are_near() -> None:
    assert nearest("хлебы", ("хлеба", "хлебу")) is None


def test_long_texts_are_not_compared() -> None:
    assert repair_words(["да" * 20_000], CONSENT) == {}


def test_names() -> None:
    text = pl.Series("text", ["да", "ДА", "yes", "", None])
    spelling = repair_words(text.drop_nulls(), CONSENT)
    found = text.to_frame().select(name_words(pl.col("text"), spelling, CONSENT)).to_series()
    assert_series_equal(found, pl.Series("text", ["yes", "yes", None, None, None], dtype=CONSENT.dtype))


def test_unknown_categories_are_named_so() -> None:
    text = pl.Series("text", ["Кухонная пасуда", "kitchenware", "", None])
    spelling = repair_words(text.drop_nulls(), CATEGORY)
    found = text.to_frame().select(name_words(pl.col("text"), spelling, CATEGORY)).to_series()
    expected = pl.Series("text", ["kitchenware", "unknown", "unknown", "unknown"], dtype=CATEGORY.dtype)
    assert_series_equal(found, expected)
