from __future__ import annotations

from pathlib import Path

import pytest

from job.settings import Arrival, Limits
from job.training.run import Labelled, read_labelled


@pytest.fixture(scope="session")
def labelled(labelled_drop: Path, limits: Limits) -> Labelled:
    return read_labelled(labelled_drop, limits=limits, arrival=Arrival())
