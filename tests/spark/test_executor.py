"""A run on Spark is the local run: the same bytes, but that `scored.parquet` is a folder."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from job.errors import DropError, SettingsError
from job.sample import write_drop
from job.scoring.pipeline import Outcome, run_scoring
from job.settings import Campaign, ScoreSettings
from job.spark.executor import Cluster, SparkExecutor
from schemas.columns import TABLES
from tests.spark.conftest import Server, assert_same_runs, retention


@pytest.fixture(scope="module")
def cluster(sail: Server) -> Iterator[Cluster]:
    cluster = Cluster(sail.remote)
    yield cluster
    cluster.close()


def same_runs(tmp_path: Path, drop: Path, executor: SparkExecutor, settings: ScoreSettings) -> tuple[Outcome, Outcome]:
    """Run the local and the Spark engine, and find that they give the same."""
    local = run_scoring(drop, tmp_path / "local", settings)
    spark = run_scoring(drop, tmp_path / "spark", settings, executor=executor)
    assert_same_runs(spark.folder, local.folder)
    return local, spark


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("budget", [None, 100.0, 0.0])
def test_same_run_in_many_parts(tmp_path: Path, drop: Path, cluster: Cluster, budget: float | None) -> None:
    settings = ScoreSettings(campaign=Campaign("c", control_share=0.2, budget=budget), no_report=True)
    _, spark = same_runs(tmp_path, drop, SparkExecutor(cluster), settings)
    assert len(list((spark.folder / "scored.parquet").iterdir())) > 3
    assert not list((tmp_path / "spark").glob(".scratch-*"))


def test_same_run_from_parquet(tmp_path: Path, cluster: Cluster) -> None:
    drop = tmp_path / "drop"
    write_drop(drop, customers=1000, seed=3, labelled=False, table_format="parquet", shuffled=True)
    settings = ScoreSettings(campaign=Campaign("c", control_share=0.1), no_report=True)
    same_runs(tmp_path, drop, SparkExecutor(cluster), settings)


@pytest.mark.usefixtures("small_parts")
def test_a_bad_drop_is_refused_in_the_same_words(tmp_path: Path, cluster: Cluster) -> None:
    drop = tmp_path / "drop"
    write_drop(drop, customers=500, seed=4, labelled=False)
    money = (drop / "money.csv").read_bytes().splitlines(keepends=True)
    (drop / "money.csv").write_bytes(b"".join(money[:1] + [line.replace(b"1", b"x") for line in money[1:]]))
    time = (drop / "market_time.csv").read_bytes()
    (drop / "market_time.csv").write_bytes(b"id;Who\r\n1;2\r\n")
    settings = ScoreSettings(campaign=Campaign("c", control_share=0.1), no_report=True)
    said = []
    for executor in (None, SparkExecutor(cluster)):
        with pytest.raises(DropError) as raised:
            run_scoring(drop, tmp_path / "out", settings, executor=executor)
        said.append(raised.value.problems)
    (drop / "market_time.csv").write_bytes(time)
    for executor in (None, SparkExecutor(cluster)):
        with pytest.raises(DropError) as raised:
            run_scoring(drop, tmp_path / "out", settings, executor=executor)
        said.append(raised.value.problems)
    assert said[0] == said[1]
    assert said[2] == said[3]
    assert len(said[2]) >= 1


def test_the_command_gives_the_same_run_name(tmp_path: Path, drop: Path, sail: Server) -> None:
    spark = ("--engine", "spark", "--spark-remote", sail.remote)
    first = retention("score", "--no-report", "--input", drop, "--output", tmp_path / "out", *spark)
    assert (first.returncode, first.stdout.splitlines()[0][:4]) == (0, "Run "), first.stderr
    again = retention("score", "--no-report", "--input", drop, "--output", tmp_path / "out")
    assert (again.returncode, again.stdout.split(",")[0]) == (
        0,
        "Nothing to do: the same drop was published before",
    )


def test_executors_must_see_the_paths(cluster: Cluster) -> None:
    executor = SparkExecutor(cluster)
    with pytest.raises(SettingsError) as raised:
        executor.check_paths([Path("/there/is/no/such")])
    assert raised.value.problems == (
        "--engine spark: found /there/is/no/such, which executors do not see, "
        "expected a path that driver and executors share",
    )


@pytest.mark.usefixtures("small_parts")
def test_same_run_from_folders_of_files(tmp_path: Path, parted: Path, cluster: Cluster) -> None:
    settings = ScoreSettings(campaign=Campaign("c", control_share=0.1), no_report=True)
    _, spark = same_runs(tmp_path, parted, SparkExecutor(cluster), settings)
    rejected = pl.read_csv(spark.folder / "rejected.csv", infer_schema=False)
    assert rejected.filter(pl.col("file").str.starts_with("market_money/"))["file"].n_unique() == 4
    told = json.loads((spark.folder / "manifest.json").read_text())["inputs"]
    assert {file["file"]: file["sha256"] for file in told} == {
        path.relative_to(parted).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in parted.rglob("*.csv")
    }
    assert [file["rows"] for file in told if file["file"].endswith("part-9.csv")] == [0, 0, 0]


def test_same_run_from_folders_of_parquet(tmp_path: Path, cluster: Cluster) -> None:
    drop = tmp_path / "drop"
    write_drop(drop, customers=1000, seed=3, labelled=True, table_format="parquet", shuffled=True)
    for table in TABLES:
        rows = pl.read_parquet(drop / f"{table}.parquet")
        (drop / f"{table}.parquet").unlink()
        (drop / table / "month=1").mkdir(parents=True)
        rows.tail(400).drop("Покупательская активность", strict=False).write_parquet(
            drop / table / "month=1" / "a.parquet"
        )
        rows.head(0).write_parquet(drop / table / "a.parquet")
        rows.head(rows.height - 400).write_parquet(drop / table / "b.parquet")
    settings = ScoreSettings(campaign=Campaign("c", control_share=0.1), no_report=True)
    same_runs(tmp_path, drop, SparkExecutor(cluster), settings)


@pytest.mark.usefixtures("small_parts")
def test_bad_files_of_a_folder_are_refused_in_the_same_words(tmp_path: Path, parted: Path, cluster: Cluster) -> None:
    drop = tmp_path / "drop"
    shutil.copytree(parted, drop)
    settings = ScoreSettings(campaign=Campaign("c", control_share=0.1), no_report=True)

    def refusals() -> list[tuple[str, ...]]:
        said = []
        for executor in (None, SparkExecutor(cluster)):
            with pytest.raises(DropError) as raised:
                run_scoring(drop, tmp_path / "out", settings, executor=executor)
            said.append(raised.value.problems)
        return said

    last = drop / "market_money" / "month=2026-13" / "part.csv"
    last.write_bytes(last.read_bytes() + b"1,x,y,z\r\n" * 5000)
    row = last.read_bytes().count(b"\n") - 5000 + 1
    local, spark = refusals()
    assert spark == local
    assert (
        f"market_money/month=2026-13/part.csv, row {row}: found «1,x,y,z» and 4,999 more rows like it, expected "
        "a line that has 3 fields; --max-rejected allows 700 of 14,006 rows, and 5,012 are rejected"
    ) in spark
    (drop / "market_money" / "part-2.csv").write_bytes(b"id;Who\r\n1;2\r\n")
    (drop / "money" / "part-0.csv").write_bytes(b"id,Who\n1,2\n")
    (drop / "money" / "month=2026-11" / "part.csv").write_bytes(b"nothing")
    local, spark = refusals()
    assert spark == local
    assert list(dict.fromkeys(re.split("[:,]", problem)[0] for problem in spark)) == [
        "market_money/part-2.csv",
        "money/month=2026-11/part.csv",
        "money/part-0.csv",
    ]
    for path in (drop / "money").rglob("*.csv"):
        path.write_bytes("id,Прибыль\n".encode())
    local, spark = refusals()
    assert spark == local
    assert spark[-1] == "money/: found headings only, expected rows below the headings"
