"""A store that lies: what it lists and gives is bounded, and its copy is for nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from job.errors import DropError, DropIncompleteError, JobError, OutputError
from job.settings import Arrival
from job.storage.address import Address
from job.storage.bucket import Bucket, StorageError
from job.storage.run import delivered
from tests.hostile.store import Store, served
from tests.intake.drops import make_drop, write_drop

DROP = Address("s3://b", "d")


@pytest.fixture
def objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    folder = write_drop(tmp_path / "drop", make_drop())
    return {f"d/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())}


def deliver(store: Store, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(store) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with delivered(DROP, Arrival(), scratch=scratch) as delivery:
            assert delivery.folder.stat().st_mode & 0o777 == 0o700
            assert delivery.folder.parent.stat().st_mode & 0o777 == 0o700


def test_an_honest_store_is_believed(
    objects: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(Store(objects), tmp_path / "scratch", monkeypatch)


LONG = f"d/market_money/{'x' * 300}.csv"


@pytest.mark.parametrize(
    ("mode", "listed", "error", "message"),
    [
        ("endless list", {}, DropError, "s3://b/d: cannot be read: more than 100,000 objects"),
        ("same token", {}, DropError, "s3://b/d: cannot be read: the store lists market_file.csv twice"),
        ("endless page", {}, DropError, "s3://b/d: cannot be read: the store answers with more than 33,554,432 bytes"),
        (
            "endless refusal",
            {},
            DropError,
            "s3://b/d: cannot be read: the store answers with more than 33,554,432 bytes",
        ),
        (
            "long body",
            {},
            DropError,
            "s3://b/d/market_file.csv: cannot be read: the store answers with more than 33,554,4",
        ),
        (
            "tag flips",
            {},
            DropIncompleteError,
            "s3://b/d/market_file.csv: found one that changed while it was read, "
            "expected a file that nobody writes any more",
        ),
        ("", {"d/market_file.csv": 10**18}, OutputError, "1,000,000,000,000,000,000 bytes: No space left on device"),
        ("", {LONG: 5}, DropError, "xxx…: found a longer one, expected a name that a file may have"),
    ],
)
def test_what_a_store_says_is_bounded(  # noqa: PLR0917 - cases and fixtures
    mode: str,
    listed: dict[str, int],
    error: type[JobError],
    message: str,
    objects: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = {key: len(content) for key, content in objects.items()}
    store = Store({**objects, LONG: b"12345"}, {**sizes, **listed}, mode)
    with pytest.raises(error) as caught:
        deliver(store, tmp_path / "scratch", monkeypatch)
    assert message in str(caught.value)
    assert store.requests < 200


def test_no_request_goes_to_another_host(
    objects: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret")
    other = Store(objects)
    with served(other) as url:
        store = Store(objects, mode="other host", elsewhere=url.replace("127.0.0.1", "localhost"))
        with pytest.raises(DropError) as caught:
            deliver(store, tmp_path / "scratch", monkeypatch)
    assert str(caught.value) == "s3://b/d: cannot be read: the store sends to another host: localhost"
    assert (store.requests, other.requests) == (1, 0)


def test_a_small_object_has_an_end(objects: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    with served(Store({**objects, "d/latest": b"runs/x"}, mode="long body")) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(StorageError, match="the store answers with more than 33,554,432 bytes"):
            Bucket(DROP).read("latest")
