import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from job.errors import DropError, DropIncompleteError, JobError, SettingsError
from job.intake import reconcile
from job.intake.drop import check_ready_marker, find_files, hash_file, wait_for_files
from job.intake.pieces import FileRead, read_piece
from job.intake.plan import FilePlan, Piece
from job.settings import Arrival
from tests.intake.drops import make_drop, take, write_drop
from tests.intake.mutate import link_out, link_to_itself, link_to_nothing, make_folder, make_pipe, make_socket

NAMES = ["market_file", "market_money", "market_time", "money"]


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    return write_drop(tmp_path / "drop", make_drop())


def refusal(folder: Path, kind: type[JobError] = DropError) -> tuple[str, ...]:
    with pytest.raises(kind) as caught:
        find_files(folder)
    assert type(caught.value) is kind
    return caught.value.problems


def test_finds_the_four_files(drop: Path) -> None:
    (drop / "money.csv").rename(drop / "MONEY.Csv.GZ")
    (drop / "notes.txt").write_text("hello")
    (drop / "money.csv.part").write_text("hello")
    (drop / ".money.csv.swp").write_text("hello")
    files = find_files(drop)
    assert [*files] == NAMES
    assert (files["money"].name, files["money"].file_format, files["money"].compression) == (
        "MONEY.Csv.GZ",
        "csv",
        "gzip",
    )
    assert (files["market_file"].file_format, files["market_file"].compression) == ("csv", None)


def test_all_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.xlsx").write_text("x")
    expected = ".* ending in .csv or .csv.gz or .csv.zst or .parquet"
    assert refusal(tmp_path, DropIncompleteError) == tuple(
        f"{tmp_path}: found only notes.xlsx, expected {name}{expected}" for name in NAMES
    )
    assert len(refusal(tmp_path / "nothing", DropIncompleteError)) == 4


def test_a_file_is_no_drop(drop: Path) -> None:
    path = drop / "money.csv"
    assert refusal(path, SettingsError) == (f"{path}: found a file, expected the folder of a drop",)


def test_two_files_for_one_table(drop: Path) -> None:
    (drop / "money.parquet").write_bytes(b"PAR1")
    (drop / "Market_Time.csv.gz").write_bytes(b"x")
    assert refusal(drop) == (
        f"{drop}: found Market_Time.csv.gz, market_time.csv, expected one file for the table market_time",
        f"{drop}: found money.csv, money.parquet, expected one file for the table money",
    )


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: path.touch(), "found an empty file (0 bytes), expected a table with headings"),
        (make_socket, "found a socket, expected a regular file"),
        (make_pipe, "found a pipe, expected a regular file"),
        (link_out, "found a link that leaves the drop, expected a file inside the drop"),
        (lambda path: path.symlink_to("../drop2"), "found No such file or directory, expected a readable file"),
        (link_to_nothing, "found No such file or directory, expected a readable file"),
    ],
)
def test_what_is_no_file(drop: Path, make: Callable[[Path], None], problem: str) -> None:
    (drop / "money.csv").unlink()
    make(drop / "money.csv")
    assert refusal(drop) == (f"money.csv: {problem}",)


def test_loop_of_links(drop: Path) -> None:
    (drop / "money.csv").unlink()
    link_to_itself(drop / "money.csv")
    (problem,) = refusal(drop)
    assert problem.endswith(", expected a readable file")
    assert "loop" in problem or "levels of symbolic links" in problem


def test_links_inside_the_drop_are_followed(drop: Path) -> None:
    (drop / "money.csv").rename(drop / "2026-11.txt")
    (drop / "money.csv").symlink_to("2026-11.txt")
    linked = drop.parent / "linked"
    linked.symlink_to(drop)
    assert find_files(linked)["money"].stamp.size == (drop / "2026-11.txt").stat().st_size


def test_unreadable_file(drop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refuse(path: str | Path, *arguments: int, **options: int) -> int:
        if Path(path).name == "money.csv":
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)  # the suite may run as root, whom no mode stops
    (drop / "market_time.csv").write_bytes(b"")
    assert refusal(drop) == (
        "market_time.csv: found an empty file (0 bytes), expected a table with headings",
        f"money.csv: found Permission denied, expected a file that user {os.geteuid()} may read",
    )


