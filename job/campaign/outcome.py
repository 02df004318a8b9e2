"""Simulated drops: what the shop might deliver months after a run, if its offers had known effects.

For demonstrations and tests of `retention lift` and of years of campaigns, from the run's folder alone. Real drops come
from the shop.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from job.campaign.run import load_run
from job.errors import Problem, SettingsError
from job.sample import FIRST_ID, ORPHAN_OFFSET, Draws, draw_customers, soil, spelling, split_tables, write_pieces
from schemas.scored import PROFIT_MONTHS, TREATMENT
from schemas.vocabulary import ACTIVITY, CONSENT, DECLINED, PERIODS_OF_MINUTES, PERIODS_OF_REVENUE, UNCHANGED

if TYPE_CHECKING:
    from schemas.manifest import Manifest
    from schemas.vocabulary import Words

MONTHS: Final = PROFIT_MONTHS
"""In which a customer declines with the run's probability."""
VANISHED_SHARE: Final = 0.02
"""Of the scored customers, in every group alike: they are not there after three months."""
DECLINED_LEVELS: Final = (0.3, 0.8)
UNCHANGED_LEVELS: Final = (0.9, 1.1)
"""What is left of a customer's revenue, minutes and profit after three months: evenly spread between the two."""


class Effects(NamedTuple):
    """By which share treatment lowers the probability of a decline, -1 to 1."""

    others: float = 0.0  # of the offers that are not named
    named: Mapping[str, float] = {}


class Course(NamedTuple):
    """How much later a simulated drop is, and what has become of revenue.

    With the label, it moves revenue, minutes and profits; without, customers stay what they were but for chance and
    season, so that a year of drops ends as it began.
    """

    months: int = MONTHS  # since the run, 1 or more
    levels: Sequence[float] = (1.0, 1.0, 1.0)  # of revenue, the newest month first: 1 as a sample has it
    labelled: bool = True


THREE_MONTHS: Final = Course()


def write_outcome(
    folder: Path,
    *,
    run: Path,
    seed: int,
    effects: Sequence[str] = (),
    months: int = MONTHS,
    season: float = 1.0,
    labelled: bool = True,
    clean: bool = False,
    table_format: str = "csv",
    shuffled: bool = False,
) -> dict[str, int]:
    """Write a drop of a run's customers, months later, as dirty as real ones; return the rows written, by table.

    `seed`: that of the sample that the run scored keeps what its customers are like; `effects`: `E`, or `OFFER=E` as
    often as there are offers, see `Effects`; `months`: since the run, 1 or more; `season`: what the newest month's
    revenue is multiplied by, the months before keep the levels that the run found. The others are those of a sample.

    Raises:
        SettingsError: `run` is no published run, nobody in it is left, or settings are out of range; all at once.
        ArtifactError: the run was altered, or is of another version.
        OutputError: the folder is not empty, or cannot be written.
    """
    published = load_run(run)
    known = set(published.scored["offer"].unique())
    parsed, problems = _parse_effects(effects, known)
    if not 0 < season < math.inf:
        problems.append(Problem("--season", "a number above 0", f"{season:g}"))
    if problems:
        raise SettingsError(problems)
    course = Course(months, _levels(published.manifest, months, season), labelled)
    # Of the run, too: else each month of a year would have the same customers decline.
    of_run = int.from_bytes(blake2b(f"{seed}:{published.run_id}".encode(), digest_size=8).digest(), "little")
    customers = simulate_outcome(published.scored, parsed, course, seed=seed, fate_seed=of_run)
    if customers.is_empty():
        raise SettingsError(f"{run}: nobody of this run is left in the outcome; take another seed or a larger run")
    ids = customers["id"]
    stand_ins = customers.with_columns(id=pl.int_range(pl.len(), dtype=pl.Int64) + FIRST_ID)
    tables = split_tables(stand_ins, labelled=labelled)
    if not clean:
        tables = soil(tables, seed=of_run)
    tables = {name: table.with_columns(_original(ids)) for name, table in tables.items()}
    return write_pieces(folder, iter([tables]), table_format=table_format, shuffle_seed=seed if shuffled else None)


