from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from job.models.linear import Calibration, Factor, LinearModel, Term, add_up, capped

PAGES = Factor("pages_per_visit", "value", 8.0)
MANY_PAGES = Factor("pages_per_visit", "above", 1.0, knot=10.0)
KITCHEN = Factor("favourite_category", "equals", 0.25, word="kitchenware")
MODEL = LinearModel(
    terms=(
        Term((PAGES,), 0.0, -0.5),
        Term((MANY_PAGES,), 0.0, 0.2),
        Term((KITCHEN,), 0.0, 1.0),
        Term((KITCHEN, PAGES), 0.1, 0.4),
    ),
    intercept=-0.3,
    caps={"pages_per_visit": (2.0, 16.0)},
    calibration=Calibration(slope=2.0, intercept=0.5, bend=-0.7),
)
ROWS = pl.DataFrame(
    {"pages_per_visit": [12.0, 100.0, 0.0], "favourite_category": ["kitchenware", "home_textiles", "unknown"]}
)


def by_hand(pages: float, category: str) -> float:
    pages = min(max(pages, 2.0), 16.0)
    value, above = pages - 8.0, max(0.0, pages - 10.0) - 1.0
    kitchen = 0.0 if category == "unknown" else (category == "kitchenware") - 0.25
    return -0.3 - 0.5 * value + 0.2 * above + kitchen + 0.4 * (kitchen * value - 0.1)


def test_margins_follow_the_definition() -> None:
    expected = [by_hand(*row) for row in ROWS.iter_rows()]
    assert MODEL.margins(ROWS).to_list() == pytest.approx(expected, abs=1e-12)


def test_probabilities_are_calibrated_margins() -> None:
    margins = [by_hand(*row) for row in ROWS.iter_rows()]
    expected = [1 / (1 + math.exp(-(2 * own - 0.7 * math.log(1 + math.exp(own)) + 0.5))) for own in margins]
    assert MODEL.probabilities(ROWS).to_list() == pytest.approx(expected, abs=1e-12)
    assert MODEL.probabilities(ROWS).name == "decline_probability"


def test_contributions_add_up_to_the_margin() -> None:
    contributions = MODEL.contributions(ROWS)
    assert contributions.columns == ["pages_per_visit", "favourite_category"]
    total = contributions.sum_horizontal() - 0.3
    assert total.to_list() == pytest.approx([by_hand(*row) for row in ROWS.iter_rows()], abs=1e-12)


def test_a_product_is_shared_equally() -> None:
    model = LinearModel((Term((KITCHEN, PAGES), 0.0, 0.4),), 0.0, {}, Calibration())
    contributions = model.contributions(ROWS.head(1))
    assert contributions.row(0) == pytest.approx((0.5 * 0.4 * 0.75 * 4.0, 0.5 * 0.4 * 0.75 * 4.0))


FACTORS = (
    PAGES,
    MANY_PAGES,
    Factor("service_errors", "value", 2.0),
    Factor("service_errors", "above", 0.5, knot=3.0),
    KITCHEN,
    Factor("favourite_category", "equals", 0.1, word="home_textiles"),
    Factor("service_type", "equals", 0.3, word="premium"),
)


