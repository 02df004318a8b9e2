from __future__ import annotations

from pathlib import Path

import pytest

from job.errors import DropError, Problem, SettingsError
from job.executor import Executor, WatchedExecutor, attempt


def test_steps_are_told_as_they_are_done() -> None:
    told: list[tuple[int, int | None]] = []
    watched = WatchedExecutor(Executor(), lambda *steps: told.append(steps))
    results = watched.map(abs, [-1, 2, -3])
    assert next(results) == 1
    assert told == [(1, 3)]
    assert list(results) == [2, 3]
    assert list(watched.map(abs, (number for number in (-4, 5)))) == [4, 5]
    assert told == [(1, 3), (2, 3), (3, 3), (1, None), (2, None)]


def test_it_is_otherwise_the_executor_that_is_watched(tmp_path: Path) -> None:
    class Remote(Executor):
        is_remote = True

        def check_paths(self, paths: object) -> None:
            raise SettingsError(str(paths))

    watched = WatchedExecutor(Remote(), lambda *_: None)
    assert watched.is_remote
    with pytest.raises(SettingsError):
        watched.check_paths([tmp_path])


def test_what_was_refused_is_told_and_keeps_nothing_that_was_read() -> None:
    problem = Problem("money.csv", "rows", "none")

    def refuse(_: int) -> int:
        raise DropError([problem])

    refused = attempt(refuse, 1)
    assert isinstance(refused, DropError)
    assert refused.defects == (problem,)
    assert refused.__traceback__ is None
