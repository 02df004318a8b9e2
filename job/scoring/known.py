"""Has this drop been published before? Last month's files, still lying there, satisfy every wait at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from job.errors import Problem
from job.intake.drop import all_files, hash_file
from job.scoring.published import published_runs, read_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from job.intake.drop import TableFile

Digests = frozenset[str]
"""SHA-256 of each file of a drop."""


def read_published_inputs(output: Path) -> dict[Digests, str]:
    """Return the drops that an output has published -> the newest run of each. A run that cannot be read has none."""
    known: dict[Digests, str] = {}
    for run in reversed(published_runs(output)):
        try:
            inputs = read_manifest(run)["inputs"]
            known[frozenset(str(file["sha256"]) for file in inputs)] = run.name
        except (OSError, ValueError):
            continue
    return known


def refuse_published(known: Mapping[Digests, str], files: Mapping[str, TableFile]) -> Problem | None:
    """Return what is wrong with a complete drop if it was published before, else None.

    Args:
        known: of `read_published_inputs`; nothing is hashed if it is empty.
        files: table -> its file.
    """
    if not known:
        return None
    run = known.get(frozenset(hash_file(file) for file in all_files(files)))
    return None if run is None else Problem("--require-new", "a drop that is new", f"the one of run {run}")
