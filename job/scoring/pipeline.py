"""The main job, top to bottom: read the drop, score, segment, publish."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from job import __version__
from job.errors import OutputError
from job.features import count_reasons, make_features, split_customers
from job.intake.accept import Intake, Limits, accept_drop
from job.intake.drop import wait_for_files
from job.models.artifact import Artifact, load_artifact
from job.models.training_rows import seen_probability
from job.scoring.publish import MANIFEST, RUNS, describe_files, is_published, locked_output, staged_run
from job.scoring.segments import offer, segment
from schemas.scored import PROFIT_MONTHS, SCORED_COLUMNS, SCORED_SCHEMA
from schemas.vocabulary import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FORMULA_CHARACTERS: Final = r"^[=+\-@\t\r]"
NUMBER: Final = r"^[+-]?[0-9]+([.,][0-9]+)?$"


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Args:
        folder: the published run.
        manifest: its manifest.
        is_new: False if the same run had been published before and nothing was done.
    """

    folder: Path
    manifest: dict[str, Any]
    is_new: bool


@dataclass(frozen=True)
class Scored:
    """The customers of a drop.

    Args:
        scored: one row per scored customer, ordered by `id` (`SCORED_SCHEMA`).
        excluded: `id` and `reason` of the accepted customers that are not scored, ordered by `id`.
    """

    scored: pl.DataFrame
    excluded: pl.DataFrame


