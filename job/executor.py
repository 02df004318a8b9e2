"""Who maps the steps of a run over their items: threads of this process here, Spark's executors in `job.spark`."""

from __future__ import annotations

from collections.abc import Sized
from typing import TYPE_CHECKING, TypeVar

from job.errors import DropError
from job.prefetch import mapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from job.errors import Problem

S = TypeVar("S")
T = TypeVar("T")


class Executor:
    """Maps a function over items, in order; it knows nothing else of a run.

    This one has threads of this process: it pays, as the work is Polars', which releases the interpreter.

    Args:
        tell: called after each step with how many are done, and of how many, None where nobody knows.
    """

    is_remote = False
    """Whether functions run in other processes: then what they make goes to files of the shared spill folder."""

    def __init__(self, tell: Callable[[int, int | None], None] = lambda *_: None) -> None:
        self._tell = tell

    def map(self, function: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
        """Yield function(item) of each item, in their order; each step is told as it is done.

        The function is one of a module, or a partial of one; picklable, as items are, and may be called twice for one.
        """
        total = len(items) if isinstance(items, Sized) else None
        for done, result in enumerate(self.run(function, items), start=1):
            self._tell(done, total)
            yield result

    def run(self, function: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
        """Do as `map`, and tell nothing."""
        return mapped(function, items)

    def check_paths(self, paths: Sequence[Path]) -> None:
        """Raise SettingsError if a path is not seen wherever the functions run."""


def attempt(function: Callable[[S], T], item: S) -> T | DropError:
    """Return what a function gives, or the DropError that it raises, so that those of all items are named at once.

    It is another one that says the same: the one that was raised keeps, by its traceback, all that was read until then.
    """
    try:
        return function(item)
    except DropError as error:
        return DropError(error.defects)


def attempt_all(function: Callable[[S], T], items: Iterable[S]) -> tuple[list[T], list[str | Problem]]:
    """Return what a function gives of the items that it does not refuse, and what is wrong with all the others."""
    outcomes = [attempt(function, item) for item in items]
    results = [outcome for outcome in outcomes if not isinstance(outcome, DropError)]
    defects = [defect for outcome in outcomes if isinstance(outcome, DropError) for defect in outcome.defects]
    return results, defects
