"""What the months have taught, beside the runs: `history.json`, and the Russian page in the style of a run's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from job.files import replace_file
from job.report.html import render_html
from job.report.warnings import translate_warnings
from job.scoring.publish import as_output_error

PAGE: Final = "history.html"
JSON: Final = "history.json"


def write_history(output: Path, history: Mapping[str, Any]) -> None:
    """Replace both files. Raises OutputError if they cannot be written."""
    with as_output_error(output):
        replace_file(output / PAGE, render_history(history).encode())
        text = json.dumps(history, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        replace_file(output / JSON, text.encode())


def render_history(history: Mapping[str, Any]) -> str:
    """Return the page of `describe_history`."""
    unread = translate_warnings(history["warnings"])
    return render_html("job.history", "history.html", history=history, unread=unread)
