"""The published runs of an output, as a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from job.errors import Problem, SettingsError
from job.scoring.publish import LATEST, MANIFEST, published_runs
from job.text_table import align
from schemas.manifest import parse_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def list_runs(output: Path) -> list[dict[str, Any]]:
    """Return the whole runs, the newest first, each with its name, sums, model and drift.

    `drift` is the worst finding (`none`, `warn` or `stop`), None for a run without a comparison. A run whose manifest
    cannot be read has its name only, everything else None.

    Raises:
        SettingsError: there is no such folder, or it cannot be listed.
    """
    if not output.is_dir():
        raise SettingsError([Problem("--output", "the folder where runs are published", str(output))])
    try:
        latest = (output / LATEST).resolve().name
        return [
            {"run_id": run.name, "is_latest": run.name == latest, **_describe(run)} for run in published_runs(output)
        ]
    except OSError as error:
        raise SettingsError(f"{error.filename or output}: cannot be read: {error.strerror or error}") from error


def summarise_runs(runs: Sequence[dict[str, Any]]) -> str:
    """Return the runs as a table for a person; `*` marks the one that `latest` names."""
    if not runs:
        return "No runs."
    lines = align(
        ("", "run", "finished", "customers", "scored", "contacts", "ROC-AUC", "drift", "model"),
        [
            (
                "*" if run["is_latest"] else "",
                run["run_id"],
                run["finished"] or "unreadable",
                *("-" if run[key] is None else f"{run[key]:,}" for key in ("customers", "scored", "contacts")),
                "-" if run["estimated_roc_auc"] is None else f"{run['estimated_roc_auc']:.3f}",
                run["drift"] or "-",
                _name_model(run),
            )
            for run in runs
        ],
    )
    if any(run["estimated_roc_auc"] is not None for run in runs):
        lines += ["", "  ROC-AUC: without labels, if a probability still means what it did in training."]
    return "\n".join(lines)


def _name_model(run: dict[str, Any]) -> str:
    if run["model"] is None:
        return "-"
    version = "" if run["model_version"] is None else f"version {run['model_version']}, "
    return f"{run['model']} ({version}{run['model_digest'][:12]})"


def _describe(run: Path) -> dict[str, Any]:
    try:
        manifest = parse_manifest((run / MANIFEST).read_bytes())
        drift = manifest["drift"]
        estimated = drift and drift["roc_auc"]
        return {
            "finished": manifest["finished"],
            "customers": manifest["customers"]["in"],
            "scored": manifest["customers"]["scored"],
            "contacts": manifest["campaign"]["contacts"],
            "model": manifest["model"]["title"],
            "model_version": manifest["model"]["version"],
            "model_digest": manifest["model"]["digest"],
            "drift": drift and drift["severity"],
            "estimated_roc_auc": estimated and estimated["estimate"],
        }
    except (FileNotFoundError, ValueError):
        told = ("finished", "customers", "scored", "contacts", "model", "model_version", "model_digest")
        return dict.fromkeys((*told, "drift", "estimated_roc_auc"))
