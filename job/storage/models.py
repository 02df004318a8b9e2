"""The model's way to production: numbered versions, one of which is the champion, and a log of who decided that.

    STORE/versions/N/       an artifact, never written over
    STORE/log/000001.json   what happened, one file an event, never written over

Which version is the champion follows from the log alone: a promotion puts a version on top, a rollback takes it off
again. Two who write at once cannot both make the same event; the second reads what the first did, and decides again.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partialmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypedDict

from job.beneath import read_beneath
from job.errors import ArtifactError, JobError, OutputError, Problem, SettingsError, reason_of
from job.files import create_file
from job.models.artifact import load_artifact
from job.storage.bucket import Bucket, StorageError
from job.storage.run import Place, delivered
from job.text_table import Columns, table

if TYPE_CHECKING:
    from job.settings import TrainSettings

    Progress = Callable[[str, int, int], None]  # what is done, how many steps are, of how many

VERSIONS: Final = "versions"
LOG: Final = "log"
ATTEMPTS: Final = 20
MOST_BYTES: Final = 64 << 20  # of one file
FORMAT: Final = 1

NOT_BEATEN: Final = "Not written: the artifact in use is not beaten."
WRITTEN: Final = "written"
PROMOTED: Final = "promoted"
ROLLED_BACK: Final = "rolled back"


class Event(TypedDict):
    """An entry of the log. The verdict is the gate's, of a version that was written."""

    format: int
    at: str
    user: str
    action: str
    version: int
    digest: str
    verdict: str | None
    note: str | None


class Champion(NamedTuple):
    """The version that scores, and its artifact; None where a folder with one was given instead of a store."""

    version: int | None
    folder: Path


class _FolderObjects:
    """Files below a folder, as a `Bucket` has objects; names have slashes. Every method raises OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def entries(self, below: str) -> list[str]:
        """Return the names of the files below a name, in order."""
        paths = (self._folder / below).rglob("[!.]*")
        return sorted(path.relative_to(self._folder).as_posix() for path in paths if path.is_file())

    def content(self, name: str) -> bytes | None:
        """Return a content, None if there is none."""
        try:
            return read_beneath(self._folder, name, limit=MOST_BYTES)
        except FileNotFoundError:
            return None

    def create(self, name: str, content: bytes) -> bool:
        """Make a content that is not there, in one step; return False if it is there, and leave it."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return create_file(path, content)


