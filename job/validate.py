"""Check a drop without scoring it: what would become of its rows and customers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from job.errors import OutputError
from job.features import check_some_scored, order_reasons, split_range
from job.intake.reconcile import DropCounts, Intake, judge_drop, read_drop, reconcile_all
from job.memory import MemoryPlan
from job.spill import SpillSpace

if TYPE_CHECKING:
    from job.intake.drop import TableFile
    from job.settings import Limits


def validate_drop(files: Mapping[str, TableFile], *, labelled: bool, limits: Limits) -> tuple[Intake, dict[str, int]]:
    """Return what would become of the rows of a drop's tables, and reason -> accepted customers that cannot be scored.

    Raises DropError: the drop is bad, or nobody can be scored; OutputError: no temporary folder, for a large drop.
    """
    memory = MemoryPlan()
    with ExitStack() as stack:
        space = SpillSpace()
        if sum(file.stamp.size for file in files.values()) > memory.kept_bytes:
            try:
                folder = stack.enter_context(TemporaryDirectory(prefix="retention-"))
            except OSError as error:
                raise OutputError(f"no temporary folder can be written (TMPDIR names one): {error}") from error
            space = SpillSpace(Path(folder), memory.kept_bytes, memory.run_bytes)
        drop = read_drop(files, labelled=labelled, space=space, memory=memory)
        counts, scored = DropCounts(), 0
        reasons: Counter[str] = Counter()
        for part in reconcile_all(drop, rows=memory.range_rows):
            kept, excluded = split_range(part.tables)
            counts += part.counts
            scored += kept.height
            reasons.update(dict(excluded["reason"].value_counts().iter_rows()))
        intake = judge_drop(drop, counts, limits)
        check_some_scored(scored, reasons)
        rejections = {name: rejected.in_memory() for name, rejected in intake.rejections.items()}
        return intake._replace(rejections=rejections), order_reasons(reasons)
