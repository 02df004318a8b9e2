"""What is taken for plain comes out as the careful way would have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from job.errors import DropError
from job.intake import table as table_module
from job.intake.dialect import Dialect
from job.intake.plain import Judged, split_plain
from job.intake.table import TableIntake, read_table
from job.memory import MemoryPlan
from schemas.raw import dtype_of
from tests.intake.test_table import table_file
from tests.thorough import cases

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from schemas.vocabulary import Heading

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
    *("-0", "-0.0", "1e0005", "+", ".", "e5", "12\r", "12\ufffd", "1000000000000000000"),
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
]
ENDS = ["\n", "\n", "\n", "\r\n", "\n\n", "\n;;\n", ",\n", ";1\n", "\r"]
unhurried = settings(
    deadline=None,
    max_examples=cases(50),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def outcome(path: Path, headings: str) -> TableIntake | tuple[str, ...]:
    """Read a table of which the headings are the first block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_module, "FIRST_BYTES", len(headings.encode()))
        patch.setattr(table_module, "PIECE_BYTES", 40)
        try:
            return read_table(table_file(path), labelled=False, plan=MemoryPlan(block_bytes=300))
        except DropError as error:
            return error.problems


def judge_nothing(raw: pl.DataFrame, headings: Sequence[Heading], **_: object) -> Judged:
    typed = pl.DataFrame(schema={heading.name: dtype_of(heading) for heading in headings})
    none = pl.Series("repaired", [], dtype=pl.Boolean)
    return Judged(typed, pl.repeat(value=False, n=raw.height, dtype=pl.Boolean, eager=True), none, {})


def assert_same(path: Path, headings: str) -> None:
    plain = outcome(path, headings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dialect, "is_utf_8", False)
        patch.setattr(table_module, "judge_plain", judge_nothing)
        careful = outcome(path, headings)
    if isinstance(plain, tuple) or isinstance(careful, tuple):
        assert plain == careful
        return
    assert_frame_equal(plain.accepted, careful.accepted)
    assert_frame_equal(plain.rejected, careful.rejected)
    assert_frame_equal(plain.refuted_rows.read(), careful.refuted_rows.read())
    assert_frame_equal(plain.repairs, careful.repairs)
    # What is learned of how numbers are written depends on which of them were seen together.
    learned = {"thousands_spaces", "decimal_mark"}
    facts = ({name: fact for name, fact in found.facts.items() if name not in learned} for found in (plain, careful))
    assert next(facts) == next(facts)
    counted = ("rows_in", "blank_lines", "unread", "rejected_count", "broken", "unknown_words", "open_end")
    for name in counted:
        assert getattr(plain, name) == getattr(careful, name), name


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
    assert_same(path, headings)


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
    assert_same(path, headings)


@pytest.mark.parametrize(
    "block",
    [b'1;"2"\n', b"1;2;3\n", b"1\n", b"1;2", b"\n", b"1;2\r\n3;4\n", b"1;2\r3;4\n", b"1;\xff\n", "1;\ufffd\n".encode()],
)
def test_lines_in_doubt_are_not_plain(block: bytes) -> None:
    assert split_plain(block, ["a", "b"], ";") is None


@pytest.mark.parametrize(("block", "end"), [(b"1;2\n;\n", "\n"), (b"1;2\r\n;\r\n", "\r\n")])
def test_plain_lines(block: bytes, end: str) -> None:
    found = split_plain(block, ["a", "b"], ";")
    assert found is not None
    assert_frame_equal(found[0], pl.DataFrame({"a": ["1", ""], "b": ["2", ""]}))
    assert found[1] == end
