"""Russian titles of features and words, short enough for a chart. The vocabulary's headings are the shop's own."""

from __future__ import annotations

from typing import Final

from schemas.features import CATEGORICAL_FEATURES
from schemas.vocabulary import CATEGORY, SERVICE_TYPE, UNKNOWN

FEATURE_TITLES: Final = {
    "contacts_6_months": "Контакты за 6 месяцев, среднее",
    "contacts_current_month": "Контакты, текущий месяц",
    "registered_days": "Дней с регистрации",
    "promo_share": "Доля акционных покупок",
    "categories_per_visit": "Категорий за визит",
    "unpaid_items_quarter": "Неоплаченные товары за квартал",
    "service_errors": "Ошибки сайта",
    "pages_per_visit": "Страниц за визит",
    "revenue_current_month": "Выручка, текущий месяц",
    "revenue_previous_month": "Выручка, предыдущий месяц",
    "revenue_month_before_previous": "Выручка, позапрошлый месяц",
    "revenue_change": "Изменение выручки за месяц",
    "revenue_change_2_months": "Изменение выручки за 2 месяца",
    "minutes_current_month": "Минут на сайте, текущий месяц",
    "minutes_previous_month": "Минут на сайте, предыдущий месяц",
    "service_type": "Тип сервиса",
    "favourite_category": "Любимая категория",
}
WORD_TITLES: Final = {
    **{name: delivered for words in (SERVICE_TYPE, CATEGORY) for delivered, name in words.values.items()},
    UNKNOWN: "неизвестное значение",
}


def title_of(feature: str) -> str:
    """Return the Russian title of a feature, or the name itself if it has none."""
    return FEATURE_TITLES.get(feature, feature)


def word_title(word: str) -> str:
    """Return a category's or service type's Russian name, or the word itself if it has none."""
    return WORD_TITLES.get(word, word)


CATEGORICAL_NAMES: Final = tuple(feature.name for feature in CATEGORICAL_FEATURES)
