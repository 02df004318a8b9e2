"""What a user may choose, once: each setting's option, type, bounds, default and help stand in one place.

A command takes one record of settings, whose fields are settings (annotated with an `Option`) or groups of them (other
records). `job.cli` makes the options from these records, and hands the filled record on; whoever works with a setting
takes it, or its group, from there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

from job.errors import Problem, SettingsError

HIGHEST_BUDGET: Final = 1e12
LONGEST_NAME: Final = 100


class Option(NamedTuple):
    """How a setting is given on the command line; the environment variable is named after the flag."""

    flag: str
    help: str
    metavar: str | None = None


class Bounds(NamedTuple):
    """The least and the largest value of a number; `is_above`: the least itself is too little."""

    low: float | None = None
    high: float | None = None
    is_above: bool = False


CampaignFormat = Literal["csv", "xlsx"]
EffectSource = Literal["measured", "assumed"]
Amount = Annotated[float, Bounds(0)]
Factor = Annotated[float, Bounds(1)]
Share = Annotated[float, Bounds(0, 1)]
Psi = Annotated[float, Bounds(0, is_above=True)]
Count = Annotated[int, Bounds(1)]
Mebibytes = Annotated[int, Bounds(384)]
Seed = Annotated[int, Bounds(0, 2**31 - 1)]


class Arrival(NamedTuple):
    """When a drop counts as complete."""

    wait_minutes: Annotated[Amount, Option("--wait", "Wait so long for a complete drop.", "MINUTES")] = 0
    settle_seconds: Annotated[
        Amount, Option("--settle", "With --wait: the files must not have changed for so long.", "SECONDS")
    ] = 10
    require_ready: Annotated[
        bool, Option("--require-ready", "Not without a _READY file that names the others: exit code 6.")
    ] = False


class Limits(NamedTuple):
    """How much may be wrong before a drop is refused, as shares of a table's rows."""

    rejected: Annotated[
        Share, Option("--max-rejected", "Share of a table's rows that may be rejected before the drop is refused.")
    ] = 0.05
    unknown: Annotated[
        Share,
        Option("--max-unknown", "Share of a table's rows with an unknown category above which the drop is refused."),
    ] = 0.05


@dataclass(frozen=True)
class Campaign:
    """What marketing decides about a campaign. Raises SettingsError for values that none can have."""

    name: Annotated[
        str, Option("--campaign", "Of the mailing; draws who gets which offer. {month} in it is this month.", "NAME")
    ] = "default"
    control: Annotated[
        str,
        Option(
            "--control",
            "Of the control group: under the same name every campaign holds the same customers back. Keep it.",
            "NAME",
        ),
    ] = "default"
    control_share: Annotated[
        Share, Option("--control-share", "Share of those to be contacted that is held back as the control group.")
    ] = 0.1
    budget: Annotated[
        Amount | None,
        Option(
            "--budget", "What the contacts may cost together, in the units of «Прибыль».  [default: no limit]", "AMOUNT"
        ),
    ] = None

    def __post_init__(self) -> None:
        problems = []
        for flag, name in (("--campaign", self.name), ("--control", self.control)):
            if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
                expected = f"a name on one line of at most {LONGEST_NAME} characters"
                problems.append(Problem(flag, expected, name or "nothing"))
        if not 0 <= self.control_share <= 1:
            problems.append(Problem("--control-share", "a share from 0 to 1", str(self.control_share)))
        if self.budget is not None and not 0 <= self.budget <= HIGHEST_BUDGET:
            problems.append(Problem("--budget", f"a number from 0 to {HIGHEST_BUDGET:,.0f}", str(self.budget)))
        if problems:
            raise SettingsError(problems)


def name_month(campaign: Campaign, today: date) -> Campaign:
    """Return a campaign in whose name `{month}` is the month of a day, such as 2026-11: a schedule cannot write it."""
    return replace(campaign, name=campaign.name.replace("{month}", f"{today:%Y-%m}"))


class DriftLimits(NamedTuple):
    """How far customers may be from those of training, as PSI."""

    warn: Annotated[
        Psi,
        Option("--drift-warn", "Warn of a feature that differs from training by as much, and beyond chance.", "PSI"),
    ] = 0.1
    stop: Annotated[
        Psi,
        Option(
            "--drift-stop",
            "From which difference a person must look: exit code 8; the run is published all the same.",
            "PSI",
        ),
    ] = 0.25


