"""What is taken for plain comes out as the careful way would have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from job.errors import DropError
from job.intake import pieces
from job.intake.plain import parse_block
from job.intake.plan import FilePlan, plan_file
from job.memory import MemoryPlan
from tests.intake.reading import Read, read_table
from tests.intake.test_table import table_file
from tests.thorough import cases

if TYPE_CHECKING:
    from pathlib import Path

NUMBERS = [
    *(
        "1",
        "7",
        "12.5",
        "0",
        "-3",
        "+4",
        "007",
        " 8",
        "9 ",
        "1e2",
        "1E-2",
        ".5",
        "5.",
        "-.5",
        "+.5",
        "1.0",
        "1,5",
        "1 234",
        "1_0",
    ),
    *(
        "inf",
        "-inf",
        "nan",
        "NaN",
        "Infinity",
        "",
        "-",
        "x",
        "0x1F",
        "1e400",
        "99999999999999999999",
        "1\u00a0234,5",
        "\u0663",
        "1.2.3",
    ),
    *("-0", "-0.0", "1e0005", "+", ".", "e5", "12\r", "12\ufffd", "12\0", "1000000000000000000"),
]
POINTED = [number for number in NUMBERS if "," not in number]  # two decimal marks may refuse the file
MONTHS = [
    "текущий_месяц",
    "предыдущий_месяц",
    "предыдцщий_месяц",
    "ТЕКУЩИЙ месяц",
    "препредыдущий_месяц",
    "вчера",
    "",
    " текущий_месяц",
    "текущий\ufffdмесяц",
    "текущий\0_месяц",
    'текущий_"месяц"',
]
ENDS = ["\n", "\n", "\n", "\r\n", "\n\n", "\n;;\n", ",\n", ";1\n", "\r"]
unhurried = settings(
    deadline=None,
    max_examples=cases(50),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def outcome(path: Path) -> Read | tuple[str, ...]:
    """Read a table in small blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "CAREFUL_BYTES", 40)
        try:
            return read_table(table_file(path), memory=MemoryPlan(block_bytes=300))
        except DropError as error:
            return error.problems


def assert_same(path: Path) -> None:
    plain = outcome(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "parse_block", lambda *_: None)
        careful = outcome(path)
    if isinstance(plain, tuple) or isinstance(careful, tuple):
        assert plain == careful
        return
    for name in ("accepted", "rejected", "keys", "repairs"):
        assert_frame_equal(getattr(plain, name), getattr(careful, name))
    assert (plain.counts, plain.written, plain.open_end) == (careful.counts, careful.written, careful.open_end)


@unhurried
@given(
    st.lists(
        st.tuples(st.sampled_from(POINTED), st.sampled_from(MONTHS), st.sampled_from(POINTED), st.sampled_from(ENDS)),
        min_size=1,
        max_size=60,
    ),
    st.sampled_from([",", ";"]),
)
def test_minutes(tmp_path: Path, rows: list[tuple[str, str, str, str]], separator: str) -> None:
    """A table of whole numbers and words is read plainly from the second row on."""
    headings = separator.join(("id", "Период", "минут")) + "\n"
    path = tmp_path / "market_time.csv"
    text = "".join(separator.join(row[:3]) + row[3] for row in rows)
    path.write_bytes((headings + text).encode())
    assert_same(path)


@unhurried
@given(
    st.lists(st.tuples(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS), st.sampled_from(ENDS)), max_size=60),
    st.sampled_from([",", ";"]),
    st.sampled_from([".", ","]),
)
def test_profits(tmp_path: Path, rows: list[tuple[str, str, str]], separator: str, mark: str) -> None:
    """Once the decimal mark has shown, a table of numbers is read plainly, too."""
    value = f"1{mark}25" if separator == ";" else "1.25"
    headings = separator.join(("id", "Прибыль")) + "\n" + separator.join(("77", value)) + "\n"
    path = tmp_path / "money.csv"
    text = "".join(separator.join(row[:2]) + row[2] for row in rows)
    path.write_bytes((headings + text).encode())
    assert_same(path)


def plan_of(tmp_path: Path, mark: str = ".") -> FilePlan:
    path = tmp_path / "money.csv"
    path.write_text(f"id;Прибыль\n1;2{mark}5\n")
    return plan_file(table_file(path), labelled=False, memory=MemoryPlan())


@pytest.mark.parametrize(
    "block", [b"1;2;3\n", b"1\n", b"1;2", b"\n", b"1;2\r\n3;4\n", b"1;2\r3;4\n", b"1;2\r\r\n", b"1;2\n3;4\r\n"]
)
def test_lines_that_cannot_be_told_apart(tmp_path: Path, block: bytes) -> None:
    assert parse_block(block, plan_of(tmp_path)) is None


@pytest.mark.parametrize(
    ("block", "end", "second"),
    [
        (b"1;2\n;\n", "\n", ";"),
        (b"1;2\r\n;\r\n", "\r\n", ";"),
        (b"1;2\n;\xff\n", "\n", ";\ufffd"),
        (b"1;2\n;\0\n", "\n", ";\0"),
        ("1;2\n;\ufffd\n".encode(), "\n", ";\ufffd"),
    ],
)
def test_plain_lines(tmp_path: Path, block: bytes, end: str, second: str) -> None:
    found = parse_block(block, plan_of(tmp_path))
    assert found is not None
    assert_frame_equal(found.typed, pl.DataFrame({"id": [1, None], "monthly_profit": [2.0, None]}))
    assert found.lines.texts(pl.Series([0, 1])) == ["1;2", second]
    assert (found.lines.end, found.odd[0]) == (end, False)


@pytest.mark.parametrize("line", ['1;"2"', "01;2", " 1;2", "+1;2"])
def test_lines_that_the_parser_takes_too_kindly(tmp_path: Path, line: str) -> None:
    found = parse_block(f"5;6\n{line}\n".encode(), plan_of(tmp_path))
    assert found is not None
    assert found.odd.to_list() == [False, True]


def test_points_beside_decimal_commas_are_odd(tmp_path: Path) -> None:
    found = parse_block(b"5;6,5\n7;8.5\n", plan_of(tmp_path, ","))
    assert found is not None
    assert found.odd.to_list() == [False, True]
