"""Synthetic drops that look like the shop's real export, for demonstrations, tests and benchmarks.

No row is copied: every value is drawn from a distribution measured on the labelled real export of 1,300 customers;
those of the kinds of customers and the coefficients on the 1,296 that are left without three with a month without
revenue and one with an absurd one. Columns hang together because customers are of four kinds, which are not
delivered. (One hidden engagement would give most correlations, too; but then the job sees drift.) A sample has no
near twins, no order by label, and within a kind only the months' revenues depend on each other: rank correlations
differ from the export's by at most 0.13. What is guaranteed:

- The same seed gives the same tables and, for one version of Polars and one format, the same bytes, whatever the number
  of threads, the process or the day. A draw is SplitMix64 of seed, the draw's name and the row's number, in wrapping
  UInt64 arithmetic; Polars' own hash and random numbers may change between versions. All but the label is integer and
  IEEE arithmetic; the label also needs `exp`, whose last bit may differ between platforms.
- A customer does not depend on how many there are: a smaller clean sample is the beginning of a larger one.
- The label depends on the behaviour of the same customer alone: row order, `id` and `Прибыль` tell nothing of it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from enum import StrEnum
from functools import cache
from hashlib import blake2b
from itertools import accumulate, pairwise, permutations
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import polars as pl

from job.errors import OutputError, Problem, SettingsError, reason_of
from job.hashing import splitmix64, whole
from job.statistics import first_true
from schemas.columns import MARKET_FILE, MARKET_MONEY, MARKET_TIME, MONEY, TABLES, Kind, Table
from schemas.vocabulary import (
    ACTIVITY,
    CATEGORY,
    CONSENT,
    CURRENT_MONTH,
    DECLINED,
    MONTHS_OF_MINUTES,
    MONTHS_OF_REVENUE,
    SERVICE_TYPE,
    UNCHANGED,
    Words,
)

FIRST_ID: Final = 100_001
ORPHAN_OFFSET: Final = 1_000_000_000
"""An orphan's id is that of a real customer plus this: larger than any id of a sample."""
MOST_CUSTOMERS: Final = ORPHAN_OFFSET
TABLE_FORMATS: Final = ("csv", "parquet")

FIGURES: Final = tomllib.loads(Path(__file__).with_name("sample.toml").read_text(encoding="utf-8"))
COUNTS: Final[Mapping[str, Mapping[Any, int]]] = {
    "consent": dict(zip(CONSENT.values, (962, 338), strict=True)),
    **{column: dict(enumerate(counts, first)) for column, (first, counts) in FIGURES["counts"].items()},
}
"""Column -> value -> customers."""
REVENUE_PREVIOUS_TENTHS: Final = 0.36
"""Share of the previous month's revenues that are not rounded to whole units; the month before is whole everywhere."""
PROFIT_MEAN, PROFIT_DEVIATION = 4.0, 1.01
_WORDS: Final = {"service_type": SERVICE_TYPE, "favourite_category": CATEGORY}
LABEL_INTERCEPT: Final = 10.19
"""Makes declines 0.38 of the customers, as in the export. (The fit's own is 10.35; the dependence here is simpler.)"""

MISSPELT_SERVICE_SHARE: Final = 10 / 924
"""Of the customers with the standard service; the other two misspellings are everywhere."""

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


_EXTRA_ROWS: Final = (Fault.DUPLICATE, Fault.CONTRADICTION, Fault.ORPHAN)


class FaultShare(NamedTuple):
    """How many customers have a fault in a table, and what it is."""

    table: str
    fault: Fault
    share: float  # customers with it, of all
    column: str  # the ASCII name of the column that it changes
    change: Callable[[pl.Expr], pl.Expr]  # value -> what stands there instead


