"""What several test modules share: synthetic drops, the shipped artifact, and the real export where it exists."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from job.models.artifact import Artifact, default_folder, load_artifact
from job.sample import write_drop
from job.settings import Limits

settings.register_profile("untimed", settings.default, deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")

REAL_EXPORT = Path(__file__).parents[2] / "shared" / "data" / "one-click"


@pytest.fixture(scope="session")
def real_export() -> Path:
    if not REAL_EXPORT.is_dir():
        pytest.skip("the shop's real export is not here")
    return REAL_EXPORT


@pytest.fixture(scope="session")
def small_drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean drop of 300 customers without labels."""
    folder = tmp_path_factory.mktemp("small") / "drop"
    write_drop(folder, customers=300, seed=1, labelled=False, clean=True)
    return folder


@pytest.fixture(scope="session")
def labelled_drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean drop of 400 customers with labels."""
    folder = tmp_path_factory.mktemp("labelled") / "drop"
    write_drop(folder, customers=400, seed=2, labelled=True, clean=True)
    return folder


@pytest.fixture(scope="session")
def artifact() -> Artifact:
    return load_artifact(default_folder())


@pytest.fixture(scope="session")
def limits() -> Limits:
    return Limits()
