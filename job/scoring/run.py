"""A run in one sentence: plan the files, read pieces, reconcile, score ranges, cut ranks, finish ranges, publish.

Who maps the steps is the executor's business; the results are the same.
"""

from __future__ import annotations

import shutil
from functools import partial, reduce
from operator import add
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import polars as pl

from job.errors import OutputError
from job.features import check_some_scored
from job.intake.reconcile import DropCounts, judge_drop, keep_rejections, reconcile_all, refuses_rows
from job.prefetch import mapped, prefetched
from job.report.data import last_sampled_bin
from job.scoring.campaign import budget_parts
from job.scoring.cutoffs import Cutoffs, Reach, add_bins, find_last_affordable, find_places, last_ranks
from job.scoring.published import SCORED
from job.scoring.ranges import (
    EXCLUDED_SCHEMA,
    Finish,
    FinishedCounts,
    Order,
    RangeCounts,
    contacts_runs,
    count_order,
    fetch_order,
    finish_range,
    score_range,
)
from job.scoring.spreadsheet import RUSSIAN, without_formulas
from job.scoring.tables import CsvTable, ParquetTable, hash_file
from job.scoring.workbook import contacts_table, rank_contacts
from job.spill import SortedRuns
from schemas.scored import SCORED_DTYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from job.executor import Executor
    from job.intake.reconcile import DropRead, Intake
    from job.memory import MemoryPlan
    from job.scoring.ranges import FinishedRange
    from job.scoring.score import Setup
    from job.scoring.segments import Segmentation
    from job.settings import Limits
    from job.spill import SpillSpace

T = TypeVar("T")

KEPT_COUNTS: Final = 32  # of ranges, that are then added up


class ScoredDrop(NamedTuple):
    """The customers of a drop, scored range by range: see `ScoredRange`; and what became of the drop's rows."""

    intake: Intake
    customers: list[SortedRuns]
    orders: list[SortedRuns]
    excluded: SortedRuns
    counts: RangeCounts


def score_drop(
    drop: DropRead, setup: Setup, limits: Limits, *, executor: Executor, space: SpillSpace, memory: MemoryPlan
) -> ScoredDrop:
    """Reconcile and score a drop that was read.

    Raises DropError: the drop is bad, or no customer of it can be scored. What its rows are by themselves is known
    before anything is scored; then the ranges are only reconciled, so that every problem is named.
    """
    if refuses_rows(drop, limits):
        counts = sum((part.counts for part in reconcile_all(drop, rows=memory.range_rows)), DropCounts())
        judge_drop(drop, counts, limits)
        raise AssertionError("a drop was refused for its rows and then accepted")
    excluded = SortedRuns(space, EXCLUDED_SCHEMA, "id")
    customers, orders, parts = [], [], []
    score = partial(score_range, drop=drop, setup=setup, space=space)
    for part in executor.map(score, drop.bounds(memory.range_rows)):
        keep_rejections(drop, part.rejected)
        excluded.extend(part.excluded)
        parts.append(part.counts)
        if part.counts.scored:
            customers.append(part.customers)
            orders.append(part.order)
    drop.clear()
    total = add_all(parts)
    intake = judge_drop(drop, total.rows, limits)
    check_some_scored(total.scored, total.excluded)
    return ScoredDrop(intake, customers, orders, excluded, total)


def add_all(parts: Sequence[T]) -> T:
    """Return the sum of records, of which there is at least one, two by two."""
    left = list(parts)
    while len(left) > 1:
        left = [reduce(add, left[start : start + 2]) for start in range(0, len(left), 2)]
    return left[0]


def cut_ranks(scored: ScoredDrop, setup: Setup, *, executor: Executor, space: SpillSpace) -> Finish:
    """Find where the run, of which at least one customer is scored, is cut; return how its customers are completed."""

    def fetch(order: Order | None, runs: Sequence[SortedRuns]) -> Callable[[Sequence[int]], pl.DataFrame]:
        return lambda bins: pl.concat(executor.map(partial(fetch_order, order=order, bins=bins), runs))

    counts = scored.counts
    deciles = find_places(add_bins([counts.by_risk]), last_ranks(counts.scored), fetch(None, scored.orders))
    for runs in scored.orders:
        runs.clear()
    reach = Reach(None, None)
    if setup.campaign.budget is not None:
        by_ratio = Order(setup, Cutoffs(deciles))
        bins = add_bins(executor.map(partial(count_order, order=by_ratio), scored.customers))
        reach = find_last_affordable(bins, budget_parts(setup.campaign), fetch(by_ratio, scored.customers))
    folder = space.folder if executor.is_remote else None
    cutoffs = Cutoffs(deciles, reach.last, reach.beyond)
    return Finish(setup, cutoffs, last_sampled_bin(counts.by_hash), space, folder)


