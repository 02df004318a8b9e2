"""Words as delivered become the vocabulary's ASCII names; each misspelling that is repaired is counted.

A word is repaired when it is a known misspelling, or when exactly one word of the vocabulary is near: equal but for
case, spaces, `_`, `ё`/`е`, letters that look the same, invisible characters or doubled letters, or one edit away (a
letter more, less, other, or two swapped). Words shorter than five letters are never repaired by an edit: «да» and «на»
are one edit apart, and consent is not guessed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from job.intake.characters import plain_spelling
from schemas.vocabulary import UNKNOWN, Words

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

SHORTEST_FOR_EDITS: Final = 5
LONGEST_FACTOR: Final = 2  # a text more than twice as long as any word is not near one


def repair_words(values: Iterable[str], words: Words) -> dict[str, str]:
    """Return the right spelling for each of distinct values, trimmed, that can be read as a word; others are absent."""
    repaired = {}
    longest = LONGEST_FACTOR * max(len(word) for word in words.values)
    for value in values:
        if value in words.values:
            repaired[value] = value
        elif value in words.misspellings:
            repaired[value] = words.misspellings[value]
        elif len(value) <= longest and (near := nearest(value, tuple(words.values))):
            repaired[value] = near
    return repaired


def name_words(text: pl.Expr, spelling: dict[str, str], words: Words) -> pl.Expr:
    """Return the ASCII name of each trimmed value; null where it has none, or `unknown` if the vocabulary allows that.

    Args: spelling: of `repair_words`.
    """
    names = {value: words.values[right] for value, right in spelling.items()}
    named = text.replace_strict(names, default=None, return_dtype=words.dtype)
    return named.fill_null(UNKNOWN) if words.unknown_is_scored else named


def nearest(value: str, vocabulary: tuple[str, ...]) -> str | None:
    """Return the only word of the vocabulary that is near the value, None if there is none or more than one."""
    for plain in (plain_spelling, _without_doubles):
        if near := [word for word in vocabulary if plain(value) == plain(word)]:
            return near[0] if len(near) == 1 else None
    near = [word for word in vocabulary if _one_edit_apart(value, word)]
    return near[0] if len(near) == 1 else None


def _one_edit_apart(value: str, word: str) -> bool:
    # Without spaces: a word of one letter that is left out would else take a space with it, a second edit.
    left, right = (plain_spelling(text).replace(" ", "") for text in (value, word))
    if len(right) < SHORTEST_FOR_EDITS or abs(len(left) - len(right)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    left, right = left[start:], right[start:]
    return (
        left[1:] == right[1:]
        or left[1:] == right
        or left == right[1:]
        or (left[:2] == right[1::-1] and left[2:] == right[2:])
    )


@lru_cache(maxsize=4096)
def _without_doubles(text: str) -> str:
    return re.sub(r"(.)\1+", r"\1", plain_spelling(text)).replace(" ", "")