@dataclass
class Stopwatch:
    """Seconds spent in each stage, in order."""

    progress: Callable[[str], None]
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage and say that it begins."""
        self.progress(name)
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 6)


def run_scoring(
    drop: Path,
    output: Path,
    *,
    artifacts: Path,
    limits: Limits,
    wait_minutes: float = 0,
    settle_seconds: float = 10,
    progress: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Score a drop and publish the run under `output`.

    Args:
        drop: the folder with the four tables.
        output: where runs are published.
        artifacts: the folder of the model artifact.
        limits: how much of the drop may be wrong.
        wait_minutes: how long to wait for a complete drop.
        settle_seconds: how long the files of a complete drop have not changed.
        progress: called with the name of each stage as it begins.

    Raises:
        JobError: anything a user or the environment can cause; see `job.errors`. Nothing is published then.
    """
    started = datetime.now(UTC)
    watch = Stopwatch(progress)
    with watch.stage("model"):
        artifact = load_artifact(artifacts)
    with watch.stage("wait"):
        files = wait_for_files(drop, minutes=wait_minutes, settle_seconds=settle_seconds)
    with locked_output(output):
        with watch.stage("intake"):
            intake = accept_drop(files, labelled=False, limits=limits)
        settings = {"max_rejected": limits.rejected, "max_unknown": limits.unknown}
        run_id = name_run(intake, artifact, settings)
        folder = output / RUNS / run_id
        if is_published(output, run_id):
            return Outcome(folder, json.loads((folder / MANIFEST).read_text(encoding="utf-8")), is_new=False)
        with watch.stage("score"):
            customers = score_customers(intake, artifact)
        with staged_run(output, run_id) as staged:
            with watch.stage("write"):
                _write_tables(staged, customers, intake.rejected)
            manifest = {
                "run_id": run_id,
                "product": {"name": "oneclick-retention", "version": __version__},
                "started": started.isoformat(timespec="seconds"),
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
                "drop": str(drop),
                "inputs": intake.files,
                "model": describe_model(artifact),
                "settings": settings,
                "customers": count_customers(intake, customers),
                "rows": count_rows(intake, customers),
                "repairs": intake.repairs.to_dicts(),
                "warnings": list(intake.warnings),
                "segments": summarise_segments(customers.scored).to_dicts(),
                "seconds": watch.seconds,
                "outputs": describe_files(staged),
            }
            text = json.dumps(manifest, ensure_ascii=False, indent=1, allow_nan=False)
            (staged / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return Outcome(folder, manifest, is_new=True)


def score_customers(intake: Intake, artifact: Artifact) -> Scored:
    """Turn accepted tables into scored customers.

    Raises:
        DropError: no customer can be scored.
    """
    kept, excluded = split_customers(intake.tables)
    features = make_features(kept)
    seen = seen_probability(kept["id"], features, artifact.training_rows)
    scored = (
        kept.with_columns(artifact.model.probabilities(features), seen.is_not_null().alias("in_training"))
        .with_columns(pl.coalesce(seen, pl.col("decline_probability")).alias("decline_probability"))
        .with_columns(
            (pl.col("decline_probability") * pl.col("monthly_profit") * PROFIT_MONTHS).alias("profit_at_risk"),
            segment(artifact.thresholds).alias("segment"),
            (pl.col("consent") == "yes").alias("contact_allowed"),
        )
        .with_columns(offer(pl.col("segment")).alias("offer"))
        .pipe(with_risk_decile)
        .select(SCORED_COLUMNS)
    )
    SCORED_SCHEMA.validate(scored, lazy=True)
    return Scored(scored, excluded)


def with_risk_decile(customers: pl.DataFrame) -> pl.DataFrame:
    """Add `risk_decile` (Int8): 1 for the tenth of the rows with the highest risk, to 10; order by `id`.

    Equal probabilities are told apart by `id`, so that every decile has its share and reruns agree.
    """
    rank = pl.int_range(pl.len())
    return (
        customers.sort("decline_probability", "id", descending=[True, False])
        .with_columns((rank * 10 // pl.len() + 1).cast(pl.Int8).alias("risk_decile"))
        .sort("id")
    )


def name_run(intake: Intake, artifact: Artifact, settings: dict[str, Any]) -> str:
    """Return the name of the run: the same for the same drop, model, settings and version of the job."""
    identity = {
        "inputs": {str(file["table"]): file["sha256"] for file in intake.files},
        "model": artifact.digest,
        "settings": settings,
        "version": __version__,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def describe_model(artifact: Artifact) -> dict[str, Any]:
    """Return what a run says of the model that it used."""
    told = ("kind", "title", "roc_auc", "trained_on", "thresholds")
    return {"digest": artifact.digest, **{key: artifact.manifest[key] for key in told if key in artifact.manifest}}


def count_customers(intake: Intake, customers: Scored) -> dict[str, Any]:
    """Return the customers by fate. Raises AssertionError if they do not add up: a defect of the job."""
    counts = {
        "in": intake.customers_in,
        "scored": customers.scored.height,
        "excluded": customers.excluded.height,
        "rejected": intake.customers_rejected,
    }
    if counts["in"] != counts["scored"] + counts["excluded"] + counts["rejected"]:
        raise AssertionError(f"customers do not add up: {counts}")
    return {**counts, "excluded_by_reason": count_reasons(customers.excluded)}


def count_rows(intake: Intake, customers: Scored) -> dict[str, dict[str, int]]:
    """Return each file's rows by fate.

    In = used + repaired + rejected + dropped, and used + repaired = scored + excluded.

    Raises:
        AssertionError: they do not add up: a defect of the job.
    """
    rows: dict[str, dict[str, int]] = {}
    for (file, account), table in zip(intake.accounts.items(), TABLES, strict=True):
        ids = intake.tables[table].select("id")
        scored = ids.join(customers.scored.select("id"), on="id", how="semi").height
        excluded = ids.join(customers.excluded.select("id"), on="id", how="semi").height
        if scored + excluded != account.used + account.repaired:
            raise AssertionError(f"{file}: {scored} + {excluded} rows of scored and excluded customers, not {account}")
        rows[file] = {**asdict(account), "scored": scored, "excluded": excluded}
    return rows


def summarise_segments(scored: pl.DataFrame) -> pl.DataFrame:
    """Return one row per segment: its offer, customers, mean risk, profit at risk; the largest profit at risk first."""
    return (
        scored.group_by("segment", "offer")
        .agg(
            pl.len().alias("customers"),
            pl.col("decline_probability").mean().alias("mean_risk"),
            pl.col("profit_at_risk").sum(),
            pl.col("contact_allowed").sum().alias("contact_allowed"),
        )
        .sort("profit_at_risk", "segment", descending=[True, False])
    )


def _write_tables(folder: Path, customers: Scored, rejected: pl.DataFrame) -> None:
    """Write the run's tables and compare what was written."""
    customers.scored.write_parquet(folder / "scored.parquet")
    customers.scored.write_csv(folder / "scored.csv")
    customers.excluded.write_csv(folder / "excluded.csv")
    rejected.with_columns(_without_formulas(name) for name in rejected.columns if name != "row").write_csv(
        folder / "rejected.csv"
    )
    written = int(pl.scan_parquet(folder / "scored.parquet").select(pl.len()).collect().item())
    if written != customers.scored.height:
        raise OutputError(f"{folder / 'scored.parquet'}: holds {written} rows of {customers.scored.height}")


def _without_formulas(name: str) -> pl.Expr:
    """Return a text column that a spreadsheet does not run: an apostrophe before what begins like a formula.

    Numbers may begin with a sign.
    """
    text = pl.col(name)
    runs = text.str.contains(FORMULA_CHARACTERS) & ~text.str.contains(NUMBER)
    return pl.when(runs).then(pl.concat_str(pl.lit("'"), text)).otherwise(text).alias(name)
