"""How long a training will take, from one fit of each candidate on this machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from job.training.folds import group_folds
from job.training.selection import rows_to_fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from job.training.candidates import Candidate
    from job.training.folds import Groups, Labels
    from job.training.selection import Protocol


def estimate_seconds(
    candidates: Sequence[Candidate],
    features: pl.DataFrame,
    labels: Labels,
    groups: Groups,
    protocol: Protocol,
    *,
    workers: int,
) -> float:
    """Return how long the comparison takes with so many processes, if each has a core for itself.

    Each candidate is fitted once, as tuning does it: with the settings that it tries first, on the training rows of an
    inner split. Other settings take longer or less long. Processor time is what counts: other work on the machine makes
    the training take longer, and is no reason to expect hours of the next one.
    """
    (outer, *_) = group_folds(labels, groups, folds=protocol.folds, seed=protocol.seed)
    fits = (protocol.trials + 1) * protocol.inner_folds + 1
    seconds = 0.0
    for candidate in candidates:
        rows = rows_to_fit(candidate, outer)
        (inner, *_) = group_folds(labels, groups, folds=protocol.inner_folds, seed=protocol.seed, rows=rows)
        start = time.process_time()
        with threadpool_limits(limits=1):
            fitted = candidate.fit(features[inner.train], labels[inner.train], candidate.first, protocol.seed)
            fitted.margins(features[inner.test])
        seconds += (time.process_time() - start) * fits * protocol.folds * protocol.repeats
    return seconds / workers


def describe_seconds(seconds: float) -> str:
    """Return a duration as a phrase: «about 25 minutes»."""
    if seconds < 90:  # noqa: PLR2004
        return f"about {max(5, round(seconds / 5) * 5)} seconds"
    if seconds < 5400:  # noqa: PLR2004
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"
