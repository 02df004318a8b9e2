from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from job.errors import SettingsError
from job.scoring.publish import locked_output, staged_run
from job.scoring.runs import list_runs, summarise_runs
from tests.manifests import make_manifest


def publish(output: Path, run_id: str, **more: Any) -> None:
    manifest = make_manifest(
        finished="2026-07-01T04:00:00+00:00",
        customers={"in": 1300, "scored": 1297},
        campaign={"contacts": 600},
        model={"title": "logistic regression", "digest": "0123456789abcdef", "version": 3 if run_id == "aaa" else None},
        **more,
    )
    with locked_output(output), staged_run(output, run_id) as staged:
        (staged / "manifest.json").write_text(json.dumps(manifest))


def test_runs_are_listed_the_newest_first(tmp_path: Path) -> None:
    publish(tmp_path, "bbb", drift={"severity": "stop", "roc_auc": {"estimate": 0.8612}})
    publish(tmp_path, "aaa", drift=None)
    assert list_runs(tmp_path) == [
        {
            "run_id": "aaa",
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
            "run_id": "bbb",
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
        "       run  finished                   customers  scored  contacts  ROC-AUC  drift  model",
        "    *  aaa  2026-07-01T04:00:00+00:00      1,300   1,297       600  -        -      "
        "logistic regression (version 3, 0123456789ab)",
        "       bbb  2026-07-01T04:00:00+00:00      1,300   1,297       600  0.861    stop   "
        "logistic regression (0123456789ab)",
        "",
        "  ROC-AUC: without labels, if a probability still means what it did in training.",
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"finished": 1, "customers": 3}'])
def test_a_run_with_a_damaged_manifest_is_named(text: str, tmp_path: Path) -> None:
    publish(tmp_path, "aaa")
    (tmp_path / "runs" / "aaa" / "manifest.json").write_text(text)
    (run,) = list_runs(tmp_path)
    assert (run["run_id"], run["finished"], run["customers"]) == ("aaa", None, None)
    assert "unreadable" in summarise_runs([run])


def test_what_is_no_whole_run_is_not_listed(tmp_path: Path) -> None:
    assert summarise_runs(list_runs(tmp_path)) == "No runs."
    for name in (".partial-a", "half"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    (tmp_path / "runs" / ".partial-a" / "_SUCCESS").touch()
    assert list_runs(tmp_path) == []


def test_an_output_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        list_runs(tmp_path / "none")
    assert caught.value.problems == (
        f"--output: found {tmp_path / 'none'}, expected the folder where runs are published",
    )
