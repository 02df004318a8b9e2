"""A run on Spark is the local run: the same bytes, but that `scored.parquet` is a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from job.errors import DropError, SettingsError
from job.intake import pieces
from job.intake.accept import Limits
from job.memory import plan_memory
from job.models.artifact import Artifact
from job.models.reasons import Explainer
from job.sample import write_drop
from job.scoring import pipeline
from job.scoring.campaign import Campaign
from job.scoring.pipeline import run_scoring
from job.spark.engine import SparkEngine
from job.spark.session import Cluster
from tests.spark.conftest import Server, manifest_of, retention

FILES = ("scored.csv", "campaign.csv", "excluded.csv", "rejected.csv")


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3,000 customers, with the dirt of a real export."""
    folder = tmp_path_factory.mktemp("dirty") / "drop"
    write_drop(folder, customers=3000, seed=11, labelled=False)
    return folder


@pytest.fixture(scope="module")
def cluster(sail: Server) -> Iterator[Cluster]:
    cluster = Cluster(sail.remote)
    yield cluster
    cluster.close()


@pytest.fixture
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many pieces and ranges also of a small drop; the server is another process, and reads as told."""
    monkeypatch.setattr(
        pipeline, "plan_memory", lambda limit: replace(plan_memory(limit), block_bytes=20_000, range_rows=4000)
    )
    monkeypatch.setattr(pieces, "FIRST_BYTES", 10_000)


def assert_same_runs(found: Path, expected: Path) -> None:
    for name in FILES:
        assert (found / name).read_bytes() == (expected / name).read_bytes(), name
    parts = sorted((found / "scored.parquet").iterdir())
    assert [part.name for part in parts] == [f"part-{number:05}.parquet" for number in range(len(parts))]
    joined = pl.concat([pl.read_parquet(part) for part in parts])
    assert_frame_equal(joined, pl.read_parquet(expected / "scored.parquet"), check_exact=True)
    assert manifest_of(found) == manifest_of(expected)
    outputs = json.loads((found / "manifest.json").read_text())["outputs"]
    for name, told in outputs.items():
        assert hashlib.sha256((found / name).read_bytes()).hexdigest() == told["sha256"]
    assert {name for name in outputs if name.startswith("scored.parquet")} == {
        f"scored.parquet/{part.name}" for part in parts
    }


@pytest.mark.usefixtures("_small_parts")
@pytest.mark.parametrize("budget", [None, 100.0, 0.0])
def test_same_run_in_many_parts(
    tmp_path: Path, drop: Path, cluster: Cluster, artifact: Artifact, budget: float | None
) -> None:
    settings = {"artifacts": artifact.folder, "limits": Limits(), "campaign": Campaign("c", 0.2, budget)}
    local = run_scoring(drop, tmp_path / "local", with_report=False, **settings)
    engine = SparkEngine(cluster, piece_bytes=50_000)
    spark = run_scoring(drop, tmp_path / "spark", with_report=False, engine=engine, **settings)
    assert_same_runs(spark.folder, local.folder)
    assert len(list((spark.folder / "scored.parquet").iterdir())) > 3
    assert not list((tmp_path / "spark").glob(".scratch-*"))


@pytest.mark.usefixtures("_small_parts")
def test_same_run_with_some_explained(
    tmp_path: Path, drop: Path, cluster: Cluster, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A boosted model explains those of whom most depends."""
    monkeypatch.setattr(Explainer, "count", lambda _, customers: min(customers, 500))
    settings = {"artifacts": artifact.folder, "limits": Limits(), "campaign": Campaign("c", 0.1)}
    local = run_scoring(drop, tmp_path / "local", with_report=False, **settings)
    engine = SparkEngine(cluster, piece_bytes=50_000)
    spark = run_scoring(drop, tmp_path / "spark", with_report=False, engine=engine, **settings)
    assert_same_runs(spark.folder, local.folder)
    assert pl.read_parquet(local.folder / "scored.parquet")["reason_1"].null_count() > 2000


def test_same_run_from_parquet(tmp_path: Path, cluster: Cluster, artifact: Artifact, limits: Limits) -> None:
    drop = tmp_path / "drop"
    write_drop(drop, customers=1000, seed=3, labelled=False, table_format="parquet", shuffled=True)
    settings = {"artifacts": artifact.folder, "limits": limits, "campaign": Campaign("c", 0.1)}
    local = run_scoring(drop, tmp_path / "local", with_report=False, **settings)
    spark = run_scoring(drop, tmp_path / "spark", with_report=False, engine=SparkEngine(cluster), **settings)
    assert_same_runs(spark.folder, local.folder)


@pytest.mark.usefixtures("_small_parts")
def test_a_bad_drop_is_refused_in_the_same_words(
    tmp_path: Path, cluster: Cluster, artifact: Artifact, limits: Limits
) -> None:
    drop = tmp_path / "drop"
    write_drop(drop, customers=500, seed=4, labelled=False)
    money = (drop / "money.csv").read_bytes().splitlines(keepends=True)
    (drop / "money.csv").write_bytes(b"".join(money[:1] + [line.replace(b"1", b"x") for line in money[1:]]))
    time = (drop / "market_time.csv").read_bytes()
    (drop / "market_time.csv").write_bytes(b"id;Who\r\n1;2\r\n")
    settings = {"artifacts": artifact.folder, "limits": limits, "campaign": Campaign("c", 0.1)}
    said = []
    for engine in (None, SparkEngine(cluster, piece_bytes=2000)):
        with pytest.raises(DropError) as raised:
            run_scoring(drop, tmp_path / "out", with_report=False, engine=engine, **settings)
        said.append(raised.value.problems)
    (drop / "market_time.csv").write_bytes(time)
    for engine in (None, SparkEngine(cluster, piece_bytes=2000)):
        with pytest.raises(DropError) as raised:
            run_scoring(drop, tmp_path / "out", with_report=False, engine=engine, **settings)
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
    engine = SparkEngine(cluster)
    with pytest.raises(SettingsError) as raised:
        engine._check_executors([Path("/there/is/no/such")])
    assert raised.value.problems == (
        "--engine spark: found /there/is/no/such, which executors do not see, "
        "expected a path that driver and executors share",
    )


def test_folders_of_files_are_left_to_the_local_engine(tmp_path: Path, cluster: Cluster, artifact: Artifact) -> None:
    drop = tmp_path / "drop"
    write_drop(drop, customers=100, seed=3, labelled=False)
    (drop / "money").mkdir()
    (drop / "money.csv").rename(drop / "money" / "one.csv")
    settings = {"artifacts": artifact.folder, "limits": Limits(), "campaign": Campaign("c", 0.1)}
    with pytest.raises(SettingsError) as raised:
        run_scoring(drop, tmp_path / "out", with_report=False, engine=SparkEngine(cluster), **settings)
    assert raised.value.problems == ("money/: found a folder, expected one file (--engine spark)",)
