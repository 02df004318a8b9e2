"""A session's results as a table for a terminal, JSON for a machine and a page for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from job.text_table import align
from tests.benchmarks.session import YARDSTICKS, Result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MEBI: Final = 2**20
GIBI: Final = 2**30
HEADINGS: Final = ("yardstick", "wall s", "lowest", "highest", "CPU s", "peak MiB", "written MB", "/ floor")
READING: Final = (
    "Medians over the rounds of one session, in which all yardsticks take turns; a ratio is the median of the ratios "
    "within each round. Wall and CPU seconds and peak memory (of the largest process) are of whole processes, start of "
    "Python included, as the system counts them (`wait4`). All read from a warm page cache; what was written before is "
    "flushed between them. The drops are those of `retention sample`, as dirty as real ones, for every yardstick. The "
    "floor does no SHA-256, no fsync and no `campaign.csv`; the scripts of DuckDB and pandas check and explain "
    "nothing, and write one CSV file with four columns."
)


def case_rows(result: Result) -> list[list[str]]:
    """Return the cells of a case's table, a row per yardstick that was measured or failed."""
    rows = []
    for name in (name for name in YARDSTICKS if name in result.rounds or name in result.failures):
        title = YARDSTICKS[name].title
        if name in result.failures:
            rows.append([title, *["failed"] * (len(HEADINGS) - 1)])
            continue
        costs = result.rounds[name]
        walls = [cost.wall for cost in costs]
        ratio = ratio_of(result, name, "floor")
        rows.append(
            [
                title,
                *(f"{seconds:.2f}" for seconds in (median(walls), min(walls), max(walls))),
                f"{median(cost.cpu for cost in costs):.2f}",
                f"{median(cost.peak for cost in costs) / MEBI:,.0f}",
                f"{median(cost.written for cost in costs) / 1e6:,.1f}",
                "" if ratio is None else f"{ratio:.2f}",
            ]
        )
    return rows


def ratio_of(result: Result, name: str, base: str) -> float | None:
    """Return how many times as long a yardstick takes as another, None if one of them is missing."""
    pairs = zip(result.rounds.get(name, []), result.rounds.get(base, []), strict=False)
    ratios = [own.wall / other.wall for own, other in pairs]
    return median(ratios) if ratios else None


def stage_rows(result: Result) -> list[list[str]]:
    """Return (yardstick, stage, median seconds, share of its whole wall time) for what told its stages."""
    rows = []
    for name, costs in result.rounds.items():
        whole = median(cost.wall for cost in costs)
        told = {stage: median(cost.stages[stage] for cost in costs) for stage in costs[0].stages}
        stages = {**told, "all else": whole - sum(told.values())} if told else {}
        rows += [
            [YARDSTICKS[name].title, stage, f"{seconds:.3f}", f"{seconds / whole:.0%}"]
            for stage, seconds in stages.items()
        ]
    return rows


def boosted_ratio(result: Result) -> float | None:
    """Return how many times as long the boosted model takes as the floor and LightGBM's own predict together."""
    floor, lightgbm, boosted = (result.rounds.get(name, []) for name in ("floor", "lightgbm", "boosted"))
    ratios = [
        own.wall / (base.wall + ready.stages["predict"])
        for base, ready, own in zip(floor, lightgbm, boosted, strict=False)
    ]
    return median(ratios) if ratios else None


def cpu_ratio(result: Result) -> float | None:
    """Return how many times the processor time of DuckDB's script the job takes."""
    pairs = zip(result.rounds.get("score", []), result.rounds.get("duckdb", []), strict=False)
    ratios = [job.cpu / script.cpu for job, script in pairs]
    return median(ratios) if ratios else None


def page_ratio(result: Result) -> float | None:
    """Return how much the page adds to a run, as a share of the run without it."""
    ratio = ratio_of(result, "page", "score")
    return None if ratio is None else ratio - 1


def reasons_ratio(result: Result) -> float | None:
    """Return how many times as long the reasons of all customers take as their scores."""
    ratios = [cost.stages["reasons"] / cost.stages["score"] for cost in result.rounds.get("reasons", [])]
    return median(ratios) if ratios else None


def peak_gibibytes(result: Result) -> float | None:
    """Return the peak memory of the job, in GiB."""
    costs = result.rounds.get("score", [])
    return median(cost.peak for cost in costs) / GIBI if costs else None


@dataclass(frozen=True)
class Target:
    """Something that is promised of one case.

    Args:
        what: is looked at.
        customers: of the case.
        shapes: of the case.
        look: what is found there, None if it was not measured.
        limit: the most that it may be.
    """

    what: str
    customers: int
    shapes: tuple[str, ...]
    look: Callable[[Result], float | None]
    limit: float


