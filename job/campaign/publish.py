"""From a run and an outcome drop to the published comparison. The run's own folder is never written to."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from job import __version__
from job.beneath import is_file_beneath, read_beneath
from job.campaign.lift import RESAMPLES, Lift, match_outcome, measure_lift
from job.campaign.page import render_page
from job.campaign.run import load_run, offer_costs, segment_titles
from job.errors import DropError, OutputError, Problem, SettingsError
from job.intake.drop import all_files, hash_file, wait_for_files
from job.intake.reconcile import accept_drop
from job.rounding import rounded
from job.statistics import LEVEL, POWER
from schemas.columns import MARKET_FILE
from schemas.scored import PROFIT_MONTHS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from job.campaign.run import PublishedRun
    from job.intake.drop import TableFile
    from job.intake.reconcile import Intake
    from job.settings import LiftSettings

FOLDER: Final = "lift"
JSON: Final = "lift.json"
PAGE: Final = "lift.html"
"""Written of each number: the last of sixteen may differ between processors."""


@dataclass(frozen=True)
class Published:
    """What a comparison came to.

    Args:
        folder: where it is.
        run_id: the run's name.
        lift: the comparison.
        described: what `lift.json` holds.
        is_new: False if the same was there before and nothing was done.
    """

    folder: Path
    run_id: str
    lift: Lift
    described: dict[str, Any]
    is_new: bool


def run_lift(
    run_folder: Path,
    drop: Path,
    settings: LiftSettings,
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> Published:
    """Compare what became of a run's treated customers with its control group, and publish that.

    Args:
        run_folder: the published run (`OUT/runs/ID`, or a link to it).
        drop: the labelled drop of three months later.
        settings: what the user chose. The files appear, both or none, in `output`, by default `OUT/lift/ID`; an earlier
            comparison there is replaced.
        progress: called with the name of each stage as it begins.

    Raises:
        SettingsError: the run is none, the outcome is the very drop that it scored, or `output` lies in the run.
        ArtifactError: the run was altered, or is of a version without groups.
        DropError: the outcome is bad, or is about other customers.
        DropIncompleteError: it is not complete yet.
        OutputError: `output` holds something else, or cannot be written.
    """
    progress("run")
    run = load_run(run_folder)
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
    known = intake.tables[MARKET_FILE.name].select("id")
    lift = measure_lift(
        match_outcome(run.scored, intake),
        offer_costs(run.manifest),
        seed=settings.seed,
        new_customers=known.join(run.scored.select("id"), on="id", how="anti").height,
    )
    described = describe_lift(lift, run_id=run.run_id, intake=intake, seed=settings.seed)
    progress("write")
    is_new = _publish(
        folder,
        {
            JSON: json.dumps(described, ensure_ascii=False, indent=1, allow_nan=False) + "\n",
            PAGE: render_page(lift, run_id=run.run_id, titles=segment_titles(run.manifest)),
        },
    )
    return Published(folder, run.run_id, lift, described, is_new)


def describe_lift(lift: Lift, *, run_id: str, intake: Intake, seed: int) -> dict[str, Any]:
    """Return what `lift.json` holds: plain values, numbers to ten significant digits."""
    methods = {
        "level": LEVEL,
        "power": POWER,
        "rates": "Newcombe 1998, method 10; p-value by inverting the interval",
        "means": "bootstrap-t, groups resampled by themselves",
        "resamples": RESAMPLES,
        "seed": seed,
        "segments": "p-values corrected by Holm's method, each measure by itself; intervals are not",
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
    told: dict[str, Any] = rounded(plain)
    return told


def _check_is_later(run: PublishedRun, files: Mapping[str, TableFile], drop: Path) -> None:
    same = [file.name for file in all_files(files) if hash_file(file) in run.input_digests]
    if same:
        found = f"the drop that the run scored (the same {', '.join(same)})"
        raise SettingsError([Problem(str(drop), "a drop of three months later", found)])


def _check_is_of_run(run: PublishedRun, intake: Intake) -> None:
    if intake.tables[MARKET_FILE.name].join(run.scored, on="id", how="semi").is_empty():
        expected = f"some of the {run.scored.height:,} customers of run {run.run_id}"
        raise DropError([Problem(MARKET_FILE.name, expected, "none of them", column="id")])


def _publish(folder: Path, texts: dict[str, str]) -> bool:
    """Make the files appear together; return whether they are new."""
    contents = {name: text.encode() for name, text in texts.items()}
    token = os.urandom(8).hex()
    beside = folder.with_name(f".partial-{folder.name}-{token}")
    replaced = folder.with_name(f".replaced-{folder.name}-{token}")
    try:
        if folder.is_dir():
            others = sorted(entry.name for entry in folder.iterdir() if entry.name not in contents)
            if others:
                raise OutputError([Problem(str(folder), "a new folder or an earlier comparison", ", ".join(others))])
            if all(is_file_beneath(folder, name) and read_beneath(folder, name) == contents[name] for name in contents):
                return False
        try:
            beside.mkdir(parents=True)
            for name, content in contents.items():
                with (beside / name).open("wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
            if folder.is_dir():
                folder.rename(replaced)
            beside.rename(folder)
        except BaseException:
            if replaced.is_dir() and not folder.exists():
                replaced.rename(folder)
            raise
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            shutil.rmtree(replaced, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            [Problem(str(folder), "a folder that can be written", error.strerror or str(error))]
        ) from error
    return True
