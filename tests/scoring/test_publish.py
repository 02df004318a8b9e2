from __future__ import annotations

import fcntl
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
    remove_stale_scratch,
    scratch_folder,
    show_again,
    staged_run,
)
from job.scoring.published import published_runs
from schemas.manifest import manifest_text
from tests.manifests import make_manifest

ROOT = Path(__file__).parents[2]


A, B, C, D = (letter * 16 for letter in "abcd")  # names of runs


def publish(output: Path, run_id: str, finished: str = "2026-01-01T00:00:00+00:00") -> None:
    with locked_output(output), staged_run(output, run_id) as staged:
        (staged / "manifest.json").write_text(manifest_text(make_manifest(run_id=run_id, finished=finished)))


def visible(output: Path) -> list[str]:
    return sorted(path.name for path in (output / "runs").iterdir())


def test_a_run_appears_whole_with_success_and_latest(tmp_path: Path) -> None:
    with locked_output(tmp_path), staged_run(tmp_path, A) as staged:
        (staged / "scored.csv").write_text("id\n")
        outputs = describe_files(staged)
        (staged / "manifest.json").write_text(manifest_text(make_manifest(run_id=A, outputs=outputs)))
        assert published_runs(tmp_path) == []
        assert not (tmp_path / "latest").exists()
    assert published_runs(tmp_path) == [tmp_path / "runs" / A]
    assert sorted(path.name for path in (tmp_path / "runs" / A).iterdir()) == [
        "_SUCCESS",
        "manifest.json",
        "scored.csv",
    ]
    assert os.readlink(tmp_path / "latest") == f"runs/{A}"


def test_latest_moves_to_the_next_run(tmp_path: Path) -> None:
    publish(tmp_path, A)
    publish(tmp_path, B)
    assert os.readlink(tmp_path / "latest") == f"runs/{B}"
    assert visible(tmp_path) == [A, B]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_run_that_fails_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    publish(tmp_path, A)
    with pytest.raises(error), locked_output(tmp_path), staged_run(tmp_path, B) as staged:
        (staged / "scored.csv").write_text("id\n")
        raise error
    assert visible(tmp_path) == [A]
    assert os.readlink(tmp_path / "latest") == f"runs/{A}"


def test_what_a_dead_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    dead = tmp_path / "runs" / ".partial-dead"
    dead.mkdir(parents=True)
    (dead / "scored.csv").write_text("half")
    publish(tmp_path, A)
    assert visible(tmp_path) == [A]


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
    with pytest.raises(OutputError) as caught, locked_output(tmp_path), staged_run(tmp_path, A) as staged:
        (staged / "scored.csv").write_text("half")
        raise OSError(28, "No space left on device", str(staged / "scored.csv"))
    assert caught.value.problems == (f"{tmp_path}/runs/{A}/scored.csv: cannot be written: No space left on device",)
    assert visible(tmp_path) == []


def test_latest_names_the_run_that_was_asked_for_last(tmp_path: Path) -> None:
    publish(tmp_path, A, "2026-01-01T00:00:00+00:00")
    publish(tmp_path, B, "2026-02-01T00:00:00+00:00")
    assert show_again(tmp_path, B) == (B, None)
    assert show_again(tmp_path, A) == (A, B)
    assert os.readlink(tmp_path / "latest") == f"runs/{A}"
    (tmp_path / "latest").unlink()  # a run died between its renames
    assert show_again(tmp_path, B) == (B, None)
    assert os.readlink(tmp_path / "latest") == f"runs/{B}"


def test_a_forced_repetition_is_the_run_that_was_asked_for(tmp_path: Path) -> None:
    publish(tmp_path, A)
    publish(tmp_path, f"{A}-2")
    assert show_again(tmp_path, A) == (f"{A}-2", None)
    publish(tmp_path, B)
    assert show_again(tmp_path, A) == (A, B)


def test_what_is_no_whole_run_makes_way(tmp_path: Path) -> None:
    (tmp_path / "runs" / A).mkdir(parents=True)
    (tmp_path / "runs" / A / "scored.csv").write_text("half")
    publish(tmp_path, A)
    assert sorted(path.name for path in (tmp_path / "runs" / A).iterdir()) == ["_SUCCESS", "manifest.json"]
    assert visible(tmp_path) == [A]


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
    publish(tmp_path, B, "2026-05-01T00:00:00+00:00")
    publish(tmp_path, A, "2026-04-01T00:00:00+00:00")
    assert [run.name for run in published_runs(tmp_path)] == [A, B]


