"""What is hashed ahead is the hash of the file that is there, or nothing."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from job.intake import drop, hashes
from job.intake.drop import all_files, find_files, hash_file
from job.intake.hashes import Stamp, hash_ahead, known_hash
from job.sample import write_drop


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_was_hashed_ahead_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_drop(tmp_path, customers=50, seed=1, labelled=False)
    expected = {file.name: sha256(file.path) for file in all_files(find_files(tmp_path))}
    monkeypatch.setattr(hashes, "BLOCK_BYTES", 100)
    hash_ahead(tmp_path)
    files = all_files(find_files(tmp_path))
    for file in files:
        hashes._begun[file.stamp].result()
    monkeypatch.setattr(drop, "hash_stream", lambda _: pytest.fail("read again"))
    assert {file.name: hash_file(file) for file in files} == expected


def test_a_file_that_changed_is_hashed_again(tmp_path: Path) -> None:
    path = tmp_path / "money.csv"
    path.write_text("a")
    hash_ahead(tmp_path)
    path.write_text("bc")
    assert known_hash(Stamp.of(path.stat())) is None
    os.utime(path, ns=(1, 1))
    assert hashes._hash(path, Stamp.of(path.stat())) == sha256(path)
    assert hashes._hash(path, Stamp(2, 0, path.stat().st_ino)) is None


def test_what_cannot_be_hashed_is_left_to_who_reads_it(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "market_file.csv")
    (tmp_path / ".hidden").write_text("a")
    before = len(hashes._begun)
    hash_ahead(tmp_path)
    hash_ahead(tmp_path / "none")
    assert len(hashes._begun) == before
    assert hashes._hash(tmp_path / "none", Stamp(1, 1, 1)) is None


def test_a_machine_without_threads_hashes_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "money.csv").write_text("id;profit")

    def refused(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refused)
    hash_ahead(tmp_path)
    assert known_hash(Stamp.of((tmp_path / "money.csv").stat())) is None
