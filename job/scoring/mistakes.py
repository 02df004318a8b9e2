"""Mistakes in a segments file: found by kind, told in English in logs and in Russian to whoever edits the file.

The one table that holds both languages; a mistake holds only its kind, the place and the values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from job.errors import Problem, SettingsError, shorten

Path = tuple[str | int, ...]


class Words(NamedTuple):
    """How a kind of mistake is told: what was expected, in both languages, and a line that is right, with braces."""

    english: str
    russian: str
    example: str = ""


KINDS: Final[Mapping[str, Words]] = {
    "unreadable": Words("a segments file that can be read", "файл сегментов, который можно прочитать"),
    "large": Words("at most {most:,} bytes", "файл не больше {most} байтов"),
    "long_line": Words("at most {most:,} characters", "строка не длиннее {most} знаков"),
    "encoding": Words("UTF-8", "файл в кодировке UTF-8"),
    "decimal_comma": Words("a number with a point: {right}", "в числе точка, а не запятая", "{right}"),
    "quotes": Words("a text in straight quotes: {right}", 'текст в прямых кавычках "…"', "{right}"),
    "twice": Words("each key once in its table", "каждая строка «имя = значение» в своей части один раз"),
    "not_toml": Words(
        'TOML, in which numbers have a point (cost = 0.5) and texts stand in straight quotes (title = "..."): {reason}',
        'строка вида имя = значение: у чисел точка, тексты в прямых кавычках "…"',
        'title = "Прибыльные"',
    ),
    "keys": Words("one of the keys {known}", "одно из имён {known}"),
    "no_segment": Words("at least one [[segment]]", "хотя бы один сегмент", "[[segment]]"),
    "hints": Words(
        "a table of themes and texts", "часть [hints] с темами и текстами", 'promo = "Бонусы вместо скидки"'
    ),
    "priority": Words(
        "a whole number up to a million; 1 goes before 2", "целое число до миллиона; 1 раньше 2", "priority = 1"
    ),
    "own_code": Words("a code of its own for each segment", "у каждого сегмента свой code"),
    "own_title": Words("a title of its own for each segment", "у каждого сегмента своё название"),
    "own_priority": Words(
        "a priority of its own for each segment, which decides where a customer of several belongs",
        "у каждого сегмента свой приоритет: он решает, куда попадёт клиент, подходящий нескольким",
        "priority = {free}",
    ),
    "last": Words(
        'condition = "true": it takes the customers that no other segment covers',
        "последний по приоритету сегмент берёт всех остальных",
        'condition = "true"',
    ),
    "not_last": Words(
        "it as the last by priority: no customer is left for the segments after it",
        "сегмент для всех — последний по приоритету: следующим никого не останется",
        "priority = {free}",
    ),
    "offer": Words(
        "a table with code, text, channel, cost, effect and discount",
        "предложение с code, text, channel, cost, effect и discount",
        "[segment.offer]",
    ),
    "no_offer": Words("at least one [[segment.offer]]", "хотя бы одно предложение", "[[segment.offer]]"),
    "one_share": Words("1: there is no other offer", "1: других предложений у сегмента нет", "share = 1"),
    "offer_once": Words("each offer once", "каждое предложение в сегменте один раз"),
    "shares": Words(
        "shares of the offers that add up to 1", "доли предложений сегмента, вместе равные 1", "share = 0.5"
    ),
    "same_offer": Words(
        "the same text, channel, cost, effect and discount wherever the code is",
        "у одного code везде одинаковые text, channel, cost, effect и discount",
    ),
    "channel": Words("one of {known}", "одно из слов {known}", 'channel = "email"'),
    "cost": Words(
        "a number from 0 to {most:,} with at most 4 decimals",
        "число от 0 до {most}, не больше 4 знаков после точки",
        "cost = 0.5",
    ),
    "onsite": Words("no {key} on the site: nobody is contacted", "без {key}: предложение на сайте, никому не пишут"),
    "onsite_offer": Words(
        "a table with code and text, for those who have not allowed messages",
        "часть с code и text: что увидят не разрешившие сообщать",
        "[onsite_offer]",
    ),
    "share": Words("a number {least}, such as 0.25", "число от 0 до 1", "{key} = 0.25"),
    "positive_share": Words("a number {least}, such as 0.25", "число больше 0 и не больше 1", "{key} = 0.25"),
    "code": Words(
        "Latin small letters, digits and _, a letter first, at most 63",
        "строчные латинские буквы, цифры и _, первой буква, не больше 63 знаков",
        'code = "loyal_2"',
    ),
    "text": Words(
        "a text on one line of at most {most} characters",
        "текст в одну строку, не длиннее {most} знаков",
        '{key} = "Прибыльные"',
    ),
    "condition": Words(
        'a condition in quotes, such as "risk_decile = 1"', "условие в кавычках", 'condition = "risk_decile = 1"'
    ),
    "condition_length": Words("at most {most:,}", "не больше {most} знаков"),
    "condition_share": Words(
        "a share from 0 to 1, such as 0.5", "доля от 0 до 1, а не проценты", 'condition = "{column} > 0.5"'
    ),
    "condition_reason": Words(
        "a condition that can be computed ({reason})",
        "условие, которое можно вычислить: проверьте скобки, знаки сравнения, AND и OR",
        'condition = "high_risk AND (high_profit OR promo_share > 0.5)"',
    ),
    "condition_boolean": Words(
        "a condition that is true or false, such as «risk_decile = 1»",
        "условие, верное или неверное для клиента",
        'condition = "risk_decile = 1"',
    ),
    "condition_function": Words("no functions: {allowed}", "без функций", 'condition = "risk_decile = 1"'),
    "condition_column": Words("one of the columns {known}", "один из столбцов {known}", 'condition = "high_risk"'),
    "condition_word": Words("one of {known}", "одно из слов {known}"),
    "condition_lone_word": Words(
        "a condition on {known} around it",
        "слово рядом со столбцом {known}",
        "condition = \"service_type = 'премиум'\"",
    ),
    "condition_token": Words(
        "{allowed}",
        "имена столбцов латиницей, числа, слова в одинарных кавычках, сравнения, + - * /, AND, OR, NOT, IN, BETWEEN",
        'condition = "high_risk AND high_profit"',
    ),
}
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
    """One thing that is wrong with a segments file.

    Args:
        kind: one of `KINDS`; `values` are of its braces.
        found: what was there, None where the file tells nothing of it.
        where: in the file, in English; empty where the line (from 1) says all, which English tells if `is_in_log`.
    """

    kind: str
    file: str
    found: str | None
    where: str = ""
    line: int | None = None
    is_in_log: bool = False
    values: Mapping[str, Any] = {}

    def problem(self) -> Problem:
        """Return it in English."""
        name = f"{self.file}, {self.where}" if self.where else self.file
        expected = KINDS[self.kind].english.format(**self.values)
        return Problem(name, expected, self.found, row=self.line if self.is_in_log else None)

    def russian(self) -> str:
        """Return it as a line in Russian: file, line, place, what was found, what is right."""
        words = KINDS[self.kind]
        place = [self.file, *([f"строка {self.line}"] if self.line else []), *([self.where] if self.where else [])]
        text = ", ".join(place)
        for pattern, instead in _RUSSIAN_PLACES:
            text = re.sub(pattern, instead, text)
        found = self.found or ""
        for pattern, instead in _RUSSIAN_FOUND:
            found = re.sub(pattern, instead, found)
        told = f"найдено {shorten(found)}; нужно: " if found else "нужно: "
        example = words.example.format(**self.values) if words.example else ""
        return f"{text}: {told}{words.russian.format(**self.values)}{f'. Правильно: {example}' if example else ''}"


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