FAULTS: Final = (
    FaultShare(MARKET_MONEY.name, Fault.ZERO_MONTHS, 0.002, "revenue", lambda _: pl.lit(0.0)),
    FaultShare(MARKET_MONEY.name, Fault.SPIKE, 1 / 1300, "revenue", lambda value: (value * 20).round(1)),
    FaultShare(MARKET_FILE.name, Fault.OUT_OF_RANGE, 0.001, "promo_share", lambda value: (value + 1).round(2)),
    FaultShare(MARKET_FILE.name, Fault.CONTRADICTION, 0.001, "pages_per_visit", lambda value: value + 1),
    FaultShare(MARKET_MONEY.name, Fault.UNPARSEABLE, 0.002, "revenue", lambda _: pl.lit("н/д")),
    FaultShare(MARKET_MONEY.name, Fault.EMPTY, 0.002, "revenue", lambda _: pl.lit(None)),
    FaultShare(MARKET_MONEY.name, Fault.DUPLICATE, 0.002, "revenue", lambda value: value),
    FaultShare(MARKET_TIME.name, Fault.OUT_OF_RANGE, 0.002, "minutes", lambda value: value + 50_000),
    FaultShare(MARKET_TIME.name, Fault.DUPLICATE, 0.002, "minutes", lambda value: value),
    FaultShare(MONEY.name, Fault.EMPTY, 0.001, "monthly_profit", lambda _: pl.lit(None)),
    FaultShare(MONEY.name, Fault.ORPHAN, 0.001, "id", lambda value: value + ORPHAN_OFFSET),
)
"""The first two are as in the export; the others make 0.2 % of each table's rows unusable. In the order in which they
are made: what takes an extra row comes after what changes a table's own."""
_ALL_KINDS_FROM: Final = 1000


def make_tables(*, customers: int, seed: int, labelled: bool, first: int = 0) -> dict[str, pl.DataFrame]:
    """Return clean synthetic tables of 1 customer or more, in about 400 bytes of memory each, by name.

    They have the headings as delivered, a row per customer, or three (`market_money`), or two (`market_time`). `id`
    counts from `FIRST_ID`; the months of a customer come in random order. Whole numbers and ids are Int64, other
    numbers Float64, words String; nothing is null. All but the label is the same without it.

    `first`: how many customers of the sample come before these.
    """
    return split_tables(_customers(_rows(first, customers), seed=seed, labelled=labelled), labelled=labelled)


def draw_customers(ids: pl.Series, *, seed: int) -> pl.DataFrame:
    """Return all that `make_tables` draws of these ids (Int64, from 0), without the label, for `split_tables`.

    A row per customer: the columns of the four tables by their ASCII name, with words as delivered; besides,
    `order_of_revenue` and `order_of_minutes` (UInt64, random).
    """
    # Wraps below the first id: any number will do.
    rows = ids.to_frame("id").select(row=pl.col("id").cast(pl.UInt64) - whole(FIRST_ID), id="id")
    return _customers(rows, seed=seed, labelled=False)


def plan_faults(*, customers: int, seed: int) -> pl.DataFrame:
    """Return which customers of a sample `soil` gives which fault: `id` (Int64), `table` and `fault` (String).

    Each of `FAULTS` has its share of the customers, rounded; at least one customer from 1,000 customers on. No customer
    has two.
    """
    least = int(customers >= _ALL_KINDS_FROM)
    faults = [fault for fault in FAULTS for _ in range(max(least, round(fault.share * customers)))]
    drawn = pl.DataFrame(schema={"id": pl.Int64, "draw": pl.UInt64})
    for first in range(0, customers, _PIECE):
        rows = _rows(first, min(_PIECE, customers - first))
        piece = rows.select("id", draw=Draws(seed, pl.col("row")).bits("faults"))
        drawn = pl.concat([drawn, piece]).bottom_k(len(faults), by="draw")
    return drawn.sort("draw", "id").select(
        "id",
        table=pl.Series([fault.table for fault in faults], dtype=pl.String),
        fault=pl.Series([str(fault.fault) for fault in faults], dtype=pl.String),
    )


