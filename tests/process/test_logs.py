from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator

import pytest

from job.process.logs import Forwarder, Log, describe_traceback, forward_to
from job.process.progress import CLEAR


@pytest.fixture
def clean_root() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    before = root.handlers[:]
    yield root
    root.handlers[:] = before


def test_json_is_one_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log("json")
    log.write("stage", stage="intake", nothing=None)
    log.write("finished", level=logging.ERROR, exit_code=3, title="Прибыльные\n")
    printed = capsys.readouterr()
    assert printed.out == ""
    first, second = (json.loads(line) for line in printed.err.splitlines())
    assert list(second) == ["exit_code", "title", "event", "level", "timestamp"]
    assert first.pop("timestamp").endswith("Z")
    assert first == {"event": "stage", "level": "info", "stage": "intake"}
    assert (second["level"], second["exit_code"], second["title"]) == ("error", 3, "Прибыльные\n")


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    Log("text").write("stage", stage="intake", at=None, after=1.5)
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"[0-2]\d:[0-5]\d:[0-5]\d \[info\] stage after=1\.5 stage=intake", line)


@pytest.mark.parametrize(
    ("level", "told"), [(20, "\x1b[32minfo"), (30, "\x1b[33mwarning"), (40, "\x1b[31merror"), (50, "\x1b[31mcritical")]
)
def test_levels_have_colours_on_a_terminal(
    level: int, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    Log("auto").write("a", level=level)
    assert capsys.readouterr().err[len(CLEAR) + 8 :] == f" [{told}\x1b[0m] a\n"
    monkeypatch.setenv("NO_COLOR", "1")
    Log("auto").write("a", level=level)
    assert capsys.readouterr().err[len(CLEAR) + 8 :] == f" [{told.partition('m')[2]}] a\n"


def test_auto_is_json_away_from_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Log("auto").is_json
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert not Log("auto").is_json
    assert Log("json").is_json


@pytest.mark.parametrize(("level", "told"), [("debug", ["a", "b", "c"]), ("info", ["b", "c"]), ("warning", ["c"])])
def test_levels(level: str, told: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    log = Log("json", level)
    log.write("a", level=logging.DEBUG)
    log.write("b")
    log.write("c", level=logging.WARNING)
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == told


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Log("json", is_quiet=True).write("a", level=logging.ERROR)
    assert capsys.readouterr().err == ""


def test_what_modules_say_is_handed_on(clean_root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    forward_to(Log("text"))
    forward_to(Log("json"))
    assert sum(isinstance(handler, Forwarder) for handler in clean_root.handlers) == 1
    logging.getLogger("job.intake.drop").info("waiting for %s", "money")
    library = logging.getLogger("library")
    library.setLevel(logging.INFO)
    library.info("noise")
    library.warning("trouble")
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(event["event"], event["logger"], event["level"]) for event in events] == [
        ("waiting for money", "job.intake.drop", "info"),
        ("trouble", "library", "warning"),
    ]
    forward_to(None)
    assert not [handler for handler in clean_root.handlers if isinstance(handler, Forwarder)]


def test_a_traceback_is_told_without_any_value() -> None:
    value = "customer 4711"
    try:
        int(value)
    except ValueError as error:
        frames = describe_traceback(error.__traceback__)
    assert len(frames) == 1
    assert frames[0].startswith(__file__)
    assert frames[0].endswith(" in test_a_traceback_is_told_without_any_value")
    assert value not in frames[0]
