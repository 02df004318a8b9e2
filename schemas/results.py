"""What commands print with --json, typed."""

from __future__ import annotations

from typing import Final

RESULT_FORMAT: Final = 1
"""Of every --json; raised by one when a reader of the old format would misread the new one."""
