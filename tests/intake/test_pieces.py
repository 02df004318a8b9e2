"""Pieces of a file give what the whole file gives."""

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from job.errors import DropError
from job.intake.drop import TableFile, find_files
from job.memory import MemoryPlan
from job.sample import write_drop as write_sample
from tests.intake.drops import STYLES, Style, make_drop, write_drop
from tests.intake.reading import Read, read_table
from tests.intake.test_table import table_file
from tests.thorough import cases

S = TypeVar("S")
T = TypeVar("T")

SMALL = MemoryPlan(block_bytes=300, batch_rows=7, piece_bytes=700, piece_rows=20)
WHOLE = MemoryPlan(piece_bytes=2**40, piece_rows=2**40)


class Backwards:
    """Reads the pieces from the last to the first, each as if it were somewhere else."""

    is_remote = False

    def __init__(self) -> None:
        self.pieces = 0

    def map(self, function: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
        items = list(items)
        self.pieces = len(items)
        return iter([pickle.loads(pickle.dumps(function(item))) for item in reversed(items)][::-1])  # noqa: S301 - ours

    def check_paths(self, paths: Sequence[Path]) -> None:
        raise NotImplementedError


def in_pieces(file: TableFile, memory: MemoryPlan = SMALL) -> tuple[Read, int]:
    """Return what is read of a file in pieces, and how many they were."""
    backwards = Backwards()
    return read_table(file, memory=memory, executor=backwards), backwards.pieces


def assert_same(found: Read, expected: Read) -> None:
    for name in ("accepted", "rejected", "keys", "repairs"):
        assert_frame_equal(getattr(found, name), getattr(expected, name), check_exact=True)
    assert (found.counts, found.written, found.open_end) == (expected.counts, expected.written, expected.open_end)


def outcome(read: Callable[[], Read]) -> Read | tuple[str, ...]:
    """Return what is read, or what is said of a file that cannot be."""
    try:
        return read()
    except DropError as error:
        return error.problems


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES.keys())
def test_same_as_whole_in_every_style(tmp_path: Path, style: Style) -> None:
    counted = {}
    for name, file in find_files(write_drop(tmp_path, make_drop(30), style)).items():
        found, counted[name] = in_pieces(file)
        assert_same(found, read_table(file, memory=WHOLE))
    is_one_piece = style.line_end == "\r" or style.encoding.startswith("utf-16")
    assert (max(counted.values()) == 1) == is_one_piece


@pytest.mark.parametrize(("table_format", "clean"), [("csv", False), ("parquet", True)], ids=["csv", "parquet"])
def test_same_as_whole_with_dirt(tmp_path: Path, table_format: str, *, clean: bool) -> None:
    write_sample(tmp_path, customers=200, seed=5, labelled=False, clean=clean, table_format=table_format)
    for file in find_files(tmp_path).values():
        found, count = in_pieces(file)
        assert_same(found, read_table(file, memory=WHOLE))
        assert count > 3


def test_packed_files_are_one_piece(tmp_path: Path) -> None:
    for file in find_files(write_drop(tmp_path, make_drop(), ending=".csv.gz")).values():
        found, count = in_pieces(file)
        assert_same(found, read_table(file, memory=WHOLE))
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
def test_same_as_whole_whatever_the_lines(tmp_path: Path, lines: list[tuple[str, str]], end: str, mark: str) -> None:
    text = f"{mark}id;Прибыль\n" + "".join(line + line_end for line, line_end in lines) + end
    path = tmp_path / "money.csv"
    path.write_bytes(text.encode())
    file = table_file(path)
    expected = outcome(lambda: read_table(file, memory=WHOLE))
    found = outcome(lambda: in_pieces(file, SMALL._replace(block_bytes=20, piece_bytes=30))[0])
    if isinstance(expected, Read):
        assert isinstance(found, Read)
        assert_same(found, expected)
    else:
        assert found == expected


def test_a_piece_names_what_is_wrong_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "money.csv"
    path.write_text("id;Прибыль\n" + "1;1,5\n" * 200_000 + f"2;{'1' * 70000}\n" + "3;1\n")
    with pytest.raises(DropError) as raised:
        in_pieces(table_file(path), MemoryPlan(piece_bytes=1 << 20))
    assert raised.value.problems == (
        "money.csv, row 200002: found a longer one, expected at most 65,536 characters in a line",
    )
