from __future__ import annotations

import pytest

from job.process import progress
from job.process.progress import CLEAR, Bar


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")


def test_a_bar_fills(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "PAUSE", 0)
    bar = Bar(is_shown=True)
    bar.show("score", 1, 2)
    bar.show("score", 2, 2)
    bar.show("read", 1200, None)
    bar.clear()
    assert capsys.readouterr().err.split(CLEAR) == [
        "",
        "[##########..........] 1/2 score",
        "[####################] 2/2 score",
        "read 1,200",
        "",
    ]


def test_a_line_never_wraps(capsys: pytest.CaptureFixture[str]) -> None:
    Bar(is_shown=True).show("x" * 100, 1, 1)
    assert len(capsys.readouterr().err.removeprefix(CLEAR)) == 59


def test_steps_that_follow_at_once_are_not_drawn_but_the_last(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress.time, "monotonic", lambda: 5.0)
    bar = Bar(is_shown=True)
    for done in range(1, 101):
        bar.show("score", done, 100)
    assert capsys.readouterr().err.count(CLEAR) == 2


def test_nothing_is_written_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Bar(is_shown=False)
    bar.show("score", 1, 1)
    bar.clear()
    assert capsys.readouterr() == ("", "")
