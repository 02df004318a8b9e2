"""The page of a run: facts gathered while scoring, charts and HTML drawn from them.

Facts need nothing that scoring does not have; drawing needs the extra `report`, so that an image without it can score.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

LIBRARIES: Final = ("jinja2",)


def missing_libraries() -> list[str]:
    """Return the distributions that drawing a page needs and that are not installed."""
    return [name for name in LIBRARIES if find_spec(name) is None]
