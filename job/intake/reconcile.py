"""What only shows between rows and between tables: copies, contradictions, strangers, tables of different drops.

Ranges of ids are reconciled one by one, wherever; what is counted of them adds up, and then the drop is judged.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import partial
from itertools import accumulate, chain
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from job.errors import DropError, Problem, shorten
from job.executor import Executor, attempt, attempt_all
from job.intake.characters import name_odd_character
from job.intake.counts import RowCounts, Rule, Violations, add_fields, count_violations
from job.intake.drop import all_files
from job.intake.parquet import ParquetProbe
from job.intake.pieces import FileRead, line_of_record, read_piece
from job.intake.plan import FilePlan, Piece, plan_file
from job.intake.validate import REJECTED_SCHEMA, reject_rows
from job.levels import LevelCounts
from job.memory import MemoryPlan
from job.spill import SortedRuns, SpillSpace, cut_ranges
from schemas.columns import GIVEN, MARKET_FILE, TABLES, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from job.intake.drop import TableFile
    from job.settings import Limits
    from job.spill import Bound

    _ReadAll = Callable[[list[tuple[FilePlan, Piece]]], Iterator[FileRead | DropError]]

OVERLAP_LIMIT: Final = 0.5  # of the customers of market_file: a table with fewer is likely to be of another month
SHOWN_CHARACTERS: Final = 40  # of a rejected value in a message; rejected.csv has more of it

ROWS_OF_ONE_LIMIT: Final = 10_000  # a customer has three rows of a table at most, and exports repeat them some times
MOST_REPAIRS: Final = 1_000  # that are listed: the most frequent ones
MOST_SPELLINGS: Final = 100_000  # that are repaired; each is counted until the end, in about a kilobyte

UNIQUE_RULE: Final = "occurs once, or always with the same values"
ORPHAN_RULE: Final = "has an accepted row in market_file"


class Account(NamedTuple):
    """What became of the rows of one file: rows_in = as_delivered + repaired + rejected + dropped."""

    rows_in: int
    as_delivered: int
    repaired: int
    rejected: int
    dropped: int

    def check(self, name: str) -> None:
        """Raise AssertionError if rows were lost or counted twice: a defect of the job."""
        if self.rows_in != self.as_delivered + self.repaired + self.rejected + self.dropped:
            raise AssertionError(f"{name}: rows do not add up: {self}")


class TableRead(NamedTuple):
    """A table whose rows were judged by themselves, of one file or of many; rows are numbered through all of them."""

    file: TableFile  # or the folder of its files
    files: tuple[FileRead, ...]
    offsets: tuple[int, ...]  # the number before the first row of each
    accepted: SortedRuns  # of all files; columns that not all of them have are left out
    keys: SortedRuns
    counts: RowCounts

    def reject(self, rejected: pl.DataFrame) -> None:
        """Add rejections, each to its file. Args: rejected: `REJECTED_SCHEMA`, numbered through all files."""
        for file, offset in zip(self.files, self.offsets, strict=True):
            rows = rejected.filter(pl.col("row").is_between(offset + 1, offset + file.counts.lines))
            file.rejected.append(rows.with_columns(pl.col("row") - offset, pl.lit(file.plan.file.name).alias("file")))

    def problem(self, row: int, expected: str, found: str, *, column: str | None = None) -> Problem:
        """Return a problem with a row, which names its file and its place there. Args: row: numbered through all."""
        index = bisect_right(self.offsets, row - 1) - 1
        file, row_in_file = self.files[index], row - self.offsets[index]
        line = line_of_record(file.plan, row_in_file) if file.counts.line_breaks else None
        return Problem(file.plan.file.name, expected, found, row=row_in_file, column=column, line=line)


class DropRead(NamedTuple):
    """A drop whose rows were judged by themselves."""

    tables: dict[str, TableRead]

    @property
    def parts(self) -> list[FileRead]:
        """The files of all tables."""
        return [file for table in self.tables.values() for file in table.files]

    @property
    def files(self) -> list[dict[str, object]]:
        """What the manifest says of each."""
        return [file.describe() for file in self.parts]

    @property
    def levels(self) -> LevelCounts:
        """How often each revenue occurs in each month."""
        return sum((file.levels for file in self.parts), LevelCounts())

    def bounds(self, rows: int) -> list[tuple[Bound, Bound]]:
        """Return ranges of ids, each with about so many rows of the four tables; see `cut_ranges`.

        Raises DropError if one customer has so many rows that they are no range.
        """
        if problems := list(chain.from_iterable(map(_too_many_of_one, self.tables.values()))):
            raise DropError(problems)
        return cut_ranges([runs for table in self.tables.values() for runs in (table.accepted, table.keys)], rows)

    def clear(self) -> None:
        """Forget the rows, but not the rejections."""
        for table in self.tables.values():
            table.accepted.clear()
            table.keys.clear()


class Intake(NamedTuple):
    """A drop that was accepted."""

    rejections: dict[str, SortedRuns]  # file -> one row per rejected row and broken rule (`REJECTED_SCHEMA`), by row
    repairs: pl.DataFrame  # one row per file, column and repaired spelling (`REPAIRS_SCHEMA`)
    accounts: dict[str, Account]  # of each file, or the folder of a table's files
    files: list[dict[str, object]]  # what the manifest says of each
    customers_in: int  # distinct ones in `market_file`; a rejected row whose id cannot be read counts as one
    customers_rejected: int  # those of them without an accepted row there
    warnings: tuple[str, ...]  # one line each, for a person
    levels: LevelCounts  # how often each revenue occurs in each month
    tables: Mapping[str, pl.DataFrame] = {}  # accepted rows by `row`, the number in the file, if anybody holds them

    @property
    def rejected(self) -> pl.DataFrame:
        """All rejections, by row within each file, in the order of the tables."""
        return pl.concat([REJECTED_SCHEMA.to_frame(), *(runs.read() for runs in self.rejections.values())])


class TableCounts(NamedTuple):
    """What is counted of a table over ranges of ids."""

    as_delivered: int = 0  # rows that are used
    repaired: int = 0  # rows that are used with a repaired word
    dropped: int = 0  # copies of used rows
    rejected: int = 0  # rows that were accepted by themselves, and rejected for what other rows say
    contradicting: int = 0  # those of them that contradict another row
    violations: Mapping[Rule, Violations] = {}  # without those of strangers
    ids: int = 0  # distinct ones, after duplicates were decided
    shared: int = 0  # customers of `market_file` among them
    months: Mapping[str, int] = {}  # month -> those of them that have it
    lacking: int = 0  # customers of the drop that the file has no row of
    known_ends: int = 0  # 1 if the row that ends the file without a line end has an id: it is not of one of them

    def __add__(self, other: TableCounts) -> TableCounts:  # type: ignore[override] # not a tuple's
        return TableCounts(*add_fields(self, other))


class DropCounts(NamedTuple):
    """What is counted over ranges of ids, of all tables."""

    tables: Mapping[str, TableCounts] = dict.fromkeys(TABLES, TableCounts())
    known: int = 0  # distinct customers in `market_file`, of readable rows
    accepted: int = 0  # those of them with an accepted row there

    def __add__(self, other: DropCounts) -> DropCounts:  # type: ignore[override] # not a tuple's
        return DropCounts(*add_fields(self, other))


class Reconciled(NamedTuple):
    """A range of ids whose rows were compared."""

    tables: dict[str, pl.DataFrame]  # accepted rows (`row`, then the columns) by `id`; keys are unique
    counts: DropCounts
    rejected: dict[str, pl.DataFrame]  # for what other rows say (`REJECTED_SCHEMA`), numbered through all files


def read_drop(
    files: Mapping[str, TableFile],
    *,
    labelled: bool,
    executor: Executor | None = None,
    space: SpillSpace | None = None,
    memory: MemoryPlan | None = None,
) -> DropRead:
    """Read the files of a drop, of some tables or all, and judge each row by itself; its rows then wait in a space.

    Raises DropError: files that cannot be understood, all of them named; DropIncompleteError: a file changed while it
    was read; OutputError: the spill space cannot be written.
    """
    executor, memory, space = executor or Executor(), memory or MemoryPlan(), space or SpillSpace()
    with ParquetProbe() as probe:
        plan = partial(plan_file, labelled=labelled, memory=memory, probe=None if executor.is_remote else probe)
        planned = list(executor.map(partial(attempt, plan), all_files(files)))
    plans = [plan for plan in planned if isinstance(plan, FilePlan)]
    read_all = partial(executor.map, partial(attempt, partial(read_piece, space=space, memory=memory)))
    outcomes = _read_pieces(plans, read_all)
    refused = zip(all_files(files), planned, strict=True)
    outcomes |= {file.name: [error] for file, error in refused if isinstance(error, DropError)}
    join_table = partial(_join_table, outcomes=outcomes)
    tables, problems = attempt_all(join_table, [files[name] for name in TABLES if name in files])
    for file in files.values():
        file.check_unchanged()  # also while the others were read: all four must be of one delivery
    if problems:
        raise DropError(problems)
    return DropRead({table.file.table.name: table for table in tables})


def _read_pieces(plans: Sequence[FilePlan], read_all: _ReadAll) -> dict[str, list[FileRead | DropError]]:
    """Return file -> what was read of its pieces, in order; those of a file that is cut within a record are one."""
    tasks = [(plan._replace(pieces=()), piece) for plan in plans for piece in plan.pieces]
    pieces = iter(list(_bounded(read_all(tasks))))
    outcomes = {plan.file.name: [next(pieces) for _ in plan.pieces] for plan in plans}
    cut_within = []
    for plan in plans:
        read = [piece for piece in outcomes[plan.file.name] if isinstance(piece, FileRead)]
        if len(plan.pieces) > 1 and any(piece.breaks_records for piece in read):
            cut_within.append(plan._replace(pieces=(Piece(0, plan.pieces[-1].stop),)))
            for piece in read:
                for runs in (piece.accepted, piece.keys, piece.rejected):
                    runs.clear()
    return outcomes | _read_pieces(cut_within, read_all) if cut_within else outcomes


def _bounded(pieces: Iterator[FileRead | DropError]) -> Iterator[FileRead | DropError]:
    """Yield the same. Raises DropError: they repair more spellings than may be counted, each by itself."""
    spellings: set[tuple[str, str, str]] = set()
    for piece in pieces:
        if isinstance(piece, FileRead):
            spellings.update(piece.counts.repairs)
            if len(spellings) > MOST_SPELLINGS:
                raise DropError(f"misspellings: found more, expected at most {MOST_SPELLINGS:,} different ones")
        yield piece


def _join_table(file: TableFile, outcomes: Mapping[str, Sequence[FileRead | DropError]]) -> TableRead:
    """Return what was read of a table. Raises DropError: of all of its files; or none has a row."""
    files, problems = attempt_all(_join_file, [outcomes[part.name] for part in file.files])
    if not problems and not any(part.counts.rows for part in files):
        problems.append(Problem(file.name, "rows below the headings", "headings only"))
    if problems:
        raise DropError(problems)
    offsets = tuple(accumulate((part.counts.lines for part in files[:-1]), initial=0))
    accepted, keys, counts = files[0].accepted, files[0].keys, files[0].counts
    for read, offset in zip(files[1:], offsets[1:], strict=True):
        accepted.extend(read.accepted, shift=offset)
        keys.extend(read.keys, shift=offset)
        counts += read.counts.shifted(offset)
    return TableRead(file, tuple(files), offsets, accepted, keys, counts)


def _join_file(pieces: Sequence[FileRead | DropError]) -> FileRead:
    """Put the pieces of a file together. Raises DropError: the first of its pieces'."""
    whole, *others = pieces
    if isinstance(whole, DropError):
        raise whole
    for piece in others:
        if isinstance(piece, DropError):
            raise DropError(_shifted(defect, whole.counts.lines) for defect in piece.defects)
        whole = whole.joined(piece)
    return whole


