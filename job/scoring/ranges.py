"""What is done with a range of ids: its customers are scored, and completed once it is known where the run is cut.

The steps are picklable callables that executors map over ranges; what they count adds up.
"""

from __future__ import annotations

import io
import math
import os
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from job.features import feature_columns, make_features
from job.intake.counts import add_counts
from job.intake.reconcile import DropCounts, reconcile_range
from job.report.data import add_groups, count_groups, sample_bins, take_sample
from job.scoring.campaign import order_candidates
from job.scoring.cutoffs import (
    RISK_ORDER,
    Cutoffs,
    add_histograms,
    count_bins,
    order_bin,
    order_by_risk,
)
from job.scoring.drift import add_counts as add_drift
from job.scoring.drift import count_drift
from job.scoring.score import Setup, complete, describe_scores, place_customers, prepare, score_customers
from job.scoring.tables import ParquetTable
from job.scoring.workbook import choose_contacts
from job.spill import SortedRuns
from schemas.columns import MARKET_FILE, accepted_dtype
from schemas.scored import SCORED_DTYPES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from job.intake.reconcile import DropRead
    from job.scoring.segments import Segmentation
    from job.spill import Bound, SpillSpace

EXCLUDED_SCHEMA: Final = pl.Schema({"id": pl.Int64(), "reason": pl.String()})


class RangeCounts(NamedTuple):
    """What is counted of ranges of ids before the run can be cut.

    Args:
        excluded: reason -> customers that are not scored.
        fates: table -> its rows of scored customers, and those of excluded ones.
        by_risk: histogram of the order by risk; see `count_bins`.
        by_hash: `bin` and `rows`: customers by the hash by which they are sampled for the page.
    """

    rows: DropCounts
    excluded: Mapping[str, int]
    fates: Mapping[str, tuple[int, int]]
    scored: int
    by_risk: pl.DataFrame
    by_hash: pl.DataFrame

    def __add__(self, other: RangeCounts) -> RangeCounts:  # type: ignore[override] # not a tuple's
        fates = {
            name: (scored + other.fates[name][0], excluded + other.fates[name][1])
            for name, (scored, excluded) in self.fates.items()
        }
        return RangeCounts(
            self.rows + other.rows,
            add_counts(self.excluded, other.excluded),
            fates,
            self.scored + other.scored,
            add_histograms(self.by_risk, other.by_risk),
            pl.concat([self.by_hash, other.by_hash]).group_by("bin").agg(pl.col("rows").sum()),
        )


class ScoredRange(NamedTuple):
    """The scored customers of a range of ids (joined, and as of `score_customers`), their `RISK_ORDER`, the excluded.

    All by `id`; and table -> rejections that only showed between rows, see `Reconciled.rejected`.
    """

    customers: SortedRuns
    order: SortedRuns
    excluded: SortedRuns
    rejected: dict[str, pl.DataFrame]
    counts: RangeCounts


def score_range(bounds: tuple[Bound, Bound], *, drop: DropRead, setup: Setup, space: SpillSpace) -> ScoredRange:
    """Reconcile and score a range of ids."""
    reconciled = reconcile_range(drop, bounds)
    prepared = prepare(reconciled.tables)
    customers, excluded = prepared.customers, prepared.excluded
    scored = pl.concat(
        [customers.drop("row"), score_customers(prepared, setup.artifact, setup.levels)], how="horizontal"
    )
    scores = describe_scores(scored)
    order = order_by_risk(scores)
    gone = excluded["id"].implode()
    fates = {}
    for name, table in reconciled.tables.items():
        of_excluded = int(table["id"].is_in(gone).sum()) if excluded.height else 0
        fates[name] = (table.height - of_excluded, of_excluded)
    counts = RangeCounts(
        reconciled.counts,
        dict(excluded["reason"].value_counts().iter_rows()),
        fates,
        scored.height,
        count_bins(order),
        sample_bins(scores["id"]).value_counts(name="rows").cast({"rows": pl.Int64}),
    )
    return ScoredRange(
        _runs_of(space, scored),
        _runs_of(space, order, RISK_ORDER),
        _runs_of(space, excluded, EXCLUDED_SCHEMA),
        reconciled.rejected,
        counts,
    )


def _runs_of(space: SpillSpace, rows: pl.DataFrame, schema: pl.Schema | None = None) -> SortedRuns:
    runs = SortedRuns(space, rows.schema if schema is None else schema, "id")
    runs.append(rows)
    return runs.ended()


class Order(NamedTuple):
    """Candidates of a campaign by expected value per cost. Args: setup: what with; cutoffs: into deciles."""

    setup: Setup
    cutoffs: Cutoffs


