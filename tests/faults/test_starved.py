"""No room, no right to write, no folder, no memory: the contract's code, one line, and nothing to be seen."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from job.errors import OutputError
from job.sample import write_drop
from job.scoring.pipeline import run_scoring
from job.settings import ScoreSettings
from tests.faults.processes import check_visible, hidden, run, scoring

OUT_OF_MEMORY = "killed by the system, most likely for want of memory; the next try starts afresh"
MEMORY = Path("/sys/fs/cgroup/memory")
UNIFIED = Path("/sys/fs/cgroup")


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("starved") / "drop"
    write_drop(folder, customers=2000, seed=5, labelled=False)
    return folder


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode != 0:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", disk], check=True)


def test_a_full_disk(drop: Path, disk: Path) -> None:
    """At every size at which something else does not fit, until all of it does."""
    output, failures = disk / "out", 0
    for kilobytes in (4, 40, 200, 700, 1000, 1200, 1300, 1400, 8000):
        remount(disk, f"size={kilobytes}k")
        code, lines, log = run(*scoring(drop, output))
        assert hidden(output) == []
        if code == 0:
            break
        failures += 1
        assert (code, len(lines)) == (5, 1)
        assert lines[0].startswith(str(output))
        assert lines[0].endswith(": cannot be written: No space left on device")
        assert log[-1]["exit_code"] == 5
        assert check_visible(output) == []
    assert failures >= 4
    assert code == 0
    assert len(check_visible(output)) == 1


def test_no_free_inode(drop: Path, disk: Path) -> None:
    output = disk / "out"
    remount(disk, "nr_inodes=8")
    code, lines, _ = run(*scoring(drop, output))
    assert (code, len(lines)) == (5, 1)
    assert lines[0].endswith(": cannot be written: No space left on device")
    assert check_visible(output) == hidden(output) == []


def test_a_disk_that_only_reads(drop: Path, disk: Path) -> None:
    output = disk / "out"
    assert run(*scoring(drop, output))[0] == 0
    before = check_visible(output)
    remount(disk, "ro")
    code, lines, log = run(*scoring(drop, output, "--force"))
    assert (code, lines) == (5, [f"{output / '.lock'}: cannot be written: Read-only file system"])
    assert log[-1]["problems"] == 1
    assert check_visible(output) == before
    remount(disk, "rw")
    assert run(*scoring(drop, output, "--force"))[0] == 0
    assert len(check_visible(output)) == 2


def test_a_limit_on_the_size_of_files(drop: Path, tmp_path: Path) -> None:
    """Needs no rights: what a quota does to a write in its middle."""
    output = tmp_path / "out"
    code, lines, _ = run(*scoring(drop, output), prefix=("prlimit", "--fsize=50000"))
    assert (code, len(lines)) == (5, 1)
    assert lines[0].endswith(": cannot be written: File too large")
    assert check_visible(output) == hidden(output) == []
    assert run(*scoring(drop, output))[0] == 0


def test_the_output_disappears_during_the_run(drop: Path, tmp_path: Path) -> None:
    """At the beginning of each stage in turn."""
    output = tmp_path / "out"
    stages: list[str] = []

    def score(at: str | None) -> None:
        def enter(stage: str) -> None:
            stages.append(stage)
            if stage == at:
                shutil.rmtree(output)

        run_scoring(drop, output, ScoreSettings(no_report=True), progress=enter)

    score(None)
    locked = stages[stages.index("intake") :]
    assert len(locked) > 3
    for stage in locked:
        shutil.rmtree(output, ignore_errors=True)
        with pytest.raises(OutputError) as caught:
            score(stage)
        (line,) = caught.value.problems
        assert line.startswith(f"{output}")
        assert "cannot be written: " in line
        assert check_visible(output) == hidden(output) == []


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A control group whose processes may hold 64 MiB; the file that takes a process in."""
    version_1 = (MEMORY / "memory.limit_in_bytes").exists()
    group = (MEMORY if version_1 else UNIFIED) / f"retention-test-{os.getpid()}"
    limit = "memory.limit_in_bytes" if version_1 else "memory.max"
    try:
        group.mkdir()
        (group / limit).write_text(str(64 << 20))
        for swap in ("memory.memsw.limit_in_bytes", "memory.swap.max"):
            if (group / swap).exists():
                (group / swap).write_text(str(64 << 20) if version_1 else "0")
    except OSError as error:
        if group.is_dir():
            group.rmdir()
        pytest.skip(f"control groups cannot be made here: {error}")
    yield group / "cgroup.procs"
    group.rmdir()


def test_out_of_memory(drop: Path, memory_group: Path, tmp_path: Path) -> None:
    """The system kills the process that works; the one that waits is small, and says so."""
    output, metrics = tmp_path / "out", tmp_path / "retention.prom"
    enter = ("sh", "-c", 'echo $$ > "$0" && exec "$@"', str(memory_group))
    code, lines, log = run(*scoring(drop, output, "--metrics", metrics), prefix=enter)
    assert (code, lines) == (1, [OUT_OF_MEMORY])
    assert (log[-1]["exit_code"], log[-1]["died_of"]) == (1, "SIGKILL")
    assert f'retention_exit_code{{output="{output}"}} 1.0\n' in metrics.read_text()
    assert check_visible(output) == hidden(output) == []
    assert run(*scoring(drop, output))[0] == 0


@pytest.mark.parametrize("megabytes", [150, 250, 400, 700, 950, 1050, 1150])
def test_a_limit_on_address_space(megabytes: int, drop: Path, tmp_path: Path) -> None:
    """Memory is refused instead of the process killed: libraries give up in ways of their own, but the code is 1."""
    output = tmp_path / "out"
    code, lines, log = run(*scoring(drop, output), prefix=("prlimit", f"--as={megabytes << 20}"))
    if code != 0:
        assert code == 1
        ended = ("died of SIG", "ended by a library")
        assert lines[-1].startswith(("out of memory", "the system refuses threads", *ended))
        assert len(lines) == 1 or lines[-1].startswith(ended)  # those before are the library's last words
        assert log[-1]["exit_code"] == 1
        assert check_visible(output) == []
    assert run(*scoring(drop, output))[0] == 0
    assert hidden(output) == []
