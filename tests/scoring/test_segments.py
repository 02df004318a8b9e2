"""Segments files: each mistake gives its line, all at once; every customer belongs to exactly one segment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.errors import SettingsError
from job.models.artifact import Thresholds
from job.scoring.segments import DEFAULT_FILE, Offer, load_segmentation
from schemas.features import CATEGORICAL_FEATURES, NUMERIC_FEATURES
from schemas.phrases import CHANNELS, Theme
from schemas.vocabulary import UNKNOWN

if TYPE_CHECKING:
    from pathlib import Path

THRESHOLDS = Thresholds(risk=0.6, profit=4.0, promo_share=0.5)
GENERAL = '[onsite_offer]\ncode = "banner"\ntext = "Баннер"\n'


def segment(code: str, condition: str, priority: int, *, more: str = "", offer: str | None = None) -> str:
    own = offer or f'{{ code = "offer_{code}", text = "Текст", channel = "email", cost = 0.5 }}'
    return (
        f'[[segment]]\ncode = "{code}"\ntitle = "Сегмент {code}"\ncondition = "{condition}"\npriority = {priority}\n'
        f"offer = {own}\n{more}\n"
    )


REST = segment("rest", "true", 99)


def problems(folder: Path, text: str | bytes) -> list[str]:
    path = folder / "own.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(SettingsError) as caught:
        load_segmentation(path)
    assert caught.value.exit_code == 2
    return list(caught.value.problems)


def customers(rows: list[tuple[float, float, float, int, str]]) -> pl.DataFrame:
    """Return customers with the given probability, profit, promo share, decile and category; the rest is 1."""
    probability, profit, promo, decile, category = (list(column) for column in zip(*rows, strict=True))
    given_columns = {
        "decline_probability": probability,
        "monthly_profit": profit,
        "promo_share": promo,
        "risk_decile": decile,
        "favourite_category": category,
        "service_type": ["premium"] * len(rows),
        "profit_at_risk": [p * m * 3 for p, m in zip(probability, profit, strict=True)],
        "contact_allowed": [True] * len(rows),
    }
    others = {feature.name: [1.0] * len(rows) for feature in NUMERIC_FEATURES if feature.name != "promo_share"}
    return pl.DataFrame({**others, **given_columns})


@pytest.mark.parametrize(
    ("customer", "code"),
    [
        ((0.9, 4.0, 0.9, 1, "kitchenware"), "high_risk_high_profit"),
        ((0.9, 3.9, 0.5, 1, "kitchenware"), "high_risk_high_promo"),
        ((0.9, 3.9, 0.4, 1, "cosmetics_accessories"), "top_risk"),
        ((0.9, 3.9, 0.4, 2, "cosmetics_accessories"), "high_risk_beauty"),
        ((0.9, 3.9, 0.4, 2, "beauty_health_devices"), "high_risk_beauty"),
        ((0.6, 3.9, 0.4, 2, UNKNOWN), "high_risk_low_promo"),
        ((0.5, 9.0, 0.4, 9, "small_appliances_electronics"), "durable_goods"),
        ((0.5, 9.0, 0.4, 9, "kitchenware"), "loyal_profitable"),
        ((0.5, 3.0, 0.9, 9, "kitchenware"), "rest"),
    ],
)
def test_shipped_segments(customer: tuple[float, float, float, int, str], code: str) -> None:
    segmentation = load_segmentation()
    [row] = segmentation.assign(customers([customer]), THRESHOLDS)["segment_row"]
    assert segmentation.segments[row].code == code


def test_shipped_offers() -> None:
    segments = {one.code: one for one in load_segmentation().segments}
    assert segments["top_risk"].offers == (Offer("promo", "Промокод на следующую покупку", "sms", 0.3, 0.2, 0.03),)
    assert segments["loyal_profitable"].onsite_offer.code == "onsite_selection"
    assert [code for code, one in segments.items() if not one.offers[0].is_message] == ["rest"]


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1),
            st.floats(-1e9, 1e9),
            st.floats(0, 1),
            st.integers(1, 10),
            st.sampled_from([*CATEGORICAL_FEATURES[1].values, UNKNOWN]),
        ),
        min_size=1,
    )
)
def test_every_customer_has_exactly_one_segment(rows: list[tuple[float, float, float, int, str]]) -> None:
    segmentation = load_segmentation()
    frame = customers(rows)
    assigned = segmentation.assign(frame, THRESHOLDS)["segment_row"]
    assert assigned.len() == frame.height
    assert assigned.null_count() == 0
    assert set(assigned) <= set(range(len(segmentation.segments)))
    assert segmentation.assign(frame.reverse(), THRESHOLDS)["segment_row"].to_list() == assigned.to_list()[::-1]


def test_each_condition_is_asked_of_all_and_the_first_that_holds_takes_them(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(GENERAL + segment("a", "high_risk", 1) + segment("b", "risk_decile = 1", 2) + REST, "utf-8")
    frame = customers(
        [(0.9, 1, 0, 1, UNKNOWN), (0.9, 1, 0, 2, UNKNOWN), (0.1, 1, 0, 1, UNKNOWN), (0.1, 1, 0, 3, UNKNOWN)]
    )
    assert load_segmentation(path).assign(frame, THRESHOLDS).to_dict(as_series=False) == {
        "segment_row": [0, 0, 1, 2],
        "fits a": [True, True, False, False],
        "fits b": [True, False, True, False],
        "fits rest": [True] * 4,
    }


def test_own_file(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    first = segment("a", "risk_decile = 1", 1, more='onsite_offer = { code = "own", text = "Свой" }')
    path.write_bytes(b"\xef\xbb\xbf" + (GENERAL + REST + first).replace("\n", "\r\n").encode())
    segmentation = load_segmentation(path)
    assert [one.code for one in segmentation.segments] == ["a", "rest"]
    assert segmentation.offers().to_dicts() == [
        {
            "segment": code,
            "offer": f"offer_{code}",
            "is_message": True,
            "cost_parts": 5000,
            "effect": 0.1,
            "discount": 0.0,
            "onsite_offer": onsite,
        }
        for code, onsite in (("a", "own"), ("rest", "banner"))
    ]


def test_on_site_offer_of_a_segment_that_is_on_the_site_is_its_own(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    offer = '{ code = "shelf", text = "Полка", channel = "onsite" }'
    path.write_text(GENERAL + segment("rest", "true", 1, offer=offer), encoding="utf-8")
    assert load_segmentation(path).segments[0].onsite_offer == Offer("shelf", "Полка")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_segmentation(tmp_path / "none.toml")
    assert caught.value.problems == (
        f"{tmp_path}/none.toml: found No such file or directory, expected a segments file that can be read",
    )


def test_not_toml(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "[[segment]\n")
    assert problem.startswith("own.toml, row 1: found [[segment], expected TOML, in which numbers have a point")


def test_not_utf_8(tmp_path: Path) -> None:
    assert problems(tmp_path, GENERAL.encode("cp1251")) == ["own.toml, row 3: found byte 0xc1, expected UTF-8"]


def test_empty(tmp_path: Path) -> None:
    assert problems(tmp_path, "") == [
        "own.toml, onsite_offer: found nothing, expected a table with code and text, for those who have not allowed "
        "messages",
        "own.toml, segment: found nothing, expected at least one [[segment]]",
    ]


def test_all_problems_of_a_segment_at_once(tmp_path: Path) -> None:
    bad = """[[segment]]
