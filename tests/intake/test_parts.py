from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from job.errors import DropError, DropIncompleteError, JobError
from job.intake import reconcile
from job.intake.drop import check_ready_marker, find_files, hash_file, wait_for_files
from job.intake.lines import LINE_LIMIT
from job.intake.reconcile import DropCounts, Intake, judge_drop, read_drop, reconcile_all
from job.intake.summary import describe_intake, summarise_intake
from job.settings import Arrival, Limits
from job.spill import SpillSpace
from tests.intake.drops import Drop, Style, make_drop, take, write_drop

ALL: Any = Limits(rejected=1, unknown=1)
STYLES = (Style(), Style(encoding="cp1251", separator=";", decimal_mark=",", line_end="\n"), Style(encoding="utf-16"))


def part_names(count: int) -> list[str]:
    return [
        f"month=2026-1{place % 3}/part-{place:04}.csv" if place % 2 else f"part-{place:04}.csv"
        for place in range(count)
    ]


def write_parts(folder: Path, drop: Drop, table: str, cuts: list[int], styles: tuple[Style, ...] = STYLES) -> list[str]:
    """Write the rows of one table to as many files as there are cuts, plus one; return their names in order."""
    headings, *rows = drop[table]
    (folder / f"{table}.csv").unlink(missing_ok=True)
    bounds = [0, *sorted(cuts), len(rows)]
    names = sorted(part_names(len(bounds) - 1))
    for place, name in enumerate(names):
        path = folder / table / name
        path.parent.mkdir(parents=True, exist_ok=True)
        own = rows[bounds[place] : bounds[place + 1]]
        path.write_bytes(styles[place % len(styles)].bytes([headings, *own]))
    return [f"{table}/{name}" for name in names]


def spoil(drop: Drop) -> Drop:
    """Make every kind of decision necessary: repairs, copies, contradictions, orphans, unreadable rows."""
    money, time = drop["market_money"], drop["market_time"]
    money[4][1] = "предыдцщий_месяц"
    money[7][2] = "много"
    money += [list(money[10]), [*money[20][:2], 1.25], [1, "текущий_месяц", 5.5]]
    time[3][0] = "кто"
    time += [list(time[5]), [*time[8][:2], 999]]
    file = drop["market_file"]
    file[6][3] = -1
    file += [list(file[9]), [*file[12][:-1], 77]]
    return drop


def without_places(rejected: pl.DataFrame) -> pl.DataFrame:
    return rejected.drop("file", "row")


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # shrinking takes minutes, and the examples are small
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    table=st.sampled_from(["market_file", "market_money", "market_time", "money"]),
    places=st.lists(st.floats(0, 1), max_size=5),
    seed=st.integers(0, 99),
)
def test_parts_give_what_the_whole_gives(tmp_path: Path, table: str, places: list[float], seed: int) -> None:
    drop = spoil(make_drop(40))
    body = drop[table][1:]
    Random(seed).shuffle(body)  # noqa: S311 - no secret
    drop[table][1:] = body
    shutil.rmtree(tmp_path / "whole", ignore_errors=True)
    shutil.rmtree(tmp_path / "parts", ignore_errors=True)
    whole = take(write_drop(tmp_path / "whole", drop), limits=ALL)
    folder = write_drop(tmp_path / "parts", drop)
    cuts = [round(place * len(body)) for place in places]
    names = write_parts(folder, drop, table, cuts)
    parts = take(folder, limits=ALL)
    for name in whole.tables:
        assert_frame_equal(parts.tables[name].drop("row"), whole.tables[name].drop("row"))
    renamed = {f"{table}/" if name == f"{table}.csv" else name: account for name, account in whole.accounts.items()}
    assert parts.accounts == renamed
    assert (parts.customers_in, parts.customers_rejected) == (whole.customers_in, whole.customers_rejected)
    assert [file["file"] for file in parts.files if file["table"] == table] == names
    assert_frame_equal(
        without_places(parts.rejected), without_places(whole.rejected), check_row_order=False, categorical_as_str=True
    )
    check_places(folder, parts)
    sums = parts.repairs.group_by("column", "from", "to").agg(pl.col("rows").sum())
    theirs = whole.repairs.group_by("column", "from", "to").agg(pl.col("rows").sum())
    assert_frame_equal(sums, theirs, check_row_order=False)


