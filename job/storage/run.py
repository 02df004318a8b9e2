"""What commands do with places: paths pass through; what is in object storage is brought here, and results are sent."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from job.errors import OutputError, Problem, SettingsError
from job.scoring.compare import compare_runs
from job.scoring.effects import LIFTS
from job.scoring.known import Digests, read_published_inputs, refuse_published
from job.scoring.look import ACKNOWLEDGED, acknowledge_run
from job.scoring.manifest import read_previous
from job.scoring.past import is_in_outcome
from job.scoring.pipeline import Outcome, run_scoring
from job.scoring.publish import as_output_error, scratch_folder
from job.scoring.published import (
    LATEST,
    RUNS,
    Verification,
    is_whole,
    parts_of,
    read_runs,
    resolve_latest,
    verify_output,
)
from job.storage.address import Address
from job.storage.bucket import Bucket, storage_errors_as
from job.storage.drop import drop_at_hand
from job.storage.lease import leased
from job.storage.output import bring_file, holds_run, mirror_output, read_latest, remove_others, send_changes

if TYPE_CHECKING:
    from job.executor import Executor
    from job.intake.drop import Refuse
    from job.settings import Arrival, ScoreSettings
    from job.storage.models import Champion

Place = Path | Address
Copied = tuple[Path, Address]
"""A copy of a store's objects, and their address."""


class Delivery(NamedTuple):
    """A drop as a folder of this machine, and how it may still be waited for."""

    folder: Path
    arrival: Arrival


class Publication(NamedTuple):
    """A run, published: where it is, and where its readers find it.

    `changes`, of a dry run, is what would differ from the run that `latest` names (see `compare_runs`), if anything.
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

    A drop that is a folder is waited for, and asked about (`refuse`, see `wait_for_files`), by whoever reads it. Copies
    are made in `scratch`, by default in the system's folder for such. Raises as `drop_at_hand`.
    """
    if isinstance(drop, Path):
        yield Delivery(drop, arrival)
        return
    with scratch_folder(scratch or _temporary()) as folder:
        copy = folder / "drop"
        copy.mkdir(0o700)
        with drop_at_hand(drop, copy, arrival=arrival, refuse=refuse):
            yield Delivery(copy, arrival._replace(wait_minutes=0))


