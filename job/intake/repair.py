"""Words as delivered become the vocabulary's ASCII names; each misspelling that is repaired is counted.

A word is repaired when it is a known misspelling, or when exactly one word of the vocabulary is near: equal but for
case, spaces, `_`, `ё`/`е` or doubled letters, or one edit away (a letter more, less, other, or two swapped). Words
shorter than five letters are never repaired by an edit: «да» and «на» are one edit apart, and consent is not guessed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import polars as pl

from job.intake.numbers import SPACES, is_missing
from schemas.vocabulary import UNKNOWN, Words

if TYPE_CHECKING:
    from collections.abc import Iterable

SHORTEST_FOR_EDITS: Final = 5


def repair_words(values: Iterable[str], words: Words) -> dict[str, str]:
    """Return the right spelling for each value that can be read as a word; others are absent.

    Args:
        values: distinct values as delivered, trimmed.
        words: the column's vocabulary.
    """
    repaired = {}
    for value in values:
        if value in words.values:
            repaired[value] = value
        elif value in words.misspellings:
            repaired[value] = words.misspellings[value]
        else:
            near = nearest(value, tuple(words.values))
            if near is not None:
                repaired[value] = near
    return repaired


def name_words(text: pl.Expr, spelling: dict[str, str], words: Words) -> pl.Expr:
    """Return the ASCII name of each value: of its right spelling, or `unknown` where the vocabulary allows that.

    Args:
        text: trimmed values as delivered.
        spelling: value -> right spelling, from `repair_words`.
        words: the column's vocabulary.

    A missing value becomes null and a value that is not in the vocabulary, where it must be, stays as delivered, so that
    validation shows both.
    """
    names = {value: words.values[right] for value, right in spelling.items()}
    if words.unknown_is_scored:
        return text.fill_null("").replace_strict(names, default=pl.lit(UNKNOWN), return_dtype=pl.String)
    return pl.when(~is_missing(text)).then(text.replace_strict(names, default=text, return_dtype=pl.String))


def nearest(value: str, vocabulary: tuple[str, ...]) -> str | None:
    """Return the only word of the vocabulary that is near the value, None if there is none or more than one."""
    for same in (_same_but_for_case, _same_but_for_doubles, _one_edit_apart):
        near = [word for word in vocabulary if same(value, word)]
        if near:
            return near[0] if len(near) == 1 else None
    return None


def _same_but_for_case(value: str, word: str) -> bool:
    return _plain(value) == _plain(word)


def _same_but_for_doubles(value: str, word: str) -> bool:
    return _without_doubles(value) == _without_doubles(word)


def _one_edit_apart(value: str, word: str) -> bool:
    left, right = _plain(value), _plain(word)
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
def _plain(text: str) -> str:
    return re.sub(rf"[_{SPACES}]+", " ", text.strip(SPACES + "_")).casefold().replace("ё", "е")


@lru_cache(maxsize=4096)
def _without_doubles(text: str) -> str:
    return re.sub(r"(.)\1+", r"\1", _plain(text)).replace(" ", "")
