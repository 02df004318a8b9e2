"""The phrases said so far, each found again by the feature and the value that it is about.

Almost all values that are shown are small whole numbers, or tenths or hundredths: their phrases have places of their
own, and are found by computing the place. The few others are looked for.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOWEST: Final = -1_000  # in units of the last decimal shown
HIGHEST: Final = 100_000
_SPAN: Final = HIGHEST - LOWEST + 1
_KEY: Final = ["place", "value"]
_CODE: Final = pl.UInt32()


class _Known(NamedTuple):
    """What is known at a time: phrases, their numbers by slot (`_SPAN` for each place), and those without a slot."""

    phrases: pl.Series
    slots: pl.Series
    others: pl.DataFrame


class Phrasebook:
    """Puts each value of features with so many decimals into words once. Several threads may ask at once."""

    def __init__(self, decimals: Sequence[int], say: Callable[[int, float], str]) -> None:
        self._units = pl.Series([10.0**shown for shown in decimals], dtype=pl.Float64)
        self._say = say
        self._lock = threading.Lock()
        self._known = _Known(
            pl.Series([], dtype=pl.String),
            pl.repeat(None, _SPAN * len(decimals), dtype=_CODE, eager=True),
            pl.DataFrame(schema={"place": pl.UInt8(), "value": pl.Float64(), "number": _CODE}),
        )

    def phrases(self, asked: pl.DataFrame) -> pl.Series:
        """Return what is said of each `value` (Float64, rounded, one zero) of a feature, by its `place` (or null)."""
        asked = asked.with_columns(self._slot().alias("slot"))
        known = self._known
        numbers = _numbers(known, asked)
        new = asked.filter(numbers.is_null() & asked["place"].is_not_null())
        if new.height:
            known = self._learn(new.unique(_KEY))
            numbers = _numbers(known, asked)
        return known.phrases.gather(numbers)

    def _slot(self) -> pl.Expr:
        """Return the slot of each row, null where it has none."""
        feature = pl.col("place").cast(_CODE)
        step = (pl.col("value") * pl.lit(self._units).gather(feature)).round()
        return pl.when(step.is_between(LOWEST, HIGHEST)).then(
            feature * _SPAN + (step - LOWEST).cast(_CODE, strict=False)
        )

    def _learn(self, new: pl.DataFrame) -> _Known:
        """Put more values into words; return what is then known. Args: new: distinct rows."""
        with self._lock:
            known = self._known
            new = new.filter(_numbers(known, new).is_null())  # by now, somebody else may have said some
            words = [self._say(feature, value) for feature, value in new.select(_KEY).iter_rows()]
            first = known.phrases.len()
            new = new.with_columns(number=pl.int_range(first, first + new.height, dtype=_CODE))
            slotted = new.filter(pl.col("slot").is_not_null())
            self._known = _Known(
                # In one chunk: else a phrase keeps all that was said before it in memory.
                pl.concat([known.phrases, pl.Series(words, dtype=pl.String)], rechunk=True),
                known.slots.clone().scatter(slotted["slot"], slotted["number"]),
                pl.concat([known.others, new.filter(pl.col("slot").is_null()).select(known.others.columns)]),
            )
            return self._known


def _numbers(known: _Known, asked: pl.DataFrame) -> pl.Series:
    """Return the number of each row's phrase, null where there is none yet."""
    numbers = known.slots.gather(asked["slot"])
    if known.others.is_empty() or asked["slot"].null_count() == asked["place"].null_count():
        return numbers
    others = asked.join(known.others, on=_KEY, how="left", maintain_order="left")["number"]
    return pl.select(pl.coalesce(numbers, others)).to_series()
