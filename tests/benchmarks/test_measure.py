import sys
from pathlib import Path

import pytest

from tests.benchmarks.measure import CommandError, Measurement, measure, stages_of, written_bytes
from tests.benchmarks.workshop import environment


def run(tmp_path: Path, code: str, *, limit: float = 60) -> tuple[Measurement, str]:
    command = [sys.executable, "-c", code]
    return measure(command, environment=environment(), cwd=tmp_path, log=tmp_path / "log.err", limit=limit)


def test_a_process_is_measured_with_its_children(tmp_path: Path) -> None:
    block = 400 << 20
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', 'len(b\"1\" * {block})'], check=True)"
    cost, printed = run(tmp_path, code)
    assert cost.peak > block
    assert cost.cpu > 0
    assert cost.wall > 0
    assert printed == ""


def test_a_failure_says_why(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"^exit code 3: one / two / three$"):
        run(tmp_path, "import sys; print('zero\\none\\ntwo\\nthree', file=sys.stderr); sys.exit(3)")


def test_a_process_that_is_killed_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"^exit code -9: $"):
        run(tmp_path, "import os; os.kill(os.getpid(), 9)")


def test_a_process_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"^longer than 0 s$"):
        run(tmp_path, "import time; time.sleep(60)", limit=0.1)


def test_no_option_of_the_job_is_set_by_accident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETENTION_MAX_REJECTED", "1")
    monkeypatch.setenv("POLARS_MAX_THREADS", "1")
    _, printed = run(tmp_path, "import os; print([n for n in os.environ if n.startswith(('RETENTION_', 'POLARS_'))])")
    assert printed == "[]\n"


def test_stages_come_from_what_was_printed(tmp_path: Path) -> None:
    assert stages_of('{"seconds": {"parse": 1.5, "write": 2}}\n', tmp_path) == {"parse": 1.5, "write": 2.0}
    assert stages_of("Run 1, done\n", tmp_path) == {}
    assert stages_of("", tmp_path) == {}


def test_stages_of_a_run_come_from_its_manifest(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / "manifest.json").write_text('{"seconds": {"intake": 0.5}}', encoding="utf-8")
    assert stages_of("Run 1, done\n", tmp_path) == {"intake": 0.5}


def test_files_are_counted_once(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a").write_bytes(b"12345")
    (tmp_path / "b").write_bytes(b"123")
    (tmp_path / "latest").symlink_to("runs")
    (tmp_path / "c").symlink_to("b")
    assert written_bytes(tmp_path) == 8
