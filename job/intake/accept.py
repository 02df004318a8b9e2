"""Four tables become one accepted drop: what only shows between rows and between tables is decided here.

Duplicates, rows of customers that are not in `market_file`, tables that do not belong together, and too many bad rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from job.errors import DropError, Problem
from job.intake.table import REPAIRS_SCHEMA, TableIntake, read_table
from job.intake.validate import concat_rejected, reject_rows
from schemas.raw import table_schema
from schemas.vocabulary import MARKET_FILE, TABLES, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.intake.drop import TableFile

OVERLAP_LIMIT: Final = 0.5  # of the customers of market_file that another table must know

UNIQUE_RULE: Final = "occurs once, or always with the same values"
ORPHAN_RULE: Final = "has an accepted row in market_file"


@dataclass(frozen=True)
class Limits:
    """How much may be wrong before a drop is refused, as shares of a table's rows."""

    rejected: float = 0.05
    unknown: float = 0.05


@dataclass(frozen=True)
class Account:
    """What became of the rows of one file: rows_in = used + repaired + rejected + dropped."""

    rows_in: int
    used: int
    repaired: int
    rejected: int
    dropped: int

    def check(self, name: str) -> None:
        """Raise AssertionError if rows were lost or counted twice: a defect of the job."""
        if self.rows_in != self.used + self.repaired + self.rejected + self.dropped:
            raise AssertionError(f"{name}: rows do not add up: {self}")


@dataclass(frozen=True)
class Intake:
    """A drop that was accepted.

    Args:
        tables: table -> its accepted rows in ASCII; also `row`, the row's number in its file.
        rejected: one row per rejected row and broken rule (`REJECTED_SCHEMA`).
        repairs: one row per file, column and repaired spelling.
        accounts: file -> what became of its rows.
        files: what the manifest says of each file.
        customers_in: distinct customers in `market_file`; a rejected row whose id cannot be read counts as one.
        customers_rejected: those of them without an accepted row there.
        warnings: one line each, for a person.
    """

    tables: dict[str, pl.DataFrame]
    rejected: pl.DataFrame
    repairs: pl.DataFrame
    accounts: dict[str, Account]
    files: list[dict[str, object]]
    customers_in: int
    customers_rejected: int
    warnings: tuple[str, ...]


def accept_drop(files: Mapping[str, TableFile], *, labelled: bool, limits: Limits) -> Intake:
    """Read the four files of a drop and decide about each row.

    Args:
        files: table -> its file.
        labelled: whether the label must be there (training) or is passed over (scoring).
        limits: how much may be wrong.

    Raises:
        DropError: the drop is bad; every problem of every file is named.
        DropIncompleteError: a file changed while it was read.
    """
    read: dict[str, TableIntake] = {}
    problems: list[str | Problem] = []
    for name in TABLES:
        try:
            read[name] = read_table(files[name], labelled=labelled)
        except DropError as error:
            problems.extend(error.defects)
    if problems:
        raise DropError(problems)

    decided = {name: _decide_duplicates(table) for name, table in read.items()}
    for name in TABLES:
        problems.extend(_too_many_rejected(read[name], decided[name].rejected, limits))
        problems.extend(_too_many_unknown(read[name], limits))
    customers = decided[MARKET_FILE.name].accepted["id"]
    market_file = read[MARKET_FILE.name]
    unread = market_file.rejected_keys["id"].null_count()
    known = pl.concat([market_file.accepted["id"], market_file.rejected_keys["id"].drop_nulls()]).unique()
    for name in TABLES:
        if name != MARKET_FILE.name:
            problems.extend(_overlap(read[name], decided[name].accepted, known, limits))
            decided[name] = _decide_orphans(read[name], decided[name], customers)
    if problems:
        raise DropError(problems)

    accounts = {read[name].file.name: _account(read[name], decided[name]) for name in TABLES}
    for name, account in accounts.items():
        account.check(name)
    tables = {name: decided[name].accepted.drop("repaired") for name in TABLES}
    for name, table in tables.items():
        table_schema(TABLES[name], labelled=labelled).validate(table.drop("row"), lazy=True)
    return Intake(
        tables=tables,
        rejected=concat_rejected(decided[name].rejected for name in TABLES),
        repairs=pl.concat([REPAIRS_SCHEMA.to_frame(), *(table.repairs for table in read.values())]),
        accounts=accounts,
        files=[
            {"table": name, **table.facts, "rows": table.rows_in, "blank_lines": table.blank_lines}
            for name, table in read.items()
        ],
        customers_in=known.len() + unread,
        customers_rejected=known.len() + unread - customers.len(),
        warnings=tuple(warning for table in read.values() for warning in table.warnings),
    )


@dataclass(frozen=True)
class _Decided:
    """The rows of a table so far: accepted, rejected, and how many identical copies were dropped."""

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    dropped: int


