"""Four tables become one accepted drop: what only shows between rows and between tables is decided here.

Duplicates, rows of customers that are not in `market_file`, tables that do not belong together, and too many bad rows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from job.errors import DropError, Problem, shorten
from job.intake.parquet import ParquetProbe
from job.intake.parts import read_parts
from job.intake.table import REPAIRS_SCHEMA, Broken, TableIntake, add_broken, count_broken
from job.intake.validate import concat_rejected, reject_rows
from job.memory import MemoryPlan
from job.prefetch import mapped
from job.spool import Scratch, Spool, cut_ranges
from schemas.vocabulary import MARKET_FILE, TABLES, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from job.intake.drop import TableFile
    from job.spool import Bound

OVERLAP_LIMIT: Final = 0.5  # of the customers of market_file: a table with fewer is likely to be of another month
SHOWN_CHARACTERS: Final = 40  # of a rejected value in a message; rejected.csv has it all

UNIQUE_RULE: Final = "occurs once, or always with the same values"
ORPHAN_RULE: Final = "has an accepted row in market_file"


class Limits(NamedTuple):
    """How much may be wrong before a drop is refused, as shares of a table's rows."""

    rejected: float = 0.05
    unknown: float = 0.05


class Account(NamedTuple):
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


class Intake(NamedTuple):
    """A drop that was accepted.

    Args:
        tables: table -> its accepted rows in ASCII; also `row`, the row's number in its file. Empty where they were
            taken range by range.
        rejections: file -> one row per rejected row and broken rule (`REJECTED_SCHEMA`), by row.
        repairs: one row per file, column and repaired spelling.
        accounts: file (or the folder of a table's files) -> what became of its rows.
        files: what the manifest says of each file.
        customers_in: distinct customers in `market_file`; a rejected row whose id cannot be read counts as one.
        customers_rejected: those of them without an accepted row there.
        warnings: one line each, for a person.
    """

    tables: dict[str, pl.DataFrame]
    rejections: dict[str, Spool]
    repairs: pl.DataFrame
    accounts: dict[str, Account]
    files: list[dict[str, object]]
    customers_in: int
    customers_rejected: int
    warnings: tuple[str, ...]

    @property
    def rejected(self) -> pl.DataFrame:
        """All rejections, by row within each file, in the order of the tables."""
        return concat_rejected(rejections.read() for rejections in self.rejections.values())


def accept_drop(files: Mapping[str, TableFile], *, labelled: bool, limits: Limits) -> Intake:
    """Read the four files of a drop, decide about each row, and hold all tables in memory.

    Args:
        files: table -> its file.
        labelled: whether the label must be there (training) or not (scoring).
        limits: how much may be wrong.

    Raises:
        DropError: the drop is bad; every problem of every file is named.
        DropIncompleteError: a file changed while it was read.
    """
    reading = read_drop(files, labelled=labelled)
    parts = list(reading.ranges())
    intake = reading.conclude(limits)
    tables = {name: pl.concat(part[name] for part in parts).sort("row") for name in TABLES}
    return intake._replace(tables=tables)


def read_drop(
    files: Mapping[str, TableFile],
    *,
    labelled: bool,
    scratch: Scratch | None = None,
    plan: MemoryPlan | None = None,
) -> DropReading:
    """Read the four files of a drop and judge each row by itself.

    Args:
        files: table -> its file.
        labelled: as for `accept_drop`.
        scratch: where the rows wait; None is in memory.
        plan: how much is held at a time.

    Raises:
        DropError: files that cannot be understood; all of them are named.
        DropIncompleteError: a file changed while it was read.
        OutputError: the scratch folder cannot be written.
    """
    read: dict[str, TableIntake] = {}
    problems: list[str | Problem] = []
    scratch = scratch or Scratch()

    def attempt(name: str) -> TableIntake | DropError:
        try:
            return read_parts(files[name], labelled=labelled, scratch=scratch, plan=plan, probe=probe)
        except DropError as error:
            return error

    with ParquetProbe() as probe:
        for name, outcome in zip(TABLES, mapped(attempt, TABLES), strict=True):
            if isinstance(outcome, DropError):
                problems.extend(outcome.defects)
            else:
                read[name] = outcome
    for file in files.values():
        file.check_unchanged()  # also while the others were read: all four must be of one delivery
    if problems:
        raise DropError(problems)
    return DropReading(read, plan or MemoryPlan())


