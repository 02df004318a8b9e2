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


class SegmentsResult(TypedDict):
    """`segments`: the codes by priority; with a run, whom each segment would take of it."""

    format: int
    file: str
    segments: list[str]
    preview: list[dict[str, Any]] | None


class Interval(TypedDict):
    """An estimate with the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


class HistoryOffer(TypedDict):
    """What an offer is worth: `effect` is the share of the declines that it prevents, with its 95 % interval.

    It is pooled over `campaigns`, and shrunken towards what the segments file assumes; `treated` and `control` are
    customers. Without a campaign it is what is assumed.
    """

    offer: str
    text: str
    effect: float
    low: float
    high: float
    assumed: float
    weight_of_assumption: float
    campaigns: int
    treated: int
    control: int


class HistoryCampaign(TypedDict):
    """A measured campaign: by how much the decline rate fell; what was expected beyond the cost, and what came.

    What only the run knew is None where the run is gone; an interval is None where there was nothing to compare.
    """

    run_id: str
    finished: str | None
    name: str | None
    treated: int
    control: int
    fall: Interval | None
    p_value: float | None
    expected_value: float | None
    net: Interval | None


class HistoryRun(TypedDict):
    """A run. `high_risk` are customers; `levels` is each month's revenue level against training.

    `roc_auc_found` is of the customers who were not treated, where an outcome came.
    """

    run_id: str
    finished: str
    model: str
    customers: int
    scored: int
    mean_risk: float | None
    high_risk: int
    levels: dict[str, float]
    drift: str | None
    roc_auc_foretold: float | None
    roc_auc_found: float | None
    campaign: str
    control_name: str
    contacts: int
    cost: float
    control: int
    held_elsewhere: int
    expected_value: float
    effects: str


class HistoryFile(TypedDict):
    """`history.json`, and `history --json`: offers by effect, campaigns and runs from the newest on."""

    format: int
    offers: list[HistoryOffer]
    campaigns: list[HistoryCampaign]
    expected: dict[str, Any]
    runs: list[HistoryRun]
    warnings: list[str]


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
    "history": HistoryFile,
    "segments": SegmentsResult,
    "log-finished": Finished,
}
"""Name of the schema in `docs/schemas/` -> its type."""
