"""What the job says of its work while it works: events with named values, on standard error, for a person or a machine.

No event holds anything of a customer: no id, no value of a row. Problems are no events: they are the lines for people
that the contract promises, and stay as they are.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from job.process.progress import CLEAR

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

LogFormat = Literal["auto", "text", "json"]
LogLevel = Literal["debug", "info", "warning"]
FORMATS: Final = ("auto", "text", "json")
LEVELS: Final[dict[str, int]] = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}

_OWN: Final = "job"
_COLOURS: Final = {logging.DEBUG: 32, logging.INFO: 32, logging.WARNING: 33}  # of a terminal; red what is worse


class Log:
    """Where events go: all from a level on; `auto` is text on a terminal, JSON elsewhere; none if it is quiet."""

    def __init__(self, form: LogFormat = "auto", level: LogLevel = "info", *, is_quiet: bool = False) -> None:
        self.form, self.level, self.is_quiet = form, level, is_quiet

    @property
    def is_json(self) -> bool:
        """Whether a machine reads it."""
        return self.form == "json" or (self.form == "auto" and not (sys.stderr and sys.stderr.isatty()))

    def write(self, event: str, *, level: int = logging.INFO, **values: Any) -> None:  # noqa: ANN401 - plain values
        """Write an event with plain values, those that are None left out."""
        if self.is_quiet or level < LEVELS[self.level] or sys.stderr is None:
            return
        shown = {name: value for name, value in values.items() if value is not None}
        if self.is_json:
            at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            shown |= {"event": event, "level": logging.getLevelName(level).lower(), "timestamp": at}
        line = json.dumps(shown, ensure_ascii=False) if self.is_json else _as_text(level, event, shown)
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


class Forwarder(logging.Handler):
    """Hands on what modules say through Python's own logging: ours from `info` on, others' from `warning` on."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record as an event."""
        if record.levelno >= logging.WARNING or record.name.partition(".")[0] == _OWN:
            self.log.write(record.getMessage(), level=record.levelno, logger=record.name)


def forward_to(log: Log | None) -> None:
    """Let Python's own logging end in `log`; None ends that."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, Forwarder)]:
        root.removeHandler(handler)
    if log is not None:
        root.addHandler(Forwarder(log))
        logging.getLogger(_OWN).setLevel(logging.INFO)


def describe_traceback(traceback: TracebackType | None) -> list[str]:
    """Return where an error arose, outermost first, as `file:line in function`: code only, no value of anything."""
    frames = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append(f"{code.co_filename}:{traceback.tb_lineno} in {code.co_qualname}")
        traceback = traceback.tb_next
    return frames


def _as_text(level: int, event: str, values: Mapping[str, Any]) -> str:
    name, start = logging.getLevelName(level).lower(), CLEAR if sys.stderr.isatty() else ""
    if start and not os.environ.get("NO_COLOR"):  # https://no-color.org
        name = f"\x1b[{_COLOURS.get(level, 31)}m{name}\x1b[0m"
    shown = [f"{key}={value}" for key, value in sorted(values.items())]
    return " ".join([f"{start}{datetime.now().astimezone():%H:%M:%S}", f"[{name}]", event, *shown])
