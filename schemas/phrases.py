"""What people read in Russian: phrases of reasons, channels, headings of the campaign's files.

Beside the vocabulary, which holds what the shop's export says; nothing here is ever read back.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class Number(StrEnum):
    """How a number is written."""

    COUNT = "count"  # 8
    MEAN = "mean"  # 2,5
    MONEY = "money"  # 4 972
    SHARE = "share"  # 89 %
    CHANGE = "change"  # −12 %

    @property
    def decimals(self) -> int:
        """How many decimals of the value as delivered are shown."""
        return {Number.MEAN: 1, Number.SHARE: 2, Number.CHANGE: 2}.get(self, 0)


class Theme(StrEnum):
    """What a reason is about: a customer reads at most one of each. The values are the keys of the hints."""

    REVENUE = "revenue"
    VISITS = "visits"
    MINUTES = "minutes"
    CONTACTS = "contacts"
    BASKET = "basket"
    PROMO = "promo"
    CATEGORY = "category"
    SERVICE = "service"


class Phrase(NamedTuple):
    """How a feature's value is put as a reason."""

    number: Number  # how the value and the median are written
    below: str  # said of a value clearly below the median; `{value}` stands with its noun, `{median}` without
    above: str  # said of a value clearly above it
    # what is counted: 1 страница, 2 страницы, 5 страниц; none where the number stands alone
    nouns: tuple[str, str, str] | None = None
    rise: str = ""  # of a change: said instead of `below` of a value that is no fall
    fall: str = ""  # of a change: said instead of `above` of a value that is no rise

    @property
    def templates(self) -> tuple[str, ...]:
        """All that may be said."""
        return tuple(text for text in (self.below, self.above, self.rise, self.fall) if text)

    def template(self, value: float, median: float) -> str:
        """Return what is said of a value."""
        if value < median:
            return self.rise if self.rise and value >= 0 else self.below
        return self.fall if self.fall and value <= 0 else self.above


class WordPhrase(NamedTuple):
    """How a feature that is a word is put as a reason."""

    other: str  # said of a word that is not the most frequent one; `{share}` of the customers have it


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

_CUSTOMER: Final = {"id": "id", "segment_title": "Сегмент", "decline_probability": "Риск снижения"}
CONTACT_HEADINGS: Final = {
    "rank": "№",
    **_CUSTOMER,
    "monthly_profit": "Прибыль за месяц",
    "profit_at_risk": "Прибыль под риском",
    "expected_value": "Ожидаемая ценность контакта",
    "offer_text": "Предложение",
    "offer": "Код предложения",
    "channel": "Канал",
    "cost": "Цена контакта",
    "contacts_current_month": "Контактов в этом месяце",
    "reason_1": "Причина 1",
    "reason_2": "Причина 2",
    "reason_3": "Причина 3",
    "hint": "Что можно сделать",
}
"""Of whom to contact: of `campaign.csv`, and without the segment of the workbook's sheets, each of one segment."""

SUMMARY_HEADINGS: Final = {
    "title": "Сегмент",
    "offer_text": "Предложение",
    "offer": "Код предложения",
    "channel": "Канал",
    "cost_per_contact": "Цена контакта",
    "customers": "Клиентов",
    "mean_risk": "Средний риск",
    "profit_at_risk": "Прибыль под риском",
    "treatment": "Написать",
    "control": "В контрольной группе",
    "cost": "Стоимость рассылки",
    "expected_value": "Ожидаемая ценность",
}
SUMMARY_SHEET: Final = "Сводка"
TOTAL: Final = "Всего"
CONTROL_SHEET: Final = "Контрольная группа"
ONSITE_SHEET: Final = "Показать на сайте"
EXCLUDED_SHEET: Final = "Не оценены"
REJECTED_SHEET: Final = "Отклонены"
CONTROL_HEADINGS: Final = {**_CUSTOMER, "note": "Что делать"}
ONSITE_HEADINGS: Final = {**_CUSTOMER, "offer_text": "Показать на сайте", "offer": "Код предложения"}
EXCLUDED_HEADINGS: Final = {"id": "id", "reason": "Почему не оценён"}
REJECTED_HEADINGS: Final = {
    "file": "Файл",
    "row": "Строка",
    "id": "id",
    "column": "Столбец",
    "reason": "Почему отклонена",
    "value": "Значение",
}
DO_NOT_CONTACT: Final = "Не писать: с этими клиентами сравнят тех, кому написали"
MOST_ROWS: Final = 100_000  # of a sheet; with more contacts there is no workbook: nobody reads them one by one
TOO_MANY: Final = "Больше {rows} строк: их здесь нет, они в {file}"
"""Of a sheet that would be too long for a person."""

REJECTIONS: Final = {
    r"has paired quotes": "в строке непарная кавычка",
    r"is readable as (.+)": r"не читается в кодировке \1",
    r"has (\d+) fields": r"полей в строке не \1",
    r"occurs once, or always with the same values": "повторяется с другими значениями",
    r"has an accepted row in market_file": "в market_file нет пригодной строки этого клиента",
}
"""Rule about a whole row, as a pattern -> what people read of a row that breaks it."""
