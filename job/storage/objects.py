"""Small named contents in a folder or in object storage, each of which can be made but never replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from job.beneath import read_beneath
from job.files import create_file
from job.storage.bucket import Bucket, ChangedObjectError

if TYPE_CHECKING:
    from pathlib import Path

    from job.storage.address import Address

MOST_BYTES: Final = 64 << 20  # of one content


class FolderObjects:
    """Files below a folder; names have slashes. Every method raises OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self, below: str) -> list[str]:
        """Return the names below a name, each without it, in order."""
        root = self._folder / below
        return sorted(
            path.relative_to(root).as_posix()
            for path in root.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        )

    def read(self, name: str) -> bytes | None:
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


class BucketObjects:
    """The same of the objects below an address. Every method raises StorageError."""

    def __init__(self, address: Address) -> None:
        self._bucket = Bucket(address)
        self.read = self._bucket.content

    def names(self, below: str) -> list[str]:
        """Return the names below a name, each without it, in order."""
        return [name.removeprefix(f"{below}/") for name in self._bucket.entries(below)]

    def create(self, name: str, content: bytes) -> bool:
        """Make a content that is not there; return False if it is there, and leave it."""
        try:
            self._bucket.write(name, content, anew=True)
        except ChangedObjectError:
            return False
        return True
