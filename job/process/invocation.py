"""One call of the command, from its beginning to the line that closes it."""

from __future__ import annotations

import errno
import json
import logging
import re
import resource
import sys
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from job import __version__
from job.errors import EXIT_DEFECT, EXIT_LOOK, EXIT_PUBLISHED, shorten
from job.process import supervisor
from job.process.logs import Log, describe_traceback, forward_to
from job.process.metrics import Call, write_metrics, write_running
from job.process.progress import Bar

if TYPE_CHECKING:
    from job.process.logs import LogFormat, LogLevel
    from job.process.supervisor import Ending
    from schemas.manifest import Manifest

OUT_OF_MEMORY: Final = "out of memory: the job needs more than it was given"

_REFUSED_THREADS: Final = re.compile(r"can't start new thread|(can't|failed to|could not) spawn")
_ENOUGH_BYTES: Final = 1 << 28  # what a library may need to be loaded
_NOTE: Final = "call"
_FILES: Final = ("metrics", "lineage")
_DEFECT: Final = "a defect of the job, please report it"
_LEVELS: Final = {EXIT_PUBLISHED: logging.INFO, EXIT_LOOK: logging.WARNING}


@dataclass
class Invocation:
    """What on-call is told of a call when it ends, and where; what is not known yet is None or empty."""

    is_process: bool = False  # the call is all that this process is for, not one of a program that uses the job
    command: str = ""
    files: dict[str, Path] = field(default_factory=dict)  # `metrics` and `lineage`: where `score` tells of itself
    drop: str | None = None
    output: str | None = None
    log_format: LogFormat | None = None  # None: no log is written
    log_level: LogLevel = "info"
    manifest: Manifest | None = None  # of the run that was published, or found published
    is_repeat: bool = False  # it was found published
    as_json: bool = False
    is_quiet: bool = False  # only problems are printed
    stages: dict[str, float] = field(default_factory=dict)  # seconds that each took
    problems: int = 0  # how many lines of them were printed
    started: float = field(default_factory=time.monotonic)
    started_at: float = field(default_factory=time.time)
    stage: str = ""
    _stage_began: float = 0.0

    @property
    def log(self) -> Log:
        """Where events go; `auto` writes none if this is not the process's own call."""
        is_silent = self.log_format is None or (self.log_format == "auto" and not self.is_process)
        return Log(self.log_format or "auto", "warning" if self.is_quiet else self.log_level, is_quiet=is_silent)

    def begin(self, command: str) -> None:
        """Say that a command begins."""
        self.command = command
        if self.is_process:
            forward_to(self.log)
        self._remember()
        self._tell(None)
        self.log.write("started", command=command, version=__version__)

    @cached_property
    def bar(self) -> Bar:
        """How far it is, shown on a terminal: not where the log is JSON, or nothing but problems is wanted."""
        return Bar(is_shown=not self.log.is_json and not self.is_quiet and sys.stderr.isatty())

    def enter_stage(self, name: str) -> None:
        """Say that a stage of the work begins."""
        self._end_stage()
        self.stage, self._stage_began = name, time.monotonic()
        self.log.write("stage", stage=name, elapsed=round(self._stage_began - self.started, 3))

    def show_step(self, done: int, total: int | None) -> None:
        """Show how far the stage is."""
        self.bar.show(self.stage, done, total)

    def _end_stage(self) -> None:
        if self.stage:
            self.stages[self.stage] = round(time.monotonic() - self._stage_began, 3)
            self.stage = ""

    def _remember(self) -> None:
        """Let whoever watches this process know what to close if it dies."""
        files = [self.files[name].absolute() if name in self.files else None for name in _FILES]
        plain = [self.command, *files, self.drop, self.output, self.log.form, self.log.level]
        supervisor.note(_NOTE, json.dumps([*plain, self.started, self.started_at], default=str))

    def explain_defect(self, error: BaseException) -> str:
        """Return the one line for an error that should not be; its traceback goes to the log, without any value."""
        traceback = describe_traceback(error.__traceback__)
        if self.log.is_json or self.log.level == "debug":
            self.log.write("defect", level=logging.ERROR, error=type(error).__name__, traceback=traceback)
        if isinstance(error, MemoryError) or _lacks_memory():
            return OUT_OF_MEMORY
        first = str(error).partition("\n")[0]
        if _REFUSED_THREADS.search(first):
            return supervisor.NO_THREADS
        return f"{_DEFECT}: {type(error).__name__}: {shorten(first, 300)}"

    def close(self, exit_code: int, *, died_of: str | None = None) -> None:
        """Write the last line of the log and the metrics; `died_of` is the signal that ended the call, or `exit`."""
        self._end_stage()
        seconds, peak = round(time.monotonic() - self.started, 3), peak_memory()
        self._tell(Call(self.started_at, time.time(), exit_code, seconds, peak))
        self.log.write(
            "finished",
            level=_LEVELS.get(exit_code, logging.ERROR),
            command=self.command or None,
            exit_code=exit_code,
            died_of=died_of,
            problems=self.problems or None,
            published_before=self.is_repeat or None,
            **describe_counts(self.manifest),
            stages=self.stages or None,
            seconds=seconds,
            peak_memory_mib=round(peak / 2**20, 1),
        )
        if self.is_process:
            forward_to(None)

    def _tell(self, ended: Call | None) -> None:
        """Tell monitoring and the lineage that the call has begun, or how it ended; no run is undone if they cannot."""
        for what, path in list(self.files.items()):
            try:
                if path.is_char_device() or path.is_block_device():
                    del self.files[what]
                    raise OSError(errno.EINVAL, "it is a device, which a file would replace")  # noqa: TRY301
                if what == "metrics":
                    if ended is None:
                        write_running(path, self.output or "", self.started_at)
                    else:
                        write_metrics(path, self.output, ended, self.manifest)
                else:
                    from job.process.lineage import write_events  # noqa: PLC0415 - for whoever asks for it

                    places = self.drop or "", self.output or ""
                    write_events(path, *places, started=self.started_at, ended=ended, manifest=self.manifest)
            except OSError as error:
                print(f"{path}: the {what} cannot be written: {error.strerror or error}", file=sys.stderr)  # noqa: T201