def check_places(folder: Path, intake: Intake) -> None:
    """Each rejection names a row of its file that has the id it tells."""
    encodings = {str(file["file"]): str(file["encoding"]) for file in intake.files}
    for file, row, told in intake.rejected.select("file", "row", "id").iter_rows():
        line = (folder / file).read_bytes().decode(encodings[file]).splitlines()[row - 1]
        assert line.replace(";", ",").split(",")[0] == told


def test_parts_wait_on_disk_and_come_in_ranges(tmp_path: Path) -> None:
    drop = spoil(make_drop(700))
    whole = take(write_drop(tmp_path / "whole", drop), limits=ALL)
    folder = write_drop(tmp_path / "parts", drop)
    for table in drop:
        write_parts(folder, drop, table, [100, 101, 350])
    (tmp_path / "scratch").mkdir()
    files = wait_for_files(folder, Arrival())
    read = read_drop(files, labelled=False, space=SpillSpace(tmp_path / "scratch"))
    ranges = list(reconcile_all(read, rows=1000))
    assert len(ranges) > 1
    for name in drop:
        found = pl.concat(part.tables[name] for part in ranges).sort("row").drop("row")
        assert_frame_equal(found, whole.tables[name].drop("row"))
    intake = judge_drop(read, sum((part.counts for part in ranges), DropCounts()), ALL)
    assert_frame_equal(without_places(intake.rejected), without_places(whole.rejected), check_row_order=False)


def test_parquet_parts(tmp_path: Path) -> None:
    drop = make_drop(40)
    folder = write_drop(tmp_path, drop)
    whole = take(folder)
    (folder / "money.csv").unlink()
    rows = pl.DataFrame(drop["money"][1:], schema=[str(name) for name in drop["money"][0]], orient="row")
    for place, part in enumerate([rows.head(15), rows.head(0), rows.slice(15)]):
        path = folder / "money" / f"month={place}" / f"part-{place}.snappy.parquet"
        path.parent.mkdir(parents=True)
        part.write_parquet(path)
    (folder / "money" / "_SUCCESS").touch()
    (folder / "money" / ".part-0.crc").touch()
    parts = take(folder)
    assert_frame_equal(parts.tables["money"].drop("row"), whole.tables["money"].drop("row"))
    assert [(file["file"], file["rows"]) for file in parts.files[-3:]] == [
        ("money/month=0/part-0.snappy.parquet", 15),
        ("money/month=1/part-1.snappy.parquet", 0),
        ("money/month=2/part-2.snappy.parquet", 25),
    ]


def test_a_summary_has_one_row_for_a_table(tmp_path: Path) -> None:
    drop = make_drop(40)
    folder = write_drop(tmp_path, drop)
    write_parts(folder, drop, "money", [15])
    intake = take(folder)
    row = next(line for line in summarise_intake(intake, {}).splitlines() if "money/" in line)
    assert " ".join(row.split()) == "money/ (2 files) csv utf-8 + cp1251 , + ; . + , CRLF + LF 40 40 0 0 0"
    assert [*describe_intake(intake, {})["rows"]] == [
        "market_file.csv",
        "market_money.csv",
        "market_time.csv",
        "money/",
    ]


def refusal(folder: Path, kind: type[JobError]) -> tuple[str, ...]:
    with pytest.raises(kind) as caught:
        find_files(folder)
    return caught.value.problems


@pytest.fixture
def parted(tmp_path: Path) -> Path:
    drop = make_drop(40)
    folder = write_drop(tmp_path / "drop", drop)
    write_parts(folder, drop, "money", [15, 20], styles=(Style(),))
    return folder


ENDINGS = ".csv or .csv.gz or .csv.zst or .parquet"