@dataclass
class _Tally:
    """What is counted of a table over all ranges of ids, to be judged at the end.

    Args:
        used: rows that are used as delivered.
        repaired: rows that are used with a repaired word.
        dropped: copies of used rows.
        rejected: rows that were accepted by themselves, and rejected for what other rows say.
        contradicting: those of them that contradict another row.
        broken: (heading, rule) -> how often; without orphans.
        ids: distinct, after duplicates were decided.
        shared: of the customers of `market_file`, those that are among them.
        months: month -> those of them that have it.
        lacking: customers of the drop that the file has no row of.
    """

    used: int = 0
    repaired: int = 0
    dropped: int = 0
    rejected: int = 0
    contradicting: int = 0
    broken: dict[tuple[str | None, str], Broken] = field(default_factory=dict)
    ids: int = 0
    shared: int = 0
    months: Counter[str] = field(default_factory=Counter)
    lacking: int = 0

    def add(self, more: _Tally) -> None:
        """Add what was counted of other ranges."""
        self.used += more.used
        self.repaired += more.repaired
        self.dropped += more.dropped
        self.rejected += more.rejected
        self.contradicting += more.contradicting
        add_broken(self.broken, more.broken)
        self.ids += more.ids
        self.shared += more.shared
        self.months.update(more.months)
        self.lacking += more.lacking


class Tallies(NamedTuple):
    """What is counted over ranges of ids, of all tables; a plain value that can be sent.

    Args:
        tables: table -> what is counted of it.
        known: distinct customers in `market_file`, of readable rows.
        accepted: those of them with an accepted row there.
    """

    tables: dict[str, _Tally]
    known: int
    accepted: int


class Decided(NamedTuple):
    """What was decided about a range of ids.

    Args:
        tables: table -> its accepted rows, as `DropReading.ranges` yields them.
        tallies: what was counted.
        rejections: table -> the rejections of its rows for what others say.
    """

    tables: dict[str, pl.DataFrame]
    tallies: Tallies
    rejections: dict[str, list[pl.DataFrame]]


