"""What the tests have executors do: as the job's own work, but some of them are killed by it."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from job.executor import attempt
from job.spark.executor import Cluster, caught


@dataclass(frozen=True)
class Fatal:
    """Work whose executor is killed when it is done, before anybody is told.

    Args:
        work: what is done.
        folder: where each kill leaves a file, numbered from 0, with the executor's process.
        kills: how many executors are killed at most.
    """

    work: Any
    folder: Path
    kills: int

    def __call__(self, *given: Any) -> Any:
        told = self.work(*given)
        executor = executor_of(os.getpid())
        if not self._may_kill(executor):
            return told
        os.kill(executor, signal.SIGKILL)
        while True:
            signal.pause()  # until the death of the executor ends this process, too

    def _may_kill(self, executor: int) -> bool:
        """Take the next number that is free; two who ask at once do not get the same one."""
        for number in range(self.kills):
            try:
                with (self.folder / str(number)).open("x", encoding="utf-8") as kill:
                    kill.write(str(executor))
            except FileExistsError:
                continue
            return True
        return False


def executor_of(process: int) -> int:
    """Return the Java process that a Python process of an executor works for."""
    status = Path(f"/proc/{process}/status").read_text()
    name, parent = (re.findall(rf"^{field}:\t(.*)$", status, re.MULTILINE)[0] for field in ("Name", "PPid"))
    return process if name == "java" else executor_of(int(parent))


@dataclass(frozen=True)
class FatalCluster:
    """A cluster on which one step of a run kills executors. Args: step: the name of its function; else as `Fatal`."""

    cluster: Cluster
    step: str
    folder: Path
    kills: int

    def spread(self, work: Any, tasks: Any) -> Any:
        fatal = Fatal(work, self.folder, self.kills) if step_of(work) == self.step else work
        return self.cluster.spread(fatal, tasks)


def step_of(work: Any) -> str:
    """Return the name of the function that does some work, whatever catches its errors."""
    while not hasattr(work, "__name__"):
        work = work.args[0] if work.func in (attempt, caught) else work.func
    return str(work.__name__)
