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
import re
import shutil
from collections.abc import Callable, Iterable
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
    read_manifest,
    read_runs,
)
from job.scoring.tables import hash_file
from schemas.manifest import parse_manifest

if TYPE_CHECKING:
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
    content = bucket.content(LATEST) or b""
    match = _RUN.fullmatch(f"{content.decode('ascii', 'replace').strip()}/{SUCCESS}")
    return match["run_id"] if match else None


def mirror_output(output: Bucket | Path, folder: Path, *, only: str | None = None) -> Path:
    """Make a local output of the published runs of another, of `latest`, lifts and who looked at which run; return it.

    Of each run it has the manifest and `_SUCCESS`; its other files are as long as theirs, and take no space. Of each
    lift it has the JSON. The mirror of an output that is not there is empty; with `only` it has no run of another name.
    Raises StorageError and OSError.
    """
    read: Callable[[str], bytes | None]
    if isinstance(output, Path):
        runs = {
            run.name: {name: written["bytes"] for name, written in manifest["outputs"].items()}
            for run, manifest in read_runs(output)
        }
        looked_at = [name for name in (f"{ACKNOWLEDGED}/{run_id}" for run_id in runs) if is_file_beneath(output, name)]
        beside = [*looked_at, *(f"{LIFTS}/{lift.run_id}/{LIFT}" for lift in read_lifts(output)[0])]
        latest, read = latest_run(output), lambda name: read_beneath((output / name).parent, Path(name).name)
    else:
        whole = {run_id: files for run_id, files in list_runs_files(output).items() if SUCCESS in files}
        runs = {run_id: files for run_id, files in whole.items() if only in (None, run_id)}
        beside = [name for name in (*output.entries(ACKNOWLEDGED), *output.entries(LIFTS)) if _BESIDE.fullmatch(name)]
        latest, read = read_latest(output), output.content
    (folder / RUNS).mkdir(parents=True)
    for run_id, files in runs.items():
        for file, size in files.items():
            path = folder / RUNS / run_id / file
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as placeholder:
                placeholder.truncate(size)
    copied = [*beside, *(f"{RUNS}/{run_id}/{file}" for run_id in runs for file in (MANIFEST, SUCCESS))]
    with ThreadPoolExecutor(READERS) as pool:
        for name, content in zip(copied, pool.map(read, copied), strict=True):
            if content is not None:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
    if latest is not None:
        (folder / LATEST).symlink_to(Path(RUNS) / latest)
    return folder


def bring_file(output: Bucket | Path, folder: Path, name: str) -> None:
    """Write a file of a published run into the run's folder in the mirror; one that the store lacks is left out.

    Raises StorageError and OSError.
    """
    if isinstance(output, Path):
        with opened_beneath(output / RUNS / folder.name, name) as source, (folder / name).open("wb") as copy:
            shutil.copyfileobj(source, copy)
    elif (entry := output.entry(f"{RUNS}/{folder.name}/{name}")) is not None:
        output.fetch(entry, folder / name)


def remove_others(bucket: Bucket, folder: Path, lease: Lease) -> None:
    """Remove the runs of a store that its mirror has not. Raises StorageError and OutputBusyError."""
    kept = {path.name for path in (folder / RUNS).iterdir()}
    for run_id, files in list_runs_files(bucket).items():
        if run_id not in kept:
            lease.check()
            _remove_run(bucket, run_id, files)


def _remove_run(bucket: Bucket, run_id: str, files: Iterable[str]) -> None:
    """Remove the files of a run, `_SUCCESS` first: what has none is no run."""
    bucket.remove(f"{RUNS}/{run_id}/{file}" for file in sorted(files, key=lambda file: file != SUCCESS))


def send_changes(bucket: Bucket, folder: Path, lease: Lease, *, sent: str | None) -> None:
    """Make the store hold the runs of a mirror of it; `sent` is the run that is new, if there is one.

    Raises StorageError, after which the new run is removed again, OutputError if the store does not give back what was
    sent, and OutputBusyError if another run took the output.
    """
    if sent is not None:
        if sent in (stored := list_runs_files(bucket)):  # what is there is no whole run
            lease.check()
            _remove_run(bucket, sent, stored[sent])
        _send_run(bucket, folder / RUNS / sent, lease)
    shown = (folder / LATEST).resolve().name
    lease.check()
    if shown != read_latest(bucket):
        bucket.write(LATEST, f"{RUNS}/{shown}\n".encode())
    remove_others(bucket, folder, lease)


def holds_run(bucket: Bucket, run: Path) -> bool:
    """Return whether the store holds every file of a run as the manifest of its mirror says. Raises StorageError."""
    return is_whole(run) and all(
        bucket.digest(f"{RUNS}/{run.name}/{file}") == output["sha256"]
        for file, output in read_manifest(run)["outputs"].items()
    )


def _send_run(bucket: Bucket, run: Path, lease: Lease) -> None:
    """Send the files of a run, `manifest.json` and `_SUCCESS` last; if that fails, remove what was sent of it.

    If the output is no longer ours, the next run removes it.
    """
    outputs = parse_manifest((run / MANIFEST).read_bytes())["outputs"]
    sent: list[str] = []
    try:
        for file in sorted(names_beneath(run), key=lambda file: (file == SUCCESS, file == MANIFEST, file)):
            lease.check()
            sent.append(name := f"{RUNS}/{run.name}/{file}")
            bucket.send(run / file, name)
            if bucket.digest(name) != (outputs[file]["sha256"] if file in outputs else hash_file(run / file)):
                refusal = "cannot be written: the store gives back other bytes than it was sent"
                raise OutputError(f"{bucket.address / name}: {refusal}")  # noqa: TRY301 - what was sent goes, as ever
    except BaseException:
        with contextlib.suppress(Exception):
            lease.check()
            bucket.remove(reversed(sent))
        raise
