"""Look a drop over without scoring it: what would become of its rows and customers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from job.features import check_some_scored, order_reasons, split_range

if TYPE_CHECKING:
    from job.intake.accept import DropReading, Intake, Limits


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
