from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest

from job.russian import MINUS
from schemas import columns
from schemas.columns import (
    MARKET_FILE,
    MARKET_MONEY,
    TABLES,
    Column,
    Kind,
    Meaning,
    Table,
    accepted_dtype,
    check_column,
    dtype_of,
)
from schemas.contract import check
from schemas.features import FEATURE_NAMES, MEANINGS, title_of, word_title
from schemas.pandera_schemas import pandera_schema

GOOD: dict[str, dict[str, Any]] = {
    "market_file": {
        "id": 1,
        "activity": "declined",
        "service_type": "standard",
        "consent": "yes",
        "contacts_6_months": 4.0,
        "contacts_current_month": 4,
        "registered_days": 500,
        "promo_share": 0.2,
        "favourite_category": "kitchenware",
        "categories_per_visit": 3,
        "unpaid_items_quarter": 2,
        "service_errors": 1,
        "pages_per_visit": 8,
    },
    "market_money": {"id": 1, "period": "current_month", "revenue": 10.0},
    "market_time": {"id": 1, "period": "previous_month", "minutes": 10},
    "money": {"id": 1, "monthly_profit": -1.5},
}


def frame(table: Table, *rows: dict[str, Any]) -> pl.DataFrame:
    schema = {heading.name: dtype_of(heading) for heading in table.headings}
    return pl.DataFrame([{**GOOD[table.name], **row} for row in rows], schema=schema)


def failures(table: Table, *rows: dict[str, Any], whole: bool = False) -> list[tuple[str, str, int | None]]:
    try:
        check(frame(table, *rows), table.contract(labelled=True, whole=whole))
    except pa.errors.SchemaErrors as error:
        return list(error.failure_cases.select("column", "check", "index").iter_rows())
    return []


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_a_good_row_passes(table: Table) -> None:
    assert failures(table, {}, whole=True) == []


@pytest.mark.parametrize(
    ("table", "column", "value", "rule"),
    [
        ("market_file", "id", 0, "is positive and has at most 18 digits"),
        ("market_file", "id", 10**18, "is positive and has at most 18 digits"),
        ("market_file", "activity", "unknown", "is one of: Снизилась, Прежний уровень"),
        ("market_file", "service_type", "unknown", "is one of: стандарт, премиум"),
        ("market_file", "consent", "unknown", "is one of: да, нет"),
        ("market_file", "contacts_6_months", -0.1, "is not negative"),
        ("market_file", "contacts_current_month", -1, "is not negative"),
        ("market_file", "registered_days", 40_000, "is at most 36,525 (days in a century)"),
        ("market_file", "promo_share", 1.01, "is within 0..1"),
        ("market_file", "unpaid_items_quarter", -1, "is not negative"),
        ("market_file", "pages_per_visit", None, "not_nullable"),
        ("market_money", "period", "unknown", "is one of: текущий_месяц, предыдущий_месяц, препредыдущий_месяц"),
        ("market_money", "revenue", -0.01, "is not negative"),
        ("market_file", "contacts_6_months", 10_001, "is at most 10,000 (contacts in a month)"),
        ("market_file", "contacts_current_month", 10_001, "is at most 10,000 (contacts in a month)"),
        ("market_file", "categories_per_visit", 10_001, "is at most 10,000 (categories in a visit)"),
        ("market_file", "unpaid_items_quarter", 10_001, "is at most 10,000 (items in a quarter)"),
        ("market_file", "service_errors", 10_001, "is at most 10,000 (errors in a quarter)"),
        ("market_file", "pages_per_visit", 10_001, "is at most 10,000 (pages in a visit)"),
        ("market_money", "revenue", 1e9 + 1, "is at most 1,000,000,000 (revenue of a month)"),
        ("market_money", "revenue", float("inf"), "is at most 1,000,000,000 (revenue of a month)"),
        ("market_time", "period", "unknown", "is one of: текущий_месяц, предыдущий_месяц"),
        ("market_time", "minutes", 44_641, "is at most 44,640 (minutes in a month)"),
        ("money", "monthly_profit", 1e9 + 1, "is within ±1,000,000,000 (profit of a month)"),
        ("money", "monthly_profit", float("-inf"), "is within ±1,000,000,000 (profit of a month)"),
    ],
)
def test_values_are_really_checked(table: str, column: str, value: object, rule: str) -> None:
    assert failures(TABLES[table], {}, {column: value}) == [(column, rule, 1)]


def test_an_unknown_category_passes_and_an_unread_one_does_not() -> None:
    assert failures(MARKET_FILE, {"favourite_category": "unknown"}) == []
    assert failures(MARKET_FILE, {"favourite_category": None}) == [("favourite_category", "not_nullable", 0)]


