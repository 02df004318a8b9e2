"""The careful way: lines become fields, fields become values, and every row that breaks a rule says which.

Most rows never come here: see `job.intake.plain`, which takes nothing that would come out otherwise here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from job.intake.characters import (
    INVISIBLE,
    SPACES,
    has_invisible,
    name_odd_character,
    with_plain_minus,
    without_invisible,
)
from job.intake.counts import RowCounts, count_violations
from job.intake.dialect import split_line
from job.intake.numbers import parse_number
from job.intake.repair import name_words, repair_words
from job.intake.validate import REJECTED_SCHEMA, broken_rules, reject_rows
from schemas.columns import accepted_dtype, dtype_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from job.intake.plan import FilePlan
    from schemas.columns import Column, Table
    from schemas.vocabulary import Words

Spellings = dict[str, dict[str, str]]
"""Column -> word as delivered -> right spelling; of all words seen so far, which saves looking them up again."""

_UNREADABLE: Final = "\N{REPLACEMENT CHARACTER}"
_PLAIN_OR_QUOTED: Final = r'^(?:"([^"]*)"|([^"]*))$'


class Judged(NamedTuple):
    """Rows that were judged by themselves."""

    accepted: pl.DataFrame  # `accepted_schema`
    counts: RowCounts  # of all
    rejected: pl.DataFrame = REJECTED_SCHEMA.to_frame()  # one row per row and broken rule, by row
    keys: pl.DataFrame = pl.DataFrame()  # of each rejected row whose `id` could be read (`key_schema`)


def accepted_schema(plan: FilePlan) -> pl.Schema:
    """Return the schema of accepted rows: `row` (number in the file), `repaired` (a word of it was), then the columns.

    A label that is there though nobody asked for it is the last, null where it cannot be read.
    """
    columns = [*plan.headings, *([plan.label] if plan.label else [])]
    dtypes = {heading.name: accepted_dtype(heading) for heading in columns}
    return pl.Schema({"row": pl.UInt32(), "repaired": pl.Boolean(), **dtypes})


def key_schema(table: Table) -> pl.Schema:
    """Return the schema of the keys of rejected rows: `row`, then the key's columns, null where they cannot be read."""
    return pl.Schema({"row": pl.UInt32(), **{name: dtype_of(table.heading(name)) for name in table.key}})


def number_lines(lines: Sequence[str], *, last: int) -> pl.DataFrame:
    """Return lines as `row` (Int64) and `line`. Args: last: the number of the last."""
    rows = range(last + 1 - len(lines), last + 1)
    return pl.DataFrame({"row": rows, "line": lines}, schema={"row": pl.Int64, "line": pl.String})


