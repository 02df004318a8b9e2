"""What the job says of its work while it works: events with named values, on standard error, for a person or a machine.

No event holds anything of a customer: no id, no value of a row. Problems are no events: they are the lines for people
that the contract promises, and stay as they are.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from types import TracebackType

    from structlog.typing import FilteringBoundLogger

LogFormat = Literal["auto", "text", "json"]
LogLevel = Literal["debug", "info", "warning"]
FORMATS: Final = ("auto", "text", "json")
LEVELS: Final[dict[str, int]] = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}

_OWN: Final = "job"


class Log:
    """Where events go. Nothing is written, and no library loaded, before there is one to write.

    Args:
        form: `text`, `json`, or `auto`: text on a terminal, JSON elsewhere.
        level: events below it are left out.
        is_quiet: leave all of them out.
    """

    def __init__(self, form: LogFormat = "auto", level: LogLevel = "info", *, is_quiet: bool = False) -> None:
        self.form = form
        self.level = level
        self.is_quiet = is_quiet
        self._logger: FilteringBoundLogger | None = None

    @property
    def is_json(self) -> bool:
        """Whether a machine reads it."""
        return self.form == "json" or (self.form == "auto" and not (sys.stderr and sys.stderr.isatty()))

    def write(self, event: str, *, level: int = logging.INFO, **values: Any) -> None:  # noqa: ANN401 - plain values
        """Write an event with plain values, those that are None left out."""
        if self.is_quiet or level < LEVELS[self.level] or sys.stderr is None:
            return
        if self._logger is None:
            self._logger = _open(is_json=self.is_json, level=LEVELS[self.level])
        self._logger.log(level, event, **{name: value for name, value in values.items() if value is not None})


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


def _open(*, is_json: bool, level: int) -> FilteringBoundLogger:
    import structlog  # noqa: PLC0415 - it takes longer to load than Click

    form = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if is_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0, pad_level=False)
    )
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso" if is_json else "%H:%M:%S", utc=is_json),
            form,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    return logger
