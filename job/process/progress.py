"""How far a call is: one line of a terminal, drawn over itself; nothing where nobody looks."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Final

WIDTH: Final = 20  # signs of the bar
PAUSE: Final = 0.1  # seconds between two drawings
CLEAR: Final = "\r\x1b[K"


class Bar:
    """A progress bar on standard error; nothing is written unless it `is_shown`."""

    def __init__(self, *, is_shown: bool) -> None:
        self.is_shown = is_shown
        self._drawn_at = -PAUSE

    def show(self, what: str, done: int, total: int | None) -> None:
        """Draw how many of `total` steps of something are done; None where nobody knows how many there are."""
        now = time.monotonic()
        if not self.is_shown or (now - self._drawn_at < PAUSE and done != total):
            return
        self._drawn_at = now
        line = f"{what} {done:,}"
        if total:
            filled = WIDTH * done // total
            line = f"[{'#' * filled}{'.' * (WIDTH - filled)}] {done:,}/{total:,} {what}"
        sys.stderr.write(f"{CLEAR}{line[: shutil.get_terminal_size().columns - 1]}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away: something else is written next."""
        if self.is_shown:
            sys.stderr.write(CLEAR)
            sys.stderr.flush()
