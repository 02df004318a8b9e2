"""The contract's commands, codes and messages, as a user meets them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import click
import polars as pl
import pytest
from click.testing import CliRunner, Result
from polars.testing import assert_frame_equal

from job import __version__
from job.cli import main
from job.models.artifact import default_folder, load_artifact
from schemas.scored import SCORED_COLUMNS
from tests.faults.processes import UNMOVED

TABLES = ("market_file", "market_money", "market_time", "money")


def run(*arguments: object, **environment: str) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def score(drop: Path, output: Path, *more: object) -> Result:
    """Score with limits that no drift reaches: synthetic customers are not those of training."""
    return run("score", "--input", drop, "--output", output, "--no-report", *UNMOVED, *more)


def scored(output: Path) -> pl.DataFrame:
    return pl.read_parquet(output / "latest" / "scored.parquet")


def copy(drop: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drop, tmp_path / "drop"))


def edit(path: Path, old: str, new: str, *, count: int = -1) -> None:
    text = path.read_bytes().decode()
    assert old in text
    path.write_bytes(text.replace(old, new, count).encode())


def test_help_names_every_command_with_an_example() -> None:
    top = run("--help")
    assert top.exit_code == 0
    assert "retention score --input /data/drop --output /data/out" in top.stdout
    for command in main.commands:
        assert f"\n  {command} " in top.stdout
        shown = run(command, "--help")
        assert shown.exit_code == 0
        assert f"\n  Example:\n    retention {command} " in shown.stdout


def test_version() -> None:
    digest = load_artifact(default_folder()).digest
    assert run("--version").stdout == f"retention, version {__version__}, model {digest[:12]}\n"


@pytest.mark.parametrize("arguments", [["score"], ["score", "--input", "x"], ["nothing"], ["train", "--input", "x"]])
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_score_publishes_a_whole_run(small_drop: Path, tmp_path: Path) -> None:
    result = score(small_drop, tmp_path)
    assert (result.exit_code, result.stderr) == (0, "")
    run_folder = (tmp_path / "latest").resolve()
    assert sorted(path.name for path in run_folder.iterdir()) == [
        "_SUCCESS",
        "campaign.csv",
        "campaign.xlsx",
        "excluded.csv",
        "manifest.json",
        "rejected.csv",
        "scored.csv",
        "scored.parquet",
    ]
    manifest = json.loads((run_folder / "manifest.json").read_text())
    assert manifest["run_id"] == run_folder.name
    assert {key: manifest["customers"][key] for key in ("in", "scored", "excluded", "rejected")} == {
        "in": 300,
        "scored": 300,
        "excluded": 0,
        "rejected": 0,
    }
    for rows in manifest["rows"].values():
        assert rows["rows_in"] == rows["as_delivered"] + rows["repaired"] + rows["rejected"] + rows["dropped"]
        assert rows["as_delivered"] + rows["repaired"] == rows["scored"] + rows["excluded"]
    frame = scored(tmp_path)
    assert tuple(frame.columns) == SCORED_COLUMNS
    assert frame["id"].is_sorted()
    assert_frame_equal(frame, pl.read_csv(run_folder / "scored.csv", schema=frame.schema))
    assert "customers in" in result.stdout
    assert str(tmp_path / "latest") in result.stdout


def test_the_same_run_again_does_nothing(small_drop: Path, tmp_path: Path) -> None:
    first = score(small_drop, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")}
    again = score(small_drop, tmp_path)
    assert (first.exit_code, again.exit_code) == (0, 0)
    folder = os.readlink(tmp_path / "latest")
    assert again.stdout == f"Nothing to do: the same drop was published before, as {tmp_path / folder}\n"
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")} == before


def test_options_are_environment_variables(small_drop: Path, tmp_path: Path) -> None:
    result = run(
        "score",
        RETENTION_INPUT=str(small_drop),
        RETENTION_OUTPUT=str(tmp_path),
        RETENTION_NO_REPORT="1",
        RETENTION_DRIFT_STOP="1e6",
    )
    assert result.exit_code == 0
    assert scored(tmp_path).height == 300
    wrong = run("score", RETENTION_INPUT="x", RETENTION_OUTPUT="y", RETENTION_MAX_REJECTED="2")
    assert wrong.exit_code == 2
    assert "Invalid value for '--max-rejected': 2.0 is not in the range 0<=x<=1." in wrong.stderr


def test_a_variable_that_no_option_has_is_2(small_drop: Path, tmp_path: Path) -> None:
    wrong = {"RETENTION_BUGDET": "1", "RETENTION_XYZZYXYZZYXYZZY": "0", "RETENTION_EMPTY": ""}
    result = run("score", "--input", small_drop, "--output", tmp_path / "out", **wrong)
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "RETENTION_BUGDET: expected the variable of an option, such as RETENTION_BUDGET",
        "RETENTION_XYZZYXYZZYXYZZY: expected the variable of an option",
    ]
    assert not (tmp_path / "out").exists()


def test_quiet_prints_problems_only(small_drop: Path, tmp_path: Path) -> None:
    assert score(small_drop, tmp_path / "out", "--quiet").output == ""
    assert score(small_drop, tmp_path / "out", "-q", "--log-format", "json").output == ""
    assert run("runs", "--output", tmp_path / "out", "-q").output == ""
    assert run("sample", "--customers", 10, "--seed", 1, tmp_path / "drop", "-q").output == ""
    result = score(tmp_path / "out", tmp_path / "out", "-q")
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (6, "", 4)


def test_json_has_a_format_and_the_exit_code(small_drop: Path, tmp_path: Path) -> None:
    plain = json.loads(score(small_drop, tmp_path / "out", "--json").stdout)
    folder = (tmp_path / "out" / "latest").resolve()
    assert plain == {
        "format": 1,
        "exit_code": 0,
        "problems": [],
        "run_id": folder.name,
        "run": str(folder),
        "is_new": True,
        "look": [],
        "is_dry_run": False,
        "changes": None,
    }
    again = json.loads(score(small_drop, tmp_path / "out", "--json").stdout)
    assert again == {**plain, "is_new": False}
    result = score(small_drop, tmp_path / "out", "--json", "--budget", "1e13")
    assert result.exit_code == 2
    assert json.loads(result.stdout) == {"format": 1, "exit_code": 2, "problems": result.stderr.splitlines()}


def test_short_help() -> None:
    assert run("score", "-h").stdout == run("score", "--help").stdout
    assert run("-h").stdout == run("--help").stdout


def test_an_address_where_a_path_is_needed_is_2(small_drop: Path, tmp_path: Path) -> None:
    result = score(small_drop, tmp_path / "out", "--segments", "s3://shop/segments.toml")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == (
        "Error: Invalid value for '--segments': 's3://shop/segments.toml' is in object storage; "
        "a path of this machine is needed here."
    )


def test_every_option_has_its_variable() -> None:
    for command in main.commands.values():
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.envvar == "RETENTION_" + option.opts[0][2:].replace("-", "_").upper()


def test_label_file_format_and_order_of_rows_do_not_change_the_scores(tmp_path: Path) -> None:
    options = {
        "plain": [],
        "labelled": ["--labelled"],
        "parquet": ["--format", "parquet"],
        "shuffled": ["--shuffled"],
    }
    frames = {}
    for name, option in options.items():
        assert run("sample", "--customers", 300, "--seed", 1, tmp_path / name, *option).exit_code == 0
        assert score(tmp_path / name, tmp_path / f"{name}-out").exit_code == 0
        frames[name] = (tmp_path / f"{name}-out" / "latest" / "scored.csv").read_bytes()
    assert len(set(frames.values())) == 1


def test_a_missing_drop_or_file_is_6(small_drop: Path, tmp_path: Path) -> None:
    drop = copy(small_drop, tmp_path)
    (drop / "money.csv").unlink()
    result = score(drop, tmp_path / "out")
    assert result.exit_code == 6
    assert result.stderr == (
        f"{drop}: found no such file, expected money.* ending in .csv or .csv.gz or .csv.zst or .parquet\n"
    )
    nothing = score(tmp_path / "nothing", tmp_path / "out")
    assert nothing.exit_code == 6
    expected = "the folder of a drop (not waited for: make it first)"
    assert nothing.stderr == f"{tmp_path / 'nothing'}: found none, expected {expected}\n"
    assert not (tmp_path / "out" / "latest").exists()


def test_every_problem_of_a_bad_drop_is_named_at_once(small_drop: Path, tmp_path: Path) -> None:
    drop = copy(small_drop, tmp_path)
    edit(drop / "market_file.csv", "Длительность", "Длинность", count=1)
    (drop / "market_time.csv").write_bytes(b"")
    result = score(drop, tmp_path / "out")
    assert result.exit_code == 3
    assert result.stderr.splitlines() == [
        "market_time.csv: found an empty file (0 bytes), expected a table with headings"
    ]
    (drop / "market_time.csv").write_bytes("id,Период,минут\r\n".encode())
    result = score(drop, tmp_path / "out")
    assert result.exit_code == 3
    assert result.stderr.splitlines() == [
        "market_file.csv, column «Длинность»: found an unknown heading, expected only the table's own headings",
        "market_file.csv, column «Длительность»: found none, expected a column with this heading",
        "market_time.csv: found headings only, expected rows below the headings",
    ]
    assert not (tmp_path / "out" / "latest").exists()


def test_bad_rows_are_listed_and_the_rest_is_scored(small_drop: Path, tmp_path: Path) -> None:
    drop = copy(small_drop, tmp_path)
    lines = (drop / "money.csv").read_bytes().decode().split("\r\n")
    first, second = lines[1].split(";")[0], lines[2].split(";")[0]
    lines[1], lines[2] = f"{first};=1+1", f"{second};-"
    (drop / "money.csv").write_bytes("\r\n".join(lines).encode())
    result = score(drop, tmp_path / "out")
    assert result.exit_code == 0
    rejected = pl.read_csv(tmp_path / "out" / "latest" / "rejected.csv")
    assert rejected.rows() == [
        ("money.csv", 2, int(first), "Прибыль", "is a number", "'=1+1"),
        ("money.csv", 3, int(second), "Прибыль", "is given", "'-"),
    ]
    excluded = pl.read_csv(tmp_path / "out" / "latest" / "excluded.csv")
    assert excluded.rows() == [(int(first), "no accepted profit row"), (int(second), "no accepted profit row")]
    assert scored(tmp_path / "out").height == 298


def test_too_many_bad_rows_refuse_the_drop(small_drop: Path, tmp_path: Path) -> None:
    drop = copy(small_drop, tmp_path)
    edit(drop / "money.csv", ",", "x", count=20)
    result = score(drop, tmp_path / "out")
    assert result.exit_code == 3
    assert "--max-rejected allows 15 of 300 rows, and 20 are rejected" in result.stderr
    assert not (tmp_path / "out" / "latest").exists()
    assert score(drop, tmp_path / "out", "--max-rejected", "0.1").exit_code == 0


def test_an_altered_artifact_is_4(small_drop: Path, tmp_path: Path) -> None:
    result = score(small_drop, tmp_path / "out", "--artifacts", tmp_path / "none")
    assert result.exit_code == 4
    assert result.stderr == (
        f"{tmp_path / 'none' / 'manifest.json'}: no model artifact can be read here: No such file or directory\n"
    )


def test_an_output_that_is_a_file_is_5(small_drop: Path, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    result = score(small_drop, tmp_path / "out")
    assert result.exit_code == 5
    assert result.stderr == f"{tmp_path / 'out' / 'runs'}: cannot be written: Not a directory\n"


def test_validate_prints_what_was_understood(small_drop: Path) -> None:
    before = sorted(small_drop.iterdir())
    result = run("validate", "--input", small_drop)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Customers: 300 in, 300 to score, 0 excluded, 0 rejected" in result.stdout
    assert sorted(small_drop.iterdir()) == before
    plain = json.loads(run("validate", "--json", "--input", small_drop).stdout)
    assert (plain["exit_code"], plain["problems"], plain["customers"]["in"]) == (0, [], 300)


def test_validate_gives_the_code_that_score_would(small_drop: Path, tmp_path: Path) -> None:
    drop = copy(small_drop, tmp_path)
    edit(drop / "money.csv", "Прибыль", "Выгода")
    for command in (["validate", "--input", drop], ["score", "--input", drop, "--output", tmp_path / "out"]):
        result = run(*command)
        assert result.exit_code == 3
        assert result.stderr.splitlines() == [
            "money.csv, column «Выгода»: found an unknown heading, expected only the table's own headings",
            "money.csv, column «Прибыль»: found none, expected a column with this heading",
        ]
    plain = json.loads(run("validate", "--json", "--input", drop).stdout)
    assert (plain["exit_code"], len(plain["problems"])) == (3, 2)


def test_training_without_labels_is_3(small_drop: Path, tmp_path: Path) -> None:
    result = run("train", "--input", small_drop, "--artifacts", tmp_path)
    assert result.exit_code == 3
    assert result.stderr == (
        "market_file.csv, column «Покупательская активность»: found none, expected a column with this heading\n"
    )


def test_the_real_export_accounts_for_every_customer(real_export: Path, tmp_path: Path) -> None:
    result = score(real_export, tmp_path)
    assert result.exit_code == 0
    manifest = json.loads((tmp_path / "latest" / "manifest.json").read_text())
    assert manifest["customers"] == {
        "in": 1300,
        "scored": 1297,
        "excluded": 3,
        "rejected": 0,
        "excluded_by_reason": {"not active for three months: a month without revenue": 3},
    }
    assert sum(repair["rows"] for repair in manifest["repairs"]) == 223 + 10 + 1300
    frame = scored(tmp_path)
    assert frame["in_training"].all()
    assert 0.37 < frame["decline_probability"].mean() < 0.39


def test_the_real_export_scores_the_same_from_parquet_in_any_order_and_without_label(
    real_export: Path, tmp_path: Path
) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    for name in TABLES:
        separator = ";" if name == "money" else ","
        table = pl.read_csv(real_export / f"{name}.csv", separator=separator, decimal_comma=separator == ";")
        table.drop("Покупательская активность", strict=False).sample(fraction=1, shuffle=True, seed=1).write_parquet(
            drop / f"{name}.parquet"
        )
    assert score(real_export, tmp_path / "a").exit_code == 0
    assert score(drop, tmp_path / "b").exit_code == 0
    assert_frame_equal(scored(tmp_path / "b"), scored(tmp_path / "a"), check_exact=True)


def test_a_forced_run_is_another_run_with_the_same_bytes(small_drop: Path, tmp_path: Path) -> None:
    for _ in range(3):
        assert score(small_drop, tmp_path, "--force").exit_code == 0
    first, *others = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert others == [f"{first}-2", f"{first}-3"]
    assert os.readlink(tmp_path / "latest") == f"runs/{first}-3"
    for name in ("scored.parquet", "scored.csv", "campaign.csv"):
        assert len({(run / name).read_bytes() for run in (tmp_path / "runs").iterdir()}) == 1
    again = score(small_drop, tmp_path)
    shown = tmp_path / "runs" / f"{first}-3"
    assert again.stdout == f"Nothing to do: the same drop was published before, as {shown}\n"
    assert os.readlink(tmp_path / "latest") == f"runs/{first}-3"


def test_old_runs_are_removed_on_request(small_drop: Path, tmp_path: Path) -> None:
    for campaign in ("a", "b", "c"):
        assert score(small_drop, tmp_path, "--campaign", campaign).exit_code == 0
    assert len(list((tmp_path / "runs").iterdir())) == 3
    assert score(small_drop, tmp_path, "--campaign", "d", "--keep-runs", 2).exit_code == 0
    listed = json.loads(run("runs", "--output", tmp_path, "--json").stdout)["runs"]
    assert [row["is_latest"] for row in listed] == [True, False]
    names = [json.loads((tmp_path / "runs" / row["run_id"] / "manifest.json").read_text()) for row in listed]
    assert [manifest["settings"]["campaign"]["name"] for manifest in names] == ["d", "c"]
    shown = run("runs", "--output", tmp_path).stdout.splitlines()
    assert len(shown) == 3 + 2  # a heading; an empty line and what ROC-AUC means
    assert f"*  {listed[0]['run_id']}  " in shown[1]


@pytest.mark.parametrize("campaign", ["../../../etc/x", "/etc/x", "a/b", "..", "$(id)", "a;b`c`", "'; DROP"])
def test_a_campaign_may_be_called_anything_and_names_no_file(campaign: str, small_drop: Path, tmp_path: Path) -> None:
    output = tmp_path / "deep" / "er" / "out"
    assert score(small_drop, output, "--campaign", campaign).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep"]
    assert sorted(path.name for path in output.iterdir()) == [".lock", "latest", "runs"]
    manifest = json.loads((output / "latest" / "manifest.json").read_text())
    assert manifest["settings"]["campaign"]["name"] == campaign


def test_hidden_and_strange_files_in_the_drop_are_not_read(small_drop: Path, tmp_path: Path) -> None:
    """What is read is decided by four names; nothing else in the folder is opened, whatever it is called."""
    drop = copy(small_drop, tmp_path)
    for name in (".money.csv", "money.csv.bak", "$(touch x).csv", "..money.csv", "*.csv"):
        (drop / name).write_bytes(b"\0")
    os.mkfifo(drop / "pipe.csv")
    assert score(drop, tmp_path / "out").exit_code == 0
    manifest = json.loads((tmp_path / "out" / "latest" / "manifest.json").read_text())
    assert [file["file"] for file in manifest["inputs"]] == [f"{name}.csv" for name in TABLES]
