import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from job.errors import DropError
from job.intake import lines as lines_module
from job.intake.dialect import Dialect
from job.intake.drop import Stamp, TableFile
from job.intake.lines import LINE_LIMIT, RECORD_LINES, LineBlocks, breaks_records, byte_blocks, undo_mojibake
from schemas.columns import MONEY
from tests.intake.drops import make_mojibake


def table_file(path: Path, compression: str | None = None) -> TableFile:
    status = path.stat()
    stamp = Stamp(status.st_size, status.st_mtime_ns, status.st_ino)
    return TableFile(MONEY, path, "csv", compression, stamp)  # type: ignore[arg-type]


def unpacked(path: Path, compression: str) -> bytes:
    return b"".join(byte_blocks(table_file(path, compression)))


def read_lines(*blocks: bytes, encoding: str = "utf-8", mojibake: bool = False) -> list[str]:
    reader = LineBlocks("money.csv", encoding=encoding, mojibake=mojibake)
    return [line for block in reader.read(blocks) for line in block]


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_cut_packing_is_refused(tmp_path: Path, compression: str) -> None:
    raw = bytes(range(256)) * 4000
    whole = gzip.compress(raw) if compression == "gzip" else zstandard.compress(raw)
    path = tmp_path / "money.csv"
    for size in (len(whole) // 2, len(whole) - 1, 3):
        path.write_bytes(whole[:size])
        with pytest.raises(
            DropError, match=rf"^money.csv: found a damaged or cut one \(.*\), expected a whole {compression} file$"
        ):
            unpacked(path, compression)


def test_several_frames_are_one_file(tmp_path: Path) -> None:
    path = tmp_path / "money.csv.zst"
    path.write_bytes(zstandard.compress(b"id\n1\n") + zstandard.compress(b"2\n"))
    assert unpacked(path, "zstd") == b"id\n1\n2\n"
    path.write_bytes(gzip.compress(b"id\n1\n") + gzip.compress(b"2\n"))
    assert unpacked(path, "gzip") == b"id\n1\n2\n"


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str) -> None:
    monkeypatch.setattr(lines_module, "UNPACKED_FREE_BYTES", 1 << 20)
    raw = b"1;2\n" * (1 << 20)
    path = tmp_path / "money.csv"
    path.write_bytes(gzip.compress(raw) if compression == "gzip" else zstandard.compress(raw))
    with pytest.raises(
        DropError, match=r"found more than [\d,]+ bytes from [\d,]+, expected at most 100 times its size unpacked"
    ):
        unpacked(path, compression)


def test_lines_end_in_any_way() -> None:
    reader = LineBlocks("money.csv", encoding="utf-8", mojibake=False)
    assert [line for block in reader.read([b"a\r", b"\nb\nc\rd\r", b"e"]) for line in block] == [
        "a",
        "b",
        "c",
        "d",
        "e",
    ]
    assert reader.line_ends == {"CR", "LF", "CRLF"}
    assert not reader.ends_with_line_end


def test_end_of_line_at_the_very_end() -> None:
    reader = LineBlocks("money.csv", encoding="utf-8", mojibake=False)
    assert [line for block in reader.read([b"a\r"]) for line in block] == ["a"]
    assert reader.ends_with_line_end
    assert reader.line_ends == {"CR"}


def test_unreadable_bytes_become_the_replacement_character() -> None:
    assert read_lines(b"\xff1\n", b"\x98\n", encoding="cp1251") == ["я1", "\N{REPLACEMENT CHARACTER}"]


def test_long_line_is_named_by_its_row() -> None:
    with pytest.raises(
        DropError, match=r"^money.csv, row 3: found a longer one, expected at most 65,536 characters in a line$"
    ):
        read_lines(b"a\nb\n" + b"x" * (LINE_LIMIT + 1) + b"\nc\n")
    with pytest.raises(DropError, match=r"^money\.csv, row 2: found a longer one"):
        read_lines(b"a\n", b"x" * LINE_LIMIT, b"x")


