"""Odd machines: streams that refuse, parents that ignore, no home, no threads, no links, no locks."""

from __future__ import annotations

import errno
import fcntl
import importlib.util
import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from job.errors import OutputError
from job.files import NO_LINKS, create_file
from job.sample import write_drop
from job.scoring.pipeline import run_scoring
from job.scoring.publish import locked_output, point_latest
from job.scoring.published import latest_run, resolve_latest
from job.settings import ScoreSettings
from tests.faults.processes import check_visible, run, scoring, split, start


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("machines") / "drop"
    write_drop(folder, customers=200, seed=5, labelled=False)
    return folder


def shell(script: str) -> tuple[str, ...]:
    """Return what starts the command out of a shell: `"$@"` in the script."""
    return ("bash", "-c", script, "bash")


@pytest.mark.parametrize(
    "script",
    [
        'exec "$@" 2>/dev/full',
        'exec "$@" >/dev/full',
        'exec "$@" >/dev/full 2>/dev/full',
        'exec "$@" 2>&-',
        'exec "$@" >&- 2>&- <&-',
        'exec "$@" 2> >(exec true)',
        'exec "$@" > >(exec true)',
        'PYTHONIOENCODING=latin-1 exec "$@"',
        'PYTHONIOENCODING=ascii exec "$@"',
        'LC_ALL=C PYTHONUTF8=0 exec "$@"',
        "trap '' CHLD; exec \"$@\"",
        "trap '' PIPE; exec \"$@\"",
        'unset HOME; exec "$@"',
        'HOME= TMPDIR= POLARS_MAX_THREADS= RETENTION_BUDGET= RETENTION_NO_SUCH= exec "$@"',
    ],
)
def test_what_whoever_called_left_costs_no_run(script: str, drop: Path, tmp_path: Path) -> None:
    process = start(*scoring(drop, tmp_path / "out"), prefix=shell(script))
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert len(check_visible(tmp_path / "out")) == 1
    assert "Traceback" not in printed + errors
    if ">/dev/full" in script and "2>" not in script:
        assert split(errors)[0] == [
            "standard output cannot be written: No space left on device; the exit code is that of the work"
        ]


def test_closed_descriptors_are_not_those_of_files(drop: Path, tmp_path: Path) -> None:
    """Messages of libraries would end in the run's files."""
    for name, script in (("plain", 'exec "$@"'), ("closed", 'exec "$@" <&- >&- 2>&-')):
        process = start(*scoring(drop, tmp_path / name), prefix=shell(script))
        process.communicate(timeout=60)
        assert process.returncode == 0
    plain, closed = (tmp_path / name / "latest" / "scored.csv" for name in ("plain", "closed"))
    assert plain.read_bytes() == closed.read_bytes()


@pytest.mark.parametrize("threads", ["0", "-1", "two"])
def test_no_number_of_threads(threads: str, drop: Path) -> None:
    code, lines, _ = run("validate", "--input", drop, env={**os.environ, "POLARS_MAX_THREADS": threads})
    assert (code, lines) == (2, [f"POLARS_MAX_THREADS: found {threads}, expected a number of threads, 1 or more"])


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "NaN", "infinity"])
@pytest.mark.parametrize("option", ["--max-rejected", "--max-unknown", "--segment-change", "--wait", "--settle"])
def test_what_is_no_number_is_wrong_usage(option: str, number: str, drop: Path, tmp_path: Path) -> None:
    from click.testing import CliRunner  # noqa: PLC0415

    from job.cli import main  # noqa: PLC0415

    result = CliRunner().invoke(main, [*map(str, scoring(drop, tmp_path / "out")), f"{option}={number}"])
    assert result.exit_code == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv")
@pytest.mark.parametrize("processes", [2, 8])
def test_few_processes(processes: int, drop: Path) -> None:
    """A limit that root does not have."""
    who = ("setpriv", "--reuid", "54321", "--clear-groups", "--inh-caps=+dac_read_search")
    prefix = (*who, "--ambient-caps=+dac_read_search", *shell(f'ulimit -u {processes}; exec "$@"'))
    code, lines, _ = run("validate", "--input", drop, prefix=prefix)
    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith("the system refuses ")


