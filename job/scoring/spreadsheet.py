"""Tables that people open by double click: nothing in them runs, and a Russian Excel reads them right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping

DECIMALS: Final = 2

RUSSIAN: Final[dict[str, Any]] = {
    "separator": ";",
    "include_bom": True,
    "line_terminator": "\r\n",
    "decimal_comma": True,
    "float_precision": DECIMALS,
}
"""What a Russian Excel expects of a CSV file."""

_FORMULA: Final = r"^\s*[=+\-@|%]|^[\t\r\n]"
_NUMBER: Final = r"^[+-]?[0-9]+([.,][0-9]+)?$"


def without_formulas(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table with an apostrophe before each text that a spreadsheet would run as a formula.

    Text that is a plain number may begin with its sign.
    """
    return table.with_columns(_escaped(name) for name, dtype in table.schema.items() if dtype == pl.String)


def russian_table(table: pl.DataFrame, headings: Mapping[str, str]) -> pl.DataFrame:
    """Return a table as a person reads it: nothing in it runs, and it has these headings.

    Args:
        table: columns as in `headings`.
        headings: column -> heading, in the order written.
    """
    return without_formulas(table.select(*headings)).rename(dict(headings))


def _escaped(name: str) -> pl.Expr:
    text = pl.col(name)
    runs = text.str.contains(_FORMULA) & ~text.str.contains(_NUMBER)
    return pl.when(runs).then(pl.concat_str(pl.lit("'"), text)).otherwise(text).alias(name)