def test_what_is_no_part(parted: Path, tmp_path: Path) -> None:
    (parted / "money" / "notes.txt").write_text("hello")
    (parted / "money" / "other.parquet").write_bytes(b"PAR1")
    (tmp_path / "outside.csv").write_text("id,x")
    (parted / "money" / "link.csv").symlink_to(tmp_path / "outside.csv")
    assert refusal(parted, DropError) == (
        "money/link.csv: found a link that leaves the drop, expected a file inside the drop",
        "money/notes.txt: found a file in another format, expected only parts of the table, "
        f"ending in {ENDINGS} (take it away if it is none)",
        "money/: found money/part-0002.csv and money/other.parquet, expected files of one format",
    )


@pytest.mark.parametrize(
    "name", ["part-9", "000000_0", "part-9.orc", "part-9.tsv", "part-9.json", "part-9.xlsx", "manifest"]
)
def test_a_part_in_another_format_does_not_vanish(parted: Path, name: str) -> None:
    (parted / "money" / name).write_bytes(b"x")
    (problem,) = refusal(parted, DropError)
    assert problem.startswith(f"money/{name}: found a file in another format, expected only parts of the table")


LEFT = (
    *("Thumbs.db", "ehthumbs.db", "desktop.ini", "part-0.csv.crc", "part-0.csv~", "part-0.csv.bak", "#part-0.csv#"),
    *("part-0.csv.md5", "part-0.csv.sha256", "part-0.csv.metadata", "~$money.xlsx", "README.md", "part-0.csv.swp"),
    *("@eaDir", "$RECYCLE.BIN", "lost+found"),
)


@pytest.mark.parametrize("within", ["", "month=2026-10"])
def test_what_programs_leave_among_parts_is_passed_over_and_told(
    parted: Path, within: str, caplog: pytest.LogCaptureFixture
) -> None:
    parts = find_files(parted)["money"].parts
    (parted / "money" / within).mkdir(exist_ok=True)
    for name in LEFT:
        (parted / "money" / within / name).write_bytes(b"x")
    empty = ("empty.csv", "empty.parquet")
    for name in empty:
        (parted / "money" / within / name).touch()
    (parted / "money" / within / "headings-none.csv").write_bytes(b"\xef\xbb\xbf\r\n")
    (parted / "money" / within / "none.csv.gz").write_bytes(gzip.compress(b""))
    with caplog.at_level("INFO"):
        files = wait_for_files(parted, Arrival(wait_minutes=1), clock=iter(range(100)).__next__, sleep=lambda _: None)
    assert [part.path for part in files["money"].parts] == [part.path for part in parts]
    whole = [
        *((name, "no part") for name in LEFT),
        *((name, "empty") for name in (*empty, "headings-none.csv", "none.csv.gz")),
    ]
    folder = "/".join(filter(None, ("money", within)))
    told = sorted(f"{folder}/{name} is passed over: it is {why}" for name, why in whole)
    assert sorted(message for message in caplog.messages if "passed over" in message) == told


@pytest.mark.parametrize(
    "name", ["_SUCCESS", "_committed_1", ".DS_Store", "._part-0.csv", ".part-0.csv.crc", "_metadata", ".nfs001"]
)
def test_what_is_hidden_by_custom_is_passed_over(parted: Path, name: str) -> None:
    parts = find_files(parted)["money"].parts
    (parted / "money" / name).write_bytes(b"x")
    assert [part.path for part in find_files(parted)["money"].parts] == [part.path for part in parts]


ARRIVING = (
    *("part-9.csv.filepart", "part-9.csv.part", "part-9.csv.tmp", "part-9.crdownload", "part-9.csv._COPYING_"),
    *(".part-9.csv.Ab3xY9", ".part-9-0.inprogress.0a1b", ".part-9.csv.filepart", "_temporary", ".spark-staging-7f"),
    "_started_123",
)


@pytest.mark.parametrize("within", ["", "month=2026-10"])
@pytest.mark.parametrize("name", ARRIVING)
def test_a_part_that_is_still_uploaded_is_waited_for(parted: Path, name: str, within: str) -> None:
    (parted / "money" / within).mkdir(exist_ok=True)
    (parted / "money" / within / name).write_bytes(b"x")
    path = "/".join(filter(None, (within, name)))
    assert refusal(parted, DropIncompleteError) == (f"money/: found {path}, expected files that are whole",)


