"""What people read in Russian: phrases of reasons, channels, headings of the campaign's files.

Beside the vocabulary, which holds what the shop's export says; nothing here is ever read back.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class Number(StrEnum):
    """How a number is written."""

    COUNT = "count"  # 8; 2,5
    MONEY = "money"  # 4 972
    SHARE = "share"  # 89 %
    CHANGE = "change"  # −12 %


class Phrase(NamedTuple):
    """How a feature's value is put as a reason.

    Args:
        number: how the value and the usual one are written.
        below: said of a value below the usual one; `{value}` stands with its noun, `{usual}` without.
        above: said of a value above it.
        same: said of a value that is written like the usual one.
        nouns: what is counted: 1 страница, 2 страницы, 5 страниц; none where the number stands alone.
    """

    number: Number
    below: str
    above: str
    same: str
    nouns: tuple[str, str, str] | None = None


class WordPhrase(NamedTuple):
    """How a feature that is a word is put as a reason.

    Args:
        other: said of a word that is not the most frequent one.
        same: said of the most frequent one.
        unknown: said of a word outside the vocabulary.
    """

    other: str
    same: str
    unknown: str


def _counted(what: str, nouns: tuple[str, str, str], number: Number = Number.COUNT) -> Phrase:
    value = f"{{value}} {what}"
    return Phrase(
        number, f"всего {value}, обычно {{usual}}", f"{value}, обычно {{usual}}", f"{value}, как обычно", nouns
    )


def _stated(what: str, number: Number) -> Phrase:
    value = f"{what} {{value}}"
    compared = f"{value}, обычно {{usual}}"
    return Phrase(number, compared, compared, f"{value}, как обычно")


_CONTACTS: Final = ("контакт", "контакта", "контактов")
_MINUTES: Final = ("минута", "минуты", "минут")
_DAYS: Final = ("день", "дня", "дней")

PHRASES: Final = {
    "contacts_6_months": _counted("с магазином в месяц за полгода", _CONTACTS),
    "contacts_current_month": _counted("с магазином в текущем месяце", _CONTACTS),
    "registered_days": _counted("с регистрации", _DAYS),
    "promo_share": _stated("доля покупок по акциям", Number.SHARE),
    "categories_per_visit": _counted("за визит", ("категория", "категории", "категорий")),
    "unpaid_items_quarter": _counted(
        "в корзине за квартал", ("неоплаченный товар", "неоплаченных товара", "неоплаченных товаров")
    ),
    "service_errors": _counted("на сайте", ("ошибка", "ошибки", "ошибок")),
    "pages_per_visit": _counted("за визит", ("страница", "страницы", "страниц")),
    "revenue_current_month": _stated("выручка за текущий месяц", Number.MONEY),
    "revenue_previous_month": _stated("выручка за прошлый месяц", Number.MONEY),
    "revenue_month_before_previous": _stated("выручка за позапрошлый месяц", Number.MONEY),
    "revenue_change": _stated("выручка к прошлому месяцу", Number.CHANGE),
    "revenue_change_2_months": _stated("выручка к позапрошлому месяцу", Number.CHANGE),
    "minutes_current_month": _counted("на сайте в текущем месяце", _MINUTES),
    "minutes_previous_month": _counted("на сайте в прошлом месяце", _MINUTES),
}
WORD_PHRASES: Final = {
    "service_type": WordPhrase(
        "тип сервиса «{value}», обычно «{usual}»", "тип сервиса «{value}», как обычно", "тип сервиса неизвестен"
    ),
    "favourite_category": WordPhrase(
        "популярная категория «{value}», чаще бывает «{usual}»",
        "популярная категория «{value}», как у большинства",
        "популярная категория неизвестна",
    ),
}

ONSITE: Final = "onsite"
CHANNELS: Final = {
    "email": "письмо",
    "sms": "SMS",
    "push": "push-уведомление",
    "messenger": "мессенджер",
    "phone": "звонок",
    ONSITE: "на сайте",
}
"""Channel -> its Russian name. All but `onsite` are messages and need the customer's consent."""

CAMPAIGN_HEADINGS: Final = {
    "id": "id",
    "segment_title": "Сегмент",
    "offer_text": "Предложение",
    "channel": "Канал",
    "decline_percent": "Вероятность снижения, %",
    "profit_at_risk": "Прибыль под риском",
    "reason_1": "Причина 1",
    "reason_2": "Причина 2",
    "reason_3": "Причина 3",
}
SUMMARY_HEADINGS: Final = {
    "title": "Сегмент",
    "offer_text": "Предложение",
    "channel": "Канал",
    "customers": "Клиентов",
    "mean_risk": "Средняя вероятность снижения, %",
    "profit_at_risk": "Прибыль под риском",
    "treatment": "В рассылке",
    "control": "В контрольной группе",
    "cost": "Стоимость рассылки",
}
SUMMARY_SHEET: Final = "Сводка"
