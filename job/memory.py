"""How much is held in memory at a time."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Final, NamedTuple

MIB: Final = 1 << 20
DEFAULT_LIMIT: Final = 1024 * MIB
LEAST_LIMIT: Final = 384 * MIB
RUN_BYTES: Final = 32 * MIB
ROWS_OF_CUSTOMER: Final = 7  # one of market_file and money, three months of revenue, two of minutes
BASE: Final = 272 * MIB  # of the process with its libraries, and what a Parquet row group takes, whatever the drop

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of malloc.h
KEPT_BLOCK: Final = 32 * MIB  # the largest that glibc keeps
KEPT_HEAP: Final = 64 * MIB  # at the heap's end
POLARS_HEAP: Final = "_RJEM_MALLOC_CONF"  # of jemalloc, as it is built into Polars
KEPT_MILLISECONDS: Final = 2000  # Polars alone: 500, in several heaps, which take as much memory

GROUP_SHARE: Final = 0.75  # of a control group's memory: it holds the process that watches, and files in memory, too
UNLIMITED: Final = 1 << 60  # what version 1 of control groups says where nothing is set, about


def choose_limit(mib: int | None) -> int:
    """Return how many bytes the process may take; None: most of what its control group allows, else the default."""
    if mib is not None:
        return mib * MIB
    allowed = group_limit()
    return DEFAULT_LIMIT if allowed is None else max(LEAST_LIMIT, int(allowed * GROUP_SHARE))


def group_limit(root: Path = Path("/sys/fs/cgroup"), member: Path = Path("/proc/self/cgroup")) -> int | None:
    """Return the memory that the control groups of this process allow, in bytes; None without a limit, or without any.

    Groups are mounted at `root`; a line of `member` is a group of the process: number, controllers, path.
    """
    limits: list[int] = []
    for line in _text_of(member).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top, file = (root, "memory.max") if not controllers else (root / "memory", "memory.limit_in_bytes")
        group = top / path.lstrip("/")
        folders = [folder for folder in (group, *group.parents) if folder.is_relative_to(top)]
        texts = (_text_of(folder / file).strip() for folder in folders)
        limits += [int(text) for text in texts if text.isdigit() and int(text) < UNLIMITED]
    return min(limits, default=None)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""


class MemoryPlan(NamedTuple):
    """How much is held at a time. The defaults are those of `plan_memory(DEFAULT_LIMIT)`."""

    block_bytes: int = 8 * MIB  # read from a text file at a time
    batch_rows: int = 100_000  # read from a Parquet file at a time
    range_rows: int = 1_000_000  # of the four tables together, joined and scored at a time
    piece_bytes: int = 32 * MIB  # of a text file that are read by one worker
    piece_rows: int = 400_000  # of a Parquet file, the same
    kept_bytes: int = 192 * MIB  # may wait in memory before rows go to disk
    run_bytes: int = RUN_BYTES  # of one table that go there together

    @property
    def customers(self) -> int:
        """How many customers are finished and written at a time."""
        return self.range_rows // ROWS_OF_CUSTOMER


def keep_freed_memory() -> None:
    """Let the C library and Polars keep some of what is freed for what is asked for next, in one heap for all threads.

    A block of a file, a column or a table's text is some megabytes. Left alone, they give each back to the system as it
    is freed, or soon after, and the system clears the next one: a fifth of a run's processor time. Polars' allocator
    reads its settings as Polars is imported; the last one counts, which is the user's.
    """
    kept, given = f"narenas:1,dirty_decay_ms:{KEPT_MILLISECONDS}", os.environ.get(POLARS_HEAP)
    os.environ[POLARS_HEAP] = f"{kept},{given}" if given else kept
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # not every C library has it
    for option, value in ((M_ARENA_MAX, 1), (M_MMAP_THRESHOLD, KEPT_BLOCK), (M_TRIM_THRESHOLD, KEPT_HEAP)):
        if set_option is not None:
            set_option(option, value)


def plan_memory(limit: int) -> MemoryPlan:
    """Return what to hold at a time so that the whole process stays below `limit` bytes."""
    share = max(0.1, min(4.0, (limit - BASE) / (DEFAULT_LIMIT - BASE)))
    return MemoryPlan(*(int(size * share) for size in MemoryPlan()))
