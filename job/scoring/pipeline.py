"""The main job, top to bottom: read the drop, score, segment, plan the campaign, explain, publish."""

from __future__ import annotations

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from job import __version__
from job.errors import shorten
from job.executor import Executor
from job.intake.drop import wait_for_files
from job.intake.reconcile import read_drop
from job.levels import find_levels, parse_levels
from job.memory import choose_limit, plan_memory
from job.models.artifact import default_folder
from job.report.data import describe_report
from job.report.earlier import choose_earlier
from job.scoring.changes import describe_changes, tell_changes
from job.scoring.drift import check_limits, judge_drift, tell_findings
from job.scoring.known import read_published_inputs, refuse_published
from job.scoring.look import reasons_to_look
from job.scoring.manifest import (
    compare_segments,
    count_customers,
    count_rows,
    describe_campaign,
    describe_model,
    describe_plan,
    read_previous,
)
from job.scoring.past import find_past, nothing_past
from job.scoring.power import describe_power
from job.scoring.publish import (
    describe_files,
    flush_all,
    keep_newest,
    locked_output,
    name_anew,
    scratch_folder,
    show_again,
    staged_run,
)
from job.scoring.published import MANIFEST, RUNS, is_intact, read_manifest
from job.scoring.run import cut_ranks, finish_ranges, score_drop, write_lists
from job.scoring.score import load_setup
from job.scoring.workbook import write_workbook
from job.spill import SpillSpace
from schemas.manifest import FORMAT, Drift, Manifest, Repair, Settings, manifest_text
from schemas.phrases import MOST_ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from job.models.artifact import Artifact
    from job.scoring.past import Bring, Past
    from job.scoring.run import Written
    from job.scoring.score import Setup
    from job.scoring.segments import Segmentation
    from job.settings import DriftLimits, ScoreSettings
    from schemas.report_data import ReportData


class Outcome(NamedTuple):
    """What a run came to: its folder and manifest, whether it is new, and why a person must look, one line each.

    `replaced` is the run that `latest` named instead of one that had been published before; None if it named it.
    """

    folder: Path
    manifest: Manifest
    is_new: bool
    look: tuple[str, ...] = ()
    replaced: str | None = None


