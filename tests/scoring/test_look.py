"""Exit code 8 stays until a person has looked; month after month, as operations would see it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from job.cli import main
from job.sample import write_drop
from tests.faults.processes import UNMOVED


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def score(drop: Path, output: Path, *more: object) -> Result:
    return call("score", "--input", drop, "--output", output, "--no-report", *UNMOVED, *more)


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two months' drops, of which the second has lost half of its customers."""
    folder = tmp_path_factory.mktemp("months")
    for name, customers, seed in (("june", 400, 1), ("july", 200, 2)):
        write_drop(folder / name, customers=customers, seed=seed, labelled=False, clean=True)
    return folder / "june", folder / "july"


def test_a_collapse_is_8_until_a_person_has_looked(months: tuple[Path, Path], tmp_path: Path) -> None:
    june, july = months
    output, metrics = tmp_path / "out", tmp_path / "retention.prom"
    assert score(june, output).exit_code == 0
    before = (output / "latest").resolve().name
    result = score(july, output, "--metrics", metrics)
    run_id = (output / "latest").resolve().name
    told = [
        f"customers: 200, 400 in the run before, {before} (--max-change)",
        *(line for line in result.stderr.splitlines() if line.startswith("contacts: ")),
        f"A person must look; then: retention runs --output {output} --acknowledge {run_id}",
    ]
    assert (result.exit_code, result.stderr.splitlines()) == (8, told)
    assert f'retention_change_ratio{{measure="customers",output="{output}"}} -0.5' in metrics.read_text()
    again = score(july, output)
    assert (again.exit_code, again.stderr) == (8, result.stderr)
    noted = call("runs", "--output", output, "--acknowledge", run_id, "--note", "the shop in Tver has closed")
    assert (noted.exit_code, noted.stdout) == (0, f"Run {run_id}: a person has looked.\n")
    kept = json.loads((output / "acknowledged" / run_id).read_text())
    assert (kept["note"], set(kept)) == ("the shop in Tver has closed", {"user", "at", "note"})
    assert score(july, output).exit_code == 0
    assert score(july, output, "--metrics", metrics).exit_code == 0
    # A larger limit is another run: it has nothing to say.
    assert score(july, output, "--max-change", "5").exit_code == 0


def test_nobody_looks_at_what_is_not_there(months: tuple[Path, Path], tmp_path: Path) -> None:
    score(months[0], tmp_path)
    for name in ("none", "../latest", ""):
        result = call("runs", "--output", tmp_path, "--acknowledge", name)
        assert result.exit_code == 2
        assert result.stderr.startswith("--acknowledge: ")
    assert not (tmp_path / "acknowledged").exists()


def test_latest_and_metrics_follow_the_run_that_was_asked_for(months: tuple[Path, Path], tmp_path: Path) -> None:
    june, july = months
    output, metrics = tmp_path / "out", tmp_path / "retention.prom"
    score(june, output)
    first = (output / "latest").resolve().name
    score(july, output, "--max-change", "5")
    second = (output / "latest").resolve().name
    tried = score(june, output, "--dry-run")
    assert tried.stdout == (
        f"Nothing to do: the same drop was published before, as {output / 'runs' / first}; "
        f"`latest` would name it again, it names {second}\n"
    )
    assert (output / "latest").resolve().name == second
    again = score(june, output, "--metrics", metrics)
    assert again.exit_code == 0
    assert again.stdout == (
        f"Nothing to do: the same drop was published before, as {output / 'runs' / first}; "
        f"`latest` names it again, it named {second}\n"
    )
    assert (output / "latest").resolve().name == first
    assert f'run_id="{first}"' in metrics.read_text()


def test_require_new_refuses_what_was_published_and_takes_the_next(months: tuple[Path, Path], tmp_path: Path) -> None:
    june, july = months
    assert score(june, tmp_path, "--require-new").exit_code == 0
    run_id = (tmp_path / "latest").resolve().name
    again = score(june, tmp_path, "--require-new", "--campaign", "another")
    assert again.exit_code == 6
    assert again.stderr == f"--require-new: found the one of run {run_id}, expected a drop that is new\n"
    assert score(july, tmp_path, "--require-new", "--max-change", "5").exit_code == 0


def test_require_ready_needs_the_marker(months: tuple[Path, Path], tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    for path in months[0].iterdir():
        (drop / path.name).write_bytes(path.read_bytes())
    result = score(drop, tmp_path / "out", "--require-ready")
    expected = "_READY that names its files (--require-ready)"
    assert (result.exit_code, result.stderr) == (6, f"{drop}: found none, expected {expected}\n")
    sizes = "".join(f"{path.name} {path.stat().st_size}\n" for path in drop.iterdir())
    (drop / "_READY").write_text(sizes)
    assert score(drop, tmp_path / "out", "--require-ready").exit_code == 0


def contents(folder: Path) -> dict[Path, tuple[bytes, int]]:
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_a_dry_run_says_what_would_happen_and_writes_nothing(months: tuple[Path, Path], tmp_path: Path) -> None:
    june, july = months
    output, metrics = tmp_path / "out", tmp_path / "retention.prom"
    first = score(june, output, "--dry-run", "--metrics", metrics)
    assert (first.exit_code, first.stdout.splitlines()[-1]) == (
        0,
        "  Files: none: this was a dry run, nothing is published",
    )
    assert list(tmp_path.iterdir()) == []
    score(june, output)
    before, latest = contents(output), (output / "latest").resolve().name
    second = score(july, output, "--dry-run")
    assert second.exit_code == 8
    assert f"customers: 200, 400 in the run before, {latest} (--max-change)" in second.stderr
    assert "Against `latest`\nContacts: " in second.stdout
    plain = json.loads(score(july, output, "--dry-run", "--json").stdout)
    assert (plain["is_dry_run"], plain["changes"]["before"]) == (True, latest)
    again = score(june, output, "--dry-run")
    assert again.exit_code == 0
    run = output / "runs" / latest
    assert again.stdout == f"Nothing to do: the same drop was published before, as {run}\n"
    assert contents(output) == before
    assert score(july, output, "--max-change", 9).exit_code == 0


def test_verify_as_a_user_calls_it(months: tuple[Path, Path], tmp_path: Path) -> None:
    score(months[0], tmp_path)
    result = call("verify", "--output", tmp_path)
    assert (result.exit_code, result.output) == (0, "1 runs, 6 files, 0 problems.\n")
    run = (tmp_path / "latest").resolve()
    (run / "excluded.csv").unlink()
    result = call("verify", "--output", tmp_path, "--json")
    line = f"runs/{run.name}/excluded.csv: found No such file or directory, expected a file as published"
    assert (result.exit_code, result.stderr) == (4, f"{line}\n")
    assert json.loads(result.stdout) == {"format": 1, "exit_code": 4, "problems": [line], "runs": 1, "files": 6}
    assert call("verify", "--output", tmp_path / "none").exit_code == 2
