"""Break small drops at random, take them in, score what was taken: `python -m tests.fuzz --drops 20000 --scored 2000`.

Prints how many drops ended with each exit code, and each crash with the seed that repeats it (`--seed N --drops 1`).
`make fuzz` runs it all; `tests/test_fuzz.py` a few in every suite.

What must hold of every drop: the exit code is one of the contract, no error escapes, problems are one line each; every
row and customer is accounted for; the plain way of reading gives what the careful one gives; a run is published whole,
with the sums and hashes that its manifest tells, or nothing is.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest
from click.testing import CliRunner
from polars.testing import assert_frame_equal

from job.cli import main as command
from job.errors import EXIT_LOOK, EXIT_PUBLISHED, JobError
from job.intake import pieces
from job.intake.reconcile import Intake
from job.models.artifact import load_artifact
from job.scoring import ranges
from job.settings import Limits
from tests.faults.processes import check_visible, hidden
from tests.intake.drops import take
from tests.intake.mutate import QUICK, become_parquet, seeded, start

BAD, INCOMPLETE = 3, 6
TOLD_EVERY = 500
TWICE_EVERY = 4  # drops are also read the careful way alone


class Outcome(NamedTuple):
    """What became of a drop: exit code of intake, and of scoring; None where it was not scored."""

    intake: int
    scoring: int | None = None


def break_drop(folder: Path, seed: int, *, parquet_share: float = 0.02) -> None:
    """Write a drop with one to four faults."""
    random = seeded(seed)
    drop = start(random)
    for _ in range(random.choice((1, 1, 2, 4))):
        random.choice(QUICK)(random, drop)
    if random.random() < parquet_share:
        become_parquet(random, drop)
    drop.write(folder)


def check_sums(intake: Intake) -> None:
    """Raise AssertionError if rows or customers were lost, or were counted twice."""
    tables = dict.fromkeys(str(file["table"]) for file in intake.files)
    for table, account in zip(tables, intake.accounts.values(), strict=True):
        rows = intake.tables[table]
        files = [str(file["file"]) for file in intake.files if file["table"] == table]
        rejected = intake.rejected.filter(pl.col("file").is_in(files))
        assert account.rows_in == sum(int(file["rows"]) for file in intake.files if file["table"] == table)
        assert account.rows_in == account.as_delivered + account.repaired + account.rejected + account.dropped
        assert account.as_delivered + account.repaired == rows.height
        assert account.rejected == rejected.select("file", "row").n_unique()
        assert not rejected.is_duplicated().any()
        if len(files) == 1:  # else rows are numbered in each
            assert not set(rejected["row"]) & set(rows["row"])
            assert rows["row"].is_sorted()
    customers = intake.tables["market_file"]["id"]
    assert intake.customers_in == customers.len() + intake.customers_rejected
    for table in intake.tables.values():
        assert set(table["id"]) <= set(customers)


def take_in(folder: Path, limits: Limits, *, labelled: bool = False) -> Intake | JobError:
    """Take a drop in, and check its sums; return what came of it. Raises what is no JobError."""
    try:
        intake = take(folder, labelled=labelled, limits=limits)
    except JobError as error:
        if not error.problems or any("\n" in problem or not problem for problem in error.problems):
            raise AssertionError(f"problems that are not one line each: {error.problems}") from error
        return error
    check_sums(intake)
    return intake


def judge(folder: Path, limits: Limits, *, labelled: bool = False) -> int:
    """Return the exit code of taking a drop in. Raises as `take_in`."""
    taken = take_in(folder, limits, labelled=labelled)
    return taken.exit_code if isinstance(taken, JobError) else EXIT_PUBLISHED


def check_careful_way(folder: Path, limits: Limits, plain: Intake | JobError, *, labelled: bool) -> None:
    """Raise AssertionError if the careful way alone does not give what both ways together have given."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "parse_block", lambda *_: None)
        careful = take_in(folder, limits, labelled=labelled)
    if isinstance(plain, JobError) or isinstance(careful, JobError):
        assert repr(plain) == repr(careful)
        return
    assert plain.accounts == careful.accounts
    assert_frame_equal(plain.rejected, careful.rejected)
    for name, table in plain.tables.items():
        assert_frame_equal(table, careful.tables[name])


