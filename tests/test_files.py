"""A file appears whole or not at all, whatever somebody has planted beside it."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from job import files
from job.files import LargeFile, create_file, flush, replace_file, replace_link


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for content in (b"one", b"two"):
        replace_file(path, content)
        assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_links_are_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine")
    path = tmp_path / "a.prom"
    path.symlink_to(tmp_path / "secret")
    replace_file(path, b"metrics")
    assert (path.is_symlink(), path.read_bytes()) == (False, b"metrics")
    assert (tmp_path / "secret").read_text() == "mine"


def test_a_planted_temporary_name_is_never_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "urandom", bytes)
    (tmp_path / "secret").write_text("mine")
    (tmp_path / f".a.{'00' * 8}").symlink_to(tmp_path / "secret")
    with pytest.raises(FileExistsError):
        replace_file(tmp_path / "a", b"metrics")
    assert (tmp_path / "secret").read_text() == "mine"


def test_what_was_there_stays_where_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_file(tmp_path / "a", b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(tmp_path / "a", b"new")
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("a", b"old")]


@pytest.mark.parametrize("number", sorted(files._CANNOT_FLUSH))
def test_file_systems_that_cannot_flush_are_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def unknown(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", unknown)
    replace_file(tmp_path / "a", b"new")
    flush(tmp_path)
    assert (tmp_path / "a").read_bytes() == b"new"


def test_only_the_first_creates(tmp_path: Path) -> None:
    assert create_file(tmp_path / "a", b"first")
    assert not create_file(tmp_path / "a", b"second")
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("a", b"first")]


def test_a_link_is_swapped(tmp_path: Path) -> None:
    for target in ("runs/a", "runs/b"):
        replace_link(tmp_path / "latest", Path(target))
        assert (tmp_path / "latest").readlink() == Path(target)
    assert [entry.name for entry in tmp_path.iterdir()] == ["latest"]


def test_a_large_file_is_flushed_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[tuple[str, int]] = []
    monkeypatch.setattr(files, "FLUSHED_BYTES", 10)
    monkeypatch.setattr(os, "fsync", lambda descriptor: events.append(("flushed", os.fstat(descriptor).st_size)))
    monkeypatch.setattr(os, "posix_fadvise", lambda _, __, size, ___: events.append(("forgotten", size)))
    with LargeFile(tmp_path / "a.csv") as file:
        for block in (b"123456", b"78901", b"2345", b"678901", memoryview(b"2")):
            file.write(block)
            if file._flushing is not None:
                file._flushing.result()
    assert (tmp_path / "a.csv").read_bytes() == b"1234567890123456789012"
    assert [size for event, size in events if event == "forgotten"] == [11, 21]
    assert [event for event, _ in events] == ["flushed", "forgotten"] * 2


def test_a_large_file_that_cannot_be_flushed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files, "FLUSHED_BYTES", 10)
    monkeypatch.setattr(os, "fsync", broken)
    file = LargeFile(tmp_path / "a.csv")
    file.write(b"1234567890")
    with pytest.raises(OSError, match="Input/output error"), file:  # at its end
        pass
    file = LargeFile(tmp_path / "b.csv")
    file.write(b"1234567890")
    with pytest.raises(OSError, match="Input/output error"), file:  # before more is flushed
        file.write(b"1234567890")
        pytest.fail("the second write goes on")
    file = LargeFile(tmp_path / "c.csv")
    file.write(b"1234567890")
    with pytest.raises(InterruptedError), file:  # what else happened comes first
        raise InterruptedError


def test_a_large_file_needs_no_system_that_forgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FLUSHED_BYTES", 10)
    monkeypatch.delattr(os, "posix_fadvise")
    with LargeFile(tmp_path / "a.csv") as file:
        file.write(b"1234567890")
    assert (tmp_path / "a.csv").read_bytes() == b"1234567890"
