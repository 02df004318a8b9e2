"""Recognise how a text table is written: encoding, separator, headings.

The headings decide: of all readings of the first line, the one in which they are the table's own is the right one, so
that nothing rests on letter statistics. What stays in doubt is refused with the evidence.
"""

from __future__ import annotations

import csv
import re
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

from job.errors import DropError, Problem, shorten
from job.intake.characters import SPACES, name_odd_character, plain_spelling, visible_spelling
from job.intake.lines import RECORD_LINES, SEPARATOR_HINT, undo_mojibake, with_lost_spaces

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from schemas.columns import Table

SEPARATORS: Final = (",", ";", "\t")
SHOWN_HEADINGS: Final = 20  # unknown ones that are named; a table has 13 at most
SHOWN_CHARACTERS: Final = 60  # of a heading

_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_ENCODINGS: Final = ("utf-8", "utf-16-le", "utf-16-be", "cp1251")
_OTHER_ENCODINGS: Final = ("koi8-r", "cp866", "mac-cyrillic", "utf-32")
_MISREADINGS: Final = {
    "utf-8": ("cp1251", "latin-1", "cp1252", "cp866", "koi8-r"),
    "cp1251": ("cp1252", "cp866", "koi8-r"),
    "cp866": ("cp1251",),
    "koi8-r": ("cp1251",),
}
"""The encoding of a text -> those in which it may have been read before it was saved in UTF-8."""


class Dialect(NamedTuple):
    """How one text table is written."""

    encoding: str
    mojibake: bool  # what the codec gives is UTF-8 read as cp1251
    separator: str
    columns: tuple[str, ...]  # ASCII names, in the file's order; columns without heading at the end do not count
    heading_repairs: tuple[tuple[str, str], ...] = ()  # of `repaired_headings`
    heading_row: int = 1  # the number of the record with the headings; those before it are blank

    @property
    def is_utf_8(self) -> bool:
        """Whether its bytes are the text's own in UTF-8."""
        return self.encoding in {"utf-8", "utf-8-sig"} and not self.mojibake

    def is_record(self, lines: Sequence[str]) -> bool:
        """Return whether lines are one record with line breaks in its quotes, and certainly not several.

        They are not where a line behind the first one might be a record by itself: then a quote was forgotten.
        """
        width = len(self.columns)
        if any(line.count(self.separator) + 1 >= width for line in lines[1:]):
            return False
        fields = split_line("\n".join(lines), self.separator)
        return fields is not None and len(fields) >= width and not any(field.strip(SPACES) for field in fields[width:])


def recognise_dialect(name: str, sample: bytes, table: Table, *, labelled: bool) -> Dialect:
    """Recognise how a text table is written from its first bytes: the first line, or more than any line may have.

    Raises DropError if no reading gives the table's headings, or several do.
    """
    try:
        reading = _best_reading(name, sample, table)
        columns = match_headings(name, reading.columns, table, labelled=labelled)
    except DropError as error:
        misread = _misread(sample, table)
        if misread is None:
            raise
        expected = "headings in UTF-8, UTF-16 or cp1251 (export the table again)"
        raise DropError([Problem(name, expected, misread)]) from error
    return reading._replace(columns=columns, heading_repairs=repaired_headings(reading.columns, columns, table))


def match_headings(name: str, headings: Sequence[str], table: Table, *, labelled: bool) -> tuple[str, ...]:
    """Return the ASCII names of the headings, in the file's order.

    Case, surrounding spaces, `_` for a space, `ё` for `е`, letters that look the same and characters that are not seen
    do not matter. The label's heading may always be there. Raises DropError if one is missing, unknown or there twice;
    all of them are named.
    """
    known = {plain_spelling(heading.delivered): heading.name for heading in table.headings}
    names = [known.get(plain_spelling(heading)) for heading in headings]
    unknown = [heading for heading, name in zip(headings, names, strict=True) if name is None]
    own = "only the table's own headings"
    problems = []
    for heading in unknown[:SHOWN_HEADINGS]:
        odd, shown = name_odd_character(heading), heading.strip(SPACES)
        found = f"an unknown heading{f', with {odd}' if odd else ''}" if shown else "an empty heading"
        problems.append(Problem(name, own, found, column=shorten(shown, SHOWN_CHARACTERS)))
    if len(unknown) > SHOWN_HEADINGS:
        problems.append(Problem(name, own, f"{len(unknown) - SHOWN_HEADINGS:,} more unknown headings"))
    problems.extend(
        Problem(name, "a column with this heading", "none", column=heading.delivered)
        for heading in table.expected(labelled=labelled)
        if heading.name not in names
    )
    problems.extend(
        Problem(name, "one column with this heading", str(names.count(heading.name)), column=heading.delivered)
        for heading in table.headings
        if names.count(heading.name) > 1
    )
    if problems:
        raise DropError(problems)
    return tuple(name for name in names if name is not None)


def repaired_headings(headings: Sequence[str], columns: Sequence[str], table: Table) -> tuple[tuple[str, str], ...]:
    """Return the headings that only look like the table's own: as delivered, and the right spelling."""
    known = [(text.strip(SPACES), table.heading(name).delivered) for text, name in zip(headings, columns, strict=True)]
    return tuple((text, right) for text, right in known if visible_spelling(text) != visible_spelling(right))


