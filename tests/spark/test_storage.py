"""A drop and an output in object storage: executors read copies in a scratch folder that all share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from job.scoring.pipeline import run_scoring
from job.settings import Campaign
from job.spark.executor import Cluster, SparkExecutor
from tests.spark.conftest import FILES, Server

pytest.importorskip("moto", reason="the extra spark-test is not installed: make spark-test")
pytest.importorskip("obstore", reason="the extra spark-test is not installed: make spark-test")

import obstore
from obstore.store import from_url

from job.settings import ScoreSettings
from job.storage.address import Address
from job.storage.run import score_places
from tests.storage.server import serve_s3


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[obstore.store.ObjectStore]:
    """A client of an empty bucket `shop`, whose server the environment names."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with serve_s3() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        server.ask("PUT", "/shop")
        yield from_url("s3://shop", client_options={"allow_http": True})


def test_a_run_from_and_to_a_store(
    tmp_path: Path, parted: Path, sail: Server, store: obstore.store.ObjectStore
) -> None:
    for path in parted.rglob("*.csv"):
        obstore.put(store, f"drop/{path.relative_to(parted)}", path)
    settings = ScoreSettings(campaign=Campaign("c", control_share=0.1), no_report=True)
    local = run_scoring(parted, tmp_path / "local", settings)
    cluster = Cluster(sail.remote)
    executor = SparkExecutor(cluster)
    places = Address("s3://shop", "drop"), Address("s3://shop", "out")
    published = score_places(*places, settings._replace(scratch=tmp_path / "scratch"), executor=executor)
    cluster.close()
    run = f"out/runs/{published.outcome.folder.name}"
    assert published.place == f"s3://shop/{run}"
    for name in FILES:
        assert bytes(obstore.get(store, f"{run}/{name}").bytes()) == (local.folder / name).read_bytes(), name
    sent = {meta["path"].removeprefix(f"{run}/") for batch in obstore.list(store, run) for meta in batch}
    assert {"_SUCCESS", "manifest.json", "scored.parquet/part-00000.parquet", *FILES} <= sent
    assert not list((tmp_path / "scratch").iterdir())
