"""Look a drop over without scoring it: what would become of its rows and customers."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from job.errors import OutputError
from job.features import check_some_scored, order_reasons, split_range
from job.intake.accept import read_drop
from job.memory import MemoryPlan
from job.spool import Scratch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.intake.accept import DropReading, Intake, Limits
    from job.intake.drop import TableFile


def survey_files(files: Mapping[str, TableFile], *, labelled: bool, limits: Limits) -> tuple[Intake, dict[str, int]]:
    """Read a drop and look it over; only a large one needs a temporary folder.

    Args:
        files: table -> its file.
        labelled: whether the label must be there.
        limits: how much may be wrong.

    Raises:
        DropError: as `survey_drop`.
        OutputError: there is no temporary folder.
    """
    plan = MemoryPlan()
    with ExitStack() as stack:
        space = Scratch()
        if sum(file.stamp.size for file in files.values()) > plan.kept_bytes:
            try:
                waiting = stack.enter_context(TemporaryDirectory(prefix="retention-"))
            except OSError as error:
                raise OutputError(f"no temporary folder can be written (TMPDIR names one): {error}") from error
            space = Scratch(Path(waiting), plan.kept_bytes, plan.run_bytes)
        reading = read_drop(files, labelled=labelled, scratch=space, plan=plan)
        intake, excluded = survey_drop(reading, limits)
        rejections = {name: spool.in_memory() for name, spool in intake.rejections.items()}
        return intake._replace(rejections=rejections), excluded


def survey_drop(reading: DropReading, limits: Limits) -> tuple[Intake, dict[str, int]]:
    """Return what became of a drop's rows, and reason -> accepted customers that cannot be scored.

    Args:
        reading: the drop, whose ranges have not been taken yet.
        limits: how much may be wrong.

    Raises:
        DropError: the drop is bad, or no customer of it can be scored.
    """
    scored = 0
    reasons: Counter[str] = Counter()
    for tables in reading.ranges():
        kept, excluded = split_range(tables)
        scored += kept.height
        reasons.update(dict(excluded["reason"].value_counts().iter_rows()))
    intake = reading.conclude(limits)
    check_some_scored(scored, reasons)
    return intake, order_reasons(reasons)
