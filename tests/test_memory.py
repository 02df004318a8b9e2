from __future__ import annotations

from itertools import pairwise

from job.memory import DEFAULT_LIMIT, MIB, MemoryPlan, plan_memory


def test_the_defaults_are_those_of_the_default_limit() -> None:
    assert plan_memory(DEFAULT_LIMIT) == MemoryPlan()


def test_less_memory_holds_less() -> None:
    plans = [tuple(plan_memory(limit * MIB)) for limit in (384, 512, 1024, 4096)]
    for small, large in pairwise(plans):
        assert all(less < more for less, more in zip(small, large, strict=True))
