from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from job.errors import OutputBusyError
from job.storage.address import Address
from job.storage.bucket import Bucket
from job.storage.lease import LEASE, LEASE_SECONDS, Lease, leased, release_for
from tests.faults.processes import BOUND, scoring, start, wait_for_stage
from tests.storage.conftest import SHOP, content, names
from tests.storage.server import Fault, Server

BUSY = "s3://shop/out: another run holds the output"
LOST = "s3://shop/out: another run may have taken the output: it was held too long"


@pytest.fixture
def bucket(store: Any) -> Bucket:
    assert store is not None
    return Bucket(Address(SHOP, "out"))


def let_pass(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let it be so much later than it is by the store's clock."""
    later = datetime.now(UTC) + timedelta(seconds=seconds)
    monkeypatch.setattr("job.storage.lease.datetime", SimpleNamespace(now=lambda _: later))


def test_one_holds_it_until_it_is_released(bucket: Bucket, store: Any) -> None:
    with leased(bucket) as lease:
        lease.check()
        lease.renew()
        lease.check()
        with pytest.raises(OutputBusyError, match=BUSY):
            Lease(bucket).acquire()
    assert json.loads(content(store, f"out/{LEASE}")) == {"holder": None}
    with leased(bucket) as lease:
        lease.check()


def test_a_dead_run_is_succeeded_by_one_and_cannot_publish(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = Lease(bucket)
    dead.acquire()
    let_pass(monkeypatch, LEASE_SECONDS - 5)
    with pytest.raises(OutputBusyError, match=BUSY):
        Lease(bucket).acquire()
    let_pass(monkeypatch, LEASE_SECONDS + 5)
    heir = Lease(bucket)
    heir.acquire()
    heir.check()
    dead.renew()
    with pytest.raises(OutputBusyError, match=LOST):
        dead.check()
    dead.release()
    heir.renew()
    heir.check()


def test_who_cannot_renew_for_long_has_lost_it(bucket: Bucket, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = [0.0]
    monkeypatch.setattr("job.storage.lease.time", SimpleNamespace(monotonic=lambda: ticks[0]))
    lease = Lease(bucket)
    lease.acquire()
    server.faults.append(Fault("PUT", LEASE, "500 Internal Server Error"))
    ticks[0] = LEASE_SECONDS - 1
    lease.renew()
    lease.check()
    ticks[0] = LEASE_SECONDS + 1
    with pytest.raises(OutputBusyError, match=LOST):
        lease.check()
    server.faults.clear()
    lease.renew()
    lease.check()  # nobody had taken it


def test_trouble_while_it_is_asked_who_holds_it_ends_no_keeper(bucket: Bucket, server: Server) -> None:
    lease = Lease(bucket)
    lease.acquire()
    bucket.write(LEASE, b'{"holder": "another"}\n')
    server.faults.append(Fault("GET", LEASE, "403 Forbidden", "AccessDenied"))
    lease.renew()  # warns, and asks again the next time
    server.faults.clear()
    lease.renew()
    with pytest.raises(OutputBusyError, match=LOST):
        lease.check()


def test_two_that_come_at_once(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both find the lease of a dead run; one writes first."""
    Lease(bucket).acquire()
    let_pass(monkeypatch, LEASE_SECONDS + 5)
    first, second = Lease(bucket), Lease(bucket)
    found = bucket.read(LEASE)
    first.acquire()
    monkeypatch.setattr(bucket, "read", lambda _: found)
    with pytest.raises(OutputBusyError, match=BUSY):
        second.acquire()


def test_a_lock_that_nobody_understands_is_held(bucket: Bucket) -> None:
    bucket.write(LEASE, b"mine")
    with pytest.raises(OutputBusyError, match=BUSY):
        Lease(bucket).acquire()


TOLD = "s3://shop/out: the store has no conditional writes: nothing keeps two runs apart"


def test_a_store_that_ignores_conditions_is_told_of_and_works(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put = bucket._client.put
    monkeypatch.setattr(
        bucket._client, "put", lambda *arguments, **options: put(*arguments, **{**options, "mode": "overwrite"})
    )
    with caplog.at_level(logging.WARNING), leased(bucket) as lease:
        lease.renew()
        lease.check()
        with pytest.raises(OutputBusyError, match=BUSY):
            Lease(bucket).acquire()
    assert caplog.messages == [TOLD]


def test_a_store_that_refuses_conditions_is_told_of_and_works(
    bucket: Bucket, server: Server, store: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults.append(Fault("PUT", r"\.lock\.[0-9a-f]{8}$", "501 Not Implemented", "NotImplemented"))
    with caplog.at_level(logging.WARNING), leased(bucket) as lease:
        lease.renew()
        lease.check()
        with pytest.raises(OutputBusyError, match=BUSY):
            Lease(bucket).acquire()
    assert caplog.messages == [TOLD]
    assert names(store, "out") == [LEASE]


def test_a_process_that_was_ended_holds_nothing_for_long(bucket: Bucket, store: Any) -> None:
    lease = Lease(bucket)
    lease.acquire()
    release_for(json.dumps([SHOP, "out", "of another process"]))
    assert json.loads(content(store, f"out/{LEASE}")) == {"holder": lease.token}
    release_for(json.dumps([SHOP, "out", lease.token]))
    assert json.loads(content(store, f"out/{LEASE}")) == {"holder": None}


def test_sigterm_releases_the_output(small_drop: Path, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    process = start(*scoring(small_drop, Path("out"), "--log-format", "json")[:3], "--output", f"{SHOP}/out")
    wait_for_stage(process, "intake")
    assert json.loads(content(store, f"out/{LEASE}"))["holder"]
    process.terminate()
    process.communicate(timeout=BOUND)
    assert process.returncode == 143
    assert json.loads(content(store, f"out/{LEASE}")) == {"holder": None}
