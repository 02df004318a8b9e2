"""Others write where the job publishes: what is not ours is passed over and told, and stops nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from job.beneath import remove_tree
from job.scoring.publish import scratch_folder
from tests.hostile.bounded import retention, score
from tests.intake.drops import make_drop, write_drop

FORGED = "0123456789abcdef"
PLANTED = {  # what stands in the place of a manifest, beside a right _SUCCESS
    "pipe": os.mkfifo,
    "zero": lambda path: path.symlink_to("/dev/zero"),
    "deep": lambda path: path.write_text("[" * 200_000),
    "object": lambda path: path.write_text("{}"),
    "folder": os.mkdir,
    "nothing": lambda path: path.with_name("other").touch(),
    "NaN": lambda path: path.write_text("NaN"),
    "digits": lambda path: path.write_text("9" * 5_000),
    "huge": lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 1 << 40),
}


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drop(tmp_path_factory.mktemp("hostile") / "drop", make_drop())


@pytest.fixture(scope="module")
def published(drop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("published") / "out"
    assert score(drop, output).code == 0
    return output


@pytest.fixture
def output(published: Path, tmp_path: Path) -> Path:
    copy: Path = shutil.copytree(published, tmp_path / "out", symlinks=True)
    return copy


def run_of(output: Path) -> Path:
    return output / os.readlink(output / "latest")


def plant(output: Path, name: str = FORGED, success: str = "1\n") -> Path:
    folder = output / "runs" / name
    folder.mkdir(parents=True)
    (folder / "_SUCCESS").write_text(success)
    return folder


def test_planted_manifests_stop_nothing(drop: Path, output: Path) -> None:
    names = []
    for number, (name, make) in enumerate(PLANTED.items()):
        folder = plant(output, f"{FORGED}-{number + 2}", "999999999999999999\n")
        make(folder / "manifest.json")
        names.append(folder.name)
        assert name
    os.mkfifo(output / "runs" / f"{FORGED}-99")
    result = score(drop, output, "--force", "--keep-runs", "1")
    assert (result.code, result.lines) == (0, [])
    runs = retention("runs", "--output", output, "--json")
    assert runs.code == 0
    assert [run["run_id"] for run in json.loads(runs.output)["runs"]] == [run_of(output).name]
    for name in names:
        assert (output / "runs" / name).is_dir()
    verified = retention("verify", "--output", output)
    assert verified.code == 4
    assert len(verified.lines) == len(names) + 1


def test_high_numbers_do_not_make_real_runs_go(drop: Path, output: Path) -> None:
    real = run_of(output)
    for number in range(2, 5):
        forged = output / "runs" / f"{FORGED}-{number}"
        shutil.copytree(real, forged)
        (forged / "_SUCCESS").write_text("9" * 18)
    assert score(drop, output, "--force", "--keep-runs", "2").code == 0
    assert real.is_dir()
    assert run_of(output).name == f"{real.name}-2"


@pytest.mark.parametrize("kind", ["campaign", "empty manifest", "other drop", "link"])
def test_a_forged_run_under_the_foretold_name_is_made_again(
    kind: str, drop: Path, output: Path, tmp_path: Path
) -> None:
    run = run_of(output)
    right = (run / "campaign.csv").read_bytes()
    if kind == "campaign":
        (run / "campaign.csv").write_bytes(b"x" * len(right))
    elif kind == "empty manifest":
        (run / "manifest.json").write_text("{}")
    elif kind == "other drop":
        manifest = json.loads((run / "manifest.json").read_bytes())
        manifest["inputs"][0]["sha256"] = "0" * 64
        (run / "manifest.json").write_text(json.dumps(manifest))
    else:
        run.rename(tmp_path / "elsewhere")
        run.symlink_to(tmp_path / "elsewhere")
    result = score(drop, output)
    assert (result.code, result.lines) == (0, [])
    assert (output / "latest" / "campaign.csv").read_bytes() == right
    assert not run.is_symlink()
    assert retention("verify", "--output", output).code == 0


@contextlib.contextmanager
def deep(folder: Path, depth: int = 1_500) -> Iterator[None]:
    """Make folders in folders, deeper than the standard library removes again."""
    folder.mkdir(parents=True)
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    try:
        yield
    finally:
        remove_tree(folder)


def test_names_of_the_job_that_others_took_stop_nothing(drop: Path, tmp_path: Path) -> None:
    output, outside = tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    (output / ".scratch-a").mkdir(parents=True)
    (output / ".scratch-a" / ".lock").symlink_to("x")
    (output / ".scratch-b" / ".lock").mkdir(parents=True)
    (output / ".scratch-c").mkdir()
    os.mkfifo(output / ".scratch-c" / ".lock")
    os.mkfifo(output / ".scratch-d")
    (output / ".scratch-e").symlink_to(outside)
    (output / ".latest.new").mkdir()
    (output / "latest").mkdir()
    (output / "runs").symlink_to(outside)
    (output / ".lock").symlink_to(tmp_path / "made-by-lock")
    result = score(drop, output)
    assert (result.code, result.lines) == (0, [])
    assert list(outside.iterdir()) == []
    assert not (tmp_path / "made-by-lock").exists()
    assert run_of(output).is_dir()
    assert not (output / "runs").is_symlink()
    (output / ".lock").unlink()
    os.mkfifo(output / ".lock")
    (output / "runs" / ".removed-link").symlink_to(outside)
    with deep(output / "runs" / ".partial-deep"), deep(output / ".scratch-deep"):
        assert score(drop, output, "--force").code == 0
        assert not (output / "runs" / ".partial-deep").exists()
        assert not (output / ".scratch-deep").exists()


def test_a_scratch_folder_of_the_job_is_for_nobody_else(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700


def test_metrics_follow_no_link_and_wait_for_no_pipe(drop: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "r.prom")
    (tmp_path / "victim").write_text("precious\n")
    result = score(drop, tmp_path / "out", "--metrics", tmp_path / "r.prom")
    assert result.code == 0
    assert (tmp_path / "r.prom").is_file()
    (tmp_path / "r.prom").unlink()
    (tmp_path / "r.prom").symlink_to(tmp_path / "victim")
    assert score(drop, tmp_path / "out", "--metrics", tmp_path / "r.prom").code == 0
    assert (tmp_path / "victim").read_text() == "precious\n"
    assert not (tmp_path / "r.prom").is_symlink()


def test_a_report_and_a_lift_of_a_planted_run(drop: Path, output: Path) -> None:
    run = run_of(output)
    for kind in ("pipe", "zero"):
        (run / "manifest.json").unlink()
        PLANTED[kind](run / "manifest.json")
        for arguments, code in ((("report", "--run", run), 2), (("lift", "--run", run, "--outcome", drop), 4)):
            result = retention(*arguments)
            assert (result.code, len(result.lines)) == (code, 1), result
