"""Where a drop or an output is: a path, or the address of objects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from job.errors import Problem, SettingsError

SCHEMES: Final = ("s3", "s3a", "gs", "az", "abfs", "abfss")

_URL: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+)://(?P<rest>.*)", re.DOTALL)
_EXPECTED: Final = "a path, or s3://BUCKET/PREFIX, gs://, az:// or file:///PATH"


class Address(NamedTuple):
    """Objects that share a bucket (or container) such as `s3://shop`, and the beginning of their names."""

    bucket: str
    prefix: str = ""  # without slashes at its ends

    def __str__(self) -> str:
        return f"{self.bucket}/{self.prefix}" if self.prefix else self.bucket

    def __truediv__(self, name: str) -> Address:
        return Address(self.bucket, f"{self.prefix}/{name}" if self.prefix else name)

    @property
    def parent(self) -> Address:
        """The address one level up."""
        return Address(self.bucket, self.prefix.rpartition("/")[0])

    @property
    def name(self) -> str:
        """The last part of the prefix."""
        return self.prefix.rpartition("/")[2]


def parse_place(text: str) -> Path | Address:
    """Return the path or the address that a text gives. Raises SettingsError for an address that cannot be used."""
    match = _URL.fullmatch(text)
    if match is None:
        return Path(text)
    scheme = match["scheme"].lower()
    if scheme == "file":
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost") or not parts.path:
            raise SettingsError([Problem(text, _EXPECTED, "a file on another machine")])
        return Path(unquote(parts.path))
    if scheme not in SCHEMES:
        raise SettingsError([Problem(text, _EXPECTED, f"{scheme}://")])
    bucket, _, prefix = match["rest"].partition("/")
    names = [name for name in prefix.split("/") if name]
    if not bucket or {".", ".."} & set(names):
        raise SettingsError([Problem(text, _EXPECTED, "no bucket" if not bucket else "a relative prefix")])
    return Address(f"{scheme}://{bucket}", "/".join(names))