def soil(tables: Mapping[str, pl.DataFrame], *, seed: int) -> dict[str, pl.DataFrame]:
    """Return the tables as dirty as the real export.

    Misspellings at their real rates («стандартт» in 10 of 924 standard rows, «предыдцщий_месяц» in `market_time` and
    «Косметика и аксесуары» everywhere), and the faults of `plan_faults`: those of a month are in the current one; a
    duplicate, a contradiction (one page more) and an orphan are extra rows at the end of their table. Columns and the
    order of the other rows stay. `Выручка` is String, because «н/д» is among its values; an empty cell is null.
    """
    plan = plan_faults(customers=tables[MARKET_FILE.name].height, seed=seed)
    return _joined(_soil(tables, plan, seed=seed))


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
        folder: new or empty; made with its parents. Rests of a killed run are overwritten.
        customers: 1 or more.
        seed: any whole number.
        labelled: with the label.
        clean: without misspellings and faults.
        table_format: one of `TABLE_FORMATS`.
        shuffled: every table's rows in a random order, the same for the same seed.
        progress: called with what is done, how many customers are, and of how many.

    Returns the rows written, by table. Raises SettingsError where `customers` is out of range, and OutputError where
    the folder is not empty, or cannot be written.
    """
    if not 1 <= customers <= MOST_CUSTOMERS:
        expected = f"a whole number from 1 to {MOST_CUSTOMERS:,}"
        raise SettingsError([Problem("customers", expected, f"{customers}")])
    pieces = _pieces(customers, seed=seed, labelled=labelled, clean=clean, progress=progress)
    return write_pieces(folder, pieces, table_format=table_format, shuffle_seed=seed if shuffled else None)


def write_pieces(
    folder: Path, pieces: Iterator[dict[str, pl.DataFrame]], *, table_format: str, shuffle_seed: int | None
) -> dict[str, int]:
    """Write tables, in any number of pieces, as `write_drop` does, with the same results and errors.

    `shuffle_seed`: puts every table's rows in a random order.
    """
    try:
        _claim(folder)
        if shuffle_seed is not None:
            pieces = iter([_shuffled(_joined(pieces), seed=shuffle_seed)])
        elif table_format == "parquet":
            pieces = iter([_joined(pieces)])
        return _write(pieces, folder, table_format)
    except (OSError, pl.exceptions.ComputeError) as error:
        raise OutputError([Problem(str(folder), "a folder that can be written", reason_of(error))]) from error


class Draws(NamedTuple):
    """Independent random draws for each row, by name."""

    seed: int
    row: pl.Expr  # the row's number (UInt64)

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

    def of(self, column: str) -> pl.Expr:
        """Return a column's draw: its normal score of a customer of the `kind`, or a uniform one if kinds are alike."""
        return _score(column, self.normal(column)) if column in FIGURES["scores"] else self.uniform(column)


def _of_kind(figures: Sequence[float]) -> pl.Expr:
    return pl.lit(pl.Series(figures, dtype=pl.Float64)).gather(pl.col("kind"))


def _score(column: str, deviation: pl.Expr) -> pl.Expr:
    """Return the normal score that deviates so from the mean of its kind, in the kind's deviations."""
    means, deviations = FIGURES["scores"][column]
    return _of_kind(means) + _of_kind(deviations) * deviation


def _choice(column: str, draw: pl.Expr) -> pl.Expr:
    """Return the value whose share of `COUNTS` a column's draw falls into."""
    counts = COUNTS[column]
    *edges, total = accumulate(counts.values())
    limits = [_limit(edge / total, column) for edge in edges]
    return pl.lit(pl.Series(list(counts))).gather(pl.lit(pl.Series(limits)).search_sorted(draw)).alias(column)


def _choice_by_kind(column: str, draw: pl.Expr) -> pl.Expr:
    """Return the word, as delivered, whose share of its kind's counts a uniform draw falls into."""
    counts = FIGURES["words"][column]
    edges = [
        kind + edge / sum(of_kind)
        for kind, of_kind in enumerate(zip(*counts.values(), strict=True))
        for edge in accumulate(of_kind)
    ]
    spellings = [spelling(_WORDS[column], name) for name in counts] * len(COUNTS["kind"])
    index = pl.lit(pl.Series(edges[:-1])).search_sorted(pl.col("kind") + draw)
    return pl.lit(pl.Series(spellings)).gather(index).alias(column)


def _quantile(column: str, draw: pl.Expr, decimals: int) -> pl.Expr:
    """Return the quantile of a column's draw, linear between those given; the ends are the limits.

    Rounded to what prints with so many decimals: a division by a power of ten, which Polars turns into a
    multiplication, would give 6.6000000000000005.
    """
    levels, values = FIGURES["quantiles"][column]
    limits = [_limit(level, column) for level in levels]
    slopes = [(right[1] - left[1]) / (right[0] - left[0]) for left, right in pairwise(zip(limits, values, strict=True))]
    starts = [value - slope * limit for limit, value, slope in zip(limits, values, slopes, strict=False)]
    piece = pl.lit(pl.Series(limits[1:-1])).search_sorted(draw)
    line = pl.lit(pl.Series(starts)).gather(piece) + pl.lit(pl.Series(slopes)).gather(piece) * draw
    return line.clip(values[0], values[-1]).round(decimals).alias(column)


