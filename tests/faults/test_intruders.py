"""Other people's modules with the names of ours: the command imports its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import oneclick_retention
from job.sample import write_drop
from oneclick_retention import PACKAGES
from tests.faults.processes import ROOT, split

RAISES = "raise SystemExit('the wrong one')\n"
WHERE_WORKERS_FIND_US = """
import oneclick_retention
oneclick_retention.come_first()
from joblib import Parallel, delayed
print(*Parallel(n_jobs=2)(delayed(eval)("__import__('job').__file__") for _ in range(2)), sep="\\n")
"""


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("intruders") / "drop"
    write_drop(folder, customers=200, seed=5, labelled=False)
    return folder


@pytest.fixture(params=["modules", "packages", "folders"])
def intruders(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "others"
    folder.mkdir()
    for name in PACKAGES:
        if request.param == "modules":
            (folder / f"{name}.py").write_text(RAISES)
            continue
        (folder / name).mkdir()
        (folder / name / ("__init__.py" if request.param == "packages" else "notes.py")).write_text(RAISES)
    return folder


def call(*command: object, path: str, folder: Path) -> tuple[int, str, str]:
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [*map(str, command)], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout, "\n".join(split(done.stderr)[0])


def test_modules_on_the_path(intruders: Path, drop: Path, tmp_path: Path) -> None:
    """The console script, which an editable installation finds after everything on the path."""
    script = Path(sys.executable).parent / "retention"
    code, printed, errors = call(script, "validate", "--input", drop, path=str(intruders), folder=tmp_path)
    assert (code, errors) == (0, "")
    assert "200 in" in printed


def test_modules_where_it_starts(intruders: Path, drop: Path) -> None:
    command = (sys.executable, "-m", "oneclick_retention", "validate", "--input", drop)
    code, _, errors = call(*command, path="", folder=intruders)
    assert (code, errors) == (0, "")


def test_modules_before_an_installation_from_a_wheel(intruders: Path, drop: Path, tmp_path: Path) -> None:
    """Its files lie beside those of other distributions, on the path."""
    site = tmp_path / "site-packages"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, site / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "oneclick_retention.py", site)
    command = (sys.executable, "-P", "-m", "oneclick_retention", "validate", "--input", drop)
    code, _, errors = call(*command, path=f"{intruders}{os.pathsep}{site}", folder=tmp_path)
    assert (code, errors) == (0, "")


def test_another_job_where_python_starts_it_leaves_our_other_packages(drop: Path, tmp_path: Path) -> None:
    """`python -m job` finds the right `job`; what that imports is its own, too."""
    for name in ("schemas", "model_artifacts"):
        (tmp_path / f"{name}.py").write_text(RAISES)
    code, _, errors = call(
        sys.executable, "-m", "job", "validate", "--input", drop, path=f"{tmp_path}{os.pathsep}{ROOT}", folder=tmp_path
    )
    assert (code, errors) == (0, "")


def test_processes_that_train_import_the_same(intruders: Path, tmp_path: Path) -> None:
    code, printed, errors = call(
        sys.executable, "-P", "-c", WHERE_WORKERS_FIND_US, path=str(intruders), folder=tmp_path
    )
    assert (code, errors) == (0, "")
    assert printed.splitlines() == [str(ROOT / "job" / "__init__.py")] * 2


def test_without_intruders_the_path_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "archive.zip").write_bytes(b"none")
    before = [str(tmp_path), str(tmp_path / "none"), str(tmp_path / "archive.zip"), str(ROOT)]
    monkeypatch.setattr(sys, "path", list(before))
    oneclick_retention.come_first()
    assert sys.path == before
    (tmp_path / "schemas.py").touch()
    oneclick_retention.come_first()
    assert sys.path == [str(ROOT), *before]


def test_the_installed_command_starts_there() -> None:
    (script,) = entry_points(group="console_scripts", name="retention")
    assert script.value == "oneclick_retention:run"
