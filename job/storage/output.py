"""Publish a run to object storage: readers see it whole, or not at all.

There is no rename there. A run is made in a local folder, as any other, and then sent: its files first, each read back
and compared, `manifest.json` and `_SUCCESS` last, and then the small object `latest`, whose text is `runs/<run_id>`.
What has no `_SUCCESS` is no run: readers pass over it, and the next run removes it.

The local folder begins as a mirror of the published runs, of which it holds what tells them apart (`manifest.json`,
`_SUCCESS`) and the sizes of the others; so everything that a run does with the runs before it works as it does on a
disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from job.beneath import is_file_beneath, names_beneath, opened_beneath, read_beneath
from job.errors import OutputError
from job.scoring.effects import LIFT, LIFTS, read_lifts
from job.scoring.look import ACKNOWLEDGED
from job.scoring.published import (
    LATEST,
    MANIFEST,
    RUN_NAME,
    RUNS,
    SUCCESS,
    is_whole,
    latest_run,
    published_runs,
    read_manifest,
)
from job.storage.bucket import ChangedObjectError, StorageError
from schemas.manifest import parse_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from job.storage.bucket import Bucket
    from job.storage.lease import Lease

READERS: Final = 8

_RUN: Final = re.compile(rf"{RUNS}/(?P<run_id>{RUN_NAME.pattern})/(?P<file>[^/]+(?:/.*)?)")

_BESIDE: Final = re.compile(rf"{ACKNOWLEDGED}/{RUN_NAME.pattern}|{LIFTS}/{RUN_NAME.pattern}/{re.escape(LIFT)}")
"""What is known of runs and lies beside them."""


def list_runs_files(bucket: Bucket) -> dict[str, dict[str, int]]:
    """Return run -> the names of its files with their sizes in bytes; of runs that are not whole, too."""
    runs: dict[str, dict[str, int]] = {}
    for name, entry in bucket.entries(RUNS).items():
        if (match := _RUN.fullmatch(name)) and not {"", ".", ".."} & set(name.split("/")):
            runs.setdefault(match["run_id"], {})[match["file"]] = entry.size
    return runs


def read_latest(bucket: Bucket) -> str | None:
    """Return the run that `latest` names, None if it names none."""
    content = bucket.read(LATEST)
    match = _RUN.fullmatch(f"{content[0].decode('ascii', 'replace').strip()}/{SUCCESS}") if content else None
    return match["run_id"] if match else None


def remove_dead_runs(bucket: Bucket) -> None:
    """Remove what runs left that did not end. The output must be held."""
    for run_id, files in list_runs_files(bucket).items():
        if SUCCESS not in files:
            bucket.remove(f"{RUNS}/{run_id}/{file}" for file in files)


def mirror_runs(bucket: Bucket, folder: Path) -> None:
    """Make a local output of the published runs, and of `latest` and who looked at which run.

    Of each run it has the manifest and `_SUCCESS`; its other files are as long as theirs, and take no space. Of each
    lift it has the JSON.

    Raises:
        StorageError: the store refuses or does not answer.
        OSError: the folder cannot be written.
    """
    runs = {run_id: files for run_id, files in list_runs_files(bucket).items() if SUCCESS in files}
    (folder / RUNS).mkdir(parents=True)
    copied = [name for name in (*bucket.entries(ACKNOWLEDGED), *bucket.entries(LIFTS)) if _BESIDE.fullmatch(name)]
    for run_id, files in runs.items():
        for file, size in files.items():
            (folder / RUNS / run_id / file).parent.mkdir(parents=True, exist_ok=True)
            if file in (MANIFEST, SUCCESS):
                copied.append(f"{RUNS}/{run_id}/{file}")
            else:
                with (folder / RUNS / run_id / file).open("wb") as placeholder:
                    placeholder.truncate(size)
    with ThreadPoolExecutor(READERS) as pool:
        for name, content in zip(copied, pool.map(bucket.read, copied), strict=True):
            if content is not None:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content[0])
    latest = read_latest(bucket)
    if latest is not None:
        (folder / LATEST).symlink_to(Path(RUNS) / latest)


def mirror_folder(output: Path, folder: Path) -> None:
    """Make such a mirror of an output that is a folder; of one that is not there, an empty one. Raises OSError."""
    (folder / RUNS).mkdir(parents=True)
    for run in published_runs(output):
        copy = folder / RUNS / run.name
        copy.mkdir()
        for name in (MANIFEST, SUCCESS):
            (copy / name).write_bytes(read_beneath(run, name))
        for name, described in read_manifest(run)["outputs"].items():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            with (copy / name).open("wb") as placeholder:
                placeholder.truncate(described["bytes"])
        if is_file_beneath(output, f"{ACKNOWLEDGED}/{run.name}"):
            (folder / ACKNOWLEDGED).mkdir(exist_ok=True)
            (folder / ACKNOWLEDGED / run.name).touch()
    for lift in read_lifts(output)[0]:
        (folder / LIFTS / lift.run_id).mkdir(parents=True)
        (folder / LIFTS / lift.run_id / LIFT).write_bytes(read_beneath(output / LIFTS / lift.run_id, LIFT))
    latest = latest_run(output)
    if latest is not None:
        (folder / LATEST).symlink_to(Path(RUNS) / latest)


def bring_file(output: Bucket | Path, folder: Path, name: str) -> None:
    """Write a file of a run into its mirror; where the output does not have it, nothing.

    Args:
        output: where the run was published.
        folder: of the run in the mirror.
        name: of the file.

    Raises:
        StorageError: the store refuses or does not answer.
        OSError: it cannot be written.
    """
    if isinstance(output, Path):
        with opened_beneath(output / RUNS / folder.name, name) as source, (folder / name).open("wb") as copy:
            shutil.copyfileobj(source, copy)
    elif (entry := output.entry(f"{RUNS}/{folder.name}/{name}")) is not None:
        output.fetch(entry, folder / name)


def send_changes(bucket: Bucket, folder: Path, lease: Lease, *, sent: str | None) -> None:
    """Make the store hold the runs of a mirror.

    Args:
        bucket: the output, held.
        folder: its mirror, in which a run was published.
        lease: by which it is held.
        sent: the run that is new; None if there is none.

    Raises:
        StorageError: the store refuses or does not answer; the new run is then removed again.
        OutputError: it does not give back what was sent.
        OutputBusyError: another run took the output.
    """
    if sent is not None:
        if sent in (stored := list_runs_files(bucket)):  # what is there is no whole run
            lease.check()
            bucket.remove(f"{RUNS}/{sent}/{file}" for file in sorted(stored[sent], key=lambda file: file != SUCCESS))
        send_run(bucket, folder / RUNS / sent, lease)
    shown = (folder / LATEST).resolve().name
    lease.check()
    if shown != read_latest(bucket):
        bucket.write(LATEST, f"{RUNS}/{shown}\n".encode())
    kept = {path.name for path in (folder / RUNS).iterdir()}
    for run_id, files in list_runs_files(bucket).items():
        if run_id not in kept:
            lease.check()
            bucket.remove(f"{RUNS}/{run_id}/{file}" for file in sorted(files, key=lambda file: file != SUCCESS))


def holds_run(bucket: Bucket, run: Path) -> bool:
    """Return whether the store holds every file of a run as the manifest of its mirror says. Raises StorageError."""
    if not is_whole(run):
        return False
    outputs = read_manifest(run)["outputs"]
    try:
        return all(bucket.digest(f"{RUNS}/{run.name}/{file}") == output["sha256"] for file, output in outputs.items())
    except ChangedObjectError:
        return False


def send_run(bucket: Bucket, run: Path, lease: Lease) -> None:
    """Send the files of a run, `manifest.json` and `_SUCCESS` last. Raises as `send_changes`."""
    outputs = parse_manifest((run / MANIFEST).read_bytes())["outputs"]
    known = {file: described["sha256"] for file, described in outputs.items()}
    names: list[str] = []
    with _removed_unless_whole(bucket, names, lease):
        files = {name: run / name for name in names_beneath(run)}
        for file in sorted(files, key=lambda file: (file == SUCCESS, file == MANIFEST, file)):
            lease.check()
            name, path = f"{RUNS}/{run.name}/{file}", files[file]
            names.append(name)
            bucket.send(path, name)
            _verify(bucket, name, path, known.get(file))


def _verify(bucket: Bucket, name: str, path: Path, digest: str | None) -> None:
    if digest is None:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    try:
        stored = bucket.digest(name)
    except ChangedObjectError:
        stored = None
    if stored != digest:
        raise OutputError(
            f"{bucket.address / name}: cannot be written: the store gives back other bytes than it was sent"
        )


@contextlib.contextmanager
def _removed_unless_whole(bucket: Bucket, names: Sequence[str], lease: Lease) -> Iterator[None]:
    """Remove what was sent of a run if the block raises and the output is still ours; else the next run does."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(Exception):
            lease.check()
            bucket.remove(reversed(names))
        raise


@contextlib.contextmanager
def as_storage_output_error() -> Iterator[None]:
    """Turn what a store says while the output is written into one line.

    Raises:
        OutputError: in place of a StorageError.
    """
    try:
        yield
    except StorageError as error:
        raise OutputError(f"{error.place}: cannot be written: {error.reason}") from error
