"""Runs the command in a child process, so that whatever becomes of it, somebody is left to clean up and to say so.

A Python signal handler waits until a running query ends, and some ends cannot be caught at all: the system kills a
process that takes too much memory, and native code aborts. So the process that was started only waits. It stops its
child at once when it is told to stop, removes what the child was writing, and knows what the child died of. If it is
itself killed, the system kills the child with it, and the next run cleans up.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

STOPPING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
NO_THREADS: Final = (
    "the system refuses threads: a limit on processes or on address space, or a container runtime's filter"
)
SIGNALLED: Final = 128
"""A shell's exit code for a process that a signal ended is this plus the signal."""

_FOLDER: Final = "folder "
_WORKS: Final = "works"  # noted until Python leaves: a library that gives up may end the process with any exit code
_PR_SET_PDEATHSIG: Final = 1
_THREADS_OF_A_CORE: Final = 3  # Polars has several pools
_SPARE_THREADS: Final = 8  # of Polars and of this job besides


class Ending(NamedTuple):
    """How the child ended, as it was told or by accident; and what it had noted last.

    By itself, with an exit code, or by a signal; with neither, a library ended it.
    """

    exit_code: int | None
    signal: signal.Signals | None
    is_stopped: bool
    notes: dict[str, str]


@dataclass
class _Channel:
    """The pipe on which a child tells its parent what the parent may have to know; none without a parent."""

    descriptor: int | None = None


@dataclass
class _Stopper:
    """Stops the child at the first signal, and this process at the second."""

    child: int
    received: list[signal.Signals] = field(default_factory=list)

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        if self.received:
            os._exit(SIGNALLED + number)
        self.received.append(signal.Signals(number))
        _kill_group(self.child)


def _leave(exit_codes: list[int]) -> None:
    """End the process once all is said and done: to take an interpreter with its libraries apart takes 0.2 s."""
    note(_WORKS, None)
    if not exit_codes:  # the work raised: Python tells of it, and leaves
        return
    with contextlib.suppress(OSError):  # who reads has gone: Python tells of it
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        os._exit(exit_codes[0])


_channel: Final = _Channel()


def lacks_threads() -> str | None:
    """Return why the system refuses the threads that libraries start, None if it does not: they abort without them."""
    import threading  # noqa: PLC0415 - the parent does without

    leave = threading.Event()
    begun: list[threading.Thread] = []
    try:
        for _ in range(_THREADS_OF_A_CORE * (os.cpu_count() or 1) + _SPARE_THREADS):
            thread = threading.Thread(target=leave.wait)
            thread.start()
            begun.append(thread)
    except RuntimeError:
        return f"{NO_THREADS} (after {len(begun)})"
    finally:
        leave.set()
        for thread in begun:
            thread.join()
    return None


def note(name: str, value: str | None) -> None:
    """Let the parent know a value, should this process end before its time; None takes it back."""
    if _channel.descriptor is not None:
        with contextlib.suppress(BrokenPipeError):
            os.write(_channel.descriptor, f"{json.dumps([name, value])}\n".encode())


@contextlib.contextmanager
def removed_if_killed(folder: Path) -> Iterator[None]:
    """Have a folder removed if this process is ended while the block runs; nothing is done at the block's end.

    The folder's name must be one that no other process makes.
    """
    name = f"{_FOLDER}{folder.absolute()}"
    note(name, "")
    try:
        yield
    finally:
        note(name, None)


def supervise(work: Callable[[], int]) -> Ending:
    """Run `work` in a child process and return how that ended; what it returns is its exit code.

    To be called before anything starts a thread. SIGTERM, SIGINT and SIGHUP end the child and all of its children at
    once (those that are ignored stay so); a second signal ends this process, too.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored by who called, nobody would be told of a child's end
    ours = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    reader, writer = os.pipe()
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None: closed by who called
        stream.flush()
    parent = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ours)
    child = os.fork()
    if child == 0:
        os.close(reader)
        _channel.descriptor = writer
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # it is in the background now, and writes to the terminal
        os.setpgid(0, 0)
        _die_with(parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        exit_codes: list[int] = []
        atexit.register(_leave, exit_codes)  # the first to be registered, and so the last to be called
        note(_WORKS, "")
        exit_codes.append(work())
        sys.exit(exit_codes[0])
    os.close(writer)
    with contextlib.suppress(PermissionError, ProcessLookupError):  # the child was faster
        os.setpgid(child, child)
    stopper = _Stopper(child)
    for number in ours:
        signal.signal(number, stopper)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    notes = _listen(reader)
    _, status = os.waitpid(child, 0)
    is_left = notes.pop(_WORKS, None) is None and os.WIFEXITED(status)
    exit_code = os.WEXITSTATUS(status) if is_left else None
    ended = signal.Signals(os.WTERMSIG(status)) if os.WIFSIGNALED(status) else None
    if not is_left:
        _kill_group(child)  # its children, such as the processes that train
    for name in [name for name in notes if name.startswith(_FOLDER)]:
        import shutil  # noqa: PLC0415 - rarely needed

        shutil.rmtree(name.removeprefix(_FOLDER), ignore_errors=True)
        del notes[name]
    is_stopped = bool(stopper.received) or ended in {signal.SIGTERM, signal.SIGHUP}  # but libraries raise SIGINT
    if stopper.received and ended is not None:
        ended = stopper.received[0]
    return Ending(exit_code, ended, is_stopped=is_stopped, notes=notes)


def _listen(reader: int) -> dict[str, str]:
    """Return what the child noted and did not take back, once it has ended."""
    notes: dict[str, str] = {}
    with open(reader, encoding="ascii") as lines:
        for line in lines:
            try:
                name, value = json.loads(line)
            except ValueError:  # it was killed in the middle of the line
                break
            if value is None:
                notes.pop(name, None)
            else:
                notes[name] = value
    return notes


def _kill_group(child: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)


def _die_with(parent: int) -> None:
    """Have the system kill this process as soon as its parent dies."""
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415 - the parent does without

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has died before
        os._exit(SIGNALLED + signal.SIGKILL)