def test_keys_are_unique_in_a_whole_table() -> None:
    assert failures(MARKET_FILE, {}, {}, whole=False) == []
    assert len(failures(MARKET_FILE, {}, {}, whole=True)) == 2
    assert failures(MARKET_MONEY, {}, {"period": "previous_month"}, whole=True) == []


def test_a_lazy_frame_would_not_be_checked() -> None:
    """The trap that this project must not fall into: Pandera looks at no values of a LazyFrame."""
    bad = frame(MARKET_MONEY, {"revenue": -1.0})
    schema = pandera_schema(MARKET_MONEY.contract(labelled=True))
    schema.validate(bad.lazy(), lazy=True).collect()
    with pytest.raises(pa.errors.SchemaErrors):
        schema.validate(bad, lazy=True)


def test_without_labels_the_label_column_is_not_expected() -> None:
    unlabelled = frame(MARKET_FILE, {}).drop("activity")
    check(unlabelled, MARKET_FILE.contract(labelled=False))
    with pytest.raises(pa.errors.SchemaErrors):
        check(unlabelled, MARKET_FILE.contract(labelled=True))


def test_only_some_rules() -> None:
    bad = pl.DataFrame({"revenue": [-1.0]}, schema={"revenue": pl.Float64})
    with pytest.raises(pa.errors.SchemaErrors) as raised:
        check(bad, MARKET_MONEY.contract(labelled=False, only=["revenue"]))
    assert raised.value.failure_cases.select("column", "check").rows() == [("revenue", "is not negative")]


def test_what_the_rules_let_in_has_room_in_the_accepted_dtype() -> None:
    for table in TABLES.values():
        for heading in table.headings:
            if heading.kind is Kind.WHOLE:
                assert accepted_dtype(heading) == pl.Int32()
                bounds = [(rule.low, rule.high) for rule in heading.rules]
                assert max(low for low, _ in bounds if low is not None) >= -(2**31)
                assert min(high for _, high in bounds if high is not None) < 2**31
            else:
                assert accepted_dtype(heading) == dtype_of(heading)


def test_every_number_has_a_lowest_and_a_highest_value() -> None:
    for table in TABLES.values():
        for column in table.headings:
            if column.kind is not Kind.WORD:
                assert {rule.low is None for rule in column.rules} >= {False}, column.name
                assert {rule.high is None for rule in column.rules} >= {False}, column.name


NUMBER = MARKET_FILE.heading("pages_per_visit")
WORD = MARKET_FILE.heading("service_type")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (NUMBER._replace(rules=()), "pages_per_visit: a number has rules with a lowest and a highest value"),
        (NUMBER._replace(rules=NUMBER.rules[:1]), "pages_per_visit: a number has rules with a lowest and a highest"),
        (NUMBER._replace(words=WORD.words), "pages_per_visit: a column of words has words, and no other"),
        (WORD._replace(words=None), "service_type: a column of words has words, and no other"),
        (NUMBER._replace(feature=WORD.feature), "pages_per_visit: a word has a WordPhrase, a number a Phrase"),
        (WORD._replace(feature=NUMBER.feature), "service_type: a word has a WordPhrase, a number a Phrase"),
        (
            NUMBER._replace(feature=NUMBER.feature and NUMBER.feature._replace(unit="")),
            "pages_per_visit: a number has a unit, a word none",
        ),
    ],
)
def test_a_part_that_is_forgotten_is_an_error(column: Column, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        check_column(column)


def test_the_records_are_checked_when_they_are_imported() -> None:
    """Without a phrase there is no record; without a bound, the module cannot be imported."""
    with pytest.raises(TypeError, match="phrase"):
        Meaning("Страниц за визит")  # type: ignore[call-arg] - what is tested
    source = Path(columns.__file__).read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=r"^pages_per_visit: a number has rules"):
        forgotten = source.replace('rules=_up_to(10_000, "pages in a visit"),', "")
        exec(forgotten, {"__name__": "schemas.columns"})  # noqa: S102 - the module as it would be


def test_titles_and_names_are_distinct() -> None:
    assert len(set(FEATURE_NAMES)) == len({meaning.title for meaning in MEANINGS.values()}) == len(MEANINGS)
    assert [title_of(name) for name in FEATURE_NAMES] == [meaning.title for meaning in MEANINGS.values()]
    assert title_of("nothing") == "nothing"
    assert word_title("kitchenware") == "Кухонная посуда"
    assert word_title("unknown") == "неизвестное значение"


def test_the_bounds_are_told() -> None:
    told = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    for table in TABLES.values():
        for column in table.headings:
            lows, highs = ([getattr(rule, end) for rule in column.rules] for end in ("low", "high"))
            ends = [next((end for end in own if end is not None), None) for own in (lows, highs)]
            if None not in ends:
                low, high = (f"{end:,}".replace(",", " ").replace("-", MINUS) for end in ends)
                assert re.search(rf"\| `{column.delivered}` \| от {low} до {high}( \(.+\))? \|", told), column.delivered