def _misread(sample: bytes, table: Table) -> str | None:
    """Return how the headings came to be what nobody reads, None if that is not certain."""
    known = {plain_spelling(heading.delivered) for heading in table.headings} - {plain_spelling("id")}
    readings = [(f"{encoding} text", sample.decode(encoding, errors="replace")) for encoding in _OTHER_ENCODINGS]
    text = sample.decode("utf-8", errors="replace")
    misreadings = [(right, wrong) for right, ways in _MISREADINGS.items() for wrong in ways]
    for right, wrong in misreadings:
        undone = text
        for times in ("", ", twice"):
            undone = undone.encode(wrong, errors="replace").decode(right, errors="replace")
            readings.append((f"{right} text that was read as {wrong} and saved so{times}", undone))
    lost = {re.sub("[А-Яа-яЁё]", "?", heading.delivered) for heading in table.headings} - {"id"}
    if any(heading.strip(SPACES) in lost for heading in _possible_headings(text)):
        return "text whose Russian letters were lost: each is a question mark"
    are_known = (
        name for name, text in readings if any(plain_spelling(one) in known for one in _possible_headings(text))
    )
    return next(are_known, None)


def _possible_headings(text: str) -> list[str]:
    """Return the fields of a text's first record, whatever separates them."""
    first = _first_record(text)[1]
    return [heading for mark in SEPARATORS for heading in split_line(first, mark) or ()]


def _count_known(headings: Sequence[str], table: Table) -> int:
    known = {plain_spelling(heading.delivered) for heading in table.headings}
    return len({plain_spelling(heading) for heading in headings} & known)


def _best_reading(name: str, sample: bytes, table: Table) -> Dialect:
    """Return the reading with most of the table's headings; the first of equal ones, unless separators are in doubt."""
    scored: list[tuple[int, Dialect]] = []
    for readings in _readings(sample):
        scored.extend((_count_known(reading.columns, table), reading) for reading in readings)
        # Headings that are all known are not read otherwise, except with `id` alone.
        if any(1 < score == len(reading.columns) for score, reading in scored):
            break
    best = max((score for score, _ in scored), default=0)
    # cp1251 reads any bytes, and `id` is itself in most encodings: one heading that only it knows says nothing.
    if best <= all(reading.encoding == "cp1251" for score, reading in scored if score):
        few = ", ".join(heading.delivered for heading in table.headings[:3])
        expected = f"headings such as {few} (in UTF-8, UTF-16 or cp1251; separated by , ; or tab)"
        shown = [reading for _, reading in scored if reading.encoding not in ("utf-16-le", "utf-16-be")]
        found = shown[0].separator.join(shown[0].columns) if shown else repr(sample[:20])
        row = shown[0].heading_row if shown else 1
        raise DropError([Problem(name, expected, found, row=row)])
    first, *others = (reading for score, reading in scored if score == best)
    tied = [other for other in others if (other.encoding, other.mojibake) == (first.encoding, first.mojibake)]
    if tied:
        evidence = " and with ".join(repr(reading.separator) for reading in (first, *tied))
        found = f"{best} known headings with {evidence}"
        raise DropError([Problem(name, "headings with one separator", found, row=first.heading_row)])
    return first


def _readings(sample: bytes) -> Iterator[list[Dialect]]:
    """Yield every way to read the first line that is not blank, those of one encoding together, the likelier first.

    Their columns are the headings as delivered.
    """
    marked = [encoding for mark, encoding in _MARKS if sample.startswith(mark)]
    for encoding in marked or _ENCODINGS:
        row, first = _first_record(sample.decode(encoding, errors="replace"))
        if "\N{REPLACEMENT CHARACTER}" in first or "\0" in first:
            continue
        undone = undo_mojibake(first) or undo_mojibake(with_lost_spaces(first))
        readings = []
        for line in [first] if undone in (None, first) else [first, undone]:
            for separator in SEPARATORS:
                headings = split_line(line.removeprefix("\ufeff"), separator)
                while headings and not headings[-1].strip(SPACES):
                    headings.pop()
                if headings:
                    dialect = Dialect(encoding, line != first, separator, tuple(headings), heading_row=row)
                    readings.append(dialect)
        yield readings


def _first_record(text: str) -> tuple[int, str]:
    """Return the first record of a text that is not blank, and its number; one that tells a separator is as blank."""
    lines = re.split(r"\r\n|\r|\n", text)
    nothing = SPACES + "".join(SEPARATORS) + '"'
    blank = (not line.strip(nothing) or SEPARATOR_HINT.fullmatch(line) is not None for line in lines)
    start = next((index for index, is_blank in enumerate(blank) if not is_blank), 0)
    quotes = accumulate(line.count('"') for line in lines[start : start + RECORD_LINES])
    size = next((size for size, count in enumerate(quotes, start=1) if count % 2 == 0), 1)
    return start + 1, "\n".join(lines[start : start + size])


def split_line(line: str, separator: str) -> list[str] | None:
    """Return the fields of a line, with quotes undone; None where quotes are not paired."""
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error:
        return None