def score_places(
    drop: Place,
    output: Place,
    settings: ScoreSettings,
    *,
    champion: Champion | None = None,
    executor: Executor | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Publication:
    """Score a drop and publish the run, each on this machine or in object storage; see `run_scoring`.

    Copies of objects and runs to be sent wait in the system's folder for such where the output is in object storage and
    no scratch folder is named. Without a champion, the shipped model scores. A store that refuses or does not answer is
    an unreadable drop or an unwritable output.
    """
    beside = settings.scratch or (output if isinstance(output, Path) and not settings.dry_run else None)
    known: dict[Digests, str] = {}
    if isinstance(drop, Address):
        progress("fetch")
        if settings.require_new:
            with listed_output(output, is_new=True) as listed:
                known = read_published_inputs(listed)
    with delivered(drop, settings.arrival, scratch=beside, refuse=partial(refuse_published, known)) as delivery:
        score: Callable[..., Outcome] = partial(
            run_scoring,
            delivery.folder,
            artifacts=champion and champion.folder,
            model_version=champion and champion.version,
            drop_name=str(drop),
            executor=executor,
            progress=progress,
        )
        settings = settings._replace(arrival=delivery.arrival)
        if isinstance(output, Path) and not settings.dry_run:
            outcome = score(output, settings)
            return Publication(outcome, str(outcome.folder), str(output / LATEST))
        with (
            storage_errors_as(OutputError, cannot="cannot be written"),
            scratch_folder(beside or _temporary()) as folder,
        ):
            settings = settings._replace(scratch=settings.scratch or folder)
            source, mirror, changes = output if isinstance(output, Path) else Bucket(output), folder / "output", None
            score = partial(score, mirror, settings, bring=partial(bring_file, source))
            if isinstance(source, Path) or settings.dry_run:
                outcome, changes = _try_scoring(score, source, mirror)
            else:
                outcome = _score_into_store(score, source, mirror, progress)
            place = str(output / RUNS / outcome.folder.name)
            shown_at = "none: this was a dry run, nothing is published" if settings.dry_run else place
            return Publication(outcome, place, shown_at, changes)


def _try_scoring(
    score: Callable[..., Outcome], source: Path | Bucket, mirror: Path
) -> tuple[Outcome, dict[str, Any] | None]:
    """Score a drop into a mirror of an output; return what would differ from the run that `latest` names, too."""
    with as_output_error(mirror):
        mirror_output(source, mirror)
    previous = read_previous(mirror)
    outcome = score(is_as_published=is_whole)  # the mirror has no more of its files than their sizes
    return outcome, compare_runs(previous, outcome.manifest) if previous is not None and outcome.is_new else None


def _score_into_store(
    score: Callable[..., Outcome], bucket: Bucket, mirror: Path, progress: Callable[[str], None]
) -> Outcome:
    """Score a drop into a mirror of an output, and send what is new."""
    with leased(bucket) as lease:
        with as_output_error(mirror):
            mirror_output(bucket, mirror)
        remove_others(bucket, mirror, lease)
        outcome = score(is_as_published=partial(holds_run, bucket))
        progress("send")
        send_changes(bucket, mirror, lease, sent=outcome.folder.name if outcome.is_new else None)
        return outcome


@contextlib.contextmanager
def _at_hand(
    place: Place, local: Callable[[Path], Path], fetch: Callable[[Address, Path], Copied], back: Sequence[str] = ()
) -> Iterator[Path]:
    """Give what `local` makes of a path; of a store's objects, what `fetch` copies into a folder that is gone after.

    The files `back` of the copy are written to the store when the block ends, one after the other.
    """
    if isinstance(place, Path):
        yield local(place)
        return
    with scratch_folder(_temporary()) as folder:
        with storage_errors_as(SettingsError), as_output_error(folder):
            copy, address = fetch(place, folder)
        yield copy
        if back:
            _send_files(address, copy, back)


def published_run(
    run: Place, *, with_scored: bool = False, among_others: bool = False, back: Sequence[str] = ()
) -> contextlib.AbstractContextManager[Path]:
    """Give a published run, or that of `latest`, as a folder; of a store, a mirror of it (see `mirror_output`).

    `with_scored`: its scored customers can be read; `among_others`: the runs of its output, too, and, of those in the
    three months after it, the scored customers. The files `back` of it are replaced in a store when the block ends.

    Raises SettingsError: there is no such run, or the store refuses or does not answer; OutputError: something cannot
    be written.
    """

    def fetch(run: Address, folder: Path) -> Copied:
        address = _resolve_run(run)
        bucket = Bucket(address.parent.parent)
        mirror = mirror_output(bucket, folder / "output", only=None if among_others else address.name)
        copy = mirror / RUNS / address.name
        if not copy.is_dir():
            raise SettingsError([Problem(str(run), "a published run (OUT/runs/ID)", "no such objects")])
        runs = dict(read_runs(mirror)) if with_scored else {}
        for path, manifest in runs.items():
            if path == copy or (copy in runs and is_in_outcome(runs[copy], manifest)):
                for file in parts_of(manifest):
                    bring_file(bucket, path, file)
        return copy, address

    return _at_hand(run, resolve_latest, fetch, back)


def _resolve_run(run: Address) -> Address:
    """Return the run that an address names: the one of the text of `latest`, or the address itself."""
    latest = read_latest(Bucket(run.parent)) if run.name == LATEST else None
    return run.parent / f"{RUNS}/{latest}" if latest else run


def listed_output(
    output: Place, *, is_new: bool = False, back: Sequence[str] = ()
) -> contextlib.AbstractContextManager[Path]:
    """Give an output as a folder in which its runs can be listed; `is_new`: it may not be there yet.

    `back` and what is raised: as of `published_run`.
    """

    def fetch(output: Address, folder: Path) -> Copied:
        bucket = Bucket(output)
        mirror = mirror_output(bucket, folder / "output")
        if not is_new and not any((mirror / RUNS).iterdir()) and not bucket.entries():
            raise SettingsError([Problem("--output", "the place where runs are published", str(output))])
        return mirror, output

    return _at_hand(output, Path if is_new else _existing, fetch, back)


def _existing(output: Path) -> Path:
    if not output.is_dir():
        raise SettingsError([Problem("--output", "the folder where runs are published", str(output))])
    return output


def acknowledge_at(output: Place, run_id: str, note: str | None) -> None:
    """Note that a person looked at a run. Raises as `acknowledge_run`, and SettingsError for a store that refuses."""
    with listed_output(output, back=[f"{ACKNOWLEDGED}/{run_id}"]) as folder:
        acknowledge_run(folder, run_id, note)


def verify_place(output: Place) -> Verification:
    """Read every file of every run and compare it with its manifest; of a store, each run is copied for that.

    Raises as `published_run`.
    """

    def fetch(output: Address, folder: Path) -> Copied:
        bucket = Bucket(output)
        for name, entry in bucket.entries(RUNS).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            bucket.fetch(entry, folder / name)
        if (latest := read_latest(bucket)) is not None:
            (folder / LATEST).symlink_to(Path(RUNS) / latest)
        return folder, output

    with _at_hand(output, _existing, fetch) as folder:
        return verify_output(folder)


def send_lift(run: Address, folder: Path) -> str:
    """Write the folder of a comparison beside the runs of its run's output, the JSON last; return where it is.

    Raises OutputError if the store refuses or does not answer.
    """
    output = run.parent if run.name == LATEST else run.parent.parent
    _send_files(output / LIFTS / folder.name, folder, sorted(path.name for path in folder.iterdir()))
    return str(output / LIFTS / folder.name)


def _send_files(address: Address, folder: Path, names: Sequence[str]) -> None:
    with storage_errors_as(OutputError, cannot="cannot be written"):
        bucket = Bucket(address)
        for name in names:
            bucket.send(folder / name, name)


def _temporary() -> Path:
    return Path(tempfile.gettempdir())
