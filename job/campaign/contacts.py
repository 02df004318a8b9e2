"""Who really was contacted: by this campaign, as the sender says, and by other runs, as their folders say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from job.campaign.results import Exposure
from job.campaign.run import load_run
from job.errors import JobError, Problem, SettingsError, reason_of
from job.scoring.past import is_in_outcome
from job.scoring.published import read_runs
from schemas.scored import CONTROL, TREATMENT

if TYPE_CHECKING:
    from job.campaign.run import PublishedRun

MOST_PROBLEMS: Final = 10
_SEPARATOR: Final = re.compile(r"[;,\t]")
_INT64: Final = 2**63


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