@pytest.mark.parametrize(("name", "ends"), [("_temporary", "_SUCCESS"), ("_started_123", "_committed_123")])
def test_what_a_finished_writer_left_is_not_waited_for(parted: Path, name: str, ends: str) -> None:
    (parted / "money" / name).mkdir()
    (parted / "money" / ends).touch()
    assert len(find_files(parted)["money"].parts) == 3


def test_parts_that_are_all_empty_may_still_come(parted: Path) -> None:
    for part in find_files(parted)["money"].parts:
        part.path.write_bytes(b"")
    assert refusal(parted, DropIncompleteError) == (
        f"money/: found none with rows, expected files ending in {ENDINGS}",
    )


def test_a_marker_knows_the_size_of_a_part_that_is_still_empty(parted: Path) -> None:
    files = [file for table in find_files(parted).values() for file in table.files]
    lines = [f"{file.name} {file.stamp.size}\n" for file in files]
    (parted / "_READY").write_text("".join(lines))
    files[-1].path.write_bytes(b"")
    with pytest.raises(DropIncompleteError) as caught:
        check_ready_marker(parted, find_files(parted))
    size = files[-1].stamp.size
    assert caught.value.problems == (f"{files[-1].name}: found 0 bytes, expected {size} bytes as _READY says",)


@pytest.mark.parametrize("name", ["money.csv", "Money.parquet", "money.csv.gz"])
def test_a_folder_may_be_named_like_a_file(parted: Path, name: str) -> None:
    parts = [part.path.name for part in find_files(parted)["money"].parts]
    (parted / "money").rename(parted / name)
    (parted / name / "_SUCCESS").touch()
    assert [part.path.name for part in find_files(parted)["money"].parts] == parts


NAMED_OTHERWISE = (
    *(
        "money.xlsx",
        "money_2026-10.csv",
        "money (1).csv",
        "money.txt",
        "Money-new.zip",
        "money.csv.zip",
        "money.csv.txt",
    ),
    *(
        "2026-10_money.csv",
        "Копия money.csv",
        "money - копия.csv",
        "MONEY.CSV.XLSX",
        "money",
        "money.csv.gz.bak",
        "1.money.ods",
    ),
)


@pytest.mark.parametrize("name", NAMED_OTHERWISE)
def test_a_table_in_another_format_or_name_ends_the_wait(parted: Path, name: str) -> None:
    (parted / "money").rename(parted.parent / "away")
    (parted / name).write_bytes(b"x")
    assert refusal(parted, DropError) == (
        f"{parted}: found {name}, expected money.* ending in {ENDINGS}: export it so, under this name",
    )


@pytest.mark.parametrize(
    "name", ["money.csv.filepart", "money.csv.x7f3", "money.tmp", "moneyback.csv", ".money.csv.Ab3xY9"]
)
def test_a_table_that_is_still_uploaded_is_waited_for(parted: Path, name: str) -> None:
    (parted / "money").rename(parted.parent / "away")
    (parted / name).write_bytes(b"x")
    assert refusal(parted, DropIncompleteError) == (
        f"{parted}: found no such file, expected money.* ending in {ENDINGS}",
    )


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("_delta_log", "Delta Lake"),
        ("export/_delta_log", "Delta Lake"),
        (".hoodie", "Hudi"),
        ("day=1/.hoodie_partition_metadata", "Hudi"),
        ("metadata", "Iceberg"),
        ("shop/money/metadata", "Iceberg"),
    ],
)
def test_tables_of_lakes_are_refused_by_name(parted: Path, name: str, title: str) -> None:
    """Their files hold deleted customers, too."""
    (parted / "money" / name).mkdir(parents=True)
    assert refusal(parted, DropError) == (
        f"money/: found a {title} table ({name}), "
        "expected the table's rows as CSV or Parquet, exported (the files here may hold deleted and older rows)",
    )


