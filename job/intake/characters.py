"""Characters that people do not see: letters that look like others, zero-width ones, odd spaces and minus signs.

What looks the same is taken for the same where only one reading is possible; where none is, a message names the
character with its code point.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl

WIDE_SPACES: Final = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
SPACES: Final = f"\t\r\n{WIDE_SPACES}\ufeff"
INVISIBLE: Final = (
    "\u00ad\u034f\u061c\u115f\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufe0e\ufe0f\ufeff"
)
"""Soft hyphens, zero-width spaces and joiners, marks of direction: they change no word and no number."""
MINUSES: Final = "-\u02d7\u2010\u2011\u2012\u2013\u2043\u207b\u2212\u2796\ufe63\uff0d"
"""What stands for a minus before a digit; the em dash does not: it stands for a missing value."""

_LOOK_ALIKES: Final = str.maketrans(
    dict(zip("abcehikmoptxysj", "авсенікмортхуѕј", strict=True))
    | dict(zip("αβεηικμορτυχ", "авенікмортух", strict=True))
)
"""Small letters of Latin and Greek -> the Cyrillic one that looks like them, small or large."""

_ANY_INVISIBLE: Final = re.compile(f"[{INVISIBLE}]")
_STRANGE: Final = f"{INVISIBLE}{SPACES}{MINUSES}\N{REPLACEMENT CHARACTER}"
_LIKE_DIGITS: Final = "OoIl"  # of ASCII; other letters among digits can be seen


def has_invisible(text: pl.Expr) -> pl.Expr:
    """Return whether a text has invisible characters (Boolean)."""
    return text.str.contains(f"[{INVISIBLE}]")


def without_invisible(text: pl.Expr) -> pl.Expr:
    """Return text without invisible characters, trimmed."""
    return text.str.replace_all(f"[{INVISIBLE}]", "").str.strip_chars(SPACES)


def with_plain_minus(text: pl.Expr) -> pl.Expr:
    """Return text whose minus sign before a digit, of whatever kind, is `-`."""
    return text.str.replace(rf"^[{MINUSES}][{WIDE_SPACES}]*([0-9.,])", "-${1}")


@lru_cache(maxsize=4096)
def visible_spelling(text: str) -> str:
    """Return text without what does not matter in headings and words: case, spaces around, `_`, line breaks, `ё`."""
    words = re.sub(rf"[_{SPACES}]+", " ", unicodedata.normalize("NFC", text)).strip(" ")
    return words.casefold().replace("ё", "е")


@lru_cache(maxsize=4096)
def plain_spelling(text: str) -> str:
    """Return the visible spelling without invisible characters, and with one letter for those that look the same.

    Two texts that look the same but for case have the same one. It is for comparing only: `id` becomes Cyrillic.
    """
    return visible_spelling(_ANY_INVISIBLE.sub("", text)).translate(_LOOK_ALIKES)


def name_odd_character(text: str) -> str | None:
    """Return the first character that is not what it looks like, as `U+0043 LATIN CAPITAL LETTER C`; None without one.

    That is one that is not seen, a space, a minus or a digit of another kind, a letter among digits, or one of another
    alphabet than most letters of its word.
    """
    letters = sum(char.isalpha() for char in text)
    is_number = sum(char in "0123456789" for char in text) > letters
    for word in re.findall(r"[^\W\d_]+|.", text, flags=re.DOTALL):
        alphabets = [unicodedata.name(char, "").partition(" ")[0] for char in word]
        usual = max(dict.fromkeys(alphabets), key=alphabets.count)
        for char, alphabet in zip(word, alphabets, strict=True):
            is_strange_letter = char.isalpha() and (alphabet != usual or (is_number and char in _LIKE_DIGITS))
            is_strange_sign = is_number or char in _STRANGE or char.isdigit() or not char.isprintable()
            if is_strange_letter or (is_strange_sign and not (char.isascii() and char.isprintable())):
                return f"U+{ord(char):04X} {unicodedata.name(char, 'a control character')}"
    return None
