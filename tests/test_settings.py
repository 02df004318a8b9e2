"""Every setting is an option of its command, and what a user gives arrives in its record."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any, get_type_hints

import click
import pytest

from job import cli
from job.errors import SettingsError
from job.settings import (
    Campaign,
    DriftLimits,
    DropSettings,
    LiftSettings,
    Limits,
    Option,
    ScoreSettings,
    TrainSettings,
    name_month,
)

RECORDS = [
    (cli.score, ScoreSettings),
    (cli.validate, DropSettings),
    (cli.train, TrainSettings),
    (cli.lift, LiftSettings),
]


def flags(record: type[Any]) -> list[str]:
    listed = []
    for hint in get_type_hints(record, include_extras=True).values():
        options = [mark for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, Option)]
        listed += [option.flag for option in options] if options else flags(hint)
    return listed


@pytest.mark.parametrize(("command", "record"), RECORDS, ids=[record.__name__ for _, record in RECORDS])
def test_every_setting_is_an_option_of_its_command_once(command: click.Command, record: type[Any]) -> None:
    given = Counter(option.opts[0] for option in command.params if isinstance(option, click.Option))
    assert {flag: given[flag] for flag in flags(record)} == dict.fromkeys(flags(record), 1)


def parsed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> ScoreSettings:
    """Return the settings that `score` is called with."""
    received: list[ScoreSettings] = []

    def receive(_drop: Path, _output: Path, settings: ScoreSettings, **_: object) -> None:
        received.append(settings)
        raise SettingsError("that is all")

    monkeypatch.setattr("job.storage.run.score_places", receive)
    with pytest.raises(SettingsError):
        cli.score.main(["--input", "a", "--output", "b", *arguments], standalone_mode=False, obj=cli.Invocation())
    return received[0]


def test_defaults_of_the_command_are_those_of_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parsed(monkeypatch) == ScoreSettings()


def test_what_is_given_arrives_in_its_group(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["--budget", "20", "--drift-warn", "0.2", "--max-unknown", "1", "--no-report", "--scratch", "/s"]
    assert parsed(monkeypatch, *given) == ScoreSettings(
        campaign=Campaign(budget=20.0),
        drift=DriftLimits(warn=0.2),
        limits=Limits(unknown=1.0),
        no_report=True,
        scratch=Path("/s"),
    )


def test_a_schedule_can_name_the_month(monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = Campaign(name="spring-{month}", budget=5.0)
    assert name_month(campaign, date(2026, 3, 31)) == Campaign(name="spring-2026-03", budget=5.0)
    assert re.fullmatch(r"m-20\d\d-[01]\d", parsed(monkeypatch, "--campaign", "m-{month}").campaign.name)