def test_a_forced_run_has_a_name_of_its_own(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        names.append(name_anew(tmp_path, A))
        publish(tmp_path, names[-1])
    publish(tmp_path, f"{B}-9")
    assert names == [A, f"{A}-2", f"{A}-3"]
    assert name_anew(tmp_path, A) == f"{A}-4"


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
    for name in (A, B, C, D):
        publish(tmp_path, name)
    (tmp_path / "latest").unlink()
    (tmp_path / "latest").symlink_to(f"runs/{latest * 16}")
    keep_newest(tmp_path, keep, run_id=run_id * 16)
    assert visible(tmp_path) == [letter * 16 for letter in left]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may remove everything")
def test_a_run_that_cannot_be_removed(tmp_path: Path) -> None:
    publish(tmp_path, A)
    publish(tmp_path, B)
    (tmp_path / "runs").chmod(0o500)
    with pytest.raises(OutputError) as caught:
        keep_newest(tmp_path, 1, run_id=B)
    (tmp_path / "runs").chmod(0o700)
    assert caught.value.problems == (f"{tmp_path}/runs/{A}: cannot be written: Permission denied",)


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
            "{out}/runs/{a}/part/x.csv: cannot be written: No such file or directory",
        ),
    ],
)
def test_what_polars_says_of_the_disk_is_one_line(error: Exception, line: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught, locked_output(tmp_path), staged_run(tmp_path, A) as staged:
        raise type(error)(str(error).replace("{staged}", str(staged)))
    assert caught.value.problems == (line.replace("{out}", str(tmp_path)).replace("{a}", A),)
    assert visible(tmp_path) == []


def test_other_errors_of_polars_are_no_matter_of_the_output(tmp_path: Path) -> None:
    with (
        pytest.raises(pl.exceptions.ComputeError),
        locked_output(tmp_path),
        staged_run(tmp_path, A),
    ):
        raise pl.exceptions.ComputeError("a defect")
    assert visible(tmp_path) == []


def test_an_output_that_is_removed_during_the_run(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with pytest.raises(OutputError) as caught, locked_output(output), staged_run(output, A):
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
        (tmp_path / ".scratch-file").touch()  # not of this job's making
        with enter(tmp_path):
            assert not dead.exists()
            assert (tmp_path / ".scratch-file").exists()


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
    publish(output, A)
    publish(output, B)
    keep_newest(output, 1, run_id=B)
    assert sorted(path.name for path in precious.iterdir()) == [".lock", "_SUCCESS", "keep"]
    assert visible(output) == [B, *(["old"] if name == "runs/old" else [])]


def test_a_link_in_the_place_of_latest_is_replaced_not_followed(tmp_path: Path) -> None:
    precious, output = tmp_path / "precious", tmp_path / "out"
    precious.mkdir()
    output.mkdir()
    for name in ("latest", ".latest.new"):
        (output / name).symlink_to(precious)
    publish(output, A)
    assert os.readlink(output / "latest") == f"runs/{A}"
    assert list(precious.iterdir()) == []


CRASHES = """
import os, shutil, signal, sys
from pathlib import Path
from job.scoring.publish import keep_newest, locked_output, staged_run
from job.scoring.published import is_whole
from schemas.manifest import manifest_text
from tests.manifests import make_manifest
A, B, C, D = (letter * 16 for letter in "abcd")

WATCHED = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.scandir", "os.listdir"}
FILES = ["_SUCCESS", "manifest.json", "scored.csv"]
TOLD = {"scored.csv": {"bytes": 5, "sha256": "0" * 64}}
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
            (staged / "scored.csv").write_text("12345")
            (staged / "manifest.json").write_text(manifest_text(make_manifest(run_id=run_id, outputs=TOLD)))
        keep_newest(output, 2, run_id=run_id)

def check(output):
    runs = output / "runs"
    shown = sorted(path.name for path in runs.iterdir() if path.name[0] != ".")
    for name in shown:
        assert sorted(path.name for path in (runs / name).iterdir()) == FILES, name
        assert is_whole(runs / name)
    assert os.path.basename(os.readlink(output / "latest")) in shown
    return shown

sys.addaudithook(count)
base = Path(sys.argv[1]) / "base"
publish(base, A)
publish(base, B)
for number in range(1000):
    output = base.with_name(str(number))
    shutil.copytree(base, output, symlinks=True)
    pid = os.fork()
    if pid == 0:
        left = number
        publish(output, C)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    shown = check(output)
    assert shown in ([A, B], [A, B, C], [B, C]), shown
    publish(output, D)
    assert check(output)[-1] == D and len(check(output)) == 2
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
