from __future__ import annotations

from typing import Any

import pandera.polars as pa
import polars as pl
import pytest

from schemas.checks import rows_schema, table_schema
from schemas.raw import RULES, accepted_dtype, dtype_of
from schemas.vocabulary import MARKET_FILE, MARKET_MONEY, TABLES, Kind, Table

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
    schema = table_schema(table, labelled=True) if whole else rows_schema(table, labelled=True)
    try:
        schema.validate(frame(table, *rows), lazy=True)
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
        ("market_money", "revenue", float("inf"), "is finite"),
        ("market_time", "period", "unknown", "is one of: текущий_месяц, предыдущий_месяц"),
        ("market_time", "minutes", 44_641, "is at most 44,640 (minutes in a month)"),
        ("money", "monthly_profit", float("inf"), "is finite"),
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
    rows_schema(MARKET_MONEY, labelled=True).validate(bad.lazy(), lazy=True).collect()
    with pytest.raises(pa.errors.SchemaErrors):
        rows_schema(MARKET_MONEY, labelled=True).validate(bad, lazy=True)


def test_without_labels_the_label_column_is_not_expected() -> None:
    unlabelled = frame(MARKET_FILE, {}).drop("activity")
    rows_schema(MARKET_FILE, labelled=False).validate(unlabelled, lazy=True)
    with pytest.raises(pa.errors.SchemaErrors):
        rows_schema(MARKET_FILE, labelled=True).validate(unlabelled, lazy=True)


def test_only_some_rules() -> None:
    bad = pl.DataFrame({"revenue": [-1.0]}, schema={"revenue": pl.Float64})
    with pytest.raises(pa.errors.SchemaErrors) as raised:
        rows_schema(MARKET_MONEY, labelled=False, only=["revenue"]).validate(bad, lazy=True)
    assert raised.value.failure_cases.select("column", "check").rows() == [("revenue", "is not negative")]


def test_what_the_rules_let_in_has_room_in_the_accepted_dtype() -> None:
    for table in TABLES.values():
        for heading in table.headings:
            if heading.kind is Kind.WHOLE:
                assert accepted_dtype(heading) == pl.Int32()
                bounds = [(rule.low, rule.high) for rule in RULES[heading.name]]
                assert max(low for low, _ in bounds if low is not None) >= -(2**31)
                assert min(high for _, high in bounds if high is not None) < 2**31
            else:
                assert accepted_dtype(heading) == dtype_of(heading)