def test_a_path_that_is_no_text(drop: Path, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/\xf2\xe5\xf2"
    code, lines, _ = run("validate", "--input", os.fsdecode(odd))
    assert code == 2
    assert lines[-1].endswith("is no name in UTF-8; rename it, or go there and give a relative path.")
    Path(os.fsdecode(odd)).mkdir()
    code, lines, _ = run("validate", "--input", drop, prefix=("env", "-C", os.fsdecode(odd)), env=os.environ)
    assert (code, lines) == (0, [])


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("no home"), ValueError("of a template")])
def test_whatever_ends_the_page_costs_no_run(
    error: Exception, drop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(_: object) -> str:
        raise error

    monkeypatch.setattr("job.report.page.build_page", end)
    outcome = run_scoring(drop, tmp_path / "out", ScoreSettings())
    assert not (outcome.folder / "report.html").exists()
    assert "report.html" not in outcome.manifest["outputs"]
    assert outcome.manifest["warnings"][-1] == f"report.html is left out: {type(error).__name__}: {error}"


def refuse(error: int) -> object:
    def call(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    return call


@pytest.mark.parametrize("error", sorted(NO_LINKS))
def test_a_file_system_without_links(error: int, drop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "out"
    linked = run_scoring(drop, output, ScoreSettings(no_report=True)).folder.name
    monkeypatch.setattr(os, "symlink", refuse(error))
    monkeypatch.setattr(os, "link", refuse(error))
    point_latest(output, linked)
    assert (output / "latest").read_text() == f"runs/{linked}\n"
    assert latest_run(output) == linked
    assert resolve_latest(output / "latest") == output / "runs" / linked
    assert resolve_latest(output / "runs" / linked) == output / "runs" / linked
    assert not run_scoring(drop, output, ScoreSettings(no_report=True)).is_new
    assert create_file(tmp_path / "first", b"1")
    assert not create_file(tmp_path / "first", b"2")
    assert (tmp_path / "first").read_bytes() == b"1"
    monkeypatch.undo()
    point_latest(output, linked)
    assert os.readlink(output / "latest") == f"runs/{linked}"


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EIO])
def test_a_file_system_without_locks(error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", refuse(error))
    with pytest.raises(OutputError) as caught, locked_output(tmp_path / "out"):
        pass
    assert caught.value.problems == (
        (
            f"{tmp_path / 'out' / '.lock'}: cannot be locked: {os.strerror(error)}; "
            "a file system with locks (flock) is needed here"
        ),
    )


def test_what_is_not_installed(drop: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nclass Gone:\n    def find_spec(self, name, *_):\n"
        "        if name == 'joblib': raise ModuleNotFoundError('No module named joblib', name='joblib')\n"
        "sys.meta_path.insert(0, Gone())\n"
    )
    command = ("train", "--input", drop, "--artifacts", tmp_path / "model", "--json")
    process = start(*command, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 4
    assert json.loads(printed)["problems"] == [
        "training needs joblib, which is not installed here: pip install 'oneclick-retention[training]', or the image "
        "that trains"
    ]


@pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is not None, reason="needs an environment without Spark's client"
)
def test_the_engine_that_is_not_installed(drop: Path, tmp_path: Path) -> None:
    code, lines, _ = run(*scoring(drop, tmp_path / "out", "--engine", "spark", "--spark-remote", "sc://127.0.0.1:1"))
    assert (code, lines) == (2, ["--engine spark: not installed: pyarrow; pip install 'oneclick-retention[spark]'"])


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a device")
@pytest.mark.parametrize("option", ["--metrics", "--lineage"])
def test_a_device_is_not_replaced_by_a_file(option: str, drop: Path, tmp_path: Path) -> None:
    null = tmp_path / "null"
    try:
        os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("this system lets nobody make devices")
    code, lines, _ = run(*scoring(drop, tmp_path / "out", option, null))
    told = f"{null}: the {option.removeprefix('--')} cannot be written: it is a device, which a file would replace"
    assert code == 0
    assert set(lines) == {told}
    assert null.is_char_device()
