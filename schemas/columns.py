"""The columns of a drop and of the feature frame, one record each: all that is known of a column stands in it.

A new column that becomes a feature, or a new derived feature, is one record here; a part that is missing is an error as
soon as this module is imported. Bounds are generous: beyond them is what no shop has ever seen, or what cannot be true
by meaning; that is a slip of the export, and its row is rejected.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Final, NamedTuple

import polars as pl

from schemas.contract import Contract, Field, Rule
from schemas.phrases import Number, Phrase, Theme, WordPhrase
from schemas.vocabulary import (
    ACTIVITY,
    CATEGORY,
    CONSENT,
    CURRENT_MONTH,
    MONTH_BEFORE_PREVIOUS,
    MONTHS_OF_MINUTES,
    MONTHS_OF_REVENUE,
    PERIODS_OF_REVENUE,
    PREVIOUS_MONTH,
    SERVICE_TYPE,
    UNKNOWN,
    Words,
)

MINUTES_PER_MONTH: Final = 31 * 24 * 60
ID_DIGITS: Final = 18
MOST_MONEY: Final = 1_000_000_000  # of one customer in a month, in the shop's units


class Kind(StrEnum):
    """What the values of a column are."""

    IDENTIFIER = "identifier"
    WHOLE = "whole number"
    NUMBER = "number"
    WORD = "word"


DTYPES: Final[dict[Kind, pl.DataType]] = {
    Kind.IDENTIFIER: pl.Int64(),
    Kind.WHOLE: pl.Int64(),
    Kind.NUMBER: pl.Float64(),
}
"""Kind -> dtype of its columns; those of words have the dtype of their words."""

GIVEN: Final = Rule("is given", broken="не указано")
AS_FLOAT: Final = Rule(
    "is written out in digits, not as a float (beyond 2^53 one float stands for several ids)",
    broken="записан как дробное число: за ним может стоять несколько id",
)
READABLE: Final = {
    Kind.IDENTIFIER: Rule(
        f"is a whole number of at most {ID_DIGITS} digits, without leading zeros",
        broken=f"не целое число до {ID_DIGITS} цифр без нулей впереди",
    ),
    Kind.WHOLE: Rule("is a whole number", broken="не целое число"),
    Kind.NUMBER: Rule("is a number", broken="не число"),
}
"""Kind -> what must be true of the text of a value; that of words is of their vocabulary."""


class Meaning(NamedTuple):
    """What a feature means to people."""

    title: str  # in Russian, short enough for a chart
    phrase: Phrase | WordPhrase  # how its value is put as a reason, in Russian
    unit: str  # what it is counted in; empty for words
    theme: Theme | None  # what a reason with it is about; None is never a reason: nobody can act on it


class Column(NamedTuple):
    """One column of a table."""

    delivered: str  # its heading
    name: str  # what it is called inside, in ASCII
    kind: Kind  # what its values are
    words: Words | None = None  # its vocabulary, of a column of words
    # what must be true of each value, of a column of numbers: a lowest and a highest value
    rules: tuple[Rule, ...] = ()
    feature: Meaning | None = None  # what it means to people, if it is a feature of models


class NumericFeature(NamedTuple):
    """One numeric column of the feature frame (Float64)."""

    name: str
    meaning: Meaning
    formula: pl.Expr  # over `job.features.join_tables`; finite for every customer who is scored


class Table(NamedTuple):
    """One of the four tables of a drop."""

    name: str  # the file's name without its ending
    headings: tuple[Column, ...]  # the columns, in the order delivered
    key: tuple[str, ...]  # the ASCII names of the columns that identify a row
    label: str | None = None  # the ASCII name of the label column, which only a labelled drop has

    def heading(self, name: str) -> Column:
        """Return the column called `name` inside. Raises KeyError if there is none."""
        return {heading.name: heading for heading in self.headings}[name]

    def expected(self, *, labelled: bool) -> tuple[Column, ...]:
        """Return the columns that must be there: without the label unless `labelled`."""
        return tuple(heading for heading in self.headings if labelled or heading.name != self.label)

    def contract(self, *, labelled: bool, only: Collection[str] | None = None, whole: bool = True) -> Contract:
        """Return what accepted rows are, of these columns `only`; of a `whole` table, that its key is unique, too."""
        fields = tuple(
            Field(column.name, dtype_of(column), _all_rules(column))
            for column in self.expected(labelled=labelled)
            if only is None or column.name in only
        )
        return Contract(self.name, fields, self.key if whole else ())


def dtype_of(column: Column) -> pl.DataType:
    """Return the dtype of a column whose rules are still to be checked."""
    return DTYPES[column.kind] if column.words is None else column.words.dtype


def accepted_dtype(column: Column) -> pl.DataType:
    """Return the dtype of a column once its rules hold: a narrower one may then have all its values."""
    return pl.Int32() if column.kind is Kind.WHOLE else dtype_of(column)


def keeps_rules(column: Column) -> pl.Expr:
    """Return whether each value keeps the rules of its column (Boolean): the fast rule of the table's contract.

    Words are known by being there: one that the vocabulary lacks has become null, or `UNKNOWN` where that is scored.
    """
    return Field(column.name, dtype_of(column), column.rules).is_kept()


def words_rule(words: Words) -> str:
    """Return the rule that a value is one of these words, as the fact that it states."""
    return f"is one of: {', '.join(words.values)}"


def _all_rules(column: Column) -> tuple[Rule, ...]:
    words = column.words
    if words is None:
        return column.rules
    allowed = (*words.names, *([UNKNOWN] if words.unknown_is_scored else []))
    return (Rule(words_rule(words), words=allowed, broken=f"не из списка: {', '.join(words.values)}"),)


def _spaced(limit: int) -> str:
    return f"{limit:,}".replace(",", " ")


def _up_to(limit: int, what: str) -> tuple[Rule, ...]:
    return (
        Rule("is not negative", low=0, broken="меньше нуля"),
        Rule(f"is at most {limit:,} ({what})", high=limit, broken=f"больше {_spaced(limit)}"),
    )


def _counted(what: str, nouns: tuple[str, str, str], number: Number = Number.COUNT) -> Phrase:
    return Phrase(
        number,
        f"всего {{value}} {what}, у половины клиентов {{median}} и больше",
        f"{{value}} {what}, у половины клиентов не больше {{median}}",
        nouns,
    )


def _level(what: str, number: Number) -> Phrase:
    return Phrase(
        number,
        f"{what} низкая: {{value}}, у половины клиентов {{median}} и больше",
        f"{what} высокая: {{value}}, у половины клиентов не больше {{median}}",
    )


def _jump(against: str) -> Phrase:
    return Phrase(
        Number.CHANGE,
        f"падение выручки {against}: {{value}}, у половины клиентов {{median}} и больше",
        f"резкий рост выручки {against}: {{value}}; после таких скачков покупают меньше",
        rise=f"выручка {against}: {{value}}, у половины клиентов {{median}} и больше",
        fall=f"выручка {against}: {{value}}, у половины клиентов не больше {{median}}",
    )


_CONTACTS: Final = ("контакт", "контакта", "контактов")
_MINUTES: Final = ("минута", "минуты", "минут")
_DAYS: Final = ("день", "дня", "дней")
_CATEGORIES: Final = ("категория", "категории", "категорий")
_UNPAID: Final = ("неоплаченный товар", "неоплаченных товара", "неоплаченных товаров")
_ERRORS: Final = ("ошибка", "ошибки", "ошибок")
_PAGES: Final = ("страница", "страницы", "страниц")

_ID_RULE: Final = Rule(
    f"is positive and has at most {ID_DIGITS} digits",
    1,
    10**ID_DIGITS - 1,
    broken=f"не больше нуля или длиннее {ID_DIGITS} цифр",
)
ID: Final = Column("id", "id", Kind.IDENTIFIER, rules=(_ID_RULE,))

MARKET_FILE: Final = Table(
    "market_file",
    (
        ID,
        Column("Покупательская активность", "activity", Kind.WORD, ACTIVITY),
        Column(
            "Тип сервиса",
            "service_type",
            Kind.WORD,
            SERVICE_TYPE,
            feature=Meaning("Тип сервиса", WordPhrase("тип сервиса «{value}» (у {share} клиентов)"), "", None),
        ),
        Column("Разрешить сообщать", "consent", Kind.WORD, CONSENT),
        Column(
            "Маркет_актив_6_мес",
            "contacts_6_months",
            Kind.NUMBER,
            rules=_up_to(10_000, "contacts in a month"),
            feature=Meaning(
                "Контакты за 6 месяцев, среднее",
                _counted("с магазином в месяц за полгода", _CONTACTS, Number.MEAN),
                "contacts a month",
                Theme.CONTACTS,
            ),
        ),
        Column(
            "Маркет_актив_тек_мес",
            "contacts_current_month",
            Kind.WHOLE,
            rules=_up_to(10_000, "contacts in a month"),
            feature=Meaning(
                "Контакты, текущий месяц",
                _counted("с магазином в текущем месяце", _CONTACTS),
                "contacts",
                Theme.CONTACTS,
            ),
        ),
        Column(
            "Длительность",
            "registered_days",
            Kind.WHOLE,
            rules=_up_to(36_525, "days in a century"),
            feature=Meaning("Дней с регистрации", _counted("с регистрации", _DAYS), "days", None),
        ),
        Column(
            "Акционные_покупки",
            "promo_share",
            Kind.NUMBER,
            rules=(Rule("is within 0..1", 0, 1, broken="не от 0 до 1"),),
            feature=Meaning(
                "Доля акционных покупок", _level("доля покупок по акциям", Number.SHARE), "share, 0..1", Theme.PROMO
            ),
        ),
        Column(
            "Популярная_категория",
            "favourite_category",
            Kind.WORD,
            CATEGORY,
            feature=Meaning(
                "Любимая категория",
                WordPhrase("популярная категория «{value}» (у {share} клиентов)"),
                "",
                Theme.CATEGORY,
            ),
        ),
        Column(
            "Средний_просмотр_категорий_за_визит",
            "categories_per_visit",
            Kind.WHOLE,
            rules=_up_to(10_000, "categories in a visit"),
            feature=Meaning("Категорий за визит", _counted("за визит", _CATEGORIES), "categories", Theme.VISITS),
        ),
        Column(
            "Неоплаченные_продукты_штук_квартал",
            "unpaid_items_quarter",
            Kind.WHOLE,
            rules=_up_to(10_000, "items in a quarter"),
            feature=Meaning(
                "Неоплаченные товары за квартал", _counted("в корзине за квартал", _UNPAID), "items", Theme.BASKET
            ),
        ),
        Column(
            "Ошибка_сервиса",
            "service_errors",
            Kind.WHOLE,
            rules=_up_to(10_000, "errors in a quarter"),
            feature=Meaning("Ошибки сайта", _counted("на сайте", _ERRORS), "errors", Theme.SERVICE),
        ),
        Column(
            "Страниц_за_визит",
            "pages_per_visit",
            Kind.WHOLE,
            rules=_up_to(10_000, "pages in a visit"),
            feature=Meaning("Страниц за визит", _counted("за визит", _PAGES), "pages", Theme.VISITS),
        ),
    ),
    key=("id",),
    label="activity",
)
MARKET_MONEY: Final = Table(
    "market_money",
    (
        ID,
        Column("Период", "period", Kind.WORD, MONTHS_OF_REVENUE),
        Column("Выручка", "revenue", Kind.NUMBER, rules=_up_to(MOST_MONEY, "revenue of a month")),
    ),
    key=("id", "period"),
)
MARKET_TIME: Final = Table(
    "market_time",
    (
        ID,
        Column("Период", "period", Kind.WORD, MONTHS_OF_MINUTES),
        Column("минут", "minutes", Kind.WHOLE, rules=_up_to(MINUTES_PER_MONTH, "minutes in a month")),
    ),
    key=("id", "period"),
)
_PROFIT_RULE: Final = Rule(
    f"is within ±{MOST_MONEY:,} (profit of a month)",
    -MOST_MONEY,
    MOST_MONEY,
    broken=f"больше {_spaced(MOST_MONEY)} со знаком плюс или минус",
)
MONEY: Final = Table(
    "money", (ID, Column("Прибыль", "monthly_profit", Kind.NUMBER, rules=(_PROFIT_RULE,))), key=("id",)
)

TABLES: Final = {table.name: table for table in (MARKET_FILE, MARKET_MONEY, MARKET_TIME, MONEY)}

_REVENUE: Final = {period: pl.col(f"revenue_{period}") for period in PERIODS_OF_REVENUE}


def _of_revenue(period: str, title: str, what: str) -> NumericFeature:
    phrase = _level(f"выручка за {what}", Number.MONEY)
    meaning = Meaning(f"Выручка, {title}", phrase, "shop's currency", Theme.REVENUE)
    return NumericFeature(f"revenue_{period}", meaning, _REVENUE[period])


def _of_change(name: str, earlier: str, title: str, against: str) -> NumericFeature:
    meaning = Meaning(f"Изменение выручки за {title}", _jump(against), "share", Theme.REVENUE)
    return NumericFeature(name, meaning, _REVENUE[CURRENT_MONTH] / _REVENUE[earlier] - 1)


def _of_minutes(period: str, title: str, what: str) -> NumericFeature:
    phrase = _counted(f"на сайте в {what}", _MINUTES)
    meaning = Meaning(f"Минут на сайте, {title}", phrase, "minutes", Theme.MINUTES)
    return NumericFeature(f"minutes_{period}", meaning, pl.col(f"minutes_{period}"))


DERIVED: Final = (
    _of_revenue(CURRENT_MONTH, "текущий месяц", "текущий месяц"),
    _of_revenue(PREVIOUS_MONTH, "предыдущий месяц", "прошлый месяц"),
    _of_revenue(MONTH_BEFORE_PREVIOUS, "позапрошлый месяц", "позапрошлый месяц"),
    _of_change("revenue_change", PREVIOUS_MONTH, "месяц", "к прошлому месяцу"),
    _of_change("revenue_change_2_months", MONTH_BEFORE_PREVIOUS, "2 месяца", "к позапрошлому месяцу"),
    _of_minutes(CURRENT_MONTH, "текущий месяц", "текущем месяце"),
    _of_minutes(PREVIOUS_MONTH, "предыдущий месяц", "прошлом месяце"),
)
"""Features that are computed of a joined customer. Changes of revenue are relative (this month / an earlier one - 1),
because baskets differ in size; a scored customer has no month without revenue, so that no ratio divides by 0.
Differences of two columns (minutes, contacts) are no features: they are linear in columns that are."""


def check_column(column: Column) -> None:
    """Raise ValueError if a part of a column's record is missing or does not fit its kind."""
    if (column.kind is Kind.WORD) != (column.words is not None):
        raise ValueError(f"{column.name}: a column of words has words, and no other")
    if column.kind is not Kind.WORD and not (
        any(rule.low is not None for rule in column.rules) and any(rule.high is not None for rule in column.rules)
    ):
        raise ValueError(f"{column.name}: a number has rules with a lowest and a highest value")
    if not all(rule.broken for rule in column.rules):
        raise ValueError(f"{column.name}: each rule says in Russian what breaks it")
    if column.feature is not None:
        check_meaning(column.name, column.feature, is_word=column.words is not None)


def check_meaning(name: str, feature: Meaning, *, is_word: bool) -> None:
    """Raise ValueError if what a feature means does not fit: words and numbers have phrases of their own."""
    if is_word != isinstance(feature.phrase, WordPhrase):
        raise ValueError(f"{name}: a word has a WordPhrase, a number a Phrase")
    if bool(feature.unit) == is_word:
        raise ValueError(f"{name}: a number has a unit, a word none")


RULES: Final = (
    GIVEN,
    AS_FLOAT,
    *READABLE.values(),
    *(rule for table in TABLES.values() for column in table.headings for rule in _all_rules(column)),
)
"""Every rule about a single value of a drop."""

for _table in TABLES.values():
    for _column in _table.headings:
        check_column(_column)
for _derived in DERIVED:
    check_meaning(_derived.name, _derived.meaning, is_word=False)
