"""Words: the shop's Russian as delivered <-> the ASCII names used inside. Headings stand in `schemas.columns`.

Every word that a drop may say is listed here with its right spelling and the misspellings that real exports are known
to contain.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import polars as pl


class Words(NamedTuple):
    """The closed vocabulary of a column."""

    values: dict[str, str]  # right spelling -> ASCII name, in the order used by models and reports
    misspellings: dict[str, str]  # known wrong spelling -> right spelling
    # a value outside the vocabulary becomes `UNKNOWN` and is scored; else its row is rejected
    unknown_is_scored: bool = False

    @property
    def names(self) -> list[str]:
        """The ASCII names, in order."""
        return list(self.values.values())

    @property
    def dtype(self) -> pl.Enum:
        """The dtype of a column of these names and `UNKNOWN`, the last."""
        return pl.Enum([*self.names, UNKNOWN])


UNKNOWN: Final = "unknown"

CURRENT_MONTH: Final = "current_month"
PREVIOUS_MONTH: Final = "previous_month"
MONTH_BEFORE_PREVIOUS: Final = "month_before_previous"
PERIODS_OF_REVENUE: Final = (CURRENT_MONTH, PREVIOUS_MONTH, MONTH_BEFORE_PREVIOUS)
PERIODS_OF_MINUTES: Final = (CURRENT_MONTH, PREVIOUS_MONTH)

DECLINED: Final = "declined"
UNCHANGED: Final = "unchanged"

ACTIVITY: Final = Words({"Снизилась": DECLINED, "Прежний уровень": UNCHANGED}, {})
SERVICE_TYPE: Final = Words({"стандарт": "standard", "премиум": "premium"}, {"стандартт": "стандарт"})
CONSENT: Final = Words({"да": "yes", "нет": "no"}, {})
CATEGORY: Final = Words(
    {
        "Товары для детей": "children_goods",
        "Домашний текстиль": "home_textiles",
        "Косметика и аксессуары": "cosmetics_accessories",
        "Техника для красоты и здоровья": "beauty_health_devices",
        "Мелкая бытовая техника и электроника": "small_appliances_electronics",
        "Кухонная посуда": "kitchenware",
    },
    {"Косметика и аксесуары": "Косметика и аксессуары"},
    unknown_is_scored=True,
)
MONTHS_OF_REVENUE: Final = Words(
    {"текущий_месяц": CURRENT_MONTH, "предыдущий_месяц": PREVIOUS_MONTH, "препредыдущий_месяц": MONTH_BEFORE_PREVIOUS},
    {"предыдцщий_месяц": "предыдущий_месяц"},
)
MONTHS_OF_MINUTES: Final = Words(
    {"текущий_месяц": CURRENT_MONTH, "предыдущий_месяц": PREVIOUS_MONTH}, {"предыдцщий_месяц": "предыдущий_месяц"}
)
