"""What monitoring is told of `score`: a text file for Prometheus' node exporter, replaced in one step.

One part is about the last call, whatever came of it; another about the last run that succeeded, which is kept as it was
while calls fail. A call marks the file as running when it begins, so that one that vanishes with its machine shows. All
carry the name of the output: files of several outputs may lie in one folder. Nothing is about one customer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from job.beneath import read_beneath
from job.errors import EXIT_LOOK, EXIT_PUBLISHED
from job.files import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from prometheus_client.metrics_core import Metric

    from schemas.manifest import Drift, Manifest

SUCCESSES: Final = (EXIT_PUBLISHED, EXIT_LOOK)
SEVERITIES: Final = {"none": 0, "warn": 1, "stop": 2}

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
    """One call of the command that has ended.

    Args:
        started: when it began, in seconds since 1970.
        ended: when it ended, in the same.
        exit_code: of the call.
        seconds: that it took.
        peak_memory: bytes.
    """

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
    """Mark the file as that of a call that runs; what it says of earlier calls stays. Raises OSError.

    Args:
        path: of the file, by custom `*.prom`.
        output: the output's name.
        started: when the call began, in seconds since 1970.
    """
    before, _ = read_metrics(path, (*OF_THE_CALL, *OF_THE_RUN))
    _write(path, output, [*describe_start(started, is_running=True), *before])


def write_metrics(path: Path, output: str | None, call: Call, manifest: Manifest | None) -> None:
    """Write the file beside its place and rename it, readable for all.

    Args:
        path: of the file, by custom `*.prom`.
        output: the output's name; None, if it is not known, is that of the file before.
        call: what is known of every call.
        manifest: of the run that the call published or found published; None if there is none. It is told of after a
            success only.

    Raises:
        OSError: the file cannot be written.
    """
    before, before_output = read_metrics(path, OF_THE_RUN)
    is_success = manifest is not None and call.exit_code in SUCCESSES
    of_the_run = describe_run(call, manifest) if manifest is not None and is_success else before
    start = describe_start(call.started, is_running=False)
    _write(path, before_output if output is None else output, [*start, *describe_call(call), *of_the_run])


def read_metrics(path: Path, names: Iterable[str]) -> tuple[list[Sample], str]:
    """Return the values of these metrics in an earlier file, and the output that it names; none if there is none."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 - for whoever asks for it

    wanted, samples, output = set(names), [], ""
    try:
        for family in text_string_to_metric_families(read_beneath(path.parent, path.name).decode()):
            for sample in family.samples:
                output = sample.labels.get(OUTPUT, output)
                if sample.name in wanted:
                    labels = {label: text for label, text in sample.labels.items() if label != OUTPUT}
                    samples.append(Sample(sample.name, sample.value, labels))
    except (OSError, ValueError, KeyError, IndexError):  # not of this job's making
        return [], output
    return samples, output


def describe_start(started: float, *, is_running: bool) -> list[Sample]:
    """Return what is known when a call begins."""
    return [_sample("retention_running", is_running), _sample("retention_started_timestamp_seconds", started)]


def describe_call(call: Call) -> list[Sample]:
    """Return what is known of a call when it has ended."""
    return [
        _sample("retention_last_run_timestamp_seconds", call.ended),
        _sample("retention_exit_code", call.exit_code),
        _sample("retention_duration_seconds", call.seconds),
        _sample("retention_peak_memory_bytes", call.peak_memory),
    ]