def split_fields(lines: pl.DataFrame, plan: FilePlan) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split lines (of `number_lines`) of a text file into the fields of its columns, and undo quotes.

    Returns `row` and the columns by their ASCII names (String, as delivered) of those that have all, and rejections of
    the others (`REJECTED_SCHEMA`), none of which has a readable id.
    """
    split, width = split_lines(lines, plan.text.separator), len(plan.columns)
    there = pl.col("fields").list.len()
    nothing_more = pl.col("fields").list.slice(width).list.join("").str.strip_chars(SPACES) == ""
    unreadable = pl.col("line").str.contains(_UNREADABLE, literal=True)
    fits = split.select(
        ((there == width) | ((there > width) & nothing_more)).fill_null(value=False) & ~unreadable
    ).to_series()
    values = (pl.col("fields").list.get(index).alias(column) for index, column in enumerate(plan.columns))
    rule = (
        pl.when(unreadable)
        .then(pl.lit(f"is readable as {plan.text.encoding}"))
        .when(pl.col("fields").is_null())
        .then(pl.lit("has paired quotes"))
        .otherwise(pl.lit(f"has {width} fields"))
    )
    identifier = pl.col("fields").list.get(plan.columns.index("id"), null_on_oob=True)
    unfit = split.filter(~fits).with_columns(id=identifier)
    rejected = reject_rows(plan.file.name, unfit, column=None, rule=rule, value=pl.col("line"))
    return split.filter(fits).select("row", *values), rejected


def split_lines(body: pl.DataFrame, separator: str) -> pl.DataFrame:
    """Return lines (`row`, `line`) with their `fields`: a list of text without quotes, null where unpaired."""
    value = pl.element()
    split = pl.col("line").str.split(separator)
    body = body.with_columns(fields=split, quoted=pl.col("line").str.contains('"', literal=True))
    if not body["quoted"].any():
        return body.drop("quoted")
    simple = pl.col("fields").list.eval(value.str.contains(_PLAIN_OR_QUOTED)).list.all()
    body = body.with_columns(doubtful=pl.col("quoted") & ~simple)
    undone = pl.col("fields").list.eval(value.str.replace(_PLAIN_OR_QUOTED, "$1$2"))
    doubtful = body.filter("doubtful")
    read = pl.Series("fields", [split_line(line, separator) for line in doubtful["line"]], dtype=pl.List(pl.String))
    parts = [body.filter(~pl.col("doubtful")).with_columns(fields=undone), doubtful.with_columns(read)]
    return pl.concat(parts).sort("row").drop("quoted", "doubtful")


def judge_lines(lines: pl.DataFrame, plan: FilePlan, spellings: Spellings) -> Judged:
    """Judge lines (of `number_lines`, without the headings) of a text file; see `judge_fields`."""
    blank = lines["line"].str.strip_chars(SPACES + plan.text.separator + '"') == ""
    quoted = bool(lines["line"].str.contains('"', literal=True).any())
    fields, unfit = split_fields(lines.filter(~blank), plan)
    judged = judge_fields(fields, plan, spellings)
    counts = judged.counts + count_rejections(unfit, unread=unfit.height)
    counts += RowCounts(rows=unfit.height, blank_lines=int(blank.sum()), quoted=quoted)
    return judged._replace(rejected=pl.concat([unfit, judged.rejected]), counts=counts)


def judge_fields(raw: pl.DataFrame, plan: FilePlan, spellings: Spellings) -> Judged:
    """Repair words, parse numbers, and reject the rows that break a rule.

    Of rows as delivered: `row`, and the columns by their ASCII names as text. New spellings are added to those seen.
    """
    if raw.is_empty():
        return Judged(accepted_schema(plan).to_frame(), RowCounts())
    text = raw.with_columns(pl.col(pl.String).str.strip_chars(SPACES))
    text, counts, is_repaired = _with_plain_numbers(text, [one for one in plan.headings if one.words is None])
    counts += RowCounts(rows=raw.height)
    columns, repaired = [], [pl.lit(is_repaired)]
    for heading in plan.headings:
        if heading.words is None:
            mark = (plan.style.decimal_mark if heading.name in plan.texts else None) or "."
            columns.append(parse_number(pl.col(heading.name), heading.kind, mark))
        else:
            spelling = spellings.setdefault(heading.name, {})
            counts += _learn_words(text[heading.name], heading, heading.words, spelling)
            columns.append(name_words(pl.col(heading.name), spelling, heading.words))
            wrong = [word for word, right in spelling.items() if word != right]
            repaired.append(pl.col(heading.name).is_in(wrong))
    typed = text.select(columns).cast({heading.name: dtype_of(heading) for heading in plan.headings})
    table = plan.file.table
    broken = broken_rules(plan, typed, raw.select("row", *typed.columns))
    rows = text.select("row", pl.any_horizontal(repaired).fill_null(value=False).alias("repaired"))
    both = pl.concat([rows, typed, _labels(text, plan.label)], how="horizontal")
    accepted = both.join(broken, on="row", how="anti", maintain_order="left")
    keys = both.join(broken, on="row", how="semi", maintain_order="left").select("row", *table.key)
    readable = keys.filter(pl.col("id").is_not_null())
    counts += count_rejections(broken, unread=keys.height - readable.height)
    return Judged(accepted.cast(accepted_schema(plan)), counts, broken, readable.cast(key_schema(table)))


def count_rejections(rejected: pl.DataFrame, *, unread: int) -> RowCounts:
    """Return the counts of rejections (`REJECTED_SCHEMA`, by row). Args: unread: rows whose id could not be read."""
    return RowCounts(rejected=rejected["row"].n_unique(), unread=unread, violations=count_violations(rejected))


def _labels(text: pl.DataFrame, label: Column | None) -> pl.DataFrame:
    """Return the labels that are there though nobody asked for them, no columns if there are none."""
    if label is None or label.words is None:
        return pl.DataFrame()
    values = (value for value in text[label.name].unique() if value is not None)
    return text.select(name_words(pl.col(label.name), repair_words(values, label.words), label.words))


def _learn_words(values: pl.Series, heading: Column, words: Words, spelling: dict[str, str]) -> RowCounts:
    """Learn the right spellings of one column's words; return how many were repaired, and how many are unknown."""
    counts: dict[str | None, int] = dict(values.value_counts().iter_rows())
    spelling.update(repair_words((value for value in counts if value is not None and value not in spelling), words))
    repairs = {
        (heading.delivered, value, right): counts[value]
        for value, right in spelling.items()
        if value != right and value in counts
    }
    unknown = sum(count for value, count in counts.items() if value not in spelling) if words.unknown_is_scored else 0
    return RowCounts(repairs=repairs, unknown_words={heading.delivered: unknown} if words.unknown_is_scored else {})


def _with_plain_numbers(text: pl.DataFrame, headings: Sequence[Column]) -> tuple[pl.DataFrame, RowCounts, pl.Series]:
    """Return trimmed rows whose numbers have plain minus signs and no invisible characters.

    Also how many had which invisible character, and which had any. Args: headings: of the columns of numbers.
    """
    repairs: dict[tuple[str, str, str], int] = {}
    odd = text.select(has_invisible(pl.col(heading.name)).fill_null(value=False) for heading in headings)
    for heading in headings:
        for char in INVISIBLE if odd[heading.name].any() else ():
            if count := int(text[heading.name].str.contains(char, literal=True).sum()):
                repairs[heading.delivered, str(name_odd_character(char)), ""] = count
    plain = (with_plain_minus(without_invisible(pl.col(heading.name))) for heading in headings)
    return text.with_columns(plain), RowCounts(repairs=repairs), odd.select(pl.any_horizontal(pl.all())).to_series()
