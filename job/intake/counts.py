"""What is counted of rows, apart from the rows: plain records that add up over pieces, files and ranges of ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

K = TypeVar("K", bound="Hashable")
V = TypeVar("V", bound=Any)
Rule = tuple[str | None, str]
"""A heading, None for the whole row, and the rule that it broke."""


class Violations(NamedTuple):
    """How often a rule was broken: in how many rows, first in which, by what value."""

    rows: int
    first_row: int
    value: str | None

    def __add__(self, other: Violations) -> Violations:  # type: ignore[override] # not a tuple's
        first = self if self.first_row <= other.first_row else other
        return Violations(self.rows + other.rows, first.first_row, first.value)


class RowCounts(NamedTuple):
    """What became of rows that were judged by themselves."""

    rows: int = 0  # of data
    lines: int = 0  # number of the last one
    blank_lines: int = 0  # with nothing in them
    quoted: bool = False  # a field was
    line_ends: frozenset[str] = frozenset()  # names of those that were seen, e.g. `CRLF`
    rejected: int = 0  # rows that broke a rule
    unread: int = 0  # those of them whose `id` could not be read
    open_end: int = 0  # number of the last row that ends a file without a line end: it may have been cut there
    rejects_end: bool = False  # it is rejected
    violations: Mapping[Rule, Violations] = {}  # rule -> how often it was broken, in the order of the first rows
    repairs: Mapping[tuple[str, str, str], int] = {}  # (heading, as delivered, right spelling) -> rows
    unknown_words: Mapping[str, int] = {}  # heading -> rows that are scored with a word that no vocabulary has
    line_breaks: int = 0  # in fields, which make the number of a record another than that of its line
    spaces_restored: int = 0  # no-break spaces that text had lost when it was read in a wrong encoding

    def __add__(self, other: RowCounts) -> RowCounts:  # type: ignore[override] # not a tuple's
        """Return the counts of both; `other` is of rows behind these."""
        both = RowCounts(*add_fields(self, other))
        return both._replace(lines=max(self.lines, other.lines), open_end=max(self.open_end, other.open_end))

    def shifted(self, rows: int) -> RowCounts:
        """Return the counts of the same rows, numbered behind so many others."""
        violations = {rule: some._replace(first_row=some.first_row + rows) for rule, some in self.violations.items()}
        open_end = self.open_end and self.open_end + rows
        return self._replace(lines=self.lines + rows, open_end=open_end, violations=violations)


def add_fields(some: Iterable[Any], more: Iterable[Any]) -> Iterator[Any]:
    """Yield the sum of each field of two records: of counts by key, of sets and facts, of what has a `+`."""
    for left, right in zip(some, more, strict=True):
        if isinstance(left, Mapping):
            yield add_counts(left, right)
        else:
            yield left | right if isinstance(left, bool | frozenset) else left + right


def add_counts(some: Mapping[K, V], more: Mapping[K, V]) -> Mapping[K, V]:
    """Return the sum of two counts by key."""
    if not more:
        return some
    return {**some, **{key: some[key] + count if key in some else count for key, count in more.items()}}


def count_violations(rejections: pl.DataFrame) -> Mapping[Rule, Violations]:
    """Return how often each rule was broken. Args: rejections: `REJECTED_SCHEMA`, ordered by row."""
    by_rule = rejections.group_by("column", "rule", maintain_order=True).agg(
        pl.col("row").n_unique().alias("rows"), pl.col("row").first().alias("first"), pl.col("value").first()
    )
    return {(column, rule): Violations(rows, first, value) for column, rule, rows, first, value in by_rule.iter_rows()}
