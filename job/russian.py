"""Numbers and nouns as a Russian reader expects them: 4 972; 2,5 страницы; −12 %."""

from __future__ import annotations

from typing import Final

MINUS: Final = "\u2212"


def number(value: float, *, decimals: int = 0, signed: bool = False, is_fixed: bool = False) -> str:
    """Return a finite number with a decimal comma and, from 1 000 on, spaces between thousands.

    `decimals`: at most so many are written, zeros at the end only if `is_fixed`; `signed`: with a plus, too.
    """
    text = f"{abs(value):,.{decimals}f}"
    if decimals and not is_fixed:
        text = text.rstrip("0").rstrip(".")
    text = text.replace(",", " ").replace(".", ",")
    if not text.strip("0,"):
        return text
    return f"{MINUS if value < 0 else '+' if signed else ''}{text}"


def percent(share: float, *, decimals: int = 0, signed: bool = False, is_fixed: bool = False) -> str:
    """Return a share as a percentage: 0.125 as «12,5 %» with one decimal."""
    return f"{number(share * 100, decimals=decimals, signed=signed, is_fixed=is_fixed)} %"


def noun(value: float, forms: tuple[str, str, str], *, decimals: int = 0) -> str:
    """Return the form of a noun that agrees with a number as it is written; with a fraction, that of 2.

    `forms`: of 1, 2 and 5: страница, страницы, страниц.
    """
    shown = round(abs(value), decimals)
    if shown != int(shown):
        return forms[1]
    if int(shown) % 100 // 10 == 1:  # 10 to 19
        return forms[2]
    return {1: forms[0], 2: forms[1], 3: forms[1], 4: forms[1]}.get(int(shown) % 10, forms[2])
