"""Has this drop been published before? Last month's files, still lying there, satisfy every wait at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from job.errors import JobError, Problem, SettingsError
from job.intake.drop import TableFile, all_files, find_files, hash_file
from job.intake.reconcile import Intake, accept_drop
from job.scoring.published import read_runs
from schemas.manifest import Manifest, input_digests

if TYPE_CHECKING:
    from job.settings import Limits

Digests = frozenset[str]
"""SHA-256 of each file of a drop."""


def read_published_inputs(output: Path) -> dict[Digests, str]:
    """Return the drops that an output has published -> the newest run of each. A run that cannot be read has none."""
    return {input_digests(manifest["inputs"]): folder.name for folder, manifest in reversed(read_runs(output))}


def refuse_published(known: Mapping[Digests, str], files: Mapping[str, TableFile]) -> Problem | None:
    """Return what is wrong with a complete drop if it was published before; nothing is hashed if none was."""
    if not known:
        return None
    run = known.get(frozenset(hash_file(file) for file in all_files(files)))
    return None if run is None else Problem("--require-new", "a drop that is new", f"the one of run {run}")


def read_again(manifest: Manifest, limits: Limits) -> Intake:
    """Read the drop that a run scored once more. Raises SettingsError: it is gone, cannot be read, or is another."""
    drop = Path(manifest["drop"])
    try:
        files = find_files(drop)
        is_same = {hash_file(file) for file in all_files(files)} == input_digests(manifest["inputs"])
        intake = accept_drop(files, labelled=False, limits=limits) if is_same else None
    except (JobError, OSError) as error:
        raise SettingsError([Problem(str(drop), "the drop that the run scored", str(error))]) from error
    if intake is None:
        raise SettingsError([Problem(str(drop), "the drop that the run scored, unchanged", "another")])
    return intake
