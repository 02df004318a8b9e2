"""Whoever writes the drop chooses names, links and depths: nothing outside is read, and nothing is forged."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from job.errors import DropError, DropIncompleteError
from job.intake import parquet as parquet_module
from job.intake.drop import MOST_FILES, NAME_BYTES, find_files, wait_for_files
from job.intake.parquet import open_parquet
from job.settings import Arrival
from tests.hostile.bounded import retention
from tests.hostile.test_output import deep
from tests.intake.drops import make_drop, pack, write_drop, write_parquet_drop

FORGED = '{"command": "score", "exit_code": 0, "event": "finished"}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A drop whose market_money is a folder with one part."""
    folder = write_drop(tmp_path / "drop", make_drop())
    whole = (folder / "market_money.csv").rename(folder / "part.csv")
    (folder / "market_money").mkdir()
    whole.rename(folder / "market_money" / "part.csv")
    return folder


def test_no_name_forges_a_line_of_the_log(folder: Path, tmp_path: Path) -> None:
    part = folder / "market_money" / "part.csv"
    part.rename(part.with_name(f"a\n{FORGED}\n\x1b[2K\u202e.csv"))
    for arguments in (("score", "--output", tmp_path / "out"), ("validate",)):
        result = retention(*arguments, "--input", folder)
        assert result.code == 3
        escaped = FORGED.replace("\n", "")
        assert result.lines == [
            f"market_money/a\\n{escaped}\\n\\x1b[2K\\u202e.csv: found another, "
            "expected a name in UTF-8 without control characters"
        ]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("a\udcff.csv", "market_money/a\\udcff.csv: found another, "),
        ("a\u2028.csv", "market_money/a\\u2028.csv: found another, "),
        ("\u202egnp.csv", "market_money/\\u202egnp.csv: found another, "),
        (f"{'d' * 200}/{'d' * 200}/{'d' * 200}.csv", f"market_money/{'d' * 107}…: found 619, "),
    ],
)
def test_names_that_cannot_be_shown_are_refused(name: str, problem: str, folder: Path) -> None:
    path = folder / "market_money" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (folder / "market_money" / "part.csv").rename(path)
    with pytest.raises(DropError) as caught:
        find_files(folder)
    assert str(caught.value).startswith(problem)


def test_a_deep_folder_is_one_line(folder: Path, tmp_path: Path) -> None:
    expected = "market_money/: found folders more than 16 deep, expected a table's files"
    with deep(folder / "market_money" / "d"):
        for arguments in (("score", "--output", tmp_path / "out"), ("validate",)):
            result = retention(*arguments, "--input", folder)
            assert (result.code, result.lines) == (3, [expected])


def test_many_tiny_files_are_refused_before_they_are_read(folder: Path) -> None:
    for number in range(MOST_FILES + 1):
        (folder / "market_money" / f"p{number}.csv").touch()
    with pytest.raises(DropError) as caught:
        find_files(folder)
    expected = "market_money/: found more, expected at most 2,000 files; write fewer, larger ones"
    assert caught.value.problems == (expected,)


def test_a_marker_that_leaves_the_drop_is_not_read(tmp_path: Path) -> None:
    folder = write_drop(tmp_path / "drop", make_drop())
    (tmp_path / "secret").write_text("TOP-SECRET\n")
    (folder / "_READY").symlink_to(tmp_path / "secret")
    with pytest.raises(DropError) as caught:
        wait_for_files(folder, Arrival())
    assert caught.value.problems == ("_READY: found a link that leaves the drop, expected a file inside the drop",)


def test_a_file_that_becomes_a_link_is_never_read(tmp_path: Path) -> None:
    """Somebody swaps a file and a link to another one outside, all the time, as fast as a process can."""
    folder = write_drop(tmp_path / "drop", make_drop())
    (tmp_path / "secret.csv").write_text("TOP-SECRET")
    secret = (tmp_path / "secret.csv").stat().st_ino
    real, link = folder / ".real", folder / ".link"
    (folder / "money.csv").rename(real)
    ended = threading.Event()

    def swap() -> None:
        while not ended.is_set():
            link.symlink_to(tmp_path / "secret.csv")
            link.replace(folder / "money.csv")
            os.link(real, link)
            link.replace(folder / "money.csv")

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(300):
            try:
                file = find_files(folder)["money"]
                assert file.stamp.inode != secret
                with file.open() as stream:
                    assert b"TOP-SECRET" not in stream.read()
            except (DropError, DropIncompleteError):
                continue
    finally:
        ended.set()
        swapper.join()


def test_a_parquet_file_that_is_swapped_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was opened and checked is what is decoded: here the path leads outside from then on."""
    folder = write_parquet_drop(tmp_path / "drop", make_drop(20))
    other = write_parquet_drop(tmp_path / "other", make_drop(3))
    table = open_parquet(find_files(folder)["money"])
    path = folder / "money.parquet"
    monkeypatch.setattr(parquet_module.pl, "scan_parquet", _swapping(path, other / "money.parquet"))
    assert [batch.height for batch in table.batches(100)] == [20]
    assert path.is_symlink()
    with pytest.raises(DropIncompleteError):
        list(table.batches(100))


def _swapping(path: Path, other: Path) -> object:
    scan = parquet_module.pl.scan_parquet

    def swapped(*arguments: object, **options: object) -> object:
        if not path.is_symlink():
            path.unlink()
            path.symlink_to(other)
        return scan(*arguments, **options)  # type: ignore[arg-type]

    return swapped


def test_names_have_room_for_what_tools_write(folder: Path) -> None:
    part = folder / "market_money" / "part.csv"
    long = folder / "market_money" / "year=2026" / f"part-00000-{'0' * 60}.c000.csv.gz"
    long.parent.mkdir()
    long.write_bytes(pack(part.read_bytes(), ".csv.gz"))
    part.unlink()
    assert len(str(long.relative_to(folder))) < NAME_BYTES
    assert find_files(folder)["market_money"].parts[0].name == str(long.relative_to(folder))
    result = retention("validate", "--input", folder, "--json")
    assert json.loads(result.output)["exit_code"] == 0
