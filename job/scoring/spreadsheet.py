"""Tables that people open by double click: nothing in them runs, and a Russian Excel reads them right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DECIMALS: Final = 2

_FORMULA: Final = r"^\s*[=+\-@|%]|^[\t\r\n]"
_NUMBER: Final = r"^[+-]?[0-9]+([.,][0-9]+)?$"


def without_formulas(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table with an apostrophe before each text that a spreadsheet would run as a formula.

    Text that is a plain number may begin with its sign.
    """
    return table.with_columns(_escaped(name) for name, dtype in table.schema.items() if dtype == pl.String)


def write_russian_csv(table: pl.DataFrame, path: Path, headings: Mapping[str, str]) -> None:
    """Write a table as a Russian Excel expects it: BOM, `;`, decimal commas (two decimals), CRLF.

    Args:
        table: columns as in `headings`.
        path: of the file.
        headings: column -> heading, in the order written.
    """
    without_formulas(table.select(*headings)).rename(dict(headings)).write_csv(
        path,
        separator=";",
        include_bom=True,
        line_terminator="\r\n",
        decimal_comma=True,
        float_precision=DECIMALS,
    )


def _escaped(name: str) -> pl.Expr:
    text = pl.col(name)
    runs = text.str.contains(_FORMULA) & ~text.str.contains(_NUMBER)
    return pl.when(runs).then(pl.concat_str(pl.lit("'"), text)).otherwise(text).alias(name)
