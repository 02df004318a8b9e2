"""Conditions: what is allowed, that everything else is refused, and that no text whatever gets further."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.scoring.conditions import CONDITION_COLUMNS, LONGEST, ConditionError, is_always_true, parse_condition
from job.scoring.mistakes import kinds

CUSTOMERS = pl.DataFrame(
    {
        "promo_share": [0.1, 0.9],
        "risk_decile": pl.Series([1, 2], dtype=pl.Int8),
        "high_risk": [True, False],
        "high_profit": [False, False],
        "favourite_category": pl.Series(["kitchenware", "unknown"], dtype=CONDITION_COLUMNS["favourite_category"]),
        "service_type": pl.Series(["premium", "standard"], dtype=CONDITION_COLUMNS["service_type"]),
    }
)
ALLOWED = "columns, numbers, words in single quotes, comparisons, arithmetic, AND, OR, NOT, IN, BETWEEN"


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("high_risk", [True, False]),
        ("NOT high_risk and not high_profit", [False, True]),
        ("risk_decile = 1 OR promo_share >= 0.9", [True, True]),
        ("promo_share BETWEEN 0.05 AND 1e-1", [True, False]),
        ("risk_decile IN (2, 3)", [False, True]),
        ("(promo_share * 10 + 1) / 2 > 1.5", [False, True]),
        ("favourite_category = 'Кухонная посуда'", [True, False]),
        ("favourite_category IN ('kitchenware', 'unknown')", [True, True]),
        ("service_type <> 'премиум'", [False, True]),
    ],
)
def test_holds(condition: str, holds: list[bool]) -> None:
    assert CUSTOMERS.select(holds=parse_condition(condition))["holds"].to_list() == holds


@pytest.mark.parametrize(
    ("condition", "found", "expected"),
    [
        ("read_csv('/etc/passwd')", "read_csv(…)", f"no functions: {ALLOWED}"),
        ("COUNT (*) > 1", "COUNT(…)", f"no functions: {ALLOWED}"),
        ("high_risk; DROP", ";", ALLOWED),
        ("high_risk -- high_profit", "--", ALLOWED),
        ("high_risk /* x */", "/*", ALLOWED),
        ('"id" = 1', '"', ALLOWED),
        ("promo_share::text = 'a'", ":", ALLOWED),
        ("$$x$$ = 1", "$", ALLOWED),
        ("high_risk\x00", "\x00", ALLOWED),
        ("риск = 1", "риск", ALLOWED),
        ("promo_share > .5", ".", ALLOWED),
        ("promo_share > 1abc", "1", ALLOWED),
        (
            "service_type = 'Кухонная посуда'",
            "'Кухонная посуда'",
            "one of стандарт, премиум, standard, premium, unknown",
        ),
        ("promo_share = 'премиум'", "'премиум'", "a condition on service_type or favourite_category around it"),
        ("promo_share", "promo_share", "a condition that is true or false, such as «risk_decile = 1»"),
    ],
)
def test_refused(condition: str, found: str, expected: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse_condition(condition)
    assert (caught.value.found, expected_of(caught.value)) == (found, expected)


def expected_of(error: ConditionError) -> str:
    return kinds()[error.kind].english.format(**error.values)


@pytest.mark.parametrize(
    "condition",
    [
        "promo_share > 50",
        "50 < promo_share",
        "decline_probability BETWEEN 0.5 AND 90",
        "promo_share not between 5 and 6",
    ],
)
def test_shares_are_no_percentages(condition: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse_condition(condition)
    assert caught.value.kind == "condition_share"
    parse_condition("decline_probability BETWEEN 0.5 AND 0.9 AND registered_days > 50 AND 0.5 < promo_share")


@pytest.mark.parametrize(
    "name", ["id", "SELECT", "FROM", "AS", "CASE", "NULL", "EXISTS", "in_training", "High_risk", "promo_share_"]
)
def test_only_columns_have_names(name: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse_condition(f"{name} = 1")
    assert caught.value.found == name
    assert expected_of(caught.value).startswith("one of the columns contacts_6_months, ")


@pytest.mark.parametrize(
    "condition", ["", " ", "((high_risk)", "high_risk AND", "high_risk(1)", "high_risk AND promo_share", "(true, true)"]
)
def test_what_polars_cannot_compute_is_refused(condition: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse_condition(condition)
    assert caught.value.found == condition
    assert expected_of(caught.value).startswith("a condition that can be computed (")
    assert "\n" not in expected_of(caught.value)


def test_too_long_is_refused() -> None:
    with pytest.raises(ConditionError) as caught:
        parse_condition("(" * LONGEST + ")")
    assert (caught.value.found, expected_of(caught.value)) == ("1,001 characters", "at most 1,000")


@given(st.text(max_size=60))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    try:
        expression = parse_condition(text)
    except ConditionError:
        return
    assert set(expression.meta.root_names()) <= CONDITION_COLUMNS.keys()


keywords = ["AND", "OR", "NOT", "IN", "BETWEEN", "true", "false"]
pieces = st.sampled_from([*CONDITION_COLUMNS, *keywords, "1", "0.5", "'премиум'", "'unknown'", *"()=<>+-*/,"])


@settings(max_examples=300)
@given(st.lists(pieces, max_size=12))
def test_any_allowed_pieces_are_a_boolean_condition_or_refused(parts: list[str]) -> None:
    try:
        expression = parse_condition(" ".join(parts))
    except ConditionError:
        return
    customer = pl.DataFrame(schema=CONDITION_COLUMNS)
    assert customer.lazy().select(holds=expression).collect_schema()["holds"] == pl.Boolean


def test_true_is_always_true() -> None:
    assert [is_always_true(text) for text in ("true", " TRUE ", "high_risk", "1 = 1")] == [True, True, False, False]
