"""What is counted of rows, apart from the rows: plain records that add up over pieces, files and ranges of ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

K = TypeVar("K", bound="Hashable")
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
    """What became of rows that were judged by themselves.

    Args:
        rows: data rows.
        lines: number of the last line.
        blank_lines: lines with nothing in them.
        quoted: whether a field was.
        line_ends: names of the line ends that were seen, e.g. `CRLF`.
        is_ended: whether the last line has a line end.
        rejected: rows that broke a rule.
        unread: those of them whose `id` could not be read.
        last_accepted: number of the last accepted row, 0 without one.
        last_rejected: number of the last rejected one.
        violations: rule -> how often it was broken, in the order of the first rows.
        repairs: (heading, as delivered, right spelling) -> rows.
        unknown_words: heading -> rows whose word is not in the vocabulary and that are scored all the same.
        line_breaks: in fields, which make the number of a record another than that of its line.
        spaces_restored: no-break spaces that text had lost when it was read in a wrong encoding.
    """

    rows: int = 0
    lines: int = 0
    blank_lines: int = 0
    quoted: bool = False
    line_ends: frozenset[str] = frozenset()
    is_ended: bool = True
    rejected: int = 0
    unread: int = 0
    last_accepted: int = 0
    last_rejected: int = 0
    violations: Mapping[Rule, Violations] = {}
    repairs: Mapping[tuple[str, str, str], int] = {}
    unknown_words: Mapping[str, int] = {}
    line_breaks: int = 0
    spaces_restored: int = 0

    def __add__(self, other: RowCounts) -> RowCounts:  # type: ignore[override] # not a tuple's
        """Return the counts of both; `other` is of rows behind these."""
        return RowCounts(
            rows=self.rows + other.rows,
            lines=max(self.lines, other.lines),
            blank_lines=self.blank_lines + other.blank_lines,
            quoted=self.quoted or other.quoted,
            line_ends=self.line_ends | other.line_ends,
            is_ended=other.is_ended,
            rejected=self.rejected + other.rejected,
            unread=self.unread + other.unread,
            last_accepted=max(self.last_accepted, other.last_accepted),
            last_rejected=max(self.last_rejected, other.last_rejected),
            violations=add_violations(self.violations, other.violations),
            repairs=add_counts(self.repairs, other.repairs),
            unknown_words=add_counts(self.unknown_words, other.unknown_words),
            line_breaks=self.line_breaks + other.line_breaks,
            spaces_restored=self.spaces_restored + other.spaces_restored,
        )

    def shifted(self, rows: int) -> RowCounts:
        """Return the counts of the same rows, numbered behind so many others."""
        violations = {rule: some._replace(first_row=some.first_row + rows) for rule, some in self.violations.items()}
        return self._replace(
            lines=self.lines + rows,
            last_accepted=self.last_accepted and self.last_accepted + rows,
            last_rejected=self.last_rejected and self.last_rejected + rows,
            violations=violations,
        )


def add_counts(some: Mapping[K, int], more: Mapping[K, int]) -> Mapping[K, int]:
    """Return the sum of two counts."""
    if not more:
        return some
    return {**some, **{key: some.get(key, 0) + count for key, count in more.items()}}


def add_violations(some: Mapping[Rule, Violations], more: Mapping[Rule, Violations]) -> Mapping[Rule, Violations]:
    """Return how often each rule was broken in both."""
    if not more:
        return some
    return {**some, **{rule: some[rule] + broken if rule in some else broken for rule, broken in more.items()}}


def count_violations(rejections: pl.DataFrame) -> Mapping[Rule, Violations]:
    """Return how often each rule was broken. Args: rejections: `REJECTED_SCHEMA`, ordered by row."""
    by_rule = rejections.group_by("column", "rule", maintain_order=True).agg(
        pl.col("row").n_unique().alias("rows"), pl.col("row").first().alias("first"), pl.col("value").first()
    )
    return {(column, rule): Violations(rows, first, value) for column, rule, rows, first, value in by_rule.iter_rows()}
