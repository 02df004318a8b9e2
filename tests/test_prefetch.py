from __future__ import annotations

import contextlib
import threading
import weakref
from typing import TYPE_CHECKING

import pytest

from job.prefetch import WORKERS, mapped, prefetched

if TYPE_CHECKING:
    from collections.abc import Iterator


def failing(count: int) -> Iterator[int]:
    yield from range(count)
    raise OSError("gone")


class Block:
    """What is held while items are got."""


def held(kept: list[weakref.ref[Block]]) -> Iterator[int]:
    block = Block()
    kept.append(weakref.ref(block))
    yield 1
    raise OSError("gone")


def test_what_was_raised_keeps_nothing_that_was_read() -> None:
    kept: list[weakref.ref[Block]] = []
    with contextlib.suppress(OSError):
        list(prefetched(held(kept)))
    assert [block() for block in kept] == [None]


def threads(name: str) -> int:
    return sum(thread.name.startswith(name) for thread in threading.enumerate())


def test_the_same_items_in_order() -> None:
    assert list(prefetched(iter(range(100)))) == list(range(100))
    assert list(prefetched(iter([]))) == []
    assert list(mapped(lambda item: item * 2, range(100))) == list(range(0, 200, 2))
    assert list(mapped(str, [])) == []


def test_an_error_comes_after_what_was_got_before_it() -> None:
    items = prefetched(failing(5))
    assert [next(items) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(OSError, match="gone"):
        next(items)


def test_nobody_goes_on_for_one_who_stops() -> None:
    items = prefetched(iter(range(10**9)))
    assert next(items) == 0
    items.close()
    assert not threads("prefetch")


def test_who_leaves_waits_for_nobody() -> None:
    """Else a garbage collector that closes what was left, in a thread that begins, would wait for ever."""
    gate, begun = threading.Event(), []

    def work(item: int) -> int:
        begun.append(item)
        return item if item == 0 or gate.wait(timeout=60) else -1

    parts = mapped(work, range(100))
    assert next(parts) == 0
    closing = threading.Thread(target=parts.close)
    closing.start()
    closing.join(timeout=60)
    assert not closing.is_alive()
    assert not gate.is_set()
    del parts
    gate.set()
    for thread in threading.enumerate():
        if thread.name.startswith("mapped"):
            thread.join(timeout=60)
    assert not threads("mapped")
    assert max(begun) <= WORKERS


def test_what_a_function_raises_is_raised_in_its_place() -> None:
    got = []
    with pytest.raises(ZeroDivisionError):
        for value in mapped(lambda item: 6 // (3 - item), range(10)):
            got.append(value)  # noqa: PERF402 - what came before the error is wanted
    assert got == [2, 3, 6]