class DropReading:
    """A drop whose rows were judged by themselves, and now are by what the others say.

    First all of `ranges` must be taken, then `conclude` tells whether the drop as a whole is accepted.

    Args:
        read: table -> what became of its file.
        plan: how much is held at a time.
    """

    def __init__(self, read: Mapping[str, TableIntake], plan: MemoryPlan) -> None:
        self.read = read
        self._plan = plan
        self._tallies = {name: _Tally() for name in TABLES}
        self._known = 0
        self._accepted = 0

    @property
    def files(self) -> list[dict[str, object]]:
        """What the manifest says of each file."""
        return [
            {"table": name, **part.facts, "rows": part.rows_in, "blank_lines": part.blank_lines}
            for name, table in self.read.items()
            for part in table.files
        ]

    def ranges(self) -> Iterator[dict[str, pl.DataFrame]]:
        """Yield table -> its accepted rows (`row`, then its columns), for one range of ids after the other.

        Keys are unique, rows are ordered by `id`, and each customer is in one range. Nothing that is yielded may be
        published before `conclude` has accepted the drop.
        """
        for bounds in self.bounds():
            yield self.take(self.decide(bounds))
        self.clear()

    def bounds(self) -> list[tuple[Bound, Bound]]:
        """Return where the ranges begin and end; see `cut_ranges`."""
        spools = [spool for table in self.read.values() for spool in (table.accepted_rows, table.refuted_rows)]
        return cut_ranges(spools, self._plan.range_rows)

    def take(self, decided: Decided) -> dict[str, pl.DataFrame]:
        """Count what was decided about a range, keep its rejections, and return its tables."""
        for name, rejections in decided.rejections.items():
            for rejected in rejections:
                self.read[name].rejected_rows.append(rejected)
        self.absorb(decided.tallies)
        return decided.tables

    def clear(self) -> None:
        """Forget the accepted rows, once all ranges have been taken."""
        for table in self.read.values():
            table.accepted_rows.clear()
            table.refuted_rows.clear()

    @property
    def tallies(self) -> Tallies:
        """What was counted of the ranges that were taken."""
        return Tallies(self._tallies, self._known, self._accepted)

    def absorb(self, tallies: Tallies) -> None:
        """Count ranges that somebody else has taken, of a reading of the same files."""
        for name, tally in tallies.tables.items():
            self._tallies[name].add(tally)
        self._known += tallies.known
        self._accepted += tallies.accepted

    def conclude(self, limits: Limits) -> Intake:
        """Return what became of all rows.

        Raises:
            DropError: too much of the drop is wrong, or its tables do not belong together; every problem is named.
        """
        market_file = self.read[MARKET_FILE.name]
        problems: list[str | Problem] = []
        for name, table in self.read.items():
            problems.extend(_too_many_rejected(table, self._tallies[name], limits))
            problems.extend(_too_many_unknown(table, limits))
            if name != MARKET_FILE.name:
                problems.extend(_overlap(table, self._tallies[name], self._known, limits))
        problems.extend(self._cut_files())
        if not self._accepted:
            problems.append(Problem(market_file.file.name, "at least one row that can be used", "none"))
        if problems:
            raise DropError(problems)
        accounts = {table.file.name: _account(table, self._tallies[name]) for name, table in self.read.items()}
        for name, account in accounts.items():
            account.check(name)
        customers_in = self._known + market_file.unread
        return Intake(
            tables={},
            rejections={part.file.name: part.rejected_rows for table in self.read.values() for part in table.files},
            repairs=pl.concat([REPAIRS_SCHEMA.to_frame(), *(table.repairs for table in self.read.values())]),
            accounts=accounts,
            files=self.files,
            customers_in=customers_in,
            customers_rejected=customers_in - self._accepted,
            warnings=tuple(
                f"{part.file.name}, row {part.open_end}: the last line has no line end; nothing else seems cut"
                for table in self.read.values()
                for part in table.files
                if part.open_end is not None
            ),
        )

    def decide(self, bounds: tuple[Bound, Bound]) -> Decided:
        """Decide about the rows of one of `bounds`; threads may do that at once. `take` then counts them."""
        low, high = bounds
        tallies = {name: _Tally() for name in self.read}
        rejections: dict[str, list[pl.DataFrame]] = {name: [] for name in self.read}
        accepted = {name: table.accepted_rows.read(low, high) for name, table in self.read.items()}
        refuted = {name: table.refuted_rows.read(low, high) for name, table in self.read.items()}
        known = _distinct(accepted[MARKET_FILE.name], refuted[MARKET_FILE.name])
        if any(table.open_end is not None for table in self.read.values()):
            self._count_lacking(tallies, accepted, refuted, known)
        decided = {
            name: _decide_duplicates(table, tallies[name], rejections[name], accepted[name], refuted[name])
            for name, table in self.read.items()
        }
        customers = decided[MARKET_FILE.name]["id"]
        lost = known.filter(~known.is_in(customers.implode())) if known.len() != customers.len() else known.clear()
        for name, table in self.read.items():
            tally = tallies[name]
            if name != MARKET_FILE.name:
                has_strangers = _count_shared(table.file.table, tally, decided[name], known)
                if has_strangers or lost.len():
                    of_market_file = customers if has_strangers else None
                    decided[name] = _decide_orphans(
                        table, tally, rejections[name], decided[name], customers=of_market_file, lost=lost
                    )
            repaired = int(decided[name]["repaired"].sum())
            tally.repaired += repaired
            tally.used += decided[name].height - repaired
        tables = {name: rows.drop("repaired") for name, rows in decided.items()}
        return Decided(tables, Tallies(tallies, known.len(), customers.len()), rejections)

    def _count_lacking(
        self,
        tallies: Mapping[str, _Tally],
        accepted: Mapping[str, pl.DataFrame],
        refuted: Mapping[str, pl.DataFrame],
        known: pl.Series,
    ) -> None:
        """Count the customers of this range that a file without a line end at its end has no row of."""
        own = {name: _distinct(accepted[name], refuted[name]) for name in TABLES}
        for name, table in self.read.items():
            if table.open_end is None:
                continue
            tally = tallies[name]
            if name == MARKET_FILE.name:
                others = pl.concat(list(own.values())).unique()
                tally.lacking += int((~others.is_in(known.implode())).sum())
            else:
                tally.lacking += int((~known.is_in(own[name].implode())).sum())
                if "period" in table.file.table.key:
                    tally.lacking += _lacks_a_month(table, accepted[name])

    def _cut_files(self) -> Iterator[Problem]:
        """Name the files without a line end at their end that also lack rows: they seem to have been cut."""
        for name, table in self.read.items():
            lacking = self._tallies[name].lacking
            if table.open_end is not None and lacking:
                found = f"no line end, and no rows (or not of each month) for {lacking:,} of the drop's customers"
                file, row = table.place(table.open_end)
                yield Problem(file, "a whole file (it seems cut)", found, row=row)


