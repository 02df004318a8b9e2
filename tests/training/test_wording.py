from __future__ import annotations

import pytest

from job.training.candidates import BOOSTED, CHAMPION
from job.training.wording import SETTINGS, describe_direction, describe_settings


def test_every_setting_of_what_may_be_deployed_has_words_in_both_languages() -> None:
    names = {name for candidate in (CHAMPION, BOOSTED) for name in candidate.first}
    assert names == set(SETTINGS)
    for english, russian in SETTINGS.values():
        assert english.isascii()
        assert english.count("{}") == russian.count("{}") == 1


def test_settings_are_told_with_their_values() -> None:
    assert describe_settings({"tail": 0.03, "rounds": 200}, is_russian=True) == [
        "за каждым крайним узлом лежит 3 % клиентов: их значения считаются равными узлу",
        "деревьев: 200",
    ]
    assert describe_settings(BOOSTED.first, is_russian=False)[2:4] == [
        "50% of the features are tried at each split",
        "penalty 1 on the leaves (L2)",
    ]


@pytest.mark.parametrize(
    ("row", "english", "russian"),
    [
        ({"correlation": 0.9}, "more of it, more risk", "чем больше, тем риск выше"),
        ({"correlation": -0.9}, "less of it, more risk", "чем меньше, тем риск выше"),
        ({"correlation": 0.1}, "depends on the value", "зависит от значения"),
        ({}, "not used", "не используется"),
        (
            {"raises": "kitchenware", "lowers": "home_textiles"},
            "highest kitchenware, lowest home_textiles",
            "выше всего: Кухонная посуда; ниже всего: Домашний текстиль",
        ),
    ],
)
def test_directions(row: dict[str, object], english: str, russian: str) -> None:
    row = {"correlation": None, "raises": None, "lowers": None, **row}
    assert describe_direction(row, is_russian=False) == english
    assert describe_direction(row, is_russian=True) == russian
