"""The published runs of an output: only what is named like a run and is what its manifest says is one.

Others may write to an output. What is not a run of this job is passed over and told, whatever it is; it stops nothing.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from job.beneath import is_plain_folder, names_beneath, opened_beneath, read_beneath
from job.errors import Problem, reason_of, shorten
from schemas.manifest import Manifest, parse_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

RUNS: Final = "runs"
LATEST: Final = "latest"
SUCCESS: Final = "_SUCCESS"
MANIFEST: Final = "manifest.json"
SCORED: Final = "scored.parquet"
RUN_NAME: Final = re.compile(r"[0-9a-f]{16}(-[0-9]{1,9})?")

LARGEST_STEP: Final = 1_000_000  # between the numbers of runs that follow each other; they are counted one by one
SHOWN_STRANGERS: Final = 5

_NUMBER: Final = re.compile(rb"[0-9]{1,18}\n?")
_LATEST: Final = re.compile(rf"{RUNS}/(?P<run_id>{RUN_NAME.pattern})")

logger = logging.getLogger(__name__)


def published_runs(output: Path) -> list[Path]:
    """Return the folders of the whole runs, the newest first, as far as manifests and sizes tell. Raises OSError."""
    return [run for run, _ in read_runs(output)]


def read_runs(output: Path) -> list[tuple[Path, Manifest]]:
    """Return the folders of the same runs, with their manifests. Raises OSError."""
    named = [output / RUNS / name for name in _names(output) if RUN_NAME.fullmatch(name)]
    numbers = {run: number for run in named if is_plain_folder(run) and (number := _number_of(run)) is not None}
    runs = sorted(numbers, key=lambda run: (numbers[run], run.name))
    last = min(numbers.values(), default=0)
    whole = []
    for run in runs:
        if numbers[run] - last > LARGEST_STEP:
            break
        manifest, problems = check_run(run, with_digests=False)
        if manifest is not None and not problems:
            whole.append((run, manifest))
            last = numbers[run]
    return whole[::-1]


def next_number(output: Path) -> int:
    """Return the number of the run that is published next. Raises OSError."""
    runs = published_runs(output)
    return 1 + ((_number_of(runs[0]) or 0) if runs else 0)


def latest_run(output: Path) -> str | None:
    """Return the name of the published run that `latest` names, None if it names none; it may have been altered."""
    try:
        latest = os.fspath((output / LATEST).readlink())
    except OSError:  # it may be a text file, as on a file system without links
        try:
            latest = read_beneath(output, LATEST, limit=100).decode("ascii", errors="replace").strip()
        except OSError:
            return None
    match = _LATEST.fullmatch(latest)
    run = output / RUNS / match["run_id"] if match else None
    return run.name if run is not None and is_plain_folder(run) and _number_of(run) is not None else None


def resolve_latest(run: Path) -> Path:
    """Return the run that a path names: the one of `latest`, where that is a text file, or the path itself."""
    shown = latest_run(run.parent) if run.name == LATEST and run.is_file() else None
    return run if shown is None else run.parent / RUNS / shown


def is_whole(run: Path) -> bool:
    """Return whether a run of this name is there with all its files, as far as their sizes tell."""
    return not check_run(run, with_digests=False)[1]


def is_intact(run: Path) -> bool:
    """Return whether a run of this name is there, and every file of it is the one of its manifest."""
    return not check_run(run, with_digests=True)[1]


def read_manifest(run: Path) -> Manifest:
    """Return the manifest of a run. Raises OSError: no file can be read; ValueError: it is none of this run."""
    manifest = parse_manifest(read_beneath(run, MANIFEST))
    if manifest["run_id"] != run.name:
        raise ValueError(f"that of run {shorten(manifest['run_id'])}")
    return manifest


def parts_of(manifest: Manifest) -> list[str]:
    """Return the names of the files that are `scored.parquet`: itself, or the parts in a folder of that name."""
    return sorted(name for name in manifest["outputs"] if name == SCORED or name.startswith(f"{SCORED}/"))


def read_scored(run: Path, manifest: Manifest, columns: Sequence[str]) -> pl.DataFrame:
    """Return columns of a run's scored customers, by `id`.

    Raises OSError: a file cannot be read; ValueError: it is not the one of the manifest; PolarsError: it is no table.
    """
    parts = []
    for name in parts_of(manifest):
        with opened_beneath(run, name) as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != manifest["outputs"][name]["sha256"]:
                raise ValueError(f"{name} is not as published")
            stream.seek(0)
            parts.append(pl.read_parquet(stream, columns=list(columns)))
    if not parts:
        raise ValueError(f"no {SCORED}")
    return pl.concat(parts)


def check_run(run: Path, *, with_digests: bool) -> tuple[Manifest | None, list[Problem]]:
    """Return a run's manifest, and what is wrong with the files that it lists, by their sizes or by all they hold."""
    name = f"{RUNS}/{shorten(run.name)}"
    if RUN_NAME.fullmatch(run.name) is None or not is_plain_folder(run):
        return None, [Problem(name, "a folder that is named like a run", "another, which is passed over")]
    if _number_of(run) is None:
        fault = f"no {SUCCESS}: it will be made again" if not (run / SUCCESS).exists() else f"another {SUCCESS}"
        return None, [Problem(name, f"a published run, with {SUCCESS}", fault)]
    try:
        manifest = read_manifest(run)
    except (OSError, ValueError) as error:
        return None, [Problem(f"{name}/{MANIFEST}", "the manifest of a run of this version", reason_of(error))]
    problems = []
    for file, output in manifest["outputs"].items():
        where = f"{name}/{shorten(file)}"
        try:
            with opened_beneath(run, file) as stream:
                size = os.fstat(stream.fileno()).st_size
                is_read = with_digests and size == output["bytes"]
                digest = hashlib.file_digest(stream, "sha256").hexdigest() if is_read else output["sha256"]
            if size != output["bytes"]:
                problems.append(Problem(where, f"{output['bytes']:,} bytes", f"{size:,} bytes"))
            elif digest != output["sha256"]:
                problems.append(Problem(where, f"SHA-256 {output['sha256']}", digest))
        except OSError as error:
            problems.append(Problem(where, "a file as published", reason_of(error)))
    if with_digests:
        expected = "only files of the manifest"
        try:
            strangers = sorted({*names_beneath(run)} - {*manifest["outputs"], MANIFEST, SUCCESS})
            problems += [Problem(f"{name}/{shorten(file)}", expected, "another") for file in strangers]
        except OSError as error:
            problems.append(Problem(name, expected, reason_of(error)))
    return manifest, problems


