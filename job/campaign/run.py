"""A published run, read for what came of it, and who really was contacted. Nothing is ever written to a run.

Contacted by its campaign, as the sender says, and by other runs, as their folders say.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from job.beneath import SMALL_BYTES, is_file_beneath, read_beneath
from job.campaign.results import Exposure
from job.errors import ArtifactError, JobError, Problem, SettingsError, reason_of
from job.scoring.past import is_in_outcome
from job.scoring.published import MANIFEST, SCORED, SUCCESS, parts_of, read_runs
from schemas.manifest import Manifest, Output, input_digests, parse_manifest
from schemas.scored import CAMPAIGN_GROUPS, CONTROL, SCORED_DTYPES, TREATMENT

MOST_PROBLEMS: Final = 10
_SEPARATOR: Final = re.compile(r"[;,\t]")
_INT64: Final = 2**63
_UNREAD: Final = ("profit_at_risk", "expected_value", "reason_1", "reason_2", "reason_3")
_COLUMNS: Final = {name: dtype for name, dtype in SCORED_DTYPES.items() if name not in _UNREAD}


@dataclass(frozen=True)
class PublishedRun:
    """A run that is whole and unaltered."""

    folder: Path  # links followed
    manifest: Manifest
    scored: pl.DataFrame  # one row per customer, ordered by `id`; those columns that a campaign is measured by

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self.manifest["run_id"]

    @property
    def input_digests(self) -> frozenset[str]:
        """The SHA-256 of the files that the run scored."""
        return input_digests(self.manifest["inputs"])


def load_run(folder: Path) -> PublishedRun:
    """Read a published run: `OUT/runs/ID`, or a link to it such as `OUT/latest`.

    Raises SettingsError: this is no published run; ArtifactError: it was altered or cannot be read.
    """
    if not is_file_beneath(folder, SUCCESS):
        found = "no such folder" if not folder.is_dir() else f"a folder without {SUCCESS}"
        raise SettingsError([Problem(str(folder), "a published run (OUT/runs/ID)", found)])
    folder = folder.resolve()
    manifest = _read_manifest(folder)
    parts = parts_of(manifest) or [SCORED]
    scored = [_parse(_read_verified(folder, name, manifest["outputs"].get(name))) for name in parts]
    return PublishedRun(folder, manifest, pl.concat(scored))


def segment_titles(manifest: Manifest) -> dict[str, str]:
    """Return segment -> its Russian title, in order of priority."""
    rows = sorted(manifest["segments"], key=lambda row: row["priority"])
    return {row["segment"]: row["title"] for row in rows}


def read_contacted(path: Path) -> pl.Series:
    """Return the ids (Int64) of a file of customers that were sent to.

    A table with a column `id`, such as `campaign.csv` without the rows that were not sent, or one id a line.

    Raises:
        SettingsError: it cannot be read, or holds something else; the first `MOST_PROBLEMS` are named.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError([Problem(str(path), "a file of ids", reason_of(error))]) from error
    lines = content.decode("utf-8-sig", errors="replace").splitlines()
    rows = [(row, [cell.strip(' "') for cell in _SEPARATOR.split(line)]) for row, line in enumerate(lines, start=1)]
    headings = [cell.lower() for cell in rows[0][1]] if rows else []
    column = headings.index("id") if "id" in headings else 0
    if "id" in headings:
        rows = rows[1:]
    ids, problems = [], []
    for row, cells in rows:
        text = cells[column] if column < len(cells) else ""
        if re.fullmatch(r"-?[0-9]{1,19}", text) and -_INT64 <= int(text) < _INT64:
            ids.append(int(text))
        elif cells != [""]:
            problems.append(Problem(path.name, "a whole number", text or "nothing", row=row, column="id"))
    if problems:
        raise SettingsError(problems[:MOST_PROBLEMS])
    return pl.Series("id", ids, pl.Int64)


def find_exposure(run: PublishedRun) -> Exposure:
    """Return which customers of a run's control group other runs of its output contacted in the three months after it.

    Runs that were altered, or are of another version, are named and not used.
    """
    control = run.scored.filter(pl.col("campaign_group") == CONTROL)["id"]
    exposed, runs, unread = pl.Series("id", [], pl.Int64), [], []
    for folder, manifest in reversed(read_runs(run.folder.parent.parent)):
        if folder.resolve() == run.folder or not is_in_outcome(run.manifest, manifest):
            continue
        try:
            other = load_run(folder)
        except JobError:
            unread.append(folder.name)
            continue
        treated = other.scored.filter(pl.col("campaign_group") == TREATMENT, pl.col("id").is_in(control.implode()))
        if treated.height:
            runs.append(other.run_id)
            exposed = pl.concat([exposed, treated["id"]])
    return Exposure(exposed.n_unique(), tuple(runs), tuple(unread))


def _fault(name: str, expected: str, found: str) -> ArtifactError:
    return ArtifactError([Problem(name, expected, found)])


def _read(folder: Path, name: str, limit: int = SMALL_BYTES) -> bytes:
    try:
        return read_beneath(folder, name, limit=limit)
    except OSError as error:
        raise _fault(name, "a file of the run", error.strerror or str(error)) from error


def _read_verified(folder: Path, name: str, described: Output | None) -> bytes:
    if described is None:
        raise _fault(MANIFEST, f"the SHA-256 of {name} under outputs", "none")
    content = _read(folder, name, described["bytes"])
    digest = hashlib.sha256(content).hexdigest()
    if digest != described["sha256"]:
        expected = f"the run as published (SHA-256 {described['sha256'][:16]}…)"
        raise _fault(name, expected, f"an altered file ({digest[:16]}…)")
    return content


def _read_manifest(folder: Path) -> Manifest:
    try:
        return parse_manifest(_read(folder, MANIFEST))
    except ValueError as error:
        raise _fault(MANIFEST, "the manifest of a run of this version", str(error)) from error


def _parse(content: bytes) -> pl.DataFrame:
    try:
        scored = pl.read_parquet(io.BytesIO(content))
    except pl.exceptions.PolarsError as error:
        raise _fault(SCORED, "a Parquet table", str(error)) from error
    missing = sorted(set(_COLUMNS) - set(scored.columns))
    if missing:
        expected = "a run of a version that draws a control group"
        raise _fault(SCORED, expected, f"no column {', '.join(missing)}")
    other = [f"{name} ({scored.schema[name]})" for name, dtype in _COLUMNS.items() if scored.schema[name] != dtype]
    if other:
        raise _fault(SCORED, "the columns of this version", ", ".join(other))
    groups = sorted(set(scored["campaign_group"].drop_nulls()) - set(CAMPAIGN_GROUPS))
    if groups or scored.select(pl.any_horizontal(pl.col(*_COLUMNS).is_null()).any()).item():
        raise _fault(SCORED, f"groups {', '.join(CAMPAIGN_GROUPS)}, nothing null", ", ".join(groups) or "nulls")
    return scored.select(*_COLUMNS).sort("id")
