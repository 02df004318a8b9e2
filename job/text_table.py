"""Aligned columns of text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


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
