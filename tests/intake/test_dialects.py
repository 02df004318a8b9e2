"""A drop gives the same tables, byte for byte, however it is written."""

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from job.intake.reconcile import Intake
from tests.intake.drops import STYLES, Style, make_drop, take, write_drop, write_parquet_drop

EXPORT = Path(__file__).parents[3] / "shared" / "data" / "one-click"


def as_bytes(table: pl.DataFrame) -> bytes:
    """Return all values, floats in full; the binary formats of Polars have bytes between values that are not set."""
    return table.write_ndjson().encode()


def assert_same_tables(found: Intake, expected: Intake) -> None:
    for name, table in expected.tables.items():
        assert_frame_equal(found.tables[name], table, check_exact=True)
        assert as_bytes(found.tables[name]) == as_bytes(table)


def without_row(intake: Intake) -> Intake:
    tables = {name: table.drop("row") for name, table in intake.tables.items()}
    return intake._replace(tables=tables)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Intake:
    return take(write_drop(tmp_path_factory.mktemp("plain"), make_drop()))


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES.keys())
def test_same_tables_in_every_style(tmp_path: Path, plain: Intake, style: Style) -> None:
    assert_same_tables(take(write_drop(tmp_path, make_drop(), style)), plain)


@pytest.mark.parametrize("ending", [".csv.gz", ".csv.zst", ".CSV"])
def test_same_tables_packed(tmp_path: Path, plain: Intake, ending: str) -> None:
    assert_same_tables(take(write_drop(tmp_path, make_drop(), ending=ending)), plain)


def test_same_tables_as_parquet(tmp_path: Path, plain: Intake) -> None:
    assert_same_tables(without_row(take(write_parquet_drop(tmp_path, make_drop()))), without_row(plain))


def test_label_is_passed_over_when_scoring(tmp_path: Path, plain: Intake) -> None:
    """It comes along for whoever asks for it, and decides nothing."""
    intake = take(write_drop(tmp_path, make_drop(labelled=True)))
    labels = intake.tables["market_file"]["activity"]
    assert set(labels) == {"declined", "unchanged"}
    intake.tables["market_file"] = intake.tables["market_file"].drop("activity")
    assert_same_tables(intake, plain)


def test_columns_in_any_order(tmp_path: Path, plain: Intake) -> None:
    drop = {name: [row[::-1] for row in rows] for name, rows in make_drop().items()}
    assert_same_tables(take(write_drop(tmp_path, drop)), plain)


def test_line_ends_may_be_mixed(tmp_path: Path, plain: Intake) -> None:
    folder = write_drop(tmp_path, make_drop())
    for path in folder.iterdir():
        lines = path.read_bytes().split(b"\r\n")
        ends = [b"\n", b"\r\n", b"\r"]
        path.write_bytes(b"".join(line + ends[place % 3] for place, line in enumerate(lines[:-1])))
    intake = take(folder)
    assert_same_tables(intake, plain)
    assert intake.files[0]["line_end"] == "CR + LF + CRLF"


def test_manifest_names_the_dialect(tmp_path: Path) -> None:
    folder = write_drop(tmp_path, make_drop(), STYLES["thousands-no-break-spaces"])
    facts = {file["table"]: file for file in take(folder).files}
    dialect = {
        key: facts["market_money"][key] for key in ("encoding", "mojibake_undone", "separator", "line_end", "quoted")
    }
    assert dialect == {
        "encoding": "cp1251",
        "mojibake_undone": False,
        "separator": ";",
        "line_end": "CRLF",
        "quoted": False,
    }
    assert facts["market_money"]["decimal_mark"] == ","
    assert facts["market_money"]["thousands_spaces"] is True
    assert facts["market_time"]["decimal_mark"] is None


def restyle(raw: bytes, separator: str, style: Style) -> bytes:
    rows = [line.split(separator) for line in raw.decode().splitlines()]
    mark = "," if separator == ";" else "."
    other = [[cell.replace(mark, style.decimal_mark) if cell[:1].isdigit() else cell for cell in row] for row in rows]
    return style.bytes([[*row] for row in other])


@pytest.mark.skipif(not EXPORT.is_dir(), reason="the shop's export is not beside the project")
@pytest.mark.parametrize("name", ["plain", "lf", "utf-8-bom", "cp1251", "utf-16", "quoted", "mojibake"])
def test_same_tables_of_the_real_export_in_every_style(tmp_path: Path, name: str) -> None:
    for path in EXPORT.glob("*.csv"):
        separator = ";" if path.stem == "money" else ","
        (tmp_path / path.name).write_bytes(restyle(path.read_bytes(), separator, STYLES[name]))
    expected, found = take(EXPORT, labelled=True), take(tmp_path, labelled=True)
    assert_same_tables(found, expected)
    assert found.accounts == expected.accounts
    assert_frame_equal(found.repairs, expected.repairs)
    assert found.accounts["market_file.csv"].repaired == 231
    assert found.customers_in == 1300
