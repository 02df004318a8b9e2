from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import from_url

from job.storage import bucket as bucket_module
from tests.storage.server import Server, serve_s3

SHOP = "s3://shop"


@pytest.fixture(scope="session")
def running() -> Iterator[Server]:
    with serve_s3() as server:
        yield server


@pytest.fixture
def server(running: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    """The server without any object or fault, in the environment as users name it."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(bucket_module, "RETRIES", 1)
    running.faults.clear()
    running.ask("POST", "/moto-api/reset")
    running.seen.clear()
    return running


@pytest.fixture
def store(server: Server) -> Any:
    """A client of the bucket `shop`, for what a test does by itself."""
    server.ask("PUT", "/shop")
    server.seen.clear()
    return from_url(SHOP, client_options={"allow_http": True})


def put_folder(store: Any, folder: Path, prefix: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            obstore.put(store, f"{prefix}/{path.relative_to(folder)}", path)


def names(store: Any, prefix: str) -> list[str]:
    return sorted(meta["path"].removeprefix(f"{prefix}/") for batch in obstore.list(store, prefix) for meta in batch)


def content(store: Any, name: str) -> bytes:
    return bytes(obstore.get(store, name).bytes())
