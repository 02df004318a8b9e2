import gzip
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import zstandard
from polars.testing import assert_frame_equal

from job.errors import DropError
from job.intake import lines as lines_module
from job.intake.careful import split_lines
from job.intake.drop import Stamp, TableFile
from schemas.columns import AS_FLOAT, TABLES
from tests.intake.drops import make_drop
from tests.intake.reading import Read, read_table


def table_file(path: Path) -> TableFile:
    status = path.stat()
    name, _, ending = path.name.partition(".")
    compression = {"csv.gz": "gzip", "csv.zst": "zstd"}.get(ending)
    stamp = Stamp(status.st_size, status.st_mtime_ns, status.st_ino)
    kind = "parquet" if ending == "parquet" else "csv"
    return TableFile(TABLES[name], path, kind, compression, stamp)  # type: ignore[arg-type]


def read(tmp_path: Path, text: str | bytes, name: str = "money.csv", *, labelled: bool = False) -> Read:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(table_file(path), labelled=labelled)


def rejections(read: Read) -> list[tuple[object, ...]]:
    return read.rejected.drop("file").rows()


def test_accepted_rows_keep_their_line_numbers(tmp_path: Path) -> None:
    found = read(tmp_path, "Прибыль;id\r\n1,5;7\r\n\r\n;;\r\n 2 000,5 ; 8 \r\n3;9;;\r\n")
    expected = pl.DataFrame(
        {"row": [2, 5, 6], "repaired": [False] * 3, "id": [7, 8, 9], "monthly_profit": [1.5, 2000.5, 3.0]},
        schema_overrides={"row": pl.UInt32},
    )
    assert_frame_equal(found.accepted, expected)
    assert (found.counts.rows, found.counts.blank_lines, found.open_end) == (3, 2, None)


def test_rejections_show_the_raw_value(tmp_path: Path) -> None:
    found = read(tmp_path, 'id;Прибыль\n7; много \n 8 ;\n9;1;2\n10\n"11;1\n12;1\n')
    assert rejections(found) == [
        (2, "7", "Прибыль", "is a number", " много "),
        (3, "8", "Прибыль", "is given", ""),
        (4, "9", None, "has 2 fields", "9;1;2"),
        (5, "10", None, "has 2 fields", "10"),
        (6, None, None, "has paired quotes", '"11;1'),
    ]
    assert found.accepted["id"].to_list() == [12]
    assert (found.keys.rows(), found.counts.unread, found.counts.rejected) == ([(2, 7), (3, 8)], 3, 5)


def test_a_row_may_break_several_rules(tmp_path: Path) -> None:
    found = read(tmp_path, "id,Период,минут\n-1,вчера,99999\n", "market_time.csv")
    assert [row[2:4] for row in rejections(found)] == [
        ("id", "is positive and has at most 18 digits"),
        ("Период", "is one of: текущий_месяц, предыдущий_месяц"),
        ("минут", "is at most 44,640 (minutes in a month)"),
    ]


def test_every_line_may_be_unfit(tmp_path: Path) -> None:
    found = read(tmp_path, "id;Прибыль\n1\n2\n")
    assert (found.accepted.height, found.counts.rows) == (0, 2)


def test_words_of_other_alphabets_are_not_the_vocabulary(tmp_path: Path) -> None:
    found = read(tmp_path, "id,Период,минут\n1,current_month,5\n", "market_time.csv")
    assert rejections(found) == [(2, "1", "Период", "is one of: текущий_месяц, предыдущий_месяц", "current_month")]


def test_repairs_are_counted_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "BLOCK_BYTES", 3000)
    rows = "".join(f"{one},предыдцщий_месяц,5\n{one},ТЕКУЩИЙ_МЕСЯЦ,5\n" for one in range(1, 200))
    found = read(tmp_path, "id,Период,минут\n" + rows, "market_time.csv")
    assert found.repairs.rows() == [
        ("market_time.csv", "Период", "ТЕКУЩИЙ_МЕСЯЦ", "текущий_месяц", 199),
        ("market_time.csv", "Период", "предыдцщий_месяц", "предыдущий_месяц", 199),
    ]
    assert found.accepted["repaired"].all()
    assert found.accepted["row"].to_list() == [*range(2, 400)]


def test_decimal_mark_shows_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "BLOCK_BYTES", 30_000)
    whole = "".join(f"{one};5\n" for one in range(1, 9000))
    found = read(tmp_path, f"id;Прибыль\n{whole}9000;5.5\n")
    assert found.accepted["monthly_profit"].to_list()[-1] == 5.5
    assert found.written["decimal_mark"] == "."


@pytest.mark.parametrize(
    ("text", "row"),
    [("id;Прибыль\n1;5\n2", 3), ("id;Прибыль\n1;5\n2;", 3), ('id;Прибыль\n1;5\n2;"5', 3), ("id;Прибыль\n1;x", 2)],
)
def test_line_that_breaks_off(tmp_path: Path, text: str, row: int) -> None:
    """It is rejected like any other; that more is missing is told by the other tables."""
    found = read(tmp_path, text)
    assert (found.open_end, found.counts.rejects_end) == (row, True)


