"""Earlier runs beside this one: of each drop the newest, a year at most."""

from __future__ import annotations

from typing import Any

import pytest

from job.report.charts import draw_charts
from job.report.earlier import MOST_RUNS, choose_earlier, describe_run


def run_of(manifest: dict[str, Any], name: str, drop: str, finished: str) -> Any:
    return {**manifest, "run_id": name, "inputs": [{"sha256": drop}], "finished": finished}


def test_of_runs_of_one_drop_the_newest_is_shown(manifest: dict[str, Any]) -> None:
    runs = [
        run_of(manifest, "d", "this", "2026-04-01T00:00:00+00:00"),
        run_of(manifest, "c", "march", "2026-03-02T00:00:00+00:00"),
        run_of(manifest, "b", "march", "2026-03-01T00:00:00+00:00"),
        run_of(manifest, "a", "february", "2026-02-01T00:00:00+00:00"),
    ]
    earlier = choose_earlier(runs, [{"sha256": "this"}])
    assert [(run["run_id"], run["day"]) for run in earlier] == [("a", "01.02.26"), ("c", "02.03.26")]


def test_a_year_is_enough(manifest: dict[str, Any]) -> None:
    runs = [run_of(manifest, f"r{n}", f"drop {n}", "2026-02-01T00:00:00+00:00") for n in range(MOST_RUNS + 3)]
    earlier = choose_earlier(runs, [{"sha256": "this"}])
    assert [run["run_id"] for run in earlier] == [f"r{n}" for n in range(MOST_RUNS - 2, -1, -1)]


def test_what_is_told_of_a_run(manifest: Any) -> None:
    told = describe_run(manifest)
    assert told["mean_risk"] == pytest.approx(manifest["report_data"]["risk"]["mean"])
    assert sum(told["segments"].values()) == pytest.approx(1)


def test_one_run_has_no_lines_and_two_have(manifest: Any) -> None:
    run = describe_run(manifest)
    names = [name for name in draw_charts(manifest["report_data"], {}, runs=[run, run]) if name.startswith("runs_")]
    assert names == ["runs_risk", "runs_level", "runs_drift", "runs_segments"]
    assert not [name for name in draw_charts(manifest["report_data"], {}, runs=[run]) if name.startswith("runs_")]