def test_long_line_is_refused_before_it_is_read_whole() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * LINE_LIMIT

    with pytest.raises(DropError, match="row 1"):
        [*LineBlocks("money.csv", encoding="utf-8", mojibake=False).read(endless())]
    assert taken == 2


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=60))
def test_mojibake_is_undone(text: str) -> None:
    assert undo_mojibake(make_mojibake(text)) == text


@given(st.text())
def test_what_is_no_mojibake_is_left_alone(text: str) -> None:
    undone = undo_mojibake(text)
    assert undone is None or make_mojibake(undone) == text


def test_mojibake_is_undone_line_by_line_where_some_cannot() -> None:
    lines = [make_mojibake("Шапка"), "Домашний текстиль", make_mojibake("Истра")]
    assert read_lines("\n".join(lines).encode(), mojibake=True) == ["Шапка", "Домашний текстиль", "Истра"]


@given(st.lists(st.binary(max_size=40), max_size=5), st.sampled_from(["utf-8", "cp1251", "utf-16-be", "utf-16-le"]))
def test_any_bytes_are_lines(blocks: list[bytes], encoding: str) -> None:
    found = read_lines(*blocks, encoding=encoding)
    whole = b"".join(blocks).decode(encoding, errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    assert found == (whole.removesuffix("\n").split("\n") if whole else [])


MONEY_DIALECT = Dialect("utf-8", mojibake=False, separator=",", columns=("id", "monthly_profit"))
CELLS = st.text(alphabet='ab5 "\n\u0436', max_size=12)


def read_records(text: str, size: int) -> tuple[list[str], int]:
    raw = text.encode()
    blocks = (raw[start : start + size] for start in range(0, len(raw), size))
    reader = LineBlocks("money.csv", encoding="utf-8", mojibake=False, fits=MONEY_DIALECT.is_record)
    return [record for block in reader.read(blocks) for record in block], reader.row


@given(rows=st.lists(st.tuples(st.integers(1, 999), CELLS)), size=st.integers(1, 40))
def test_records_are_as_a_csv_reader_sees_them(rows: list[tuple[int, str]], size: int) -> None:
    stream = io.StringIO()
    csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    records, count = read_records(stream.getvalue(), size)
    assert [next(csv.reader([record], strict=True)) for record in records] == [[str(one), cell] for one, cell in rows]
    assert count == len(rows)


@pytest.mark.parametrize(
    ("text", "records"),
    [
        ('1,"5\n2,6\n3,"7\n', ['1,"5', "2,6", '3,"7']),
        ('1,"5\n2,6\n', ['1,"5', "2,6"]),
        ('1,"a\nb"\n2,6\n', ['1,"a\nb"', "2,6"]),
        ('1,"a\n\nb"', ['1,"a\n\nb"']),
        ('1,"a\nb"x\n2,6\n', ['1,"a', 'b"x', "2,6"]),
        ('1,a"\nb"\n', ['1,a"', 'b"']),
        ('1,"' + "\n" * RECORD_LINES + '"\n2,6', ['1,"', *[""] * (RECORD_LINES - 1), '"', "2,6"]),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_quote_that_nobody_closed_takes_no_other_row_with_it(text: str, records: list[str], size: int) -> None:
    assert read_records(text, size)[0] == records


def test_blocks_in_which_a_record_does_not_end() -> None:
    assert breaks_records(b'1,"a\nb"\n')
    assert breaks_records(b'1,"a\rb"\r')
    assert not breaks_records(b'1,"a""b"\n2,"c"\n')
    assert not breaks_records(b"1,a\n")


@given(st.text(alphabet="аРСИ\u00a0ёж 5;", max_size=20))
def test_mojibake_that_lost_its_no_break_spaces(text: str) -> None:
    lost = make_mojibake(text).replace("Р\u00a0", "Р ")
    reader = LineBlocks("money.csv", encoding="utf-8", mojibake=True)
    assert [line for block in reader.read([lost.encode()]) for line in block] == ([text] if text else [])
    assert reader.spaces_restored == text.count("Р")
