"""The published runs of an output, as a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from job.errors import SettingsError, reason_of, shorten
from job.scoring.published import latest_run, read_runs, tell_strangers
from job.text_table import Columns, table

if TYPE_CHECKING:
    from schemas.manifest import Manifest


def list_runs(output: Path) -> list[dict[str, Any]]:
    """Return the whole runs, the newest first, each with its name, sums, model and drift (None without a comparison).

    What is no run as published is passed over, and told in the log. Raises SettingsError: the folder cannot be listed.
    """
    try:
        runs = read_runs(output)
        tell_strangers(output, [run for run, _ in runs])
        latest = latest_run(output)
        return [{"run_id": run.name, "is_latest": run.name == latest, **_describe(manifest)} for run, manifest in runs]
    except (OSError, ValueError) as error:  # or it is altered at this moment
        raise SettingsError(f"{output}: cannot be read: {reason_of(error)}") from error


COLUMNS: Final[Columns] = {
    "": lambda run: "*" if run["is_latest"] else "",
    "run": "{run_id}",
    "finished": "{finished}",
    "customers": "{customers:,}",
    "scored": "{scored:,}",
    "contacts": "{contacts:,}",
    "ROC-AUC": "{estimated_roc_auc:.3f}",
    "drift": "{drift:s}",
    "model": lambda run: (
        f"{run['model']} ("
        + ("" if run["model_version"] is None else f"version {run['model_version']}, ")
        + f"{run['model_digest'][:12]})"
    ),
}


def summarise_runs(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return the runs as a table for a person; `*` marks the one that `latest` names."""
    if not runs:
        return "No runs."
    lines = table(COLUMNS, runs)
    if any(run["estimated_roc_auc"] is not None for run in runs):
        lines += ["", "  ROC-AUC: without labels, if a probability still means what it did in training."]
    return "\n".join(lines)


def _describe(manifest: Manifest) -> dict[str, Any]:
    drift = manifest["drift"]
    estimated = drift and drift["roc_auc"]
    return {
        "finished": shorten(manifest["finished"]),
        "customers": manifest["customers"]["in"],
        "scored": manifest["customers"]["scored"],
        "contacts": manifest["campaign"]["contacts"],
        "model": shorten(manifest["model"]["title"]),
        "model_version": manifest["model"]["version"],
        "model_digest": shorten(manifest["model"]["digest"]),
        "drift": drift and shorten(drift["severity"]),
        "estimated_roc_auc": estimated and estimated["estimate"],
    }
