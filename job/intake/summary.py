"""What intake understood of a drop, as text for a person or as plain values for a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from job.errors import shorten
from job.intake.characters import name_odd_character
from job.text_table import align
from schemas.columns import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from job.intake.reconcile import Account, Intake

SHOWN_REJECTIONS: Final = 50
WRITTEN: Final = (
    ("format", "format"),
    ("encoding", "encoding"),
    ("separator", "separator"),
    ("decimals", "decimal_mark"),
    ("line end", "line_end"),
)
"""Heading -> what is said of a file."""


def summarise_intake(intake: Intake, excluded: Mapping[str, int]) -> str:
    """Return the summary of an accepted drop. Args: excluded: reason -> accepted customers that cannot be scored."""
    scored = intake.customers_in - intake.customers_rejected - sum(excluded.values())
    lines = [
        "Files",
        *align(
            ("file", *(name for name, _ in WRITTEN), "in", "as delivered", "repaired", "rejected", "dropped"),
            [
                _file_row(name, account, [file for file in intake.files if file["table"] == table])
                for (name, account), table in zip(intake.accounts.items(), TABLES, strict=True)
            ],
        ),
        "",
        f"Customers: {intake.customers_in:,} in, {scored:,} to score, {sum(excluded.values()):,} excluded, "
        f"{intake.customers_rejected:,} rejected",
        *(f"    {count:,} excluded: {reason}" for reason, count in excluded.items()),
    ]
    if intake.repairs.height:
        repairs = [
            [file, column, _show_spelling(wrong), right, str(rows)]
            for file, column, wrong, right, rows in intake.repairs.iter_rows()
        ]
        lines += ["", "Repairs", *align(intake.repairs.columns, repairs)]
    rejected = intake.rejected
    if rejected.height:
        shown = rejected.head(SHOWN_REJECTIONS)
        cells = [["" if cell is None else shorten(str(cell)) for cell in row] for row in shown.iter_rows()]
        lines += ["", "Rejected rows", *align(shown.columns, cells)]
    if rejected.height > SHOWN_REJECTIONS:
        lines.append(f"    … and {rejected.height - SHOWN_REJECTIONS:,} more")
    lines += [f"Note: {warning}" for warning in intake.warnings]
    return "\n".join(lines)


def describe_intake(intake: Intake, excluded: Mapping[str, int]) -> dict[str, Any]:
    """Return the same as plain values; every rejection is there."""
    return {
        "files": intake.files,
        "rows": {file: account._asdict() for file, account in intake.accounts.items()},
        "customers": {
            "in": intake.customers_in,
            "rejected": intake.customers_rejected,
            "excluded": sum(excluded.values()),
            "excluded_by_reason": dict(excluded),
        },
        "repairs": intake.repairs.to_dicts(),
        "rejected": intake.rejected.to_dicts(),
        "warnings": list(intake.warnings),
    }


def _show_spelling(word: str) -> str:
    """Return a word that was repaired; what cannot be seen in it is named."""
    odd = name_odd_character(word)
    return f"{shorten(word)} ({odd})" if odd else shorten(word)


def _file_row(name: str, account: Account, files: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the row of a table: of its file, or of all its files; where they are written in several ways, all ways."""
    written = [" + ".join(dict.fromkeys(str(file[key]) for file in files if file.get(key))) for _, key in WRITTEN]
    return [
        name if len(files) == 1 else f"{name} ({len(files):,} files)",
        *(cell.replace("\t", r"'\t'") for cell in written),
        *(f"{count:,}" for count in account),
    ]
