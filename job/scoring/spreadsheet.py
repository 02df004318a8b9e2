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

_SIGNS: Final = (
    r"[=+\-@%＝﹦＋﹢－﹣＠﹫％﹪]"  # also in full width and small forms: East Asian versions read them alike
)
_UNSEEN: Final = r"[\s\p{Cc}\p{Cf}\p{Z}\x{34F}\x{115F}\x{1160}\x{2800}\x{3164}\x{FFA0}\x{FE00}-\x{FE0F}\"]"
_ENDS: Final = r"\t\n\x0B\x0C\r\x{85}\x{2028}\x{2029},;|｜"
"""Behind these a cell may begin, whatever separator the reader of the file expects."""
_BEFORE: Final = rf"(^|[{_ENDS}])([{_UNSEEN}--[{_ENDS}]]*"
_FORMULA: Final = rf"{_BEFORE}{_SIGNS})"
_PIPE: Final = rf"{_BEFORE}[|｜])"
_EITHER: Final = rf"{_BEFORE}(?:{_SIGNS}|[|｜]))"
_NUMBER: Final = r"^[+-]?[0-9]+([.,][0-9]+)?$"


def without_formulas(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table with an apostrophe before whatever a spreadsheet would run as a formula.

    That is a text's beginning, and what stands behind a separator or line end in it: a reader that expects other
    separators than the file has makes cells of it. Text that is a plain number may begin with its sign.

    Source: OWASP, CSV Injection.
    """
    # Looking is faster, once at each text: most are an offer, a segment or a reason of many customers.
    doubtful = [column.name for column in table.get_columns() if _texts_of(column).str.contains(_EITHER).any()]
    return table.with_columns(_escaped(name) for name in doubtful)


def _texts_of(column: pl.Series) -> pl.Series:
    """Return the texts in a column, each once; of a vocabulary all of its words."""
    if isinstance(column.dtype, pl.Enum):
        return column.dtype.categories
    is_text = column.dtype in (pl.String, pl.Categorical)
    return (column.unique() if is_text else column.clear()).cast(pl.String)


def russian_table(table: pl.DataFrame, headings: Mapping[str, str]) -> pl.DataFrame:
    """Return a table as a person reads it: nothing in it runs, and it has these headings, in their order."""
    return without_formulas(table.select(*headings)).rename(dict(headings))


def _escaped(name: str) -> pl.Expr:
    text, before = pl.col(name).cast(pl.String), "${1}'${2}"
    escaped = text.str.replace_all(_PIPE, before).str.replace_all(_FORMULA, before)
    return pl.when(text.str.contains(_NUMBER)).then(text).otherwise(escaped).alias(name)
