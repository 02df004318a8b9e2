"""Recognise how a text table is written: encoding, separator, decimal mark, line ends, headings.

The headings decide: of all readings of the first line, the one in which they are the table's own is the right one, so
that nothing rests on letter statistics. What stays in doubt is refused with the evidence.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from job.errors import DropError, Problem
from job.intake.lines import LINE_LIMIT, undo_mojibake
from job.intake.numbers import SPACES, has_thousands, mark_of
from schemas.vocabulary import Kind, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

SAMPLE_BYTES: Final = 1 << 20
SEPARATORS: Final = (",", ";", "\t")
DOUBT_SHARE: Final = 0.05  # of the values with a decimal mark: a rarer mark is those rows' fault, not the file's

_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_LINE_ENDS: Final = {"\r\n": "CRLF", "\n": "LF", "\r": "CR"}
_COMMA_GROUPS: Final = re.compile(r"[1-9]\d{0,2}(,\d{3})+")


@dataclass(frozen=True)
class Dialect:
    """How one text table is written.

    Args:
        encoding: the codec that reads its bytes.
        mojibake: what the codec gives is UTF-8 read as cp1251.
        separator: between fields.
        decimal_mark: `.` or `,`.
        thousands_spaces: some numbers have spaces between groups of three digits.
        line_end: `\\r\\n`, `\\n` or `\\r`.
        quoted: some fields stand in quotes.
        headings: as delivered, in the file's order.
        columns: the same by their ASCII names.
    """

    encoding: str
    mojibake: bool
    separator: str
    decimal_mark: str
    thousands_spaces: bool
    line_end: str
    quoted: bool
    headings: tuple[str, ...]
    columns: tuple[str, ...]

    def describe(self) -> dict[str, object]:
        """Return it as the manifest shows it."""
        return {
            "encoding": self.encoding,
            "mojibake_undone": self.mojibake,
            "separator": self.separator,
            "decimal_mark": self.decimal_mark,
            "thousands_spaces": self.thousands_spaces,
            "line_end": _LINE_ENDS[self.line_end],
            "quoted": self.quoted,
        }


def recognise_dialect(name: str, sample: bytes, table: Table, *, labelled: bool, whole: bool) -> Dialect:
    """Recognise how a text table is written from its first bytes.

    Args:
        name: the file's name, for messages.
        sample: its first bytes, unpacked; at least the first line.
        table: what it should hold.
        labelled: whether the label column must be there.
        whole: whether the sample is the whole file.

    Raises:
        DropError: no reading gives the table's headings, several do, or the decimal mark is in doubt.
    """
    reading = _best_reading(name, sample, table)
    columns = match_headings(name, reading.headings, table, labelled=labelled)
    text = sample.decode(reading.encoding, errors="replace")
    lines = text.split("\r" if reading.line_end == "\r" else "\n")[: None if whole else -1]
    if reading.mojibake:
        lines = [undo_mojibake(line) or line for line in lines]
    rows = list(_rows([line.removesuffix("\r") for line in lines[1:]], reading.separator))
    values = [
        value.strip(SPACES)
        for heading, column in zip(table.headings, _columns_of(rows, columns, table), strict=True)
        if heading.kind in (Kind.NUMBER, Kind.WHOLE)
        for value in column
    ]
    return Dialect(
        encoding=reading.encoding,
        mojibake=reading.mojibake,
        separator=reading.separator,
        decimal_mark=_decimal_mark(name, values, reading.separator),
        thousands_spaces=any(has_thousands(value) for value in values),
        line_end=reading.line_end,
        quoted='"' in text,
        headings=reading.headings,
        columns=columns,
    )


def match_headings(name: str, headings: Iterable[str], table: Table, *, labelled: bool) -> tuple[str, ...]:
    """Return the ASCII names of the headings, in the file's order.

    Case, surrounding spaces, `_` for a space and `ё` for `е` do not matter. The label's heading may always be there.

    Raises:
        DropError: a heading is missing, unknown or there twice; all of them are named.
    """
    known = {_plain(heading.delivered): heading.name for heading in table.headings}
    names = [known.get(_plain(heading)) for heading in headings]
    problems = [
        Problem(name, "only the table's own headings", "an unknown heading", column=heading.strip(SPACES))
        for heading, found in zip(headings, names, strict=True)
        if found is None
    ]
    for heading in table.expected(labelled=labelled):
        if heading.name not in names:
            problems.append(Problem(name, "a column with this heading", "none", column=heading.delivered))
    problems.extend(
        Problem(name, "one column with this heading", str(names.count(heading.name)), column=heading.delivered)
        for heading in table.headings
        if names.count(heading.name) > 1
    )
    if problems:
        raise DropError(problems)
    return tuple(found for found in names if found is not None)


@dataclass(frozen=True)
class _Reading:
    encoding: str
    mojibake: bool
    separator: str
    line_end: str
    headings: tuple[str, ...]


def _best_reading(name: str, sample: bytes, table: Table) -> _Reading:
    known = {_plain(heading.delivered) for heading in table.headings}
    scored = [
        (len({_plain(heading) for heading in reading.headings} & known), reading) for reading in _readings(sample)
    ]
    best = max((score for score, _ in scored), default=0)
    if best == 0:
        shown = sample[:200].decode("utf-8", errors="replace").splitlines()
        expected = f"headings such as {', '.join(heading.delivered for heading in table.headings[:3])}"
        raise DropError(
            [Problem(name, f"{expected} (in UTF-8, UTF-16 or cp1251; separated by , ; or tab)", "".join(shown[:1]), row=1)]
        )
    readings = [reading for score, reading in scored if score == best]
    if len({reading.headings for reading in readings}) > 1:
        evidence = "; ".join(f"{reading.encoding} with {reading.separator!r}" for reading in readings)
        raise DropError([Problem(name, "headings that read in one way", f"{len(readings)} ways: {evidence}", row=1)])
    return readings[0]


def _readings(sample: bytes) -> Iterable[_Reading]:
    """Yield every way to read the first line. An earlier one wins where two give the same headings."""
    marked = [encoding for mark, encoding in _MARKS if sample.startswith(mark)]
    for encoding in marked or ("utf-8", "utf-16-le", "utf-16-be", "cp1251"):
        head = sample[: 4 * LINE_LIMIT]
        text = head.decode(encoding, errors="replace")
        line_end = next((end for end in ("\r\n", "\n", "\r") if end in text), "\n")
        first, _, _ = text.partition(line_end)
        if "\N{REPLACEMENT CHARACTER}" in first or "\0" in first:
            continue
        for mojibake, line in ((False, first), (True, undo_mojibake(first))):
            if line is None or (mojibake and line == first):
                continue
            for separator in SEPARATORS:
                for headings in _rows([line.removeprefix("\ufeff")], separator):
                    yield _Reading(encoding, mojibake, separator, line_end, tuple(headings))


def _rows(lines: list[str], separator: str) -> Iterable[list[str]]:
    """Yield the fields of each line that reads as CSV by itself."""
    for line in lines:
        try:
            yield next(csv.reader([line], delimiter=separator, strict=True), [])
        except csv.Error:
            continue


def _columns_of(rows: list[list[str]], columns: tuple[str, ...], table: Table) -> list[list[str]]:
    """Return the values of each of the table's columns, from the rows with the right number of fields."""
    good = [row for row in rows if len(row) == len(columns)]
    places = [columns.index(heading.name) if heading.name in columns else None for heading in table.headings]
    return [[] if place is None else [row[place] for row in good] for place in places]


def _decimal_mark(name: str, values: list[str], separator: str) -> str:
    examples: dict[str, list[str]] = {".": [], ",": []}
    for value in values:
        mark = mark_of(value)
        if mark is not None:
            examples[mark].append(value)
    points, commas = len(examples["."]), len(examples[","])
    if not points and not commas:
        return "." if separator == "," else ","
    if min(points, commas) > DOUBT_SHARE * (points + commas):
        found = f"{points} like {examples['.'][0]} and {commas} like {examples[','][0]}"
        raise DropError([Problem(name, "numbers with one decimal mark", found)])
    if commas > points and all(_COMMA_GROUPS.fullmatch(value) for value in examples[","]):
        found = f"{commas} like {examples[','][0]}, which may also be thousands"
        raise DropError([Problem(name, "numbers with a clear decimal mark", found)])
    return "," if commas > points else "."


def _plain(heading: str) -> str:
    words = heading.strip(SPACES).casefold().replace("ё", "е").replace("_", " ")
    return re.sub(rf"[{SPACES}]+", " ", words)
