"""Headings and values: the shop's Russian as delivered <-> the ASCII names used inside.

This is the only place where the two meet. Everything a drop may say is listed here with its right spelling and the
misspellings that real exports are known to contain.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

import polars as pl


class Kind(StrEnum):
    """What the values of a column are."""

    IDENTIFIER = "identifier"
    WHOLE = "whole number"
    NUMBER = "number"
    WORD = "word"


class Words(NamedTuple):
    """The closed vocabulary of a column.

    Args:
        values: right spelling -> ASCII name, in the order used by models and reports.
        misspellings: known wrong spelling -> right spelling.
        unknown_is_scored: a value outside the vocabulary becomes `UNKNOWN` and is scored; else its row is rejected.
    """

    values: dict[str, str]
    misspellings: dict[str, str]
    unknown_is_scored: bool = False

    @property
    def names(self) -> list[str]:
        """The ASCII names, in order."""
        return list(self.values.values())

    @property
    def dtype(self) -> pl.Enum:
        """The dtype of a column of these names and `UNKNOWN`, the last."""
        return pl.Enum([*self.names, UNKNOWN])


class Heading(NamedTuple):
    """One column of a table: its heading as delivered, its name inside, and what its values are."""

    delivered: str
    name: str
    kind: Kind
    words: Words | None = None


class Table(NamedTuple):
    """One of the four tables of a drop.

    Args:
        name: the file's name without its ending.
        headings: the columns, in the order delivered.
        key: the ASCII names of the columns that identify a row.
        label: the ASCII name of the label column, which only a labelled drop has.
    """

    name: str
    headings: tuple[Heading, ...]
    key: tuple[str, ...]
    label: str | None = None

    def heading(self, name: str) -> Heading:
        """Return the column called `name` inside. Raises KeyError if there is none."""
        for heading in self.headings:
            if heading.name == name:
                return heading
        raise KeyError(name)

    def expected(self, *, labelled: bool) -> tuple[Heading, ...]:
        """Return the columns that must be there: without the label unless `labelled`."""
        return tuple(heading for heading in self.headings if labelled or heading.name != self.label)


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
    {
        "текущий_месяц": CURRENT_MONTH,
        "предыдущий_месяц": PREVIOUS_MONTH,
        "препредыдущий_месяц": MONTH_BEFORE_PREVIOUS,
    },
    {"предыдцщий_месяц": "предыдущий_месяц"},
)
MONTHS_OF_MINUTES: Final = Words(
    {"текущий_месяц": CURRENT_MONTH, "предыдущий_месяц": PREVIOUS_MONTH},
    {"предыдцщий_месяц": "предыдущий_месяц"},
)

ID: Final = Heading("id", "id", Kind.IDENTIFIER)

MARKET_FILE: Final = Table(
    "market_file",
    (
        ID,
        Heading("Покупательская активность", "activity", Kind.WORD, ACTIVITY),
        Heading("Тип сервиса", "service_type", Kind.WORD, SERVICE_TYPE),
        Heading("Разрешить сообщать", "consent", Kind.WORD, CONSENT),
        Heading("Маркет_актив_6_мес", "contacts_6_months", Kind.NUMBER),
        Heading("Маркет_актив_тек_мес", "contacts_current_month", Kind.WHOLE),
        Heading("Длительность", "registered_days", Kind.WHOLE),
        Heading("Акционные_покупки", "promo_share", Kind.NUMBER),
        Heading("Популярная_категория", "favourite_category", Kind.WORD, CATEGORY),
        Heading("Средний_просмотр_категорий_за_визит", "categories_per_visit", Kind.WHOLE),
        Heading("Неоплаченные_продукты_штук_квартал", "unpaid_items_quarter", Kind.WHOLE),
        Heading("Ошибка_сервиса", "service_errors", Kind.WHOLE),
        Heading("Страниц_за_визит", "pages_per_visit", Kind.WHOLE),
    ),
    key=("id",),
    label="activity",
)
MARKET_MONEY: Final = Table(
    "market_money",
    (ID, Heading("Период", "period", Kind.WORD, MONTHS_OF_REVENUE), Heading("Выручка", "revenue", Kind.NUMBER)),
    key=("id", "period"),
)
MARKET_TIME: Final = Table(
    "market_time",
    (ID, Heading("Период", "period", Kind.WORD, MONTHS_OF_MINUTES), Heading("минут", "minutes", Kind.WHOLE)),
    key=("id", "period"),
)
MONEY: Final = Table("money", (ID, Heading("Прибыль", "monthly_profit", Kind.NUMBER)), key=("id",))

TABLES: Final = {table.name: table for table in (MARKET_FILE, MARKET_MONEY, MARKET_TIME, MONEY)}
