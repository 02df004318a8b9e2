"""Four tables become one accepted drop: what only shows between rows and between tables is decided here.

Duplicates, rows of customers that are not in `market_file`, tables that do not belong together, and too many bad rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from job.errors import DropError, Problem, shorten
from job.intake.table import REPAIRS_SCHEMA, TableIntake, read_table
from job.intake.validate import concat_rejected, reject_rows
from schemas.vocabulary import MARKET_FILE, TABLES, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from job.intake.drop import TableFile

OVERLAP_LIMIT: Final = 0.5  # of the customers of market_file: a table with fewer is likely to be of another month
SHOWN_CHARACTERS: Final = 40  # of a rejected value in a message; rejected.csv has it all

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
    read = _read_tables(files, labelled=labelled)
    decided = {name: _decide_duplicates(table) for name, table in read.items()}
    market_file = read[MARKET_FILE.name]
    known, unread = _customers(market_file)
    accepted = decided[MARKET_FILE.name].accepted.select("id")
    problems: list[str | Problem] = []
    for name in TABLES:
        problems.extend(_too_many_rejected(read[name], decided[name].rejected, limits))
        problems.extend(_too_many_unknown(read[name], limits))
        if name != MARKET_FILE.name:
            problems.extend(_overlap(read[name], decided[name].accepted, known, limits))
    problems.extend(_cut_files(read, known))
    for name in TABLES:
        if name != MARKET_FILE.name:
            decided[name] = _decide_orphans(read[name], decided[name], accepted)
    if accepted.is_empty():
        problems.append(Problem(market_file.file.name, "at least one row that can be used", "none"))
    if problems:
        raise DropError(problems)

    accounts = {read[name].file.name: _account(read[name], decided[name]) for name in TABLES}
    for name, account in accounts.items():
        account.check(name)
    tables = {name: decided[name].accepted.drop("repaired") for name in TABLES}
    for name, table in tables.items():  # all else was checked row by row, as the files were read
        if table.select(TABLES[name].key).is_duplicated().any():
            raise AssertionError(f"{name}: a key occurs twice after duplicates were decided")
    customers_in = known.height + unread
    return Intake(
        tables=tables,
        rejected=concat_rejected(decided[name].rejected for name in TABLES),
        repairs=pl.concat([REPAIRS_SCHEMA.to_frame(), *(table.repairs for table in read.values())]),
        accounts=accounts,
        files=[
            {"table": name, **table.facts, "rows": table.rows_in, "blank_lines": table.blank_lines}
            for name, table in read.items()
        ],
        customers_in=customers_in,
        customers_rejected=customers_in - accepted.height,
        warnings=tuple(
            f"{table.file.name}, row {table.open_end}: the last line has no line end; nothing else seems cut"
            for table in read.values()
            if table.open_end is not None
        ),
    )


def _read_tables(files: Mapping[str, TableFile], *, labelled: bool) -> dict[str, TableIntake]:
    """Read all files; those that cannot be understood are named together."""
    read: dict[str, TableIntake] = {}
    problems: list[str | Problem] = []
    for name in TABLES:
        try:
            read[name] = read_table(files[name], labelled=labelled)
        except DropError as error:
            problems.extend(error.defects)
    for file in files.values():
        file.check_unchanged()  # also while the others were read: all four must be of one delivery
    if problems:
        raise DropError(problems)
    return read


def _customers(market_file: TableIntake) -> tuple[pl.DataFrame, int]:
    """Return the distinct ids of `market_file`, and how many of its rows have none that can be read."""
    rejected = market_file.rejected_keys["id"]
    known = pl.concat([market_file.accepted["id"], rejected.drop_nulls()]).unique()
    return known.to_frame(), rejected.null_count()


@dataclass(frozen=True)
class _Decided:
    """The rows of a table so far: accepted, rejected, and how many identical copies were dropped."""

    accepted: pl.DataFrame
    rejected: pl.DataFrame
    dropped: int


def _decide_duplicates(read: TableIntake) -> _Decided:
    """Keep the first of identical rows; reject all rows that share a key but say different things.

    A row that was rejected says something else than an accepted one: it gets this reason beside its own.
    """
    table, accepted = read.file.table, read.accepted
    said = [name for name in accepted.columns if name not in ("row", "repaired")]
    first = accepted.unique(said, keep="first", maintain_order=True)
    rejected_keys = read.rejected_keys.drop_nulls()
    several = first.filter(pl.struct(table.key).is_duplicated()).select(table.key).unique()
    refuted = first.join(rejected_keys, on=table.key, how="semi").select(table.key)
    contradicting = pl.concat([several, refuted]).unique()
    if contradicting.is_empty():
        return _Decided(first, read.rejected, accepted.height - first.height)
    rows = pl.concat([accepted.select(rejected_keys.columns), rejected_keys])
    rejections = reject_rows(
        read.file.name,
        rows.join(contradicting, on=table.key, how="semi"),
        column=" + ".join(table.heading(name).delivered for name in table.key),
        rule=UNIQUE_RULE,
        value=pl.concat_str([_as_delivered(table, name) for name in table.key], separator=" + "),
    )
    kept = first.join(contradicting, on=table.key, how="anti", maintain_order="left")
    consistent = accepted.join(contradicting, on=table.key, how="anti").height
    return _Decided(kept, _by_row(read.rejected, rejections), consistent - kept.height)


def _as_delivered(table: Table, name: str) -> pl.Expr:
    words = table.heading(name).words
    text = pl.col(name).cast(pl.String)
    return text if words is None else text.replace({inside: outside for outside, inside in words.values.items()})


def _decide_orphans(read: TableIntake, decided: _Decided, customers: pl.DataFrame) -> _Decided:
    """Reject the rows of customers without an accepted row in `market_file` (`customers`: their `id`)."""
    orphans = decided.accepted.join(customers, on="id", how="anti")
    if orphans.is_empty():
        return decided
    rejections = reject_rows(read.file.name, orphans, column="id", rule=ORPHAN_RULE, value=pl.col("id"))
    belonging = decided.accepted.join(customers, on="id", how="semi", maintain_order="left")
    return _Decided(belonging, _by_row(decided.rejected, rejections), decided.dropped)


def _by_row(*rejections: pl.DataFrame) -> pl.DataFrame:
    return pl.concat(rejections).sort("row", maintain_order=True)


def _overlap(read: TableIntake, accepted: pl.DataFrame, known: pl.DataFrame, limits: Limits) -> Iterator[Problem]:
    """Name a table that does not belong to this `market_file`: too few of its customers, or too many strangers.

    A table with months must have each month for as many customers.
    """
    table = read.file.table
    needed = 1 - limits.rejected
    ids = accepted.select("id").unique()
    shared = known.join(ids, on="id", how="semi").height
    if shared < needed * known.height:
        hint = "; tables of different months?" if shared < OVERLAP_LIMIT * known.height else ""
        found = f"rows for {_share(shared, known.height, f'customers of {MARKET_FILE.name}')}"
        yield Problem(read.file.name, f"at least {needed:.1%} (--max-rejected{hint})", found, column="id")
    elif "period" in table.key:
        yield from _missing_months(read, accepted, known, limits)
    strangers = ids.height - shared
    if strangers > limits.rejected * ids.height:
        found = f"{_share(strangers, ids.height, 'ids')} that {MARKET_FILE.name} does not have"
        yield Problem(read.file.name, f"at most {limits.rejected:.1%} (--max-rejected)", found, column="id")


def _missing_months(
    read: TableIntake, accepted: pl.DataFrame, known: pl.DataFrame, limits: Limits
) -> Iterator[Problem]:
    heading = read.file.table.heading("period")
    for month, name in heading.words.values.items() if heading.words else ():
        shared = known.join(accepted.filter(pl.col("period") == name), on="id", how="semi").height
        if shared < (1 - limits.rejected) * known.height:
            found = f"«{month}» for {_share(shared, known.height, f'customers of {MARKET_FILE.name}')}"
            expected = f"each month for at least {1 - limits.rejected:.1%} (--max-rejected)"
            yield Problem(read.file.name, expected, found, column=heading.delivered)


def _cut_files(read: Mapping[str, TableIntake], known: pl.DataFrame) -> Iterator[Problem]:
    """Name the files without a line end at their end that also lack rows: they seem to have been cut."""
    for name, table in read.items():
        if table.open_end is None:
            continue
        own = _ids(table)
        if name == MARKET_FILE.name:
            others = pl.concat([_ids(other) for other in read.values()]).unique()
            lacking = others.join(known, on="id", how="anti").height
        else:
            lacking = known.join(own, on="id", how="anti").height
            if "period" in table.file.table.key:
                lacking += _lacks_a_month(table)
        if lacking:
            found = f"no line end, and no rows (or not of each month) for {lacking:,} of the drop's customers"
            yield Problem(table.file.name, "a whole file (it seems cut)", found, row=table.open_end)


def _ids(read: TableIntake) -> pl.DataFrame:
    """Return the distinct ids of a table, of rejected rows, too."""
    return pl.concat([read.accepted.select("id"), read.rejected_keys.select("id").drop_nulls()]).unique()


def _lacks_a_month(read: TableIntake) -> bool:
    """Return whether the customer of the last row has not all months: the rest may have been cut off."""
    last = read.accepted.filter(pl.col("row") == read.open_end).select("id")
    words = read.file.table.heading("period").words
    months = read.accepted.join(last, on="id", how="semi")["period"].n_unique()
    return words is not None and months < len(words.values)


def _share(part: int, whole: int, what: str) -> str:
    return f"{part:,} of {whole:,} {what} ({part / whole:.1%})"


def _too_many_rejected(read: TableIntake, rejected: pl.DataFrame, limits: Limits) -> Iterator[Problem]:
    rows = rejected["row"].n_unique()
    if rows <= limits.rejected * read.rows_in:
        return
    expected = f"at most {limits.rejected:.1%} of {read.rows_in:,} rows rejected (--max-rejected), not {rows:,}"
    by_rule = rejected.group_by("column", "rule", maintain_order=True).agg(
        pl.col("row").n_unique().alias("rows"), pl.col("row").first().alias("first"), pl.col("value").first()
    )
    for column, rule, count, first, value in by_rule.iter_rows():
        held = "nothing" if not value else f"«{shorten(value, SHOWN_CHARACTERS)}»"
        found = f"{count:,} rows where it is not true that it «{rule}»; the first holds {held}"
        yield Problem(read.file.name, expected, found, row=first, column=column)


def _too_many_unknown(read: TableIntake, limits: Limits) -> Iterator[Problem]:
    for column, unknown in read.unknown_words.items():
        if unknown > limits.unknown * read.rows_in:
            found = f"{_share(unknown, read.rows_in, 'rows')} with a word that the model does not know"
            yield Problem(read.file.name, f"at most {limits.unknown:.1%} of them (--max-unknown)", found, column=column)


def _account(read: TableIntake, decided: _Decided) -> Account:
    repaired = int(decided.accepted["repaired"].sum())
    return Account(
        rows_in=read.rows_in,
        used=decided.accepted.height - repaired,
        repaired=repaired,
        rejected=decided.rejected["row"].n_unique(),
        dropped=decided.dropped,
    )
