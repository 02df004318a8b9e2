from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest

from job.errors import OutputBusyError, OutputError
from job.scoring.publish import describe_files, heal_latest, is_published, locked_output, staged_run


def publish(output: Path, run_id: str, finished: str = "2026-01-01T00:00:00+00:00") -> None:
    with locked_output(output), staged_run(output, run_id) as staged:
        (staged / "manifest.json").write_text(json.dumps({"finished": finished}))


def visible(output: Path) -> list[str]:
    return sorted(path.name for path in (output / "runs").iterdir())


def test_a_run_appears_whole_with_success_and_latest(tmp_path: Path) -> None:
    with locked_output(tmp_path), staged_run(tmp_path, "a") as staged:
        (staged / "scored.csv").write_text("id\n")
        assert not is_published(tmp_path, "a")
        assert not (tmp_path / "latest").exists()
    assert is_published(tmp_path, "a")
    assert sorted(path.name for path in (tmp_path / "runs" / "a").iterdir()) == ["_SUCCESS", "scored.csv"]
    assert os.readlink(tmp_path / "latest") == "runs/a"


def test_latest_moves_to_the_next_run(tmp_path: Path) -> None:
    publish(tmp_path, "a")
    publish(tmp_path, "b")
    assert os.readlink(tmp_path / "latest") == "runs/b"
    assert visible(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_run_that_fails_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    publish(tmp_path, "a")
    with pytest.raises(error), locked_output(tmp_path), staged_run(tmp_path, "b") as staged:
        (staged / "scored.csv").write_text("id\n")
        raise error
    assert visible(tmp_path) == ["a"]
    assert os.readlink(tmp_path / "latest") == "runs/a"


def test_what_a_dead_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    dead = tmp_path / "runs" / ".partial-dead"
    dead.mkdir(parents=True)
    (dead / "scored.csv").write_text("half")
    publish(tmp_path, "a")
    assert visible(tmp_path) == ["a"]


def test_one_run_at_a_time(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(OutputBusyError) as caught, locked_output(tmp_path):
        pass
    assert caught.value.exit_code == 7
    assert caught.value.problems == (f"{tmp_path}: another run holds the output",)
    os.close(descriptor)
    with locked_output(tmp_path):
        pass


def test_an_output_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError) as caught, locked_output(tmp_path / "file"):
        pass
    assert caught.value.exit_code == 5
    assert caught.value.problems == (f"{tmp_path / 'file' / 'runs'}: cannot be written: Not a directory",)


def test_a_full_disk_is_one_line_and_nothing_is_visible(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught, locked_output(tmp_path), staged_run(tmp_path, "a") as staged:
        (staged / "scored.csv").write_text("half")
        raise OSError(28, "No space left on device", str(staged / "scored.csv"))
    assert caught.value.problems == (f"{tmp_path}/runs/a/scored.csv: cannot be written: No space left on device",)
    assert visible(tmp_path) == []


def test_latest_is_healed_when_a_run_died_between_its_renames(tmp_path: Path) -> None:
    publish(tmp_path, "old", "2026-01-01T00:00:00+00:00")
    publish(tmp_path, "new", "2026-02-01T00:00:00+00:00")
    (tmp_path / "latest").unlink()
    heal_latest(tmp_path, "new")
    assert os.readlink(tmp_path / "latest") == "runs/new"
    (tmp_path / "latest").unlink()
    (tmp_path / "latest").symlink_to("runs/old")
    heal_latest(tmp_path, "new")
    assert os.readlink(tmp_path / "latest") == "runs/new"


def test_an_old_drop_again_does_not_take_latest_back(tmp_path: Path) -> None:
    publish(tmp_path, "old", "2026-01-01T00:00:00+00:00")
    publish(tmp_path, "new", "2026-02-01T00:00:00+00:00")
    heal_latest(tmp_path, "old")
    assert os.readlink(tmp_path / "latest") == "runs/new"


def test_files_are_described_by_size_and_hash(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert describe_files(tmp_path) == {
        "empty": {"bytes": 0, "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
    }
