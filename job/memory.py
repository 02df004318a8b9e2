"""How much is held in memory at a time."""

from __future__ import annotations

from typing import Final, NamedTuple

MIB: Final = 1 << 20
DEFAULT_LIMIT: Final = 1024 * MIB
LEAST_LIMIT: Final = 384 * MIB
RUN_BYTES: Final = 32 * MIB
ROWS_OF_CUSTOMER: Final = 7  # one of market_file and money, three months of revenue, two of minutes
BASE: Final = 272 * MIB  # of the process with its libraries, and what a Parquet row group takes, whatever the drop


class MemoryPlan(NamedTuple):
    """How much is held at a time. The defaults are those of `plan_memory(DEFAULT_LIMIT)`.

    Args:
        block_bytes: read from a text file at a time.
        batch_rows: read from a Parquet file at a time.
        range_rows: of the four tables together, joined and scored at a time.
        piece_bytes: of a text file that are read by one worker.
        piece_rows: of a Parquet file, the same.
        kept_bytes: may wait in memory before rows go to disk.
        run_bytes: of one table that go there together.
    """

    block_bytes: int = 8 * MIB
    batch_rows: int = 100_000
    range_rows: int = 700_000
    piece_bytes: int = 32 * MIB
    piece_rows: int = 400_000
    kept_bytes: int = 64 * MIB
    run_bytes: int = RUN_BYTES

    @property
    def customers(self) -> int:
        """How many customers are finished and written at a time."""
        return self.range_rows // ROWS_OF_CUSTOMER


def plan_memory(limit: int) -> MemoryPlan:
    """Return what to hold at a time so that the whole process stays below `limit` bytes."""
    share = max(0.1, min(4.0, (limit - BASE) / (DEFAULT_LIMIT - BASE)))
    full = MemoryPlan()
    return MemoryPlan(
        block_bytes=int(full.block_bytes * share),
        batch_rows=int(full.batch_rows * share),
        range_rows=int(full.range_rows * share),
        piece_bytes=int(full.piece_bytes * share),
        piece_rows=int(full.piece_rows * share),
        kept_bytes=int(full.kept_bytes * share),
        run_bytes=int(full.run_bytes * share),
    )
