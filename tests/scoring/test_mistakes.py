"""Every kind of mistake in a segments file is told in both languages, and its example is right."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.scoring.mistakes import Mistake, SegmentsError, kinds, lines_of, mend
from job.scoring.segments import DEFAULT_FILE, load_segmentation

SOURCES = ("segments.py", "conditions.py", "mistakes.py")


def braces(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_has_words_in_both_languages(kind: str) -> None:
    words = kinds()[kind]
    assert not re.search("[а-яё]", words.english.replace("«", ""))
    assert re.search("[а-яё]", words.russian)
    values = dict.fromkeys(braces("".join(words)), 1)
    mistake = Mistake(kind, "my.toml", "x", "segment «a», cost", 7, values=values)
    assert str(mistake.problem()).startswith("my.toml, segment «a», cost: found x, expected ")
    assert mistake.russian().startswith("my.toml, строка 7, сегмент «a», cost: найдено x; нужно: ")
    assert "{" not in mistake.russian()


def test_every_kind_is_found_somewhere_and_none_is_unknown() -> None:
    code = "".join((DEFAULT_FILE.parent / name).read_text() for name in SOURCES)
    assert {kind for kind in kinds() if f'"{kind}"' not in code} == set()


@pytest.mark.parametrize(
    ("written", "kind", "meant"),
    [
        ("cost = 0,5", "decimal_comma", "cost = 0.5"),
        ("  cost = -0,5 # цена", "decimal_comma", "  cost = -0.5 # цена"),
        ("title = «Текст»", "quotes", 'title = "Текст"'),
        ("title = „Текст“ # тут", "quotes", 'title = "Текст" # тут'),
        ("title = Два слова", "quotes", 'title = "Два слова"'),
    ],
)
def test_lines_are_read_as_they_were_meant(written: str, kind: str, meant: str) -> None:
    assert mend(written, "Invalid value") == (kind, meant)


@pytest.mark.parametrize("written", ["[[segment]", "cost = 0,5,5", "offer = { cost = 0,5 }", 'title = "Текст', ""])
def test_what_is_unclear_is_not_guessed(written: str) -> None:
    assert mend(written, "Invalid value") is None


@given(st.lists(st.sampled_from(DEFAULT_FILE.read_text(encoding="utf-8").split("\n")), max_size=30))
def test_any_lines_are_a_file_or_mistakes_in_both_languages(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text("\n".join(lines).replace("0.5", "0,5"), encoding="utf-8")
    try:
        load_segmentation(path)
    except SegmentsError as error:
        wrong = error
    else:
        return
    assert len(wrong.in_russian().problems) == len(wrong.problems) > 0
    assert all(mistake.line is None or 0 < mistake.line <= len(lines) for mistake in wrong.mistakes)


def test_lines_of_the_shipped_file() -> None:
    text = DEFAULT_FILE.read_text(encoding="utf-8")
    rows = text.split("\n")
    lines = lines_of(text)
    assert rows[lines["segment", 3, "offer", 1, "cost"] - 1] == "cost = 0.3"
    assert rows[lines["segment", 8, "condition"] - 1] == 'condition = "true"'
    assert rows[lines["hints", "promo"] - 1].startswith("promo = ")
    two = lines_of(
        "[[segment]]\n[[segment.offer]]\ncode = 1\n[[segment.offer]]\ncode = 2\n[[segment]]\n[segment.offer]\ncode = 3"
    )
    assert two["segment", 1, "offer", 2, "code"] == 5
    assert two["segment", 2, "offer", 1, "code"] == 8
