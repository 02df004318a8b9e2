"""What a run takes from the runs before it in the same output: whom they hold back, and what offers were worth.

It is part of the run's name. A run never takes anything from itself: runs of the same drop, model and settings are
passed over. What cannot be verified is not used, and told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from job.errors import reason_of
from job.scoring.effects import effects_of, pool_lifts, read_lifts
from job.scoring.published import parts_of, read_runs, read_scored
from schemas.scored import CONTROL

if TYPE_CHECKING:
    from job.settings import Campaign, EffectSource, ScoreSettings
    from schemas.manifest import HistoryUsed, Manifest

OUTCOME_DAYS: Final = 92  # three months: until then a campaign's outcome is not known, and a contact can change it

Bring = Callable[[Path, str], None]
"""Makes a file of a run's folder be there, where the output is a mirror of another place."""
Runs = list[tuple[Path, "Manifest"]]
"""Folder and manifest of each run, the newest first."""


class Past(NamedTuple):
    """What a run takes from the runs before it."""

    held: pl.Series  # ids (Int64, rising) whom other control groups, of the runs `held_by`, hold back
    held_by: tuple[str, ...]
    effects: Mapping[str, float]  # offer -> measured effect
    effects_from: EffectSource  # what the user chose
    release_control: bool
    warnings: tuple[str, ...]  # what could not be used, one line each
    earlier: tuple[Manifest, ...] = ()  # of the output, the newest first

    def describe(self) -> HistoryUsed:
        """Return what the manifest says of it."""
        return {
            "effects_from": self.effects_from,
            "effects": dict(sorted(self.effects.items())),
            "release_control": self.release_control,
            "held_by": list(self.held_by),
        }


def is_in_outcome(manifest: Manifest, other: Manifest) -> bool:
    """Return whether another run ended in the three months after a run, in which its outcome comes about."""
    since = datetime.fromisoformat(other["finished"]) - datetime.fromisoformat(manifest["finished"])
    return timedelta(0) < since <= timedelta(days=OUTCOME_DAYS)


def choose_holding(runs: Runs, campaign: Campaign, *, identity: str, now: datetime) -> Runs:
    """Return the runs whose control groups this campaign would write to: under another key, or with a larger share.

    Not that of the same identity, which is no past; groups of runs that ended `OUTCOME_DAYS` ago are free.
    """
    since = now - timedelta(days=OUTCOME_DAYS)
    return [
        (folder, manifest)
        for folder, manifest in runs
        if manifest["identity"] != identity
        and manifest["campaign"]["control"]
        and datetime.fromisoformat(manifest["finished"]) >= since
        and not (
            manifest["campaign"]["control_name"] == campaign.control
            and manifest["campaign"]["control_share"] <= campaign.control_share
        )
    ]


def read_held(runs: Runs, bring: Bring = lambda *_: None) -> tuple[pl.Series, tuple[str, ...], list[str]]:
    """Return the ids (Int64, rising) in the control groups of runs, the runs that have them, and what is not used."""
    ids = [pl.Series("id", [], pl.Int64)]
    names, warnings = [], []
    for folder, manifest in runs:
        try:
            for name in parts_of(manifest):
                bring(folder, name)
            rows = read_scored(folder, manifest, ["id", "campaign_group"])
            ids.append(rows.filter(pl.col("campaign_group") == CONTROL)["id"])
            names.append(folder.name)
        except (OSError, ValueError, pl.exceptions.PolarsError) as error:
            warnings.append(f"the control group of run {folder.name} is not held back: {reason_of(error)}")
    return pl.concat(ids).unique().sort(), tuple(sorted(names)), warnings


def find_past(
    output: Path,
    settings: ScoreSettings,
    assumed: Mapping[str, float],
    *,
    identity: str,
    now: datetime,
    bring: Bring = lambda *_: None,
) -> Past:
    """Return what a run takes from the runs before it; the output may not be there yet.

    Args: assumed: offer -> the effect of the segments file; identity: name of the run's drop, model and settings.
    """
    runs = read_runs(output)
    lifts, unread = read_lifts(output) if settings.effects == "measured" else ([], [])
    itself = {folder.name for folder, manifest in runs if manifest["identity"] == identity}
    pooled = pool_lifts([lift for lift in lifts if lift.run_id not in itself], assumed)
    is_free = settings.release_control
    holding = [] if is_free else choose_holding(runs, settings.campaign, identity=identity, now=now)
    held, held_by, unheld = read_held(holding, bring)
    earlier = tuple(manifest for _, manifest in runs)
    return Past(held, held_by, effects_of(pooled), settings.effects, is_free, (*unread, *unheld), earlier)


def nothing_past(effects_from: EffectSource = "measured") -> Past:
    """Return what is taken from an output without runs."""
    return Past(pl.Series("id", [], pl.Int64), (), {}, effects_from, release_control=False, warnings=())
