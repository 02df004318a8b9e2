"""The batch scorer: intake, features, models, scoring, training. See the README's map of the code."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import PathFinder
from pathlib import Path

__version__ = "0.1.0"


def _load_beside(name: str) -> None:
    """Load a package that lies beside this one, whatever else of its name is on Python's path."""
    root = str(Path(__file__).parents[1])
    spec = PathFinder.find_spec(name, [root])
    if name not in sys.modules and spec is not None and spec.loader is not None:
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


for _name in ("schemas", "model_artifacts"):
    _load_beside(_name)