def describe_run(call: Call, manifest: Manifest) -> list[Sample]:
    """Return what is known of a published run."""
    segments, customers = manifest["segments"], manifest["customers"]
    repaired: dict[tuple[str, str], int] = {}
    for row in manifest["repairs"]:
        key = row["file"], row["column"]
        repaired[key] = repaired.get(key, 0) + row["rows"]
    lines = [
        _sample("retention_last_success_timestamp_seconds", call.ended),
        _sample("retention_published_timestamp_seconds", _seconds(manifest["finished"])),
        _sample(
            "retention_run_info",
            1,
            run_id=manifest["run_id"],
            version=manifest["product"]["version"],
            model=manifest["model"]["digest"],
            model_version=str(manifest["model"]["version"] or ""),
        ),
        *(
            _sample("retention_stage_duration_seconds", seconds, stage=stage)
            for stage, seconds in manifest["seconds"].items()
        ),
        *(_sample("retention_customers", customers[fate], fate=fate) for fate in ("scored", "excluded", "rejected")),
        *(
            _sample("retention_rows", rows[fate], file=file, fate=fate)
            for file, rows in manifest["rows"].items()
            for fate in ("scored", "excluded", "rejected", "dropped")
        ),
        *(
            _sample("retention_repaired_rows", rows, file=file, column=column)
            for (file, column), rows in repaired.items()
        ),
        _sample("retention_contacts", manifest["campaign"]["contacts"]),
    ]
    if customers["scored"]:
        total = math.fsum((row["mean_risk"] or 0.0) * row["customers"] for row in segments)
        lines.append(_sample("retention_mean_decline_probability", total / customers["scored"]))
    lines.extend(_sample("retention_segment_share", row["share"], segment=row["segment"]) for row in segments)
    lines.append(_sample("retention_looks", len(manifest["look"])))
    lines.extend(
        _sample("retention_change_ratio", row["change"], measure=row["measure"])
        for row in manifest["changes"]
        if row["change"] is not None
    )
    lines.extend(
        _sample("retention_revenue_level_ratio", month["ratio"], period=month["period"])
        for month in manifest["levels"]["months"]
    )
    lines.append(_sample("retention_customers_in_training", manifest["facts"]["risk"]["in_training"]))
    return [*lines, *_describe_drift(manifest["drift"])]


def _describe_drift(drift: Drift | None) -> list[Sample]:
    """Return what is known of drift; none for a run of a version or a model without it."""
    if not drift:
        return []
    compared = [*drift["features"], drift["score"]]
    findings = [row["severity"] for row in drift["findings"]]
    lines = [
        _sample("retention_drift_severity", SEVERITIES[drift["severity"]]),
        *(
            _sample("retention_drift_findings", findings.count(severity), severity=severity)
            for severity in SEVERITIES
            if severity != "none"
        ),
        *(_sample("retention_drift_psi", row["psi"], feature=row["feature"]) for row in compared),
        *(_sample("retention_drift_chance", row["chance"], feature=row["feature"]) for row in compared),
    ]
    if drift["roc_auc"] is not None:
        lines.append(_sample("retention_estimated_roc_auc", drift["roc_auc"]["estimate"]))
    return lines


def _write(path: Path, output: str, samples: list[Sample]) -> None:
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - for whoever asks for it
    from prometheus_client.registry import Collector  # noqa: PLC0415

    class Samples(Collector):
        def collect(self) -> Iterator[Metric]:
            yield from _families(samples, output)

    registry = CollectorRegistry()
    registry.register(Samples())
    replace_file(path, generate_latest(registry))


def _families(samples: list[Sample], output: str) -> Iterator[Metric]:
    """Yield each metric with its samples, in the order of their helps."""
    from prometheus_client.metrics_core import Metric  # noqa: PLC0415 - for whoever asks for it

    for name, text in HELPS.items():
        family = Metric(name, text, "gauge")
        for sample in samples:
            if sample.name == name:
                family.add_sample(name, {OUTPUT: output, **sample.labels}, sample.value)
        if family.samples:
            yield family


def _sample(name: str, value: float, **labels: str) -> Sample:
    return Sample(name, float(value), labels)


def _seconds(moment: str) -> float:
    from datetime import datetime  # noqa: PLC0415 - loaded when there is a run to tell of

    return datetime.fromisoformat(moment).timestamp()
