"""The metrics file, read back by Prometheus' own parser."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from job.process.metrics import OF_THE_CALL, OF_THE_RUN, OF_THE_START, Call, write_metrics, write_running

OUT = "/data/out"
OK = Call(started=1_800_000_000.0, ended=1_800_000_000.5, exit_code=0, seconds=1.25, peak_memory=123_456_789)
FAILED = Call(started=1_800_000_099.5, ended=1_800_000_100.0, exit_code=3, seconds=0.5, peak_memory=1000)
DRIFT = {
    "severity": "warn",
    "findings": [{"severity": "warn"}],
    "features": [{"feature": "tenure_days", "psi": 0.12, "chance": 0.03}],
    "score": {"feature": "decline_probability", "psi": 0.01, "chance": 0.02},
    "roc_auc": {"estimate": 0.91},
}
MANIFEST: dict[str, Any] = {
    "run_id": "9f86d081884c7d65",
    "product": {"version": "0.1.0"},
    "model": {"digest": "abc", "version": 3},
    "finished": "2027-01-15T08:00:00+00:00",
    "seconds": {"intake": 0.5, "score": 0.25},
    "customers": {"in": 14, "scored": 10, "excluded": 1, "rejected": 3},
    "rows": {"money.csv": {"rows_in": 15, "scored": 10, "excluded": 1, "rejected": 3, "dropped": 1}},
    "repairs": [
        {"file": "market_file.csv", "column": "Тип сервиса", "from": "стандартт", "to": "стандарт", "rows": 4},
        {"file": "market_file.csv", "column": "Тип сервиса", "from": "премиумм", "to": "премиум", "rows": 2},
    ],
    "campaign": {"contacts": 7},
    "segments": [
        {"segment": "top_risk", "share": 0.4, "customers": 4, "mean_risk": 0.5},
        {"segment": "rest", "share": 0.6, "customers": 6, "mean_risk": 0.25},
        {"segment": "empty", "share": 0.0, "customers": 0, "mean_risk": None},
    ],
    "drift": DRIFT,
    "levels": {"source": "drop", "months": [{"period": "current_month", "level": 6.5, "training": 5.0, "ratio": 1.3}]},
    "report_data": {"risk": {"in_training": 5}},
    "changes": [
        {"measure": "customers", "before": 20.0, "now": 14.0, "change": -0.3, "is_beyond": False},
        {"measure": "contacts", "before": 0.0, "now": 7.0, "change": None, "is_beyond": True},
    ],
    "look": ["contacts: 7, 0 in the run before, abc (--max-change)"],
}


def read(path: Path) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return (name, labels) -> value; every family has a help and a type, no sample occurs twice."""
    found = {}
    for family in text_string_to_metric_families(path.read_bytes().decode()):
        assert (family.type, bool(family.documentation)) == ("gauge", True)
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("output") == OUT
            key = sample.name, tuple(sorted(labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def test_a_run_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "retention.prom"
    write_metrics(path, OUT, OK, MANIFEST)
    assert read(path) == {
        ("retention_running", ()): 0,
        ("retention_started_timestamp_seconds", ()): 1_800_000_000,
        ("retention_last_run_timestamp_seconds", ()): 1_800_000_000.5,
        ("retention_exit_code", ()): 0,
        ("retention_duration_seconds", ()): 1.25,
        ("retention_peak_memory_bytes", ()): 123_456_789,
        ("retention_last_success_timestamp_seconds", ()): 1_800_000_000.5,
        ("retention_published_timestamp_seconds", ()): 1_800_000_000,
        (
            "retention_run_info",
            (("model", "abc"), ("model_version", "3"), ("run_id", "9f86d081884c7d65"), ("version", "0.1.0")),
        ): 1,
        ("retention_stage_duration_seconds", (("stage", "intake"),)): 0.5,
        ("retention_stage_duration_seconds", (("stage", "score"),)): 0.25,
        ("retention_customers", (("fate", "scored"),)): 10,
        ("retention_customers", (("fate", "excluded"),)): 1,
        ("retention_customers", (("fate", "rejected"),)): 3,
        ("retention_rows", (("fate", "scored"), ("file", "money.csv"))): 10,
        ("retention_rows", (("fate", "excluded"), ("file", "money.csv"))): 1,
        ("retention_rows", (("fate", "rejected"), ("file", "money.csv"))): 3,
        ("retention_rows", (("fate", "dropped"), ("file", "money.csv"))): 1,
        ("retention_repaired_rows", (("column", "Тип сервиса"), ("file", "market_file.csv"))): 6,
        ("retention_contacts", ()): 7,
        ("retention_mean_decline_probability", ()): 0.35,
        ("retention_segment_share", (("segment", "top_risk"),)): 0.4,
        ("retention_segment_share", (("segment", "rest"),)): 0.6,
        ("retention_segment_share", (("segment", "empty"),)): 0,
        ("retention_change_ratio", (("measure", "customers"),)): -0.3,
        ("retention_looks", ()): 1,
        ("retention_revenue_level_ratio", (("period", "current_month"),)): 1.3,
        ("retention_customers_in_training", ()): 5,
        ("retention_drift_severity", ()): 1,
        ("retention_drift_findings", (("severity", "warn"),)): 1,
        ("retention_drift_findings", (("severity", "stop"),)): 0,
        ("retention_drift_psi", (("feature", "tenure_days"),)): 0.12,
        ("retention_drift_psi", (("feature", "decline_probability"),)): 0.01,
        ("retention_drift_chance", (("feature", "tenure_days"),)): 0.03,
        ("retention_drift_chance", (("feature", "decline_probability"),)): 0.02,
        ("retention_estimated_roc_auc", ()): 0.91,
    }
    assert {name for name, _ in read(path)} == {*OF_THE_START, *OF_THE_CALL, *OF_THE_RUN}


def test_a_failure_keeps_what_is_known_of_the_last_success(tmp_path: Path) -> None:
    path = tmp_path / "retention.prom"
    write_metrics(path, OUT, OK, MANIFEST)
    before = read(path)
    write_metrics(path, OUT, FAILED, None)
    after = read(path)
    assert {key: value for key, value in after.items() if key[0] in OF_THE_CALL} == {
        ("retention_last_run_timestamp_seconds", ()): 1_800_000_100,
        ("retention_exit_code", ()): 3,
        ("retention_duration_seconds", ()): 0.5,
        ("retention_peak_memory_bytes", ()): 1000,
    }
    assert {key: value for key, value in after.items() if key[0] in OF_THE_RUN} == {
        key: value for key, value in before.items() if key[0] in OF_THE_RUN
    }


@pytest.mark.parametrize("before", [None, b"", b"\xff\xfe", b"retention_exit_code 0\nother 1\nretention_nonsense 3\n"])
def test_a_first_failure_knows_of_no_success(before: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "retention.prom"
    if before is not None:
        path.write_bytes(before)
    write_metrics(path, OUT, FAILED, None)
    assert {name for name, _ in read(path)} == {*OF_THE_START, *OF_THE_CALL}


def test_a_run_that_a_person_must_look_at_is_a_success(tmp_path: Path) -> None:
    path = tmp_path / "retention.prom"
    look = Call(started=0.0, ended=1.0, exit_code=8, seconds=1, peak_memory=1)
    write_metrics(path, OUT, look, MANIFEST)
    assert read(path)["retention_last_success_timestamp_seconds", ()] == 1
    assert read(path)["retention_exit_code", ()] == 8


def test_a_run_without_drift_and_without_anybody(tmp_path: Path) -> None:
    path = tmp_path / "retention.prom"
    manifest = copy.deepcopy(MANIFEST)
    manifest["drift"] = None
    manifest["customers"]["scored"] = 0
    write_metrics(path, OUT, OK, manifest)
    names = {name for name, _ in read(path)}
    assert not {name for name in names if "drift" in name or "roc" in name or "mean" in name}


def test_the_file_is_readable_for_all_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "retention.prom"
    write_metrics(path, OUT, OK, MANIFEST)
    assert path.stat().st_mode & 0o444 == 0o444
    assert [entry.name for entry in tmp_path.iterdir()] == ["retention.prom"]
    with pytest.raises(IsADirectoryError):
        write_metrics(tmp_path, OUT, OK, MANIFEST)
    assert [entry.name for entry in tmp_path.iterdir()] == ["retention.prom"]


@given(name=st.text(), value=st.floats(allow_nan=False))
def test_any_name_and_any_number_come_back(name: str, value: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    encodable = name.encode("utf-8", "replace").decode()
    path = tmp_path_factory.mktemp("m") / "retention.prom"
    manifest = {**json.loads(json.dumps(MANIFEST)), "segments": [], "seconds": {encodable: value}}
    manifest["customers"]["scored"] = 0
    for call, told in ((OK, manifest), (FAILED, None)):
        write_metrics(path, OUT, call, told)
        found = read(path)["retention_stage_duration_seconds", (("stage", encodable),)]
        assert found == value or math.isclose(found, value)


def test_a_call_that_runs_is_marked_and_what_was_known_stays(tmp_path: Path) -> None:
    path = tmp_path / "retention.prom"
    write_running(path, OUT, 5.0)
    assert read(path) == {("retention_running", ()): 1, ("retention_started_timestamp_seconds", ()): 5}
    write_metrics(path, OUT, OK, MANIFEST)
    before = read(path)
    write_running(path, OUT, 1_900_000_000.0)
    assert read(path) == {
        **before,
        ("retention_running", ()): 1,
        ("retention_started_timestamp_seconds", ()): 1_900_000_000,
    }


def test_a_call_that_does_not_know_its_output_keeps_its_name(tmp_path: Path) -> None:
    path = tmp_path / "retention.prom"
    write_metrics(path, OUT, OK, MANIFEST)
    write_metrics(path, None, FAILED, None)
    assert read(path)["retention_exit_code", ()] == 3


def test_files_of_two_outputs_say_nothing_twice(tmp_path: Path) -> None:
    """The exporter reads all files of a folder as one."""
    for name in ("a", "b"):
        write_metrics(tmp_path / f"{name}.prom", f"/data/{name}", OK, MANIFEST)
    together = "".join((tmp_path / f"{name}.prom").read_text() for name in ("a", "b"))
    samples = [line for line in together.splitlines() if not line.startswith("#")]
    assert len(set(samples)) == len(samples) > 20
