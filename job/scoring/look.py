"""Runs that a person must look at, and who did.

A run whose customers differ too much from those of training, or from the run before, is published and ends in exit
code 8; so does every rerun of it, until a person has acknowledged it. Runs are never written to again, so that is kept
beside them: `OUT/acknowledged/<run_id>`.
"""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from job.beneath import is_file_beneath
from job.errors import Problem, SettingsError
from job.files import replace_file
from job.scoring.publish import as_output_error
from job.scoring.published import RUNS, is_whole

if TYPE_CHECKING:
    from schemas.manifest import Manifest

ACKNOWLEDGED: Final = "acknowledged"


def reasons_to_look(output: Path, run_id: str, manifest: Manifest) -> tuple[str, ...]:
    """Return why a person must look at a run, one line each; nothing if a person did."""
    return () if is_file_beneath(output, f"{ACKNOWLEDGED}/{run_id}") else tuple(manifest["look"])


def acknowledge_run(output: Path, run_id: str, note: str | None) -> None:
    """Note that the user looked at a run, and what they say of it.

    Raises SettingsError: there is none; OutputError: it cannot be written.
    """
    if "/" in run_id or not is_whole(output / RUNS / run_id):
        raise SettingsError([Problem("--acknowledge", f"the name of a run of {output}", run_id)])
    with as_output_error(output):
        (output / ACKNOWLEDGED).mkdir(exist_ok=True)
        looked = {"user": getpass.getuser(), "at": datetime.now(UTC).isoformat(timespec="seconds"), "note": note}
        replace_file(output / ACKNOWLEDGED / run_id, json.dumps(looked, ensure_ascii=False).encode() + b"\n")