def _distinct(accepted: pl.DataFrame, refuted: pl.DataFrame) -> pl.Series:
    """Return the distinct ids of a table's rows, of rejected ones, too (sorted)."""
    ids = accepted["id"]
    if refuted.height:
        ids = pl.concat([ids, refuted["id"]]).sort()
    return ids.filter(_is_first(ids))


def _is_first(ids: pl.Series) -> pl.Series:
    """Return where sorted ids differ from the one before."""
    return (ids != ids.shift()).fill_null(value=True)


def _decide_duplicates(
    read: TableIntake,
    tally: _Tally,
    rejections: list[pl.DataFrame],
    accepted: pl.DataFrame,
    refuted: pl.DataFrame,
) -> pl.DataFrame:
    """Keep the first of identical rows; reject all rows that share a key but say different things.

    A row that was rejected says something else than an accepted one: it gets this reason beside its own.

    Args:
        read: the table.
        tally: what is counted of it.
        rejections: where the rejections are added.
        accepted: its rows.
        refuted: its rows that were rejected by themselves.
    """
    table = read.file.table
    suspects = pl.concat([refuted["id"], _repeated(table, accepted)]).unique()
    if suspects.is_empty():
        return accepted
    alike = accepted.filter(pl.col("id").is_in(suspects.implode())).sort("id", "row")  # few: all else is about them
    refuted = refuted.drop_nulls().join(alike.select(table.key).unique(), on=table.key, how="semi")
    said = [heading.name for heading in table.expected(labelled=read.labelled)]
    first = alike.unique(said, keep="first", maintain_order=True)
    several = first.filter(pl.struct(table.key).is_duplicated()).select(table.key).unique()
    contradicting = pl.concat([several, refuted.select(table.key)]).unique()
    consistent = alike.join(contradicting, on=table.key, how="anti", maintain_order="left")
    kept = first.join(contradicting, on=table.key, how="anti", maintain_order="left")
    tally.contradicting += alike.height - consistent.height
    tally.rejected += alike.height - consistent.height
    tally.dropped += consistent.height - kept.height
    if contradicting.height:
        rows = pl.concat([alike.select(refuted.columns), refuted])
        rejected = reject_rows(
            read.file.name,
            rows.join(contradicting, on=table.key, how="semi").sort("row"),
            column=" + ".join(table.heading(name).delivered for name in table.key),
            rule=UNIQUE_RULE,
            value=pl.concat_str([_as_delivered(table, name) for name in table.key], separator=" + "),
        )
        rejections.append(rejected)
        count_broken(tally.broken, rejected)
    gone = alike["row"].filter(~alike["row"].is_in(kept["row"].implode()))
    return accepted.filter(~pl.col("row").is_in(gone.implode())) if gone.len() else accepted


def _repeated(table: Table, accepted: pl.DataFrame) -> pl.Series:
    """Return the ids of keys that occur twice in rows ordered by `id`."""
    months = len(_months(table))
    ids = pl.col("id")
    # Rows of one id that are further apart than there are months: some month occurs twice.
    repeated = ids == ids.shift(max(1, months))
    for distance in range(1, months):
        repeated |= (ids == ids.shift(distance)) & (pl.col("period") == pl.col("period").shift(distance))
    return accepted.filter(repeated)["id"]


def _months(table: Table) -> Mapping[str, str]:
    """Return month -> its name here, nothing where the table has no months."""
    words = table.heading("period").words if "period" in table.key else None
    return words.values if words is not None else {}


def _count_shared(table: Table, tally: _Tally, rows: pl.DataFrame, known: pl.Series) -> bool:
    """Count the customers of `market_file` that have rows here; return whether others have, too.

    Args:
        table: of the rows.
        tally: where it is counted.
        rows: without repeated keys, ordered by `id`.
        known: the ids of `market_file`.
    """
    is_first = _is_first(rows["id"])
    is_shared = rows["id"].is_in(known.implode())
    tally.ids += int(is_first.sum())
    tally.shared += int((is_first & is_shared).sum())
    for month, name in _months(table).items():
        tally.months[month] += int(((rows["period"] == name) & is_shared).sum())
    return not is_shared.all()


def _as_delivered(table: Table, name: str) -> pl.Expr:
    words = table.heading(name).words
    text = pl.col(name).cast(pl.String)
    return text if words is None else text.replace({inside: outside for outside, inside in words.values.items()})