def _shifted(defect: str | Problem, rows: int) -> str | Problem:
    return defect._replace(row=defect.row + rows) if isinstance(defect, Problem) and defect.row else defect


def reconcile_all(drop: DropRead, *, rows: int) -> Iterator[Reconciled]:
    """Reconcile a drop range by range, each with about so many rows; the rejections are kept with their files.

    Nothing that is yielded may be published before `judge_drop` has accepted the drop.
    """
    for bounds in drop.bounds(rows):
        reconciled = reconcile_range(drop, bounds)
        keep_rejections(drop, reconciled.rejected)
        yield reconciled


def keep_rejections(drop: DropRead, rejected: Mapping[str, pl.DataFrame]) -> None:
    """Add the rejections of a range to those of their files. Args: rejected: of `Reconciled`."""
    for name, rows in rejected.items():
        drop.tables[name].reject(rows)


def accept_drop(files: Mapping[str, TableFile], *, labelled: bool, limits: Limits) -> Intake:
    """Read the four files of a drop, decide about each row, and hold all tables in memory.

    Raises as `read_drop` (see there) and `judge_drop`.
    """
    memory = MemoryPlan()
    drop = read_drop(files, labelled=labelled, memory=memory)
    parts = list(reconcile_all(drop, rows=memory.range_rows))
    counts = sum((part.counts for part in parts), DropCounts())
    tables = {name: pl.concat(part.tables[name] for part in parts).sort("row") for name in TABLES}
    return judge_drop(drop, counts, limits)._replace(tables=tables)


