import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import parse
from tests.benchmarks.session import YARDSTICKS, Case, run_case
from tests.benchmarks.workshop import LOCKS, ROOT, Workshop
from tests.benchmarks.yardsticks.floor import DTYPES

LIBRARIES = {"duckdb": {"duckdb"}, "pandas": {"pandas", "sklearn"}}


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A workshop whose environments are all the tests' own."""
    return Workshop(tmp_path, say=lambda _: None, pythons=dict.fromkeys(LOCKS, Path(sys.executable)))


@pytest.mark.parametrize(
    ("name", "shape"), [("duckdb", "sorted"), ("duckdb", "parquet"), ("pandas", "shuffled")], ids=str
)
def test_the_scripts_do_the_same_work_as_the_job(workshop: Workshop, name: str, shape: str) -> None:
    missing = {library for library in LIBRARIES[name] if importlib.util.find_spec(library) is None}
    if missing:
        pytest.skip(f"{', '.join(sorted(missing))}: of the benchmark's own environment (requirements/benchmark.txt)")
    result = run_case(workshop, Case(1300, shape), ["score", name], rounds=1, say=lambda _: None)
    found = result.comparisons[name]
    assert found["only_ours"] == 0
    assert 0 < found["only_theirs"] <= 4  # of the rows that the job rejects
    assert found["difference"] < 1e-9 or name == "pandas"
    assert found["correlation"] > 0.7


def test_a_session_measures_every_yardstick_in_every_round(workshop: Workshop) -> None:
    lines: list[str] = []
    kept: list[int] = []
    result = run_case(
        workshop,
        Case(1300, "sorted"),
        ["imports", "floor", "score"],
        rounds=2,
        say=lines.append,
        keep=lambda result: kept.append(len(result.rounds["score"])),
    )
    assert kept == [1, 2]
    assert result.failures == {}
    assert [line.rsplit(" ", 2)[0] for line in lines] == [
        f"1,300 customers, sorted: round {number} of 2: {name}"
        for number in (1, 2)
        for name in ("imports", "floor", "score")
    ]
    assert {name: len(costs) for name, costs in result.rounds.items()} == {"imports": 2, "floor": 2, "score": 2}
    assert list(result.rounds["floor"][0].stages) == [
        *(f"parse {table}" for table in DTYPES),
        "write csv",
        "write parquet",
    ]
    assert "intake" in result.rounds["score"][0].stages
    # The floor writes what the job writes as scored.*; the job also writes the campaign and the lists.
    assert 0.3 < result.rounds["floor"][0].written / result.rounds["score"][0].written < 1
    assert not (workshop.folder / "out").exists()


def test_a_yardstick_that_fails_is_reported_and_left_out_of_further_rounds(workshop: Workshop) -> None:
    drop = workshop.drop(20, "parquet")
    (drop / "money.parquet").unlink()
    result = run_case(workshop, Case(20, "parquet"), ["imports", "score"], rounds=2, say=lambda _: None)
    assert len(result.rounds["imports"]) == 2
    assert "score" not in result.rounds
    assert result.failures["score"].startswith("exit code 6: ")


def test_drops_are_used_again_until_the_sample_changes(workshop: Workshop) -> None:
    drop = workshop.drop(20, "sorted")
    written = (drop / "money.csv").stat().st_mtime_ns
    assert workshop.drop(20, "sorted") == drop
    assert (drop / "money.csv").stat().st_mtime_ns == written
    assert len({workshop.drop(20, shape) for shape in ("sorted", "shuffled", "parquet")}) == 3
    shutil.rmtree(drop)
    assert (workshop.drop(20, "sorted") / "money.csv").exists()


def test_large_cases_leave_out_what_needs_too_much_memory() -> None:
    def taken(customers: int, shape: str) -> list[str]:
        return [name for name, yardstick in YARDSTICKS.items() if yardstick.takes(Case(customers, shape))]

    assert taken(1300, "sorted") == list(YARDSTICKS)
    assert taken(1300, "parquet") == ["imports", "floor", "score", "page", "duckdb"]
    assert taken(10_000_000, "shuffled") == ["floor", "score", "page", "duckdb", "pandas"]
    assert taken(30_000_000, "sorted") == ["floor", "score", "page", "duckdb", "spark"]


def test_every_environment_has_a_lock() -> None:
    for yardstick in YARDSTICKS.values():
        assert (ROOT / "requirements" / f"{LOCKS[yardstick.environment]}.txt").is_file()


def test_the_options() -> None:
    options = parse(["--sizes", "20,1300", "--largest", "--shapes", "parquet,sorted", "--yardsticks", "score,floor"])
    assert options.sizes == [20, 1300, 30_000_000]
    assert options.shapes == ["sorted", "parquet"]
    assert options.yardsticks == ["floor", "score"]
    assert parse([]).sizes == [1300, 100_000, 1_000_000, 10_000_000]
    assert parse([]).yardsticks == list(YARDSTICKS)
    assert parse(["--add"]).add


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--yardsticks", "floor,dask"], "argument --yardsticks: dask: not one of imports, floor, score, page, "),
        (["--sizes", "0"], "argument --sizes: invalid sizes value: '0'"),
        (["--sizes", "1e6"], "argument --sizes: invalid sizes value: '1e6'"),
    ],
)
def test_wrong_options_are_named(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        parse(arguments)
    assert message in capsys.readouterr().err