def score(drop: Path, output: Path, limits: Limits) -> int:
    """Score a drop as the command does; return the exit code.

    Raises AssertionError if that is none of a drop's, or what is published is not whole.
    """
    shares = ("--max-rejected", str(limits.rejected), "--max-unknown", str(limits.unknown))
    arguments = ["score", "--input", str(drop), "--output", str(output), "--no-report", *shares]
    result = CliRunner().invoke(command, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert "Traceback" not in result.output
    runs = check_visible(output)
    assert hidden(output) == []
    if result.exit_code not in (EXIT_PUBLISHED, EXIT_LOOK):
        assert result.exit_code in (BAD, INCOMPLETE)
        assert result.stderr
        assert runs == []
        return result.exit_code
    (run,) = runs
    folder = output / "runs" / run
    manifest = json.loads((folder / "manifest.json").read_bytes())
    customers = manifest["customers"]
    assert customers["in"] == customers["scored"] + customers["excluded"] + customers["rejected"]
    scored = pl.read_parquet(folder / "scored.parquet")
    assert scored.height == customers["scored"]
    assert scored["id"].is_sorted()
    assert scored["id"].is_unique().all()
    assert scored["decline_probability"].is_between(0, 1).all()
    money = scored.select("monthly_profit", "profit_at_risk", "expected_value")
    assert money.select(pl.all_horizontal(pl.all().is_finite().all())).item()
    return result.exit_code


def try_drop(seed: int, *, parquet_share: float, is_scored: bool) -> Outcome:
    """Break a drop, take it in, and score it if it is to be and was taken. Raises what must not be."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))  # noqa: S108
    limits = (Limits(), Limits(rejected=0.5, unknown=0.5), Limits(rejected=1, unknown=1))[seed % 3]
    try:
        break_drop(folder / "drop", seed, parquet_share=parquet_share)
        labelled = seed % 5 == 0
        taken = take_in(folder / "drop", limits, labelled=labelled)
        if seed % TWICE_EVERY == 0:
            check_careful_way(folder / "drop", limits, taken, labelled=labelled)
        code = taken.exit_code if isinstance(taken, JobError) else EXIT_PUBLISHED
        assert code in (EXIT_PUBLISHED, BAD, INCOMPLETE)
        if not is_scored or code:
            return Outcome(code)
        return Outcome(code, score(folder / "drop", folder / "out", limits))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Run the fuzz; leave with 1 if anything crashed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drops", type=int, default=20_000)
    parser.add_argument("--scored", type=int, default=2_000, help="how many of those that are taken in")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parquet-share", type=float, default=0.02)
    arguments = parser.parse_args()
    intake: Counter[int] = Counter()
    scoring: Counter[int] = Counter()
    crashes: Counter[str] = Counter()
    began = time.monotonic()
    ranges.load_artifact = cache(load_artifact)  # drops are broken here, and it is the same for all
    for seed in range(arguments.seed, arguments.seed + arguments.drops):
        try:
            is_scored = scoring.total() < arguments.scored
            outcome = try_drop(seed, parquet_share=arguments.parquet_share, is_scored=is_scored)
        except Exception as error:  # noqa: BLE001 - it is what is looked for
            last = traceback.extract_tb(error.__traceback__)[-1]
            crash = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}: {str(error)[:200]}"
            if crash not in crashes:
                sys.stderr.write(f"seed {seed}: {crash}\n")
            crashes[crash] += 1
            continue
        intake[outcome.intake] += 1
        if intake.total() % TOLD_EVERY == 0:
            sys.stderr.write(f"{time.monotonic() - began:.0f} s: {dict(intake)}, scored {dict(scoring)}\n")
        if outcome.scoring is not None:
            scoring[outcome.scoring] += 1
    seconds = time.monotonic() - began
    print(f"{arguments.drops:,} drops in {seconds:.0f} s; by exit code: {dict(sorted(intake.items()))}")
    print(f"{scoring.total():,} of them scored; by exit code: {dict(sorted(scoring.items()))}")
    for crash, count in crashes.most_common():
        print(f"{count} × {crash}")
    sys.exit(bool(crashes))


if __name__ == "__main__":
    main()
