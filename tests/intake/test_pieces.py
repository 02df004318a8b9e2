"""Pieces of a file give what the whole file gives."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from job.errors import DropError
from job.intake import pieces, table
from job.intake.drop import TableFile, find_files
from job.intake.pieces import join_pieces, read_piece, survey_file
from job.intake.table import TableIntake, read_table
from job.memory import MemoryPlan
from job.sample import write_drop as write_sample
from tests.intake.drops import STYLES, Style, make_drop, write_drop
from tests.intake.test_table import table_file
from tests.thorough import cases

SMALL = MemoryPlan(block_bytes=300, batch_rows=7)


def in_pieces(file: TableFile, plan: MemoryPlan = SMALL, piece_bytes: int = 700) -> tuple[TableIntake, int]:
    """Return what is read of a file in pieces, from the last to the first, and how many they were."""
    survey = survey_file(file, labelled=False, plan=plan, piece_bytes=piece_bytes, first_bytes=pieces.FIRST_BYTES)
    read = [read_piece(survey, piece, plan=plan) for piece in reversed(survey.pieces)][::-1]
    joined = join_pieces(survey, [part.counts for part in read])
    for part in read:
        joined.accepted_rows.append(part.accepted.read())
        joined.refuted_rows.append(part.refuted.read())
        joined.rejected_rows.append(part.rejected)
    return joined, len(read)


def assert_same(found: TableIntake, expected: TableIntake) -> None:
    for name in ("accepted_rows", "rejected_rows", "refuted_rows"):
        assert_frame_equal(getattr(found, name).read(), getattr(expected, name).read(), check_exact=True)
    assert_frame_equal(found.repairs, expected.repairs)
    for name in ("facts", "rows_in", "blank_lines", "unread", "rejected_count", "broken", "unknown_words", "open_end"):
        assert getattr(found, name) == getattr(expected, name), name
    assert list(found.broken) == list(expected.broken)


def outcome(read: Callable[[], TableIntake]) -> TableIntake | tuple[str, ...]:
    """Return what is read, or what is said of a file that cannot be."""
    try:
        return read()
    except DropError as error:
        return error.problems


@pytest.fixture
def _small_beginnings(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pieces, table):
        monkeypatch.setattr(module, "FIRST_BYTES", 150)


@pytest.mark.usefixtures("_small_beginnings")
@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES.keys())
def test_same_as_whole_in_every_style(tmp_path: Path, style: Style) -> None:
    counted = {}
    for name, file in find_files(write_drop(tmp_path, make_drop(30), style)).items():
        found, counted[name] = in_pieces(file)
        assert_same(found, read_table(file, labelled=False, plan=SMALL))
    is_one_piece = style.line_end == "\r" or style.encoding.startswith("utf-16")
    assert (max(counted.values()) == 1) == is_one_piece


@pytest.mark.usefixtures("_small_beginnings")
@pytest.mark.parametrize(("table_format", "clean"), [("csv", False), ("parquet", True)], ids=["csv", "parquet"])
def test_same_as_whole_with_dirt(tmp_path: Path, table_format: str, *, clean: bool) -> None:
    write_sample(tmp_path, customers=200, seed=5, labelled=False, clean=clean, table_format=table_format)
    for file in find_files(tmp_path).values():
        found, count = in_pieces(file)
        assert_same(found, read_table(file, labelled=False, plan=SMALL))
        assert count > 3


@pytest.mark.usefixtures("_small_beginnings")
def test_numbers_as_text_in_parquet_are_one_piece(tmp_path: Path) -> None:
    write_sample(tmp_path, customers=200, seed=5, labelled=False, clean=False, table_format="parquet")
    counted = {}
    for name, file in find_files(tmp_path).items():
        found, counted[name] = in_pieces(file)
        assert_same(found, read_table(file, labelled=False, plan=SMALL))
    assert counted["market_money"] == 1


def test_packed_files_are_one_piece(tmp_path: Path) -> None:
    for file in find_files(write_drop(tmp_path, make_drop(), ending=".csv.gz")).values():
        found, count = in_pieces(file)
        assert_same(found, read_table(file, labelled=False))
        assert count == 1


@settings(max_examples=cases(50), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(
        st.tuples(
            st.sampled_from(["7;1,5", "8;1.5", "9;2", ";", "", '"10";3', '11;"3', "12;1;2", "13;1 000,5", "x;\x98ы"]),
            st.sampled_from(["\n", "\n", "\r\n", "\r"]),
        ),
        max_size=40,
    ),
    end=st.sampled_from(["", "14;5", "15"]),
    mark=st.sampled_from(["", "\ufeff"]),
)
@pytest.mark.usefixtures("_small_beginnings")
def test_same_as_whole_whatever_the_lines(tmp_path: Path, lines: list[tuple[str, str]], end: str, mark: str) -> None:
    text = f"{mark}id;Прибыль\n" + "".join(line + line_end for line, line_end in lines) + end
    path = tmp_path / "money.csv"
    path.write_bytes(text.encode())
    file = table_file(path)
    plan = SMALL._replace(block_bytes=20)
    expected = outcome(lambda: read_table(file, labelled=False, plan=plan))
    found = outcome(lambda: in_pieces(file, plan, 30)[0])
    if isinstance(expected, TableIntake):
        assert isinstance(found, TableIntake)
        assert_same(found, expected)
    else:
        assert found == expected


def test_a_piece_names_what_is_wrong_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "money.csv"
    path.write_text("id;Прибыль\n" + "1;1,5\n" * 200_000 + f"2;{'1' * 70000}\n" + "3;1\n")
    survey = survey_file(table_file(path), labelled=False)
    assert len(survey.pieces) == 2
    with pytest.raises(DropError) as raised:
        read_piece(survey, survey.pieces[1])
    assert raised.value.problems == (
        "money.csv, row 200002: found a longer one, expected at most 65,536 characters in a line",
    )
