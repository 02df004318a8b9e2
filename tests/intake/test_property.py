"""A drop that was broken in any way is taken in with its sums right, or refused in words: never anything else."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from job.errors import EXIT_LOOK, EXIT_PUBLISHED
from job.settings import Limits
from tests.fuzz import judge
from tests.golden.judge import score
from tests.intake.mutate import QUICK, Folder, become_parquet, seeded, start

Fault = Callable[[Random, Folder], None]

seeds = st.integers(0, 2**32)
limits = st.sampled_from([Limits(), Limits(rejected=0.5, unknown=0.5), Limits(rejected=1, unknown=1)])
bounded = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def judge_broken(seed: int, faults: list[tuple[Fault, int]], limits: Limits, *, labelled: bool) -> int:
    drop = start(seeded(seed))
    for fault, fault_seed in faults:
        fault(seeded(fault_seed), drop)
    with tempfile.TemporaryDirectory() as name:
        drop.write(Path(name))
        return judge(Path(name), limits, labelled=labelled)


@given(seeds, st.lists(st.tuples(st.sampled_from(QUICK), seeds), max_size=4), limits, st.booleans())
@settings(bounded, max_examples=40)
def test_broken_drops(seed: int, faults: list[tuple[Fault, int]], limits: Limits, labelled: bool) -> None:  # noqa: FBT001
    code = judge_broken(seed, faults, limits, labelled=labelled)
    assert code in (0, 3, 6)


@given(seeds, seeds)
@settings(bounded, max_examples=3)
def test_broken_parquet(seed: int, fault_seed: int) -> None:
    assert judge_broken(seed, [(become_parquet, fault_seed)], Limits(), labelled=False) in (0, 3)


@given(seeds, st.lists(st.tuples(st.sampled_from(QUICK), seeds), max_size=2))
@settings(bounded, max_examples=10)
def test_nothing_is_published_of_a_refused_drop(seed: int, faults: list[tuple[Fault, int]]) -> None:
    drop = start(seeded(seed))
    for fault, fault_seed in faults:
        fault(seeded(fault_seed), drop)
    with tempfile.TemporaryDirectory() as name:
        drop.write(Path(name, "drop"))
        code, problems = score(Path(name, "drop"), Path(name, "out"), [])
        published = [*Path(name, "out").glob("runs/*/_SUCCESS")]
        assert len(published) == (code in (EXIT_PUBLISHED, EXIT_LOOK))
        assert code in (EXIT_PUBLISHED, EXIT_LOOK) or (code in (3, 6) and problems)


@given(st.binary(max_size=300), st.sampled_from(["market_file", "market_money", "market_time", "money"]))
@settings(bounded, max_examples=15)
def test_any_bytes_as_a_file(raw: bytes, name: str) -> None:
    drop = start(seeded(1))
    drop.files[f"{name}.csv"] = raw
    with tempfile.TemporaryDirectory() as folder:
        drop.write(Path(folder))
        assert judge(Path(folder), Limits()) in (0, 3)
