"""Who does the work of a run: this process, or whoever else gives the same results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from job.intake.accept import read_drop
from job.scoring.population import Population, find_cuts, score_drop, write_tables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from job.intake.accept import DropReading, Intake
    from job.intake.drop import TableFile
    from job.memory import MemoryPlan
    from job.models.artifact import Artifact
    from job.models.reasons import Explainer
    from job.scoring.campaign import Campaign
    from job.scoring.cuts import Cuts, Place
    from job.scoring.population import Finisher, LocalPopulation, Written
    from job.scoring.segments import Segmentation
    from job.spool import Scratch


P = TypeVar("P", bound=Population)


class Engine(Protocol[P]):
    """The four steps that see every customer; they are called once each, in this order."""

    def read(self, files: Mapping[str, TableFile], *, folder: Path, space: Scratch, plan: MemoryPlan) -> DropReading:
        """Judge each row by itself; see `read_drop`. Args: folder: of the run, for what waits."""

    def score(self, reading: DropReading, artifact: Artifact, space: Scratch) -> P:
        """Find the probability of each customer; see `score_drop`."""

    def cut(
        self,
        population: P,
        explainer: Explainer,
        artifact: Artifact,
        segmentation: Segmentation,
        campaign: Campaign,
        *,
        space: Scratch,
        rows: int,
    ) -> tuple[Cuts, Place | None]:
        """Find where the run is cut; see `find_cuts`."""

    def write(
        self, folder: Path, population: P, intake: Intake, finisher: Finisher, *, space: Scratch, rows: int
    ) -> Written:
        """Complete all customers and write them; see `write_tables`."""


class LocalEngine:
    """This process."""

    def read(self, files: Mapping[str, TableFile], *, folder: Path, space: Scratch, plan: MemoryPlan) -> DropReading:  # noqa: ARG002 - `space` is there
        """See `Engine`."""
        return read_drop(files, labelled=False, scratch=space, plan=plan)

    def score(self, reading: DropReading, artifact: Artifact, space: Scratch) -> LocalPopulation:
        """See `Engine`."""
        return score_drop(reading, artifact, space)

    def cut(
        self,
        population: LocalPopulation,
        explainer: Explainer,
        artifact: Artifact,
        segmentation: Segmentation,
        campaign: Campaign,
        *,
        space: Scratch,
        rows: int,
    ) -> tuple[Cuts, Place | None]:
        """See `Engine`."""
        return find_cuts(population, explainer, artifact.thresholds, segmentation, campaign, space=space, rows=rows)

    def write(
        self,
        folder: Path,
        population: LocalPopulation,
        intake: Intake,
        finisher: Finisher,
        *,
        space: Scratch,
        rows: int,
    ) -> Written:
        """See `Engine`."""
        return write_tables(folder, population, intake, finisher, space=space, rows=rows)
