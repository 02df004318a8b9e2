"""What executors do: small steps around the local engine's own functions, each of which may be done again.

What is bulky goes to files of the run's scratch folder, which driver and executors share. A file has a name of its own
for each attempt, so that of a step that was done twice only what was told last counts.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from job import __version__
from job.errors import DropError, DropIncompleteError, JobError
from job.features import make_features
from job.intake.accept import DropReading
from job.intake.parts import PartedIntake, chain_parts
from job.intake.pieces import Piece, PieceCounts, Survey, read_piece, survey_file
from job.intake.validate import REJECTED_SCHEMA
from job.memory import MemoryPlan
from job.mixing import whole
from job.report.facts import sample_hash
from job.scoring.campaign import order_candidates
from job.scoring.cuts import Cuts, order_by_risk, order_by_urgency
from job.scoring.population import Finisher, score_range
from job.scoring.score import describe_scores, place_customers
from job.scoring.selection import count_bins, order_bin
from job.scoring.tables import ParquetTable
from job.scoring.workbook import choose_contacts
from job.spool import Scratch, Spool
from schemas.scored import SCORED_DTYPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from job.intake.accept import Tallies
    from job.intake.drop import TableFile
    from job.intake.table import TableIntake
    from job.models.artifact import Artifact
    from job.scoring.campaign import Campaign
    from job.scoring.segments import Segmentation

KEYS_OF_RANGE: Final = 256  # ids that are told of so many rows as a range is to have, by which ranges are cut
HASH_BINS: Final = 4096  # of the hash by which customers are sampled for the page
HASH_BIN_BITS: Final = 52


@dataclass(frozen=True)
class Refusal:
    """An error that somebody else can cause, as it is told to the driver."""

    kind: str
    defects: tuple[Any, ...]

    @classmethod
    def of(cls, error: JobError) -> Refusal:
        """Return how an error is told."""
        return cls(type(error).__name__, error.defects)

    def error(self) -> JobError:
        """Return the error."""
        kinds = {kind.__name__: kind for kind in (DropError, DropIncompleteError)}
        return kinds[self.kind](self.defects)


@dataclass(frozen=True)
class StoredPiece:
    """A piece that was read.

    Args:
        counts: of its rows.
        accepted: file of its accepted rows, by `id`.
        refuted: file of its refuted ones, by `id`.
        rejected: file of its rejections.
        keys: some ids of its rows, some `KEYS_OF_RANGE` for each range.
        height: accepted and refuted rows.
    """

    counts: PieceCounts
    accepted: Path
    refuted: Path
    rejected: Path
    keys: list[int]
    height: int


@dataclass(frozen=True)
class StoredRange:
    """The customers of a range of ids, scored.

    Args:
        customers: file of those that are scored; see `LocalPopulation.customers`.
        height: how many they are.
        excluded: file of the others.
        reasons: why they are excluded -> how many.
        fates: table -> rows of scored and of excluded customers.
        tallies: what was counted of the four tables.
        rejected: table -> file of the rejections that only showed between rows.
        risk: histogram of the order by risk.
        urgency: histogram of the order by urgency.
        hashes: customers in each bin of the hash by which they are sampled.
    """

    customers: Path
    height: int
    excluded: Path
    reasons: Counter[str]
    fates: dict[str, tuple[int, int]]
    tallies: Tallies
    rejected: dict[str, Path]
    risk: pl.DataFrame
    urgency: pl.DataFrame
    hashes: pl.DataFrame


@dataclass(frozen=True)
class FinishedRange:
    """The customers of a range of ids, completed.

    Args:
        parquet: file of their output frame.
        sha256: of this file.
        csv: file of the same as text, without headings.
        contacts: file of those in treatment, by `order`; see `Written.contacts`.
        segments: of `count_segments`.
        sums: of `FactsTally.gathered`.
        sample: file of the customers that are compared for the page.
        drift: of `Finisher.drift_counts`.
    """

    parquet: Path
    sha256: str
    csv: Path
    contacts: Path
    segments: pl.DataFrame
    sums: dict[str, pl.DataFrame]
    sample: Path
    drift: pl.DataFrame


@dataclass(frozen=True)
class Desk:
    """Where an executor puts what it makes: a folder that the driver sees, too."""

    folder: Path

    def path(self, kind: str, ending: str = "arrow") -> Path:
        """Return a path for a new file."""
        return self.folder / f"{kind}-{os.urandom(8).hex()}.{ending}"

    def put(self, kind: str, rows: pl.DataFrame) -> Path:
        """Write rows to a new file."""
        path = self.path(kind)
        rows.write_ipc(path, compression="uncompressed")
        return path


def look_around(paths: Sequence[Path]) -> tuple[str, list[str]]:
    """Return the version of the job that an executor has, and those of some paths that it does not see."""
    return __version__, [str(path) for path in paths if not path.exists()]


@dataclass(frozen=True)
class SurveyFile:
    """Recognises how files are written, and cuts them into pieces; see `survey_file`."""

    plan: MemoryPlan
    piece_bytes: int
    first_bytes: int

    def __call__(self, file: TableFile) -> Survey | Refusal:
        """Survey a file."""
        try:
            return survey_file(
                file, labelled=False, plan=self.plan, piece_bytes=self.piece_bytes, first_bytes=self.first_bytes
            )
        except JobError as error:
            return Refusal.of(error)


@dataclass(frozen=True)
class ReadPiece:
    """Reads pieces of files."""

    desk: Desk
    plan: MemoryPlan

    def __call__(self, task: tuple[Survey, Piece]) -> StoredPiece | Refusal:
        """Read a piece. Args: task: the survey of its file, with or without pieces, and the piece."""
        survey, piece = task
        try:
            read = read_piece(survey, piece, plan=self.plan)
        except JobError as error:
            return Refusal.of(error)
        accepted, refuted = read.accepted.read(), read.refuted.read()
        step = max(1, self.plan.range_rows // KEYS_OF_RANGE)
        keys = [*accepted["id"].gather_every(step), *refuted["id"].gather_every(step)]
        return StoredPiece(
            read.counts,
            self.desk.put("accepted", accepted),
            self.desk.put("refuted", refuted),
            self.desk.put("rejected", read.rejected),
            keys,
            accepted.height + refuted.height,
        )


@dataclass(frozen=True)
class CutPiece:
    """Cuts the rows of pieces where ranges of ids meet: `cuts` are the first ids of all ranges but the first."""

    cuts: pl.Series

    def __call__(self, task: tuple[str, int, StoredPiece]) -> Iterator[tuple[int, bytes]]:
        """Yield the range and rows of each part. Args: task: the table, which of its files, and what was read of it."""
        table, file, piece = task
        for kind, path in (("accepted", piece.accepted), ("refuted", piece.refuted)):
            rows = pl.read_ipc(path)
            places = [0, *rows["id"].search_sorted(self.cuts, side="left").to_list(), rows.height]
            for number, (start, stop) in enumerate(pairwise(places)):
                if stop > start:
                    yield number, _packed(f"{table} {file} {kind}", rows.slice(start, stop - start))


def _packed(whose: str, rows: pl.DataFrame) -> bytes:
    own = f"{whose}\n".encode()
    stream = rows.write_ipc(None, compression="uncompressed")
    return own + stream.getvalue()


@dataclass(frozen=True)
class DecideRange:
    """Decides about the rows of a range of ids, and scores its customers."""

    desk: Desk
    read: dict[str, TableIntake]
    artifact: Artifact

    def __call__(self, number: int, parts: list[bytes]) -> StoredRange:  # noqa: ARG002 - whoever calls gives it
        """Decide and score. Args: number: of the range; parts: of `CutPiece`, in the order of the pieces."""
        read = {name: emptied(table) for name, table in self.read.items()}
        for part in parts:
            own, _, rows = part.partition(b"\n")
            name, place, kind = own.decode().split(" ")
            file = read[name].files[int(place)]
            spool = file.accepted_rows if kind == "accepted" else file.refuted_rows
            spool.append(pl.read_ipc(rows))
        reading = DropReading(read, MemoryPlan(range_rows=2**62))
        (tables,) = reading.ranges()
        scored = score_range(tables, self.artifact)
        scores = describe_scores(scored.customers)
        return StoredRange(
            customers=self.desk.put("customers", scored.customers),
            height=scored.customers.height,
            excluded=self.desk.put("excluded", scored.excluded),
            reasons=Counter(dict(scored.excluded["reason"].value_counts().iter_rows())),
            fates=scored.fates,
            tallies=reading.tallies,
            rejected={name: self.desk.put("rejected", table.rejected) for name, table in read.items()},
            risk=count_bins(order_by_risk(scores)),
            urgency=count_bins(order_by_urgency(scores)),
            hashes=_hash_bins(scored.customers).value_counts(name="rows"),
        )


def emptied(table: TableIntake) -> TableIntake:
    """Return what is known of a table, without rows: its own spools are left alone."""
    if isinstance(table, PartedIntake):
        return chain_parts(table.file, [emptied(part) for part in table.parts])
    scratch = Scratch()
    return replace(
        table,
        accepted_rows=Spool(scratch, table.accepted_rows.schema, "id"),
        refuted_rows=Spool(scratch, table.refuted_rows.schema, "id"),
        rejected_rows=Spool(scratch, REJECTED_SCHEMA, "row"),
    )


def _hash_bins(customers: pl.DataFrame) -> pl.Series:
    bits = sample_hash(customers["id"]).to_frame("bin")
    return bits.select(pl.col("bin") // whole(1 << HASH_BIN_BITS)).to_series()


@dataclass(frozen=True)
class Order:
    """Puts customers in one of the orders of `job.scoring.cuts`: `risk`, `urgency` or `ratio`."""

    kind: str
    artifact: Artifact
    segmentation: Segmentation
    campaign: Campaign
    cuts: Cuts = field(default_factory=lambda: Cuts(()))

    def of(self, customers: Path) -> pl.DataFrame:
        """Return the order of the customers of a file."""
        rows = pl.read_ipc(customers)
        scores = describe_scores(rows)
        if self.kind == "risk":
            return order_by_risk(scores)
        if self.kind == "urgency":
            return order_by_urgency(scores)
        placed = place_customers(
            scores,
            make_features(rows),
            cuts=self.cuts,
            thresholds=self.artifact.thresholds,
            segmentation=self.segmentation,
        )
        return order_candidates(placed, self.segmentation, self.campaign)


@dataclass(frozen=True)
class CountOrder:
    """Counts the bins of an order."""

    order: Order

    def __call__(self, customers: Path) -> pl.DataFrame:
        """Return the histogram of the customers of a file."""
        return count_bins(self.order.of(customers))


@dataclass(frozen=True)
class FetchOrder:
    """Gives the rows of some bins of an order."""

    order: Order
    bins: Sequence[int]

    def __call__(self, customers: Path) -> pl.DataFrame:
        """Return those of the customers of a file."""
        return self.order.of(customers).filter(order_bin().is_in(self.bins))


@dataclass(frozen=True)
class FinishRange:
    """Completes customers.

    Args:
        desk: where the results go.
        finisher: of the run, which has counted nobody yet.
        rows: how many are completed together.
        hash_limit: the bin of the hash up to which customers are compared for the page.
    """

    desk: Desk
    finisher: Finisher
    rows: int
    hash_limit: int

    def __call__(self, customers: Path) -> FinishedRange:
        """Complete the customers of a file."""
        finisher = replace(self.finisher)
        rows = pl.read_ipc(customers)
        parquet, csv = self.desk.path("scored", "parquet"), self.desk.path("scored", "csv")
        contacts, segments = [], []
        with csv.open("wb") as text, ParquetTable(parquet, SCORED_DTYPES) as table:
            for part in rows.iter_slices(self.rows):
                finished = finisher.finish(part)
                scored = finished.scored
                finisher.add(finished)
                table.add(scored)
                text.write(scored.write_csv(None, include_header=False).encode())
                segments.append(finished.segments)
                contacts.append(choose_contacts(scored))
        sums, sample = finisher.facts.gathered()
        with parquet.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return FinishedRange(
            parquet=parquet,
            sha256=digest,
            csv=csv,
            contacts=self.desk.put("contacts", pl.concat(contacts)),
            segments=pl.concat(segments),
            sums=sums,
            sample=self.desk.put("sample", sample.filter(_hash_bins(sample) <= self.hash_limit)),
            drift=finisher.drift_counts,
        )
