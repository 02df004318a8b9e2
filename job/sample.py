"""Synthetic drops that look like the shop's real export, for demonstrations, tests and benchmarks.

No row is copied: every value is drawn from a distribution measured on the labelled real export of 1,300 customers. The
figures below are its counts and quantiles; those of the kinds of customers and the coefficients are of the 1,296 that
are left without three that have months without revenue and one that has an absurd one.

The columns hang together because customers are of four kinds, which are not delivered; within a kind only the revenues
of the months depend on each other. One hidden engagement instead of kinds would give each column and most correlations
too; but then too many scores are in the middle and too few customers keep their revenue, and the job sees drift.

What is guaranteed:

- The same seed gives the same tables and, for one version of Polars and one format, the same bytes, whatever the number
  of threads, the process or the day. A draw is SplitMix64 of the seed, the draw's name and the row's number, written
  here in wrapping UInt64 arithmetic; Polars' own hash and random numbers, which may change between versions, are not
  used. All but the label is integer and IEEE arithmetic and needs nothing of the platform; the label also needs `exp`,
  whose last bit may differ between platforms.
- A customer does not depend on how many there are: a smaller clean sample is the beginning of a larger one.
- The label depends on the behaviour of the same customer alone: row order, `id` and `Прибыль` tell nothing of it.

What the real export has and a sample has not: near twins, the order by label, and weak dependences within a kind: rank
correlations differ by 0.13 at most, as that of categories viewed and unpaid items (-0.28 in the export).
"""

from __future__ import annotations

