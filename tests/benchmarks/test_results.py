import json

import pytest

from tests.benchmarks.measure import Measurement
from tests.benchmarks.results import (
    as_json,
    as_page,
    as_text,
    boosted_ratio,
    page_ratio,
    ratio_of,
    reasons_ratio,
    target_rows,
)
from tests.benchmarks.session import Case, Result


def costs(*walls: float, peak: int = 100 << 20, **stages: float) -> list[Measurement]:
    return [Measurement(wall, wall * 2, peak, 5_000_000, stages) for wall in walls]


@pytest.fixture
def result() -> Result:
    return Result(
        Case(10_000_000, "sorted"),
        rounds={
            "floor": costs(20, 40, 10, parse=8.0),
            "score": costs(30, 50, 25, peak=2 << 30),
            "duckdb": costs(60, 50, 20),
        },
        failures={"pandas": "exit code -9: "},
        comparisons={
            "duckdb": {"both": 9_890_000, "only_ours": 0, "only_theirs": 10, "difference": 2e-15, "correlation": 1.0}
        },
        when="2026-11-22 05:01 UTC",
        commit="0123456789ab",
    )


def test_a_ratio_is_the_median_of_those_within_each_round(result: Result) -> None:
    assert ratio_of(result, "score", "floor") == 1.5
    assert ratio_of(result, "score", "duckdb") == 1.0
    assert ratio_of(result, "score", "pandas") is None


def test_the_tables(result: Result) -> None:
    assert as_text([result]).splitlines() == [
        "",
        "10,000,000 customers, sorted; rounds: 3",
        "    yardstick                    wall s  lowest  highest  CPU s   peak MiB  written MB  / floor",
        "    I/O floor                    20.00   10.00   40.00    40.00   100       5.0         1.00",
        "    retention score --no-report  30.00   25.00   50.00    60.00   2,048     5.0         1.50",
        "    DuckDB                       50.00   20.00   60.00    100.00  100       5.0         2.00",
        "    pandas and scikit-learn      failed  failed  failed   failed  failed    failed      failed",
        "  Where the time goes",
        "    yardstick  stage     seconds  share",
        "    I/O floor  parse       8.000    40%",
        "    I/O floor  all else   12.000    60%",
        "  The same work? Customers scored, and their probabilities against the job's",
        "    yardstick    by both  job alone  it alone  difference  correlation",
        "    DuckDB     9,890,000          0        10  2.0e-15           1.000",
        "    pandas failed: exit code -9: ",
        "",
        "Targets",
        "    what                  case                          found  at most  reached",
        "    against DuckDB        10,000,000 customers, sorted   1.00     1.60  yes",
        "    CPU against DuckDB's  10,000,000 customers, sorted   1.00     1.70  yes",
        "    peak memory, GiB      10,000,000 customers, sorted   2.00     1.00  no",
    ]


def test_the_page_says_where_and_when(result: Result) -> None:
    page = as_page([result], {"when": "2026-11-22 05:00 UTC", "cores": "2"}, {"polars": "2.1.0"})
    assert "| when | 2026-11-22 05:00 UTC |\n| cores | 2 |\n| polars | 2.1.0 |\n" in page
    assert "## 10,000,000 customers, sorted\n\nRounds: 3. Begun: 2026-11-22 05:01 UTC, job 0123456789ab.\n" in page
    assert "| I/O floor | 20.00 | 10.00 | 40.00 | 40.00 | 100 | 5.0 | 1.00 |\n" in page
    assert "\npandas failed: `exit code -9: `\n" in page


def test_the_json_holds_every_round(result: Result) -> None:
    plain = json.loads(json.dumps(as_json([result], {"cores": "2"}, {})))
    assert plain["cases"][0]["case"] == {"customers": 10_000_000, "shape": "sorted"}
    assert [cost["wall"] for cost in plain["cases"][0]["rounds"]["floor"]] == [20, 40, 10]
    assert Result.from_json(plain["cases"][0]) == result


def test_the_boosted_model_is_held_against_the_floor_and_the_prediction_alone() -> None:
    rounds = {"floor": costs(2, 2), "lightgbm": costs(9, 9, predict=8.0), "boosted": costs(12, 14)}
    result = Result(Case(1_000_000, "sorted"), rounds=rounds)
    assert boosted_ratio(result) == pytest.approx(1.3)
    assert target_rows([result])[0][:4] == [
        "boosted, against floor + LightGBM",
        "1,000,000 customers, sorted",
        "1.30",
        "1.30",
    ]
    assert boosted_ratio(Result(Case(1_000_000, "sorted"))) is None


def test_the_page_is_held_against_the_run_without_it() -> None:
    result = Result(Case(1300, "sorted"), rounds={"score": costs(1, 2, 2), "page": costs(3, 4, 5), "imports": costs(1)})
    assert page_ratio(result) == 1.5
    assert [row[2:] for row in target_rows([result])] == [["1.00", "1.50", "yes"], ["1.50", "1.45", "no"]]
    assert page_ratio(Result(Case(1300, "sorted"))) is None


def test_reasons_are_held_against_scores() -> None:
    result = Result(Case(1_000_000, "sorted"), rounds={"reasons": costs(9, 8, score=2.0, reasons=1.5)})
    assert reasons_ratio(result) == 0.75
    assert target_rows([result])[0][2:] == ["0.75", "1.00", "yes"]
    assert reasons_ratio(Result(Case(1_000_000, "sorted"))) is None
