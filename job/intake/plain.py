"""Most rows are plain: their fields need no undoing of quotes, their words are known, their numbers just numbers.

Such rows are split, read and judged by whole columns, some ten times as fast as the careful way, which all other rows
take. Whatever is taken for plain here would come out the same there; what is in the least doubt is not taken.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from job.intake.lines import LINE_LIMIT
from job.rounding import with_one_zero
from schemas.raw import DTYPES, keeps_rules
from schemas.vocabulary import Kind, Words

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from schemas.vocabulary import Heading

_LONE_RETURN: Final = re.compile(rb"\r[^\n]")  # of a block that ends with a line feed
_UNREADABLE: Final = "\N{REPLACEMENT CHARACTER}".encode()


def split_plain(block: bytes, columns: Sequence[str], separator: str) -> tuple[pl.DataFrame, str] | None:
    """Return the fields of a block of lines and their line end, or None if not all lines are plain ones.

    Args:
        block: whole lines in UTF-8.
        columns: the names of the fields.
        separator: between the fields.

    Returns:
        One String column per field, one row per line; `CRLF` or `LF` as it stands in the block.
    """
    # Its first byte is in no Russian text, and is found ten times as fast as the whole.
    is_readable = _UNREADABLE[:1] not in block or _UNREADABLE not in block
    if b'"' in block or not is_readable or not block.endswith(b"\n"):
        return None
    try:
        fields = pl.read_csv(
            block,
            has_header=False,
            schema=dict.fromkeys(columns, pl.String()),
            separator=separator,
            quote_char=None,
            empty_string_is_null=False,
        )
    except pl.exceptions.PolarsError:  # a line with more fields, or what is not UTF-8
        return None
    lengths = fields.lazy().select(pl.all().str.len_bytes())
    longest, read = (
        lengths.select(
            pl.max_horizontal(pl.all().max()).alias("longest"), pl.sum_horizontal(pl.all().sum()).alias("sum")
        )
        .collect()
        .row(0)
    )
    # Polars fills short lines up, and drops a carriage return at the end of any field. Every byte must be accounted
    # for: a separator or line feed after each field, and either a carriage return at the end of each line or none.
    left = len(block) - read - fields.width * fields.height
    if longest > LINE_LIMIT // fields.width or left not in (0, fields.height):
        return None
    if _LONE_RETURN.search(block) if left else b"\r" in block:
        return None
    return fields, "\r\n" if left else "\n"


class Judged(NamedTuple):
    """Rows that were looked at.

    Args:
        typed: the table's columns of the plain rows, in ASCII with their dtypes.
        is_plain: for each row that was looked at, whether it is one of them.
        repaired: for each plain row, whether a word of it was.
        repairs: (column, as delivered) -> plain rows with a misspelling that was known.
    """

    typed: pl.DataFrame
    is_plain: pl.Series
    repaired: pl.Series
    repairs: Mapping[tuple[str, str], int]


def judge_plain(
    raw: pl.DataFrame,
    headings: Sequence[Heading],
    *,
    texts: Collection[str],
    decimal_mark: str | None,
    spellings: Mapping[str, Mapping[str, str]],
) -> Judged:
    """Read the plain ones among rows of text.

    Args:
        raw: the columns by their ASCII names, as delivered (String, not trimmed).
        headings: the columns to read.
        texts: the columns whose decimal mark is the file's; in others it is a point.
        decimal_mark: of the file; None as long as no number has shown one.
        spellings: column -> word as delivered -> right spelling, of all words seen so far.
    """
    words = {h.name: _Coded.of(h.words, spellings.get(h.name, {})) for h in headings if h.words is not None}
    read = raw.lazy().select(
        words[h.name].code(pl.col(h.name))
        if h.words is not None
        else _number(pl.col(h.name), h.kind, decimal_mark if h.name in texts else ".")
        for h in headings
    )
    found = read.with_columns(_is_plain=pl.all_horizontal(keeps_rules(heading) for heading in headings)).collect()
    is_plain = found["_is_plain"]
    codes = found.drop("_is_plain") if is_plain.all() else found.filter("_is_plain").drop("_is_plain")
    typed = codes.with_columns(coded.name_of(codes[name]) for name, coded in words.items())
    repairs: dict[tuple[str, str], int] = {}
    repaired = pl.repeat(value=False, n=typed.height, dtype=pl.Boolean, eager=True)
    for name, coded in words.items():
        if coded.wrong:
            is_wrong = codes[name] >= coded.first_wrong
            if is_wrong.any():
                repaired = repaired | is_wrong
                for code, count in codes[name].filter(is_wrong).value_counts().iter_rows():
                    repairs[name, coded.wrong[code - coded.first_wrong]] = count
    return Judged(typed, is_plain, repaired.alias("repaired"), repairs)


class _Coded(NamedTuple):
    """The words of a column as small numbers: the right spellings, then the misspellings that are known."""

    spelled: pl.Enum
    names: pl.Series
    first_wrong: int
    wrong: tuple[str, ...]

    @classmethod
    def of(cls, words: Words, spelling: Mapping[str, str]) -> _Coded:
        known = {**words.misspellings, **spelling}
        wrong = tuple(value for value, right in known.items() if value != right)[: 255 - len(words.values)]
        spelled = (*words.values, *wrong)
        names = [words.values[known.get(value, value)] for value in spelled]
        return cls(pl.Enum(spelled), pl.Series(names, dtype=words.dtype), len(words.values), wrong)

    def code(self, text: pl.Expr) -> pl.Expr:
        return text.cast(self.spelled, strict=False).to_physical()

    def name_of(self, codes: pl.Series) -> pl.Series:
        return self.names.gather(codes).alias(codes.name)


def _number(text: pl.Expr, kind: Kind, decimal_mark: str | None) -> pl.Expr:
    """Return a number, null where the text is anything but a plain one."""
    if kind is Kind.WHOLE:
        return text.cast(DTYPES[kind], strict=False)
    if kind is Kind.IDENTIFIER:
        # A leading zero and both signs sort before 1.
        return pl.when(text >= "1").then(text.cast(DTYPES[kind], strict=False))
    if decimal_mark is None:
        return text.cast(pl.Int64, strict=False).cast(DTYPES[kind])
    if decimal_mark != ".":
        plain = pl.when(~text.str.contains(".", literal=True)).then(text.str.replace(decimal_mark, ".", literal=True))
        return _finite(plain.cast(DTYPES[kind], strict=False))
    return _finite(text.cast(DTYPES[kind], strict=False))


def _finite(number: pl.Expr) -> pl.Expr:
    return pl.when(number.is_finite()).then(with_one_zero(number))