from contextlib import ExitStack
from enum import StrEnum
from functools import cache
from hashlib import blake2b
from itertools import accumulate, pairwise, permutations
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from job.errors import OutputError, Problem, SettingsError, reason_of
from job.hashing import splitmix64, whole
from schemas.columns import MARKET_FILE, MARKET_MONEY, MARKET_TIME, MONEY, TABLES, Kind, Table
from schemas.vocabulary import (
    ACTIVITY,
    CATEGORY,
    CONSENT,
    CURRENT_MONTH,
    DECLINED,
    MONTH_BEFORE_PREVIOUS,
    MONTHS_OF_MINUTES,
    MONTHS_OF_REVENUE,
    PREVIOUS_MONTH,
    SERVICE_TYPE,
    UNCHANGED,
    Words,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

FIRST_ID: Final = 100_001
ORPHAN_OFFSET: Final = 1_000_000_000
"""An orphan's id is that of a real customer plus this: larger than any id of a sample."""
MOST_CUSTOMERS: Final = ORPHAN_OFFSET
TABLE_FORMATS: Final = ("csv", "parquet")

# Draws without a link to anything: counts of the 1,300 customers.
CONSENT_COUNTS: Final = {"yes": 962, "no": 338}
CONTACTS_CURRENT_MONTH_COUNTS: Final = {3: 308, 4: 669, 5: 323}
REGISTERED_DAYS_QUANTILES: Final = {
    0.0: 110.0,
    0.1: 250.0,
    0.25: 406.0,
    0.5: 606.0,
    0.75: 806.0,
    0.95: 997.0,
    1.0: 1079.0,
}
PROFIT_MEAN: Final = 4.0
PROFIT_DEVIATION: Final = 1.01
PROFIT_FLOOR: Final = 0.0

# Draws that depend on the kind of customer: counts (whole numbers) and quantiles (the others) of all kinds together.
SERVICE_ERRORS_COUNTS: Final = {0: 17, 1: 74, 2: 189, 3: 226, 4: 257, 5: 208, 6: 156, 7: 92, 8: 66, 9: 15}
CATEGORIES_PER_VISIT_COUNTS: Final = {1: 106, 2: 312, 3: 356, 4: 263, 5: 177, 6: 86}
UNPAID_ITEMS_COUNTS: Final = {0: 116, 1: 261, 2: 261, 3: 218, 4: 197, 5: 135, 6: 44, 7: 34, 8: 20, 9: 10, 10: 4}
PAGES_PER_VISIT_COUNTS: Final = dict(
    enumerate([20, 58, 76, 112, 115, 127, 102, 109, 108, 104, 92, 73, 61, 53, 36, 21, 19, 7, 5, 2], start=1)
)
MINUTES_CURRENT_COUNTS: Final = dict(
    enumerate([9, 11, 34, 45, 72, 109, 104, 105, 118, 96, 136, 68, 81, 70, 64, 58, 51, 27, 30, 8], start=4)
)
MINUTES_PREVIOUS_COUNTS: Final = dict(
    enumerate([11, 24, 43, 69, 77, 100, 115, 117, 108, 118, 106, 81, 93, 81, 61, 50, 26, 10, 6], start=5)
)
CONTACTS_6_MONTHS_QUANTILES: Final = dict(
    zip(
        (0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999),
        (0.9, 1.4, 2.4, 3.1, 3.5, 3.9, 4.2, 4.4, 4.8, 5.2, 5.5, 5.8, 6.3, 6.6),
        strict=True,
    )
)
PROMO_SHARE_QUANTILES: Final = dict(
    zip(
        (0.02, 0.05, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.84, 0.87, 0.871, 0.873, 0.9, 0.93, 0.95, 0.98),
        (0.11, 0.13, 0.16, 0.18, 0.22, 0.24, 0.27, 0.3, 0.34, 0.39, 0.44, 0.47, 0.89, 0.93, 0.94, 0.95, 0.99),
        strict=True,
    )
)
"""With a gap: 87 % of the customers buy up to 0.47 in promotions, 13 % from 0.89."""
REVENUE_LEVELS: Final = (0.001, 0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99, 0.999)
REVENUE_QUANTILES: Final = {
    CURRENT_MONTH: (2989.4, 3327.6, 3887.7, 4223.1, 4830.5, 5180.0, 5597.9, 6366.2, 6717.5, 7310.2, 7591.1),
    PREVIOUS_MONTH: (2924.0, 3154.6, 3639.0, 4002.0, 4626.2, 5005.5, 5324.0, 5822.2, 6037.2, 6379.5, 6781.7),
    MONTH_BEFORE_PREVIOUS: (4102.0, 4167.9, 4341.0, 4427.5, 4636.5, 4810.5, 4994.5, 5307.0, 5442.0, 5609.1, 5649.5),
}
"""Of the months above 0, without the one revenue of 106,862.2."""
REVENUE_PREVIOUS_TENTHS: Final = 0.36
"""Share of the previous month's revenues that are not rounded to whole units; the month before is whole everywhere."""

# Kinds of customers: a mixture of four, fitted to the normal scores of the columns below (normal within a kind, the
# revenues of the months correlated) and to the two words by expectation-maximisation; four are what the Bayesian
# information criterion chooses out of three to five. In this order: those who lose interest; those whose revenue stays
# (children's goods, devices for beauty and health); those whose revenue grows; those whose revenue shrinks.
KIND_COUNTS: Final = {0: 370, 1: 335, 2: 333, 3: 258}
SERVICE_TYPE_COUNTS: Final = (
    {"standard": 235, "premium": 135},
    {"standard": 264, "premium": 71},
    {"standard": 246, "premium": 87},
    {"standard": 177, "premium": 81},
)
CATEGORY_COUNTS: Final = (
    {
        "children_goods": 117,
        "home_textiles": 71,
        "cosmetics_accessories": 83,
        "beauty_health_devices": 31,
        "small_appliances_electronics": 15,
        "kitchenware": 54,
    },
    {
        "children_goods": 176,
        "home_textiles": 18,
        "cosmetics_accessories": 5,
        "beauty_health_devices": 116,
        "small_appliances_electronics": 12,
        "kitchenware": 8,
    },
    {
        "children_goods": 21,
        "home_textiles": 93,
        "cosmetics_accessories": 71,
        "beauty_health_devices": 22,
        "small_appliances_electronics": 78,
        "kitchenware": 47,
    },
    {
        "children_goods": 16,
        "home_textiles": 68,
        "cosmetics_accessories": 64,
        "beauty_health_devices": 13,
        "small_appliances_electronics": 68,
        "kitchenware": 29,
    },
)
SCORE_MEANS: Final = {
    "contacts_6_months": (-0.73, 0.29, 0.36, 0.20),
    "promo_share": (0.80, -0.30, -0.33, -0.33),
    "categories_per_visit": (-0.52, 0.23, 0.14, 0.30),
    "unpaid_items_quarter": (0.58, -0.20, -0.12, -0.36),
    "service_errors": (-0.16, 0.03, 0.02, 0.18),
    "pages_per_visit": (-1.04, 0.48, 0.39, 0.38),
    "minutes_current_month": (-0.75, 0.22, 0.12, 0.65),
    "minutes_previous_month": (-0.95, 0.37, 0.17, 0.67),
    "revenue_current_month": (0.07, -0.23, 0.85, -0.89),
    "revenue_previous_month": (0.06, -0.33, 0.62, -0.46),
    "revenue_month_before_previous": (-0.71, 0.27, 0.17, 0.45),
}
"""Mean of each column's normal score, by kind."""
SCORE_DEVIATIONS: Final = {
    "contacts_6_months": (0.88, 0.87, 0.94, 0.80),
    "promo_share": (0.71, 0.89, 0.93, 0.86),
    "categories_per_visit": (0.85, 0.88, 0.85, 0.89),
    "unpaid_items_quarter": (1.03, 0.79, 0.83, 0.85),
    "service_errors": (0.93, 0.96, 1.03, 0.93),
    "pages_per_visit": (0.62, 0.77, 0.82, 0.75),
    "minutes_current_month": (0.66, 0.95, 0.95, 0.82),
    "minutes_previous_month": (0.69, 0.78, 0.79, 0.84),
    "revenue_current_month": (1.12, 0.48, 0.70, 0.72),
    "revenue_previous_month": (1.23, 1.01, 0.61, 0.49),
    "revenue_month_before_previous": (0.82, 0.91, 0.90, 0.94),
}
CURRENT_AND_PREVIOUS: Final = (0.894, 0.830, 0.912, 0.897)
CURRENT_AND_BEFORE: Final = (0.259, 0.965, 0.057, 0.182)
PREVIOUS_AND_BEFORE: Final = (0.296, 0.728, 0.430, 0.557)
"""Correlations of the normal scores of two months' revenues, by kind."""

LABEL_COEFFICIENTS: Final = {
    "contacts_6_months": -0.43,
    "promo_share": 2.5,
    "categories_per_visit": -0.49,
    "unpaid_items_quarter": 0.24,
    "pages_per_visit": -0.18,
    "revenue_month_before_previous": -0.0007,
    "minutes_current_month": -0.11,
    "minutes_previous_month": -0.18,
}
"""Log-odds of a decline per unit: an unregularised logistic regression on the export (1,296 customers), rounded."""
LABEL_CATEGORIES: Final = {"small_appliances_electronics": -0.97, "beauty_health_devices": -0.57}
"""Log-odds of a decline by favourite category, from the same fit; the others are 0."""
LABEL_INTERCEPT: Final = 10.19
"""Makes declines 0.38 of the customers, as in the export. (The fit's own is 10.35; the dependence here is simpler.)"""

MISSPELT_SERVICE_SHARE: Final = 10 / 924
"""Of the customers with the standard service; the other two misspellings are everywhere."""
SPIKE_FACTOR: Final = 20.0
UNPARSEABLE: Final = "н/д"
SHARE_ABOVE_RANGE: Final = 1.0
MINUTES_ABOVE_RANGE: Final = 50_000

_GOLDEN: Final = 0x9E3779B97F4A7C15
_PIECE: Final = 250_000
"""Customers generated and written at a time: bounds the memory of a large CSV drop."""


class Fault(StrEnum):
    """One thing that is wrong with one customer's rows."""

    ZERO_MONTHS = "two months without revenue"
    SPIKE = "revenue twenty times too large"
    UNPARSEABLE = "not a number"
    OUT_OF_RANGE = "out of range"
    EMPTY = "empty cell"
    DUPLICATE = "exact duplicate row"
    CONTRADICTION = "second row with the same id and another value"
    ORPHAN = "row of an unknown id"


class FaultShare(NamedTuple):
    """How many customers have a fault in a table.

    Args:
        table: the table's name.
        fault: the fault.
        share: customers with it, of all.
    """

    table: str
    fault: Fault
    share: float


FAULTS: Final = (
    FaultShare(MARKET_MONEY.name, Fault.ZERO_MONTHS, 0.002),
    FaultShare(MARKET_MONEY.name, Fault.SPIKE, 1 / 1300),
    FaultShare(MARKET_FILE.name, Fault.OUT_OF_RANGE, 0.001),
    FaultShare(MARKET_FILE.name, Fault.CONTRADICTION, 0.001),
    FaultShare(MARKET_MONEY.name, Fault.UNPARSEABLE, 0.002),
    FaultShare(MARKET_MONEY.name, Fault.EMPTY, 0.002),
    FaultShare(MARKET_MONEY.name, Fault.DUPLICATE, 0.002),
    FaultShare(MARKET_TIME.name, Fault.OUT_OF_RANGE, 0.002),
    FaultShare(MARKET_TIME.name, Fault.DUPLICATE, 0.002),
    FaultShare(MONEY.name, Fault.EMPTY, 0.001),
    FaultShare(MONEY.name, Fault.ORPHAN, 0.001),
)
"""The first two are as in the export; the others make 0.2 % of each table's rows unusable."""
_ALL_KINDS_FROM: Final = 1000


def make_tables(*, customers: int, seed: int, labelled: bool) -> dict[str, pl.DataFrame]:
    """Return clean synthetic tables, in about 400 bytes of memory per customer.

    Args:
        customers: 1 or more.
        seed: any whole number.
        labelled: with the column `Покупательская активность`; all else is the same without it.

    Returns:
        By name, with the headings as delivered: `market_file` (a row per customer), `market_money` (3), `market_time`
        (2) and `money` (1). `id` counts from `FIRST_ID` and increases with the rows; the months of a customer come in
        random order. Whole numbers and ids are Int64, other numbers Float64, words String; nothing is null.

    Raises:
        SettingsError: `customers` is out of range.
    """
    _check_customers(customers)
    return _tables(0, customers, seed=seed, labelled=labelled)


def draw_customers(ids: pl.Series, *, seed: int) -> pl.DataFrame:
    """Return all that `make_tables` draws, without the label: a row per customer, for `split_tables`.

    Args:
        ids: Int64, from 0; a sample's own ids give what `make_tables` has of them under the same seed.
        seed: any whole number.

    Returns:
        The columns of the four tables by their ASCII name, with words as delivered; besides, `order_of_revenue` and
        `order_of_minutes` (UInt64, random).
    """
    # Wraps below the first id: any number will do.
    rows = ids.to_frame("id").select(row=pl.col("id").cast(pl.UInt64) - whole(FIRST_ID), id="id")
    return _customers(rows, seed=seed, labelled=False)


def plan_faults(*, customers: int, seed: int) -> pl.DataFrame:
    """Return which customers of a sample `soil` gives which fault.

    Each of `FAULTS` has its share of the customers, rounded; at least one customer from 1,000 customers on. No customer
    has two.

    Args:
        customers: as given to `make_tables`.
        seed: as given to `soil`.

    Returns:
        One row per fault: `id` (Int64), `table` and `fault` (String; the table's name and a value of `Fault`).

    Raises:
        SettingsError: `customers` is out of range.
    """
    _check_customers(customers)
    least = int(customers >= _ALL_KINDS_FROM)
    counts = [max(least, round(fault.share * customers)) for fault in FAULTS]
    faults = pl.Series([index for index, count in enumerate(counts) for _ in range(count)], dtype=pl.UInt32)
    drawn = pl.DataFrame(schema={"id": pl.Int64, "draw": pl.UInt64})
    for first in range(0, customers, _PIECE):
        piece = _rows(first, min(_PIECE, customers - first)).select(
            "id", draw=Draws(seed, pl.col("row")).bits("faults")
        )
        drawn = pl.concat([drawn, piece]).bottom_k(sum(counts), by="draw")
    return drawn.sort("draw", "id").select(
        "id",
        table=pl.lit(pl.Series([fault.table for fault in FAULTS])).gather(faults),
        fault=pl.lit(pl.Series([str(fault.fault) for fault in FAULTS])).gather(faults),
    )


def soil(tables: Mapping[str, pl.DataFrame], *, seed: int) -> dict[str, pl.DataFrame]:
    """Return the tables as dirty as the real export.

    Misspellings at their real rates («стандартт» in 10 of 924 standard rows, «предыдцщий_месяц» in `market_time` and
    «Косметика и аксесуары» everywhere), and the faults of `plan_faults`: those of a month are in the current one; a
    duplicate, a contradiction (one page more) and an orphan are extra rows at the end of their table.

    Args:
        tables: from `make_tables`; they stay as they are.
        seed: any whole number; `write_drop` uses one seed for both.

    Returns:
        The same columns and, but for the extra rows, the same rows in the same order. `Выручка` is String, because
        «н/д» is among its values; other dtypes stay, an empty cell is null.
    """
    plan = plan_faults(customers=tables[MARKET_FILE.name].height, seed=seed)
    soiled, extra = _soil(tables, plan, seed=seed)
    return {name: pl.concat([soiled[name], extra[name]]) for name in TABLES}


def write_drop(
    folder: Path,
    *,
    customers: int,
    seed: int,
    labelled: bool,
    clean: bool = False,
    table_format: str = "csv",
    shuffled: bool = False,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> dict[str, int]:
    """Write a synthetic drop as the shop exports it.

    CSV is UTF-8 with CRLF, commas and points; `money.csv` has semicolons and decimal commas. Parquet has the dtypes of
    `make_tables`, or of `soil` unless `clean`. No file has its name before all four are whole. CSV that is not shuffled
    is written piece by piece, in memory that hardly grows with `customers`; for the others all tables are held.

    Args:
        folder: where to; made with its parents if it is not there. Rests of a killed run are overwritten.
        customers: 1 or more.
        seed: any whole number.
        labelled: with the label.
        clean: without misspellings and faults.
        table_format: one of `TABLE_FORMATS`.
        shuffled: every table's rows in a random order, the same for the same seed.
        progress: called with what is done, how many customers are, and of how many.

    Returns:
        Rows written, by table.

    Raises:
        SettingsError: `customers` or `table_format` is out of range.
        OutputError: the folder is not empty, or cannot be written.
    """
    _check_customers(customers)
    pieces = _told(_pieces(customers, seed=seed, labelled=labelled, clean=clean), customers, progress)
    return write_pieces(folder, pieces, table_format=table_format, shuffle_seed=seed if shuffled else None)


def write_pieces(
    folder: Path, pieces: Iterator[dict[str, pl.DataFrame]], *, table_format: str, shuffle_seed: int | None
) -> dict[str, int]:
    """Write tables as `write_drop` does.

    Args:
        folder: where to; new or empty.
        pieces: the rows of the four tables, with the headings as delivered, in any number of pieces.
        table_format: one of `TABLE_FORMATS`.
        shuffle_seed: puts every table's rows in a random order.

    Returns:
        Rows written, by table.

    Raises:
        SettingsError: `table_format` is none of them.
        OutputError: the folder is not empty, or cannot be written.
    """
    _check_table_format(table_format)
    if shuffle_seed is not None or table_format == "parquet":
        pieces = _whole(pieces, shuffle_seed=shuffle_seed)
    try:
        _claim(folder)
        return _write(pieces, folder, table_format)
    except (OSError, pl.exceptions.ComputeError) as error:
        raise OutputError([Problem(str(folder), "a folder that can be written", reason_of(error))]) from error


def _check_customers(customers: int) -> None:
    if not 1 <= customers <= MOST_CUSTOMERS:
        expected = f"a whole number from 1 to {MOST_CUSTOMERS:,}"
        raise SettingsError([Problem("customers", expected, f"{customers}")])


def _check_table_format(table_format: str) -> None:
    if table_format not in TABLE_FORMATS:
        raise SettingsError([Problem("table_format", f"one of: {', '.join(TABLE_FORMATS)}", table_format)])


class Draws(NamedTuple):
    """Independent random draws for each row, by name.

    Args:
        seed: any whole number.
        row: the row's number (UInt64).
    """

    seed: int
    row: pl.Expr

    def bits(self, name: str) -> pl.Expr:
        """Return 64 random bits (UInt64)."""
        digest = blake2b(f"{self.seed}:{name}".encode(), digest_size=8).digest()
        return splitmix64(self.row * whole(_GOLDEN) + whole(int.from_bytes(digest, "little")))

    def uniform(self, name: str) -> pl.Expr:
        """Return a number from 0, below 1 (Float64)."""
        return (self.bits(name) // whole(1 << 11)).cast(pl.Float64) * 2.0**-53

    def normal(self, name: str) -> pl.Expr:
        """Return a number with mean 0, deviation 1 and nearly normal distribution (Float64).

        The ones among 48 bits are binomial; the other 16 bits spread each step evenly. The distribution function is
        within 0.003 of the normal one, and the platform's own logarithm or cosine is not needed.
        """
        bits = self.bits(name)
        ones = (bits // whole(1 << 16)).bitwise_count_ones().cast(pl.Float64)
        spread = (bits & whole(0xFFFF)).cast(pl.Float64) * 2.0**-16
        return (ones + spread - 24.5) / sqrt(12 + 1 / 12)

    def score(self, column: str) -> pl.Expr:
        """Return the column's normal score of a customer of its `kind`, independent of all else."""
        return _score(column, self.normal(column))


def _of_kind(figures: Sequence[float]) -> pl.Expr:
    return pl.lit(pl.Series(figures, dtype=pl.Float64)).gather(pl.col("kind"))


def _score(column: str, deviation: pl.Expr) -> pl.Expr:
    """Return the normal score that deviates so from the mean of its kind, in the kind's deviations."""
    return _of_kind(SCORE_MEANS[column]) + _of_kind(SCORE_DEVIATIONS[column]) * deviation


def _choice(draw: pl.Expr, counts: Mapping[int, int] | Mapping[str, int], *, scores_of: str | None = None) -> pl.Expr:
    """Return the value whose share of `counts` a draw falls into: a uniform one, or normal scores of a column."""
    *edges, total = accumulate(counts.values())
    limits = [_limit(edge / total, scores_of) for edge in edges]
    return pl.lit(pl.Series(list(counts))).gather(pl.lit(pl.Series(limits)).search_sorted(draw))


def _choice_by_kind(draw: pl.Expr, words: Words, counts: Sequence[Mapping[str, int]]) -> pl.Expr:
    """Return the word, as delivered, whose share of its kind's `counts` a uniform draw falls into."""
    edges = [
        kind + edge / sum(of_kind.values())
        for kind, of_kind in enumerate(counts)
        for edge in accumulate(of_kind.values())
    ]
    spellings = [_spelling(words, name) for of_kind in counts for name in of_kind]
    index = pl.lit(pl.Series(edges[:-1])).search_sorted(pl.col("kind") + draw)
    return pl.lit(pl.Series(spellings)).gather(index)


def _quantile(draw: pl.Expr, quantiles: Mapping[float, float], *, scores_of: str | None = None) -> pl.Expr:
    """Return the quantile of a draw, as in `_choice`, linear between those given; the ends are the limits."""
    points = [(_limit(level, scores_of), value) for level, value in quantiles.items()]
    slopes = [(right[1] - left[1]) / (right[0] - left[0]) for left, right in pairwise(points)]
    starts = [value - slope * limit for (limit, value), slope in zip(points, slopes, strict=False)]
    piece = pl.lit(pl.Series([limit for limit, _ in points[1:-1]])).search_sorted(draw)
    line = pl.lit(pl.Series(starts)).gather(piece) + pl.lit(pl.Series(slopes)).gather(piece) * draw
    return line.clip(points[0][1], points[-1][1])


@cache
def _limit(level: float, scores_of: str | None) -> float:
    """Return the quantile of a uniform number, or of the normal scores of a column in all kinds together.

    The latter by bisection, rounded, so that the last bit of the platform's error function is not seen.
    """
    if scores_of is None:
        return level
    total = sum(KIND_COUNTS.values())
    kinds = [
        (count / total, NormalDist(mean, deviation))
        for count, mean, deviation in zip(
            KIND_COUNTS.values(), SCORE_MEANS[scores_of], SCORE_DEVIATIONS[scores_of], strict=True
        )
    ]
    low, high = -10.0, 10.0
    for _ in range(50):
        middle = (low + high) / 2
        if sum(share * kind.cdf(middle) for share, kind in kinds) < level:
            low = middle
        else:
            high = middle
    return round(low, 9)


def _rounded(number: pl.Expr, decimals: int) -> pl.Expr:
    """Return the number nearest to `number` that prints with at most so many decimals.

    Polars turns a division by a constant into a multiplication, which gives 6.6000000000000005; its own rounding
    does not.
    """
    return number.round(decimals)


def _spelling(words: Words, name: str) -> str:
    return next(word for word, inside in words.values.items() if inside == name)


def _rows(first: int, count: int) -> pl.DataFrame:
    """Return `row` (UInt64) and `id` of customers number `first` to `first + count - 1`."""
    row = pl.int_range(first, first + count, dtype=pl.UInt64)
    return pl.select(row=row, id=row.cast(pl.Int64) + FIRST_ID)


def _customers(rows: pl.DataFrame, *, seed: int, labelled: bool) -> pl.DataFrame:
    """Return all that is drawn of customers (`row` and `id`), a row each, by ASCII name.

    Words are as delivered. Besides the tables' columns: `order_of_revenue`, `order_of_minutes` (UInt64, random).
    """
    draws = Draws(seed, pl.col("row"))
    customers = rows.with_columns(kind=_choice(draws.uniform("kind"), KIND_COUNTS)).select(
        "row", "id", *_unlinked(draws), *_linked(draws), *_revenue(draws)
    )
    return customers.with_columns(_label(draws).alias("activity")) if labelled else customers


def _unlinked(draws: Draws) -> list[pl.Expr]:
    consents = {_spelling(CONSENT, name): count for name, count in CONSENT_COUNTS.items()}
    contacts = _choice(draws.uniform("contacts_current_month"), CONTACTS_CURRENT_MONTH_COUNTS)
    days = _quantile(draws.uniform("registered_days"), REGISTERED_DAYS_QUANTILES)
    profit = PROFIT_MEAN + PROFIT_DEVIATION * draws.normal("monthly_profit")
    return [
        _choice(draws.uniform("consent"), consents).alias("consent"),
        contacts.alias("contacts_current_month"),
        _rounded(days, 0).cast(pl.Int64).alias("registered_days"),
        _rounded(profit, 2).clip(lower_bound=PROFIT_FLOOR).alias("monthly_profit"),
        draws.bits("order_of_revenue").alias("order_of_revenue"),
        draws.bits("order_of_minutes").alias("order_of_minutes"),
    ]


def _linked(draws: Draws) -> list[pl.Expr]:
    words = {"service_type": (SERVICE_TYPE, SERVICE_TYPE_COUNTS), "favourite_category": (CATEGORY, CATEGORY_COUNTS)}
    counts = {
        "categories_per_visit": CATEGORIES_PER_VISIT_COUNTS,
        "unpaid_items_quarter": UNPAID_ITEMS_COUNTS,
        "service_errors": SERVICE_ERRORS_COUNTS,
        "pages_per_visit": PAGES_PER_VISIT_COUNTS,
        "minutes_current_month": MINUTES_CURRENT_COUNTS,
        "minutes_previous_month": MINUTES_PREVIOUS_COUNTS,
    }
    quantiles = {"contacts_6_months": (CONTACTS_6_MONTHS_QUANTILES, 1), "promo_share": (PROMO_SHARE_QUANTILES, 2)}
    return [
        *(_choice_by_kind(draws.uniform(name), *distribution).alias(name) for name, distribution in words.items()),
        *(
            _choice(draws.score(name), distribution, scores_of=name).alias(name)
            for name, distribution in counts.items()
        ),
        *(
            _rounded(_quantile(draws.score(name), distribution, scores_of=name), decimals).alias(name)
            for name, (distribution, decimals) in quantiles.items()
        ),
    ]


def _revenue(draws: Draws) -> list[pl.Expr]:
    """Return the three revenues: each month's deviation is a regression on the later months' of the same kind."""
    on_current, on_previous, by_itself = [], [], []
    for near, far, between in zip(CURRENT_AND_PREVIOUS, CURRENT_AND_BEFORE, PREVIOUS_AND_BEFORE, strict=True):
        on_current.append((far - near * between) / (1 - near**2))
        on_previous.append((between - near * far) / (1 - near**2))
        by_itself.append(sqrt(1 - on_current[-1] * far - on_previous[-1] * between))
    current = draws.normal("revenue_current_month")
    previous = _of_kind(CURRENT_AND_PREVIOUS) * current + _of_kind(
        [sqrt(1 - near**2) for near in CURRENT_AND_PREVIOUS]
    ) * draws.normal("revenue_previous_month")
    before = (
        _of_kind(on_current) * current
        + _of_kind(on_previous) * previous
        + _of_kind(by_itself) * draws.normal("revenue_month_before_previous")
    )
    revenue = {
        month: _quantile(
            _score(f"revenue_{month}", deviation),
            dict(zip(REVENUE_LEVELS, REVENUE_QUANTILES[month], strict=True)),
            scores_of=f"revenue_{month}",
        )
        for month, deviation in ((CURRENT_MONTH, current), (PREVIOUS_MONTH, previous), (MONTH_BEFORE_PREVIOUS, before))
    }
    previous = revenue[PREVIOUS_MONTH]
    in_tenths = draws.uniform("tenths") < REVENUE_PREVIOUS_TENTHS
    return [
        _rounded(revenue[CURRENT_MONTH], 1).alias("revenue_current_month"),
        pl.when(in_tenths).then(_rounded(previous, 1)).otherwise(_rounded(previous, 0)).alias("revenue_previous_month"),
        _rounded(revenue[MONTH_BEFORE_PREVIOUS], 0).alias("revenue_month_before_previous"),
    ]


def _label(draws: Draws) -> pl.Expr:
    score = pl.lit(LABEL_INTERCEPT)
    for column, coefficient in LABEL_COEFFICIENTS.items():
        score = score + coefficient * pl.col(column)
    for category, coefficient in LABEL_CATEGORIES.items():
        score = score + coefficient * (pl.col("favourite_category") == _spelling(CATEGORY, category)).cast(pl.Float64)
    declines = draws.uniform("activity") * (1.0 + (-score).exp()) < 1.0
    return pl.when(declines).then(_word(ACTIVITY, DECLINED)).otherwise(_word(ACTIVITY, UNCHANGED))


def _word(words: Words, name: str) -> pl.Expr:
    return pl.lit(_spelling(words, name))


def _tables(first: int, count: int, *, seed: int, labelled: bool) -> dict[str, pl.DataFrame]:
    return split_tables(_customers(_rows(first, count), seed=seed, labelled=labelled), labelled=labelled)


def split_tables(customers: pl.DataFrame, *, labelled: bool) -> dict[str, pl.DataFrame]:
    """Return the four tables of customers (as from `draw_customers`), as `make_tables` does."""
    revenue = {word: f"revenue_{month}" for word, month in MONTHS_OF_REVENUE.values.items()}
    minutes = {word: f"minutes_{month}" for word, month in MONTHS_OF_MINUTES.values.items()}
    return {
        MARKET_FILE.name: customers.select(
            pl.col(heading.name).alias(heading.delivered) for heading in MARKET_FILE.expected(labelled=labelled)
        ),
        MARKET_MONEY.name: _by_month(customers, revenue, MARKET_MONEY, order="order_of_revenue"),
        MARKET_TIME.name: _by_month(customers, minutes, MARKET_TIME, order="order_of_minutes"),
        MONEY.name: customers.select(pl.col(heading.name).alias(heading.delivered) for heading in MONEY.headings),
    }


def _by_month(customers: pl.DataFrame, columns: Mapping[str, str], table: Table, *, order: str) -> pl.DataFrame:
    """Return a row per customer and month, the months of each customer in the order that `order` picks.

    Args:
        customers: from `_customers`.
        columns: month as delivered -> the column of `customers`.
        table: the table to make; its columns are id, month and value.
        order: a column of random whole numbers.
    """
    names = list(columns)
    orders = list(permutations(range(len(names))))
    picked = pl.col(order) % len(orders)
    slots = [pl.lit(pl.Series(months, dtype=pl.UInt32)).gather(picked) for months in zip(*orders, strict=True)]
    values = [
        pl.coalesce(pl.when(slot == month).then(column) for month, column in enumerate(columns.values()))
        for slot in slots
    ]
    identifier, period, value = (heading.delivered for heading in table.headings)
    return customers.select(
        pl.concat_arr([pl.col("id")] * len(names)).explode().alias(identifier),
        pl.concat_arr(slots).explode().alias("slot"),
        pl.concat_arr(values).explode().alias(value),
    ).select(identifier, pl.lit(pl.Series(names)).gather(pl.col("slot")).alias(period), value)


def _soil(
    tables: Mapping[str, pl.DataFrame], plan: pl.DataFrame, *, seed: int
) -> tuple[dict[str, pl.DataFrame], dict[str, pl.DataFrame]]:
    """Return the tables with faults, and the extra rows of each (duplicates, contradictions, orphans)."""
    market_file = _soil_market_file(tables[MARKET_FILE.name], plan, seed=seed)
    market_money = _soil_market_money(tables[MARKET_MONEY.name], plan)
    market_time = _soil_market_time(tables[MARKET_TIME.name], plan)
    money = tables[MONEY.name].with_columns(
        _where(_has(plan, MONEY, Fault.EMPTY), MONEY, "monthly_profit", pl.lit(None, dtype=pl.Float64))
    )
    soiled = {
        MARKET_FILE.name: market_file,
        MARKET_MONEY.name: market_money,
        MARKET_TIME.name: market_time,
        MONEY.name: money,
    }
    extra = {
        MARKET_FILE.name: market_file.filter(_has(plan, MARKET_FILE, Fault.CONTRADICTION)).with_columns(
            _column(MARKET_FILE, "pages_per_visit") + 1
        ),
        MARKET_MONEY.name: market_money.filter(_has(plan, MARKET_MONEY, Fault.DUPLICATE) & _is_current(MARKET_MONEY)),
        MARKET_TIME.name: market_time.filter(_has(plan, MARKET_TIME, Fault.DUPLICATE) & _is_current(MARKET_TIME)),
        MONEY.name: money.filter(_has(plan, MONEY, Fault.ORPHAN)).with_columns(pl.col("id") + ORPHAN_OFFSET),
    }
    return soiled, extra


def _soil_market_file(table: pl.DataFrame, plan: pl.DataFrame, *, seed: int) -> pl.DataFrame:
    row = (pl.col("id") - FIRST_ID).cast(pl.UInt64)
    service = _column(MARKET_FILE, "service_type")
    misspelt = Draws(seed, row).uniform("misspelt_service") < MISSPELT_SERVICE_SHARE
    too_much = _rounded(_column(MARKET_FILE, "promo_share") + SHARE_ABOVE_RANGE, 2)
    return table.with_columns(
        _where(misspelt, MARKET_FILE, "service_type", service.replace(_misspellings(SERVICE_TYPE))),
        _column(MARKET_FILE, "favourite_category").replace(_misspellings(CATEGORY)),
        _where(_has(plan, MARKET_FILE, Fault.OUT_OF_RANGE), MARKET_FILE, "promo_share", too_much),
    )


def _soil_market_money(table: pl.DataFrame, plan: pl.DataFrame) -> pl.DataFrame:
    revenue = _column(MARKET_MONEY, "revenue")
    current = _is_current(MARKET_MONEY)

    def has(fault: Fault) -> pl.Expr:
        return _has(plan, MARKET_MONEY, fault)

    return table.with_columns(
        pl.when(has(Fault.ZERO_MONTHS) & ~current)
        .then(0.0)
        .when(has(Fault.SPIKE) & current)
        .then(_rounded(revenue * SPIKE_FACTOR, 1))
        .when(has(Fault.EMPTY) & current)
        .then(None)
        .otherwise(revenue)
        .alias(MARKET_MONEY.heading("revenue").delivered)
    ).with_columns(
        _where(has(Fault.UNPARSEABLE) & current, MARKET_MONEY, "revenue", pl.lit(UNPARSEABLE), revenue.cast(pl.String))
    )


def _soil_market_time(table: pl.DataFrame, plan: pl.DataFrame) -> pl.DataFrame:
    too_many = _column(MARKET_TIME, "minutes") + MINUTES_ABOVE_RANGE
    out_of_range = _has(plan, MARKET_TIME, Fault.OUT_OF_RANGE) & _is_current(MARKET_TIME)
    return table.with_columns(
        _column(MARKET_TIME, "period").replace(_misspellings(MONTHS_OF_MINUTES)),
        _where(out_of_range, MARKET_TIME, "minutes", too_many),
    )


def _column(table: Table, name: str) -> pl.Expr:
    return pl.col(table.heading(name).delivered)


def _where(condition: pl.Expr, table: Table, name: str, value: pl.Expr, otherwise: pl.Expr | None = None) -> pl.Expr:
    """Return the column with `value` where `condition` holds, and `otherwise` (by default itself) elsewhere."""
    kept = _column(table, name) if otherwise is None else otherwise
    return pl.when(condition).then(value).otherwise(kept).alias(table.heading(name).delivered)


def _has(plan: pl.DataFrame, table: Table, fault: Fault) -> pl.Expr:
    ids = plan.filter(pl.col("table") == table.name, pl.col("fault") == str(fault))["id"]
    return pl.col("id").is_in(ids.implode())


def _is_current(table: Table) -> pl.Expr:
    return _column(table, "period") == _spelling(MONTHS_OF_REVENUE, CURRENT_MONTH)


def _misspellings(words: Words) -> dict[str, str]:
    return {right: wrong for wrong, right in words.misspellings.items()}


def _pieces(customers: int, *, seed: int, labelled: bool, clean: bool) -> Iterator[dict[str, pl.DataFrame]]:
    """Yield the tables of `_PIECE` customers at a time; unless `clean`, soiled, and the extra rows last."""
    pieces = (
        _tables(first, min(_PIECE, customers - first), seed=seed, labelled=labelled)
        for first in range(0, customers, _PIECE)
    )
    if clean:
        yield from pieces
        return
    plan = plan_faults(customers=customers, seed=seed)
    extras = []
    for piece in pieces:
        soiled, extra = _soil(piece, plan, seed=seed)
        extras.append(extra)
        yield soiled
    yield _joined(extras)


def _told(
    pieces: Iterator[dict[str, pl.DataFrame]], customers: int, progress: Callable[[str, int, int], None]
) -> Iterator[dict[str, pl.DataFrame]]:
    for number, piece in enumerate(pieces):
        progress("customers", min(number * _PIECE, customers), customers)
        yield piece


def _joined(pieces: Sequence[Mapping[str, pl.DataFrame]]) -> dict[str, pl.DataFrame]:
    return {name: pl.concat([piece[name] for piece in pieces]) for name in TABLES}


def _whole(pieces: Iterator[dict[str, pl.DataFrame]], *, shuffle_seed: int | None) -> Iterator[dict[str, pl.DataFrame]]:
    """Yield one piece with all rows, in a random order if there is a seed for it."""
    whole = _joined(list(pieces))
    yield (
        whole
        if shuffle_seed is None
        else {name: _shuffled(table, seed=shuffle_seed, name=name) for name, table in whole.items()}
    )


def _shuffled(table: pl.DataFrame, *, seed: int, name: str) -> pl.DataFrame:
    draws = Draws(seed, pl.int_range(pl.len(), dtype=pl.UInt64)).bits(f"shuffle {name}")
    return table.with_columns(draws.alias("draw")).sort("draw", maintain_order=True).drop("draw")


def _claim(folder: Path) -> None:
    """Make `folder`, or check that it has nothing but rests of a killed run."""
    if folder.exists() and not folder.is_dir():
        raise OutputError([Problem(str(folder), "a new or empty folder", "a file")])
    folder.mkdir(parents=True, exist_ok=True)
    rests = {_partial(folder, name, table_format).name for name in TABLES for table_format in TABLE_FORMATS}
    entries = sorted(entry.name for entry in folder.iterdir() if entry.name not in rests)
    if entries:
        raise OutputError([Problem(str(folder), "a new or empty folder", f"a folder with {', '.join(entries)}")])


def _partial(folder: Path, name: str, table_format: str) -> Path:
    return folder / f".{name}.{table_format}.partial"


def _write(pieces: Iterator[dict[str, pl.DataFrame]], folder: Path, table_format: str) -> dict[str, int]:
    rows = dict.fromkeys(TABLES, 0)
    paths = {name: _partial(folder, name, table_format) for name in TABLES}
    try:
        with ExitStack() as stack:
            files = {name: stack.enter_context(path.open("wb")) for name, path in paths.items()}
            for piece in pieces:
                for name, table in piece.items():
                    if table_format == "parquet":
                        table.write_parquet(files[name])
                    else:
                        files[name].write(_csv(table, name, headings=rows[name] == 0))
                    rows[name] += table.height
        for name, path in paths.items():
            path.replace(folder / f"{name}.{table_format}")
    finally:
        for name in TABLES:
            for leftover in TABLE_FORMATS:
                _partial(folder, name, leftover).unlink(missing_ok=True)
    return rows


def _csv(table: pl.DataFrame, name: str, *, headings: bool) -> bytes:
    """Return the table as the shop exports it: `money` with semicolons, decimal commas and no trailing zeros."""
    if name != MONEY.name:
        return table.write_csv(include_header=headings, line_terminator="\r\n").encode()
    numbers = [heading.delivered for heading in MONEY.headings if heading.kind is Kind.NUMBER]
    commas = pl.col(numbers).cast(pl.String).str.strip_suffix(".0").str.replace(".", ",", literal=True)
    return table.with_columns(commas).write_csv(include_header=headings, line_terminator="\r\n", separator=";").encode()
