"""One session: every yardstick on every case, interleaved round by round."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.machine import commit_of, cores, now
from tests.benchmarks.measure import CommandError, Measurement, measure, stages_of, written_bytes
from tests.benchmarks.workshop import BLOCK_CUSTOMERS, ROOT, SCRIPTS, Workshop, environment

SMALL: Final = 100_000
ROUNDS: Final = ((10_000, 25), (SMALL, 5))  # customers up to so many, rounds
ROUNDS_LARGE: Final = 3
LIMIT: Final = 900.0  # seconds for one process
TOLERANCE: Final = 1.1e-6  # between the probabilities of DuckDB and of the job: the last of six decimals

MILLION: Final = 1_000_000


@dataclass(frozen=True)
class Case:
    """What is scored: so many customers, in a drop of a shape (`SHAPES`)."""

    customers: int
    shape: str

    def __str__(self) -> str:
        return f"{self.customers:,} customers, {self.shape}"


@dataclass(frozen=True)
class Yardstick:
    """Something to measure.

    Args:
        name: on the command line.
        title: in tables.
        environment: where it runs; see `LOCKS`.
        arguments: of Python, for the workshop, a case and an output folder (which does not exist yet).
        largest: customers up to which it is measured.
        shapes: the shapes that it reads.
    """

    name: str
    title: str
    environment: str
    arguments: Callable[[Workshop, Case, Path], list[object]]
    largest: int | None = None
    shapes: tuple[str, ...] = ("sorted", "shuffled", "parquet")

    def takes(self, case: Case) -> bool:
        """Return whether it is measured in a case."""
        return case.shape in self.shapes and (self.largest is None or case.customers <= self.largest)


def _floor(workshop: Workshop, case: Case, out: Path) -> list[object]:
    block = workshop.block(case.customers)
    scored = json.loads(workshop.call(workshop.python("image"), "-c", _COUNT, block))
    rows = round(scored * case.customers / min(case.customers, BLOCK_CUSTOMERS))
    return ["-m", f"{SCRIPTS}.floor", workshop.drop(case.customers, case.shape), block, rows, out]


def _score(*options: str) -> Callable[[Workshop, Case, Path], list[object]]:
    def arguments(workshop: Workshop, case: Case, out: Path) -> list[object]:
        drop = workshop.drop(case.customers, case.shape)
        # The scripts that it is compared with know no month's level of their own.
        return ["-m", "job", "score", "--input", drop, "--output", out, "--month-level", "training", *options]

    return arguments


def _score_boosted(workshop: Workshop, case: Case, out: Path) -> list[object]:
    # Its artifact has the shipped model's reference: that its scores differ from those is no finding.
    limits = ("--drift-warn", "1000", "--drift-stop", "1000")
    return _score("--no-report", "--format", "csv", *limits, "--artifacts", str(workshop.boosted_artifact()))(
        workshop, case, out
    )


def _lightgbm(workshop: Workshop, case: Case, out: Path) -> list[object]:
    artifact = workshop.boosted_artifact()
    return ["-m", f"{SCRIPTS}.lightgbm_predict", artifact, workshop.matrix(case.customers), out]


def _reasons(workshop: Workshop, case: Case, out: Path) -> list[object]:  # noqa: ARG001 - nothing is written
    return ["-m", f"{SCRIPTS}.reasons", workshop.drop(case.customers, case.shape)]


def _spark(workshop: Workshop, case: Case, out: Path) -> list[object]:
    return ["-m", f"{SCRIPTS}.spark_score", workshop.drop(case.customers, case.shape), out]


def _pandas(workshop: Workshop, case: Case, out: Path) -> list[object]:
    drop = workshop.drop(case.customers, case.shape)
    return ["-m", f"{SCRIPTS}.pandas_script", "score", drop, workshop.logistic_model(), out]


def _duckdb(workshop: Workshop, case: Case, out: Path) -> list[object]:
    drop = workshop.drop(case.customers, case.shape)
    return ["-m", f"{SCRIPTS}.duckdb_script", drop, ROOT / "model_artifacts", out, cores()]


_COUNT: Final = "import polars, sys; print(polars.scan_parquet(sys.argv[1]).select(polars.len()).collect().item())"
_IMPORTS: Final = "import polars, pandera.polars, click"
YARDSTICKS: Final = {
    yardstick.name: yardstick
    for yardstick in (
        Yardstick("imports", f"python -c '{_IMPORTS}'", "image", lambda _, __, ___: ["-c", _IMPORTS], SMALL),
        Yardstick("floor", "I/O floor", "image", _floor),
        Yardstick("score", "retention score --no-report", "image", _score("--no-report", "--format", "csv")),
        Yardstick("page", "retention score, with the page", "image", _score()),
        Yardstick("reasons", "scores and reasons alone", "image", _reasons, MILLION, ("sorted",)),
        Yardstick("duckdb", "DuckDB", "benchmark", _duckdb),
        # 0.9 GB a million customers; without pyarrow, pandas reads no Parquet.
        Yardstick("pandas", "pandas and scikit-learn", "benchmark", _pandas, 10 * MILLION, ("sorted", "shuffled")),
        Yardstick("spark", "retention score --engine spark, on Sail", "spark", _spark, shapes=("sorted",)),
        Yardstick("lightgbm", "LightGBM's predict, matrix ready", "boosted", _lightgbm, MILLION, ("sorted",)),
        Yardstick("boosted", "retention score --no-report, boosted", "boosted", _score_boosted, MILLION, ("sorted",)),
    )
}


@dataclass
class Result:
    """What a session found in one case.

    Args:
        case: the case.
        rounds: yardstick -> one measurement for each round.
        failures: yardstick -> why it has fewer.
        comparisons: yardstick -> how its scores differ from the job's; see `yardsticks.compare`.
        when: it was begun.
        commit: of the job.
    """

    case: Case
    rounds: dict[str, list[Measurement]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    comparisons: dict[str, dict[str, float]] = field(default_factory=dict)
    when: str = ""
    commit: str = "unknown"

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Result:
        """Return what `results.as_json` wrote of a case."""
        rounds = {name: [Measurement(**cost) for cost in costs] for name, costs in plain["rounds"].items()}
        return cls(**{**plain, "case": Case(**plain["case"]), "rounds": rounds})


def rounds_for(customers: int) -> int:
    """Return how many rounds are enough: what is short varies more."""
    return next((rounds for most, rounds in ROUNDS if customers <= most), ROUNDS_LARGE)


def run_case(
    workshop: Workshop,
    case: Case,
    names: list[str],
    *,
    rounds: int,
    say: Callable[[str], None],
    limit: float = LIMIT,
    keep: Callable[[Result], None] = lambda _: None,
) -> Result:
    """Measure yardsticks in turn, round after round; one that fails or takes longer than `limit` seconds is left out.

    After every round, `keep` is called with what was found so far.

    Before each process what was written is flushed, and the drop has been read: all work from a warm page cache, as far
    as it holds the drop. What the job and the two scripts wrote in the first round is compared.

    Raises:
        CommandError: something that is not measured fails, or DuckDB's probabilities are not the job's.
    """
    result = Result(case, when=now(), commit=commit_of(ROOT))
    out = workshop.folder / "out"
    logs = workshop.folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(out, ignore_errors=True)
    chosen = [YARDSTICKS[name] for name in names if YARDSTICKS[name].takes(case)]
    commands: dict[str, list[str]] = {}
    for yardstick in chosen:
        python = workshop.python(yardstick.environment)
        arguments = yardstick.arguments(workshop, case, out / yardstick.name)
        commands[yardstick.name] = [str(part) for part in (python, *arguments)]
    _read_all(workshop.drop(case.customers, case.shape))
    for number in range(1, rounds + 1):
        out.mkdir()
        for name, command in commands.items():
            if name in result.failures:
                continue
            os.sync()
            log = logs / f"{case.customers}-{case.shape}-{name}.err"
            try:
                cost, printed = measure(command, environment=environment(), cwd=ROOT, log=log, limit=limit)
            except CommandError as error:
                result.failures[name] = str(error)
                say(f"{case}: {name} failed: {error}")
                continue
            stages = stages_of(printed, out / name)
            result.rounds.setdefault(name, []).append(replace(cost, written=written_bytes(out / name), stages=stages))
            say(f"{case}: round {number} of {rounds}: {name} {cost.wall:.2f} s")
        if number == 1:
            result.comparisons = _compare(workshop, out)
        shutil.rmtree(out, ignore_errors=True)
        keep(result)
    return result


def _compare(workshop: Workshop, out: Path) -> dict[str, dict[str, float]]:
    ours = out / "score" / "latest" / "scored.parquet"
    others = {name: out / name / "scored.csv" for name in ("duckdb", "pandas")}
    found = {
        name: json.loads(workshop.call(workshop.python("image"), "-m", f"{SCRIPTS}.compare", ours, path))
        for name, path in others.items()
        if ours.exists() and path.exists()
    }
    if "duckdb" in found and found["duckdb"]["difference"] > TOLERANCE:
        raise CommandError(f"DuckDB's probabilities differ from the job's by {found['duckdb']['difference']}")
    return found


def _read_all(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as stream:
            while stream.read(1 << 24):
                pass
