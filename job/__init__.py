"""The batch scorer: intake, features, models, scoring, training. See the README's map of the code."""

from __future__ import annotations

from oneclick_retention import come_first

__version__ = "0.1.0"

come_first()
