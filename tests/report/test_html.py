"""The templates of pages: on a phone a row is a list of its cells, each after the heading of its column."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

JOB = Path(__file__).parents[2] / "job"


@pytest.mark.parametrize("template", ["campaign/lift.html", "history/history.html"])
def test_a_cell_is_labelled_with_its_heading(template: str) -> None:
    text = (JOB / template).read_text(encoding="utf-8")
    tables = re.findall(r'<table class="stack">.*?</table>', text, flags=re.DOTALL)
    headings = [re.findall(r'<th class="n">([^<]+)</th>', table) for table in tables]
    labels = [re.findall(r'<td class="n" data-label="([^"]+)">', table) for table in tables]
    assert labels == headings
    assert len(tables) == text.count("<table") > 0
