"""A published run, read for what came of it. Nothing is ever written to it."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from job.errors import ArtifactError, Problem, SettingsError
from job.scoring.publish import MANIFEST, SUCCESS
from schemas.scored import CAMPAIGN_GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SCORED: Final = "scored.parquet"

_COLUMNS: Final[dict[str, type[pl.DataType]]] = {
    "id": pl.Int64,
    "decline_probability": pl.Float64,
    "risk_decile": pl.Int8,
    "monthly_profit": pl.Float64,
    "segment": pl.String,
    "offer": pl.String,
    "contact_allowed": pl.Boolean,
    "campaign_group": pl.String,
    "in_training": pl.Boolean,
}
_COST_KEYS: Final = ("cost_per_contact", "cost")


@dataclass(frozen=True)
class PublishedRun:
    """A run that is whole and unaltered.

    Args:
        folder: where it is, links followed.
        manifest: its manifest.
        scored: one row per scored customer, ordered by `id`; of its columns those that a campaign is measured by.
    """

    folder: Path
    manifest: dict[str, Any]
    scored: pl.DataFrame

    @property
    def run_id(self) -> str:
        """The run's name."""
        return str(self.manifest.get("run_id", self.folder.name))

    @property
    def input_digests(self) -> set[str]:
        """The SHA-256 of the files that the run scored."""
        inputs = self.manifest.get("inputs")
        return (
            {str(file.get("sha256")) for file in inputs if isinstance(file, dict)}
            if isinstance(inputs, list)
            else set()
        )


def load_run(folder: Path) -> PublishedRun:
    """Read a published run.

    Args:
        folder: `OUT/runs/ID`, or a link to it such as `OUT/latest`.

    Raises:
        SettingsError: this is no published run.
        ArtifactError: it is one that was altered, that cannot be read, or that was made before runs had groups.
    """
    if not (folder / SUCCESS).is_file():
        found = "no such folder" if not folder.is_dir() else f"a folder without {SUCCESS}"
        raise SettingsError([Problem(str(folder), "a published run (OUT/runs/ID)", found)])
    folder = folder.resolve()
    manifest = _read_manifest(folder / MANIFEST)
    outputs = manifest.get("outputs")
    described = outputs if isinstance(outputs, dict) else {}
    parts = sorted(name for name in described if name == SCORED or name.startswith(f"{SCORED}/"))
    scored = [_parse(_read_verified(folder, name, described.get(name))) for name in parts or [SCORED]]
    return PublishedRun(folder, manifest, pl.concat(scored))


def offer_costs(manifest: Mapping[str, Any]) -> dict[str, float]:
    """Return offer -> cost per contact, in the shop's units, as far as the manifest tells.

    It may tell it in a list of segments or offers whose rows name the `offer` (or the `code`), or in a mapping
    offer -> row.
    """
    return {
        offer: float(cost)
        for row in _offer_rows(manifest)
        for offer in [row.get("offer", row.get("code"))]
        for cost in [next((row[key] for key in _COST_KEYS if key in row), None)]
        if isinstance(offer, str) and isinstance(cost, (int, float))
    }


def segment_titles(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return segment -> its Russian title, as far as the manifest tells."""
    listed = manifest.get("segments")
    rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    return {str(row.get("segment", row.get("code"))): str(row["title"]) for row in rows if "title" in row}


def _offer_rows(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for key in ("segments", "offers"):
        listed = manifest.get(key)
        if isinstance(listed, dict):
            listed = [{"offer": offer, **row} for offer, row in listed.items() if isinstance(row, dict)]
        for row in listed if isinstance(listed, list) else ():
            if isinstance(row, dict):
                yield {**row, **row["offer"]} if isinstance(row.get("offer"), dict) else row


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError([Problem(path.name, "a file of the run", error.strerror or str(error))]) from error


def _read_verified(folder: Path, name: str, described: object) -> bytes:
    """Return the content of `scored.parquet`, or of a part of it."""
    if not isinstance(described, dict) or "sha256" not in described:
        raise ArtifactError([Problem(MANIFEST, f"the SHA-256 of {name} under outputs", "none")])
    content = _read(folder / name)
    digest = hashlib.sha256(content).hexdigest()
    if digest != described["sha256"]:
        expected = f"the run as published (SHA-256 {str(described['sha256'])[:16]}…)"
        raise ArtifactError([Problem(name, expected, f"an altered file ({digest[:16]}…)")])
    return content


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(_read(path))
    except ValueError as error:
        raise ArtifactError([Problem(path.name, "JSON, as published", str(error))]) from error
    if not isinstance(manifest, dict):
        raise ArtifactError([Problem(path.name, "a JSON object, as published", type(manifest).__name__)])
    return manifest


def _parse(content: bytes) -> pl.DataFrame:
    try:
        scored = pl.read_parquet(io.BytesIO(content))
    except pl.exceptions.PolarsError as error:
        raise ArtifactError([Problem(SCORED, "a Parquet table", str(error))]) from error
    missing = sorted(set(_COLUMNS) - set(scored.columns))
    if missing:
        expected = "a run of a version that draws a control group"
        raise ArtifactError([Problem(SCORED, expected, f"no column {', '.join(missing)}")])
    other = [f"{name} ({scored.schema[name]})" for name, dtype in _COLUMNS.items() if scored.schema[name] != dtype]
    if other:
        raise ArtifactError([Problem(SCORED, "the columns of this version", ", ".join(other))])
    groups = sorted(set(scored["campaign_group"].drop_nulls()) - set(CAMPAIGN_GROUPS))
    if groups or scored.select(pl.any_horizontal(pl.col(*_COLUMNS).is_null()).any()).item():
        raise ArtifactError(
            [Problem(SCORED, f"groups {', '.join(CAMPAIGN_GROUPS)}, nothing null", ", ".join(groups) or "nulls")]
        )
    return scored.select(*_COLUMNS).sort("id")
