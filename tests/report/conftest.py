"""A published run with its page, made once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from job.scoring.pipeline import run_scoring
from job.settings import Campaign, ScoreSettings


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
