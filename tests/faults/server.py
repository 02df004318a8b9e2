"""Starts the command again and again without importing its libraries each time: a process that forks.

Reads a JSON list of arguments per line; answers with the process's number, and once it has ended with its status as
`os.waitpid` gives it. What the command prints on standard error goes to the file that is this script's argument.
"""

from __future__ import annotations

import json
import os
import sys

import job.__main__
import job.cli
import job.process.invocation
import job.process.metrics
import job.scoring.pipeline
import job.scoring.summary


def serve() -> None:
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            nothing = os.open(os.devnull, os.O_RDWR)
            errors = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for target, source in ((0, nothing), (1, nothing), (2, errors)):
                os.dup2(source, target)
            sys.argv = ["retention", *json.loads(line)]
            job.__main__.run()
        answer(pid)
        answer(os.waitpid(pid, 0)[1])


def answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