class Verification(NamedTuple):
    """What became of the runs of an output: how many, how many files of their manifests were read, what is wrong."""

    runs: int
    files: int
    problems: list[Problem]


def verify_output(output: Path) -> Verification:
    """Compare every file of an output's runs with its manifest; hidden folders, of runs that go on, are passed over."""
    files, problems = 0, []
    folders = [output / RUNS / name for name in _names(output)]
    for folder in folders:
        manifest, faults = check_run(folder, with_digests=True)
        files += len(manifest["outputs"]) if manifest is not None else 0
        problems += faults
    if folders and latest_run(output) is None:
        problems.append(Problem(LATEST, "the name of a published run", "none"))
    return Verification(len(folders), files, problems)


def tell_strangers(output: Path, runs: Iterable[Path]) -> None:
    """Log what lies among the published runs and is none, if anything does."""
    published = {run.name for run in runs}
    strangers = sorted(shorten(name) for name in _names(output) if name not in published)
    if strangers:
        more = f" and {len(strangers) - SHOWN_STRANGERS:,} more" if len(strangers) > SHOWN_STRANGERS else ""
        listed = ", ".join(strangers[:SHOWN_STRANGERS])
        logger.warning("%s: passed over, for it is no run as published: %s%s", output / RUNS, listed, more)


def _names(output: Path) -> list[str]:
    """Return what lies in the folder of runs and is not hidden, in order; nothing where there is no such folder."""
    names = [path.name for path in (output / RUNS).iterdir()] if is_plain_folder(output / RUNS) else []
    return sorted(name for name in names if not name.startswith("."))


def _number_of(run: Path) -> int | None:
    """Return the place of a run in the order of publishing, None without a right one."""
    try:
        written = read_beneath(run, SUCCESS, limit=20)
    except OSError:
        return None
    return int(written) if _NUMBER.fullmatch(written) else None