@cache
def _limit(level: float, column: str) -> float:
    """Return the quantile of a column's draws in all kinds together: of its normal scores, or of a uniform number.

    The former by bisection, rounded, so that the last bit of the platform's error function is not seen.
    """
    if column not in FIGURES["scores"]:
        return level
    counts = COUNTS["kind"].values()
    kinds = [
        (count / sum(counts), NormalDist(mean, deviation))
        for count, mean, deviation in zip(counts, *FIGURES["scores"][column], strict=True)
    ]
    return round(first_true(lambda score: sum(share * kind.cdf(score) for share, kind in kinds) >= level, -10, 10), 9)


def spelling(words: Words, name: str) -> str:
    """Return how a word is delivered."""
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
    profit = PROFIT_MEAN + PROFIT_DEVIATION * draws.normal("monthly_profit")
    customers = rows.with_columns(_choice("kind", draws.of("kind"))).select(
        "row",
        "id",
        *(_choice(name, draws.of(name)) for name in COUNTS if name != "kind"),
        *(_choice_by_kind(name, draws.uniform(name)) for name in FIGURES["words"]),
        _quantile("registered_days", draws.of("registered_days"), 0).cast(pl.Int64),
        _quantile("contacts_6_months", draws.of("contacts_6_months"), 1),
        _quantile("promo_share", draws.of("promo_share"), 2),
        *_revenue(draws),
        profit.round(2).clip(lower_bound=0.0).alias("monthly_profit"),
        *(draws.bits(name).alias(name) for name in ("order_of_revenue", "order_of_minutes")),
    )
    return customers.with_columns(_label(draws).alias("activity")) if labelled else customers


def _revenue(draws: Draws) -> list[pl.Expr]:
    """Return the three revenues: each month's deviation is a regression on the later months' of the same kind."""
    current_and_previous = FIGURES["correlations"]["current_and_previous"]
    on_current, on_previous, by_itself = [], [], []
    for near, far, between in zip(*FIGURES["correlations"].values(), strict=True):
        on_current.append((far - near * between) / (1 - near**2))
        on_previous.append((between - near * far) / (1 - near**2))
        by_itself.append(sqrt(1 - on_current[-1] * far - on_previous[-1] * between))
    names = ("revenue_current_month", "revenue_previous_month", "revenue_month_before_previous")
    current, of_previous, of_before = (draws.normal(name) for name in names)
    left = _of_kind([sqrt(1 - near**2) for near in current_and_previous])
    previous = _of_kind(current_and_previous) * current + left * of_previous
    before = _of_kind(on_current) * current + _of_kind(on_previous) * previous + _of_kind(by_itself) * of_before
    scores = [_score(name, deviation) for name, deviation in zip(names, (current, previous, before), strict=True)]
    in_tenths = draws.uniform("tenths") < REVENUE_PREVIOUS_TENTHS
    return [
        _quantile(names[0], scores[0], 1),
        pl.when(in_tenths).then(_quantile(names[1], scores[1], 1)).otherwise(_quantile(names[1], scores[1], 0)),
        _quantile(names[2], scores[2], 0),
    ]


def _label(draws: Draws) -> pl.Expr:
    score = pl.lit(LABEL_INTERCEPT)
    for column, coefficient in FIGURES["label"].items():
        score = score + coefficient * pl.col(column)
    for category, coefficient in FIGURES["label_categories"].items():
        score = score + coefficient * (pl.col("favourite_category") == spelling(CATEGORY, category)).cast(pl.Float64)
    declines = draws.uniform("activity") * (1.0 + (-score).exp()) < 1.0
    declined, unchanged = (pl.lit(spelling(ACTIVITY, name)) for name in (DECLINED, UNCHANGED))
    return pl.when(declines).then(declined).otherwise(unchanged)


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
    """Return a table (id, month and value): a row per customer and month, the months in the order that `order` picks.

    Args: columns: month as delivered -> the column of `customers`; order: a column of random whole numbers.
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
    soiled, extra = _misspelt(tables, seed=seed), {}
    for table_name, fault, _, column, change in FAULTS:
        table = TABLES[table_name]
        has_fault = pl.col("id").is_in(plan.filter(table=table_name, fault=str(fault))["id"].implode())
        if "period" in table.key:
            is_current = _delivered(table, "period") == spelling(MONTHS_OF_REVENUE, CURRENT_MONTH)
            has_fault &= ~is_current if fault is Fault.ZERO_MONTHS else is_current
        value = _delivered(table, column)
        if fault in _EXTRA_ROWS:
            extra[table_name] = soiled[table_name].filter(has_fault).with_columns(change(value))
        else:
            changed = pl.when(has_fault).then(change(value)).otherwise(value).alias(value.meta.output_name())
            soiled[table_name] = soiled[table_name].with_columns(changed)
    return soiled, extra


def _misspelt(tables: Mapping[str, pl.DataFrame], *, seed: int) -> dict[str, pl.DataFrame]:
    """Return the tables with the export's misspellings."""
    draws = Draws(seed, (pl.col("id") - FIRST_ID).cast(pl.UInt64))
    service, category = _delivered(MARKET_FILE, "service_type"), _delivered(MARKET_FILE, "favourite_category")
    is_misspelt = draws.uniform("misspelt_service") < MISSPELT_SERVICE_SHARE
    return {
        **tables,
        MARKET_FILE.name: tables[MARKET_FILE.name].with_columns(
            pl.when(is_misspelt).then(_wrongly_spelt(service, SERVICE_TYPE)).otherwise(service),
            _wrongly_spelt(category, CATEGORY),
        ),
        MARKET_TIME.name: tables[MARKET_TIME.name].with_columns(
            _wrongly_spelt(_delivered(MARKET_TIME, "period"), MONTHS_OF_MINUTES)
        ),
    }


