"""From a run and an outcome drop to the published comparison. The run's own folder is never written to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from job import __version__
from job.beneath import is_file_beneath, read_beneath
from job.campaign.lift import Known, match_outcome, measure_lift
from job.campaign.offers import read_plan
from job.campaign.page import render_page
from job.campaign.results import REVENUE_BEFORE, Lift
from job.campaign.run import PublishedRun, find_exposure, load_run, read_contacted, segment_titles
from job.errors import DropError, OutputError, Problem, SettingsError, reason_of
from job.files import replace_file
from job.intake.drop import TableFile, all_files, hash_file, wait_for_files
from job.intake.reconcile import Intake, accept_drop
from job.models.linear import add_up
from job.rounding import rounded
from job.scoring.known import read_again
from job.statistics import LEVEL, POWER
from schemas.columns import MARKET_FILE, MARKET_MONEY
from schemas.scored import PROFIT_MONTHS

if TYPE_CHECKING:
    from job.settings import LiftSettings, Limits

FOLDER: Final = "lift"
JSON: Final = "lift.json"
PAGE: Final = "lift.html"


@dataclass(frozen=True)
class Published:
    """What a comparison came to."""

    folder: Path
    run_id: str
    lift: Lift
    described: dict[str, Any]  # what `lift.json` holds


def run_lift(
    run_folder: Path,
    drop: Path,
    settings: LiftSettings,
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> Published:
    """Compare what became of a run's treated customers with its control group, and publish that.

    The files appear in `settings.output`, by default `OUT/lift/ID`, `lift.json` last; an earlier comparison there is
    replaced.

    `run_folder` may be a link; `drop` is the labelled one of three months later; `progress` is called with the name of
    each stage as it begins.

    Raises:
        SettingsError: the run is none, the outcome is the very drop that it scored, `output` lies in the run, or
            `contacted` holds something else than ids.
        ArtifactError: the run was altered, or is of a version without groups.
        DropError: the outcome is bad, or is about other customers.
        DropIncompleteError: it is not complete yet.
        OutputError: `output` holds something else, or cannot be written.
    """
    progress("run")
    run = load_run(run_folder)
    contacted = None if settings.contacted is None else read_contacted(settings.contacted)
    folder = settings.output or run.folder.parent.parent / FOLDER / run.folder.name
    if folder.resolve().is_relative_to(run.folder):
        raise SettingsError([Problem("--output", "a folder outside the run, which stays as published", str(folder))])
    progress("wait")
    files = wait_for_files(drop, settings.arrival)
    _check_is_later(run, files, drop)
    progress("intake")
    intake = accept_drop(files, labelled=True, limits=settings.limits)
    _check_is_of_run(run, intake)
    progress("compare")
    present = intake.tables[MARKET_FILE.name].select("id")
    plan = read_plan(run.manifest)
    lift = measure_lift(
        match_outcome(run.scored, intake),
        plan,
        Known(
            contacted=contacted,
            exposure=find_exposure(run),
            revenue_before=_read_revenue(run, settings.limits),
            new_customers=present.join(run.scored.select("id"), on="id", how="anti").height,
        ),
    )
    described = describe_lift(lift, run_id=run.run_id, intake=intake)
    progress("write")
    _publish(
        folder,
        {
            PAGE: render_page(lift, run_id=run.run_id, titles=segment_titles(run.manifest), plan=plan),
            JSON: json.dumps(described, ensure_ascii=False, indent=1, allow_nan=False) + "\n",
        },
    )
    return Published(folder, run.run_id, lift, described)


def describe_lift(lift: Lift, *, run_id: str, intake: Intake) -> dict[str, Any]:
    """Return what `lift.json` holds: plain values, numbers to ten significant digits."""
    methods = {
        "level": LEVEL,
        "power": POWER,
        "verdict": "the adjusted difference of the decline rate, overall; chosen beforehand",
        "adjusted": "linear regression on what was known before, a slope for each group (Lin 2013); Welch's intervals",
        "raw_rates": "Newcombe 1998, method 10",
        "strata": "segments, weighted by their treated customers; of offers, whom the same ones would have reached",
        "corrected": "p-values by Holm: segments, measures but the decline rate, offers, pairs; intervals are not",
        "delivery": "the lot as instrumental variable (Imbens and Angrist 1994)",
        "roc_auc": "DeLong",
        "profit_months": PROFIT_MONTHS,
    }
    plain = {
        "run_id": run_id,
        "product": {"name": "oneclick-retention", "version": __version__},
        "outcome": intake.files,
        "methods": methods,
        **asdict(lift),
    }
    described: dict[str, Any] = rounded(plain)
    return described


def _read_revenue(run: PublishedRun, limits: Limits) -> pl.DataFrame | None:
    """Return `id` and the revenue of the three months before, of the drop that the run scored; None if it is gone."""
    try:
        intake = read_again(run.manifest, limits)
    except SettingsError:
        return None
    months = intake.tables[MARKET_MONEY.name].pivot("period", index="id", values="revenue").drop_nulls()
    return months.select("id", add_up([pl.col(name) for name in months.columns[1:]]).alias(REVENUE_BEFORE))


def _check_is_later(run: PublishedRun, files: Mapping[str, TableFile], drop: Path) -> None:
    same = [file.name for file in all_files(files) if hash_file(file) in run.input_digests]
    if same:
        found = f"the drop that the run scored (the same {', '.join(same)})"
        raise SettingsError([Problem(str(drop), "a drop of three months later", found)])


def _check_is_of_run(run: PublishedRun, intake: Intake) -> None:
    if intake.tables[MARKET_FILE.name].join(run.scored, on="id", how="semi").is_empty():
        expected = f"some of the {run.scored.height:,} customers of run {run.run_id}"
        raise DropError([Problem(MARKET_FILE.name, expected, "none of them", column="id")])


def _publish(folder: Path, texts: dict[str, str]) -> None:
    """Write the files in this order, unless they are there."""
    contents = {name: text.encode() for name, text in texts.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = sorted(entry.name for entry in folder.iterdir() if entry.name not in contents)
        if others:
            raise OutputError([Problem(str(folder), "a new folder or an earlier comparison", ", ".join(others))])
        if all(is_file_beneath(folder, name) and read_beneath(folder, name) == contents[name] for name in contents):
            return
        for name, content in contents.items():
            replace_file(folder / name, content)
    except OSError as error:
        raise OutputError([Problem(str(folder), "a folder that can be written", reason_of(error))]) from error
