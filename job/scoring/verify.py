"""Is a published run still what was published? Its manifest lists every file with its size and SHA-256."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from job.errors import Problem
from job.scoring.published import LATEST, RUNS, latest_run, verify_run

if TYPE_CHECKING:
    from pathlib import Path


class Verification(NamedTuple):
    """What became of the runs of an output: how many, how many files of their manifests were read, what is wrong."""

    runs: int
    files: int
    problems: list[Problem]


def verify_output(output: Path) -> Verification:
    """Compare every file of every run of an output with its manifest, but for hidden folders of runs that go on.

    Raises OSError.
    """
    files, problems = 0, []
    folders = sorted(path for path in (output / RUNS).iterdir() if not path.name.startswith("."))
    for folder in folders:
        read, faults = verify_run(folder, with_digests=True)
        files += read
        problems += faults
    if folders and latest_run(output) is None:
        problems.append(Problem(LATEST, "the name of a published run", "none"))
    return Verification(len(folders), files, problems)