def order_range(customers: SortedRuns, order: Order) -> pl.DataFrame:
    """Return the `SPENDING_ORDER` of the scored customers of a range."""
    rows, setup = customers.read(), order.setup
    placed = place_customers(describe_scores(rows), make_features(rows), order.cutoffs, setup)
    return order_candidates(placed, setup.segmentation, setup.campaign, setup.held)


def count_order(customers: SortedRuns, *, order: Order) -> pl.DataFrame:
    """Return the histogram of the order of a range; see `count_bins`."""
    return count_bins(order_range(customers, order))


def fetch_order(rows: SortedRuns, *, order: Order | None, bins: Sequence[int]) -> pl.DataFrame:
    """Return the rows of some bins of an order of a range. Args: order: None where the rows are in its form already."""
    ordered = rows.read() if order is None else order_range(rows, order)
    return ordered.filter(order_bin().is_in(bins))


class FinishedCounts(NamedTuple):
    """What is counted of completed customers; see `count_groups`, `count_drift` and `take_sample`."""

    groups: pl.DataFrame
    drift: pl.DataFrame | None
    sample: pl.DataFrame

    @classmethod
    def total(cls, parts: Sequence[FinishedCounts]) -> FinishedCounts:
        """Return the sum of some, of which there is at least one."""
        drift = [part.drift for part in parts if part.drift is not None]
        return cls(
            add_groups(part.groups for part in parts),
            add_drift(*drift) if drift else None,
            pl.concat(part.sample for part in parts),
        )


class FinishedRange(NamedTuple):
    """The customers of a range of ids, completed: their output frame or a Parquet file of it, and text or a file of it.

    The text is CSV without headings; contacts are those in treatment (of `choose_contacts`), or runs of them on disk.
    """

    scored: pl.DataFrame | None
    parquet: Path | None
    text: io.BytesIO | Path
    contacts: pl.DataFrame | SortedRuns
    counts: FinishedCounts


class Finish(NamedTuple):
    """How customers are completed, once it is known where the run is cut.

    Args:
        hash_bin: the last bin of the hash whose customers are sampled for the page.
        space: where contacts wait.
        folder: of the files that somebody else takes up; None hands frames and text over as they are.
    """

    setup: Setup
    cutoffs: Cutoffs
    hash_bin: int
    space: SpillSpace
    folder: Path | None

    def value_beyond_budget(self) -> float | None:
        """Return the expected value per cost of the first customer whom the budget does not reach; None of nobody."""
        beyond = self.cutoffs.beyond_budget
        return None if beyond is None or math.isinf(beyond.order) else -beyond.order


def finish_range(waiting: SortedRuns, *, finish: Finish) -> FinishedRange:
    """Complete the customers of a scored range."""
    customers = waiting.read()
    scored, contacts, counts = complete_customers(customers, finish)
    text = io.BytesIO()
    scored.write_csv(text, include_header=False)
    if finish.folder is None:
        return FinishedRange(scored, None, text, contacts, counts)
    name = f"scored-{os.urandom(8).hex()}"
    parquet, csv = finish.folder / f"{name}.parquet", finish.folder / f"{name}.csv"
    with ParquetTable(parquet, SCORED_DTYPES) as table:
        table.add(scored)
    csv.write_bytes(text.getbuffer())
    waiting_contacts = contacts_runs(finish.space, finish.setup.segmentation)
    waiting_contacts.append(contacts)
    return FinishedRange(None, parquet, csv, waiting_contacts.ended(), counts)


def complete_customers(customers: pl.DataFrame, finish: Finish) -> tuple[pl.DataFrame, pl.DataFrame, FinishedCounts]:
    """Return the output frame of scored customers, those to contact (of `choose_contacts`), and what is counted."""
    setup = finish.setup
    thresholds = setup.artifact.thresholds
    features = customers.select(feature_columns())  # they were checked when they were scored
    scores = describe_scores(customers)
    known = setup.levels.at_training(features)
    reasons = setup.explainer.explain(known, scores["decline_probability"] >= thresholds.risk)
    scored, planned = complete(scores, features, reasons, finish.cutoffs, setup)
    drift = None if setup.reference is None else count_drift(known, scored["decline_probability"], setup.reference)
    sample = take_sample(features, customers, scored, hash_bin=finish.hash_bin)
    contacts = choose_contacts(planned, customers["contacts_current_month"])
    return scored, contacts, FinishedCounts(count_groups(planned, thresholds), drift, sample)


def contacts_runs(space: SpillSpace, segmentation: Segmentation) -> SortedRuns:
    """Return where the customers in treatment wait, by `order`: the negative expected value; see `choose_contacts`."""
    nobody = SCORED_DTYPES.to_frame().cast(pl.Schema(segmentation.codes()))
    month = MARKET_FILE.heading("contacts_current_month")
    return SortedRuns(space, choose_contacts(nobody, pl.Series(month.name, [], accepted_dtype(month))).schema, "order")
