"""Tables that people open by double click: nothing in them runs, and a Russian Excel reads them right."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

DECIMALS: Final = 2

RUSSIAN: Final[dict[str, Any]] = {
    "separator": ";",
    "include_bom": True,
    "line_terminator": "\r\n",
    "decimal_comma": True,
    "float_precision": DECIMALS,
    "quote_style": "never",
}
"""What a Russian Excel expects of a CSV file. Texts are `cells`: each is looked at once, however many rows have it."""

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
_ENDING: Final = r'[;"\r\n]'
_NUMBER: Final = r"^[+-]?[0-9]+([.,][0-9]+)?$"


def without_formulas(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table with an apostrophe before whatever a spreadsheet would run as a formula.

    That is a text's beginning, and what stands behind a separator or line end in it: a reader that expects other
    separators than the file has makes cells of it. Text that is a plain number may begin with its sign.

    Source: OWASP, CSV Injection.
    """
    # Looking is faster, once at each text.
    texts = [column for column in table.get_columns() if column.dtype == pl.String]
    return table.with_columns(_escaped(column.name) for column in texts if column.unique().str.contains(_EITHER).any())


def cells(texts: pl.Series) -> pl.Series:
    """Return texts (String) as they stand in a file in the style `RUSSIAN`.

    Nothing in them runs, and they are in quotation marks where they hold what ends a cell.
    """
    text = pl.col(texts.name)
    quoted = pl.format('"{}"', text.str.replace_all('"', '""', literal=True))
    ends = text.str.contains(_ENDING)
    return without_formulas(texts.to_frame()).select(pl.when(ends).then(quoted).otherwise(text)).to_series()


def cells_of_words(table: pl.DataFrame) -> pl.DataFrame:
    """Return the same of a table of words (Categorical) that many cells have: each word is looked at once."""
    words = pl.concat([column.alias("word") for column in table]).unique().drop_nulls()
    places = words.to_physical()
    by_place = pl.repeat(None, max(places, default=0) + 1, dtype=pl.String, eager=True)
    shown = pl.lit(by_place.scatter(places, cells(words.cast(pl.String))))
    return table.select(shown.gather(pl.col(name).to_physical()).alias(name) for name in table.columns)


def _escaped(name: str) -> pl.Expr:
    text, before = pl.col(name), "${1}'${2}"
    escaped = text.str.replace_all(_PIPE, before).str.replace_all(_FORMULA, before)
    return pl.when(text.str.contains(_NUMBER)).then(text).otherwise(escaped).alias(name)