def test_a_folder_without_files_is_not_complete(parted: Path) -> None:
    shutil.rmtree(parted / "money")
    (parted / "money" / "_old").mkdir(parents=True)
    (parted / "money" / "_old" / "part-0.csv").write_text("half")
    (parted / "market_time.csv").unlink()
    assert refusal(parted, DropIncompleteError) == (
        f"{parted}: found no such file, expected market_time.* ending in {ENDINGS}",
        f"money/: found none with rows, expected files ending in {ENDINGS}",
    )


def test_a_file_and_a_folder_of_one_table(parted: Path) -> None:
    (parted / "money.csv").write_text("id")
    assert refusal(parted, DropError) == (f"{parted}: found money, money.csv, expected one file for the table money",)


def test_the_marker_names_parts(parted: Path) -> None:
    files = find_files(parted)
    whole = [file for table in files.values() for file in table.files]
    (parted / "_READY").write_text("".join(f"{hash_file(file)}  ./{file.name}\n" for file in whole))
    assert check_ready_marker(parted, find_files(parted))
    (parted / "_READY").write_text("".join(f"{file.name} {file.stamp.size}\n" for file in whole[:-1]))
    with pytest.raises(DropIncompleteError) as caught:
        check_ready_marker(parted, find_files(parted))
    assert caught.value.problems == (f"_READY: found none, expected a line for {whole[-1].name}",)


@pytest.mark.parametrize("change", ["new", "grown", "gone"])
def test_a_folder_that_changes_while_it_is_read(parted: Path, change: str) -> None:
    files = find_files(parted)
    part = parted / "money" / "part-0000.csv"
    if change == "new":
        (parted / "money" / "zz.csv").write_bytes(part.read_bytes())
    elif change == "grown":
        part.write_bytes(part.read_bytes() + b"1,2\r\n")
    else:
        part.unlink()
    with pytest.raises(DropIncompleteError, match="changed while it was read"):
        read_drop(files, labelled=False)


def test_problems_name_the_part_and_its_row(parted: Path) -> None:
    part = parted / "money" / "part-0002.csv"
    whole = part.read_bytes()
    part.write_bytes(whole + b"".join(b"%d,x\r\n" % (900 + place) for place in range(9)))
    with pytest.raises(DropError) as caught:
        take(parted)
    row = whole.count(b"\n") + 1
    assert any(
        problem.startswith(f"money/part-0002.csv, row {row}, column «Прибыль»: ") for problem in caught.value.problems
    )
    part.write_bytes(whole + b"1," + b"9" * (LINE_LIMIT + 1))
    with pytest.raises(DropError) as caught:
        take(parted)
    assert caught.value.problems == (
        f"money/part-0002.csv, row {row}: found a longer one, expected at most 65,536 characters in a line",
    )


def test_a_cut_part_is_named(parted: Path) -> None:
    part = parted / "money" / "part-0002.csv"
    lines = part.read_bytes().splitlines(keepends=True)
    part.write_bytes(b"".join(lines[:-1]).rstrip())
    with pytest.raises(DropError) as caught:
        take(parted)
    assert caught.value.problems == (
        f"money/part-0002.csv, row {len(lines) - 1}: found no line end, and no rows (or not of each month) for 1 of "
        "the drop's customers, expected a whole file (it seems cut)",
    )


def test_rows_of_one_customer_are_counted_over_all_parts(parted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "ROWS_OF_ONE_LIMIT", 2_000)
    part = parted / "money" / "part-0002.csv"
    headings, row, other, *_ = part.read_bytes().splitlines(keepends=True)
    for place in range(20):
        (parted / "money" / f"part-1{place:03}.csv").write_bytes(headings + other)
    for place in range(2):
        (parted / "money" / f"part-2{place:03}.csv").write_bytes(headings + row * 1_300)
    customer = row.partition(b",")[0].decode()
    with pytest.raises(DropError) as caught:
        take(parted)
    assert caught.value.problems == (
        f"money/, column «id»: found more, of id {customer}, expected at most 2,000 rows of one customer",
    )
