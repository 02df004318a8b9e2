from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from job.errors import OutputBusyError, OutputError
from job.scoring import publish as publish_module
from job.scoring.publish import (
    describe_files,
    keep_newest,
    locked_output,
    name_anew,
    published_runs,
    remove_stale_scratch,
    scratch_folder,
    show_again,
    staged_run,
)

ROOT = Path(__file__).parents[2]


def publish(output: Path, run_id: str, finished: str = "2026-01-01T00:00:00+00:00") -> None:
    with locked_output(output), staged_run(output, run_id) as staged:
        (staged / "manifest.json").write_text(json.dumps({"finished": finished}))


def visible(output: Path) -> list[str]:
    return sorted(path.name for path in (output / "runs").iterdir())


def test_a_run_appears_whole_with_success_and_latest(tmp_path: Path) -> None:
    with locked_output(tmp_path), staged_run(tmp_path, "a") as staged:
        (staged / "scored.csv").write_text("id\n")
        assert published_runs(tmp_path) == []
        assert not (tmp_path / "latest").exists()
    assert published_runs(tmp_path) == [tmp_path / "runs" / "a"]
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


def test_latest_names_the_run_that_was_asked_for_last(tmp_path: Path) -> None:
    publish(tmp_path, "old", "2026-01-01T00:00:00+00:00")
    publish(tmp_path, "new", "2026-02-01T00:00:00+00:00")
    assert show_again(tmp_path, "new") == ("new", None)
    assert show_again(tmp_path, "old") == ("old", "new")
    assert os.readlink(tmp_path / "latest") == "runs/old"
    (tmp_path / "latest").unlink()  # a run died between its renames
    assert show_again(tmp_path, "new") == ("new", None)
    assert os.readlink(tmp_path / "latest") == "runs/new"


def test_a_forced_repetition_is_the_run_that_was_asked_for(tmp_path: Path) -> None:
    publish(tmp_path, "a")
    publish(tmp_path, "a-2")
    assert show_again(tmp_path, "a") == ("a-2", None)
    publish(tmp_path, "a-x")
    assert show_again(tmp_path, "a") == ("a", "a-x")


def test_what_is_no_whole_run_makes_way(tmp_path: Path) -> None:
    (tmp_path / "runs" / "a").mkdir(parents=True)
    (tmp_path / "runs" / "a" / "scored.csv").write_text("half")
    publish(tmp_path, "a")
    assert sorted(path.name for path in (tmp_path / "runs" / "a").iterdir()) == ["_SUCCESS", "manifest.json"]
    assert visible(tmp_path) == ["a"]


def test_a_lock_of_another_user_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".lock").touch()
    real = os.open

    def refuse(path: str | Path, *arguments: int) -> int:
        if Path(path).name == ".lock":
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments)

    monkeypatch.setattr(os, "open", refuse)  # the suite may run as root, whom no mode stops
    monkeypatch.setattr(os, "geteuid", lambda: 10001)
    with pytest.raises(OutputError) as caught, locked_output(tmp_path):
        pass
    owner = (tmp_path / ".lock").stat().st_uid
    assert caught.value.problems == (
        f"{tmp_path}/.lock: belongs to user {owner}, and user 10001 may not write it; "
        f"when no run of user {owner} goes on, remove it, and run every job as the same user",
    )