def simulate_outcome(
    scored: pl.DataFrame, effects: Effects, course: Course = THREE_MONTHS, *, seed: int, fate_seed: int | None = None
) -> pl.DataFrame:
    """Return the customers that are left, as `job.sample.split_tables` takes them, ordered by `id`.

    In three months a customer declines with the run's `decline_probability` p, a treated one with that times 1 - the
    offer's effect; in n months with 1 - (1 - p)^(n / 3), so that whoever has declined after one month has after three.
    `VANISHED_SHARE` of the customers are gone after three months. Profit is multiplied by one of `DECLINED_LEVELS` or
    `UNCHANGED_LEVELS`, revenue and minutes by its n / 3-th power in the n-th month. Consent and profit are the run's;
    all else is what a sample draws for this id under this seed, because a run does not tell it.

    The same run, effects and seeds give the same customers (see `job.sample`); a customer's fate depends on its id, the
    seed and its own probability alone, so that two effects can be compared customer by customer.

    `scored`: one row per customer, ordered by `id`; `seed`: what they are like; `fate_seed`: what becomes of them.
    """
    draws = Draws(seed if fate_seed is None else fate_seed, pl.col("id").cast(pl.UInt64))
    part = course.months / MONTHS
    effect = pl.col("offer").replace_strict(effects.named, default=effects.others, return_dtype=pl.Float64)
    unharmed = 1 - pl.col("decline_probability") * (
        pl.when(pl.col("campaign_group") == TREATMENT).then(1 - effect).otherwise(1.0)
    )
    left = scored.filter(draws.uniform("outcome: vanished") >= VANISHED_SHARE * part)
    if left.is_empty():
        return left
    left = left.with_columns(
        declines=draws.uniform("outcome: decline") < 1 - unharmed.pow(part), draw=draws.uniform("outcome: level")
    )
    declines = pl.col("declines")
    declined, unchanged = (low + (high - low) * pl.col("draw") for low, high in (DECLINED_LEVELS, UNCHANGED_LEVELS))
    fates = left.select(
        "id",
        _spelled(CONSENT, pl.col("contact_allowed"), "yes", "no").alias("consent"),
        _spelled(ACTIVITY, declines, DECLINED, UNCHANGED).alias("activity"),
        (pl.when(declines).then(declined).otherwise(unchanged) if course.labelled else unchanged).alias("level"),
        pl.col("monthly_profit").alias("profit_before"),
    )
    drawn = draw_customers(left["id"], seed=seed).drop("id", "consent", "monthly_profit")
    revenues = dict(zip(PERIODS_OF_REVENUE, course.levels, strict=True))
    since = {
        month: pl.col("level").pow(min(max(course.months - ago, 0) / MONTHS, 1.0)) for ago, month in enumerate(revenues)
    }
    # A loss grows where a profit would shrink.
    change = pl.col("profit_before").abs() * (1 - pl.col("level")) if course.labelled else pl.lit(0.0)
    return (
        pl.concat([fates, drawn], how="horizontal")
        .with_columns(
            (pl.col("profit_before") - change).round(2).alias("monthly_profit"),
            *(
                (pl.col(f"revenue_{month}") * since[month] * season).round(1).alias(f"revenue_{month}")
                for month, season in revenues.items()
            ),
            *(
                (pl.col(f"minutes_{month}") * since[month]).round(0).cast(pl.Int64).alias(f"minutes_{month}")
                for month in PERIODS_OF_MINUTES
            ),
        )
        .drop("profit_before", "level")
    )


def _parse_effects(texts: Sequence[str], known: set[str]) -> tuple[Effects, list[Problem]]:
    """Return the effects that `--effect` names, and what is wrong with them."""
    effects: dict[str, float] = {}
    problems = []
    for text in texts:
        offer, _, number = text.rpartition("=")
        if offer and offer not in known:
            problems.append(Problem("--effect", f"an offer of the run: {', '.join(sorted(known))}", text))
        if offer in effects:
            problems.append(Problem("--effect", "each offer once" if offer else "one number without an offer", text))
        try:
            effects[offer] = float(number)
        except ValueError:
            effects[offer] = math.nan
        if not -1 <= effects[offer] <= 1:
            problems.append(Problem("--effect", "a number from -1 to 1, alone or as OFFER=E", text))
    return Effects(effects.pop("", 0.0), effects), problems


def _levels(manifest: Manifest, months: int, season: float) -> list[float]:
    """Return the levels of the newest months: the run's own of those that it saw, and the season of the newest."""
    ratios = [month["ratio"] for month in manifest["levels"]["months"]]
    return [season, *([1.0] * (months - 1) + ratios + [1.0] * len(PERIODS_OF_REVENUE))][: len(PERIODS_OF_REVENUE)]


def _spelled(words: Words, holds: pl.Expr, yes: str, no: str) -> pl.Expr:
    return pl.when(holds).then(pl.lit(spelling(words, yes))).otherwise(pl.lit(spelling(words, no)))


def _original(ids: pl.Series) -> pl.Expr:
    """Return the customers' own ids in place of the stand-ins; orphans keep their distance."""
    offset = (pl.col("id") >= ORPHAN_OFFSET).cast(pl.Int64) * ORPHAN_OFFSET
    return (pl.lit(ids).gather(pl.col("id") - offset - FIRST_ID) + offset).alias("id")
