"""What a run warns of, as marketing reads it: the lines of the manifest in Russian."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from schemas.vocabulary import CURRENT_MONTH, MONTH_BEFORE_PREVIOUS, PREVIOUS_MONTH

_MONTHS: Final = {
    period.replace("_", " "): words
    for period, words in (
        (CURRENT_MONTH, "текущий месяц"),
        (PREVIOUS_MONTH, "прошлый месяц"),
        (MONTH_BEFORE_PREVIOUS, "позапрошлый месяц"),
    )
}
_MEASURES: Final = {
    "customers": "Клиентов в выгрузке",
    "share of customers that are not rejected": "Доля клиентов, которых не пришлось отклонить",
    "share of customers that are not excluded": "Доля клиентов, которых удалось оценить",
    "share of scored customers that may be contacted": "Доля разрешивших сообщения",
    "mean decline probability": "Средний риск",
    "contacts": "Писем в рассылке",
}
PATTERNS: Final = {
    r"segment \S+ \(«(.+)»\) is empty": "В сегменте «{0}» никого нет",
    r"segment \S+ \(«(.+)»\) has (\S+) of the customers, (\S+) in the previous run": (
        "В сегменте «{0}» {1} клиентов, в прошлом прогоне было {2}"
    ),
    r"(\S+), row (\d+): the last line has no line end; nothing else seems cut": (
        "{0}: последняя строка ({1}) не закончена; похоже, больше ничего не обрезано"
    ),
    r"(\S+), row (\d+): the last line has no line end and is rejected; nothing else seems cut": (
        "{0}: последняя строка ({1}) не закончена и отклонена; похоже, больше ничего не обрезано"
    ),
    r"(\S+) spellings were repaired; the (\S+) most frequent are listed, the others are in (\S+) rows": (
        "Исправлено разных написаний: {0}; самые частые ({1}) показаны, остальные в строках, которых {2}"
    ),
    r"revenue of (.+): half of the customers spent (\S+), (\S+) in training; .+": (
        "Выручка за {0}: половина клиентов потратила не меньше {1}, при обучении {2}. Другая валюта, другие единицы "
        "или испорченная выгрузка?"
    ),
    r"(.+): (\S+), (\S+) in the run before, \S+ \(--max-change\)": "{0}: {1}, в прошлом прогоне {2}",
    r"the control group of run (\S+) is not held back: .+": (
        "Контрольная группа прогона {0} не учтена: его файл изменён или не читается. Ей могли написать"
    ),
    r"the lift of run (\S+) is not used: .+": "Измеренное по прогону {0} не учтено: файл изменён или не читается",
    r"report\.html is left out: .+": "Страница прогона не нарисована",
}
"""Line of the manifest, as a pattern -> what people read."""
_DRIFT: Final = "drift, "  # the page has a section about it


def translate_warnings(lines: Sequence[str]) -> list[str]:
    """Return the warnings in Russian, without those of drift; a line that is not known stays as it is."""
    return [_translate(line) for line in lines if not line.startswith(_DRIFT)]


def _translate(line: str) -> str:
    for pattern, words in PATTERNS.items():
        if match := re.fullmatch(pattern, line):
            return words.format(*map(_part, match.groups()))
    return line


def _part(text: str) -> str:
    """Return a part of a line in Russian: a month, a measure, a number."""
    if re.fullmatch(r"-?[\d,]+(\.\d+)?(e[+-]?\d+)?%?", text):
        return text.replace(",", "\u00a0").replace(".", ",").replace("%", "\u00a0%")
    return _MONTHS.get(text, _MEASURES.get(text, text))
