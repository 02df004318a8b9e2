"""The example alerts name only what is written, and each can be told apart from silence."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from job.process.metrics import HELPS

FOLDER = Path(__file__).parents[2] / "deploy"
OURS, KUBERNETES = yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
RULES = [*OURS["rules"], *KUBERNETES["rules"]]
CASES = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text(encoding="utf-8"))["tests"]
OF_KUBERNETES = {"kube_job_failed", "kube_cronjob_status_last_successful_time", "kube_cronjob_spec_suspend"}


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_a_rule_is_whole_and_names_only_what_is_written(rule: dict[str, Any]) -> None:
    assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}
    assert set(rule["annotations"]) == {"summary", "description"}
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    named = set(re.findall(r"(?:retention|kube)_\w+", rule["expr"]))
    assert named
    assert named <= (set(HELPS) if rule in OURS["rules"] else OF_KUBERNETES)


def test_names_are_unique() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)


def test_a_case_shows_of_each_rule_when_it_fires_and_when_not() -> None:
    checks = [check for case in CASES for check in case["alert_rule_test"]]
    names = {rule["alert"] for rule in RULES}
    assert {check["alertname"] for check in checks if "exp_alerts" in check} == names
    assert {check["alertname"] for check in checks if "exp_alerts" not in check} == names


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_prometheus_plays_the_cases() -> None:
    for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]):
        done = subprocess.run(["promtool", *command], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def holds(expression: str, values: dict[str, float], now: float) -> bool:
    """Work out an expression of the small part of PromQL that the rules use; a metric without value is no match."""

    def atom(text: str) -> bool:
        text = text.strip()
        if match := re.fullmatch(r"absent\((\w+)\)", text):
            return match[1] not in values
        if match := re.fullmatch(r"(\w+) unless (\w+)", text):
            return match[1] in values and match[2] not in values
        match = re.fullmatch(r"(time\(\) - )?(retention_\w+) (>=|==|!=|>) ([\d *]+)", text)
        assert match is not None, text
        if match[2] not in values:
            return False
        value = now - values[match[2]] if match[1] else values[match[2]]
        limit = 1.0
        for factor in match[4].split("*"):
            limit *= float(factor)
        return {">=": value >= limit, "==": value == limit, "!=": value != limit, ">": value > limit}[match[3]]

    return any(all(atom(part) for part in side.split(" and ")) for side in expression.split(" or "))


NOW, DAY = 1_800_000_000.0, 86400.0
WELL = {
    "retention_running": 0.0,
    "retention_started_timestamp_seconds": NOW - DAY,
    "retention_last_run_timestamp_seconds": NOW - DAY,
    "retention_last_success_timestamp_seconds": NOW - DAY,
    "retention_published_timestamp_seconds": NOW - DAY,
    "retention_exit_code": 0.0,
    "retention_drift_severity": 0.0,
}
FIRST_FAILURE = {
    "retention_running": 0.0,
    "retention_last_run_timestamp_seconds": NOW - DAY,
    "retention_exit_code": 3.0,
}


@pytest.mark.parametrize(
    ("values", "fired"),
    [
        (WELL, set()),
        ({}, {"RetentionNoMetrics"}),
        (FIRST_FAILURE, {"RetentionNeverSucceeded", "RetentionFailed"}),
        ({**WELL, "retention_last_success_timestamp_seconds": NOW - 34 * DAY}, {"RetentionNoSuccess"}),
        ({**WELL, "retention_published_timestamp_seconds": NOW - 34 * DAY}, {"RetentionNothingNewPublished"}),
        *(({**WELL, "retention_exit_code": float(code)}, {"RetentionFailed"}) for code in (1, 2, 3, 4, 5, 6, 7, 143)),
        (
            {**WELL, "retention_exit_code": 6.0, "retention_running": 1.0, "retention_started_timestamp_seconds": NOW},
            set(),
        ),
        ({**WELL, "retention_running": 1.0}, {"RetentionVanished"}),
        ({**WELL, "retention_exit_code": 8.0, "retention_drift_severity": 2.0}, {"RetentionLook"}),
        ({**WELL, "retention_drift_severity": 1.0}, {"RetentionDriftWarning"}),
    ],
)
def test_what_fires_when(values: dict[str, float], fired: set[str]) -> None:
    """Where promtool is not installed, too; how long a rule must hold is left out."""
    assert {rule["alert"] for rule in OURS["rules"] if holds(rule["expr"], values, NOW)} == fired
