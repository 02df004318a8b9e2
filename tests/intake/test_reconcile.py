from collections.abc import Callable
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from job.errors import DropError
from job.intake.reconcile import ORPHAN_RULE, UNIQUE_RULE, Account
from job.settings import Limits
from tests.intake.drops import Drop, make_drop, take, write_drop

LAX = Limits(rejected=0.9, unknown=0.9)


def refusal(folder: Path, limits: Limits = Limits(), *, labelled: bool = False) -> tuple[str, ...]:  # noqa: B008
    with pytest.raises(DropError) as caught:
        take(folder, labelled=labelled, limits=limits)
    return caught.value.problems


def edited(folder: Path, *edits: Callable[[Drop], object], customers: int = 20, labelled: bool = False) -> Path:
    drop = make_drop(customers, labelled=labelled)
    for edit in edits:
        edit(drop)
    return write_drop(folder, drop)


def test_clean_drop(tmp_path: Path) -> None:
    intake = take(edited(tmp_path))
    assert intake.accounts == {
        "market_file.csv": Account(20, 20, 0, 0, 0),
        "market_money.csv": Account(60, 60, 0, 0, 0),
        "market_time.csv": Account(40, 40, 0, 0, 0),
        "money.csv": Account(20, 20, 0, 0, 0),
    }
    assert (intake.customers_in, intake.customers_rejected, intake.warnings) == (20, 0, ())
    assert intake.rejected.is_empty()
    assert intake.repairs.is_empty()


def test_account_is_checked() -> None:
    Account(5, 1, 1, 2, 1).check("money.csv")
    with pytest.raises(AssertionError, match=r"money\.csv: rows do not add up"):
        Account(5, 1, 1, 1, 1).check("money.csv")


def test_identical_rows_are_dropped(tmp_path: Path) -> None:
    """Also when only one of them needed a repair."""

    def copy(drop: Drop) -> None:
        row = [*drop["market_file"][3]]
        drop["market_file"] += [row, [row[0], str(row[1]).upper(), *row[2:]]]

    intake = take(edited(tmp_path, copy))
    assert intake.accounts["market_file.csv"] == Account(22, 20, 0, 0, 2)
    assert_frame_equal(intake.tables["market_file"], take(edited(tmp_path / "clean")).tables["market_file"])


def test_contradicting_rows_are_all_rejected(tmp_path: Path) -> None:
    def contradict(drop: Drop) -> None:
        first = drop["money"][3]
        drop["money"] += [[*first], [first[0], 77.5], [first[0], "x"], [1, "x"], [1, "x"]]

    intake = take(edited(tmp_path, contradict), limits=LAX)
    assert intake.rejected.select("row", "rule").rows() == [
        (4, UNIQUE_RULE),
        (22, UNIQUE_RULE),
        (23, UNIQUE_RULE),
        (24, "is a number"),
        (24, UNIQUE_RULE),
        (25, "is a number"),
        (26, "is a number"),
    ]
    assert intake.accounts["money.csv"] == Account(25, 19, 0, 6, 0)


def test_orphans_are_rejected(tmp_path: Path) -> None:
    intake = take(edited(tmp_path, lambda drop: drop["market_file"].pop(5)), limits=LAX)
    assert set(intake.rejected["rule"]) == {ORPHAN_RULE}
    assert intake.rejected.group_by("file").len().sort("file").rows() == [
        ("market_money.csv", 3),
        ("market_time.csv", 2),
        ("money.csv", 1),
    ]
    assert (intake.customers_in, intake.customers_rejected) == (19, 0)


def test_customers_without_a_readable_id_count(tmp_path: Path) -> None:
    def break_ids(drop: Drop) -> None:
        drop["market_file"][1][0] = "x"
        drop["market_file"][2][0] = "y"
        drop["market_file"][3][1] = "?"

    intake = take(edited(tmp_path, break_ids), limits=LAX)
    assert (intake.customers_in, intake.customers_rejected) == (20, 3)
    assert intake.tables["market_file"].height == 17


def test_every_file_is_named(tmp_path: Path) -> None:
    folder = edited(tmp_path)
    (folder / "money.csv").write_bytes(b"x")
    (folder / "market_time.csv").write_bytes(b"y")
    problems = refusal(folder)
    assert [problem.partition(",")[0] for problem in problems] == ["market_time.csv", "money.csv"]