def test_unlistable_folder(drop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    expected = f"a folder that user {os.geteuid()} may list"
    assert refusal(drop, SettingsError) == (f"{drop}: found Permission denied, expected {expected}",)


def test_hash(drop: Path) -> None:
    expected = hashlib.sha256((drop / "money.csv").read_bytes()).hexdigest()
    assert hash_file(find_files(drop)["money"]) == expected


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"1;2\r\n")


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    make_pipe(path)


@pytest.mark.parametrize("change", [grow, replace_by_pipe, Path.unlink])
def test_a_file_that_changes_is_noticed(drop: Path, change: Callable[[Path], None]) -> None:
    files = find_files(drop)
    change(drop / "money.csv")
    expected = "money.csv: found one that changed while it was read, expected a file that nobody writes any more"
    with pytest.raises(DropIncompleteError, match=f"^{expected}$"):
        hash_file(files["money"])
    with pytest.raises(DropIncompleteError, match=f"^{expected}$"):
        files["money"].check_unchanged()


class Clock:
    """Time that passes only while somebody sleeps; then things happen to the drop."""

    def __init__(self, events: dict[float, Callable[[], object]] | None = None) -> None:
        self.now = 1000.0
        self.slept = 0.0
        self.events = events or {}

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        self.slept += seconds
        for when in [when for when in sorted(self.events) if when <= self.slept]:
            self.events.pop(when)()


def wait(folder: Path, clock: Clock, minutes: float = 5, settle: float = 10) -> list[str]:
    files = wait_for_files(folder, Arrival(minutes, settle), clock=clock, sleep=clock.sleep)
    return [*files]


def test_waits_until_the_files_have_settled(drop: Path) -> None:
    clock = Clock()
    assert wait(drop, clock) == NAMES
    assert clock.slept == 10


def test_nothing_is_waited_for_without_minutes(drop: Path) -> None:
    clock = Clock()
    assert wait(drop, clock, minutes=0) == NAMES
    assert clock.slept == 0
    (drop / "money.csv").unlink()
    with pytest.raises(DropIncompleteError, match=r"found no such file, expected money\.\*"):
        wait(drop, clock, minutes=0)
    assert clock.slept == 0


def test_waits_for_what_is_missing_and_for_what_grows(drop: Path) -> None:
    money = drop / "money.csv"
    raw = money.read_bytes()
    money.unlink()
    clock = Clock(
        {30: money.touch, 35: lambda: money.write_bytes(raw[:50]), 43: lambda: money.write_bytes(raw), 44: lambda: None}
    )
    assert wait(drop, clock) == NAMES
    assert clock.slept == 53


def test_a_folder_that_is_not_there_is_not_waited_for(tmp_path: Path) -> None:
    clock = Clock()
    with pytest.raises(DropIncompleteError) as caught:
        wait(tmp_path / "typo", clock)
    assert clock.slept == 0
    expected = "the folder of a drop (not waited for: make it first)"
    assert caught.value.problems == (f"{tmp_path / 'typo'}: found none, expected {expected}",)


def test_says_what_is_missing_when_time_is_up(drop: Path) -> None:
    (drop / "money.csv").unlink()
    clock = Clock()
    with pytest.raises(DropIncompleteError, match=r"found no such file, expected money\.\*"):
        wait(drop, clock, minutes=2)
    assert clock.slept == 120


def test_files_that_never_settle(drop: Path) -> None:
    clock = Clock({place: lambda: grow(drop / "money.csv") for place in range(1, 100)})
    with pytest.raises(DropIncompleteError, match="the files changed less than 10 seconds ago"):
        wait(drop, clock, minutes=1)


def test_a_fault_is_one_only_when_it_has_settled(drop: Path) -> None:
    (drop / "money.csv").write_bytes(b"")
    clock = Clock()
    with pytest.raises(DropError, match="an empty file"):
        wait(drop, clock)
    assert clock.slept == 10
    clock = Clock({place: lambda: grow(drop / "market_time.csv") for place in range(1, 100)})
    with pytest.raises(DropError, match="an empty file"):
        wait(drop, clock, minutes=1)
    assert clock.slept == 60


