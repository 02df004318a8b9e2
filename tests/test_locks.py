"""What is installed is what was locked: every package of every lock by its hashes, none by an address."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

LOCKS = sorted((Path(__file__).parents[1] / "requirements").glob("*.txt"))
PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[a-z,-]+\])?==[^ ;]+( ; .+?)?( --hash=sha256:[0-9a-f]{64})+")


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_package_is_locked_by_its_hashes(lock: Path) -> None:
    text = re.sub(r"^ *#.*\n", "", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
    packages = [re.sub(r"\s+", " ", part).strip() for part in text.replace("\\\n", " ").splitlines()]
    unlocked = [package for package in packages if package and not PACKAGE.fullmatch(package)]
    assert unlocked == []