def _over(name: str, base: str) -> Callable[[Result], float | None]:
    return lambda result: ratio_of(result, name, base)


TARGETS: Final = (
    Target("against DuckDB", 10_000_000, ("sorted",), _over("score", "duckdb"), 1.6),
    Target("against DuckDB", 1_000_000, ("sorted",), _over("score", "duckdb"), 1.6),
    Target("CPU against DuckDB's", 10_000_000, ("sorted",), cpu_ratio, 1.7),
    Target("against pandas", 10_000_000, ("sorted",), _over("score", "pandas"), 1 / 3),
    Target("peak memory, GiB", 10_000_000, ("sorted", "shuffled"), peak_gibibytes, 1.0),
    Target("peak memory, GiB", 30_000_000, ("sorted", "shuffled"), peak_gibibytes, 1.2),
    Target("against importing its libraries", 1300, ("sorted",), _over("score", "imports"), 1.5),
    Target("what the page adds, against the run without", 1300, ("sorted",), page_ratio, 1.45),
    Target("reasons of all, against their scores", 1_000_000, ("sorted",), reasons_ratio, 1.0),
    Target("boosted, against floor + LightGBM", 1_000_000, ("sorted",), boosted_ratio, 1.3),
)


def target_rows(results: Sequence[Result]) -> list[list[str]]:
    """Return (what, case, found, at most, verdict) of the targets that these results tell something about."""
    return [
        [target.what, str(result.case), f"{found:.2f}", f"{target.limit:.2f}", "yes" if found <= target.limit else "no"]
        for target in TARGETS
        for result in results
        if result.case.customers == target.customers and result.case.shape in target.shapes
        if (found := target.look(result)) is not None
    ]


def comparison_rows(result: Result) -> list[list[str]]:
    """Return (yardstick, customers scored by both, by the job alone, by it alone, largest difference, correlation)."""
    return [
        [
            YARDSTICKS[name].title,
            *(f"{found[key]:,.0f}" for key in ("both", "only_ours", "only_theirs")),
            f"{found['difference']:.1e}",
            f"{found['correlation']:.3f}",
        ]
        for name, found in result.comparisons.items()
    ]


SECTIONS: Final = (
    ("", HEADINGS, case_rows),
    ("Where the time goes", ("yardstick", "stage", "seconds", "share"), stage_rows),
    (
        "The same work? Customers scored, and their probabilities against the job's",
        ("yardstick", "by both", "job alone", "it alone", "difference", "correlation"),
        comparison_rows,
    ),
)
TARGET_HEADINGS: Final = ("what", "case", "found", "at most", "reached")


def as_text(results: Sequence[Result]) -> str:
    """Return the tables for a terminal."""
    lines: list[str] = []
    for result in results:
        lines += ["", f"{result.case}; rounds: {_rounds(result)}"]
        for title, headings, rows_of in SECTIONS:
            if rows := rows_of(result):
                lines += [f"  {title}"] * bool(title) + align(headings, rows)
        lines += [f"    {name} failed: {why}" for name, why in result.failures.items()]
    if rows := target_rows(results):
        lines += ["", "Targets", *align(TARGET_HEADINGS, rows)]
    return "\n".join(lines)


def as_page(results: Sequence[Result], machine: Mapping[str, str], versions: Mapping[str, str]) -> str:
    """Return the page of results (Markdown)."""
    lines = ["# Benchmark", "", READING, "", "Made by `make bench`; do not edit.", "", "## Machine", ""]
    lines += _table(("what", "value"), [[name, value] for name, value in {**machine, **versions}.items()])
    if rows := target_rows(results):
        lines += ["", "## Targets", "", *_table(TARGET_HEADINGS, rows)]
    for result in results:
        lines += ["", f"## {result.case}", "", f"Rounds: {_rounds(result)}. Begun: {result.when}, job {result.commit}."]
        for title, headings, rows_of in SECTIONS:
            if rows := rows_of(result):
                lines += ["", *([f"{title}:", ""] if title else []), *_table(headings, rows)]
        lines += [f"\n{name} failed: `{why}`" for name, why in result.failures.items()]
    return "\n".join(lines) + "\n"


def as_json(results: Sequence[Result], machine: Mapping[str, str], versions: Mapping[str, str]) -> dict[str, Any]:
    """Return all that was measured, as plain values."""
    return {"machine": dict(machine), "versions": dict(versions), "cases": [asdict(result) for result in results]}


def _rounds(result: Result) -> int:
    return max((len(costs) for costs in result.rounds.values()), default=0)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [headings, ["---"] * len(headings), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