def refuses_rows(drop: DropRead, limits: Limits) -> bool:
    """Return whether a drop is refused for what its rows are by themselves, whatever they say of each other."""
    return any(
        next(_too_many_rejected(table, TableCounts(), limits), None) or next(_too_many_unknown(table, limits), None)
        for table in drop.tables.values()
    )


def judge_drop(drop: DropRead, counts: DropCounts, limits: Limits) -> Intake:
    """Return what became of all rows of a drop, of counts and with the rejections of all ranges.

    Raises DropError if too much of it is wrong, or its tables do not belong together; every problem is named.
    """
    market_file = drop.tables[MARKET_FILE.name]
    problems: list[str | Problem] = []
    for name, table in drop.tables.items():
        problems.extend(_too_many_rejected(table, counts.tables[name], limits))
        problems.extend(_too_many_unknown(table, limits))
        if name != MARKET_FILE.name:
            problems.extend(_overlap(table, counts.tables[name], counts.known, limits))
    problems.extend(_cut_files(drop, counts))
    if not counts.accepted:
        problems.append(Problem(market_file.file.name, "at least one row that can be used", "none"))
    if problems:
        raise DropError(problems)
    accounts: dict[str, Account] = {}
    for name, table in drop.tables.items():
        used, by_itself = counts.tables[name], table.counts
        rejected = by_itself.rejected + used.rejected
        account = Account(by_itself.rows, used.as_delivered, used.repaired, rejected, used.dropped)
        account.check(table.file.name)
        accounts[table.file.name] = account
    customers_in = counts.known + market_file.counts.unread
    files = drop.parts
    repairs, more_repairs = _most_frequent(pl.concat([file.repairs for file in files]))
    return Intake(
        rejections={file.plan.file.name: file.rejected for file in files},
        repairs=repairs,
        accounts=accounts,
        files=drop.files,
        customers_in=customers_in,
        customers_rejected=customers_in - counts.accepted,
        warnings=(
            *(
                f"{file.plan.file.name}, row {file.counts.open_end}: the last line has no line end"
                f"{' and is rejected' if file.counts.rejects_end else ''}; nothing else seems cut"
                for file in files
                if file.counts.open_end
            ),
            *more_repairs,
        ),
        levels=drop.levels,
    )


