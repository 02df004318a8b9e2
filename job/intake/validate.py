"""Pandera decides about rows: which are accepted, which are not, and by which rule.

Quarantine works on rows: a rejected row is listed with every rule that it breaks, the rest goes on.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Final

import polars as pl

from job.intake.characters import SPACES, without_invisible
from job.intake.numbers import is_missing
from schemas.columns import AS_FLOAT, GIVEN, READABLE, Kind, keeps_rules, words_rule

if TYPE_CHECKING:
    from job.intake.drop import TableFile
    from job.intake.plan import FilePlan

REJECTED_SCHEMA: Final = pl.Schema(
    {"file": pl.String, "row": pl.Int64, "id": pl.String, "column": pl.String, "rule": pl.String, "value": pl.String}
)
VALUE_CHARACTERS: Final = 500
"""Of a value in a rejection; a longer one is cut, and says so: values may be as long as lines."""

_WAS_FLOAT: Final = rf"^[{SPACES}]*\+?[0-9][0-9{SPACES}]*(?:[.,][0-9]*|[.,]?[0-9]*[eE]\+?[0-9]+)[{SPACES}]*$"


@cache
def load_pandera() -> None:
    """Load Pandera meanwhile, in a thread: it takes half a second, and is needed once a row breaks a rule."""
    Thread(target=import_module, args=("schemas.pandera_schemas",), daemon=True).start()


def broken_rules(plan: FilePlan, typed: pl.DataFrame, text: pl.DataFrame) -> pl.DataFrame:
    """Return every rule of its own that each row of a file breaks (`REJECTED_SCHEMA`), ordered by row.

    Of the rows as typed, null where the text could not be read, and in the same order as delivered, with `row`.
    """
    breaks = typed.select((~keeps_rules(heading)).alias(heading.name) for heading in plan.headings)
    columns = [column.name for column in breaks if column.any()]
    if not columns:
        return REJECTED_SCHEMA.to_frame()
    from schemas.pandera_schemas import pandera_schema  # noqa: PLC0415 - slow to load, and most drops break no rule

    # It is slow to ask, too: it need only look at these.
    some = breaks.select(pl.any_horizontal(columns)).to_series()
    typed, text = typed.filter(some).select(columns), text.filter(some)
    schema = pandera_schema(plan.file.table.contract(labelled=plan.labelled, only=columns, whole=False))
    # Only now: two threads that load Pandera by two of its modules may wait for each other.
    from pandera.errors import SchemaErrors  # noqa: PLC0415

    try:
        schema.validate(typed, lazy=True)
    except SchemaErrors as error:
        return _explain(plan.file, error.failure_cases, text)
    raise AssertionError(f"{plan.file.name}: rows were found to break a rule that they keep: {typed}")


def reject_rows(
    file: str, rows: pl.DataFrame, *, column: str | None, rule: str | pl.Expr, value: pl.Expr
) -> pl.DataFrame:
    """Return rejections of rows of a file (`REJECTED_SCHEMA`), which have `row` and `id` (of any dtype).

    They break a rule, named as a fact, about the column with this heading (None: about the whole row) by this value.
    """
    return rows.select(
        file=pl.lit(file),
        row=pl.col("row").cast(pl.Int64),
        id=cut_value(pl.col("id").cast(pl.String).str.strip_chars(SPACES)),
        column=pl.lit(column, dtype=pl.String),
        rule=pl.lit(rule) if isinstance(rule, str) else rule,
        value=cut_value(value.cast(pl.String)),
    )


def cut_value(value: pl.Expr) -> pl.Expr:
    """Return texts as rejections show them: long ones are cut after `VALUE_CHARACTERS`, which is marked."""
    length = value.str.len_chars()
    cut = pl.concat_str(value.str.head(VALUE_CHARACTERS), pl.format("… ({} characters)", length))
    return pl.when(length > VALUE_CHARACTERS).then(cut).otherwise(value)


def _explain(file: TableFile, failures: pl.DataFrame, text: pl.DataFrame) -> pl.DataFrame:
    """Turn Pandera's failure cases into rejections with the heading, the rule and the raw value."""
    if failures["index"].null_count():
        raise AssertionError(f"{file.name}: rules about columns failed after the columns were made: {failures}")
    parts = []
    for (name,), of_column in failures.group_by("column", maintain_order=True):
        heading = file.table.heading(str(name))
        values = text.select("row", "id", pl.col(heading.name).alias("value"))
        rows = values[of_column["index"].cast(pl.UInt32)].with_columns(of_column["check"])
        readable = pl.lit(READABLE[heading.kind].fact if heading.words is None else words_rule(heading.words))
        if heading.kind is Kind.IDENTIFIER:
            was_float = pl.col("value").str.contains(_WAS_FLOAT)
            readable = pl.when(was_float).then(pl.lit(AS_FLOAT.fact)).otherwise(readable)
        missing = is_missing(without_invisible(pl.col("value")))
        why_null = pl.when(missing).then(pl.lit(GIVEN.fact)).otherwise(readable)
        rule = pl.when(pl.col("check") == "not_nullable").then(why_null).otherwise("check")
        parts.append(reject_rows(file.name, rows, column=heading.delivered, rule=rule, value=pl.col("value")))
    return pl.concat(parts).sort("row", maintain_order=True)
