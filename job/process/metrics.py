"""What monitoring is told of `score`: a text file for Prometheus' node exporter, replaced in one step.

One part is about the last call, whatever came of it; another about the last run that succeeded, which is kept as it was
while calls fail. A call marks the file as running when it begins, so that one that vanishes with its machine shows. All
carry the name of the output: files of several outputs may lie in one folder. Nothing is about one customer.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from job.beneath import read_beneath
from job.errors import EXIT_LOOK, EXIT_PUBLISHED
from job.files import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from schemas.manifest import Drift, Manifest

SEVERITIES: Final = ("none", "warn", "stop")

OF_THE_START: Final = {
    "retention_running": "1 while a call runs; it stays 1 when one vanished with its machine.",
    "retention_started_timestamp_seconds": "When the last call began.",
}
OF_THE_CALL: Final = {
    "retention_last_run_timestamp_seconds": "When the command last ended, whatever came of it.",
    "retention_exit_code": "Exit code of the last call; 128 and more: stopped by a signal.",
    "retention_duration_seconds": "How long the last call took.",
    "retention_peak_memory_bytes": "The most memory that the last call held.",
}
OF_THE_RUN: Final = {
    "retention_last_success_timestamp_seconds": "When a call last ended well: published, or published before.",
    "retention_published_timestamp_seconds": "When the run of that call was published.",
    "retention_run_info": "The run of the last success.",
    "retention_stage_duration_seconds": "How long each stage of that run took.",
    "retention_customers": "Customers of that run by fate.",
    "retention_rows": "Rows of each file by fate; their sum is the rows delivered.",
    "retention_repaired_rows": "Rows with a misspelling that was repaired.",
    "retention_contacts": "Customers in campaign.csv.",
    "retention_mean_decline_probability": "Mean of the decline probability.",
    "retention_segment_share": "Share of the scored customers in each segment.",
    "retention_change_ratio": "Change of a figure since the run before, as a share of that.",
    "retention_looks": "Reasons why a person must look at that run, whether or not one did.",
    "retention_revenue_level_ratio": "Revenue of half of the customers in each month, against training.",
    "retention_customers_in_training": "Scored customers whose answer the model knew: scored by one that did not.",
    "retention_drift_severity": "Worst finding of drift: 0 none, 1 warn, 2 stop.",
    "retention_drift_findings": "Findings of drift by severity.",
    "retention_drift_psi": "Population stability index of each feature and of the score against training.",
    "retention_drift_chance": "The index that chance alone hardly passes.",
    "retention_estimated_roc_auc": "ROC-AUC estimated without labels.",
}
"""Metric -> help. All are gauges."""

HELPS: Final = {**OF_THE_START, **OF_THE_CALL, **OF_THE_RUN}
OUTPUT: Final = "output"


class Call(NamedTuple):
    """One call of the command that has ended; its beginning and end in seconds since 1970, its memory in bytes."""

    started: float
    ended: float
    exit_code: int
    seconds: float
    peak_memory: int


class Sample(NamedTuple):
    """A value of a metric, told from its others by labels; that of the output is added when it is written."""

    name: str
    value: float
    labels: dict[str, str]


def write_running(path: Path, output: str, started: float) -> None:
    """Mark the file as that of a call that runs; what it says of earlier calls stays. Raises OSError."""
    before, _ = read_metrics(path, (*OF_THE_CALL, *OF_THE_RUN))
    running = [_sample("retention_running", 1), _sample("retention_started_timestamp_seconds", started)]
    _write(path, output, [*running, *before])


def write_metrics(path: Path, output: str | None, call: Call, manifest: Manifest | None) -> None:
    """Write the file beside its place and rename it, readable for all. Raises OSError.

    An output whose name is not known has that of the file before. The manifest, of the run that the call published or
    found published, is told of after a success only.
    """
    before, before_output = read_metrics(path, OF_THE_RUN)
    of_the_call = [
        _sample("retention_running", 0),
        _sample("retention_started_timestamp_seconds", call.started),
        _sample("retention_last_run_timestamp_seconds", call.ended),
        _sample("retention_exit_code", call.exit_code),
        _sample("retention_duration_seconds", call.seconds),
        _sample("retention_peak_memory_bytes", call.peak_memory),
    ]
    is_success = call.exit_code in (EXIT_PUBLISHED, EXIT_LOOK)
    of_the_run = _describe_run(call.ended, manifest) if manifest is not None and is_success else before
    _write(path, before_output if output is None else output, [*of_the_call, *of_the_run])


def read_metrics(path: Path, names: Iterable[str]) -> tuple[list[Sample], str]:
    """Return the values of these metrics in an earlier file, and the output that it names; none if there is none."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 - for whoever asks for it

    wanted, samples, output = set(names), [], ""
    try:
        for family in text_string_to_metric_families(read_beneath(path.parent, path.name).decode()):
            for sample in family.samples:
                labels = dict(sample.labels)
                output = labels.pop(OUTPUT, output)
                if sample.name in wanted:
                    samples.append(Sample(sample.name, sample.value, labels))
    except (OSError, ValueError, KeyError, IndexError):  # not of this job's making
        return [], output
    return samples, output