def test_files_are_described_by_size_and_hash(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert describe_files(tmp_path) == {
        "empty": {"bytes": 0, "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
    }


def test_clocks_that_go_back_do_not_change_which_run_is_the_newest(tmp_path: Path) -> None:
    publish(tmp_path, "first", "2026-05-01T00:00:00+00:00")
    publish(tmp_path, "second", "2026-04-01T00:00:00+00:00")
    assert [run.name for run in published_runs(tmp_path)] == ["second", "first"]


def test_runs_without_a_number_are_ordered_by_time_and_come_before_the_others(tmp_path: Path) -> None:
    for run_id, month in (("a", 3), ("b", 1), ("c", 2)):
        publish(tmp_path, run_id, f"2026-0{month}-01T00:00:00+00:00")
        (tmp_path / "runs" / run_id / "_SUCCESS").write_bytes(b"")
    publish(tmp_path, "d", "2026-01-01T00:00:00+00:00")
    assert [run.name for run in published_runs(tmp_path)] == ["d", "a", "c", "b"]


def test_runs_that_cannot_be_read_are_old(tmp_path: Path) -> None:
    publish(tmp_path, "a")
    publish(tmp_path, "b")
    (tmp_path / "runs" / "b" / "_SUCCESS").write_text("{")
    assert [run.name for run in published_runs(tmp_path)] == ["a", "b"]


def test_a_forced_run_has_a_name_of_its_own(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        names.append(name_anew(tmp_path, "abc"))
        publish(tmp_path, names[-1])
    publish(tmp_path, "abc-x")
    publish(tmp_path, "abcd-9")
    assert names == ["abc", "abc-2", "abc-3"]
    assert name_anew(tmp_path, "abc") == "abc-4"


@pytest.mark.parametrize(
    ("keep", "run_id", "latest", "left"),
    [
        (None, "d", "d", "abcd"),
        (9, "d", "d", "abcd"),
        (2, "d", "d", "cd"),
        (1, "d", "d", "d"),
        (1, "d", "a", "ad"),
        (1, "b", "d", "bd"),
        (2, "a", "b", "abcd"),
    ],
)
def test_the_newest_runs_are_kept(keep: int | None, run_id: str, latest: str, left: str, tmp_path: Path) -> None:
    for name in "abcd":
        publish(tmp_path, name)
    (tmp_path / "latest").unlink()
    (tmp_path / "latest").symlink_to(f"runs/{latest}")
    keep_newest(tmp_path, keep, run_id=run_id)
    assert visible(tmp_path) == sorted(left)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may remove everything")
def test_a_run_that_cannot_be_removed(tmp_path: Path) -> None:
    publish(tmp_path, "a")
    publish(tmp_path, "b")
    (tmp_path / "runs").chmod(0o500)
    with pytest.raises(OutputError) as caught:
        keep_newest(tmp_path, 1, run_id="b")
    (tmp_path / "runs").chmod(0o700)
    assert caught.value.problems == (f"{tmp_path}/runs/a: cannot be written: Permission denied",)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError("No space left on device (os error 28)"), "{out}: cannot be written: No space left on device"),
        (
            pl.exceptions.ComputeError("parquet: underlying IO error: No space left on device (os error 28)"),
            "{out}: cannot be written: No space left on device",
        ),
        (
            FileNotFoundError("No such file or directory (os error 2): {staged}/part/x.csv"),
            "{out}/runs/a/part/x.csv: cannot be written: No such file or directory",
        ),
    ],
)
def test_what_polars_says_of_the_disk_is_one_line(error: Exception, line: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught, locked_output(tmp_path), staged_run(tmp_path, "a") as staged:
        raise type(error)(str(error).replace("{staged}", str(staged)))
    assert caught.value.problems == (line.replace("{out}", str(tmp_path)),)
    assert visible(tmp_path) == []


def test_other_errors_of_polars_are_no_matter_of_the_output(tmp_path: Path) -> None:
    with (
        pytest.raises(pl.exceptions.ComputeError),
        locked_output(tmp_path),
        staged_run(tmp_path, "a"),
    ):
        raise pl.exceptions.ComputeError("a defect")
    assert visible(tmp_path) == []


def test_an_output_that_is_removed_during_the_run(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with pytest.raises(OutputError) as caught, locked_output(output), staged_run(output, "a"):
        shutil.rmtree(output)
    assert caught.value.problems == (f"{output}: cannot be written: the folder was removed during the run",)


def test_scratch_is_there_for_the_block_and_gone_after(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / "scratch") as folder:
        (folder / "part").mkdir()
        (folder / "part" / "1.parquet").write_text("x")
        remove_stale_scratch(tmp_path / "scratch")
        assert (folder / "part" / "1.parquet").exists(), "it is in use"
    with pytest.raises(ValueError, match="stop"), scratch_folder(tmp_path / "scratch"):
        raise ValueError("stop")
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("files", [(), (".lock",), (".lock", "part")])
def test_the_scratch_of_a_dead_process_is_removed_by_the_next(files: tuple[str, ...], tmp_path: Path) -> None:
    dead = tmp_path / ".scratch-dead"
    for enter in (locked_output, scratch_folder):
        dead.mkdir()
        for file in files:
            (dead / file).write_text("x")
        (tmp_path / ".scratch-file").touch()
        with enter(tmp_path):
            assert not dead.exists()
            assert not (tmp_path / ".scratch-file").exists()


def test_scratch_that_is_taken_for_a_dead_one_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else cleans up between the making of the folder and the taking of its lock."""
    tokens = iter([b"\x11" * 4, b"\x22" * 4])
    monkeypatch.setattr(publish_module.os, "urandom", lambda _: next(tokens))
    take = publish_module._take

    def late(folder: Path) -> int | None:
        if folder.name == ".scratch-11111111":
            shutil.rmtree(folder)
        return take(folder)

    monkeypatch.setattr(publish_module, "_take", late)
    with scratch_folder(tmp_path) as folder:
        assert folder.name == ".scratch-22222222"


def test_scratch_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError) as caught, scratch_folder(tmp_path / "file" / "x"):
        pass
    assert caught.value.problems == (f"{tmp_path}/file/x: cannot be written: Not a directory",)


@pytest.mark.parametrize("name", ["runs/.partial-a-1", "runs/.removed-a", ".scratch-1", "runs/old"])
def test_links_planted_in_the_output_are_not_followed(name: str, tmp_path: Path) -> None:
    precious, output = tmp_path / "precious", tmp_path / "out"
    precious.mkdir()
    for file in ("keep", ".lock", "_SUCCESS"):
        (precious / file).touch()
    (output / "runs").mkdir(parents=True)
    (output / name).symlink_to(precious)
    publish(output, "a")
    publish(output, "b")
    keep_newest(output, 1, run_id="b")
    assert sorted(path.name for path in precious.iterdir()) == [".lock", "_SUCCESS", "keep"]
    assert not (output / name).is_symlink()
    assert visible(output) == ["b"]


def test_a_link_in_the_place_of_latest_is_replaced_not_followed(tmp_path: Path) -> None:
    precious, output = tmp_path / "precious", tmp_path / "out"
    precious.mkdir()
    output.mkdir()
    for name in ("latest", ".latest.new"):
        (output / name).symlink_to(precious)
    publish(output, "a")
    assert os.readlink(output / "latest") == "runs/a"
    assert list(precious.iterdir()) == []


CRASHES = """
import os, shutil, signal, sys
from pathlib import Path
from job.scoring.publish import keep_newest, locked_output, published_runs, staged_run

WATCHED = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.scandir", "os.listdir"}
FILES = ["_SUCCESS", "manifest.json", "scored.csv"]
left = None

def count(event, arguments):
    global left
    if left is not None and event in WATCHED:
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

def publish(output, run_id):
    with locked_output(output):
        with staged_run(output, run_id) as staged:
            for name in FILES[1:]:
                (staged / name).write_text('{"finished": "x"}')
        keep_newest(output, 2, run_id=run_id)

def check(output):
    runs = output / "runs"
    shown = sorted(path.name for path in runs.iterdir() if path.name[0] != ".")
    for name in shown:
        assert sorted(path.name for path in (runs / name).iterdir()) == FILES, name
        assert (runs / name / "manifest.json").read_text() == '{"finished": "x"}'
    assert os.path.basename(os.readlink(output / "latest")) in shown
    return shown

sys.addaudithook(count)
base = Path(sys.argv[1]) / "base"
publish(base, "a")
publish(base, "b")
for number in range(1000):
    output = base.with_name(str(number))
    shutil.copytree(base, output, symlinks=True)
    pid = os.fork()
    if pid == 0:
        left = number
        publish(output, "c")
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    shown = check(output)
    assert shown in (["a", "b"], ["a", "b", "c"], ["b", "c"]), shown
    publish(output, "d")
    assert check(output)[-1] == "d" and len(check(output)) == 2
    assert [path.name for path in (output / "runs").iterdir() if path.name[0] == "."] == []
    if status == 0:
        print(number)
        break
"""


def test_killed_at_every_step_of_publishing(tmp_path: Path) -> None:
    """Each call that changes or reads a folder is the last in turn; what can be seen afterwards is whole."""
    printed = subprocess.run(
        [sys.executable, "-c", CRASHES, str(tmp_path)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert int(printed.stdout) > 20
