"""What becomes of a supervised process; every case in real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from job.process import supervisor

ROOT = Path(__file__).parents[1]
_ABORTED = "None SIGABRT False {}"
BOUND = 5  # seconds in which a signal must have stopped everything

PREFACE = """
import os, signal, subprocess, sys, time
from pathlib import Path
from job.process.supervisor import note, removed_if_killed, supervise

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the tests run under nohup

def ready():
    print("ready", flush=True)

def long_query():
    import polars as pl
    rows = pl.LazyFrame({"a": range(3_000_000)})
    ready()
    rows.join(rows, how="cross").select(pl.all().sum()).collect()

def end():
    ending = supervise(work)
    print(ending.exit_code, ending.signal and ending.signal.name, ending.is_stopped, ending.notes, flush=True)
    os._exit(0)
"""


def start(work: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a process that supervises the body `work`."""
    body = "\n".join(f"    {line}" for line in work.splitlines())
    script = f"{PREFACE}\ndef work():\n{body}\n    return 0\n\nend()\n"
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)


def wait_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def rest(process: subprocess.Popen[str]) -> str:
    """Return what is printed until the process and everything that it started have ended."""
    printed, _ = process.communicate(timeout=BOUND)
    return printed


@pytest.mark.parametrize(
    ("work", "ending"),
    [
        ("pass", "0 None False {}"),
        ("return 3", "3 None False {}"),
        ("note('a', 'x'); note('b', 'y'); note('a', 'z'); note('b', None)", "0 None False {'a': 'z'}"),
        ("raise SystemExit(4)", "4 None False {}"),
        ("import atexit\natexit.register(print, 'tidied')", "tidied\n0 None False {}"),
        ("sys.modules['kept'] = type('Kept', (), {'__del__': lambda self: print('apart')})()", "0 None False {}"),
        ("os.abort()", _ABORTED),
        ("os.kill(os.getpid(), signal.SIGKILL)", "None SIGKILL False {}"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "None SIGTERM True {}"),
        ("os.kill(os.getpid(), signal.SIGINT)", "None SIGINT False {}"),  # as OpenBLAS does for want of memory
        ("import ctypes\nctypes.CDLL(None).exit(1)", "None None False {}"),  # as OpenBLAS does, too
        ("os.write(sys.modules['job.process.supervisor']._channel.descriptor, b'[\"cut')\nos.abort()", _ABORTED),
    ],
)
def test_the_ending_of_the_child_is_told(work: str, ending: str) -> None:
    process = start(work)
    assert rest(process) == f"{ending}\n"
    assert process.returncode == 0


def test_what_could_not_be_printed_is_told_by_python() -> None:
    process = start("sys.stdout = open('/dev/full', 'w')\nprint('lost')")
    assert rest(process) == "120 None False {}\n"


@pytest.mark.parametrize("number", supervisor.STOPPING)
def test_a_signal_stops_a_long_query_and_what_it_wrote_is_removed(number: signal.Signals, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    process = start(
        "folder = Path(sys.argv[1])\n"
        "with removed_if_killed(folder):\n"
        "    folder.mkdir()\n"
        "    (folder / 'half').write_text('x')\n"
        "    long_query()",
        folder,
    )
    wait_ready(process)
    assert folder.is_dir()
    process.send_signal(number)
    assert rest(process) == f"None {number.name} True {{}}\n"
    assert not folder.exists()


def test_a_folder_is_left_alone_once_its_block_has_ended(tmp_path: Path) -> None:
    process = start(
        "with removed_if_killed(Path(sys.argv[1])):\n    pass\nos.kill(os.getpid(), signal.SIGKILL)", tmp_path
    )
    assert rest(process) == "None SIGKILL False {}\n"
    assert tmp_path.is_dir()


def test_the_children_of_the_child_are_stopped_too() -> None:
    """`communicate` ends when nobody holds the pipe: the sleeping grandchild does."""
    process = start("child = subprocess.Popen(['sleep', '1000'])\nready()\nchild.wait()")
    wait_ready(process)
    process.send_signal(signal.SIGTERM)
    assert rest(process) == "None SIGTERM True {}\n"


def test_the_child_dies_with_its_parent() -> None:
    process = start("long_query()")
    wait_ready(process)
    process.kill()
    assert rest(process) == ""
    assert process.returncode == -signal.SIGKILL


def test_an_ignored_signal_stays_ignored() -> None:
    """As after `nohup`, or of a shell's background job."""
    process = subprocess.Popen(
        [
            "env",
            "--ignore-signal=INT",
            sys.executable,
            "-c",
            f"{PREFACE}\nwork = lambda: ready() or input() or 7\nend()",
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_ready(process)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate("\n", timeout=BOUND)[0] == "7 None False {}\n"


def test_a_second_signal_leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    killed, left = [], []
    monkeypatch.setattr(os, "killpg", lambda group, number: killed.append((group, number)))
    monkeypatch.setattr(os, "_exit", left.append)
    stopper = supervisor._Stopper(child=1234)
    stopper(signal.SIGTERM, None)
    assert (killed, left) == ([(1234, signal.SIGKILL)], [])
    stopper(signal.SIGINT, None)
    assert left == [130]


def test_without_a_supervisor_nothing_is_told(tmp_path: Path) -> None:
    supervisor.note("a", "b")
    with supervisor.removed_if_killed(tmp_path):
        pass
    assert tmp_path.is_dir()
