"""Write what the months have taught beside the runs: `history.html` and `history.json`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from job.files import replace_file
from job.history.page import render_history
from job.scoring.publish import as_output_error

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.results import HistoryFile

PAGE: Final = "history.html"
JSON: Final = "history.json"


def write_history(output: Path, history: HistoryFile) -> None:
    """Replace both files. Raises OutputError if they cannot be written."""
    with as_output_error(output):
        replace_file(output / PAGE, render_history(history).encode())
        text = json.dumps(history, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        replace_file(output / JSON, text.encode())
