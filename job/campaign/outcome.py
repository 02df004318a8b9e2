"""Simulated outcomes: what the shop might deliver three months after a run, if a campaign had a known effect.

For demonstrations and tests of `retention lift`, from the run's folder alone. Real outcomes come from the shop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from job.campaign.run import load_run
from job.errors import SettingsError
from job.sample import FIRST_ID, ORPHAN_OFFSET, Draws, draw_customers, soil, split_tables, write_pieces
from schemas.scored import TREATMENT
from schemas.vocabulary import ACTIVITY, CONSENT, DECLINED, PERIODS_OF_MINUTES, PERIODS_OF_REVENUE, UNCHANGED, Words

if TYPE_CHECKING:
    from pathlib import Path

VANISHED_SHARE: Final = 0.02
"""Of the scored customers, in every group alike: they are not in the outcome."""
DECLINED_LEVELS: Final = (0.3, 0.8)
UNCHANGED_LEVELS: Final = (0.9, 1.1)
"""What is left of a customer's revenue, minutes and profit: evenly spread between the two."""


def write_outcome(
    folder: Path,
    *,
    run: Path,
    effect: float,
    seed: int,
    clean: bool = False,
    table_format: str = "csv",
    shuffled: bool = False,
) -> dict[str, int]:
    """Write a labelled drop with the outcome of a run's customers, three months later, as dirty as real ones.

    A customer declines with the run's `decline_probability`, a treated one with that times 1 - `effect`.
    `VANISHED_SHARE` of the customers are not there. Revenue, minutes and profit are what `make_tables` would draw, or
    for profit what the run had, times a level from `DECLINED_LEVELS` or `UNCHANGED_LEVELS`. The other columns
    (category, pages, ...) have nothing to do with what the customer was like before, because a run does not tell it.

    The same run, effect and seed give the same bytes (see `job.sample`); a customer's fate depends on its id, the seed
    and its own probability alone, so that two effects can be compared customer by customer.

    Args:
        folder: where to; new or empty.
        run: a published run.
        effect: by how much treatment lowers the probability of a decline, relative; -1 to 1.
        seed: any whole number.
        clean: without misspellings and bad rows.
        table_format: one of `job.sample.TABLE_FORMATS`.
        shuffled: every table's rows in a random order.

    Returns:
        Rows written, by table.

    Raises:
        SettingsError: `run` is no published run, nobody in it is left, or a setting is out of range.
        ArtifactError: the run was altered, or is of another version.
        OutputError: the folder is not empty, or cannot be written.
    """
    if not -1 <= effect <= 1:
        raise SettingsError(f"--effect: found {effect}, expected a number from -1 to 1")
    customers = simulate_outcome(load_run(run).scored, effect=effect, seed=seed)
    if customers.is_empty():
        raise SettingsError(f"{run}: nobody of this run is left in the outcome; take another seed or a larger run")
    ids = customers["id"]
    stand_ins = customers.with_columns(id=pl.int_range(pl.len(), dtype=pl.Int64) + FIRST_ID)
    tables = split_tables(stand_ins, labelled=True)
    if not clean:
        tables = soil(tables, seed=seed)
    tables = {name: table.with_columns(_original(ids)) for name, table in tables.items()}
    return write_pieces(folder, iter([tables]), table_format=table_format, shuffle_seed=seed if shuffled else None)


def simulate_outcome(scored: pl.DataFrame, *, effect: float, seed: int) -> pl.DataFrame:
    """Return the customers that are left, as `job.sample.split_tables` takes them, ordered by `id`.

    Args:
        scored: one row per customer of a run, ordered by `id`.
        effect: by how much treatment lowers the probability of a decline, relative; -1 to 1.
        seed: any whole number.
    """
    draws = Draws(seed, pl.col("id").cast(pl.UInt64))
    probability = pl.col("decline_probability") * (
        pl.when(pl.col("campaign_group") == TREATMENT).then(1 - effect).otherwise(1.0)
    )
    left = scored.filter(draws.uniform("outcome: vanished") >= VANISHED_SHARE)
    if left.is_empty():
        return left
    fates = left.select(
        "id",
        pl.when(pl.col("contact_allowed")).then(_word(CONSENT, "yes")).otherwise(_word(CONSENT, "no")).alias("consent"),
        (draws.uniform("outcome: decline") < probability).alias("declines"),
        draws.uniform("outcome: level").alias("draw"),
        pl.col("monthly_profit").alias("profit_before"),
    )
    drawn = draw_customers(customers=left.height, seed=seed).drop("id", "consent", "monthly_profit")
    level = pl.when("declines").then(_between(DECLINED_LEVELS)).otherwise(_between(UNCHANGED_LEVELS))
    return (
        pl.concat([fates, drawn], how="horizontal")
        .with_columns(level.alias("level"))
        .with_columns(
            pl.when("declines").then(_word(ACTIVITY, DECLINED)).otherwise(_word(ACTIVITY, UNCHANGED)).alias("activity"),
            # A loss grows where a profit would shrink.
            (pl.col("profit_before") - pl.col("profit_before").abs() * (1 - pl.col("level")))
            .round(2)
            .alias("monthly_profit"),
            *((pl.col(f"revenue_{month}") * pl.col("level")).round(1) for month in PERIODS_OF_REVENUE),
            *((pl.col(f"minutes_{month}") * pl.col("level")).round(0).cast(pl.Int64) for month in PERIODS_OF_MINUTES),
        )
        .drop("declines", "draw", "profit_before", "level")
    )


def _between(levels: tuple[float, float]) -> pl.Expr:
    low, high = levels
    return low + (high - low) * pl.col("draw")


def _original(ids: pl.Series) -> pl.Expr:
    """Return the customers' own ids in place of the stand-ins; orphans keep their distance."""
    offset = (pl.col("id") >= ORPHAN_OFFSET).cast(pl.Int64) * ORPHAN_OFFSET
    return (pl.lit(ids).gather(pl.col("id") - offset - FIRST_ID) + offset).alias("id")


def _word(words: Words, name: str) -> pl.Expr:
    return pl.lit(next(word for word, inside in words.values.items() if inside == name))
