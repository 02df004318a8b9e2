"""Aligned columns of text for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from string import Formatter
from typing import Any, Final

UNKNOWN: Final = "-"
Cell = str | Callable[[Mapping[str, Any]], str]
"""What makes a cell of a row: a template of its entries, as `{low:.1%} to {high:.1%}`, or a function.

Besides the usual formats there are `pp` and `+pp`, a share in percentage points, and `p`, a p-value.
"""
Columns = Mapping[str, Cell]
"""Heading -> cell."""


def table(columns: Columns, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return one line for the headings and one for each row."""
    return align(list(columns), fill(columns, rows))


def fill(columns: Columns, rows: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    """Return the cells of each row."""
    return [[fill_cell(cell, row) for cell in columns.values()] for row in rows]


def fill_cell(cell: Cell, row: Mapping[str, Any]) -> str:
    """Return a cell, `UNKNOWN` where its template formats, or looks into, what is None."""
    if not isinstance(cell, str):
        return cell(row)
    try:
        return _FORMATTER.vformat(cell, (), row)
    except TypeError:  # None has no parts, and no format but the empty one
        return UNKNOWN


class _Formatter(Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:  # noqa: ANN401 - as in the library
        match format_spec:
            case "pp" | "+pp":
                return format(100 * value, f"{format_spec.removesuffix('pp')}.1f")
            case "p":
                return "<0.001" if value < 0.001 else f"{value:.3f}"  # noqa: PLR2004 - the last digit shown
        return format(value, format_spec)


_FORMATTER: Final = _Formatter()


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
