"""One table of a drop, read by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from job.intake.reconcile import FileRead, read_drop
from job.memory import MemoryPlan

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from job.executor import Executor
    from job.intake.counts import RowCounts
    from job.intake.drop import TableFile


@dataclass(frozen=True)
class Read:
    """What was read of a file, rows in the file's order."""

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    keys: pl.DataFrame
    repairs: pl.DataFrame
    counts: RowCounts
    open_end: int | None
    written: Mapping[str, Any]

    @classmethod
    def of(cls, file: FileRead) -> Read:
        accepted, keys = (runs.read().sort("row") for runs in (file.accepted, file.keys))
        open_end = file.counts.open_end or None
        return cls(accepted, file.rejected.read(), keys, file.repairs, file.counts, open_end, file.describe())


def read_table(
    file: TableFile, *, labelled: bool = False, memory: MemoryPlan | None = None, executor: Executor | None = None
) -> Read:
    """Read one file."""
    drop = read_drop({file.table.name: file}, labelled=labelled, memory=memory or MemoryPlan(), executor=executor)
    (part,) = drop.tables[file.table.name].files
    return Read.of(part)
