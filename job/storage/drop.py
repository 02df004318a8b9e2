"""A drop in object storage becomes a folder, and messages about it name the objects again.

The job reads every table several ways (as bytes, as Parquet, in a child process), so the objects are copied to the
scratch folder first, each as it was when it was listed: a copy of an object that was replaced meanwhile is refused.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from job.errors import DropError, DropIncompleteError, OutputError, Problem, shorten
from job.intake.drop import Refuse, wait_for_files
from job.intake.names import belongs_to_drop, sign_of
from job.storage.bucket import Bucket, ChangedObjectError, Entry, storage_errors_as

if TYPE_CHECKING:
    from job.settings import Arrival
    from job.storage.address import Address

ATTEMPTS: Final = 3
UNCHANGED: Final = "a file that nobody writes any more"
CHANGED: Final = "one that changed while it was read"


class Copy:
    """A folder that holds the objects of a drop, and empty files where names alone say what is wrong."""

    def __init__(self, address: Address, folder: Path) -> None:
        self.address = address
        self.folder = folder
        self._bucket = Bucket(address)
        self._held: dict[str, Entry] = {}
        self._signs: set[str] = set()

    def refresh(self) -> None:
        """Make the folder hold what the store holds now; begin again when an object is replaced meanwhile.

        Raises DropError: the store refuses; DropIncompleteError: it has trouble, or objects are replaced all the time.
        """
        for attempt in range(1, ATTEMPTS + 1):
            with storage_errors_as(DropError, DropIncompleteError):
                listed = self._list()
                for name in self._held.keys() - listed.keys():
                    (self.folder / name).unlink()
                    del self._held[name]
                try:
                    for name, entry in listed.items():
                        if self._held.get(name) != entry:
                            self._fetch(entry)
                except DropIncompleteError:
                    if attempt == ATTEMPTS:
                        raise
                else:
                    return

    def check_unchanged(self) -> None:
        """Raise DropIncompleteError if the store holds other objects than the folder."""
        listed = self._list()
        changed = sorted(name for name in {*self._held, *listed} if self._held.get(name) != listed.get(name))
        if changed:
            raise DropIncompleteError(Problem(str(self.address / name), UNCHANGED, CHANGED) for name in changed)

    def _list(self) -> dict[str, Entry]:
        entries = self._bucket.entries()
        self._show({sign for name in entries if not belongs_to_drop(name) and (sign := sign_of(name)) is not None})
        return {name: entry for name, entry in entries.items() if belongs_to_drop(name)}

    def _show(self, signs: set[str]) -> None:
        for name in self._signs - signs:
            (self.folder / name).unlink(missing_ok=True)
        self._signs &= signs
        for name in signs - self._signs:
            with contextlib.suppress(OSError, ValueError):  # a name that no file can have says nothing
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / name).touch()
                self._signs.add(name)

    def _fetch(self, entry: Entry) -> None:
        path = self.folder / entry.name
        self._held.pop(entry.name, None)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            self._bucket.fetch(entry, path)
        except ChangedObjectError:
            path.unlink()  # what there is of it is no file of the drop
            raise DropIncompleteError([Problem(str(self.address / entry.name), UNCHANGED, CHANGED)]) from None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                what = Problem(shorten(entry.name), "a name that a file may have", "a longer one")
                raise DropError([what]) from error
            raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
        self._held[entry.name] = entry


@contextlib.contextmanager
def drop_at_hand(
    address: Address, folder: Path, *, arrival: Arrival, refuse: Refuse = lambda _: None
) -> Iterator[Path]:
    """Give a new folder with the files of a complete drop; errors of the block name the objects in place of its files.

    Raises as `wait_for_files` and `Copy.refresh`, and OutputError: the folder cannot be written.
    """

    def rename(defect: str | Problem) -> str | Problem:
        if isinstance(defect, str):
            return defect.replace(str(folder), str(address))
        if defect.file == str(folder):
            return defect._replace(file=str(address))
        return defect._replace(file=str(address / defect.file)) if belongs_to_drop(defect.file) else defect

    try:
        with storage_errors_as(DropError, DropIncompleteError):
            copy = Copy(address, folder)
            wait_for_files(folder, arrival, refresh=copy.refresh, refuse=refuse)
            copy.check_unchanged()
            yield folder
    except (DropError, DropIncompleteError) as error:
        raise type(error)([rename(defect) for defect in error.defects]) from error
