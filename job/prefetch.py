"""Let somebody else get or work on the next items while this one is worked on; the order stays."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Future

T = TypeVar("T")
S = TypeVar("S")

WORKERS: Final = 3  # two leave two cores a fifth of the time idle, more hold more in memory; Polars uses all cores


def prefetched(items: Iterator[T]) -> Generator[T]:
    """Yield the same items; a thread gets the next one beforehand, and what it raises is raised here.

    It pays where getting an item needs no Python: reading, unpacking and hashing release the interpreter.
    """
    end: Any = object()  # what comes after the last item
    pool = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
    under_way = [pool.submit(next, items, end)]
    try:
        while (item := under_way.pop().result()) is not end:  # what is kept would keep, by its error, what was read
            under_way.append(pool.submit(next, items, end))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)


def mapped(function: Callable[[S], T], items: Iterable[S]) -> Generator[T]:
    """Yield function(item) for each item, in order; threads work on the next ones meanwhile.

    Items are taken one by one, here; at most `WORKERS` of them are under way. It pays where the function is Polars'
    work, which releases the interpreter. What the function raises is raised here, in its place. Who leaves early waits
    for nobody: the garbage collector may be the one to close what was left, in a thread that holds locks which threads
    need to end.
    """
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="mapped")
    under_way: deque[Future[T]] = deque()
    try:
        for item in items:
            under_way.append(pool.submit(function, item))
            if len(under_way) > WORKERS:
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
