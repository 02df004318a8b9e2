"""Aligned columns of text for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

UNKNOWN: Final = "-"
Columns = Mapping[str, str | Callable[[Mapping[str, Any]], str]]
"""Heading -> what makes a cell of a row: a template of its entries, as `{low:.1%} to {high:.1%}`, or a function."""


def table(columns: Columns, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return one line for the headings and one for each row."""
    return align(list(columns), fill(columns, rows))


def fill(columns: Columns, rows: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    """Return the cells of each row. One is `UNKNOWN` where its template formats, or looks into, what is None."""
    return [[_cell(cell, row) for cell in columns.values()] for row in rows]


def _cell(cell: str | Callable[[Mapping[str, Any]], str], row: Mapping[str, Any]) -> str:
    if not isinstance(cell, str):
        return cell(row)
    try:
        return cell.format_map(row)
    except TypeError:  # None has no parts, and no format but the empty one
        return UNKNOWN


def align(headings: Sequence[str], rows: Sequence[Sequence[str]], *, indent: str = "    ") -> list[str]:
    """Return one line for the headings and one for each row: words to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    wordy = [not all(_is_number(row[column]) for row in rows) for column in range(len(headings))]
    return [
        indent
        + "  ".join(
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(row, widths, wordy, strict=True)
        ).rstrip()
        for row in (headings, *rows)
    ]


def _is_number(cell: str) -> bool:
    return cell.lstrip("-").replace(",", "").replace(".", "").rstrip("%").isdigit()
