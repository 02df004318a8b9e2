"""What a small file may cost: the peak stays below --memory-limit, whether it is refused or not."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from job.errors import DropError
from job.intake import reconcile
from tests.hostile.bounded import score
from tests.hostile.growth import LIMIT_MIB, growth_of
from tests.hostile.shapes import (
    MIB,
    SHAPES,
    Shape,
    blank_lines,
    copies_in_one_file,
    copies_in_parts,
    drop_of,
    long_lines,
    quoted_lines,
    repeated_rows,
    some_wide_words,
    wide_window,
    wide_words,
    zstd,
)
from tests.intake.drops import make_drop, take, write_drop
from tests.thorough import THOROUGH

ALL_REJECTED = ("--memory-limit", LIMIT_MIB, "--max-rejected", "1", "--max-unknown", "1")


@pytest.mark.parametrize(
    ("shape", "problem"),
    [
        (copies_in_parts, "expected at most 100 times its size unpacked"),
        (partial(copies_in_parts, parts=40), "expected at most 100 times its size unpacked"),
        (partial(copies_in_parts, parts=16, pack=zstd), "expected at most 100 times its size unpacked"),
        (copies_in_one_file, "expected at most 10,000 rows of one customer"),
        (wide_words, "expected texts of at most 32 times its size"),
        (some_wide_words, None),
        (long_lines, None),
        (blank_lines, None),
        (repeated_rows, "expected at most 10,000 rows of one customer"),
        (wide_window, None),
        (quoted_lines, None),
    ],
)
def test_peak_stays_below_the_limit(shape: Shape, problem: str | None, tmp_path: Path) -> None:
    folder = write_drop(tmp_path / "drop", make_drop())
    shape(folder)
    result = score(folder, tmp_path / "out", *ALL_REJECTED)
    assert result.peak <= LIMIT_MIB * MIB, f"{result.peak / MIB:.0f} MiB"
    assert result.code in (0, 3), result.lines
    if problem is not None:
        assert problem in result.lines[0], result.lines


def test_many_spellings_make_a_short_manifest(tmp_path: Path) -> None:
    result = score(write_drop(tmp_path / "drop", drop_of("misspelt", 3_000)), tmp_path / "out")
    assert result.code == 0
    manifest = json.loads((tmp_path / "out" / "latest" / "manifest.json").read_bytes())
    assert len(manifest["repairs"]) == 1_000
    assert any("spellings were repaired; the 1,000 most frequent are listed" in line for line in manifest["warnings"])


def test_more_spellings_than_can_be_counted_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drop = write_drop(tmp_path / "drop", drop_of("misspelt", 60))
    monkeypatch.setattr(reconcile, "MOST_SPELLINGS", 60)
    assert take(drop).repairs.height == 60
    monkeypatch.setattr(reconcile, "MOST_SPELLINGS", 59)
    with pytest.raises(DropError) as caught:
        take(drop)
    assert str(caught.value) == "misspellings: found more, expected at most 59 different ones"


@pytest.mark.skipif(not THOROUGH, reason="measures times: make test-thorough, or python -m tests.hostile.growth")
@pytest.mark.parametrize("shape", SHAPES)
def test_costs_grow_no_faster_than_the_drop(shape: str, tmp_path: Path) -> None:
    growth = growth_of(shape, tmp_path)
    assert growth.is_linear, str(growth)
