"""Objects under an address: list, read, write and remove them.

The one place that knows the client library, and what stores answer when they refuse. Every request is repeated when the
store has trouble or the line breaks, for a minute at most.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import re
import shutil
import weakref
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from job.errors import JobError, SettingsError, printable
from job.storage.relay import ENDPOINTS, relay_of_endpoint

if TYPE_CHECKING:
    from job.storage.address import Address

PIECE_BYTES: Final = 16 << 20  # asked for, or sent, at a time
PIECES_AT_ONCE: Final = 2
MOST_PIECES: Final = 9_000  # S3 takes 10,000 for one object
RETRIES: Final = 60  # the time is what ends them
RETRY_TIME: Final = timedelta(seconds=60)
FIRST_PAUSE: Final = timedelta(seconds=0.5)  # before the second try; longer and longer from then on, with jitter
LONGEST_PAUSE: Final = timedelta(seconds=5)
PROBE_RETRIES: Final = 1  # of the first write on a condition: who does not know conditions says so each time
REQUEST_SECONDS: Final = 120
MOST_OBJECTS: Final = 100_000  # under an address
SMALL_BYTES: Final = 8 << 20  # the most that an object may have which is read at once

_STATUS: Final = re.compile(r"status code: (?P<status>\d{3})")
_CODE: Final = re.compile(r"<Code>(?P<code>\w+)</Code>")
_OWN_SERVICES: Final = re.compile(r"169\.254\.169\.254|169\.254\.170\.2|metadata\.google\.internal")
"""Where a machine in a cloud asks for the credentials of its role."""
_MISSING_ACCOUNT: Final = "Account must be specified"
NOT_IMPLEMENTED: Final = "501"
_NO_ANSWER: Final = re.compile("error sending request|HTTP error")


logger = logging.getLogger(__name__)


class StorageError(Exception):
    """The store refused what was asked of `where`, or did not answer; `is_passing`: another try may succeed."""

    def __init__(self, where: Address | str, reason: str, *, is_passing: bool) -> None:
        self.place = str(where)
        self.reason = reason
        self.is_passing = is_passing
        super().__init__(f"{where}: {reason}")


@contextlib.contextmanager
def storage_errors_as(
    kind: type[JobError], passing: type[JobError] | None = None, *, cannot: str = "cannot be read"
) -> Iterator[None]:
    """Turn what a store says into one line, an error of this kind; `passing`: of that, where it may pass."""
    try:
        yield
    except StorageError as error:
        chosen = passing if passing is not None and error.is_passing else kind
        raise chosen(f"{error.place}: {cannot}: {error.reason}") from error


class ChangedObjectError(StorageError):
    """The object is no longer, or not yet, the one that a request is about."""

    def __init__(self, where: Address) -> None:
        super().__init__(where, "it was replaced or removed meanwhile", is_passing=True)


class Entry(NamedTuple):
    """An object as a listing tells it: its name below the address, bytes, and time by the store's clock."""

    name: str
    size: int
    modified: datetime
    e_tag: str | None  # another one for another content
    version: str | None


