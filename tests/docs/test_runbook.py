"""The commands of the runbook, in its order, as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from job import errors
from job.cli import main
from job.sample import write_drop
from job.storage.models import ModelStore

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook.md"
TEXT = RUNBOOK.read_text(encoding="utf-8")


def test_a_new_model_goes_to_production_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a training is held back for is another test's: here the second is not compared."""
    monkeypatch.chdir(tmp_path)
    for name, customers, seed, labelled in (
        ("labelled", 400, 2, True),
        ("labelled-again", 400, 5, True),
        ("drop", 300, 1, False),
    ):
        write_drop(tmp_path / name, customers=customers, seed=seed, labelled=labelled, clean=True)
    commands = re.findall(r"^\$ retention (.*)$", TEXT, flags=re.MULTILINE)
    assert len(commands) == 8
    for number, command in enumerate(commands):
        if command.startswith("train") and number > 3:
            monkeypatch.setattr("job.storage.models._champions", lambda _: [])
        result = CliRunner().invoke(main, shlex.split(command), catch_exceptions=False)
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        assert result.exit_code in {0, errors.EXIT_LOOK}, f"{command}: {result.output}"
    actions = [(event["action"], event["version"]) for event in ModelStore(Path("models")).events()]
    assert actions == [("written", 1), ("promoted", 1), ("written", 2), ("promoted", 2), ("rolled back", 1)]


def test_every_exit_code_is_in_the_runbook() -> None:
    codes = {
        kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.JobError)
    }
    named = set(map(int, re.findall(r"^\| ([0-9]) \|", TEXT, flags=re.MULTILINE)))
    assert named == codes | {errors.EXIT_LOOK}


def test_every_alert_is_in_the_runbook() -> None:
    alerts = set(
        re.findall(r"- alert: (\w+)", (RUNBOOK.parents[1] / "deploy" / "alerts.yaml").read_text(encoding="utf-8"))
    )
    assert alerts == set(re.findall(r"\bRetention\w+", TEXT))
