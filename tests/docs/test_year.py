"""The year of the docs, run small: what works gets the budget, and the control group is never written to."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from job.cli import main
from tests.faults.processes import UNMOVED

PAGE = (Path(__file__).parents[2] / "docs" / "year.md").read_text(encoding="utf-8")
TRUTH = {"discount": 0.4, "call": 0.05}
SMALL = {"--customers 2000": "--customers 1200", "--budget 40": "--budget 24"}


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    assert found is not None
    return found[1]


def commands() -> list[str]:
    """Return the commands of the loop, as the shell would run them."""
    before, months, within, after = re.fullmatch(  # type: ignore[union-attr] # the page has the loop
        r"(.*?)for month in ([0-9 ]+); do\n(.*?)done\n(.*)", block("sh"), flags=re.DOTALL
    ).groups()
    text = before
    for month in map(int, months.split()):
        text += within.replace("$((month + 1))", str(month + 1)).replace("$month", str(month))
    for large, small in SMALL.items():
        text = text.replace(large, small)
    return [line.strip().removesuffix(" || [ $? = 8 ]") for line in (text + after).splitlines()]


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("year")
    (folder / "two.toml").write_text(block("toml"), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in commands():
            words = shlex.split(command)
            assert words[0] == "retention"
            more = [*UNMOVED, "--format", "csv"] if words[1] == "score" else []
            done = CliRunner().invoke(main, [*words[1:], *map(str, more)], catch_exceptions=False)
            assert done.exit_code == 0, f"{command}\n{done.output}"
    return folder


def runs_of(year: Path) -> list[pl.DataFrame]:
    history = json.loads((year / "out" / "history.json").read_bytes())
    names = [run["run_id"] for run in reversed(history["runs"])]
    return [pl.read_parquet(year / "out" / "runs" / name / "scored.parquet") for name in names]


def test_the_offer_that_works_is_found_and_gets_the_budget(year: Path) -> None:
    history = json.loads((year / "out" / "history.json").read_bytes())
    offers = {offer["offer"]: offer for offer in history["offers"]}
    assert offers["discount"]["effect"] > offers["call"]["effect"]
    for name, effect in TRUTH.items():
        assert offers[name]["low"] <= effect <= offers[name]["high"]
        assert offers[name]["weight_of_assumption"] < 0.2
    first, *_, last = (
        dict(run.filter(pl.col("campaign_group") == "treatment")["offer"].value_counts().iter_rows())
        for run in runs_of(year)
    )
    assert abs(first["discount"] - first["call"]) < 0.3 * (first["discount"] + first["call"])
    assert last["discount"] > 3 * last.get("call", 0)


def test_nobody_of_the_control_group_was_ever_contacted(year: Path) -> None:
    runs = runs_of(year)
    assert len(runs) == 12
    groups = pl.concat(run.select("id", "campaign_group") for run in runs)
    held = groups.filter(pl.col("campaign_group") == "control")["id"].unique()
    contacted = groups.filter(pl.col("campaign_group") == "treatment")["id"].unique()
    assert held.len() > 30
    assert not held.is_in(contacted.implode()).any()


def test_what_was_expected_came(year: Path) -> None:
    together = json.loads((year / "out" / "history.json").read_bytes())["expected"]
    assert together["campaigns"] == 12
    assert together["net"]["low"] <= together["expected_value"] <= together["net"]["high"]