code = "Bad code"
title = ""
condition = "risk > 1"
priority = "high"
color = "red"
[segment.offer]
text = "Текст"
channel = "pigeon"
price = 1
"""
    found = problems(tmp_path, GENERAL + bad + REST)
    name = "own.toml, segment «Bad code»"
    channels = ", ".join(CHANNELS)
    assert [line for line in found if "one of the columns" not in line] == [
        f"{name}: found color, expected one of the keys code, condition, offer, onsite_offer, priority, title",
        f"{name}, code: found Bad code, expected Latin small letters, digits and _, a letter first, at most 63",
        f"{name}, title: found , expected a text on one line of at most 100 characters",
        f"{name}, priority: found high, expected a whole number up to a million; 1 goes before 2",
        f"{name}, offer: found price, expected one of the keys channel, code, cost, discount, effect, share, text",
        f"{name}, offer, code: found nothing, expected Latin small letters, digits and _, a letter first, at most 63",
        f"{name}, offer, channel: found pigeon, expected one of {channels}",
    ]
    (condition,) = [line for line in found if "one of the columns" in line]
    assert condition.startswith(f"{name}, condition: found risk, expected one of the columns contacts_6_months, ")


@pytest.mark.parametrize(
    ("cost", "shown"), [("-1", "-1"), ("0.00001", "1e-05"), ("nan", "nan"), ("true", "True"), ("2e6", "2000000.0")]
)
def test_bad_cost(tmp_path: Path, cost: str, shown: str) -> None:
    offer = f'{{ code = "o", text = "Т", channel = "sms", cost = {cost} }}'
    assert problems(tmp_path, GENERAL + segment("rest", "true", 1, offer=offer)) == [
        f"own.toml, segment «rest», offer, cost: found {shown}, "
        "expected a number from 0 to 1,000,000 with at most 4 decimals"
    ]


def test_a_message_needs_a_cost_and_the_site_has_none(tmp_path: Path) -> None:
    message = '{ code = "o", text = "Т", channel = "sms" }'
    site = '{ code = "p", text = "Т", channel = "onsite", cost = 1 }'
    text = GENERAL + segment("a", "high_risk", 1, offer=message) + segment("rest", "true", 2, offer=site)
    number = "a number from 0 to 1,000,000 with at most 4 decimals"
    assert problems(tmp_path, text) == [
        f"own.toml, segment «a», offer, cost: found nothing, expected {number}",
        "own.toml, segment «rest», offer, cost: found 1, expected no cost on the site: nobody is contacted",
    ]


def test_codes_titles_priorities_and_offers_do_not_clash(tmp_path: Path) -> None:
    one = '{ code = "o", text = "Один", channel = "sms", cost = 1 }'
    other = '{ code = "o", text = "Другой", channel = "sms", cost = 1 }'
    text = GENERAL + segment("a", "high_risk", 1, offer=one) + segment("a", "high_profit", 1, offer=other) + REST
    assert problems(tmp_path, text) == [
        "own.toml, segment «a», code: found 2 segments with it, expected a code of its own for each segment",
        "own.toml, title «Сегмент a»: found 2 segments with it, expected a title of its own for each segment",
        "own.toml, priority 1: found 2 segments with it: a, a, expected a priority of its own for each segment, "
        "which decides where a customer of several belongs",
        "own.toml, offer «o»: found two offers, expected the same text, channel, cost, effect and discount wherever "
        "the code is",
    ]


def test_customers_covered_by_none(tmp_path: Path) -> None:
    assert problems(tmp_path, GENERAL + segment("a", "high_risk", 1) + segment("b", "NOT high_risk", 2)) == [
        "own.toml, segment «b», the last by priority: found NOT high_risk, "
        'expected condition = "true": it takes the customers that no other segment covers'
    ]


def test_segments_that_nobody_reaches(tmp_path: Path) -> None:
    assert problems(tmp_path, GENERAL + segment("a", "true", 1) + REST) == [
        'own.toml, segment «a»: found condition = "true" at priority 1, '
        "expected it as the last by priority: no customer is left for the segments after it"
    ]


def test_hints_are_texts_by_theme(tmp_path: Path) -> None:
    text = DEFAULT_FILE.read_text(encoding="utf-8")
    assert set(load_segmentation().hints) == set(Theme)
    path = tmp_path / "own.toml"
    cut = text.index("[hints]"), text.index("[onsite_offer]")
    path.write_text(text[: cut[0]] + text[cut[1] :], encoding="utf-8")
    assert load_segmentation(path).hints == {}
    path.write_text(text[: cut[0]] + '[hints]\nvisits = "Подборка"\n' + text[cut[1] :], encoding="utf-8")
    assert load_segmentation(path).hints == {"visits": "Подборка"}
    wrong = text[: cut[0]] + '[hints]\nprice = "Скидка"\nvisits = 1\n' + text[cut[1] :]
    themes = "basket, category, contacts, minutes, promo, revenue, service, visits"
    assert problems(tmp_path, wrong) == [
        f"own.toml, hints: found price, expected one of the keys {themes}",
        "own.toml, hints, visits: found 1, expected a text on one line of at most 500 characters",
    ]
    assert problems(tmp_path, 'hints = "нет"\n' + text[: cut[0]] + text[cut[1] :]) == [
        "own.toml, hints: found нет, expected a table of themes and texts"
    ]
