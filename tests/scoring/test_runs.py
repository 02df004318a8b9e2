from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from job.errors import SettingsError
from job.scoring.publish import locked_output, staged_run
from job.scoring.runs import list_runs, summarise_runs
from job.storage.run import listed_output
from tests.manifests import make_manifest

A, B = "a" * 16, "b" * 16
DRIFT = {
    "severity": "stop",
    "findings": [],
    "customers": {"here": 1, "training": 1},
    "settings": {"warn": 0.1, "stop": 0.25},
    "checks": 1,
    "alarm_rate": 0.1,
    "twins": 1.0,
    "features": [],
    "score": {
        "feature": "score",
        "psi": 0.1,
        "chance": 0.1,
        "higher": None,
        "severity": "none",
        "shares": [],
        "reference_shares": [],
    },
    "missing": [],
    "not_scored": {"share": 0.1, "reference_share": 0.1, "psi": 0.1, "chance": 0.1, "severity": "none"},
    "roc_auc": {"estimate": 0.8612, "low": 0.8, "high": 0.9, "training_estimate": 0.9, "training": None},
}


def publish(output: Path, run_id: str, **more: Any) -> None:
    plain = make_manifest()
    manifest = make_manifest(
        run_id=run_id,
        finished="2026-07-01T04:00:00+00:00",
        customers={**plain["customers"], "in": 1300, "scored": 1297},
        campaign={**plain["campaign"], "contacts": 600},
        model={
            **plain["model"],
            "title": "logistic regression",
            "digest": "0123456789abcdef",
            "version": 3 if run_id == A else None,
        },
        **more,
    )
    with locked_output(output), staged_run(output, run_id) as staged:
        (staged / "manifest.json").write_text(json.dumps(manifest))


def test_runs_are_listed_the_newest_first(tmp_path: Path) -> None:
    publish(tmp_path, B, drift=DRIFT)
    publish(tmp_path, A, drift=None)
    assert list_runs(tmp_path) == [
        {
            "run_id": A,
            "is_latest": True,
            "finished": "2026-07-01T04:00:00+00:00",
            "customers": 1300,
            "scored": 1297,
            "contacts": 600,
            "model": "logistic regression",
            "model_version": 3,
            "model_digest": "0123456789abcdef",
            "drift": None,
            "estimated_roc_auc": None,
        },
        {
            "run_id": B,
            "is_latest": False,
            "finished": "2026-07-01T04:00:00+00:00",
            "customers": 1300,
            "scored": 1297,
            "contacts": 600,
            "model": "logistic regression",
            "model_version": None,
            "model_digest": "0123456789abcdef",
            "drift": "stop",
            "estimated_roc_auc": 0.8612,
        },
    ]
    assert summarise_runs(list_runs(tmp_path)).splitlines() == [
        "       run               finished                   customers  scored  contacts  ROC-AUC  drift  model",
        f"    *  {A}  2026-07-01T04:00:00+00:00      1,300   1,297       600  -        -      "
        "logistic regression (version 3, 0123456789ab)",
        f"       {B}  2026-07-01T04:00:00+00:00      1,300   1,297       600  0.861    stop   "
        "logistic regression (0123456789ab)",
        "",
        "  ROC-AUC: without labels, if a probability still means what it did in training.",
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"finished": 1, "customers": 3}'])
def test_a_run_with_a_damaged_manifest_is_passed_over_and_told(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    publish(tmp_path, A)
    publish(tmp_path, B)
    (tmp_path / "runs" / A / "manifest.json").write_text(text)
    assert [run["run_id"] for run in list_runs(tmp_path)] == [B]
    assert caplog.messages == [f"{tmp_path}/runs: passed over, for it is no run as published: {A}"]


def test_what_is_no_whole_run_is_not_listed(tmp_path: Path) -> None:
    assert summarise_runs(list_runs(tmp_path)) == "No runs."
    for name in (".partial-a", "half"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    (tmp_path / "runs" / ".partial-a" / "_SUCCESS").touch()
    assert list_runs(tmp_path) == []


def test_an_output_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught, listed_output(tmp_path / "none"):
        pass
    assert caught.value.problems == (
        f"--output: found {tmp_path / 'none'}, expected the folder where runs are published",
    )
