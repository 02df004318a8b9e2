"""What the command `retention` starts, and `python -m oneclick_retention`, which is the same.

The packages that are installed with this module have names that others use, too: a `job.py` on PYTHONPATH would be
imported in their place. This module's name is its own, so that it is found, and lets them come first.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

PACKAGES: Final = ("job", "schemas", "model_artifacts")


def come_first() -> None:
    """Put the folder of this installation before the first entry of Python's path that has something of such a name.

    Python's path is changed only where it must be, and so that processes that get a copy of it import the same.
    """
    root = str(Path(__file__).parent)
    first = next((entry for entry in sys.path if any(PathFinder.find_spec(name, [entry]) for name in PACKAGES)), root)
    if first != root:
        sys.path.insert(sys.path.index(first), root)


def run() -> None:
    """Run the command and leave with its exit code."""
    come_first()
    from job.__main__ import run as run_command  # noqa: PLC0415 - it is found now

    run_command()


if __name__ == "__main__":
    run()
