"""A published run with its page, made once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from job.cli import main
from job.sample import write_drop
from job.scoring.pipeline import run_scoring
from job.settings import Campaign, ScoreSettings
from tests.faults.processes import UNMOVED


@pytest.fixture(scope="session")
def run_folder(small_drop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    outcome = run_scoring(
        small_drop,
        tmp_path_factory.mktemp("reported"),
        ScoreSettings(campaign=Campaign(name="осень", budget=20.0)),
    )
    return outcome.folder


@pytest.fixture(scope="session")
def manifest(run_folder: Path) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads((run_folder / "manifest.json").read_text())
    return plain


@pytest.fixture(scope="session")
def page(run_folder: Path) -> str:
    return (run_folder / "report.html").read_text()


@pytest.fixture(scope="session")
def lift_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of a campaign that prevents a third of the declines, with its page."""
    folder = tmp_path_factory.mktemp("compared")
    write_drop(folder / "drop", customers=2000, seed=5, labelled=False)
    score = ("score", "--input", folder / "drop", "--output", folder / "out", "--control-share", "0.3")
    outcome = (
        "sample",
        "--outcome-of",
        folder / "out" / "latest",
        "--effect",
        "0.3",
        "--seed",
        "5",
        folder / "outcome",
    )
    compare = ("lift", "--run", folder / "out" / "latest", "--outcome", folder / "outcome", "--output", folder / "lift")
    for command in ((*score, "--no-report", "--format", "csv", *UNMOVED), outcome, compare):
        result = CliRunner().invoke(main, [str(word) for word in command], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    return folder / "lift"


@pytest.fixture(scope="session", params=["report.html", "lift.html"])
def page_file(request: pytest.FixtureRequest) -> Path:
    """Each page that marketing opens."""
    fixture = {"report.html": "run_folder", "lift.html": "lift_folder"}[request.param]
    folder: Path = request.getfixturevalue(fixture)
    return folder / request.param
