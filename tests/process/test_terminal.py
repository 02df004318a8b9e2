"""What is shown on a terminal, with real processes; elsewhere there is no bar."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

CLEAR = "\r\x1b[K"


def run_on_a_terminal(*arguments: object) -> tuple[int, str]:
    """Return the exit code and what the terminal got on standard error."""
    outer, inner = pty.openpty()
    command = [sys.executable, "-m", "job", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=inner) as process:
        os.close(inner)
        shown = b""
        try:
            while part := os.read(outer, 65536):
                shown += part
        except OSError:  # the other end is closed
            pass
    os.close(outer)
    return process.returncode, shown.decode()


def test_score_and_sample_show_how_far_they_are(tmp_path: Path) -> None:
    code, shown = run_on_a_terminal("sample", "--customers", 300, "--seed", 1, tmp_path / "drop")
    assert (code, f"{CLEAR}[....................] 0/300 customers{CLEAR}" in shown) == (0, True)
    score = ("score", "--input", tmp_path / "drop", "--no-report")
    code, shown = run_on_a_terminal(*score, "--output", tmp_path / "out")
    assert code == 0
    assert "[####################] 4/4 intake" in shown
    assert "[####################] 1/1 score" in shown
    assert all(line.startswith(CLEAR) for line in shown.split("\r\n")[:-1])


@pytest.mark.parametrize("option", [("--quiet",), ("--log-format", "json")])
def test_who_wants_silence_or_json_gets_no_bar(option: tuple[str, ...], small_drop: Path, tmp_path: Path) -> None:
    score = ("score", "--input", small_drop, "--output", tmp_path / "out", "--no-report")
    code, shown = run_on_a_terminal(*score, *option)
    assert code in (0, 8)
    assert "[####" not in shown


def test_a_missing_system_library_is_one_line(small_drop: Path, tmp_path: Path) -> None:
    """LightGBM needs OpenMP's runtime, which a bare Debian has not: the loader's own error, of another library."""
    (tmp_path / "path" / "lightgbm").mkdir(parents=True)
    (tmp_path / "path" / "lightgbm" / "__init__.py").write_text(
        "import ctypes\nctypes.CDLL('libgomp-of-nobody.so.1')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "job", "train", "--input", small_drop, "--artifacts", tmp_path / "new", "--quiet"],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "path")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    problem, *log = done.stderr.splitlines()
    assert problem == (
        "training needs a system library (on Debian and Ubuntu: apt-get install libgomp1): "
        "libgomp-of-nobody.so.1: cannot open shared object file: No such file or directory"
    )
    assert [json.loads(line)["event"] for line in log] == ["finished"]
