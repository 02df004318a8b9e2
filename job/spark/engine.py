"""A run on Spark: the driver plans, adds up and publishes; executors do what takes long (`job.spark.work`)."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from job import __version__
from job.errors import DropError, EngineError, OutputError, Problem, SettingsError
from job.intake.accept import DropReading
from job.intake.drop import all_files
from job.intake.parts import take_parts
from job.intake.pieces import PIECE_BYTES, Survey, join_pieces
from job.intake.table import FIRST_BYTES
from job.report.facts import SAMPLE
from job.scoring.campaign import budget_parts
from job.scoring.cuts import Cuts, last_ranks
from job.scoring.manifest import add_segments
from job.scoring.population import EXCLUDED_SCHEMA, Population, Written, contacts_spool, write_lists
from job.scoring.selection import add_bins, find_last_reached, find_places
from job.scoring.tables import CsvTable
from job.spark import work
from job.spool import Spool
from schemas.scored import SCORED_DTYPES
from schemas.vocabulary import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from job.intake.accept import Intake
    from job.intake.drop import TableFile
    from job.intake.table import TableIntake
    from job.memory import MemoryPlan
    from job.models.artifact import Artifact
    from job.models.reasons import Explainer
    from job.scoring.campaign import Campaign
    from job.scoring.cuts import Place
    from job.scoring.population import Finisher
    from job.scoring.segments import Segmentation
    from job.spark.session import Cluster
    from job.spool import Scratch

SCORED: Final = "scored.parquet"


@dataclass
class SparkPopulation(Population):
    """The customers of a drop, in files. Args: ranges: of ids, in order."""

    ranges: list[work.StoredRange]

    @property
    def files(self) -> list[Path]:
        """The files of scored customers that have any, in the order of their ids."""
        return [part.customers for part in self.ranges if part.height]


class SparkEngine:
    """A Spark Connect endpoint, whose executors see the drop and the scratch folder under the same paths.

    Args:
        cluster: the endpoint.
        piece_bytes: of a text file, read by one executor at a time.
        first_bytes: of a text file, from which is learned how its numbers are written.
    """

    def __init__(self, cluster: Cluster, *, piece_bytes: int = PIECE_BYTES, first_bytes: int = FIRST_BYTES) -> None:
        self._cluster = cluster
        self._piece_bytes = piece_bytes
        self._first_bytes = first_bytes
        self._pieces: list[tuple[str, int, work.StoredPiece]] = []

    def read(self, files: Mapping[str, TableFile], *, folder: Path, space: Scratch, plan: MemoryPlan) -> DropReading:
        """Judge each row by itself; see `Engine`.

        Raises:
            SettingsError: executors have another version of the job, or do not see the drop or the scratch folder.
        """
        self._desk, self._plan = work.Desk(folder.absolute()), plan
        files = {name: _absolute(files[name]) for name in TABLES}
        self._check_executors([*(file.path for file in files.values()), self._desk.folder])
        read = self._read_files(all_files(files))
        tables: dict[str, TableIntake] = {}
        problems: list[str | Problem] = []
        for name, file in files.items():
            try:
                tables[name] = _join_table(file, read, space)
            except DropError as error:
                problems.extend(error.defects)
        for file in files.values():
            file.check_unchanged()
        if problems:
            raise DropError(problems)
        for name, table in tables.items():
            for number, part in enumerate(table.files):
                for piece in read[part.file.name].unrefused():
                    _move(piece.rejected, part.rejected_rows)
                    self._pieces.append((name, number, piece))
        return DropReading(tables, plan)

    def _read_files(self, files: Sequence[TableFile]) -> dict[str, _ReadFile]:
        """Return what executors made of each file, by its name."""
        survey = work.SurveyFile(self._plan, self._piece_bytes, self._first_bytes)
        surveys = self._cluster.spread(survey, files)
        cut = [found for found in surveys if isinstance(found, Survey)]
        tasks = [(found._replace(pieces=()), piece) for found in cut for piece in found.pieces]
        told = iter(self._cluster.spread(work.ReadPiece(self._desk, self._plan), tasks))
        return {
            file.name: _ReadFile(found, [next(told) for _ in found.pieces] if isinstance(found, Survey) else [])
            for file, found in zip(files, surveys, strict=True)
        }

    def _check_executors(self, paths: Sequence[Path]) -> None:
        (found,) = self._cluster.spread(work.look_around, [paths])
        version, unseen = found
        if version != __version__:
            raise SettingsError(f"the executors have version {version} of the job, not {__version__}")
        if unseen:
            told = "a path that driver and executors share"
            raise SettingsError(
                [Problem("--engine spark", told, f"{path}, which executors do not see") for path in unseen]
            )

    def score(self, reading: DropReading, artifact: Artifact, space: Scratch) -> SparkPopulation:
        """Find the probability of each customer; see `Engine`."""
        cuts = _range_starts([piece for _, _, piece in self._pieces], self._plan.range_rows)
        read = {name: work.emptied(table) for name, table in reading.read.items()}
        decide = work.DecideRange(self._desk, read, artifact)
        ranges = self._cluster.shuffle(work.CutPiece(cuts), self._pieces, decide, cuts.len() + 1)
        for _, _, piece in self._pieces:
            piece.accepted.unlink(missing_ok=True)
            piece.refuted.unlink(missing_ok=True)
        excluded = Spool(space, EXCLUDED_SCHEMA, "id")
        reasons: Counter[str] = Counter()
        fates = dict.fromkeys(TABLES, (0, 0))
        for part in ranges:
            reading.absorb(part.tallies)
            for name, path in part.rejected.items():
                _move(path, reading.read[name].rejected_rows)
            _move(part.excluded, excluded)
            reasons.update(part.reasons)
            fates = {name: (own[0] + part.fates[name][0], own[1] + part.fates[name][1]) for name, own in fates.items()}
        return SparkPopulation(sum(part.height for part in ranges), excluded, dict(reasons), fates, ranges)

    def cut(
        self,
        population: SparkPopulation,
        explainer: Explainer,
        artifact: Artifact,
        segmentation: Segmentation,
        campaign: Campaign,
        *,
        space: Scratch,  # noqa: ARG002 - little waits
        rows: int,  # noqa: ARG002 - ranges are small enough
    ) -> tuple[Cuts, Place | None]:
        """Find where the run is cut; see `Engine`."""
        ranges, files = population.ranges, population.files
        count = population.scored
        by_risk = work.Order("risk", artifact, segmentation, campaign)
        bins = add_bins(part.risk for part in ranges)
        deciles = find_places(bins, last_ranks(count), self._fetch(by_risk, files))
        explained = explainer.count(count)
        least_urgent = None
        if explained < count:
            by_urgency = work.Order("urgency", artifact, segmentation, campaign)
            bins = add_bins(part.urgency for part in ranges)
            least_urgent = find_last_reached(bins, explained, self._fetch(by_urgency, files))
        cuts = Cuts(deciles)
        if campaign.budget is None:
            return cuts, least_urgent
        by_ratio = work.Order("ratio", artifact, segmentation, campaign, cuts)
        bins = add_bins(self._cluster.spread(work.CountOrder(by_ratio), files))
        reach = find_last_reached(bins, budget_parts(campaign), self._fetch(by_ratio, files))
        return Cuts(deciles, reach), least_urgent

    def _fetch(self, order: work.Order, files: Sequence[Path]) -> Any:  # noqa: ANN401 - a function
        return lambda bins: pl.concat(self._cluster.spread(work.FetchOrder(order, bins), files))

    def write(
        self,
        folder: Path,
        population: SparkPopulation,
        intake: Intake,
        finisher: Finisher,
        *,
        space: Scratch,
        rows: int,
    ) -> Written:
        """Complete all customers and write them; see `Engine`. `scored.parquet` is a folder of parts by `id`."""
        ranges, files = population.ranges, population.files
        finish = work.FinishRange(self._desk, finisher, rows, _hash_limit([part.hashes for part in ranges]))
        finished = self._cluster.spread(finish, files)
        contacts = contacts_spool(space, finisher.segmentation)
        hashes, written = {}, 0
        (folder / SCORED).mkdir()
        with CsvTable(folder / "scored.csv", SCORED_DTYPES.to_frame()) as text:
            for number, part in enumerate(finished):
                name = f"{SCORED}/part-{number:05}.parquet"
                _take(part.parquet, folder / name)
                hashes[name] = part.sha256
                with part.csv.open("rb") as stream:
                    text.add_text(stream)
                part.csv.unlink()
                _move(part.contacts, contacts)
                finisher.absorb(part.sums, _read(part.sample), part.drift)
                written += int(part.segments["customers"].sum())
            hashes["scored.csv"] = text.sha256
        on_disk = int(pl.scan_parquet(folder / SCORED / "*.parquet").select(pl.len()).collect().item())
        if not on_disk == written == population.scored:
            raise OutputError(f"{folder / SCORED}: holds {on_disk} rows of {population.scored}")
        hashes |= write_lists(folder, contacts, population, intake, finisher.segmentation, rows=rows)
        return Written(add_segments(part.segments for part in finished), contacts, hashes)


@dataclass(frozen=True)
class _ReadFile:
    """What executors made of a file: how it is written, and its pieces, in their order."""

    survey: Survey | work.Refusal
    pieces: Sequence[work.StoredPiece | work.Refusal]

    def unrefused(self) -> list[work.StoredPiece]:
        """Return the pieces. Raises what stopped the first that could not be read."""
        pieces = []
        for told in self.pieces:
            if isinstance(told, work.Refusal):
                raise told.error()
            pieces.append(told)
        return pieces

    def join(self, space: Scratch, *, may_be_empty: bool) -> TableIntake:
        """Return what became of the file, still without rows. Raises what stopped executors, and as `join_pieces`."""
        if isinstance(self.survey, work.Refusal):
            raise self.survey.error()
        return join_pieces(self.survey, [piece.counts for piece in self.unrefused()], space, may_be_empty=may_be_empty)


def _join_table(file: TableFile, read: Mapping[str, _ReadFile], space: Scratch) -> TableIntake:
    """Return what became of a table, still without rows. Raises as `take_parts`."""
    return take_parts(file, lambda part: read[part.name].join(space, may_be_empty=bool(file.parts)))


def _absolute(file: TableFile) -> TableFile:
    """Return a file under a path that holds for other processes, too."""
    return file._replace(path=file.path.absolute(), parts=tuple(_absolute(part) for part in file.parts))


def _range_starts(pieces: Sequence[work.StoredPiece], rows: int) -> pl.Series:
    """Return the first ids of all ranges but the first, so that each has about so many rows."""
    keys = pl.concat([pl.Series([], dtype=pl.Int64), *(pl.Series(p.keys, dtype=pl.Int64) for p in pieces)]).sort()
    if sum(piece.height for piece in pieces) <= rows:
        return keys.clear()
    step = min(rows, work.KEYS_OF_RANGE)
    return keys.gather_every(step, offset=step).unique(maintain_order=True)


def _hash_limit(hashes: Sequence[pl.DataFrame]) -> int:
    """Return the bin of the hash below and in which the customers lie that are compared for the page."""
    total = pl.concat(hashes).group_by("bin").agg(pl.col("rows").sum()).sort("bin")
    enough = total.filter(pl.col("rows").cum_sum() >= SAMPLE)
    return int(enough["bin"][0]) if enough.height else work.HASH_BINS


def _read(path: Path) -> pl.DataFrame:
    """Return the rows of a file that an executor wrote, and remove it."""
    try:
        rows = pl.read_ipc(path)
        path.unlink()
    except OSError as error:
        raise EngineError(f"{path}: what an executor wrote cannot be read: {error}") from error
    return rows


def _move(path: Path, spool: Spool) -> None:
    spool.append(_read(path))


def _take(source: Path, target: Path) -> None:
    """Move a file to another folder, perhaps of another file system."""
    shutil.move(source, target)