class DropSettings(NamedTuple):
    """What every command that reads a drop lets a user choose."""

    arrival: Arrival = Arrival()
    limits: Limits = Limits()


class ScoreSettings(NamedTuple):
    """What `score` lets a user choose, besides where the drop and the output are."""

    segments_file: Annotated[
        Path | None, Option("--segments", "Segments and offers, TOML.  [default: the shipped]", "FILE")
    ] = None
    segment_change: Annotated[
        Factor,
        Option("--segment-change", "Warn of a segment whose share differs by more from the previous run's.", "FACTOR"),
    ] = 1.5
    campaign: Campaign = Campaign()
    release_control: Annotated[
        bool,
        Option(
            "--release-control",
            "Contact also whom earlier runs in OUT hold back under another --control (for 92 days).",
        ),
    ] = False
    effects: Annotated[
        EffectSource,
        Option("--effects", "What offers prevent: as the lifts in OUT measured it, or as the segments file assumes."),
    ] = "measured"
    campaign_format: Annotated[
        CampaignFormat, Option("--format", "csv leaves out campaign.xlsx, which is written for up to 100,000 contacts.")
    ] = "xlsx"
    no_report: Annotated[
        bool, Option("--no-report", "Do not draw report.html; `retention report` can do it later.")
    ] = False
    memory_mib: Annotated[
        Mebibytes | None,
        Option(
            "--memory-limit",
            "Memory that the job may take; larger drops wait on disk.  [default: three quarters of what the control "
            "group allows, else 1024]",
            "MIB",
        ),
    ] = None
    scratch: Annotated[
        Path | None, Option("--scratch", "Where larger drops, and copies of objects, wait.  [default: OUT]", "DIR")
    ] = None
    drift: DriftLimits = DriftLimits()
    month_level: Annotated[
        str | None,
        Option(
            "--month-level",
            "Revenue of half of the customers this month, last month and the month before, which all revenue is "
            "compared with; or `training`.  [default: found in the drop]",
            "A,B,C",
        ),
    ] = None
    max_change: Annotated[
        Amount,
        Option(
            "--max-change",
            "From which change since the run before a person must look (exit code 8): customers, contacts, consent, "
            "mean risk, shares excluded and rejected.",
            "SHARE",
        ),
    ] = 0.3
    require_new: Annotated[
        bool,
        Option("--require-new", "Not a drop that OUT has published already: exit code 6, with --wait after waiting."),
    ] = False
    dry_run: Annotated[
        bool,
        Option("--dry-run", "Do all but publish: say what would be contacted, and what would change against `latest`."),
    ] = False
    force: Annotated[
        bool, Option("--force", "Make a new run, ID-2, ID-3, ..., also if the same was published before.")
    ] = False
    keep_runs: Annotated[
        Count | None,
        Option(
            "--keep-runs",
            "Remove all but the newest N runs, never the one that `latest` names.  [default: keep all]",
            "N",
        ),
    ] = None
    arrival: Arrival = Arrival()
    limits: Limits = Limits()


class TrainSettings(NamedTuple):
    """What `train` lets a user choose, besides where the drop and the artifact are."""

    seed: Annotated[Seed, Option("--seed", "Of every random step.")] = 20260701
    trials: Annotated[Count, Option("--trials", "Tuning budget of each candidate and split.")] = 10
    champion: Annotated[Path | None, Option("--champion", "Write only what beats this artifact.", "DIR")] = None
    is_quick: Annotated[bool, Option("--quick", "In a minute: few splits, little tuning; the card says so.")] = False
    owner: Annotated[str, Option("--owner", "Who answers for the model: stands on its card.", "NAME")] = ""
    arrival: Arrival = Arrival()
    limits: Limits = Limits()


class LiftSettings(NamedTuple):
    """What `lift` lets a user choose, besides where the run and its outcome are."""

    output: Annotated[
        Path | None, Option("--output", "Where lift.json and lift.html appear.  [default: OUT/lift/ID]", "DIR")
    ] = None
    contacted: Annotated[
        Path | None,
        Option(
            "--contacted",
            "Ids of the customers who really were sent to, a column `id` or one a line.  [default: not known]",
            "FILE",
        ),
    ] = None
    arrival: Arrival = Arrival()
    limits: Limits = Limits()