def _decide_duplicates(read: TableIntake) -> _Decided:
    """Keep the first of identical rows; reject all rows that share a key but say different things.

    A row that was rejected already says something different, too: it gets this reason beside its own.
    """
    table, accepted = read.file.table, read.accepted
    said = [name for name in accepted.columns if name not in ("row", "repaired")]
    first = accepted.unique(said, keep="first", maintain_order=True)
    readable = read.rejected_keys.drop_nulls()
    versions = pl.concat([first.select(readable.columns), readable])
    contradicting = versions.filter(pl.struct(table.key).is_duplicated()).select(table.key).unique()
    if contradicting.is_empty():
        return _Decided(first, read.rejected, accepted.height - first.height)
    rejections = reject_rows(
        read.file.name,
        pl.concat([accepted.select(readable.columns), readable]).join(contradicting, on=table.key, how="semi"),
        column=" + ".join(table.heading(name).delivered for name in table.key),
        rule=UNIQUE_RULE,
        value=pl.concat_str([_as_delivered(table, name) for name in table.key], separator=" + "),
    )
    kept = first.join(contradicting, on=table.key, how="anti", maintain_order="left")
    candidates = accepted.join(contradicting, on=table.key, how="anti")
    rejected = pl.concat([read.rejected, rejections]).sort("row", "column", "rule", nulls_last=False)
    return _Decided(kept, rejected, candidates.height - kept.height)


def _as_delivered(table: Table, name: str) -> pl.Expr:
    words = table.heading(name).words
    text = pl.col(name).cast(pl.String)
    return text if words is None else text.replace({inside: outside for outside, inside in words.values.items()})


def _decide_orphans(read: TableIntake, decided: _Decided, customers: pl.Series) -> _Decided:
    """Reject the rows of customers without an accepted row in `market_file`."""
    belongs = decided.accepted["id"].is_in(customers.implode())
    if belongs.all():
        return decided
    orphans = decided.accepted.filter(~belongs)
    rejections = reject_rows(read.file.name, orphans, column="id", rule=ORPHAN_RULE, value=pl.col("id"))
    rejected = pl.concat([decided.rejected, rejections]).sort("row", maintain_order=True)
    return _Decided(decided.accepted.filter(belongs), rejected, decided.dropped)


def _overlap(read: TableIntake, accepted: pl.DataFrame, known: pl.Series, limits: Limits) -> list[str | Problem]:
    """Name a table that does not belong to this `market_file`: too few of its customers, or too many strangers.

    A table with months must have each month for as many customers.
    """
    whole = [(None, accepted["id"].unique())]
    table = read.file.table
    if "period" in table.key:
        words = table.heading("period").words
        months = [] if words is None else words.values.items()
        whole = [(month, accepted.filter(pl.col("period") == name)["id"].unique()) for month, name in months]
    problems: list[str | Problem] = []
    for month, ids in whole:
        shared = int(known.is_in(ids.implode()).sum())
        if shared < known.len() * (1 - limits.rejected):
            reason = "; tables of different months?" if shared < known.len() * OVERLAP_LIMIT else ""
            problems.append(
                Problem(
                    read.file.name,
                    f"at least {1 - limits.rejected:.1%} (--max-rejected{reason})",
                    f"rows for {shared:,} of the {known.len():,} customers of {MARKET_FILE.name} "
                    f"({shared / known.len():.1%})",
                    column="id" if month is None else f"{table.heading('period').delivered} = {month}",
                )
            )
    ids = accepted["id"].unique()
    strangers = ids.len() - int(ids.is_in(known.implode()).sum())
    if strangers > ids.len() * limits.rejected:
        problems.append(
            Problem(
                read.file.name,
                f"at most {limits.rejected:.1%} (--max-rejected)",
                f"{strangers:,} of {ids.len():,} ids ({strangers / ids.len():.1%}) that {MARKET_FILE.name} does not have",
                column="id",
            )
        )
    return problems


def _too_many_rejected(read: TableIntake, rejected: pl.DataFrame, limits: Limits) -> list[str | Problem]:
    rows = rejected["row"].n_unique()
    if rows <= limits.rejected * read.rows_in:
        return []
    by_rule = rejected.group_by("column", "rule", maintain_order=True).agg(
        pl.col("row").n_unique().alias("rows"), pl.col("row").first().alias("first"), pl.col("value").first()
    )
    return [
        Problem(
            read.file.name,
            f"at most {limits.rejected:.1%} of {read.rows_in:,} rows rejected (--max-rejected), not {rows:,}",
            f"{count:,} rows where it is not true that it «{rule}»; the first holds «{value}»",
            row=first,
            column=column,
        )
        for column, rule, count, first, value in by_rule.iter_rows()
    ]


def _too_many_unknown(read: TableIntake, limits: Limits) -> list[str | Problem]:
    return [
        Problem(
            read.file.name,
            f"at most {limits.unknown:.1%} of them (--max-unknown)",
            f"{unknown:,} of {read.rows_in:,} rows with a word that the model does not know",
            column=column,
        )
        for column, unknown in read.unknown_words.items()
        if unknown > limits.unknown * read.rows_in
    ]


def _account(read: TableIntake, decided: _Decided) -> Account:
    repaired = int(decided.accepted["repaired"].sum())
    return Account(
        rows_in=read.rows_in,
        used=decided.accepted.height - repaired,
        repaired=repaired,
        rejected=decided.rejected["row"].n_unique(),
        dropped=decided.dropped,
    )