def _most_frequent(repairs: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Return the most frequent repairs, in their order, and a line that tells of the others."""
    if repairs.height <= MOST_REPAIRS:
        return repairs, []
    numbered = repairs.with_row_index("place")
    kept = numbered.sort("rows", descending=True, maintain_order=True).head(MOST_REPAIRS).sort("place").drop("place")
    rows = int(repairs["rows"].sum()) - int(kept["rows"].sum())
    return kept, [
        f"{repairs.height:,} spellings were repaired; the {MOST_REPAIRS:,} most frequent are listed, "
        f"the others are in {rows:,} rows"
    ]


def reconcile_range(drop: DropRead, bounds: tuple[Bound, Bound]) -> Reconciled:
    """Compare the rows of a range of ids: keep one of copies, reject contradictions and strangers, and count."""
    accepted = {name: table.accepted.read(*bounds) for name, table in drop.tables.items()}
    keys = {name: table.keys.read(*bounds) for name, table in drop.tables.items()}
    known = _distinct(accepted[MARKET_FILE.name], keys[MARKET_FILE.name])
    decided = {name: _decide_copies(table, accepted[name], keys[name]) for name, table in drop.tables.items()}
    customers = decided[MARKET_FILE.name][0]["id"]
    has_lost = known.len() != customers.len()
    tables: dict[str, pl.DataFrame] = {}
    counts: dict[str, TableCounts] = {}
    rejected: dict[str, pl.DataFrame] = {}
    for name, table in drop.tables.items():
        rows, counted, rejections = decided[name]
        if table.counts.open_end:
            others = TABLES if name == MARKET_FILE.name else (MARKET_FILE.name,)
            customers_of_drop = pl.concat(_distinct(accepted[other], keys[other]) for other in others)
            counted += _count_lacking(table, accepted[name], keys[name], customers_of_drop.unique())
        if name != MARKET_FILE.name:
            shared = _count_shared(table.file.table, rows, known)
            counted += shared
            if has_lost or shared.shared < shared.ids:
                rows, strangers = _reject_strangers(table, rows, customers)
                counted += TableCounts(rejected=strangers.height)
                rejections = pl.concat([rejections, strangers])
        repaired = int(rows["repaired"].sum())
        counts[name] = counted + TableCounts(repaired=repaired, as_delivered=rows.height - repaired)
        tables[name] = rows.drop("repaired")
        if rejections.height:
            rejected[name] = rejections
    return Reconciled(tables, DropCounts(counts, known.len(), customers.len()), rejected)


def _too_many_of_one(table: TableRead) -> Iterator[Problem]:
    """Name a table that repeats one id for ever: its rows could not be held together."""
    customer, rows = max(table.accepted.least_repeated(), table.keys.least_repeated(), key=itemgetter(1))
    if rows > ROWS_OF_ONE_LIMIT:
        expected = f"at most {ROWS_OF_ONE_LIMIT:,} rows of one customer"
        yield Problem(table.file.name, expected, f"more, of id {customer}", column="id")


def _count_lacking(read: TableRead, accepted: pl.DataFrame, keys: pl.DataFrame, customers: pl.Series) -> TableCounts:
    """Count the customers of a range that a table without a line end at its end has no row of: they may be cut off.

    So may be months of the customer of its last row.
    """
    is_last, months = pl.col("row") == read.counts.open_end, _months(read.file.table)
    last = accepted.filter(is_last)["id"]
    lacking = int((~customers.is_in(_distinct(accepted, keys).implode())).sum())
    if months and last.len():
        lacking += accepted.filter(pl.col("id").is_in(last.implode()))["period"].n_unique() < len(months)
    return TableCounts(lacking=lacking, known_ends=last.len() + keys.filter(is_last).height)


def _cut_files(drop: DropRead, counts: DropCounts) -> Iterator[Problem]:
    """Name the files without a line end at their end that also lack rows: they seem to have been cut."""
    for name, table in drop.tables.items():
        lacking = counts.tables[name].lacking - (1 - counts.tables[name].known_ends)
        if table.counts.open_end and lacking > 0:
            found = f"no line end, and no rows (or not of each month) for {lacking:,} of the drop's customers"
            yield table.problem(table.counts.open_end, "a whole file (it seems cut)", found)


def _distinct(accepted: pl.DataFrame, keys: pl.DataFrame) -> pl.Series:
    """Return the distinct ids of a table's rows, of rejected ones, too (sorted)."""
    ids = accepted["id"]
    if keys.height:
        ids = pl.concat([ids, keys["id"]]).sort()
    return ids.filter((ids != ids.shift()).fill_null(value=True))


def _decide_copies(
    read: TableRead, accepted: pl.DataFrame, keys: pl.DataFrame
) -> tuple[pl.DataFrame, TableCounts, pl.DataFrame]:
    """Keep the first of identical rows; reject all rows that share a key but say different things.

    A row that was rejected by itself (one of `keys`) says something else than an accepted one: it gets this reason
    beside its other ones. Returns the rows that are kept, what was counted of the others, and the rejections.
    """
    table = read.file.table
    suspects = pl.concat([keys["id"], _repeated(table, accepted)]).unique()
    if suspects.is_empty():
        return accepted, TableCounts(), REJECTED_SCHEMA.to_frame()
    places = _places(accepted["id"], suspects)
    alike = accepted[places].lazy().with_columns(places.alias("_place"))  # few: all else is about them
    judged = [heading.name for heading in read.files[0].plan.headings]  # null in `keys` but for the key
    decided = (
        pl.concat([alike, keys.lazy().drop_nulls()], how="diagonal")
        .sort("row")
        .with_columns(_is_first=pl.struct(judged).is_first_distinct())
        .with_columns(_contradicts=pl.col("_is_first").sum().over(table.key) > 1)
        .collect(engine="in-memory")
    )
    contradicting = decided.filter("_contradicts")
    rejected = reject_rows(
        read.file.name,
        contradicting,
        column=" + ".join(table.heading(name).delivered for name in table.key),
        rule=UNIQUE_RULE,
        value=pl.concat_str([_as_delivered(table, name) for name in table.key], separator=" + "),
    )
    gone = decided.filter(pl.col("_place").is_not_null() & (pl.col("_contradicts") | ~pl.col("_is_first")))["_place"]
    several = contradicting["_place"].count()
    violations = count_violations(rejected)
    counts = TableCounts(rejected=several, contradicting=several, dropped=gone.len() - several, violations=violations)
    if gone.is_empty():
        return accepted, counts, rejected
    stays = pl.repeat(value=True, n=accepted.height, dtype=pl.Boolean, eager=True)
    stays[gone] = False
    return accepted.filter(stays), counts, rejected


def _places(ids: pl.Series, wanted: pl.Series) -> pl.Series:
    """Return the places (UInt32) of some ids among sorted ones."""
    first, behind = (ids.search_sorted(wanted, side=side) for side in ("left", "right"))
    return pl.select(pl.int_ranges(first, behind, dtype=pl.UInt32).explode().drop_nulls()).to_series()


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


def _count_shared(table: Table, rows: pl.DataFrame, known: pl.Series) -> TableCounts:
    """Count the ids of a table's rows, by `id` and without repeated keys, and the `known` ones among them."""
    ids, months = pl.col("id"), _months(table)
    marked = rows.lazy().with_columns(first=ids.ne_missing(ids.shift()), shared=ids.is_in(known.implode()))
    by_month = (((pl.col("period") == name) & pl.col("shared")).sum().alias(name) for name in months.values())
    both = (pl.col("first") & pl.col("shared")).sum()
    sums = marked.select(pl.col("first").sum(), both.alias("both"), *by_month).collect(engine="in-memory").row(0)
    return TableCounts(ids=sums[0], shared=sums[1], months=dict(zip(months, sums[2:], strict=True)))


def _as_delivered(table: Table, name: str) -> pl.Expr:
    words = table.heading(name).words
    text = pl.col(name).cast(pl.String)
    return text if words is None else text.replace({inside: outside for outside, inside in words.values.items()})


def _reject_strangers(read: TableRead, rows: pl.DataFrame, customers: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of customers with an accepted row in `market_file`, and the rejections of the others."""
    is_stranger = ~rows["id"].is_in(customers.implode())
    strangers = rows.filter(is_stranger).sort("row")
    rejected = reject_rows(read.file.name, strangers, column="id", rule=ORPHAN_RULE, value=pl.col("id"))
    return rows.filter(~is_stranger) if strangers.height else rows, rejected


def _overlap(read: TableRead, counts: TableCounts, known: int, limits: Limits) -> Iterator[Problem]:
    """Name a table that does not belong to this `market_file`: too few of its customers, or too many strangers.

    A table with months must have each month for as many customers.
    """
    needed, whose = 1 - limits.rejected, f"customers of {MARKET_FILE.name}"
    if counts.shared < needed * known:
        is_whole = read.counts.rejected <= limits.rejected * read.counts.rows
        hint = "; tables of different months?" if is_whole and counts.shared < OVERLAP_LIMIT * known else ""
        found = f"rows for {_share(counts.shared, known, whose)}"
        yield Problem(read.file.name, f"at least {needed:.1%} (--max-rejected{hint})", found, column="id")
    else:
        expected = f"each month for at least {needed:.1%} (--max-rejected)"
        for month, shared in counts.months.items():
            if shared < needed * known:
                heading = read.file.table.heading("period").delivered
                yield Problem(read.file.name, expected, f"«{month}» for {_share(shared, known, whose)}", column=heading)
    strangers = counts.ids - counts.shared
    if strangers > limits.rejected * counts.ids:
        found = f"{_share(strangers, counts.ids, 'ids')} that {MARKET_FILE.name} does not have"
        yield Problem(read.file.name, f"at most {limits.rejected:.1%} (--max-rejected)", found, column="id")


def _share(part: int, whole: int, what: str) -> str:
    return f"{part:,} of {whole:,} {what} ({part / whole:.1%})"


def _too_many_rejected(read: TableRead, counts: TableCounts, limits: Limits) -> Iterator[Problem]:
    rows, rows_in = read.counts.rejected + counts.contradicting, read.counts.rows
    if rows <= limits.rejected * rows_in:
        return
    how_many = f"{rows:,} {'is' if rows == 1 else 'are'} rejected"
    allowed = f"--max-rejected allows {int(limits.rejected * rows_in):,} of {rows_in:,} rows, and {how_many}"
    violations = {**read.counts.violations, **counts.violations}
    for (column, rule), broken in sorted(violations.items(), key=lambda item: item[1].first_row):
        found = _describe_value(broken.value)
        if broken.rows > 1:
            found += f" and {broken.rows - 1:,} more row{'s' if broken.rows > 2 else ''} like it"  # noqa: PLR2004
        expected = "a value" if rule == GIVEN.fact else f"a {'line' if column is None else 'value'} that {rule}"
        yield read.problem(broken.first_row, f"{expected}; {allowed}", found, column=column)


def _describe_value(value: str | None) -> str:
    """Return a rejected value for a message; a character in it that is not what it looks like is named."""
    if not value:
        return "nothing"
    odd = name_odd_character(value)
    return f"«{shorten(value, SHOWN_CHARACTERS)}»{f' (with {odd})' if odd else ''}"


def _too_many_unknown(read: TableRead, limits: Limits) -> Iterator[Problem]:
    for column, unknown in read.counts.unknown_words.items():
        if unknown > limits.unknown * read.counts.rows:
            found = f"{_share(unknown, read.counts.rows, 'rows')} with a word that the model does not know"
            yield Problem(read.file.name, f"at most {limits.unknown:.1%} of them (--max-unknown)", found, column=column)
