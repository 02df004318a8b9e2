"""One call of the command, from its beginning to the line that closes it."""

from __future__ import annotations

import errno
import json
import logging
import re
import resource
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from job import __version__
from job.errors import EXIT_DEFECT, EXIT_LOOK, EXIT_PUBLISHED, shorten
from job.process import supervisor
from job.process.logs import Log, describe_traceback, forward_to
from job.process.progress import Bar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from job.process.logs import LogFormat, LogLevel
    from job.process.supervisor import Ending
    from schemas.manifest import Manifest

OUT_OF_MEMORY: Final = "out of memory: the job needs more than it was given"

_REFUSED_THREADS: Final = re.compile(r"can't start new thread|(can't|failed to|could not) spawn")
_ENOUGH_BYTES: Final = 1 << 28  # what a library may need to be loaded
_NOTE: Final = "call"
_LEVELS: Final = {EXIT_PUBLISHED: logging.INFO, EXIT_LOOK: logging.WARNING}


@dataclass
class Invocation:
    """What on-call is told of a call when it ends, and where.

    Args:
        is_process: the call is all that this process is for, not one of a program that uses the job.
        command: `score`, `train`, ...; empty until it is known.
        metrics_file: where `score` tells monitoring.
        output: where `score` publishes; None until it is known.
        lineage_file: where `score` tells what it read and wrote.
        drop: what `score` reads; None until it is known.
        log: where events go.
        manifest: of the run that was published, or found published.
        is_repeat: it was found published.
        as_json: what it comes to is printed for a machine.
        is_quiet: only problems are printed.
        stages: seconds that each stage took, in their order.
        problems: how many lines of problems were printed.
        started: on the clock of `time.monotonic`.
        started_at: in seconds since 1970.
    """

    is_process: bool = False
    command: str = ""
    metrics_file: Path | None = None
    output: str | None = None
    lineage_file: Path | None = None
    drop: str | None = None
    log: Log = field(default_factory=lambda: Log(is_quiet=True))
    manifest: Manifest | None = None
    is_repeat: bool = False
    as_json: bool = False
    is_quiet: bool = False
    stages: dict[str, float] = field(default_factory=dict)
    problems: int = 0
    started: float = field(default_factory=time.monotonic)
    started_at: float = field(default_factory=time.time)
    _stage: str | None = None
    _stage_began: float = 0.0

    def begin(self, command: str) -> None:
        """Say that a command begins."""
        self.command = command
        if self.is_quiet:
            self.log = Log(self.log.form, "warning", is_quiet=self.log.is_quiet)
        if self.is_process:
            forward_to(self.log)
        self.metrics_file = self._unless_device(self.metrics_file, "metrics")
        self.lineage_file = self._unless_device(self.lineage_file, "lineage")
        self.remember()
        if self.metrics_file is not None:
            from job.process.metrics import write_running  # noqa: PLC0415 - for whoever asks for it

            with self._telling_of(self.metrics_file, "metrics"):
                write_running(self.metrics_file, self.output or "", self.started_at)
        if self.lineage_file is not None:
            from job.process.lineage import write_start  # noqa: PLC0415 - for whoever asks for it

            with self._telling_of(self.lineage_file, "lineage"):
                write_start(self.lineage_file, drop=self.drop or "", output=self.output or "", started=self.started_at)
        self.log.write("started", command=command, version=__version__)

    def set_log(self, *, command: str, form: LogFormat | None = None, level: LogLevel | None = None) -> None:
        """Set where events of a command go; `auto` writes none if this is not the process's own call."""
        self.command = command
        form, level = form or self.log.form, level or self.log.level
        self.log = Log(form, level, is_quiet=form == "auto" and not self.is_process)

    @property
    def stage(self) -> str:
        """The stage that the work is in, empty before the first."""
        return self._stage or ""

    @cached_property
    def bar(self) -> Bar:
        """How far it is, shown on a terminal: not where the log is JSON, or nothing but problems is wanted."""
        return Bar(is_shown=not self.log.is_json and not self.is_quiet and sys.stderr.isatty())

    def enter_stage(self, name: str) -> None:
        """Say that a stage of the work begins."""
        self._end_stage()
        self._stage, self._stage_began = name, time.monotonic()
        self.log.write("stage", stage=name, elapsed=round(self._stage_began - self.started, 3))

    def _end_stage(self) -> None:
        if self._stage is not None:
            self.stages[self._stage] = round(time.monotonic() - self._stage_began, 3)
            self._stage = None

    def remember(self) -> None:
        """Let whoever watches this process know what to close if it dies."""
        files = [None if path is None else str(path.absolute()) for path in (self.metrics_file, self.lineage_file)]
        places = [self.drop, self.output]
        plain = [self.command, *files, *places, self.log.form, self.log.level, self.started, self.started_at]
        supervisor.note(_NOTE, json.dumps(plain))

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
        return f"a defect of the job, please report it: {type(error).__name__}: {shorten(first, 300)}"

    def close(self, exit_code: int, *, died_of: str | None = None) -> None:
        """Write the last line of the log and the metrics.

        Args:
            exit_code: of the call.
            died_of: the signal that ended it.
        """
        self._end_stage()
        seconds = round(time.monotonic() - self.started, 3)
        peak = peak_memory()
        if self.metrics_file is not None:
            self._write_metrics(self.metrics_file, exit_code, seconds, peak)
        if self.lineage_file is not None:
            self._write_lineage(self.lineage_file, exit_code)
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

    def _write_lineage(self, path: Path, exit_code: int) -> None:
        from job.process.lineage import write_end  # noqa: PLC0415 - for whoever asks for it

        with self._telling_of(path, "lineage"):
            write_end(
                path,
                drop=self.drop or "",
                output=self.output or "",
                started=self.started_at,
                ended=time.time(),
                exit_code=exit_code,
                manifest=self.manifest,
            )

    def _write_metrics(self, path: Path, exit_code: int, seconds: float, peak: int) -> None:
        from job.process.metrics import Call, write_metrics  # noqa: PLC0415 - for whoever asks for it

        call = Call(self.started_at, time.time(), exit_code, seconds, peak)
        with self._telling_of(path, "metrics"):
            write_metrics(path, self.output, call, self.manifest)

    def _unless_device(self, path: Path | None, what: str) -> Path | None:
        if path is None or not (path.is_char_device() or path.is_block_device()):
            return path
        with self._telling_of(path, what):
            raise OSError(errno.EINVAL, "it is a device, which a file would replace")
        return None

    @contextmanager
    def _telling_of(self, path: Path, what: str) -> Iterator[None]:
        """Say that metrics or lineage cannot be written; that undoes no run."""
        try:
            yield
        except OSError as error:
            print(f"{path}: the {what} cannot be written: {error.strerror or error}", file=sys.stderr)  # noqa: T201