def _describe_run(ended: float, manifest: Manifest) -> Iterator[Sample]:
    """Yield what is known of the published run of a call that has ended."""
    from schemas.manifest import mean_risk  # noqa: PLC0415 - a call that tells of no run loads none of it

    model, customers = manifest["model"], manifest["customers"]
    yield _sample("retention_last_success_timestamp_seconds", ended)
    published = datetime.fromisoformat(manifest["finished"]).timestamp()
    yield _sample("retention_published_timestamp_seconds", published)
    names = {"run_id": manifest["run_id"], "version": manifest["product"]["version"], "model": model["digest"]}
    yield _sample("retention_run_info", 1, **names, model_version=str(model["version"] or ""))
    for stage, seconds in manifest["seconds"].items():
        yield _sample("retention_stage_duration_seconds", seconds, stage=stage)
    for fate in ("scored", "excluded", "rejected"):
        yield _sample("retention_customers", customers[fate], fate=fate)
    yield from _describe_rows(manifest)
    yield _sample("retention_contacts", manifest["campaign"]["contacts"])
    yield _sample("retention_customers_in_training", manifest["report_data"]["risk"]["in_training"])
    if (risk := mean_risk(manifest)) is not None:
        yield _sample("retention_mean_decline_probability", risk)
    for segment in manifest["segments"]:
        yield _sample("retention_segment_share", segment["share"], segment=segment["segment"])
    yield _sample("retention_looks", len(manifest["look"]))
    for change in manifest["changes"]:
        if change["change"] is not None:
            yield _sample("retention_change_ratio", change["change"], measure=change["measure"])
    for month in manifest["levels"]["months"]:
        yield _sample("retention_revenue_level_ratio", month["ratio"], period=month["period"])
    if manifest["drift"]:
        yield from _describe_drift(manifest["drift"])


def _describe_rows(manifest: Manifest) -> Iterator[Sample]:
    for file, rows in manifest["rows"].items():
        for fate in ("scored", "excluded", "rejected", "dropped"):
            yield _sample("retention_rows", rows[fate], file=file, fate=fate)
    repaired: Counter[tuple[str, str]] = Counter()
    for repair in manifest["repairs"]:
        repaired[repair["file"], repair["column"]] += repair["rows"]
    for (file, column), count in repaired.items():
        yield _sample("retention_repaired_rows", count, file=file, column=column)


def _describe_drift(drift: Drift) -> Iterator[Sample]:
    yield _sample("retention_drift_severity", SEVERITIES.index(drift["severity"]))
    severities = [finding["severity"] for finding in drift["findings"]]
    for severity in SEVERITIES[1:]:
        yield _sample("retention_drift_findings", severities.count(severity), severity=severity)
    for compared in (*drift["features"], drift["score"]):
        yield _sample("retention_drift_psi", compared["psi"], feature=compared["feature"])
        yield _sample("retention_drift_chance", compared["chance"], feature=compared["feature"])
    if drift["roc_auc"] is not None:
        yield _sample("retention_estimated_roc_auc", drift["roc_auc"]["estimate"])


def _write(path: Path, output: str, samples: list[Sample]) -> None:
    """Write each metric with its samples, in the order of the helps."""
    from prometheus_client import generate_latest  # noqa: PLC0415 - for whoever asks for it
    from prometheus_client.metrics_core import Metric  # noqa: PLC0415

    families = {name: Metric(name, text, "gauge") for name, text in HELPS.items()}
    for sample in samples:
        families[sample.name].add_sample(sample.name, {OUTPUT: output, **sample.labels}, sample.value)
    collector: Any = SimpleNamespace(collect=lambda: [family for family in families.values() if family.samples])
    replace_file(path, generate_latest(collector))


def _sample(name: str, value: float, **labels: str) -> Sample:
    return Sample(name, float(value), labels)