def test_waiting_is_logged_once_a_minute(drop: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    (drop / "money.csv").unlink()
    with pytest.raises(DropIncompleteError):
        wait(drop, Clock(), minutes=3.5)
    assert len(caplog.messages) == 4  # at once, and each minute
    assert caplog.messages[0].startswith(f"waiting for the drop: {drop}: found no such file, expected money.*")


def marker(drop: Path, *lines: str) -> Path:
    path = drop / "_READY"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def sizes(drop: Path) -> list[str]:
    return [f"{path.name} {path.stat().st_size}" for path in sorted(drop.glob("m*"))]


def digests(drop: Path) -> list[str]:
    return [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  ./{path.name}" for path in sorted(drop.glob("m*"))]


def check(drop: Path, kind: type[JobError]) -> tuple[str, ...]:
    with pytest.raises(kind) as caught:
        check_ready_marker(drop, find_files(drop))
    assert type(caught.value) is kind
    return caught.value.problems


def test_no_marker(drop: Path) -> None:
    assert check_ready_marker(drop, find_files(drop)) is False


def test_marker_whose_promises_hold_ends_the_waiting(drop: Path) -> None:
    (drop / "notes.txt").touch()
    for lines in (sizes(drop), digests(drop), [*digests(drop)[:2], "", *sizes(drop)[2:], "notes.txt 17", "_READY 3"]):
        marker(drop, *lines)
        clock = Clock()
        assert wait(drop, clock) == NAMES
        assert clock.slept == 0


def test_empty_marker(drop: Path) -> None:
    path = marker(drop, " ")
    assert check_ready_marker(drop, find_files(drop)) is True
    os.utime(path, ns=(0, 0))
    assert check_ready_marker(drop, find_files(drop)) is False  # left over from another delivery
    clock = Clock()
    assert wait(drop, clock) == NAMES
    assert clock.slept == 10


def test_marker_with_other_sizes(drop: Path) -> None:
    size = (drop / "money.csv").stat().st_size
    marker(drop, *sizes(drop)[:3], "money.csv 12345", "other.csv 5")
    assert check(drop, DropIncompleteError) == (
        f"money.csv: found {size} bytes, expected 12,345 bytes as _READY says",
        "_READY, row 5: found other.csv, expected only files that are there",
    )


def test_marker_that_does_not_name_all(drop: Path) -> None:
    marker(drop, *sizes(drop)[1:3])
    assert check(drop, DropIncompleteError) == (
        "_READY: found none, expected a line for market_file.csv",
        "_READY: found none, expected a line for money.csv",
    )


def test_marker_with_another_digest(drop: Path) -> None:
    marker(drop, *digests(drop)[:3], f"money.csv {'AB' * 32}")
    actual = hashlib.sha256((drop / "money.csv").read_bytes()).hexdigest()
    assert check(drop, DropError) == (f"money.csv: found {actual}, expected the SHA-256 {'ab' * 32} as _READY says",)


def test_marker_that_cannot_be_understood(drop: Path) -> None:
    marker(drop, "money.csv", *sizes(drop), "ready!", "mon\0ey.csv 17")
    line = "expected a file of the drop, then its size in bytes or SHA-256"
    assert check(drop, DropError) == (
        f"_READY, row 1: found money.csv, {line}",
        f"_READY, row 6: found ready!, {line}",
        f"_READY, row 7: found mon\\x00ey.csv 17, {line}",
    )


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (make_folder, "_READY: found a folder, expected a regular file"),
        (make_pipe, "_READY: found a pipe, expected a regular file"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "_READY: found other bytes, expected text in UTF-8"),
        (
            lambda path: path.write_bytes(b"x" * 1_100_000),
            "_READY: found 1,100,000 bytes, expected at most 1,048,576 bytes",
        ),
    ],
)
def test_marker_that_is_none(drop: Path, make: Callable[[Path], None], problem: str) -> None:
    make(drop / "_READY")
    assert check(drop, DropError) == (problem,)


def test_marker_that_is_still_written(drop: Path) -> None:
    path = marker(drop, "money.csv")
    lines = sizes(drop)
    clock = Clock({3: lambda: path.write_text("\n".join(lines))})
    assert wait(drop, clock) == NAMES
    assert clock.slept == 3


def test_a_file_that_changes_while_another_is_read(drop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_and_change(task: tuple[FilePlan, Piece], **settings: Any) -> FileRead:
        read = read_piece(task, **settings)
        if task[0].file.table.name == "money":
            grow(drop / "market_file.csv")
        return read

    monkeypatch.setattr(reconcile, "read_piece", read_and_change)
    with pytest.raises(DropIncompleteError, match=r"^market_file\.csv: found one that changed while it was read"):
        take(drop)