def close_for(ending: Ending) -> int:
    """Close the call of a process that a signal ended before it could do so; return the call's exit code."""
    assert ending.signal is not None  # noqa: S101 - for the type checker
    name = ending.signal.name
    call = Invocation(is_process=True)
    if _NOTE in ending.notes:
        plain = json.loads(ending.notes[_NOTE])
        call.command, metrics_file, lineage_file, call.drop, call.output, form, level, call.started, call.started_at = (
            plain
        )
        call.metrics_file, call.lineage_file = (Path(path) if path else None for path in (metrics_file, lineage_file))
        call.log = Log(form, level)
    if ending.is_stopped:
        line, exit_code = f"stopped by {name}", supervisor.SIGNALLED + ending.signal
    elif name == "SIGKILL":
        line, exit_code = (
            "killed by the system, most likely for want of memory; the next try starts afresh",
            EXIT_DEFECT,
        )
    elif (limit := resource.getrlimit(resource.RLIMIT_AS)[0]) != resource.RLIM_INFINITY:
        line, exit_code = (
            f"died of {name}, most likely for want of memory: address space has a limit of {limit >> 20:,} MiB",
            EXIT_DEFECT,
        )
    else:
        line, exit_code = f"a defect of the job, please report it: it died of {name}", EXIT_DEFECT
    print(line, file=sys.stderr)  # noqa: T201 - the line that the contract promises
    call.problems = 1
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
