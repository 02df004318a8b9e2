"""What the settings and the directions of a model mean, for people: in English and in Russian."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from job import russian
from job.report.data import direction_of
from job.report.page import DIRECTIONS
from schemas.features import word_title

SETTINGS: Final = {
    "knots": (
        "each number is piecewise linear between {} knots, the outer two included",
        "каждое число — ломаная с {} узлами, включая два крайних",
    ),
    "tail": (
        "{} of the customers lie beyond each outer knot; their values count as the knot",
        "за каждым крайним узлом лежит {} клиентов: их значения считаются равными узлу",
    ),
    "single_penalty": (
        "penalty {} on each feature by itself (ridge, L2): the larger, the flatter",
        "штраф {} на признаки по отдельности (L2): чем больше, тем осторожнее модель",
    ),
    "category_penalty": ("penalty {} on features by favourite category", "штраф {} на признаки внутри категорий"),
    "product_penalty": ("penalty {} on products of two features", "штраф {} на произведения двух признаков"),
    "num_leaves": ("at most {} leaves a tree", "не больше {} листьев в дереве"),
    "min_data_in_leaf": ("at least {} customers a leaf", "не меньше {} клиентов в листе"),
    "feature_fraction_bynode": (
        "{} of the features are tried at each split",
        "на каждом разбиении пробуется {} признаков",
    ),
    "lambda_l2": ("penalty {} on the leaves (L2)", "штраф {} на листья (L2)"),
    "learning_rate": ("each tree counts {}", "вес каждого дерева {}"),
    "bagging_fraction": ("each tree sees {} of the customers", "каждое дерево видит {} клиентов"),
    "rounds": ("{} trees", "деревьев: {}"),
}
_SHARES: Final = ("tail", "feature_fraction_bynode", "bagging_fraction")
_MOVES: Final = {"more": "more of it, more risk", "less": "less of it, more risk", None: "depends on the value"}
_UNUSED: Final = ("not used", "не используется")


def describe_settings(settings: Mapping[str, Any], *, is_russian: bool) -> list[str]:
    """Return what each tuned setting of the deployed model says. Raises KeyError for one without words."""
    lines = []
    for name, value in settings.items():
        if is_russian:
            text = russian.percent(value) if name in _SHARES else russian.number(value, decimals=3)
        else:
            text = f"{value:.0%}" if name in _SHARES else f"{value:.4g}"
        lines.append(SETTINGS[name][is_russian].format(text))
    return lines


def describe_direction(row: Mapping[str, Any], *, is_russian: bool) -> str:
    """Return in which direction a feature moves the risk. Args: row: of the card's `importance`."""
    if row["raises"] is not None:
        high, low = (word_title(row[key]) if is_russian else row[key] for key in ("raises", "lowers"))
        return f"выше всего: {high}; ниже всего: {low}" if is_russian else f"highest {high}, lowest {low}"
    if row["correlation"] is None:
        return _UNUSED[is_russian]
    return (DIRECTIONS if is_russian else _MOVES)[direction_of(row["correlation"])]
