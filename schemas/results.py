"""What machines read of the commands: each --json, and the last line of the log, typed.

`docs/schemas/` has the same as JSON Schema. `RESULT_FORMAT` is raised by one when a reader of the old format would
misread the new one.
"""

from __future__ import annotations

from typing import Any, Final, TypedDict

RESULT_FORMAT: Final = 1


class Failure(TypedDict):
    """What every command prints whose exit code names an error."""

    format: int
    exit_code: int
    problems: list[str]


class ScoreResult(Failure):
    """`score`: `run` is where the run is; `look` says why a person must look, with exit code 8.

    `changes` is what a dry run would change against `latest`, as `runs --compare` has it.
    """

    run_id: str
    run: str
    is_new: bool
    look: list[str]
    is_dry_run: bool
    changes: dict[str, Any] | None


class ValidateResult(Failure):
    """`validate`: what was understood, and every rejected row."""

    files: list[dict[str, Any]]
    rows: dict[str, dict[str, int]]
    customers: dict[str, Any]
    repairs: list[dict[str, Any]]
    rejected: list[dict[str, Any]]
    warnings: list[str]


class TrainResult(Failure):
    """`train`: whether the model was written, as which version of a store; if not, why not."""

    written: bool
    version: int | None
    reason: str | None
    verdict: str | None


class VerifyResult(Failure):
    """`verify`: how many runs and files were looked at."""

    runs: int
    files: int


class RunsResult(TypedDict):
    """`runs`: each run's name, sums, model and drift."""

    format: int
    runs: list[dict[str, Any]]


class Acknowledgement(TypedDict):
    """`runs --acknowledge`."""

    format: int
    acknowledged: str
    note: str | None


class Factor(TypedDict):
    """What a factor explains of the change of contacts; its value over all segments, where it has one."""

    factor: str
    contacts: float
    before: float | None
    now: float | None


class Comparison(TypedDict):
    """`runs --compare`; pairs are before and now."""

    format: int
    before: str
    now: str
    contacts: list[int]
    factors: list[Factor]
    segments: list[dict[str, Any]]
    files: dict[str, dict[str, Any]]
    excluded_by_reason: dict[str, list[int | None]]
    settings: dict[str, list[Any]]
    model: dict[str, list[Any]]


class Version(TypedDict):
    """A version of the model in a store."""

    version: int
    written: str
    digest: str
    title: str
    customers: int
    roc_auc: float
    low: float
    high: float
    verdict: str | None
    is_champion: bool
    promoted: str | None
    by: str | None
    note: str | None


class ModelsResult(TypedDict):
    """`models`: the newest version first."""

    format: int
    versions: list[Version]


class SampleResult(TypedDict):
    """`sample`: the rows of each table."""

    format: int
    drop: str
    rows: dict[str, int]


class ReportResult(TypedDict):
    """`report`: where the page is."""

    format: int
    page: str


class LiftResult(TypedDict):
    """`lift`: where the comparison is, and what `lift.json` says."""

    format: int
    folder: str
    lift: dict[str, Any]


class _Finished(TypedDict):
    event: str
    level: str
    timestamp: str
    exit_code: int
    seconds: float
    peak_memory_mib: float


class Finished(_Finished, total=False):
    """The last line of the log. Sums are those of the run that was published, or found published."""

    command: str
    died_of: str
    problems: int
    published_before: bool
    stages: dict[str, float]
    run_id: str
    model: str
    model_version: int
    customers_in: int
    customers_scored: int
    customers_excluded: int
    customers_rejected: int
    rows_in: int
    rows_scored: int
    rows_excluded: int
    rows_rejected: int
    rows_dropped: int
    rows_repaired: int
    contacts: int
    warnings: int
    drift: str


RESULTS: Final[dict[str, type]] = {
    "failure": Failure,
    "score": ScoreResult,
    "validate": ValidateResult,
    "train": TrainResult,
    "verify": VerifyResult,
    "runs": RunsResult,
    "runs-acknowledge": Acknowledgement,
    "runs-compare": Comparison,
    "models": ModelsResult,
    "sample": SampleResult,
    "report": ReportResult,
    "lift": LiftResult,
    "log-finished": Finished,
}
"""Name of the schema in `docs/schemas/` -> its type."""