def _decide_orphans(
    read: TableIntake,
    tally: _Tally,
    rejections: list[pl.DataFrame],
    rows: pl.DataFrame,
    *,
    customers: pl.Series | None,
    lost: pl.Series,
) -> pl.DataFrame:
    """Reject the rows of customers without an accepted row in `market_file`.

    Args:
        read: the table.
        tally: what is counted of it.
        rejections: where the rejections are added.
        rows: its rows.
        customers: the ids that are accepted; None if all others are known to be among `lost`.
        lost: the ids of `market_file` that are not accepted.
    """
    ids = rows["id"]
    is_orphan = ids.is_in(lost.implode()) if customers is None else ~ids.is_in(customers.implode())
    orphans = rows.filter(is_orphan)
    if orphans.is_empty():
        return rows
    rejections.append(
        reject_rows(read.file.name, orphans.sort("row"), column="id", rule=ORPHAN_RULE, value=pl.col("id"))
    )
    tally.rejected += orphans.height
    return rows.filter(~is_orphan)


def _overlap(read: TableIntake, tally: _Tally, known: int, limits: Limits) -> Iterator[Problem]:
    """Name a table that does not belong to this `market_file`: too few of its customers, or too many strangers.

    A table with months must have each month for as many customers.
    """
    table = read.file.table
    needed = 1 - limits.rejected
    if tally.shared < needed * known:
        hint = "; tables of different months?" if tally.shared < OVERLAP_LIMIT * known else ""
        found = f"rows for {_share(tally.shared, known, f'customers of {MARKET_FILE.name}')}"
        yield Problem(read.file.name, f"at least {needed:.1%} (--max-rejected{hint})", found, column="id")
    elif "period" in table.key:
        yield from _missing_months(read, tally, known, limits)
    strangers = tally.ids - tally.shared
    if strangers > limits.rejected * tally.ids:
        found = f"{_share(strangers, tally.ids, 'ids')} that {MARKET_FILE.name} does not have"
        yield Problem(read.file.name, f"at most {limits.rejected:.1%} (--max-rejected)", found, column="id")


def _missing_months(read: TableIntake, tally: _Tally, known: int, limits: Limits) -> Iterator[Problem]:
    heading = read.file.table.heading("period")
    for month in heading.words.values if heading.words else ():
        shared = tally.months[month]
        if shared < (1 - limits.rejected) * known:
            found = f"«{month}» for {_share(shared, known, f'customers of {MARKET_FILE.name}')}"
            expected = f"each month for at least {1 - limits.rejected:.1%} (--max-rejected)"
            yield Problem(read.file.name, expected, found, column=heading.delivered)


def _lacks_a_month(read: TableIntake, accepted: pl.DataFrame) -> bool:
    """Return whether the customer of the last row, if of this range, has not all months: the rest may be cut off."""
    last = accepted.filter(pl.col("row") == read.open_end).select("id")
    words = read.file.table.heading("period").words
    months = accepted.join(last, on="id", how="semi")["period"].n_unique()
    return words is not None and not last.is_empty() and months < len(words.values)


def _share(part: int, whole: int, what: str) -> str:
    return f"{part:,} of {whole:,} {what} ({part / whole:.1%})"


def _too_many_rejected(read: TableIntake, tally: _Tally, limits: Limits) -> Iterator[Problem]:
    rows = read.rejected_count + tally.contradicting
    if rows <= limits.rejected * read.rows_in:
        return
    expected = f"at most {limits.rejected:.1%} of {read.rows_in:,} rows rejected (--max-rejected), not {rows:,}"
    broken = {**read.broken, **tally.broken}
    for (column, rule), told in sorted(broken.items(), key=lambda item: item[1].first_row):
        held = "nothing" if not told.value else f"«{shorten(told.value, SHOWN_CHARACTERS)}»"
        found = f"{told.rows:,} rows where it is not true that it «{rule}»; the first holds {held}"
        name, row = read.place(told.first_row)
        yield Problem(name, expected, found, row=row, column=column)


def _too_many_unknown(read: TableIntake, limits: Limits) -> Iterator[Problem]:
    for column, unknown in read.unknown_words.items():
        if unknown > limits.unknown * read.rows_in:
            found = f"{_share(unknown, read.rows_in, 'rows')} with a word that the model does not know"
            yield Problem(read.file.name, f"at most {limits.unknown:.1%} of them (--max-unknown)", found, column=column)


def _account(read: TableIntake, tally: _Tally) -> Account:
    return Account(
        rows_in=read.rows_in,
        used=tally.used,
        repaired=tally.repaired,
        rejected=read.rejected_count + tally.rejected,
        dropped=tally.dropped,
    )
