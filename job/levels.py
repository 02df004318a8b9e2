"""The level of each month's revenue over a drop: season and prices, which are no behaviour of a customer.

A month's level is the median of its revenue over the drop, months without revenue left out, to four significant digits:
rounded values have few counts, which add up exactly whatever the drop was cut into, and the median of rounded values is
the rounded median. Models see revenue at the level of training; people read it as it was delivered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from job.errors import Problem, SettingsError
from schemas.vocabulary import CURRENT_MONTH, MONTH_BEFORE_PREVIOUS, PERIODS_OF_REVENUE, PREVIOUS_MONTH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.manifest import MonthLevel, RevenueLevels

DIGITS: Final = 4
FEWEST: Final = 300  # customers with revenue in a month: the median of fewer scatters by more than seasons do
LOWEST, HIGHEST = 0.5, 2.0  # against training: beyond, a person must say what happened
TRAINING: Final = "training"

COUNTS: Final = pl.Schema({"revenue": pl.Float64(), **dict.fromkeys(PERIODS_OF_REVENUE, pl.Int64())})


class LevelCounts(NamedTuple):
    """How often each revenue, to four significant digits, occurs in each month. Args: counts: `COUNTS`."""

    counts: pl.DataFrame = COUNTS.to_frame()

    @classmethod
    def of(cls, rows: pl.DataFrame) -> LevelCounts:
        """Return the counts of accepted rows. Args: rows: `period` and `revenue`."""
        months = ((pl.col("period") == period).sum().cast(pl.Int64).alias(period) for period in PERIODS_OF_REVENUE)
        spent = rows.lazy().filter(pl.col("revenue") > 0)
        return cls(spent.group_by(pl.col("revenue").round_sig_figs(DIGITS)).agg(*months).collect())

    def __add__(self, other: LevelCounts) -> LevelCounts:  # type: ignore[override] # not a tuple's
        both = pl.concat([self.counts, other.counts])
        return LevelCounts(both.group_by("revenue").agg(pl.col(PERIODS_OF_REVENUE).sum()))

    def medians(self, *, fewest: int = FEWEST) -> dict[str, float] | None:
        """Return month -> the lower median; None if a month has fewer revenues than it takes to know it."""
        counts = self.counts.sort("revenue")
        medians: dict[str, float] = {}
        for period in PERIODS_OF_REVENUE:
            rows = counts[period].sum()
            if rows < fewest:
                return None
            medians[period] = counts["revenue"][int((counts[period].cum_sum() * 2 < rows).sum())]
        return medians


class Levels(NamedTuple):
    """The levels that a drop is scored at, of each month."""

    here: Mapping[str, float]
    training: Mapping[str, float]  # of the training customers
    source: str = "drop"  # or `training` (the drop is too small to know its own, or the user said so), or `option`

    @property
    def factors(self) -> dict[str, float]:
        """Month -> what its revenue is multiplied by to stand at the level of training."""
        return {period: self.training[period] / level for period, level in self.here.items()}

    def at_training(self, features: pl.DataFrame) -> pl.DataFrame:
        """Return the feature frame as the model knows it: revenue at the level of training, and its changes."""
        return self._multiplied(features, self.factors)

    def as_delivered(self, features: pl.DataFrame) -> pl.DataFrame:
        """Return what `at_training` was given, to the last digits."""
        return self._multiplied(features, {period: 1 / factor for period, factor in self.factors.items()})

    def _multiplied(self, features: pl.DataFrame, factors: Mapping[str, float]) -> pl.DataFrame:
        if all(factor == 1 for factor in factors.values()):
            return features
        changes = {"revenue_change": PREVIOUS_MONTH, "revenue_change_2_months": MONTH_BEFORE_PREVIOUS}
        return features.with_columns(
            *(pl.col(f"revenue_{period}") * factor for period, factor in factors.items()),
            *(
                ((pl.col(name) + 1) * (factors[CURRENT_MONTH] / factors[before]) - 1).alias(name)
                for name, before in changes.items()
            ),
        )

    def describe(self) -> RevenueLevels:
        """Return what the manifest says: `source`, and of each month `level`, `training` and `ratio`."""
        months: list[MonthLevel] = [
            {"period": period, "level": level, "training": usual, "ratio": round(level / usual, DIGITS)}
            for period, level, usual in self._by_month()
        ]
        return {"source": self.source, "months": months}

    def findings(self) -> list[str]:
        """Return a line for each month whose level is too far from training's to be season and prices."""
        return [
            f"revenue of {period.replace('_', ' ')}: half of the customers spent {level:,.6g}, "
            f"{usual:,.6g} in training; a currency, a unit, a broken export? (--month-level)"
            for period, level, usual in self._by_month()
            if not LOWEST <= level / usual <= HIGHEST
        ]

    def _by_month(self) -> list[tuple[str, float, float]]:
        return [(period, self.here[period], self.training[period]) for period in PERIODS_OF_REVENUE]


def find_levels(counts: LevelCounts, training: Mapping[str, float], option: str | None) -> Levels:
    """Return the levels that a drop is scored at: those of `--month-level`, else its own, else those of training.

    `counts`: of the drop's accepted rows. `training`: month -> the level of the training customers.
    """
    if option is not None and option != TRAINING:
        return Levels(parse_levels(option), training, "option")
    medians = counts.medians() if option is None else None
    return Levels(training, training, TRAINING) if medians is None else Levels(medians, training)


def parse_levels(text: str) -> dict[str, float]:
    """Return month -> its level, of three numbers; nothing of `training`. Raises SettingsError if it is neither."""
    if text == TRAINING:
        return {}
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != len(PERIODS_OF_REVENUE) or not all(0 < value < float("inf") for value in values):
        expected = f"`{TRAINING}`, or the levels of this month, last month and the month before, like 4972,5020,4890"
        raise SettingsError([Problem("--month-level", expected, text or "nothing")])
    return dict(zip(PERIODS_OF_REVENUE, values, strict=True))
