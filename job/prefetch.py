"""Let somebody else get or work on the next item while this one is worked on; the order stays."""

from __future__ import annotations

import queue
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Future

T = TypeVar("T")
S = TypeVar("S")

WORKERS: Final = 3  # two leave two cores a fifth of the time idle, more hold more in memory; Polars uses all cores


class _End:
    """The last item: what the iterator raised, if it did not just end."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def prefetched(items: Iterator[T], ahead: int = 2) -> Generator[T]:
    """Yield the same items; a thread gets up to `ahead` of them beforehand, and what it raises is raised here.

    It pays where getting an item needs no Python: reading, unpacking and hashing release the interpreter.
    """
    waiting: queue.Queue[T | _End] = queue.Queue(ahead)
    stopped = threading.Event()

    def fetch() -> None:
        end = _End(None)
        try:
            for item in items:
                if not _put(waiting, item, stopped):
                    return
        except BaseException as error:  # noqa: BLE001 - raised again where the items are used
            end = _End(error)
        _put(waiting, end, stopped)

    thread = threading.Thread(target=fetch, name="prefetch", daemon=True)
    thread.start()
    try:
        while not isinstance(item := waiting.get(), _End):
            yield item
        if item.error is not None:
            try:
                raise item.error
            finally:
                item.error = None  # else it keeps this frame, which keeps it, and with it all that was read
    finally:
        stopped.set()
        thread.join()


def mapped(function: Callable[[S], T], items: Iterable[S], workers: int = WORKERS) -> Generator[T]:
    """Yield function(item) for each item, in order; threads work on the next ones meanwhile.

    Items are taken one by one, here; at most `workers` of them are under way. It pays where the function is Polars'
    work, which releases the interpreter. What the function raises is raised here, in its place. Who leaves early waits
    for nobody: the garbage collector may be the one to close what was left, in a thread that holds locks which threads
    need to end.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="mapped")
    under_way: deque[Future[T]] = deque()
    try:
        for item in items:
            under_way.append(pool.submit(function, item))
            if len(under_way) > workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    except GeneratorExit:
        for future in under_way:
            future.cancel()
        raise
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


def _put(waiting: queue.Queue[T | _End], item: T | _End, stopped: threading.Event) -> bool:
    while not stopped.is_set():
        try:
            waiting.put(item, timeout=0.05)
        except queue.Full:
            continue
        return True
    return False
