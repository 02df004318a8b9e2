"""The command: `python -m tests.benchmarks`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.machine import describe_machine, describe_versions
from tests.benchmarks.measure import CommandError
from tests.benchmarks.results import as_json, as_page, as_text
from tests.benchmarks.session import LIMIT, YARDSTICKS, Case, Result, rounds_for, run_case
from tests.benchmarks.workshop import SHAPES, Workshop

SIZES = "1300,100000,1000000,10000000"
LARGEST = 30_000_000


def main(arguments: list[str]) -> None:
    options = parse(arguments)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # takes what is being measured along
    folder = options.folder.resolve()
    workshop = Workshop(folder, say=say)
    told = folder / "results.json"
    cases = [Case(size, shape) for size in options.sizes for shape in options.shapes]
    results: list[Result] = []
    if options.add and told.exists():
        before = [Result.from_json(plain) for plain in json.loads(told.read_text(encoding="utf-8"))["cases"]]
        results = [result for result in before if result.case not in cases]
    machine = describe_machine()

    def keep(result: Result) -> None:
        # After every round, so that a session that is cut short leaves what it found.
        found = sorted([*results, result], key=lambda own: (own.case.customers, list(SHAPES).index(own.case.shape)))
        text = json.dumps(as_json(found, machine, versions), ensure_ascii=False, indent=1)
        told.write_text(text + "\n", encoding="utf-8")
        (options.page or folder / "results.md").write_text(as_page(found, machine, versions), encoding="utf-8")

    try:
        versions = describe_versions(workshop.python("benchmark"))
        for case in cases:
            rounds = options.rounds or rounds_for(case.customers)
            results.append(
                run_case(workshop, case, options.yardsticks, rounds=rounds, limit=options.limit, say=say, keep=keep)
            )
    except CommandError as error:
        sys.exit(str(error))
    print(as_text(results))


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options: lists of `sizes`, `shapes` and `yardsticks`, and `rounds`, `folder`, `page`."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Measure the job beside what else could do it, interleaved in one session; print medians and "
        "ratios; write results.json and results.md to the folder.",
        epilog="All of it takes some hours, and 60 GB of disk for --largest; a look: --sizes 1300,100000",
    )
    parser.add_argument("--sizes", type=sizes, default=SIZES, metavar="N,N", help=f"customers (default: {SIZES})")
    parser.add_argument("--largest", action="store_true", help=f"also {LARGEST:,} customers")
    parser.add_argument("--shapes", type=some_of(SHAPES), default=list(SHAPES), help=f"of {','.join(SHAPES)}")
    parser.add_argument(
        "--yardsticks", type=some_of(YARDSTICKS), default=list(YARDSTICKS), help=f"of {','.join(YARDSTICKS)}"
    )
    parser.add_argument("--rounds", type=int, help="default: 25 up to 10,000 customers, 5 to 100,000, 3 above")
    parser.add_argument(
        "--limit", type=float, default=LIMIT, metavar="SECONDS", help="of one process (default: %(default)g)"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "retention-benchmark",
        help="environments and drops are kept there for the next session (default: %(default)s)",
    )
    parser.add_argument("--add", action="store_true", help="keep what earlier sessions found in other cases")
    parser.add_argument("--page", type=Path, metavar="FILE", help="where the page goes (default: results.md there)")
    options = parser.parse_args(arguments)
    if options.largest:
        options.sizes.append(LARGEST)
    return options


def sizes(text: str) -> list[int]:
    """Return numbers of customers. Raises ValueError for anything else."""
    numbers = [int(part) for part in text.split(",")]
    if min(numbers) < 1:
        raise ValueError(text)
    return numbers


def some_of(names: dict[str, object]) -> object:
    """Return the parser of a list of these names."""

    def parse_names(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := sorted(set(chosen) - names.keys()):
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(names)}")
        return [name for name in names if name in chosen]

    return parse_names


def say(line: str) -> None:
    """Tell that the work goes on."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
