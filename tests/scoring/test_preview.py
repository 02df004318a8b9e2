"""Whom a segments file would take of a run: with the run's own file, whom it took."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from job.cli import main
from job.sample import write_drop
from job.scoring.segments import DEFAULT_FILE
from tests.faults.processes import UNMOVED


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preview")
    write_drop(folder / "drop", customers=500, seed=8, labelled=False)
    common = ("--no-report", "--format", "csv", *UNMOVED)
    assert call("score", "--input", folder / "drop", "--output", folder / "out", *common).exit_code == 0
    return folder / "out" / "latest"


def test_the_own_file_of_a_run_takes_whom_it_took(run: Path) -> None:
    result = call("segments", DEFAULT_FILE, "--run", run, "--json")
    assert result.exit_code == 0, result.output
    manifest = json.loads((run / "manifest.json").read_bytes())
    expected = {row["segment"]: row for row in manifest["segments"]}
    preview = json.loads(result.stdout)["preview"]
    assert {row["segment"] for row in preview} == set(expected)
    for row in preview:
        published = expected[row["segment"]]
        assert row["customers"] == row["customers_before"] == published["customers"]
        assert (row["contacts"], row["control"]) == (published["treatment"], published["control"])
        assert (row["cost"], row["expected_value"]) == (published["cost"], published["expected_value"])


def test_what_moved_is_shown_in_russian(run: Path, tmp_path: Path) -> None:
    text = DEFAULT_FILE.read_text(encoding="utf-8").replace("risk_decile = 1", "risk_decile <= 2")
    (tmp_path / "my.toml").write_text(text, encoding="utf-8")
    lines = call("segments", tmp_path / "my.toml", "--run", run).stdout.splitlines()
    assert lines[0] == "Файл my.toml в порядке: сегментов 8."
    [top] = [line.split() for line in lines if "Самый высокий риск" in line]
    assert top[4].startswith("+")
    alone = call("segments", tmp_path / "my.toml").stdout
    assert "risk_decile <= 2" in alone


@pytest.mark.parametrize(
    ("written", "instead", "line"),
    [
        (
            "cost = 0.5",
            "cost = 0,5",
            "found cost = 0,5, expected TOML, in which numbers have a point (cost = 0.5) and texts stand in straight "
            'quotes (title = "..."): Expected newline or end of document after a statement',
        ),
        (
            '"high_risk AND high_profit"',
            '"высокий_риск AND high_profit"',
            "found высокий_риск, expected columns, numbers, words in single quotes, comparisons, arithmetic, AND, OR, "
            "NOT, IN, BETWEEN",
        ),
        (
            '"high_risk AND high_profit"',
            '"promo_share > 50"',
            "found promo_share beside 50, expected a share from 0 to 1, such as 0.5",
        ),
    ],
)
def test_where_people_go_wrong(written: str, instead: str, line: str, tmp_path: Path) -> None:
    text = DEFAULT_FILE.read_text(encoding="utf-8").replace(written, instead, 1)
    (tmp_path / "my.toml").write_text(text, encoding="utf-8")
    result = call("segments", tmp_path / "my.toml")
    assert result.exit_code == 2
    assert result.stderr.strip().partition(": ")[2] == line


def test_a_run_without_its_drop(run: Path, tmp_path: Path) -> None:
    drop = Path(json.loads((run / "manifest.json").read_bytes())["drop"])
    moved = drop.rename(drop.with_name("moved"))
    try:
        result = call("segments", DEFAULT_FILE, "--run", run)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"{drop}: found ")
    finally:
        moved.rename(drop)
    missing = call("segments", DEFAULT_FILE, "--run", tmp_path)
    assert (missing.exit_code, missing.stderr) == (
        2,
        f"--run: found {tmp_path}, expected a published run (OUT/runs/ID)\n",
    )