def test_share_of_rejected_rows(tmp_path: Path) -> None:
    def spoil(drop: Drop) -> None:
        drop["market_file"][3][6] = "x" * 100
        drop["market_file"][4][6] = ""

    folder = edited(tmp_path, spoil)
    assert refusal(folder) == (
        (
            f"market_file.csv, row 4, column «Акционные_покупки»: found «{'x' * 40}…», expected a value that "
            "is a number; --max-rejected allows 1 of 20 rows, and 2 are rejected"
        ),
        (
            "market_file.csv, row 5, column «Акционные_покупки»: found nothing, expected a value; "
            "--max-rejected allows 1 of 20 rows, and 2 are rejected"
        ),
    )
    assert take(folder, limits=Limits(rejected=0.1)).customers_rejected == 2


def test_share_of_unknown_words(tmp_path: Path) -> None:
    def rename(drop: Drop) -> None:
        drop["market_file"][3][7] = "Автотовары"
        drop["market_file"][4][7] = ""

    folder = edited(tmp_path, rename)
    assert refusal(folder) == (
        (
            "market_file.csv, column «Популярная_категория»: found 2 of 20 rows (10.0%) with a word that the model "
            "does not know, expected at most 5.0% of them (--max-unknown)"
        ),
    )
    intake = take(folder, limits=Limits(unknown=0.1))
    assert intake.tables["market_file"]["favourite_category"].to_list().count("unknown") == 2
    assert intake.repairs.is_empty()


def test_tables_of_different_months(tmp_path: Path) -> None:
    def shift(drop: Drop) -> None:
        for row in drop["money"][1:]:
            row[0] = int(row[0]) + 15

    assert refusal(edited(tmp_path, shift)) == (
        (
            "money.csv, column «id»: found rows for 5 of 20 customers of market_file (25.0%), expected at least 95.0% "
            "(--max-rejected; tables of different months?)"
        ),
        (
            "money.csv, column «id»: found 15 of 20 ids (75.0%) that market_file does not have, expected at most 5.0% "
            "(--max-rejected)"
        ),
    )


def test_month_that_is_missing(tmp_path: Path) -> None:
    def forget(drop: Drop) -> None:
        drop["market_time"] = [row for row in drop["market_time"] if row[1] != "текущий_месяц"]

    assert refusal(edited(tmp_path, forget)) == (
        (
            "market_time.csv, column «Период»: found «текущий_месяц» for 0 of 20 customers of market_file (0.0%), "
            "expected each month for at least 95.0% (--max-rejected)"
        ),
    )


def test_nothing_that_can_be_used(tmp_path: Path) -> None:
    def spoil(drop: Drop) -> None:
        for row in drop["market_file"][1:]:
            row[1] = "?"

    everything = Limits(rejected=1, unknown=1)
    assert refusal(edited(tmp_path, spoil), everything) == (
        "market_file.csv: found none, expected at least one row that can be used",
    )


def test_label_half_filled(tmp_path: Path) -> None:
    def forget(drop: Drop) -> None:
        for row in drop["market_file"][11:]:
            row[1] = "-"

    folder = edited(tmp_path, forget, labelled=True)
    assert take(folder).customers_in == 20
    (problem,) = refusal(folder, labelled=True)
    assert problem == (
        "market_file.csv, row 12, column «Покупательская активность»: found «-» and 9 more rows like it, "
        "expected a value; --max-rejected allows 1 of 20 rows, and 10 are rejected"
    )


def without_line_end(folder: Path, name: str, *, lines: int = 0) -> None:
    path = folder / f"{name}.csv"
    rows = path.read_bytes().removesuffix(b"\r\n").split(b"\r\n")
    path.write_bytes(b"\r\n".join(rows[: len(rows) - lines]))


@pytest.mark.parametrize("name", ["market_file", "market_money", "market_time", "money"])
def test_last_line_without_end(tmp_path: Path, name: str) -> None:
    folder = edited(tmp_path)
    without_line_end(folder, name)
    rows = take(folder).accounts[f"{name}.csv"].rows_in
    assert take(folder).warnings == (
        f"{name}.csv, row {rows + 1}: the last line has no line end; nothing else seems cut",
    )
    without_line_end(folder, name, lines=1)
    assert refusal(folder) == (
        (
            f"{name}.csv, row {rows}: found no line end, and no rows (or not of each month) for 1 of the drop's "
            "customers, expected a whole file (it seems cut)"
        ),
    )
