"""An executor that maps the steps of a run over a Spark Connect endpoint; what is bulky is put into the spill folder.

What the endpoint says of its troubles becomes one line.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import re
import socket
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from job import __version__
from job.errors import EngineError, JobError, Problem, SettingsError
from job.executor import Executor

S = TypeVar("S")
T = TypeVar("T")

SCHEMA: Final = "number long, told binary"
RETRIES: Final = 3  # of a call to an endpoint that does not answer: some 4 s in all
RETRY_MS: Final = 200
MAX_RETRY_MS: Final = 10_000
PORT: Final = 15002
CONNECT_SECONDS: Final = 10
LINE: Final = 300  # characters of what Spark says

_MISSING_MODULE: Final = re.compile(r"No module named '(?P<name>[\w.]+)'")


class Cluster:
    """A session on an endpoint, such as `sc://host:15002`, which is as trusted as this machine: it runs what is sent.

    Raises SettingsError: the extra `spark` is not installed, or the address is none; EngineError: nobody answers.
    """

    def __init__(self, remote: str) -> None:
        self._remote = remote
        with _quiet():
            try:
                import pyarrow as pa  # noqa: F401, PLC0415 - so that its absence is told here
                from pyspark.sql.connect.client.retries import DefaultPolicy  # noqa: PLC0415 - an extra
                from pyspark.sql.connect.session import SparkSession  # noqa: PLC0415
            except ImportError as error:
                missing = f"not installed: {error.name}; pip install 'oneclick-retention[spark]'"
                raise SettingsError(f"--engine spark: {missing}") from error
            _check_listening(remote)
            with self._told_in_a_line():
                self._spark: Any = SparkSession.builder.remote(remote).create()
                policy = DefaultPolicy(max_retries=RETRIES, initial_backoff=RETRY_MS, max_backoff=MAX_RETRY_MS)
                self._spark.client.set_retry_policies([policy])
                self.version = str(self._spark.version)

    def close(self) -> None:
        """End the session; who does not answer any more is left alone."""
        with contextlib.suppress(Exception), _quiet():
            self._spark.client.set_retry_policies([])
            self._spark.stop()

    def spread(self, work: Callable[[S], T], tasks: Sequence[S]) -> list[T]:
        """Do some work on executors, each task by itself; return what each gave, in the order of the tasks.

        `work` is a function of a module, which executors import, or a partial of one, and may be done more than once;
        tasks are plain values. Raises EngineError where the endpoint gives up.
        """
        if not tasks:
            return []
        import pyarrow as pa  # noqa: PLC0415 - an extra

        def run(batches: Iterator[Any]) -> Iterator[Any]:
            import pickle  # noqa: PLC0415 - executors run this

            import pyarrow as pa  # noqa: PLC0415

            for batch in batches:
                for number, task in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True):
                    result = pickle.dumps(work(pickle.loads(task)))  # noqa: S301 - the driver's own
                    yield pa.RecordBatch.from_pydict(
                        {"number": pa.array([number], pa.int64()), "told": pa.array([result], pa.binary())}
                    )

        numbers = pa.array(range(len(tasks)), pa.int64())
        table = pa.table({"number": numbers, "task": pa.array([pickle.dumps(task) for task in tasks], pa.binary())})
        with _quiet(), self._told_in_a_line():
            frame = self._spark.createDataFrame(table).repartition(len(tasks))
            gathered = frame.mapInArrow(run, SCHEMA).toArrow()
        results = dict(zip(gathered.column("number").to_pylist(), gathered.column("told").to_pylist(), strict=True))
        if not gathered.num_rows == len(results) == len(tasks):
            raise EngineError(f"{self._remote}: gave {gathered.num_rows} results of {len(tasks)}")
        return [pickle.loads(results[number]) for number in sorted(results)]  # noqa: S301 - as trusted as this machine

    @contextlib.contextmanager
    def _told_in_a_line(self) -> Iterator[None]:
        from grpc import RpcError  # noqa: PLC0415 - an extra
        from pyspark.errors import PySparkException  # noqa: PLC0415

        try:
            yield
        except (PySparkException, RpcError) as error:
            text = str(error)
            missing = _MISSING_MODULE.search(text)
            if missing:
                raise SettingsError(f"{self._remote}: its executors have no Python module {missing['name']}") from error
            raise EngineError(f"{self._remote}: Spark gave up: {_line(text)}") from error


def _check_listening(remote: str) -> None:
    """Raise what is wrong with an address: the client itself would ask for a minute."""
    address = urlsplit(remote)
    if address.scheme != "sc" or not address.hostname:
        raise SettingsError([Problem("--spark-remote", "sc://HOST:PORT", remote)])
    try:
        with socket.create_connection((address.hostname, address.port or PORT), timeout=CONNECT_SECONDS):
            pass
    except OSError as error:
        raise EngineError(f"{remote}: nobody answers: {error.strerror or error}") from error


def _line(text: str) -> str:
    """Return the line that says most: the last one that names an error, of a traceback, or else the first."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    details = [line for line in lines if line.startswith("details = ")]
    return ([*details, *named[-1:], *lines] or ["no reason"])[0][:LINE]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the client's warnings and its log of retries from our lines."""
    logger = logging.getLogger("pyspark.sql.connect.client.logging")
    was = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = was


class SparkExecutor(Executor):
    """See `job.executor.Executor`. Executors see the drop and the spill folder under the same paths as the driver."""

    is_remote = True

    def __init__(self, cluster: Cluster, tell: Callable[[int, int | None], None] = lambda *_: None) -> None:
        super().__init__(tell)
        self._cluster = cluster

    def run(self, function: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
        """See `Executor`. Raises EngineError where the endpoint gives up, and what the function raises."""
        for outcome in self._cluster.spread(partial(caught, function), list(items)):
            if isinstance(outcome, JobError):
                raise outcome
            yield outcome[0]

    def check_paths(self, paths: Sequence[Path]) -> None:
        """Raise SettingsError if executors have another version of the job, or do not see a path."""
        ((version, unseen),) = self.run(find_unseen, [paths])
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
