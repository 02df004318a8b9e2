"""Everything that may stop the job, each with its exit code.

    JobError
    ├── EngineError             1  the engine that was asked for cannot be reached, or gave up
    ├── SettingsError           2  an option's value, or options that do not go together
    ├── DropError               3  the drop is bad: carries every problem found
    ├── ArtifactError           4  the model artifact is missing, altered or of an incompatible version
    ├── OutputError             5  the output cannot be written
    ├── DropIncompleteError     6  the drop is not complete yet
    └── OutputBusyError         7  another run holds the output

Anything else that escapes is a defect of the job (exit code 1). 0 and 8 are outcomes, not errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, ClassVar, Final, NamedTuple

EXIT_PUBLISHED = 0
EXIT_DEFECT = 1
EXIT_LOOK = 8

SYSTEM_ERROR: Final = re.compile(r"(?P<reason>[^:]+) \(os error \d+\)(?:: (?P<path>.+))?")
"""What Polars makes of the system's refusal, in an error of its own."""


class Problem(NamedTuple):
    """One thing that is wrong, as one line for a person.

    Args:
        file: the file's name as delivered (or a folder's, or an option's).
        expected: what should have been there, as a phrase.
        found: what was there, as delivered; long values are shortened in the line.
        row: the number of the record in the file (the headings are row 1, blank lines count), or of the row in
            a Parquet file.
        column: the heading as delivered.
        line: the number of the line with which the record begins, where it is another: fields may have line breaks.
    """

    file: str
    expected: str
    found: str | None = None
    row: int | None = None
    column: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        where = [printable(self.file)]
        if self.row is not None:
            where.append(f"row {self.row}" if self.line is None else f"row {self.row} (line {self.line})")
        if self.column is not None:
            where.append(f"column «{self.column}»")
        what = f"expected {self.expected}"
        if self.found is not None:
            what = f"found {shorten(self.found)}, {what}"
        return f"{', '.join(where)}: {what}"


def shorten(text: str, limit: int = 120) -> str:
    """Return `text` on one line, control characters escaped, cut after `limit` characters."""
    line = printable(text[: limit + 1])
    return line if len(line) <= limit else f"{line[:limit]}…"


def printable(text: str) -> str:
    """Return `text` with what cannot be seen, or moves what can, escaped: line ends, control and format characters."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


class JobError(Exception):
    """Base of all errors that a user or the environment can cause."""

    exit_code: ClassVar[int] = EXIT_DEFECT

    def __init_subclass__(cls, exit_code: int | None = None) -> None:
        cls.exit_code = cls.exit_code if exit_code is None else exit_code

    def __init__(self, problems: str | Iterable[str | Problem]) -> None:
        self.defects: tuple[str | Problem, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[JobError], tuple[Any, ...]]:
        """Let it be sent to another process."""
        return (type(self), (self.defects,))

    @property
    def problems(self) -> tuple[str, ...]:
        """One line for each problem, as printed."""
        return tuple(str(defect) for defect in self.defects)


class EngineError(JobError, exit_code=EXIT_DEFECT):
    """The engine that was asked for cannot be reached, or gave up, or there are no threads: a later try may succeed."""


class SettingsError(JobError, exit_code=2):
    """An option's value is wrong, or options do not go together."""


class DropError(JobError, exit_code=3):
    """The drop is bad; every problem is named."""


class ArtifactError(JobError, exit_code=4):
    """The model artifact is missing, altered or made by an incompatible version."""


class OutputError(JobError, exit_code=5):
    """The output cannot be written."""


class DropIncompleteError(JobError, exit_code=6):
    """The drop is not complete yet: a later try may succeed."""


class OutputBusyError(JobError, exit_code=7):
    """Another run holds the output."""


def reason_of(error: BaseException) -> str:
    """Return why the system refused something, as it says it itself, also where Polars wraps it."""
    match = SYSTEM_ERROR.search(str(error))
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return match["reason"].strip() if match else str(error).partition("\n")[0]
