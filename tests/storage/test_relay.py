"""The way to a store: to its host alone, and with an end."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from job.storage import relay as relay_module
from job.storage.relay import ENDPOINTS, Relay, relay_of_endpoint
from tests.hostile.store import Store, served

CONTENT = b"x" * 1000


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*ENDPOINTS, "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "AWS_PROXY_URL"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a store on 127.0.0.1 that holds `d/a`."""
    with served(Store({"d/a": CONTENT})) as url:
        yield int(url.rpartition(":")[2])


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("store.shop.ru", True),
        ("bucket.store.shop.ru", True),
        ("credentials.shop.ru", True),
        ("169.254.169.254", True),
        ("169.254.170.23", True),
        ("sts.amazonaws.com", True),
        ("sts.eu-west-1.amazonaws.com", True),
        ("evilstore.shop.ru", False),
        ("shop.ru", False),
        ("ec2-1-2-3-4.compute.amazonaws.com", False),
        ("sts.evil.amazonaws.com.shop.ru", False),
        ("127.0.0.1", False),
        ("", False),
    ],
)
def test_hosts(host: str, *, is_allowed: bool) -> None:
    with closing(Relay("store.shop.ru", "credentials.shop.ru")) as relay:
        assert relay.allows(host) is is_allowed


@pytest.mark.parametrize(
    ("bucket", "environment", "host"),
    [
        ("s3://b", {}, None),
        ("s3://b", {"AWS_ENDPOINT_URL": "https://Store.shop.ru:9000"}, "store.shop.ru"),
        ("s3a://b", {"AWS_ENDPOINT_URL_S3": "https://a.ru", "AWS_ENDPOINT_URL": "https://b.ru"}, "a.ru"),
        ("gs://b", {"AWS_ENDPOINT_URL": "https://store.shop.ru"}, None),
        ("az://b", {"AWS_ENDPOINT_URL": "https://store.shop.ru"}, None),
        ("abfs://b", {"AZURE_ENDPOINT": "https://blob.shop.ru"}, "blob.shop.ru"),
        ("s3://b", {"AWS_ENDPOINT_URL": "https://a.ru", "https_proxy": "http://proxy:1"}, None),
        ("s3://b", {"AWS_ENDPOINT_URL": "https://a.ru", "http_proxy": "http://proxy:1"}, "a.ru"),
        ("s3://b", {"AWS_ENDPOINT_URL": "https://a.ru", "all_proxy": "http://proxy:1", "no_proxy": "a.ru"}, "a.ru"),
        ("s3://b", {"AWS_ENDPOINT_URL": "https://a.ru", "AWS_PROXY_URL": "http://proxy:1"}, None),
    ],
)
def test_where_there_is_a_relay(
    bucket: str, environment: dict[str, str], host: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    relay = relay_of_endpoint(bucket)
    assert (relay and relay.host) == host
    if relay is not None:
        relay.close()


def through(relay: Relay, host: str, port: int, *, is_tunnel: bool) -> http.client.HTTPConnection:
    """Return a connection to a store as the library makes one: through a tunnel if it is to be encrypted."""
    connection = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=30)
    if is_tunnel:
        connection.set_tunnel(host, port)
    return connection


@pytest.mark.parametrize("is_tunnel", [False, True])
def test_answers_come_back_on_one_connection(*, is_tunnel: bool, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may be as long as the longest, and only one that is longer is broken off."""
    prefix = "" if is_tunnel else f"http://127.0.0.1:{port}"
    monkeypatch.setattr(relay_module, "MOST_BYTES", 1500)  # with its head
    with closing(Relay("127.0.0.1")) as relay, closing(through(relay, "127.0.0.1", port, is_tunnel=is_tunnel)) as store:
        for _ in range(3):
            store.request("GET", f"{prefix}/b/d/a", headers={"X-Signature": "x" * 100})
            assert store.getresponse().read() == CONTENT
        assert relay.refusal == ""
        monkeypatch.setattr(relay_module, "MOST_BYTES", 500)
        store.request("GET", f"{prefix}/b/d/a", headers={"X-Signature": "x" * 100})
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            store.getresponse().read()
        assert relay.refusal == "the store answers with more than 500 bytes"


def test_the_size_of_an_object_is_no_answer(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "MOST_BYTES", 500)
    with closing(Relay("127.0.0.1")) as relay, closing(through(relay, "127.0.0.1", port, is_tunnel=False)) as store:
        store.request("HEAD", f"http://127.0.0.1:{port}/b/d/a", headers={"X-Signature": "x" * 100})
        assert store.getresponse().headers["Content-Length"] == "1000"
        assert relay.refusal == ""


@pytest.mark.parametrize("is_tunnel", [False, True])
def test_nothing_passes_to_another_host(*, is_tunnel: bool, port: int) -> None:
    with closing(Relay("store.shop.ru")) as relay:
        with closing(through(relay, "127.0.0.1", port, is_tunnel=is_tunnel)) as store:
            if is_tunnel:
                with pytest.raises(OSError, match="421"):
                    store.request("GET", "/b/d/a")
            else:
                store.request("GET", f"http://127.0.0.1:{port}/b/d/a")
                assert store.getresponse().status == 421
        assert relay.refusal == "the store sends to another host: 127.0.0.1"


@pytest.mark.parametrize(
    "said", [b"", b"GET\r\n\r\n", b"GET http://[\r\n\r\n", b"GET http://a:x/ b\r\n\r\n", b"x" * 300_000]
)
def test_what_is_no_request_is_hung_up_on(said: bytes) -> None:
    with closing(Relay("a")) as relay, socket.create_connection(("127.0.0.1", relay.port), timeout=30) as client:
        with contextlib.suppress(ConnectionError):  # it may not wait for the end
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
        assert relay.refusal == ""
