"""Mistakes in a segments file: found by kind, told in English in logs and in Russian to whoever edits the file.

`mistakes.toml` is the one table that holds both languages; a mistake holds only its kind, the place and the values.
"""

from __future__ import annotations

import pathlib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from job.errors import Problem, SettingsError, shorten

Path = tuple[str | int, ...]


class Words(NamedTuple):
    """How a kind of mistake is told: what was expected, in both languages, and a line that is right, with braces."""

    english: str
    russian: str
    example: str = ""


@cache
def kinds() -> Mapping[str, Words]:
    """Return kind of mistake -> how it is told, of all kinds."""
    table = tomllib.loads(pathlib.Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return {kind: Words(**words) for kind, words in table.items()}


_RUSSIAN_FOUND: Final = (
    (r"^nothing$", "ничего"),
    (r"^two offers$", "разные"),
    (r"^more$", "больше"),
    (r"^(\d+) times$", r"\1 раза"),
    (r"^(\d+) segments with it: (.+)$", r"сегментов с ним: \1 (\2)"),
    (r"^(\d+) segments with it$", r"сегментов с ним: \1"),
    (r"^([\d,]+) characters$", r"знаков: \1"),
    (r"^byte (0x..)$", r"байт \1"),
    (r"^(\w+) beside ([\d.]+)$", r"\1 рядом с \2"),
    (r"^(condition = .+) at priority (\S+)$", r"\1 с приоритетом \2"),
    (r"^No such file or directory$", "пустое место: файла нет"),
)
_RUSSIAN_PLACES: Final = (
    (r"\bsegment\b", "сегмент"),
    (r"\boffer\b", "предложение"),
    (r"\btitle «", "название «"),
    (r"\bpriority (?=-?\d)", "приоритет "),
    (r"\bthe last by priority\b", "последний по приоритету"),
)


class Mistake(NamedTuple):
    """One thing that is wrong with a segments file."""

    kind: str  # one of `kinds`
    file: str
    found: str | None  # None where the file tells nothing of it
    where: str = ""  # in the file, in English; empty where the line says all
    line: int | None = None  # from 1
    is_in_log: bool = False  # whether English tells the line, too
    values: Mapping[str, Any] = {}  # of the kind's braces

    def problem(self) -> Problem:
        """Return it in English."""
        name = f"{self.file}, {self.where}" if self.where else self.file
        expected = kinds()[self.kind].english.format(**self.values)
        return Problem(name, expected, self.found, row=self.line if self.is_in_log else None)

    def russian(self) -> str:
        """Return it as a line in Russian: file, line, place, what was found, what is right."""
        words = kinds()[self.kind]
        place = [self.file, *([f"строка {self.line}"] if self.line else []), *([self.where] if self.where else [])]
        found = _translated(self.found or "", _RUSSIAN_FOUND)
        told = f"найдено {shorten(found)}; " if found else ""
        right, example = (text.format(**self.values) for text in (words.russian, words.example))
        end = f". Правильно: {example}" if example else ""
        return f"{_translated(', '.join(place), _RUSSIAN_PLACES)}: {told}нужно: {right}{end}"


def _translated(text: str, table: Iterable[tuple[str, str]]) -> str:
    for pattern, instead in table:
        text = re.sub(pattern, instead, text)
    return text


class SegmentsError(SettingsError):
    """A segments file is wrong. Args: mistakes: all that is, at least one."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__([mistake.problem() for mistake in mistakes])

    def __reduce__(self) -> tuple[type[SegmentsError], tuple[Any, ...]]:
        """Let it be sent to another process."""
        return (type(self), (self.mistakes,))

    def in_russian(self) -> SettingsError:
        """Return the same error for who edits the file, by line."""
        rows = sorted(self.mistakes, key=lambda mistake: (mistake.line is None, mistake.line or 0))
        return SettingsError([mistake.russian() for mistake in rows])


_HEADER: Final = re.compile(r"\s*\[\[?\s*([\w.]+)\s*\]?\]")
_KEY: Final = re.compile(r"\s*([\w-]+)\s*=")
_NUMBERED: Final = ("segment", "offer")


def lines_of(text: str) -> dict[Path, int]:
    """Return path of a value in a segments file -> its line: ("segment", 2, "offer", 1, "cost") -> 57."""
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.split("\n"), start=1):
        if header := _HEADER.match(line):
            *parents, name = header[1].split(".")
            table = ()
            for part in parents:
                table += (part, counts.get((*table, part), 1)) if part in _NUMBERED else (part,)
            table += (name,)
            if name in _NUMBERED:
                counts[table] = counts.get(table, 0) + 1
                table += (counts[table],)
            lines[table] = number
        elif key := _KEY.match(line):
            lines.setdefault((*table, key[1]), number)
    return lines


def line_at(lines: Mapping[Path, int], path: Path) -> int | None:
    """Return the line of a value, or of the table around it; None where the file has neither."""
    return next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), None)


_COMMA: Final = r"(\s*[\w-]+\s*=\s*[+-]?\d+),(\d+)(\s*(?:#.*)?)"
_QUOTES: Final = r"(\s*[\w-]+\s*=\s*)[«„“”](.*)[»“”](\s*(?:#.*)?)"
_BARE: Final = r"(\s*[\w-]+\s*=\s*)([^\W\d][^\"'#\[\]{}]*?)(\s*(?:#.*)?)"


def mend(line: str, reason: str) -> tuple[str, str] | None:
    """Return the kind of mistake in a line that is no TOML, and the line as it was meant; None if that is unclear."""
    if found := re.fullmatch(_COMMA, line):
        return "decimal_comma", f"{found[1]}.{found[2]}{found[3]}"
    if found := re.fullmatch(_QUOTES, line) or re.fullmatch(_BARE, line):
        inside = found[2].replace("\\", "").replace('"', "")
        return "quotes", f'{found[1]}"{inside}"{found[3]}'
    if reason.startswith("Cannot overwrite a value"):
        return "twice", ""
    return None
