from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job import errors
from job.errors import DropError, JobError, Problem, shorten


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (Problem("money.csv", "rows"), "money.csv: expected rows"),
        (Problem("money.csv", "rows", "none"), "money.csv: found none, expected rows"),
        (
            Problem("money.csv", "a number", "x", row=7, column="Прибыль"),
            "money.csv, row 7, column «Прибыль»: found x, expected a number",
        ),
        (Problem("money.csv", "text", "a\nb\x00"), r"money.csv: found a\nb\x00, expected text"),
    ],
)
def test_a_problem_is_one_line(problem: Problem, line: str) -> None:
    assert str(problem) == line


@given(st.text())
def test_shorten_gives_one_short_printable_line(text: str) -> None:
    short = shorten(text, limit=20)
    assert len(short) <= 21
    assert short.isprintable()


def test_every_error_has_its_own_exit_code_of_the_contract() -> None:
    codes = {kind.__name__: kind.exit_code for kind in JobError.__subclasses__()}
    assert codes == {
        "EngineError": 1,
        "SettingsError": 2,
        "DropError": 3,
        "ArtifactError": 4,
        "OutputError": 5,
        "DropIncompleteError": 6,
        "OutputBusyError": 7,
    }
    for name, code in codes.items():
        assert any(f"{name} " in line and f" {code} " in line for line in (errors.__doc__ or "").splitlines())


def test_an_error_keeps_its_problems_and_gives_a_line_for_each() -> None:
    problem = Problem("money.csv", "rows", "none")
    error = DropError([problem, "second"])
    assert error.defects == (problem, "second")
    assert error.problems == ("money.csv: found none, expected rows", "second")
    assert str(error) == "money.csv: found none, expected rows\nsecond"
    assert DropError("one").problems == ("one",)