class Written(NamedTuple):
    """What was written: counts of all, contacts (see `contacts_runs`), and the SHA-256 of files hashed meanwhile."""

    counts: FinishedCounts
    contacts: SortedRuns
    hashes: dict[str, str]


def finish_ranges(folder: Path, scored: ScoredDrop, finish: Finish, *, executor: Executor) -> Written:
    """Complete all customers and write `scored.csv` and `scored.parquet`. Raises OutputError: they hold other rows."""
    contacts = contacts_runs(finish.space, finish.setup.segmentation)
    parts: list[FinishedCounts] = []
    hashes: dict[str, str] = {}
    finished = executor.map(partial(finish_range, finish=finish), scored.customers)

    def count(part: FinishedRange) -> None:
        if isinstance(part.contacts, SortedRuns):
            contacts.extend(part.contacts)
        else:  # put away with those of other ranges: few large runs are merged faster than many small ones
            contacts.append(part.contacts)
        parts.append(part.counts)
        if len(parts) >= KEPT_COUNTS:
            parts[:] = [FinishedCounts.total(parts)]

    with CsvTable(folder / "scored.csv", SCORED_DTYPES.to_frame()) as text:
        if executor.is_remote:
            hashes |= _take_files(folder / SCORED, finished, text, count, customers=scored.counts.scored)
        else:
            with ParquetTable(folder / SCORED, SCORED_DTYPES) as parquet:
                for part in finished:
                    assert part.scored is not None  # noqa: S101 - it is here
                    parquet.add(part.scored)
                    text.add_text(part.text)
                    count(part)
        hashes["scored.csv"] = text.sha256
    return Written(FinishedCounts.total(parts), contacts, hashes)


def _take_files(
    folder: Path,
    finished: Iterable[FinishedRange],
    text: CsvTable,
    count: Callable[[FinishedRange], None],
    *,
    customers: int,
) -> dict[str, str]:
    """Take up what executors wrote: `scored.parquet` becomes a folder of parts by `id`. Returns the SHA-256 of each."""
    folder.mkdir()
    hashes = {}
    for number, part in enumerate(finished):
        assert part.parquet is not None  # noqa: S101 - executors are elsewhere
        name = f"part-{number:05}.parquet"
        shutil.move(part.parquet, folder / name)
        hashes[f"{folder.name}/{name}"] = hash_file(folder / name)
        text.add_text(part.text)
        count(part)
    on_disk = int(pl.scan_parquet(folder / "*.parquet").select(pl.len()).collect().item())
    if on_disk != customers:
        raise OutputError(f"{folder}: holds {on_disk} rows of {customers}")
    return hashes


def write_lists(
    folder: Path, contacts: SortedRuns, scored: ScoredDrop, segmentation: Segmentation, *, rows: int
) -> dict[str, str]:
    """Write `campaign.csv`, `excluded.csv` and `rejected.csv`, some rows at a time; return the SHA-256 of each."""

    def write(name: str, schema: pl.Schema, parts: Iterable[pl.DataFrame]) -> str:
        with CsvTable(folder / name, schema.to_frame()) as table:
            for part in parts:
                table.add(without_formulas(part))
        return table.sha256

    [nobody] = rank_contacts([contacts.schema.to_frame()])
    with CsvTable(folder / "campaign.csv", contacts_table(nobody, segmentation), **RUSSIAN) as campaign:
        ranked = prefetched(rank_contacts(contacts.ranges(rows // 2)))
        for text in mapped(lambda part: campaign.text_of(contacts_table(part, segmentation)), ranked):
            campaign.add_text(text)
    rejections = list(scored.intake.rejections.values())
    rejected = (part for of_file in rejections for part in of_file.ranges(rows))
    return {
        "campaign.csv": campaign.sha256,
        "excluded.csv": write("excluded.csv", EXCLUDED_SCHEMA, scored.excluded.ranges(rows)),
        "rejected.csv": write("rejected.csv", rejections[0].schema, rejected),
    }