def _wrongly_spelt(column: pl.Expr, words: Words) -> pl.Expr:
    return column.replace({right: wrong for wrong, right in words.misspellings.items()})


def _delivered(table: Table, name: str) -> pl.Expr:
    return pl.col(table.heading(name).delivered)


def _pieces(
    customers: int, *, seed: int, labelled: bool, clean: bool, progress: Callable[[str, int, int], None]
) -> Iterator[dict[str, pl.DataFrame]]:
    """Yield the tables of `_PIECE` customers at a time; unless `clean`, soiled, and the extra rows last."""
    plan = None if clean else plan_faults(customers=customers, seed=seed)
    extras = []
    for first in range(0, customers, _PIECE):
        piece = make_tables(customers=min(_PIECE, customers - first), seed=seed, labelled=labelled, first=first)
        if plan is not None:
            piece, extra = _soil(piece, plan, seed=seed)
            extras.append(extra)
        progress("customers", first, customers)
        yield piece
    if extras:
        progress("customers", customers, customers)
        yield _joined(extras)


def _joined(pieces: Iterable[Mapping[str, pl.DataFrame]]) -> dict[str, pl.DataFrame]:
    parts = list(pieces)
    return {name: pl.concat([part[name] for part in parts]) for name in TABLES}


def _shuffled(tables: Mapping[str, pl.DataFrame], *, seed: int) -> dict[str, pl.DataFrame]:
    draws = Draws(seed, pl.int_range(pl.len(), dtype=pl.UInt64))
    return {
        name: table.with_columns(draw=draws.bits(f"shuffle {name}")).sort("draw", maintain_order=True).drop("draw")
        for name, table in tables.items()
    }


def _partials(folder: Path, *table_formats: str) -> list[Path]:
    """Return what tables are called while they are written: what a killed run may have left."""
    return [folder / f".{name}.{table_format}.partial" for table_format in table_formats for name in TABLES]


def _claim(folder: Path) -> None:
    """Make `folder`, or check that it has nothing but rests of a killed run."""
    expected = "a new or empty folder"
    if folder.exists() and not folder.is_dir():
        raise OutputError([Problem(str(folder), expected, "a file")])
    folder.mkdir(parents=True, exist_ok=True)
    entries = sorted(path.name for path in set(folder.iterdir()) - set(_partials(folder, *TABLE_FORMATS)))
    if entries:
        raise OutputError([Problem(str(folder), expected, f"a folder with {', '.join(entries)}")])


def _write(pieces: Iterator[dict[str, pl.DataFrame]], folder: Path, table_format: str) -> dict[str, int]:
    rows = dict.fromkeys(TABLES, 0)
    paths = dict(zip(TABLES, _partials(folder, table_format), strict=True))
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
        for path in _partials(folder, *TABLE_FORMATS):
            path.unlink(missing_ok=True)
    return rows


def _csv(table: pl.DataFrame, name: str, *, headings: bool) -> bytes:
    """Return the table as the shop exports it: `money` with semicolons, decimal commas and no trailing zeros."""
    if name != MONEY.name:
        return table.write_csv(include_header=headings, line_terminator="\r\n").encode()
    numbers = [heading.delivered for heading in MONEY.headings if heading.kind is Kind.NUMBER]
    commas = pl.col(numbers).cast(pl.String).str.strip_suffix(".0").str.replace(".", ",", literal=True)
    return table.with_columns(commas).write_csv(include_header=headings, line_terminator="\r\n", separator=";").encode()
