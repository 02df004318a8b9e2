"""Numbers, amounts, counts and dates as the page writes them: those of `job.russian`, never broken between lines."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final

from job import russian

NO_BREAK_SPACE: Final = "\u00a0"
PERCENT: Final = f"{NO_BREAK_SPACE}%"
MONTHS: Final = (
    "января",
    "февраля",
    "марта",
    "апреля",
    "мая",
    "июня",
    "июля",
    "августа",
    "сентября",
    "октября",
    "ноября",
    "декабря",
)
SCALES: Final = ((1e9, 1e9, "млрд"), (1e6, 1e6, "млн"), (1e5, 1e3, "тыс."))  # from which amount, unit, name
DIGITS: Final = 3


def number(value: float, *, decimals: int = 0, signed: bool = False) -> str:
    """Return a number with a decimal comma and no-break spaces; see `job.russian.number`."""
    return russian.number(value, decimals=decimals, signed=signed).replace(" ", NO_BREAK_SPACE)


def percent(share: float, *, decimals: int = 0, signed: bool = False) -> str:
    """Return a share as a percentage: 0.385 -> «39 %». Almost all is not all: 0.997 -> «больше 99 %»."""
    text = number(share * 100, decimals=decimals, signed=signed)
    if share < 1 and not signed and text == number(100):
        text = f"больше {number(100 - 10**-decimals, decimals=decimals)}"
    return f"{text}{PERCENT}"


def fixed(value: float, decimals: int, *, signed: bool = False) -> str:
    """Return a number with all its decimals, for columns of measures: 0.92 -> «0,920»."""
    text = russian.number(value, decimals=decimals, signed=signed, is_fixed=True)
    return text.replace(" ", NO_BREAK_SPACE)


def share(value: float) -> str:
    """Return a share for a column of such: 0.385 -> «38,5 %»."""
    return f"{fixed(100 * value, 1)}{PERCENT}"


def points(difference: float, *, signed: bool = False) -> str:
    """Return a difference of shares in percentage points: 0.385 -> «38,5 п. п.»."""
    return f"{fixed(100 * difference, 1, signed=signed)}{NO_BREAK_SPACE}п.{NO_BREAK_SPACE}п."


def p_value(value: float) -> str:
    """Return a p-value: «p = 0,02», «p < 0,001»."""
    return "p < 0,001" if value < 0.001 else f"p = {number(value, decimals=3)}"  # noqa: PLR2004 - the last digit


def compact(amount: float) -> str:
    """Return an amount with three or so digits: 1 234 567 -> «1,23 млн», 6006.7 -> «6 007», 4.04 -> «4,04»."""
    for start, unit, name in SCALES:
        if abs(amount) >= start:
            return f"{significant(amount / unit)}{NO_BREAK_SPACE}{name}"
    return significant(amount)


def significant(value: float) -> str:
    """Return a number with three significant digits, or all digits before the comma if they are more."""
    if not value:
        return number(0)
    return number(value, decimals=max(0, DIGITS - 1 - math.floor(math.log10(abs(value)))))


def count(value: int, one: str, few: str, many: str) -> str:
    """Return a count with its noun in the right form: 1 клиент, 2 клиента, 5 клиентов, 11 клиентов."""
    return f"{number(value)}{NO_BREAK_SPACE}{russian.noun(value, (one, few, many))}"


def date(moment: str) -> str:
    """Return the day of an ISO moment, for columns: «22.11.2025»."""
    return f"{datetime.fromisoformat(moment):%d.%m.%Y}"


def day(moment: str) -> str:
    """Return the day and time of an ISO moment: «22 ноября 2025 г., 02:40 UTC»."""
    parsed = datetime.fromisoformat(moment)
    zone = f"{NO_BREAK_SPACE}UTC" if parsed.utcoffset() is not None and not parsed.utcoffset() else ""
    return (
        f"{parsed.day}{NO_BREAK_SPACE}{MONTHS[parsed.month - 1]} {parsed.year}{NO_BREAK_SPACE}г., "
        f"{parsed.hour:02d}:{parsed.minute:02d}{zone}"
    )
