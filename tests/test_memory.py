from __future__ import annotations

import resource
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from job.memory import DEFAULT_LIMIT, MIB, MemoryPlan, choose_limit, group_limit, plan_memory


def test_the_defaults_are_those_of_the_default_limit() -> None:
    assert plan_memory(DEFAULT_LIMIT) == MemoryPlan()


def test_less_memory_holds_less() -> None:
    plans = [tuple(plan_memory(limit * MIB)) for limit in (384, 512, 1024, 4096)]
    for small, large in pairwise(plans):
        assert all(less < more for less, more in zip(small, large, strict=True))


V2, V1 = "0::/kube/pod\n", "5:memory:/kube/pod\n4:cpu:/x\n0::/\n"


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        (V2, {}, None),
        (V2, {"kube/pod/memory.max": "max\n"}, None),
        (V2, {"kube/pod/memory.max": "1000\n"}, 1000),
        (V2, {"kube/pod/memory.max": "max", "kube/memory.max": "700", "memory.max": "900"}, 700),
        (V1, {"memory/kube/pod/memory.limit_in_bytes": "9223372036854771712"}, None),
        (V1, {"memory/kube/pod/memory.limit_in_bytes": "500", "memory/memory.limit_in_bytes": "800"}, 500),
        ("", {"memory.max": "1000"}, None),
    ],
)
def test_the_limit_of_the_control_group(groups: str, files: dict[str, str], limit: int | None, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(text)
    (tmp_path / "member").write_text(groups)
    assert group_limit(tmp_path / "root", tmp_path / "member") == limit
    assert group_limit(tmp_path / "root", tmp_path / "none") is None


@pytest.mark.parametrize(
    ("asked", "allowed", "limit"),
    [(500, 100 * MIB, 500 * MIB), (None, None, DEFAULT_LIMIT), (None, 2048 * MIB, 1536 * MIB), (None, MIB, 384 * MIB)],
)
def test_most_of_what_is_allowed_is_taken(
    asked: int | None, allowed: int | None, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("job.memory.group_limit", lambda: allowed)
    assert choose_limit(asked) == limit


def test_freed_memory_is_kept_for_what_is_asked_for_next() -> None:
    """A block of a file that is freed and asked for again costs no new pages."""
    pages = new_pages("keep_freed_memory(); bytearray(8 * MIB)", "bytearray(8 * MIB)")
    assert pages < 8 * MIB // resource.getpagesize() // 10


def test_polars_keeps_what_one_thread_frees_for_the_next() -> None:
    prepared = (
        "from threading import Thread; keep_freed_memory()\n"
        "import polars as pl; column = pl.zeros(MIB // 2, pl.Float64, eager=True); column.reverse()"
    )
    pages = new_pages(prepared, "thread = Thread(target=column.reverse); thread.start(); thread.join()")
    assert pages < 4 * MIB // resource.getpagesize() // 4


def new_pages(prepared: str, step: str) -> int:
    """Return how many pages a step asks the system for, in a process of its own that has prepared for it."""
    script = (
        f"import resource; from job.memory import MIB, keep_freed_memory\n{prepared}\n"
        f"before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n{step}\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)"
    )
    ended = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return int(ended.stdout)
