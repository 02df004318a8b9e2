"""Executors of a Spark Connect endpoint map the steps of a run; what is bulky they put into the shared spill folder."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from job import __version__
from job.errors import JobError, Problem, SettingsError
from job.executor import Executor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from job.spark.session import Cluster

S = TypeVar("S")
T = TypeVar("T")


class SparkExecutor(Executor):
    """See `job.executor.Executor`. Executors see the drop and the spill folder under the same paths as the driver."""

    is_remote = True

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def map(self, function: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
        """See `Executor`. Raises EngineError where the endpoint gives up, and what the function raises."""
        for outcome in self._cluster.spread(partial(caught, function), list(items)):
            if isinstance(outcome, JobError):
                raise outcome
            yield outcome[0]

    def check_paths(self, paths: Sequence[Path]) -> None:
        """Raise SettingsError if executors have another version of the job, or do not see a path."""
        ((version, unseen),) = self.map(find_unseen, [paths])
        if version != __version__:
            raise SettingsError(f"the executors have version {version} of the job, not {__version__}")
        if unseen:
            expected = "a path that driver and executors share"
            raise SettingsError(
                [Problem("--engine spark", expected, f"{path}, which executors do not see") for path in unseen]
            )


def find_unseen(paths: Sequence[Path]) -> tuple[str, list[str]]:
    """Return the version of the job that an executor has, and those of some paths that it does not see."""
    return __version__, [str(path) for path in paths if not path.exists()]


def caught(function: Callable[[S], T], item: S) -> tuple[T] | JobError:
    """Return what a function gives, in a tuple, or what it raises that a user can cause, for the driver to raise."""
    try:
        return (function(item),)
    except JobError as error:
        return error
