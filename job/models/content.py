"""What an artifact says, checked where its hashes are right: whoever writes the folder writes them, too.

Files are read whole, up to a bound, and never through a pipe, which would wait for ever.
"""

from __future__ import annotations

import json
import math
import os
import stat
from typing import TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_FILE: Final = 256 * 1024**2  # bytes; a boosted model of 1,300 customers has 3 MB
LARGEST_NUMBER: Final = 1e12  # of a model: sums of its products stay finite
LARGEST_HASH: Final = 2**64


def read_file(path: Path) -> bytes:
    """Return a file's bytes. Raises OSError where it is no file, too large, or cannot be read."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "not a regular file")
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise OSError(0, f"larger than {LARGEST_FILE >> 20} MiB")
    return content


def read_json(path: Path) -> Any:  # noqa: ANN401 - what it is depends on who wrote it
    """Return what a JSON file holds. Raises OSError or ValueError: NaN, infinities and deep nesting are refused."""
    try:
        return json.loads(read_file(path), parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def check_numbers(plain: object, name: str) -> None:
    """Refuse a model whose numbers are not finite or huge. Raises ValueError."""
    waiting: list[Any] = [[plain]]
    while waiting:
        parts = waiting.pop()
        for part in parts.values() if isinstance(parts, dict) else parts:
            if isinstance(part, (float, int)):
                if not abs(part) <= LARGEST_NUMBER:
                    raise ValueError(f"{name}: a number beyond {LARGEST_NUMBER:g}")
            elif isinstance(part, (dict, list)):
                waiting.append(part)


def check_number(what: str, value: object, low: float = -math.inf, high: float = math.inf) -> float:
    """Return a value that is a finite number from `low` to `high`. Raises ValueError for any other."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and low <= value <= high:
        return value
    raise ValueError(f"{what}: {str(value)[:40]!r}")


def check_seen(seen: object) -> None:
    """Refuse what does not name training customers by folds, see `job.models.seen`. Raises TypeError or ValueError."""
    if not isinstance(seen, dict) or not isinstance(seen.get("folds"), list):
        raise TypeError("customers of training: no folds")
    int(str(seen.get("salt"))[:32].ljust(32, "x"), 16)
    for fold in seen["folds"]:
        if not isinstance(fold, list) or not all(type(number) is int and 0 <= number < LARGEST_HASH for number in fold):
            raise ValueError("customers of training: a fold is not a list of hashes")


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")