class Bucket:
    """The objects under an address, to which names are relative; SettingsError if the library is not installed.

    One request may take `request_seconds`; one that fails is repeated for a minute, once if that `is_hasty`. Every
    method raises StorageError when the store refuses or does not answer.
    """

    def __init__(self, address: Address, *, request_seconds: float = REQUEST_SECONDS, is_hasty: bool = False) -> None:
        try:
            import obstore  # noqa: PLC0415 - an extra
            from obstore.store import from_url  # noqa: PLC0415
        except ImportError:
            needed = "not installed: obstore; pip install 'oneclick-retention[storage]'"
            raise SettingsError(f"{address}: cannot be reached: {needed}") from None
        self.address = address
        self._client = obstore
        self._knows_conditions: bool | None = None
        self._relay = relay_of_endpoint(address.bucket)
        is_plain = any(os.environ.get(name, "").startswith("http://") for name in ENDPOINTS)
        options: Any = {"allow_http": is_plain, "timeout": timedelta(seconds=request_seconds), "http1_only": True}
        if self._relay is not None:
            weakref.finalize(self, self._relay.close)
            options["proxy_url"] = f"http://127.0.0.1:{self._relay.port}"

        pauses: Any = {"init_backoff": FIRST_PAUSE, "max_backoff": LONGEST_PAUSE, "base": 2}

        def connect(retries: int) -> Any:  # noqa: ANN401 - the library's
            retry: Any = {"max_retries": retries, "retry_timeout": RETRY_TIME, "backoff": pauses}
            return from_url(address.bucket, client_options=options, retry_config=retry)

        with self._told(""):
            self._probing = connect(PROBE_RETRIES)
            self._store = self._probing if is_hasty else connect(RETRIES)

    def entries(self, below: str = "") -> dict[str, Entry]:
        """Return name -> entry of all objects under the address, or of those below a name, by name."""
        with self._told(below):
            listed = self._client.list(self._store, prefix=(self.address / below if below else self.address).prefix)
            entries: dict[str, Entry] = {}
            for entry in (self._entry(meta) for batch in listed for meta in batch):
                if entry.name in entries:
                    raise StorageError(self.address, f"the store lists {printable(entry.name)} twice", is_passing=False)
                entries[entry.name] = entry
                if len(entries) > MOST_OBJECTS:
                    raise StorageError(self.address, f"more than {MOST_OBJECTS:,} objects", is_passing=False)
        return {name: entries[name] for name in sorted(entries) if name}

    def entry(self, name: str) -> Entry | None:
        """Return an object's entry, None if there is none."""
        with self._told(name), contextlib.suppress(FileNotFoundError):
            return self._entry(self._client.head(self._store, self._key(name)))
        return None

    def read(self, name: str) -> tuple[bytes, Entry] | None:
        """Return a small object's content and entry, None if there is none."""
        try:
            with self._told(name):
                answer = self._client.get(self._store, self._key(name))
                content = _taken(answer, SMALL_BYTES)
                if content is None:
                    raise StorageError(self.address / name, f"more than {SMALL_BYTES:,} bytes", is_passing=False)
                return content, self._entry(answer.meta)
        except FileNotFoundError:
            return None

    def content(self, name: str) -> bytes | None:
        """Return a small object's content, None if there is none."""
        answer = self.read(name)
        return None if answer is None else answer[0]

    def fetch(self, entry: Entry, path: Path) -> None:
        """Write an object's content to a file, piece by piece.

        Raises ChangedObjectError if it is no longer the one of the entry, OSError if the file cannot be written, or
        would not find room.
        """
        if entry.size > shutil.disk_usage(path.parent).free:
            raise OSError(errno.ENOSPC, f"{entry.size:,} bytes: {os.strerror(errno.ENOSPC)}", str(path))
        with path.open("wb") as file:
            for piece in self._pieces(entry):
                file.write(piece)
        written = entry.modified.timestamp()
        os.utime(path, (written, written))

    def digest(self, name: str) -> str | None:
        """Return the SHA-256 of what the store gives for a name, None if there is nothing, or it changes meanwhile."""
        digest, entry = hashlib.sha256(), self.entry(name)
        try:
            for piece in self._pieces(entry) if entry is not None else ():
                digest.update(piece)
        except ChangedObjectError:
            return None
        return None if entry is None else digest.hexdigest()

    def send(self, path: Path, name: str) -> None:
        """Write a file's content to an object, in one step as readers see it."""
        piece = max(PIECE_BYTES, path.stat().st_size // MOST_PIECES)
        with self._told(name, missing="bucket"):
            self._client.put(self._store, self._key(name), path, chunk_size=piece, max_concurrency=PIECES_AT_ONCE)

    def write(self, name: str, content: bytes, *, instead_of: Entry | None = None, anew: bool = False) -> Entry:
        """Write a small object in one step; return an entry that stands for it.

        Only if it is still the one `instead_of` which this is, or with `anew` if there is none; else ChangedObjectError
        is raised. A store that knows no conditions is asked first whether they hold, and told of in the log: two who
        write at the same moment are not kept apart there.
        """
        mode: Any = "create" if anew else "overwrite"
        if instead_of is not None:
            version = {"e_tag": instead_of.e_tag, "version": instead_of.version}
            mode = {key: value for key, value in version.items() if value is not None}
        if mode != "overwrite" and self._knows_conditions is None:
            self._learn_conditions(name)
        if mode != "overwrite" and self._knows_conditions is False:
            held = self.read(name)
            if (held is not None) if anew else (held is None or held[1].e_tag != mode.get("e_tag")):
                raise ChangedObjectError(self.address / name)
            mode = "overwrite"
        with self._told(name, missing="bucket"):
            answer = self._client.put(self._store, self._key(name), content, mode=mode, use_multipart=False)
        return Entry(name, len(content), datetime.now(UTC), answer["e_tag"], answer["version"])

    def create(self, name: str, content: bytes) -> bool:
        """Write a small object where there is none; return whether there was none."""
        try:
            self.write(name, content, anew=True)
        except ChangedObjectError:
            return False
        return True

    def _learn_conditions(self, name: str) -> None:
        """Learn by a small object beside this one whether the store knows conditions; some ignore, others refuse them.

        A store that has trouble tells nothing: the write itself, which is repeated, finds out.
        """
        probe = f"{name}.{os.urandom(4).hex()}"
        try:
            for _ in range(2):  # the second must be refused
                with self._told(probe, missing="bucket"):
                    self._client.put(self._probing, self._key(probe), b"", mode="create", use_multipart=False)
            self._knows_conditions = False
        except ChangedObjectError:
            self._knows_conditions = True
        except StorageError as error:
            if NOT_IMPLEMENTED in error.reason:
                self._knows_conditions = False
        if self._knows_conditions is False:
            logger.warning("%s: the store has no conditional writes: nothing keeps two runs apart", self.address)
        with contextlib.suppress(StorageError):  # who cannot be asked cannot hold it
            self.remove([probe])

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects, one after the other; those that are gone already do not matter."""
        for name in names:
            with self._told(name), contextlib.suppress(FileNotFoundError):
                self._client.delete(self._store, self._key(name))

    def _pieces(self, entry: Entry) -> Iterator[bytes]:
        for start in range(0, entry.size, PIECE_BYTES):
            size = min(PIECE_BYTES, entry.size - start)
            options: Any = {"range": (start, start + size)}
            if entry.e_tag is not None:
                options["if_match"] = entry.e_tag
            with self._told(entry.name):
                try:
                    answer = self._client.get(self._store, self._key(entry.name), options=options)
                    piece = _taken(answer, size)
                except FileNotFoundError as error:
                    raise ChangedObjectError(self.address / entry.name) from error
            if piece is None or len(piece) != size or _bare(answer.meta["e_tag"]) != _bare(entry.e_tag):
                raise ChangedObjectError(self.address / entry.name)
            yield piece

    def _key(self, name: str) -> str:
        return (self.address / name).prefix

    def _entry(self, meta: Any) -> Entry:  # noqa: ANN401 - the library's
        name = str(meta["path"]).removeprefix(self.address.prefix).removeprefix("/")
        return Entry(name, int(meta["size"]), meta["last_modified"], meta["e_tag"], meta["version"])

    @contextlib.contextmanager
    def _told(self, name: str, *, missing: str = "object") -> Iterator[None]:
        """Turn what the library raises into a StorageError; FileNotFoundError only where a bucket is meant."""
        where = self.address / name if name else self.address
        exceptions = self._client.exceptions
        try:
            yield
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError) as error:
            raise ChangedObjectError(self.address / name) from error
        except FileNotFoundError as error:
            if missing == "object":
                raise
            raise StorageError(where, explain(error)[0], is_passing=False) from error
        except (exceptions.BaseError, ValueError) as error:
            reason, is_passing = explain(error)
            if self._relay is not None and self._relay.refusal:
                reason, is_passing = self._relay.refusal, False
            raise StorageError(where, reason, is_passing=is_passing) from error


def _bare(e_tag: str | None) -> str | None:
    """Return a tag without quotes: some stores list it without them, and give it with them."""
    return e_tag and e_tag.removeprefix("W/").strip('"')


def _taken(answer: Any, most: int) -> bytes | None:  # noqa: ANN401 - the library's
    """Return what the store answers, None if that is more than so many bytes: no more is waited for then."""
    content = bytearray()
    for chunk in answer.stream():
        content += chunk
        if len(content) > most:
            return None
    return bytes(content)


def explain(error: Exception) -> tuple[str, bool]:
    """Return what the library's error means, as a phrase, and whether another try may succeed."""
    text = str(error)
    status = match["status"] if (match := _STATUS.search(text)) else ""
    code = match["code"] if (match := _CODE.search(text)) else ""
    named = " ".join(part for part in (status, code) if part)
    first = text.partition("\n")[0]
    rules = (
        (_OWN_SERVICES.search(text), "no credentials in the environment, and no role of this machine", False),
        (_MISSING_ACCOUNT in text, "no account in the environment (AZURE_STORAGE_ACCOUNT_NAME)", False),
        (code == "NoSuchBucket" or (status == "404" and not code), "no such bucket", False),
        (status in ("401", "403"), f"access denied ({named})", False),
        (status.startswith("4"), f"the store refuses the request ({named})", False),
        (status, f"the store has trouble ({named})", True),
        (_NO_ANSWER.search(first), "the store does not answer", True),
        (True, first.rpartition(" error: ")[2], False),
    )
    return next((phrase, is_passing) for holds, phrase, is_passing in rules if holds)
