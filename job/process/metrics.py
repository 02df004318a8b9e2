"""What monitoring is told of `score`: a text file for Prometheus' node exporter, replaced in one step.

One part is about the last call, whatever came of it; it is written every time. The other part is about the last run
that succeeded, and is kept as it was while calls fail. Nothing in it is about one customer.
"""

from __future__ import annotations

import math
import os
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from job.errors import EXIT_LOOK, EXIT_PUBLISHED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SUCCESSES: Final = (EXIT_PUBLISHED, EXIT_LOOK)
SEVERITIES: Final = {"none": 0, "warn": 1, "stop": 2}

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
    "retention_drift_severity": "Worst finding of drift: 0 none, 1 warn, 2 stop.",
    "retention_drift_findings": "Findings of drift by severity.",
    "retention_drift_psi": "Population stability index of each feature and of the score against training.",
    "retention_drift_chance": "The index that chance alone hardly passes.",
    "retention_estimated_roc_auc": "ROC-AUC estimated without labels.",
}
"""Metric -> help. All are gauges."""

_NAME: Final = re.compile(r"(retention_[a-z_]+)(?:\{|\ )")


class Call(NamedTuple):
    """One call of the command.

    Args:
        ended: when, in seconds since 1970.
        exit_code: of the call.
        seconds: that it took.
        peak_memory: bytes.
    """

    ended: float
    exit_code: int
    seconds: float
    peak_memory: int


def write_metrics(path: Path, call: Call, manifest: Mapping[str, Any] | None) -> None:
    """Write the file beside its place and rename it, readable for all.

    Args:
        path: of the file, by custom `*.prom`.
        call: what is known of every call.
        manifest: of the run that the call published or found published; None if there is none. It is told of after a
            success only.

    Raises:
        OSError: the file cannot be written.
    """
    if manifest is not None and call.exit_code in SUCCESSES:
        of_the_run = describe_run(call, manifest)
    else:
        of_the_run = read_metrics(path, OF_THE_RUN)
    lines = [*_families(OF_THE_CALL, describe_call(call)), *_families(OF_THE_RUN, of_the_run)]
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")  # no *.prom: nobody reads it half written
    try:
        beside.write_bytes("".join(f"{line}\n" for line in lines).encode())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_metrics(path: Path, names: Iterable[str]) -> list[str]:
    """Return the lines with values of these metrics from an earlier file; none if there is no such file."""
    try:
        lines = path.read_bytes().decode().split("\n")  # and at no other end of line: names may hold them
    except (OSError, UnicodeDecodeError):
        return []
    wanted = set(names)
    return [line for line in lines if (match := _NAME.match(line)) and match[1] in wanted]


def describe_call(call: Call) -> list[str]:
    """Return the lines about a call."""
    return [
        _line("retention_last_run_timestamp_seconds", call.ended),
        _line("retention_exit_code", call.exit_code),
        _line("retention_duration_seconds", call.seconds),
        _line("retention_peak_memory_bytes", call.peak_memory),
    ]


def describe_run(call: Call, manifest: Mapping[str, Any]) -> list[str]:
    """Return the lines about a published run."""
    segments, customers = manifest["segments"], manifest["customers"]
    repaired: dict[tuple[str, str], int] = {}
    for row in manifest["repairs"]:
        place = row["file"], row["column"]
        repaired[place] = repaired.get(place, 0) + row["rows"]
    lines = [
        _line("retention_last_success_timestamp_seconds", call.ended),
        _line("retention_published_timestamp_seconds", _seconds(manifest["finished"])),
        _line("retention_run_info", 1, run_id=manifest["run_id"], version=manifest["product"]["version"]),
        *(
            _line("retention_stage_duration_seconds", seconds, stage=stage)
            for stage, seconds in manifest["seconds"].items()
        ),
        *(_line("retention_customers", customers[fate], fate=fate) for fate in ("scored", "excluded", "rejected")),
        *(
            _line("retention_rows", rows[fate], file=file, fate=fate)
            for file, rows in manifest["rows"].items()
            for fate in ("scored", "excluded", "rejected", "dropped")
        ),
        *(
            _line("retention_repaired_rows", rows, file=file, column=column)
            for (file, column), rows in repaired.items()
        ),
        _line("retention_contacts", manifest["campaign"]["contacts"]),
    ]
    if customers["scored"]:
        total = math.fsum(row["mean_risk"] * row["customers"] for row in segments if row["customers"])
        lines.append(_line("retention_mean_decline_probability", total / customers["scored"]))
    lines.extend(_line("retention_segment_share", row["share"], segment=row["segment"]) for row in segments)
    return [*lines, *_describe_drift(manifest.get("drift"))]


def _describe_drift(drift: Mapping[str, Any] | None) -> list[str]:
    """Return the lines about drift; none for a run of a version or a model without it."""
    if not drift:
        return []
    compared = [*drift["features"], drift["score"]]
    findings = [row["severity"] for row in drift["findings"]]
    lines = [
        _line("retention_drift_severity", SEVERITIES[drift["severity"]]),
        *(
            _line("retention_drift_findings", findings.count(severity), severity=severity)
            for severity in SEVERITIES
            if severity != "none"
        ),
        *(_line("retention_drift_psi", row["psi"], feature=row["feature"]) for row in compared),
        *(_line("retention_drift_chance", row["chance"], feature=row["feature"]) for row in compared),
    ]
    if drift.get("roc_auc"):
        lines.append(_line("retention_estimated_roc_auc", drift["roc_auc"]["estimate"]))
    return lines


def _families(helps: Mapping[str, str], lines: list[str]) -> list[str]:
    """Return the lines of each metric under its help and type, as the format wants them."""
    found: dict[str, list[str]] = {}
    for line in lines:
        match = _NAME.match(line)
        found.setdefault(match[1] if match else line, []).append(line)
    return [
        text
        for name, told in helps.items()
        if name in found
        for text in (f"# HELP {name} {told}", f"# TYPE {name} gauge", *found[name])
    ]


def _line(name: str, value: float, **labels: str) -> str:
    told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{told}}} {value!r}" if told else f"{name} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _seconds(moment: str) -> float:
    from datetime import datetime  # noqa: PLC0415 - loaded when there is a run to tell of

    return datetime.fromisoformat(moment).timestamp()
