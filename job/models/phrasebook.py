"""The phrases said so far, each found again by the feature and the value that it is about.

Almost all values that are shown are small whole numbers, or tenths or hundredths: their phrases have places of their
own, and are found by computing the place. The few others are looked for.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

LOWEST: Final = -1_000  # in units of the last decimal shown
HIGHEST: Final = 100_000
UNSAID: Final = -1


class Phrasebook:
    """Puts each value of features with so many decimals into words once. Several threads may ask at once."""

    def __init__(self, decimals: Sequence[int], say: Callable[[int, float], str]) -> None:
        self._units = 10.0 ** np.array(decimals)
        self._say = say
        self._lock = threading.Lock()
        self._phrases = pl.Series([], dtype=pl.String)
        self._numbers = np.full((len(decimals), HIGHEST - LOWEST + 1), UNSAID, dtype=np.int32)
        self._others: dict[tuple[int, float], int] = {}

    def phrases(self, features: NDArray[np.uint8], values: NDArray[np.float64], wanted: NDArray[np.bool_]) -> pl.Series:
        """Return what is said of each value, rounded as it is written; null where nothing is wanted.

        Args: features: their places, one per value.
        """
        units = self._units[features]
        with np.errstate(over="ignore"):
            steps = np.rint(values * units)
        shown = np.where(np.abs(steps) < 1 / np.finfo(np.float64).eps, steps / units, values) + 0.0  # without -0.0
        is_near = (steps >= LOWEST) & (steps <= HIGHEST)
        places = np.where(is_near, steps - LOWEST, 0).astype(np.intp)
        far = np.flatnonzero(wanted & ~is_near).tolist()

        def find() -> NDArray[np.int32]:
            numbers = self._numbers[features, places]
            for row in far:
                numbers[row] = self._others.get((int(features[row]), float(shown[row])), UNSAID)
            return numbers

        numbers = find()
        unsaid = wanted & (numbers == UNSAID)
        if unsaid.any():
            asked = pl.DataFrame({"feature": features[unsaid], "value": shown[unsaid]})
            self._learn(asked.unique(maintain_order=True).rows())
            numbers = find()
        found = pl.DataFrame({"number": numbers, "wanted": wanted}).select(pl.when("wanted").then("number"))
        return self._phrases.gather(found.to_series())

    def _learn(self, asked: list[tuple[int, float]]) -> None:
        """Put values into words. A phrase is there before its number, which others may read meanwhile."""
        with self._lock:
            places = {key: self._place(*key) for key in asked}
            new = [key for key, place in places.items() if self._number(key, place) == UNSAID]
            words = pl.Series([self._say(*key) for key in new], dtype=pl.String)
            first = self._phrases.len()
            # In one chunk: else a phrase keeps all that was said before it in memory.
            self._phrases = pl.concat([self._phrases, words], rechunk=True)
            for number, key in enumerate(new, start=first):
                if (place := places[key]) is None:
                    self._others[key] = number
                else:
                    self._numbers[key[0], place] = number

    def _place(self, feature: int, value: float) -> int | None:
        place = round(value * self._units[feature]) - LOWEST
        return place if 0 <= place < self._numbers.shape[1] else None

    def _number(self, key: tuple[int, float], place: int | None) -> int:
        return self._others.get(key, UNSAID) if place is None else int(self._numbers[key[0], place])
