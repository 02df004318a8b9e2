"""What commands do with places: paths pass through; what is in object storage is brought here, and results are sent."""

from __future__ import annotations

import contextlib
import getpass
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from job.errors import Problem, SettingsError
from job.scoring.compare import compare_runs
from job.scoring.effects import LIFTS
from job.scoring.known import read_published_inputs, refuse_published
from job.scoring.look import ACKNOWLEDGED, acknowledge_run, describe_acknowledgement
from job.scoring.manifest import read_previous
from job.scoring.past import is_in_outcome
from job.scoring.pipeline import Outcome, run_scoring
from job.scoring.publish import as_output_error, scratch_folder
from job.scoring.published import (
    LATEST,
    MANIFEST,
    RUNS,
    SUCCESS,
    is_whole,
    parts_of,
    published_runs,
    read_manifest,
    resolve_latest,
)
from job.scoring.verify import Verification, verify_output
from job.storage.address import Address
from job.storage.bucket import Bucket, StorageError
from job.storage.drop import drop_at_hand
from job.storage.lease import leased
from job.storage.output import (
    as_storage_output_error,
    bring_file,
    holds_run,
    mirror_folder,
    mirror_runs,
    read_latest,
    remove_dead_runs,
    send_changes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from job.executor import Executor
    from job.intake.drop import Refuse
    from job.scoring.known import Digests
    from job.settings import Arrival, ScoreSettings
    from job.storage.models import Champion

Place = Path | Address


class Delivery(NamedTuple):
    """A drop as a folder of this machine.

    Args:
        folder: with its files.
        name: the place that was asked for.
        arrival: how it may still be waited for.
    """

    folder: Path
    name: str
    arrival: Arrival


class Publication(NamedTuple):
    """A run, published.

    Args:
        outcome: what the run came to.
        place: where the run is.
        shown_at: where its readers find it.
        changes: of a dry run, what would differ from the run that `latest` names; see `compare_runs`. None if that is
            none, or if nothing would be done.
    """

    outcome: Outcome
    place: str
    shown_at: str
    changes: dict[str, Any] | None = None


@contextlib.contextmanager
def delivered(
    drop: Place, arrival: Arrival, *, scratch: Path | None = None, refuse: Refuse = lambda _: None
) -> Iterator[Delivery]:
    """Give a drop as a folder; one in object storage is waited for and copied, the copy is gone when the block ends.

    Args:
        drop: the place.
        arrival: when it counts as complete.
        scratch: where the copy is made; None is the system's folder for such.
        refuse: see `wait_for_files`; a drop that is a folder is waited for, and asked about, by whoever reads it.

    Raises:
        JobError: as `job.storage.drop.drop_at_hand`.
    """
    if isinstance(drop, Path):
        yield Delivery(drop, str(drop), arrival)
        return
    with scratch_folder(scratch or _temporary()) as folder:
        copy = folder / "drop"
        copy.mkdir(0o700)
        with drop_at_hand(drop, copy, arrival=arrival, refuse=refuse) as whole:
            yield Delivery(whole, str(drop), arrival._replace(wait_minutes=0))


def score_places(
    drop: Place,
    output: Place,
    settings: ScoreSettings,
    *,
    champion: Champion | None = None,
    executor: Executor | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Publication:
    """Score a drop and publish the run, each on this machine or in object storage.

    Args:
        drop: where the four tables are.
        output: where runs are published.
        settings: what the user chose. Copies of objects and runs to be sent wait in the system's folder for such where
            the output is in object storage and no scratch folder is named.
        champion: the model; None is the shipped one.
        executor: as for `run_scoring`.
        progress: as for `run_scoring`.

    Raises:
        JobError: as `run_scoring`; a store that refuses or does not answer is an unreadable drop or an unwritable
            output.
    """
    if isinstance(drop, Address):
        progress("fetch")
    beside = settings.scratch or (output if isinstance(output, Path) and not settings.dry_run else None)
    common: dict[str, Any] = {"executor": executor, "progress": progress}
    if champion is not None:
        common |= {"artifacts": champion.folder, "model_version": champion.version}
    known: dict[Digests, str] = {}
    if settings.require_new and isinstance(drop, Address):
        with listed_output(output, is_new=True) as listed:
            known = read_published_inputs(listed)
    with delivered(drop, settings.arrival, scratch=beside, refuse=partial(refuse_published, known)) as delivery:
        settings = settings._replace(arrival=delivery.arrival)
        if settings.dry_run:
            return _try_scoring(delivery, output, settings, common)
        if isinstance(output, Path):
            outcome = run_scoring(delivery.folder, output, settings, drop_name=delivery.name, **common)
            return Publication(outcome, str(outcome.folder), str(output / LATEST))
        with (
            as_storage_output_error(),
            scratch_folder(settings.scratch or _temporary()) as folder,
            leased(bucket := Bucket(output)) as lease,
        ):
            remove_dead_runs(bucket)
            mirror = folder / "output"
            with as_output_error(mirror):
                mirror_runs(bucket, mirror)
            settings = settings._replace(scratch=settings.scratch or folder)
            common["is_as_published"] = partial(holds_run, bucket)
            common["bring"] = partial(bring_file, bucket)
            outcome = run_scoring(delivery.folder, mirror, settings, drop_name=delivery.name, **common)
            progress("send")
            send_changes(bucket, mirror, lease, sent=outcome.folder.name if outcome.is_new else None)
            path = output / RUNS / outcome.folder.name
            return Publication(outcome, str(path), str(path))


def _try_scoring(delivery: Delivery, output: Place, settings: ScoreSettings, common: dict[str, Any]) -> Publication:
    """Score a drop into a copy of what the output knows of its runs, which is gone afterwards."""
    with scratch_folder(settings.scratch or _temporary()) as folder:
        mirror = folder / "output"
        if isinstance(output, Path):
            with as_output_error(mirror):
                mirror_folder(output, mirror)
        else:
            with as_storage_output_error(), as_output_error(mirror):
                mirror_runs(Bucket(output), mirror)
        settings = settings._replace(scratch=settings.scratch or folder)
        previous = read_previous(mirror)
        common["is_as_published"] = is_whole  # the mirror has no more of its files than their sizes
        common["bring"] = partial(bring_file, output if isinstance(output, Path) else Bucket(output))
        outcome = run_scoring(delivery.folder, mirror, settings, drop_name=delivery.name, **common)
        changes = compare_runs(previous, outcome.manifest) if previous is not None and outcome.is_new else None
        path = str(output / RUNS / outcome.folder.name)
        return Publication(outcome, path, "none: this was a dry run, nothing is published", changes)


@contextlib.contextmanager
def published_run(run: Place, files: Sequence[str]) -> Iterator[Path]:
    """Give a published run as a folder with some of its files; a copy is gone when the block ends.

    Args:
        run: the run, or `latest` of an output.
        files: beside `manifest.json` and `_SUCCESS`.

    Raises:
        SettingsError: this is no published run, or the store refuses or does not answer.
        OutputError: the copy cannot be written.
    """
    if isinstance(run, Path):
        yield resolve_latest(run)
        return
    with scratch_folder(_temporary()) as folder:
        copy, bucket = folder / RUNS / run.name, Bucket(run)
        with as_settings_error(), as_output_error(folder):
            bucket = Bucket(resolve_run(run))
            copy = folder / RUNS / bucket.address.name
            copy.mkdir(parents=True)
            entries = bucket.entries()
            if SUCCESS not in entries:
                found = f"objects without {SUCCESS}" if entries else "no such objects"
                raise SettingsError([Problem(str(run), "a published run (OUT/runs/ID)", found)])
            for name, entry in entries.items():
                if name in (MANIFEST, SUCCESS, *files) or name.partition("/")[0] in files:
                    (copy / name).parent.mkdir(exist_ok=True)
                    bucket.fetch(entry, copy / name)
        yield copy


@contextlib.contextmanager
def run_among_others(run: Place) -> Iterator[Path]:
    """Give a published run as a folder of an output in which the runs of the three months after it can be read, too.

    Raises:
        SettingsError: this is no published run, or the store refuses or does not answer.
        OutputError: the copy cannot be written.
    """
    if isinstance(run, Path):
        yield resolve_latest(run)
        return
    with scratch_folder(_temporary()) as folder:
        with as_settings_error(), as_output_error(folder):
            address = resolve_run(run)
            bucket, mirror = Bucket(address.parent.parent), folder / "output"
            mirror_runs(bucket, mirror)
            copy = mirror / RUNS / address.name
            runs = {path.name: read_manifest(path) for path in published_runs(mirror)}
            if address.name not in runs:
                raise SettingsError([Problem(str(run), "a published run (OUT/runs/ID)", "no such objects")])
            for name, manifest in runs.items():
                if name == address.name or is_in_outcome(runs[address.name], manifest):
                    for file in parts_of(manifest):
                        bring_file(bucket, mirror / RUNS / name, file)
        yield copy


def send_lift(run: Place, folder: Path) -> str:
    """Write a comparison beside the runs of its run's output, the JSON last; return where it is.

    Args:
        run: in object storage.
        folder: of the comparison, in the copy of the output.

    Raises:
        OutputError: the store refuses or does not answer.
    """
    assert not isinstance(run, Path)  # noqa: S101 - as said
    output = resolve_run(run).parent.parent
    names = sorted(path.name for path in folder.iterdir())
    send_files(output, folder.parent.parent, [f"{LIFTS}/{folder.name}/{name}" for name in names])
    return str(output / f"{LIFTS}/{folder.name}")


def resolve_run(run: Address) -> Address:
    """Return the run that an address names: the one of the text of `latest`, or the address itself."""
    if run.name != LATEST:
        return run
    latest = read_latest(Bucket(run.parent))
    return run.parent / f"{RUNS}/{latest}" if latest else run


@contextlib.contextmanager
def listed_output(output: Place, *, is_new: bool = False) -> Iterator[Path]:
    """Give an output as a folder in which its runs can be listed.

    Args:
        output: the place.
        is_new: it may not be there yet.

    Raises:
        SettingsError: the store refuses or does not answer, or holds nothing there.
        OutputError: the copy cannot be written.
    """
    if isinstance(output, Path):
        yield output
        return
    with scratch_folder(_temporary()) as folder:
        mirror = folder / "output"
        bucket = Bucket(output)
        with as_settings_error(), as_output_error(mirror):
            mirror_runs(bucket, mirror)
            if not is_new and not any((mirror / RUNS).iterdir()) and not bucket.entries():
                raise SettingsError([Problem("--output", "the place where runs are published", str(output))])
        yield mirror


def acknowledge_at(output: Place, run_id: str, note: str | None) -> None:
    """Note that a person looked at a run. Raises as `acknowledge_run`, and SettingsError for a store that refuses."""
    acknowledgement = describe_acknowledgement(getpass.getuser(), datetime.now(UTC), note)
    with listed_output(output) as folder:
        acknowledge_run(folder, run_id, acknowledgement)
        if not isinstance(output, Path):
            send_files(output, folder, [f"{ACKNOWLEDGED}/{run_id}"])


def verify_place(output: Place) -> Verification:
    """Read every file of every run and compare it with its manifest; of a store, each run is copied for that.

    Raises:
        SettingsError: there is no such output, or it cannot be read.
        OutputError: a copy cannot be written.
    """
    if isinstance(output, Path):
        if not output.is_dir():
            raise SettingsError([Problem("--output", "the folder where runs are published", str(output))])
        return verify_output(output)
    with scratch_folder(_temporary()) as folder, as_settings_error(), as_output_error(folder):
        bucket = Bucket(output)
        for name, entry in bucket.entries(RUNS).items():
            path = folder / RUNS / name.removeprefix(f"{RUNS}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            bucket.fetch(entry, path)
        latest = read_latest(bucket)
        if latest is not None:
            (folder / LATEST).symlink_to(Path(RUNS) / latest)
        return verify_output(folder)


def send_report(run: Address, folder: Path, names: Sequence[str]) -> None:
    """Replace files of a published run, one after the other in this order.

    Raises:
        OutputError: the store refuses or does not answer.
    """
    with as_storage_output_error():
        send_files(resolve_run(run), folder, names)


def send_files(address: Address, folder: Path, names: Sequence[str]) -> None:
    """Write files of a folder below a place, one after the other. Raises OutputError if the store refuses."""
    with as_storage_output_error():
        bucket = Bucket(address)
        for name in names:
            bucket.send(folder / name, name)


@contextlib.contextmanager
def as_settings_error() -> Iterator[None]:
    """Turn what a store says of a place that was asked for into one line.

    Raises:
        SettingsError: in place of a StorageError.
    """
    try:
        yield
    except StorageError as error:
        raise SettingsError(f"{error.place}: cannot be read: {error.reason}") from error


def _temporary() -> Path:
    return Path(tempfile.gettempdir())
