"""Break small drops at random and take them in: `python -m tests.intake.fuzz --drops 20000 --seed 1`.

Prints how many drops ended with each exit code, and each crash with the seed that repeats it. Not a part of the suite.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from job.errors import EXIT_DEFECT, EXIT_PUBLISHED, JobError
from job.intake.reconcile import Intake
from job.settings import Limits
from tests.intake.drops import take
from tests.intake.mutate import QUICK, become_parquet, seeded, start


def break_drop(folder: Path, seed: int, *, parquet_share: float) -> None:
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
    for file in intake.files:
        name, table = str(file["file"]), intake.tables[str(file["table"])]
        account = intake.accounts[name]
        rejected = intake.rejected.filter(file=name)
        assert account.rows_in == file["rows"]
        assert account.rows_in == account.as_delivered + account.repaired + account.rejected + account.dropped
        assert account.as_delivered + account.repaired == table.height
        assert account.rejected == rejected["row"].n_unique()
        assert not set(rejected["row"]) & set(table["row"])
        assert not rejected.is_duplicated().any()
        assert table["row"].is_sorted()
    customers = intake.tables["market_file"]["id"]
    assert intake.customers_in == customers.len() + intake.customers_rejected
    for table in intake.tables.values():
        assert set(table["id"]) <= set(customers)


def judge(folder: Path, limits: Limits, *, labelled: bool = False) -> int:
    """Take a drop in; return its exit code, after the sums were checked. Raises what is no JobError."""
    try:
        check_sums(take(folder, labelled=labelled, limits=limits))
    except JobError as error:
        if not error.problems or any("\n" in problem or not problem for problem in error.problems):
            raise AssertionError(f"problems that are not one line each: {error.problems}") from error
        return error.exit_code
    return EXIT_PUBLISHED


def main() -> None:
    """Run the fuzz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drops", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parquet-share", type=float, default=0.02)
    arguments = parser.parse_args()
    codes: Counter[int] = Counter()
    crashes: Counter[str] = Counter()
    began = time.monotonic()
    for seed in range(arguments.seed, arguments.seed + arguments.drops):
        folder = Path(tempfile.mkdtemp(prefix="fuzz", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))  # noqa: S108
        try:
            break_drop(folder, seed, parquet_share=arguments.parquet_share)
            limits = Limits() if seed % 2 else Limits(rejected=0.5, unknown=0.5)
            codes[judge(folder, limits, labelled=seed % 5 == 0)] += 1
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            codes[EXIT_DEFECT] += 1
            last = traceback.extract_tb(error.__traceback__)[-1]
            crash = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}: {str(error)[:200]}"
            if crash not in crashes:
                sys.stderr.write(f"seed {seed}: {crash}\n")
            crashes[crash] += 1
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{arguments.drops} drops in {time.monotonic() - began:.0f} s; by exit code: {dict(sorted(codes.items()))}")  # noqa: T201
    for crash, count in crashes.most_common():
        print(f"{count} × {crash}")  # noqa: T201


if __name__ == "__main__":
    main()
