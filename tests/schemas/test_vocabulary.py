from __future__ import annotations

import pytest

from schemas.columns import MARKET_FILE, TABLES, Column, Table

WORDS = [
    pytest.param(heading, id=f"{table.name}.{heading.name}")
    for table in TABLES.values()
    for heading in table.headings
    if heading.words is not None
]


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_names_are_ascii_and_distinct_and_the_key_is_there(table: Table) -> None:
    names = [heading.name for heading in table.headings]
    assert all(name.isascii() and name.isidentifier() for name in names)
    assert len({heading.delivered for heading in table.headings}) == len(set(names)) == len(names)
    assert set(table.key) <= set(names)


@pytest.mark.parametrize("heading", WORDS)
def test_words_are_ascii_inside_and_misspellings_lead_to_them(heading: Column) -> None:
    words = heading.words
    assert words is not None
    assert all(name.isascii() and name.isidentifier() for name in words.names)
    assert set(words.misspellings.values()) <= set(words.values)
    assert not set(words.misspellings) & set(words.values)


def test_heading_by_name() -> None:
    assert MARKET_FILE.heading("promo_share").delivered == "Акционные_покупки"
    with pytest.raises(KeyError):
        MARKET_FILE.heading("Акционные_покупки")


def test_the_label_is_expected_only_when_labelled() -> None:
    names = [heading.name for heading in MARKET_FILE.expected(labelled=False)]
    assert "activity" not in names
    assert len(names) == len(MARKET_FILE.expected(labelled=True)) - 1
