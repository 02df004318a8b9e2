"""One run at a time holds an output in object storage.

There are no locks there. The holder writes an object on condition that nobody else did, and again every half minute;
one that was not written again for two minutes is that of a dead run, and may be taken over, again on condition that
nobody else did. Time is the store's, as far as it goes: clocks that differ by more than a minute or so break this.
A run that could not write for two minutes has lost the output, and must not publish.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from job.errors import OutputBusyError
from job.process import supervisor
from job.storage.address import Address
from job.storage.bucket import Bucket, ChangedObjectError, Entry, StorageError

LEASE: Final = ".lock"
LEASE_SECONDS: Final = 120.0
RENEW_SECONDS: Final = 30.0
RELEASE_SECONDS: Final = 1.0  # who is told to stop has 5
NOTE: Final = "lease"

logger = logging.getLogger(__name__)


class Lease:
    """The right to publish to an output."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self.token = os.urandom(8).hex()
        self._held: Entry | None = None
        self._renewed = 0.0
        self._writing = threading.Lock()

    def acquire(self) -> None:
        """Take the output. Raises OutputBusyError if another run holds it, and StorageError."""
        busy = OutputBusyError(f"{self._bucket.address}: another run holds the output")
        try:
            self._write(None)
        except ChangedObjectError:
            held = self._bucket.read(LEASE)
            if held is not None:
                age = datetime.now(UTC) - held[1].modified
                if _holder(held[0]) not in (None, self.token) and age.total_seconds() <= LEASE_SECONDS:
                    raise busy from None
            try:
                self._write(held[1] if held else None)
            except ChangedObjectError:
                raise busy from None

    def renew(self) -> None:
        """Say that the run goes on. A store that does not answer may do so the next time."""
        with self._writing:
            if self._held is None:
                return
            try:
                try:
                    self._write(self._held)
                except ChangedObjectError:  # perhaps by a write of ours whose answer was lost; else the output is lost
                    held = self._bucket.read(LEASE)
                    self._held = held[1] if held and _holder(held[0]) == self.token else None
            except StorageError as error:
                logger.warning("the output's lock could not be renewed: %s", error)

    def check(self) -> None:
        """Raise OutputBusyError if another run may have taken the output."""
        if self._held is None or time.monotonic() - self._renewed > LEASE_SECONDS:
            raise OutputBusyError(
                f"{self._bucket.address}: another run may have taken the output: it was held too long"
            )

    def release(self) -> None:
        """Let others take the output; what cannot be written now will be old in two minutes."""
        with self._writing:
            held, self._held = self._held, None
            if held is not None:
                with _telling_of_release():
                    self._bucket.write(LEASE, _content(None), instead_of=held)

    def _write(self, instead_of: Entry | None) -> None:
        asked = time.monotonic()
        self._held = self._bucket.write(LEASE, _content(self.token), instead_of=instead_of, anew=instead_of is None)
        self._renewed = asked


@contextmanager
def leased(bucket: Bucket) -> Iterator[Lease]:
    """Hold an output while the block runs. Raises as `Lease.acquire`."""
    lease = Lease(bucket)
    lease.acquire()
    supervisor.note(NOTE, json.dumps([*bucket.address, lease.token]))
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(RENEW_SECONDS):
            lease.renew()

    keeper = threading.Thread(target=keep, name="lease", daemon=True)
    keeper.start()
    try:
        yield lease
    finally:
        ended.set()
        keeper.join()
        lease.release()
        supervisor.note(NOTE, None)


def release_for(note: str) -> None:
    """Release the lease that a process which was ended noted: otherwise the next run waits until it is old."""
    *address, token = json.loads(note)
    with _telling_of_release():
        bucket = Bucket(Address(*address), request_seconds=RELEASE_SECONDS, is_hasty=True)
        held = bucket.read(LEASE)
        if held is not None and _holder(held[0]) == token:
            bucket.write(LEASE, _content(None), instead_of=held[1])


@contextmanager
def _telling_of_release() -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        logger.warning("the output's lock could not be released: %s", error)


def _content(holder: str | None) -> bytes:
    return f"{json.dumps({'holder': holder})}\n".encode()


def _holder(content: bytes) -> str | None:
    """Return who holds the output; a content that nobody understands is a holder, too."""
    try:
        holder = json.loads(content)["holder"]
    except (ValueError, KeyError, TypeError):
        return "unknown"
    return None if holder is None else str(holder)
