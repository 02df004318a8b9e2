"""What runs when the command is called: `retention` (see `oneclick_retention`), and `python -m job`.

The command itself is `job.cli.main`; it runs in a child process, under `job.process.supervisor`.
"""

from __future__ import annotations

import gc
import os
import sys
import warnings
from typing import Final

from job.errors import EXIT_DEFECT
from job.memory import keep_freed_memory
from job.process.streams import guard_streams
from job.process.supervisor import supervise

COLLECTED_EVERY: Final = 200_000  # new objects: libraries and a small run make half as many, all of which stay


def run() -> None:
    """Run the command and leave with its exit code."""
    guard_streams()
    try:
        ending = supervise(_command)
    except BlockingIOError as error:  # of fork
        print(f"the system refuses processes: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201
        os._exit(EXIT_DEFECT)
    if "lease" in ending.notes:
        from job.storage.lease import release_for  # noqa: PLC0415 - only for accidents

        release_for(ending.notes["lease"])
    if ending.exit_code is None:
        from job.process.invocation import close_for  # noqa: PLC0415 - only for accidents

        exit_code = close_for(ending)
    else:
        exit_code = ending.exit_code
    sys.stderr.flush()
    os._exit(exit_code)


def _command() -> int:
    gc.set_threshold(COLLECTED_EVERY)
    keep_freed_memory()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's: threads for every core, and memory for each, unused
    warnings.filterwarnings("ignore", message="Polars binary is missing")  # no memory to load it: one line tells
    from job.cli import main  # noqa: PLC0415 - loaded by the child
    from job.process.invocation import Invocation  # noqa: PLC0415

    try:
        main.main(obj=Invocation(is_process=True))
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0


if __name__ == "__main__":
    run()
