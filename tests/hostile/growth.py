"""Do time and memory grow with a hostile drop, or faster? `python -m tests.hostile.growth [SHAPE...]` shows it.

Every shape is scored at sizes n, 2n and 4n, beside a small drop that gives what any run costs. Time is that of the
processors, which other work on the machine moves little.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.hostile.bounded import Result, score
from tests.hostile.shapes import MIB, SHAPES, write_shape

SIZES = (4_000, 8_000, 16_000)
LIMIT_MIB = 384
MOST_TIMES = 6.0
"""By how much the cost of the last size may exceed that of the first: 4 is linear, 16 quadratic."""
NOISE_SECONDS = 1.0
"""By which two measures of the same may differ."""
MOST_SECONDS = 600
"""After which a run that should have ended is a failure."""


class Growth(NamedTuple):
    """What a shape costs at each size: processor seconds beyond those of a small drop, peaks in bytes, exit codes."""

    shape: str
    seconds: tuple[float, ...]
    peaks: tuple[int, ...]
    codes: tuple[int, ...]

    @property
    def is_linear(self) -> bool:
        """Return whether time grows no faster than the size, and memory stays below the limit."""
        most = MOST_TIMES * max(0.0, self.seconds[0]) + NOISE_SECONDS
        return self.seconds[-1] <= most and max(self.peaks) <= LIMIT_MIB * MIB

    def __str__(self) -> str:
        seconds = " ".join(f"{value:6.2f}" for value in self.seconds)
        peaks = " ".join(f"{peak / MIB:4.0f}" for peak in self.peaks)
        verdict = "" if self.is_linear else "  NOT LINEAR"
        return f"{self.shape:22} {seconds}   {peaks}   {self.codes}{verdict}"


def measured(shape: str, size: int, folder: Path) -> Result:
    """Score a drop of a shape, so large."""
    try:
        drop = write_shape(shape, size, folder / "drop")
        options = ("--memory-limit", LIMIT_MIB, "--max-rejected", "1", "--max-unknown", "1")
        return score(drop, folder / "out", *options, seconds=MOST_SECONDS)
    finally:
        shutil.rmtree(folder / "drop")
        shutil.rmtree(folder / "out", ignore_errors=True)


def growth_of(shape: str, folder: Path) -> Growth:
    """Measure a shape at all sizes."""
    base = measured("as they are", 30, folder).cpu
    results = [measured(shape, size, folder) for size in SIZES]
    return Growth(
        shape,
        tuple(result.cpu - base for result in results),
        tuple(result.peak for result in results),
        tuple(result.code for result in results),
    )


def main() -> int:
    """Print a line a shape; return how many are not linear."""
    print(f"sizes {SIZES}: processor seconds beyond a small drop's, peaks in MiB, exit codes")
    failed = 0
    for shape in sys.argv[1:] or SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            growth = growth_of(shape, Path(folder))
        print(growth, flush=True)
        failed += not growth.is_linear
    return failed


if __name__ == "__main__":
    sys.exit(main())