def value_by_hand(factor: Factor, row: dict[str, Any]) -> float:
    value = row[factor.feature]
    if factor.basis == "equals":
        return 0.0 if value == "unknown" else float(value == factor.word) - factor.center
    return (max(0.0, value - factor.knot) if factor.knot is not None else value) - factor.center


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(FACTORS), min_size=1, max_size=2, unique=True),
            st.floats(-2, 2),
            st.floats(-2, 2),
        ),
        min_size=1,
        max_size=12,
    ),
    st.lists(
        st.fixed_dictionaries(
            {
                "pages_per_visit": st.floats(2, 16),
                "service_errors": st.floats(0, 9),
                "favourite_category": st.sampled_from(
                    ["kitchenware", "home_textiles", "cosmetics_accessories", "unknown"]
                ),
                "service_type": st.sampled_from(["standard", "premium", "unknown"]),
            }
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_any_terms_are_added_up(parts: list[tuple[list[Factor], float, float]], rows: list[dict[str, Any]]) -> None:
    terms = tuple(Term(tuple(factors), center, weight) for factors, center, weight in parts)
    model = LinearModel(terms, 0.2, {}, Calibration(1.5, -0.1))
    shares = [dict.fromkeys(model.explained, 0.0) for _ in rows]
    for term in terms:
        for row, share in zip(rows, shares, strict=True):
            added = term.weight * (math.prod(value_by_hand(factor, row) for factor in term.factors) - term.center)
            for feature in term.features:
                share[feature] += added / len(term.features)
    found = model.contributions(pl.DataFrame(rows))
    assert found.columns == list(model.explained)
    for row, share in zip(found.iter_rows(named=True), shares, strict=True):
        assert row == pytest.approx(share, abs=1e-9)
    margins = [0.2 + sum(share.values()) for share in shares]
    assert model.margins(pl.DataFrame(rows)).to_list() == pytest.approx(margins, abs=1e-9)


def test_a_model_of_one_word_gives_each_row_a_value() -> None:
    model = LinearModel((Term((KITCHEN,), 0.0, 1.0),), 0.0, {}, Calibration())
    assert model.contributions(ROWS).to_series().to_list() == [0.75, -0.25, 0.0]


def test_an_unknown_word_counts_as_the_mean_customer() -> None:
    model = LinearModel((Term((KITCHEN,), 0.0, 1.0),), -0.3, {}, Calibration())
    assert model.margins(pl.DataFrame({"favourite_category": ["unknown"]})).to_list() == [-0.3]


def test_json_gives_the_same_model_back() -> None:
    again = LinearModel.load(json.loads(json.dumps(MODEL.to_json())), str)
    assert again == MODEL
    assert again.probabilities(ROWS).equals(MODEL.probabilities(ROWS))


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"terms": [{}]},
        {**MODEL.to_json(), "caps": {"a": [1]}},
        {**MODEL.to_json(), "caps": {"shoe_size": [1, 2]}},
        {**MODEL.to_json(), "caps": {"favourite_category": [1, 2]}},
        {**MODEL.to_json(), "caps": {"pages_per_visit": [2, 1]}},
    ],
)
def test_json_of_something_else_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        LinearModel.load(broken, str)


def test_capped_leaves_other_columns_alone() -> None:
    rows = pl.DataFrame({"a": [-1.0, 5.0], "b": [-1.0, 5.0]})
    assert_frame_equal(capped(rows, {"a": (0.0, 2.0)}), pl.DataFrame({"a": [0.0, 2.0], "b": [-1.0, 5.0]}))
    assert_frame_equal(capped(rows, {}), rows)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=70))
def test_add_up_adds_all(values: list[float]) -> None:
    total = pl.select(add_up([pl.lit(value) for value in values])).item()
    assert total == pytest.approx(math.fsum(values), abs=1e-6)


def test_add_up_takes_hundreds_of_parts() -> None:
    assert pl.select(add_up([pl.lit(1.0)] * 1001)).item() == 1001.0


@pytest.mark.parametrize(
    ("factor", "reason"),
    [
        (Factor("shoe_size", "value", 0.0), "'shoe_size', 'value'"),
        (Factor("favourite_category", "value", 0.0), "'favourite_category', 'value'"),
        (Factor("favourite_category", "equals", 0.0, word="shoes"), "'favourite_category', 'equals'"),
        (Factor("pages_per_visit", "equals", 0.0, word="kitchenware"), "'pages_per_visit', 'equals'"),
        (Factor("pages_per_visit", "above", 0.0), "'pages_per_visit', 'above'"),
    ],
)
def test_a_term_of_what_the_feature_frame_has_not_is_refused(factor: Factor, reason: str) -> None:
    model = replace(MODEL, terms=(*MODEL.terms, Term((factor,), 0.0, 1.0)))
    with pytest.raises(ValueError, match=f"^no feature, word or basis of this version: {reason}$"):
        LinearModel.load(model.to_json(), str)
