"""Executors of a Spark Connect endpoint map the steps of a run; what is bulky they put into the shared spill folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from job import __version__
from job.errors import JobError, Problem, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from job.spark.session import Cluster

S = TypeVar("S")
T = TypeVar("T")


class SparkExecutor:
    """See `job.executor.Executor`. Executors see the drop and the spill folder under the same paths as the driver.

    Args:
        cluster: the endpoint.
    """

    is_remote = True

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def map(self, function: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
        """See `Executor`. Raises EngineError where the endpoint gives up, and what the function raises."""
        for outcome in self._cluster.spread(_Caught(function), list(items)):
            if isinstance(outcome, JobError):
                raise outcome
            yield outcome.value

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


class _Value(Generic[T]):
    def __init__(self, value: T) -> None:
        self.value = value


class _Caught(Generic[S, T]):
    """Calls a function; what it raises that a user can cause comes back to the driver as it is."""

    def __init__(self, function: Callable[[S], T]) -> None:
        self._function = function

    def __call__(self, item: S) -> Any:  # noqa: ANN401 - a _Value or a JobError
        try:
            return _Value(self._function(item))
        except JobError as error:
            return error
