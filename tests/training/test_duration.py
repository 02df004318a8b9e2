from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from job.training import selection
from job.training.candidates import PLAIN, Fitted
from job.training.selection import Protocol, describe_seconds, estimate_seconds


def test_each_fit_of_the_protocol_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fit takes 2 seconds by this clock: 3 trials on 2 inner folds and 1 more, 20 splits."""
    clock = [0.0]
    rows: list[int] = []

    def fit(features: pl.DataFrame, *_: object) -> Fitted:
        clock[0] += 2.0
        rows.append(features.height)
        return Fitted(lambda other: np.zeros(other.height), None)

    monkeypatch.setattr(selection.time, "process_time", lambda: clock[0])
    candidates = [replace(PLAIN, fit=fit), replace(PLAIN, fit=fit, most_rows=40)]
    labels = np.tile(np.array([0, 1], dtype=np.int8), 100)
    found = estimate_seconds(
        candidates,
        pl.DataFrame({"x": labels}),
        labels,
        np.arange(200),
        Protocol(folds=5, repeats=4, inner_folds=2, trials=3),
        workers=2,
    )
    assert found == 2 * 2.0 * (3 * 2 + 1) * 20 / 2
    assert rows == [80, 20]


@pytest.mark.parametrize(
    ("seconds", "phrase"),
    [
        (0.1, "about 5 seconds"),
        (42, "about 40 seconds"),
        (1500, "about 25 minutes"),
        (3200, "about 53 minutes"),
        (7200, "about 2.0 hours"),
    ],
)
def test_a_duration_is_a_phrase(seconds: float, phrase: str) -> None:
    assert describe_seconds(seconds) == phrase
