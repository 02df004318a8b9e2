"""Every option of every command: what is no number is wrong usage, an empty variable is not given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from job.cli import main

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = [
    (name, parameter)
    for name, command in main.commands.items()
    for parameter in command.params
    if isinstance(parameter, click.Option) and not parameter.is_flag and parameter.name != "help"
]
NUMBERS = [
    (name, option)
    for name, option in OPTIONS
    if isinstance(option.type, click.types.FloatParamType | click.types.IntParamType)
]


def call(name: str, *arguments: str, env: dict[str, str | None] | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(main, [name, *arguments], env=env)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stderr


def required(name: str, folder: Path) -> list[str]:
    """Return arguments that a command cannot do without, of things that are not there."""
    arguments: list[str] = []
    for parameter in main.commands[name].params:
        if parameter.required and isinstance(parameter, click.Option):
            number = isinstance(parameter.type, click.types.IntParamType)
            arguments += [parameter.opts[0], "10" if number else str(folder / "none")]
        elif parameter.required:
            arguments.append(str(folder / "none"))
    return arguments


def test_there_are_numbers() -> None:
    assert len(NUMBERS) > 15


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999", "-NaN", "infinity"])
@pytest.mark.parametrize(("name", "option"), NUMBERS, ids=[f"{name} {option.opts[0]}" for name, option in NUMBERS])
def test_what_is_no_number_is_wrong_usage(name: str, option: click.Option, number: str, tmp_path: Path) -> None:
    code, errors = call(name, *required(name, tmp_path), f"{option.opts[0]}={number}")
    assert code == 2
    assert option.opts[0] in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "option"), OPTIONS, ids=[f"{name} {option.opts[0]}" for name, option in OPTIONS])
def test_an_empty_variable_is_not_given(name: str, option: click.Option, tmp_path: Path) -> None:
    arguments = [] if option.required else required(name, tmp_path)
    variable = f"RETENTION_{option.opts[0].removeprefix('--').replace('-', '_').upper()}"
    assert call(name, *arguments, "--quiet", env={variable: ""}) == call(
        name, *arguments, "--quiet", env={variable: None}
    )