def test_last_line_without_end_is_remembered(tmp_path: Path) -> None:
    assert read(tmp_path, "id;Прибыль\n1;5\n2;5").open_end == 3
    assert read(tmp_path, "id;Прибыль\n1;5\n  ").open_end is None
    assert read(tmp_path, "id;Прибыль\n1;5\n2;5".encode("utf-16")).open_end == 3


@pytest.mark.parametrize("text", ["id;Прибыль", "id;Прибыль\n", "id;Прибыль\n\n;\n  ;\n"])
def test_headings_only(tmp_path: Path, text: str) -> None:
    with pytest.raises(DropError, match=r"^money\.csv: found headings only, expected rows below the headings$"):
        read(tmp_path, text)


def test_marks_in_the_middle_are_passed_over(tmp_path: Path) -> None:
    part = "id;Прибыль\r\n1;5,5\r\n".encode("utf-8-sig")
    found = read(tmp_path, part + part.replace(b"1;", b"2;"))
    assert found.accepted["id"].to_list() == [1, 2]
    assert [row[:2] for row in rejections(found)] == [(3, "id"), (3, "id")]


def test_half_mojibake_is_not_guessed(tmp_path: Path) -> None:
    text = "id,Период,минут\n1,текущий_месяц,5\n".encode().decode("cp1251") + "2,вчера,5\n3,текущий_месяц,5\n"
    found = read(tmp_path, text, "market_time.csv")
    assert found.accepted["id"].to_list() == [1, 3]


def test_label(tmp_path: Path) -> None:
    rows = make_drop(3, labelled=True)["market_file"]
    rows[2][1] = ""
    text = "\n".join(";".join(str(cell) for cell in row) for row in rows) + "\n"
    assert read(tmp_path, text, "market_file.csv").accepted.height == 3
    found = read(tmp_path, text, "market_file.csv", labelled=True)
    assert found.accepted["activity"].to_list() == ["declined", "declined"]
    assert [row[2:4] for row in rejections(found)] == [("Покупательская активность", "is given")]


def split(*lines: str) -> list[list[str] | None]:
    frame = pl.DataFrame({"row": range(len(lines)), "line": lines})
    return split_lines(frame, ",")["fields"].to_list()


def test_split_lines() -> None:
    assert split("a,b", '"a","b"', '"a,b",c', '"a ""b""",c', 'a"b,c', '"a', "", '"",""', 'x"y') == [
        ["a", "b"],
        ["a", "b"],
        ["a,b", "c"],
        ['a "b"', "c"],
        ['a"b', "c"],
        None,
        [""],
        ["", ""],
        ['x"y'],
    ]
    assert split("a,,", ",") == [["a", "", ""], ["", ""]]


HUNGRY = """
import resource, sys
from pathlib import Path
from tests.intake.test_table import table_file
from job.errors import DropError
from tests.intake.reading import read_table
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_table(table_file(Path(sys.argv[1])), labelled=False)
except DropError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".csv.zst"])
def test_bad_input_costs_no_memory(tmp_path: Path, ending: str) -> None:
    """A gigabyte in one line (a sparse file), and packed bombs, in a process that counts its memory."""
    path = tmp_path / f"money{ending}"
    if ending == ".csv":
        with path.open("wb") as stream:
            stream.write("id;Прибыль\n".encode())
            os.truncate(path, 1 << 30)
    else:
        with gzip.open(path, "wb", 1) if ending.endswith("gz") else zstandard.open(path, "wb") as stream:
            stream.write("id;Прибыль\n".encode())
            for _ in range(80):
                stream.write(bytes(1 << 20))
    command = [sys.executable, "-c", HUNGRY, str(path)]
    environment = {**os.environ, "POLARS_MAX_THREADS": "1"}
    root = Path(__file__).parents[2]
    child = subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True, text=True)
    *problem, megabytes = child.stdout.splitlines()
    assert problem == [f"{path.name}, row 2: found a longer one, expected at most 65,536 characters in a line"]
    assert int(megabytes) < 200


@pytest.mark.parametrize("written", ["10000000009000012.0", "9007199254740992.0", "100 000 000 090 000 120,0"])
def test_an_id_that_went_through_a_float_is_none_beyond_2_to_the_53(tmp_path: Path, written: str) -> None:
    mark = "," if "," in written else "."
    found = read(tmp_path, f"id;Прибыль\n{written};1{mark}5\n9007199254740991{mark}0;1{mark}5\n")
    assert found.accepted["id"].to_list() == [9007199254740991]
    assert [row[1:] for row in rejections(found)] == [(written, "id", AS_FLOAT.fact, written)]