@dataclass
class Stopwatch:
    """Seconds spent in each stage, in order."""

    progress: Callable[[str], None]
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage and say that it begins."""
        self.progress(name)
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 6)


def run_scoring(
    drop: Path,
    output: Path,
    settings: ScoreSettings,
    *,
    artifacts: Path | None = None,
    model_version: int | None = None,
    drop_name: str | None = None,
    bring: Bring = lambda *_: None,
    executor: Executor | None = None,
    progress: Callable[[str], None] = lambda _: None,
    is_as_published: Callable[[Path], bool] = is_intact,
) -> Outcome:
    """Score a drop and publish the run under `output`.

    Args:
        drop: the folder with the four tables.
        output: where runs are published.
        settings: what the user chose.
        artifacts: the folder of the model artifact; None is the shipped one.
        model_version: its number in the store that it came from.
        drop_name: what the manifest calls the drop; None is its path.
        bring: see `job.scoring.past.Bring`.
        executor: who maps the steps; None is this process. The results, and the run's name, are the same.
        progress: called with the name of each stage as it begins.
        is_as_published: whether a run that is there is the one of its manifest, and need not be made again.

    Raises JobError: anything a user or the environment can cause; see `job.errors`. Nothing is published then.
    """
    started = datetime.now(UTC)
    watch = Stopwatch(progress)
    executor = Executor() if executor is None else executor
    check_settings(settings)
    with watch.stage("model"):
        setup = load_setup(artifacts or default_folder(), settings.segments_file, settings.campaign)
        artifact = setup.artifact
    with watch.stage("wait"):
        known = read_published_inputs(output) if settings.require_new else {}
        refuse = partial(refuse_published, known)
        files = wait_for_files(drop, settings.arrival, refuse=refuse)
    memory = plan_memory(choose_limit(settings.memory_mib))
    with locked_output(output), scratch_folder(settings.scratch or output) as waiting:
        spill = waiting.absolute()
        space = SpillSpace(spill, 0 if executor.is_remote else memory.kept_bytes, memory.run_bytes)
        executor.check_paths([*(file.path for file in files.values()), spill])
        with watch.stage("intake"):
            drop_read = read_drop(files, labelled=False, executor=executor, space=space, memory=memory)
            setup = setup.at(find_levels(drop_read.levels, artifact.levels, settings.month_level))
        identity = name_run(drop_read.files, artifact, describe_settings(settings, setup.segmentation, None))
        past = find_past(output, settings, setup.segmentation.assumed, identity=identity, now=started, bring=bring)
        segmentation = (setup := setup.knowing(past)).segmentation
        name = name_run(drop_read.files, artifact, shown := describe_settings(settings, segmentation, past))
        run_id = name_anew(output, name) if settings.force else name
        folder = output / RUNS / run_id
        if is_as_published(folder) and _names_itself(folder, name, artifact):
            return show_published(output, run_id, settings.keep_runs)
        with watch.stage("score"):
            scored = score_drop(drop_read, setup, settings.limits, executor=executor, space=space, memory=memory)
        intake, customers = scored.intake, scored.counts.scored
        with watch.stage("cut"):
            finish = cut_ranks(scored, setup, executor=executor, space=space)
        with staged_run(output, run_id) as staged:
            with watch.stage("write"):
                written = finish_ranges(staged, scored, finish, executor=executor)
            with watch.stage("lists"):
                lists = partial(write_lists, staged, written.contacts, scored, segmentation, rows=memory.customers)
                hashes, data, drift = _write_and_tell(
                    staged, lists, written, setup, drift=settings.drift, delivered=intake.customers_in
                )
                previous = read_previous(output)
                segments, shifts = compare_segments(written.counts.groups, segmentation, previous, settings)
                if settings.campaign_format == "xlsx" and written.contacts.height <= MOST_ROWS:
                    write_workbook(staged, written.contacts.read(), segments, segmentation)
            manifest: Manifest = {
                "format": FORMAT,
                "run_id": run_id,
                "identity": identity,
                "product": {"name": "oneclick-retention", "version": __version__},
                "started": started.isoformat(timespec="seconds"),
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
                "drop": drop_name or str(drop),
                "inputs": intake.files,
                "model": describe_model(artifact, model_version),
                "settings": shown,
                "customers": count_customers(intake, scored=customers, excluded=scored.counts.excluded),
                "rows": count_rows(intake, scored.counts.fates),
                "repairs": cast("list[Repair]", intake.repairs.to_dicts()),
                "warnings": [*intake.warnings, *past.warnings, *shifts],
                "segments_file": segmentation.file,
                "segments": segments,
                "campaign": describe_campaign(
                    segments,
                    segmentation,
                    settings.campaign,
                    power=describe_power(written.counts.groups, segmentation),
                    beyond_budget=finish.value_beyond_budget(),
                ),
                "report_data": data,
                "drift": drift,
                "levels": setup.levels.describe(),
                "changes": [],
                "earlier": choose_earlier(past.earlier, intake.files),
                "look": [],
                "seconds": {},
                "outputs": {},
            }
            add_findings(manifest, previous, settings.max_change, setup.levels.findings())
            if not settings.no_report:
                with watch.stage("report"):
                    manifest["warnings"] += write_page(staged, manifest)
            manifest |= {"seconds": watch.seconds, "outputs": describe_files(staged, known=hashes)}
            (staged / MANIFEST).write_text(manifest_text(manifest), encoding="utf-8")
        keep_newest(output, settings.keep_runs, run_id=run_id)
    return Outcome(folder, manifest, is_new=True, look=tuple(manifest["look"]))


def check_settings(settings: ScoreSettings) -> None:
    """Raise SettingsError for settings that do not go together, or cannot be understood."""
    check_limits(*settings.drift)
    if settings.month_level is not None:
        parse_levels(settings.month_level)


def add_findings(manifest: Manifest, previous: Manifest | None, max_change: float, levels: Sequence[str]) -> None:
    """Add to a manifest what differs from the run before and from training, and why a person must look."""
    manifest["changes"] = describe_changes(manifest, previous, max_change)
    changed = tell_changes(manifest["changes"], previous["run_id"] if previous else "")
    drift = manifest["drift"]
    drifted = tell_findings(drift) if drift else []
    manifest["warnings"] += [*changed, *levels, *drifted]
    manifest["look"] = [*changed, *levels, *(drifted if drift and drift["severity"] == "stop" else ())]


def show_published(output: Path, run_id: str, keep_runs: int | None) -> Outcome:
    """Let `latest` name a run that was published before, and return what it came to."""
    run_id, replaced = show_again(output, run_id)
    folder = output / RUNS / run_id
    keep_newest(output, keep_runs, run_id=run_id)
    manifest = read_manifest(folder)
    return Outcome(folder, manifest, is_new=False, look=reasons_to_look(output, run_id, manifest), replaced=replaced)


def describe_settings(settings: ScoreSettings, segmentation: Segmentation, past: Past | None) -> Settings:
    """Return what changes what comes out, as the manifest shows it and as it names the run; without `past` if None."""
    past = nothing_past(settings.effects)._replace(release_control=settings.release_control) if past is None else past
    return {
        "max_rejected": settings.limits.rejected,
        "max_unknown": settings.limits.unknown,
        "segments": segmentation.digest,
        "segment_change": settings.segment_change,
        "campaign": describe_plan(settings.campaign),
        "history": past.describe(),
        "format": settings.campaign_format,
        "drift": list(settings.drift),
        "max_change": settings.max_change,
        "month_level": settings.month_level,
    }


def _write_and_tell(
    folder: Path,
    write: Callable[[], dict[str, str]],
    written: Written,
    setup: Setup,
    *,
    drift: DriftLimits,
    delivered: int,
) -> tuple[dict[str, str], ReportData, Drift | None]:
    """Write the last tables; meanwhile find what there is to tell of all customers, and flush what is written already.

    The SHA-256 is of all tables.
    """
    with ThreadPoolExecutor(1) as beside:
        listed = beside.submit(write)
        counts, artifact, judged = written.counts, setup.artifact, None
        data = describe_report(counts.groups, counts.sample, artifact)
        if setup.reference is not None and counts.drift is not None:
            how = {**drift._asdict(), "measured": artifact.manifest.get("roc_auc")}
            judged = judge_drift(counts.drift, setup.reference, delivered=delivered, **how)
        flush_all(folder)
        return written.hashes | listed.result(), data, judged


def write_page(folder: Path, manifest: Manifest) -> list[str]:
    """Draw `report.html` of a run; return what there is to say if that fails, which costs no run."""
    try:
        from job.report.page import REPORT, build_page  # noqa: PLC0415 - a run without a page loads none of it

        (folder / REPORT).write_text(build_page(manifest), encoding="utf-8")
    except OSError:  # the output cannot be written
        raise
    except Exception as error:  # noqa: BLE001 - whatever ends the page never ends the run; it is told
        return [f"report.html is left out: {type(error).__name__}: {shorten(str(error), 200)}"]
    return []


def _names_itself(folder: Path, name: str, artifact: Artifact) -> bool:
    """Return whether what a run says of its drop and settings gives the name that it has: others may have made it."""
    manifest = read_manifest(folder)
    return name_run(manifest["inputs"], artifact, manifest["settings"]) == name


def name_run(files: Sequence[Mapping[str, object]], artifact: Artifact, settings: Mapping[str, Any]) -> str:
    """Return the name of the run: the same for the same drop, model, settings and version of the job."""
    digests: dict[str, list[object]] = {}
    for file in files:
        digests.setdefault(str(file["table"]), []).append(file["sha256"])
    identity = {
        "inputs": {table: hashes[0] if len(hashes) == 1 else hashes for table, hashes in digests.items()},
        "model": artifact.digest,
        "settings": settings,
        "version": __version__,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
