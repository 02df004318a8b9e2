from __future__ import annotations

from job.errors import DropError, Problem
from job.executor import Executor, attempt


def test_steps_are_told_as_they_are_done() -> None:
    told: list[tuple[int, int | None]] = []
    watched = Executor(lambda *steps: told.append(steps))
    results = watched.map(abs, [-1, 2, -3])
    assert next(results) == 1
    assert told == [(1, 3)]
    assert list(results) == [2, 3]
    assert list(watched.map(abs, (number for number in (-4, 5)))) == [4, 5]
    assert told == [(1, 3), (2, 3), (3, 3), (1, None), (2, None)]


def test_what_was_refused_is_told_and_keeps_nothing_that_was_read() -> None:
    problem = Problem("money.csv", "rows", "none")

    def refuse(_: int) -> int:
        raise DropError([problem])

    refused = attempt(refuse, 1)
    assert isinstance(refused, DropError)
    assert refused.defects == (problem,)
    assert refused.__traceback__ is None