def close_for(ending: Ending) -> int:
    """Close the call of a process that ended before it could do so; return the call's exit code."""
    name = "exit" if ending.signal is None else ending.signal.name
    died = "ended by a library" if ending.signal is None else f"died of {name}"
    call = Invocation(is_process=True, problems=1)
    if _NOTE in ending.notes:
        call.command, *files, call.drop, call.output, call.log_format, call.log_level, call.started, call.started_at = (
            json.loads(ending.notes[_NOTE])
        )
        call.files = {what: Path(path) for what, path in zip(_FILES, files, strict=True) if path}
    exit_code = EXIT_DEFECT
    if ending.is_stopped and ending.signal is not None:
        line, exit_code = f"stopped by {name}", supervisor.SIGNALLED + ending.signal
    elif name == "SIGKILL":
        line = "killed by the system, most likely for want of memory; the next try starts afresh"
    elif (limit := resource.getrlimit(resource.RLIMIT_AS)[0]) != resource.RLIM_INFINITY:
        line = f"{died}, most likely for want of memory: address space has a limit of {limit >> 20:,} MiB"
    else:
        line = f"{_DEFECT}: {'it ' if ending.signal else ''}{died}"
    print(line, file=sys.stderr)  # noqa: T201 - the line that the contract promises
    call.close(exit_code, died_of=name)
    return exit_code


def describe_counts(manifest: Manifest | None) -> dict[str, Any]:
    """Return what the last line of the log says of a run: its name and sums, none of a customer."""
    if manifest is None:
        return {}
    rows = manifest["rows"].values()
    counts = {f"customers_{fate}": manifest["customers"][fate] for fate in ("in", "scored", "excluded", "rejected")}
    counts["rows_in"] = sum(row["rows_in"] for row in rows)
    for fate in ("scored", "excluded", "rejected", "dropped", "repaired"):
        counts[f"rows_{fate}"] = sum(row[fate] for row in rows)
    drift = manifest["drift"]
    return {
        "run_id": manifest["run_id"],
        "model": manifest["model"]["digest"],
        "model_version": manifest["model"]["version"],
        **counts,
        "contacts": manifest["campaign"]["contacts"],
        "warnings": len(manifest["warnings"]),
        "drift": drift["severity"] if drift else None,
    }


def peak_memory() -> int:
    """Return the most bytes that this process, or a child of it that has ended, held in memory."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _lacks_memory() -> bool:
    """Return whether the system refuses memory, as under a limit on address space: libraries then fail in odd ways."""
    try:
        bytes(_ENOUGH_BYTES)  # not touched, and so not taken
    except MemoryError:
        return True
    return False