class ModelStore:
    """A store of models. Every method raises ArtifactError where it cannot be read, OutputError where not written."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._objects = _FolderObjects(place) if isinstance(place, Path) else Bucket(place)

    def events(self) -> list[Event]:
        """Return the log, the oldest event first; nothing where there is no store yet."""
        with self._reading():
            raw = [self._objects.content(name) for name in self._objects.entries(LOG)]
            try:
                events: list[Event] = [json.loads(content) for content in raw if content is not None]
                strangers = [event["at"] for event in events if event["format"] != FORMAT]
            except (ValueError, KeyError, TypeError) as error:
                raise ArtifactError(f"{self.place}/{LOG}: altered: {reason_of(error)}") from error
        if strangers:
            raise ArtifactError(f"{self.place}/{LOG}: not of format {FORMAT}, the one of this version: {strangers[0]}")
        return events

    def versions(self) -> list[dict[str, Any]]:
        """Return the versions, the newest first."""
        events = self.events()
        return [self._describe(event, events) for event in reversed(events) if event["action"] == WRITTEN]

    def add(self, artifact: Path, *, user: str, verdict: str | None) -> int:
        """Add an artifact as a new version, and return its number. It is not the champion yet."""
        digest = load_artifact(artifact).digest
        files = {path.name: path.read_bytes() for path in sorted(artifact.iterdir()) if path.is_file()}
        with self._writing():
            taken = {name.split("/")[1] for name in self._objects.entries(VERSIONS)}
            number = max((int(name) for name in taken if name.isdecimal()), default=0) + 1
            while not self._objects.create(f"{VERSIONS}/{number}/manifest.json", files["manifest.json"]):
                number += 1
            for name, content in files.items():
                self._objects.create(f"{VERSIONS}/{number}/{name}", content)
        self._append(lambda _: (WRITTEN, number, digest), user=user, verdict=verdict)
        return number

    def promote(self, version: int, *, user: str, note: str | None) -> None:
        """Make a version the champion. Raises SettingsError if there is none of this number, or it is it already."""

        def promotion(events: Sequence[Event]) -> tuple[str, int, str]:
            written = {event["version"]: event["digest"] for event in events if event["action"] == WRITTEN}
            if version not in written:
                known = ", ".join(map(str, written)) or "none yet"
                raise SettingsError([Problem("--promote", f"a version of {self.place}: {known}", str(version))])
            if _champions(events)[-1:] == [version]:
                raise SettingsError([Problem("--promote", "a version that is not the champion already", str(version))])
            return PROMOTED, version, written[version]

        with self._fetched(version):  # whoever promotes learns now if it is not whole
            self._append(promotion, user=user, note=note)

    def roll_back(self, *, user: str, note: str | None) -> int:
        """Make the champion before this one the champion again, and return its number. Raises SettingsError."""

        def rollback(events: Sequence[Event]) -> tuple[str, int, str]:
            champions = _champions(events)
            if len(champions) <= 1:
                raise SettingsError([Problem("--rollback", f"a champion of {self.place} before this one", "none")])
            digests = {event["version"]: event["digest"] for event in events}
            return ROLLED_BACK, champions[-2], digests[champions[-2]]

        return self._append(rollback, user=user, note=note)

    @contextlib.contextmanager
    def champion(self) -> Iterator[Champion]:
        """Give the champion, verified; a copy of one in object storage is gone when the block ends.

        Raises ArtifactError if there is none, or it is not what was promoted.
        """
        champions = _champions(self.events())
        if not champions:
            raise ArtifactError(f"{self.place}: no version is the champion: retention models --store ... --promote N")
        with self._fetched(champions[-1]) as folder:
            yield Champion(champions[-1], folder)

    @contextlib.contextmanager
    def _fetched(self, version: int) -> Iterator[Path]:
        digests = {event["version"]: event["digest"] for event in self.events()}
        with contextlib.ExitStack() as stack:
            if isinstance(self.place, Path):
                folder = self.place / VERSIONS / str(version)
            else:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="retention-model-")))
                with self._reading():
                    for name in self._objects.entries(f"{VERSIONS}/{version}"):
                        (folder / Path(name).name).write_bytes(self._objects.content(name) or b"")
            if version in digests:
                digest = load_artifact(folder).digest
                if digest != digests[version]:
                    raise ArtifactError(
                        [Problem(f"{self.place}/{VERSIONS}/{version}", f"the model {digests[version]}", digest)]
                    )
            yield folder

    def _append(
        self,
        decide: Callable[[Sequence[Event]], tuple[str, int, str]],
        *,
        user: str,
        verdict: str | None = None,
        note: str | None = None,
    ) -> int:
        """Add the event that `decide` makes of the log: an action, a version, its digest; return the version."""
        for _ in range(ATTEMPTS):
            events = self.events()
            action, version, digest = decide(events)
            event: Event = {
                "format": FORMAT,
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "user": user,
                "action": action,
                "version": version,
                "digest": digest,
                "verdict": verdict,
                "note": note,
            }
            text = json.dumps(event, ensure_ascii=False, indent=1) + "\n"
            with self._writing():
                if self._objects.create(f"{LOG}/{len(events) + 1:06d}.json", text.encode()):
                    return version
        raise OutputError(f"{self.place}/{LOG}: cannot be written: others write to it all the time")

    def _describe(self, event: Event, events: Sequence[Event]) -> dict[str, Any]:
        name = f"{VERSIONS}/{event['version']}/manifest.json"
        with self._reading():
            raw = self._objects.content(name)
        try:
            manifest = json.loads(raw or b"")
            auc = manifest["roc_auc"]
            facts = {"title": manifest["title"], "customers": manifest["trained_on"]["customers"]}
            facts |= {"roc_auc": auc["mean"], "low": auc["low"], "high": auc["high"]}
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{self.place}/{name}: altered: {reason_of(error)}") from error
        chosen = [other for other in events if other["version"] == event["version"] and other["action"] != WRITTEN]
        last: Mapping[str, Any] = chosen[-1] if chosen else {}
        return {
            "version": event["version"],
            "written": event["at"],
            "digest": event["digest"],
            **facts,
            "verdict": event["verdict"],
            "is_champion": _champions(events)[-1:] == [event["version"]],
            "promoted": last.get("at"),
            "by": last.get("user"),
            "note": last.get("note"),
        }

    @contextlib.contextmanager
    def _failing_as(self, kind: type[JobError], cannot: str) -> Iterator[None]:
        try:
            yield
        except (OSError, StorageError) as error:
            reason = error.reason if isinstance(error, StorageError) else reason_of(error)
            raise kind(f"{self.place}: {cannot}: {reason}") from error

    _reading = partialmethod(_failing_as, ArtifactError, "no models can be read here")
    _writing = partialmethod(_failing_as, OutputError, "cannot be written")


class Training(NamedTuple):
    """What a training came to, wherever its model went."""

    table: str  # the comparison of the candidates, for a person
    verdict: str | None  # of the gate, in words; None where there was nothing to beat
    against: str
    is_written: bool
    told: str  # what became of it, in words
    version: int | None = None  # in the store


def train_to(artifacts: Path, drop: Place, settings: TrainSettings, progress: Progress) -> Training:
    """Train on a drop and write the selected model to a folder. Raises as `run_training`."""
    try:
        from job.training.run import run_training  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        needed = "pip install 'oneclick-retention[training]', or the image that trains"
        raise ArtifactError(f"training needs {error.name}, which is not installed here: {needed}") from error
    except OSError as error:  # a shared library
        needed = "on Debian and Ubuntu: apt-get install libgomp1"
        raise ArtifactError(f"training needs a system library ({needed}): {error}") from error
    with delivered(drop, settings.arrival) as delivery:
        settings = settings._replace(arrival=delivery.arrival)
        trained = run_training(delivery.folder, artifacts, settings, progress=progress)
    verdict = None if trained.gate is None else trained.gate.describe()
    became = f"Written to {artifacts}." if trained.is_written else NOT_BEATEN
    return Training(trained.table, verdict, str(settings.champion), trained.is_written, became)


def train_into(place: Place, drop: Place, settings: TrainSettings, progress: Progress) -> Training:
    """Train on a drop and add the selected model to a store, if it beats the champion. Raises as `run_training`."""
    store = ModelStore(place)
    with contextlib.ExitStack() as stack:
        champion = stack.enter_context(store.champion()) if _champions(store.events()) else None
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="retention-model-")))
        training = train_to(folder, drop, settings._replace(champion=champion and champion.folder), progress)
        training = training._replace(against=f"version {champion and champion.version}")
        if training.is_written:
            number = store.add(folder, user=getpass.getuser(), verdict=training.verdict)
            became = f"Written to {place} as version {number}; it scores once it is promoted: --promote {number}."
            training = training._replace(version=number, told=became)
    return training


@contextlib.contextmanager
def chosen_artifact(place: Place | None) -> Iterator[Champion | None]:
    """Give the artifact to score with: the champion of a store, or the one that a folder holds; None for None.

    Raises as `ModelStore.champion`.
    """
    if place is None:
        yield None
    elif isinstance(place, Path) and not (place / LOG).is_dir():
        yield Champion(None, place)
    else:
        with ModelStore(place).champion() as champion:
            yield champion


VERSION_COLUMNS: Final[Columns] = {
    "": lambda row: "*" if row["is_champion"] else "",
    "version": "{version}",
    "written": "{written}",
    "customers": "{customers:,}",
    "ROC-AUC": "{roc_auc:.3f} ({low:.3f} to {high:.3f})",
    "model": "{title}",
    "digest": "{digest:.12}",
    "promoted": "{promoted:s}",
    "by": "{by:s}",
    "note": "{note:s}",
    "gate": "{verdict:s}",
}


def summarise_versions(versions: Sequence[Mapping[str, Any]]) -> str:
    """Return the versions as a table for a person; `*` marks the champion."""
    return "\n".join(table(VERSION_COLUMNS, versions)) if versions else "No versions."


def _champions(events: Sequence[Event]) -> list[int]:
    """Return the champions that are not rolled back, the one in charge last."""
    champions: list[int] = []
    for event in events:
        if event["action"] == PROMOTED:
            champions.append(event["version"])
        elif event["action"] == ROLLED_BACK and champions:
            champions.pop()
    return champions
