"""All customers of a run, range of ids by range of ids: scored, cut into deciles, finished and written.

Three passes. The first joins the tables and finds each customer's probability, which depends on nobody else. What does
depend on the others (deciles, the budget, whom to explain) is then found from a few columns. The last pass completes
each customer and writes. Whatever waits in between waits in a `Scratch`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

import polars as pl

from job.features import make_features
from job.models.reasons import RANKS, REASONS
from job.prefetch import mapped
from job.report.facts import FactsTally
from job.scoring.campaign import budget_parts, order_candidates
from job.scoring.cuts import (
    REACH_ORDER,
    RISK_ORDER,
    URGENCY,
    Cuts,
    Place,
    last_ranks,
    order_by_risk,
    order_by_urgency,
)
from job.scoring.drift import add_counts, count_drift, judge_drift
from job.scoring.manifest import add_segments, count_segments
from job.scoring.score import complete, describe_scores, find_probability, place_customers, prepare
from job.scoring.selection import Ordering, count_bins
from job.scoring.spreadsheet import RUSSIAN, without_formulas
from job.scoring.tables import CsvTable, ParquetTable
from job.scoring.workbook import choose_contacts, contacts_table, list_contacts
from job.spool import Scratch, Spool
from schemas.scored import CAMPAIGN_GROUPS, SCORED_DTYPES
from schemas.vocabulary import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from job.intake.accept import Decided, DropReading, Intake
    from job.models.artifact import Artifact, Thresholds
    from job.models.reasons import Explainer
    from job.models.reference import Reference
    from job.scoring.campaign import Campaign
    from job.scoring.segments import Segmentation
    from job.spool import Bound

EXCLUDED_SCHEMA: Final = pl.Schema({"id": pl.Int64(), "reason": pl.String()})
KEPT_COUNTS: Final = 32  # frames of some 10,000 rows that are then added up


@dataclass
class Population:
    """What became of the customers of a drop, wherever those that are scored wait.

    Args:
        scored: how many are.
        excluded: `id` and `reason` of the others; by `id`.
        excluded_by_reason: reason -> how many.
        fates: table -> its rows of scored and of excluded customers.
    """

    scored: int
    excluded: Spool
    excluded_by_reason: dict[str, int]
    fates: dict[str, tuple[int, int]]


@dataclass
class LocalPopulation(Population):
    """The customers of a drop, here.

    Args:
        customers: those that are scored, joined, with the columns of `find_probability`; by `id`.
        by_risk: the same by `RISK_ORDER`.
    """

    customers: Spool
    by_risk: Ordering


class ScoredRange(NamedTuple):
    """Some customers of a drop.

    Args:
        customers: those that are scored, as in `LocalPopulation`.
        excluded: `id` and `reason` of the others.
        fates: table -> rows of the former and of the latter.
    """

    customers: pl.DataFrame
    excluded: pl.DataFrame
    fates: dict[str, tuple[int, int]]


def score_range(tables: Mapping[str, pl.DataFrame], artifact: Artifact) -> ScoredRange:
    """Join the accepted tables of some customers, and find the probability of each."""
    prepared = prepare(tables)
    customers = pl.concat([prepared.customers.drop("row"), find_probability(prepared, artifact)], how="horizontal")
    gone = prepared.excluded["id"].implode()
    fates = {}
    for name, table in tables.items():
        of_excluded = int(table["id"].is_in(gone).sum()) if prepared.excluded.height else 0
        fates[name] = (table.height - of_excluded, of_excluded)
    return ScoredRange(customers, prepared.excluded, fates)


def score_drop(reading: DropReading, artifact: Artifact, space: Scratch) -> LocalPopulation:
    """Join the tables of a drop and find the probability of each customer.

    Args:
        reading: the drop, whose ranges have not been taken yet.
        artifact: the model.
        space: where the customers wait.
    """
    customers: Spool | None = None
    excluded = Spool(space, EXCLUDED_SCHEMA, "id")
    reasons: Counter[str] = Counter()
    fates = {name: [0, 0] for name in TABLES}

    by_risk = Ordering(space, RISK_ORDER)

    def decide_and_score(bounds: tuple[Bound, Bound]) -> tuple[Decided, ScoredRange, pl.DataFrame, pl.DataFrame]:
        decided = reading.decide(bounds)
        part = score_range(decided.tables, artifact)
        ordered = order_by_risk(part.customers)
        return decided, part, ordered, count_bins(ordered)

    for decided, part, ordered, bins in mapped(decide_and_score, reading.bounds()):
        reading.take(decided)
        customers = customers or Spool(space, part.customers.schema, "id")
        customers.append(part.customers)
        by_risk.add(ordered, bins)
        excluded.append(part.excluded)
        reasons.update(dict(part.excluded["reason"].value_counts().iter_rows()))
        for name, (of_scored, of_excluded) in part.fates.items():
            fates[name][0] += of_scored
            fates[name][1] += of_excluded
    reading.clear()
    assert customers is not None  # noqa: S101 - there is at least one range
    told = {name: (of_scored, of_excluded) for name, (of_scored, of_excluded) in fates.items()}
    return LocalPopulation(customers.height, excluded, dict(reasons), told, customers, by_risk)


def find_cuts(
    population: LocalPopulation,
    explainer: Explainer,
    thresholds: Thresholds,
    segmentation: Segmentation,
    campaign: Campaign,
    *,
    space: Scratch,
    rows: int,
) -> tuple[Cuts, Place | None]:
    """Return where the run is cut, and the last customer by `urgency` who is explained, None if all are.

    Args:
        population: the customers, at least one of them scored.
        explainer: which says how many are explained.
        thresholds: what counts as high.
        segmentation: the segments and their offers.
        campaign: its name, control share and budget.
        space: where what is put in order waits.
        rows: how many customers are looked at together.
    """
    cuts = Cuts(population.by_risk.places(last_ranks(population.scored)))
    population.by_risk.clear()
    explained = explainer.count(population.scored)
    least_urgent = None
    if explained < population.scored:
        by_urgency = Ordering(space, REACH_ORDER)
        for customers in population.customers.ranges(rows):
            by_urgency.add(order_by_urgency(describe_scores(customers)))
        least_urgent = by_urgency.last_reached(explained)
        by_urgency.clear()
    if campaign.budget is None:
        return cuts, least_urgent
    by_ratio = Ordering(space, REACH_ORDER)
    for customers in population.customers.ranges(rows):
        placed = place_customers(
            describe_scores(customers),
            make_features(customers),
            cuts=cuts,
            thresholds=thresholds,
            segmentation=segmentation,
        )
        by_ratio.add(order_candidates(placed, segmentation, campaign))
    reach = by_ratio.last_reached(budget_parts(campaign))
    by_ratio.clear()
    return Cuts(cuts.deciles, reach), least_urgent


class Finished(NamedTuple):
    """Some customers of a run, completed; all frames with rows of customers have them in the same order.

    Args:
        customers: as in `LocalPopulation`.
        features: their feature frame.
        scored: their output frame.
        segments: of `count_segments`.
        drift: of `count_drift`; None without a reference.
    """

    customers: pl.DataFrame
    features: pl.DataFrame
    scored: pl.DataFrame
    segments: pl.DataFrame
    drift: pl.DataFrame | None


@dataclass
class Finisher:
    """Completes customers of a run, once it is known where it is cut."""

    artifact: Artifact
    explainer: Explainer
    segmentation: Segmentation
    campaign: Campaign
    cuts: Cuts
    least_urgent: Place | None
    reference: Reference | None
    facts: FactsTally = field(init=False)
    _counts: list[pl.DataFrame] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.facts = FactsTally(self.artifact)

    def finish(self, customers: pl.DataFrame) -> Finished:
        """Complete some customers, as they wait; threads may do that at once. `add` then counts them."""
        features = make_features(customers)
        scores = describe_scores(customers)
        ranked = customers.select(RANKS) if set(RANKS) <= set(customers.columns) else None
        is_urgent = None
        if self.least_urgent is not None:
            is_urgent = scores.select(~self.least_urgent.is_before(-URGENCY)).to_series()
        reasons = self.explainer.explain(features, is_urgent, ranked)
        scored = complete(
            scores,
            features,
            reasons,
            cuts=self.cuts,
            thresholds=self.artifact.thresholds,
            segmentation=self.segmentation,
            campaign=self.campaign,
        )
        drift = None if self.reference is None else count_drift(features, scored["decline_probability"], self.reference)
        return Finished(customers, features, scored, count_segments(scored), drift)

    def add(self, part: Finished) -> None:
        """Count finished customers, for the page and for drift."""
        self.facts.add(part.features, part.customers, part.scored)
        if part.drift is not None:
            self._count(part.drift)

    @property
    def drift_counts(self) -> pl.DataFrame:
        """What was counted to judge drift; see `count_drift`."""
        return add_counts(*self._counts)

    def absorb(self, sums: dict[str, pl.DataFrame], sample: pl.DataFrame, drift: pl.DataFrame) -> None:
        """Count customers that somebody else has finished: `FactsTally.gathered`, and `drift_counts`."""
        self.facts.absorb(sums, sample)
        self._count(drift)

    def _count(self, drift: pl.DataFrame) -> None:
        self._counts.append(drift)
        if len(self._counts) >= KEPT_COUNTS:
            self._counts = [add_counts(*self._counts)]

    def judge_drift(self, delivered: int, limits: tuple[float, float]) -> dict[str, Any] | None:
        """Return how the finished customers differ from training, None if the artifact does not say what that was.

        Args:
            delivered: customers of the drop, scored or not.
            limits: PSI from which a difference is a warning, and from which a person must look.
        """
        if self.reference is None:
            return None
        warn, stop = limits
        return judge_drift(
            self.drift_counts,
            self.reference,
            delivered=delivered,
            warn=warn,
            stop=stop,
            measured=self.artifact.manifest.get("roc_auc"),
        )


class Written(NamedTuple):
    """What was written.

    Args:
        segments: of `count_segments`, of the whole run.
        contacts: the customers in treatment, by `order`, their profit at risk with its sign turned.
        hashes: file -> SHA-256, of those that were hashed as they were written.
    """

    segments: pl.DataFrame
    contacts: Spool
    hashes: dict[str, str]


def contacts_spool(space: Scratch, segmentation: Segmentation) -> Spool:
    """Return a spool for `Written.contacts`. Their texts, most of what is known of them, wait as numbers."""
    offers = segmentation.offers()
    words = {
        "segment": offers["segment"],
        "offer": pl.concat([offers["offer"], offers["onsite_offer"]]).unique(maintain_order=True),
        "campaign_group": pl.Series(CAMPAIGN_GROUPS),
    }
    stored: dict[str, pl.DataType] = {name: pl.Enum(values) for name, values in words.items()}
    stored |= dict.fromkeys(REASONS, pl.Categorical())
    return Spool(space, pl.Schema({"order": pl.Float64(), **SCORED_DTYPES}), "order", stored=stored)


def write_tables(
    folder: Path, population: LocalPopulation, intake: Intake, finisher: Finisher, *, space: Scratch, rows: int
) -> Written:
    """Complete all customers and write the run's tables.

    Args:
        folder: where to; it must exist.
        population: the customers.
        intake: the drop, with its rejections.
        finisher: which completes them.
        space: where the contacts wait until they are in order.
        rows: how many customers are completed together.

    Raises:
        OutputError: what is on disk is not what was written.
    """
    contacts = contacts_spool(space, finisher.segmentation)
    segments = []
    hashes = {}
    with (
        CsvTable(folder / "scored.csv", SCORED_DTYPES.to_frame()) as text,
        ParquetTable(folder / "scored.parquet", SCORED_DTYPES) as parquet,
    ):

        def finish(customers: pl.DataFrame) -> tuple[Finished, BinaryIO]:
            part = finisher.finish(customers)
            return part, text.text_of(part.scored)

        for part, written in mapped(finish, population.customers.ranges(rows)):
            scored = part.scored
            parquet.add(scored)
            text.add_text(written)
            finisher.add(part)
            segments.append(part.segments)
            contacts.append(choose_contacts(scored))
        hashes["scored.csv"] = text.sha256
    hashes |= write_lists(folder, contacts, population, intake, finisher.segmentation, rows=rows)
    return Written(add_segments(segments), contacts, hashes)


def write_lists(
    folder: Path, contacts: Spool, population: Population, intake: Intake, segmentation: Segmentation, *, rows: int
) -> dict[str, str]:
    """Write `campaign.csv`, `excluded.csv` and `rejected.csv`; return the SHA-256 of each.

    Args:
        folder: where to; it must exist.
        contacts: see `Written.contacts`.
        population: for those who are not scored.
        intake: the drop, with its rejections.
        segmentation: the segments and their offers.
        rows: how many are written together.
    """
    hashes = {}

    def table_of(contacts: pl.DataFrame) -> pl.DataFrame:
        return contacts_table(list_contacts(contacts, segmentation))

    with CsvTable(folder / "campaign.csv", table_of(contacts.schema.to_frame()), **RUSSIAN) as campaign:
        for text in mapped(lambda listed: campaign.text_of(table_of(listed)), contacts.ranges(rows)):
            campaign.add_text(text)
        hashes["campaign.csv"] = campaign.sha256
    with CsvTable(folder / "excluded.csv", EXCLUDED_SCHEMA.to_frame()) as excluded:
        for others in population.excluded.ranges(rows):
            excluded.add(others)
        hashes["excluded.csv"] = excluded.sha256
    first = next(iter(intake.rejections.values()))
    with CsvTable(folder / "rejected.csv", first.schema.to_frame()) as rejected:
        for rejections in intake.rejections.values():
            for bad in rejections.ranges(rows):
                rejected.add(without_formulas(bad))
        hashes["rejected.csv"] = rejected.sha256
    return hashes
