"""A segments file with numbers that are none, and as long as it likes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from job.errors import SettingsError
from job.scoring.segments import DEFAULT_FILE, load_segmentation

SHIPPED = DEFAULT_FILE.read_text(encoding="utf-8")


def changed(key: str, value: str) -> str:
    """Return the shipped file with another value of a key, where it first stands."""
    text, count = re.subn(rf"^{key} = .*$", f"{key} = {value}", SHIPPED, count=1, flags=re.MULTILINE)
    assert count == 1
    return text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (changed("priority", "9" * 5000), ": found 5,011, expected at most 1,000 characters"),
        (changed("priority", "9" * 900), f"priority: found {'9' * 120}…, expected a whole number up to a million"),
        (changed("cost", f"0x{'f' * 900}"), "cost: found "),
        (changed("cost", f"0x{'f' * 20_000}"), "expected at most 1,000 characters"),
        (changed("cost", "nan"), "cost: found nan, "),
        (changed("cost", "inf"), "cost: found inf, "),
        (changed("cost", "-inf"), "cost: found -inf, "),
        (changed("profit_lost", "nan"), "profit_lost: found nan, "),
        (f"{'.'.join(['a'] * 20_000)} = 1\n{SHIPPED}", "row 1: found 40,003, expected at most 1,000 characters"),
        (f"x = {'[' * 900}\n{SHIPPED}", "expected TOML"),
        (SHIPPED + "# and so on\n" * 10_000, "x.toml: found more, expected at most 65,536 bytes"),
    ],
)
def test_numbers_and_sizes_that_cannot_be(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_segmentation(path)
    assert problem in str(caught.value)
