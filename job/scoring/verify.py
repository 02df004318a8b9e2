"""Is a published run still what was published? Its manifest lists every file with its size and SHA-256."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from job.errors import Problem, reason_of
from job.scoring.publish import LATEST, MANIFEST, RUNS, SUCCESS
from schemas.manifest import parse_manifest

if TYPE_CHECKING:
    from pathlib import Path


class Verification(NamedTuple):
    """What became of the runs of an output.

    Args:
        runs: folders that were looked at.
        files: of their manifests, that were read.
        problems: one for each file that is not what was published, and each folder that is no whole run.
    """

    runs: int
    files: int
    problems: list[Problem]


def is_whole(run: Path) -> bool:
    """Return whether a run of this name is there with all its files, as far as their sizes tell."""
    return (run / SUCCESS).is_file() and not verify_run(run, with_digests=False)[1]


def verify_output(output: Path) -> Verification:
    """Read every file of every run of an output, and compare it with its manifest. Raises OSError.

    Hidden folders, which belong to runs that go on, are passed over.
    """
    files, problems = 0, []
    folders = sorted(path for path in (output / RUNS).iterdir() if path.is_dir() and not path.name.startswith("."))
    for folder in folders:
        read, found = verify_run(folder, with_digests=True)
        files += read
        problems += found
    latest = output / LATEST
    if folders and not (latest / SUCCESS).is_file():
        problems.append(Problem(LATEST, "the name of a published run", "none"))
    return Verification(len(folders), files, problems)


def verify_run(run: Path, *, with_digests: bool) -> tuple[int, list[Problem]]:
    """Return how many files a run's manifest lists, and what is wrong with them.

    Args:
        run: the folder of the run.
        with_digests: read each file; else only its size is compared.
    """
    name = f"{RUNS}/{run.name}"
    if not (run / SUCCESS).is_file():
        return 0, [Problem(name, f"a published run, with {SUCCESS}", f"no {SUCCESS}: it will be made again")]
    try:
        outputs = parse_manifest((run / MANIFEST).read_bytes())["outputs"]
    except (OSError, ValueError) as error:
        return 0, [Problem(f"{name}/{MANIFEST}", "the manifest of a run of this version", reason_of(error))]
    problems = []
    for file, told in outputs.items():
        path = run / file
        try:
            size = path.stat().st_size
            if size != told["bytes"]:
                problems.append(Problem(f"{name}/{file}", f"{told['bytes']:,} bytes", f"{size:,} bytes"))
            elif with_digests:
                with path.open("rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
                if digest != told["sha256"]:
                    problems.append(Problem(f"{name}/{file}", f"SHA-256 {told['sha256']}", digest))
        except OSError as error:
            problems.append(Problem(f"{name}/{file}", "a file as published", reason_of(error)))
    known = {*outputs, MANIFEST, SUCCESS}
    if with_digests:
        strangers = sorted(
            path.relative_to(run).as_posix()
            for path in run.rglob("*")
            if not path.is_dir() and path.relative_to(run).as_posix() not in known
        )
        problems += [Problem(f"{name}/{stranger}", "only files of the manifest", "another") for stranger in strangers]
    return len(outputs), problems
