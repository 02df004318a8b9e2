"""What the months have taught, beside the runs: `history.json`, and the Russian page in the style of a run's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from job.files import replace_file
from job.report.html import render_html
from job.report.warnings import translate_warnings
from job.scoring.publish import as_output_error

PAGE: Final = "history.html"
JSON: Final = "history.json"
SEVERITIES: Final = {"none": "нет", "warn": "заметный", "stop": "большой"}
WIDTH: Final = 720  # of the picture, in its own units
LEFT: Final = 250  # of it, where titles stand


def write_history(output: Path, history: Mapping[str, Any]) -> None:
    """Replace both files. Raises OutputError if they cannot be written."""
    with as_output_error(output):
        replace_file(output / PAGE, render_history(history).encode())
        text = json.dumps(history, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        replace_file(output / JSON, text.encode())


def render_history(history: Mapping[str, Any]) -> str:
    """Return the page of `describe_history`."""
    low = min([0.0, *(offer["low"] for offer in history["offers"])])
    high = max([0.1, *(offer["high"] for offer in history["offers"])])

    def across(value: float) -> str:
        return f"{LEFT + (value - low) / (high - low) * (WIDTH - LEFT - 30):.1f}"

    return render_html(
        "job.history",
        "history.html",
        history=history,
        unread=translate_warnings(history["warnings"]),
        across=across,
        width=WIDTH,
        date=_date,
        severities=SEVERITIES,
    )


def _date(moment: str | None) -> str:
    return "—" if moment is None else f"{datetime.fromisoformat(moment):%d.%m.%Y}"
