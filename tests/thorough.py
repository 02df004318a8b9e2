"""How many random cases are tried: a few in every `make test`, many in `make test-thorough`."""

from __future__ import annotations

import os
from typing import Final

THOROUGH: Final = os.environ.get("TESTS_THOROUGH") == "1"


def cases(usual: int) -> int:
    """Return how many examples Hypothesis tries: `usual`, or ten times as many."""
    return usual * 10 if THOROUGH else usual
