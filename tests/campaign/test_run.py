"""Which runs are read, and what is said of the others."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from job.campaign.run import load_run, segment_titles
from job.errors import ArtifactError, JobError, SettingsError
from tests.campaign.runs import SEGMENTS, make_scored, publish
from tests.manifests import make_manifest

if TYPE_CHECKING:
    from pathlib import Path


def problem(error: pytest.ExceptionInfo[JobError]) -> str:
    [line] = error.value.problems
    return line


def test_run_is_read_as_published_also_through_a_link(tmp_path: Path) -> None:
    scored = make_scored()
    folder = publish(tmp_path / "runs" / "abc", scored.reverse(), inputs=[{"sha256": "f00"}])
    (tmp_path / "latest").symlink_to(folder)
    run = load_run(tmp_path / "latest")
    assert (run.folder, run.run_id, run.input_digests) == (folder, "abc", {"f00"})
    assert_frame_equal(run.scored, scored.select(run.scored.columns))


def test_no_run(tmp_path: Path) -> None:
    expected = "expected a published run (OUT/runs/ID)"
    with pytest.raises(SettingsError) as error:
        load_run(tmp_path / "nowhere")
    assert problem(error) == f"{tmp_path / 'nowhere'}: found no such folder, {expected}"
    with pytest.raises(SettingsError) as error:
        load_run(tmp_path)
    assert problem(error) == f"{tmp_path}: found a folder without _SUCCESS, {expected}"


def test_altered_run(tmp_path: Path) -> None:
    folder = publish(tmp_path / "abc", make_scored())
    path = folder / "scored.parquet"
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    make_scored(399).write_parquet(path)
    after = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ArtifactError) as error:
        load_run(folder)
    assert problem(error) == (
        f"scored.parquet: found an altered file ({after[:16]}…), expected the run as published (SHA-256 {before[:16]}…)"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("nonsense", "found Expecting value: line 1 column 1 (char 0), expected the manifest of a run of this version"),
        ("[]", "found a JSON list, not an object, expected the manifest of a run of this version"),
        (
            '{"format": 0}',
            "found format 0, not 1, the one of this version, expected the manifest of a run of this version",
        ),
        (json.dumps(make_manifest()), "found none, expected the SHA-256 of scored.parquet under outputs"),
    ],
)
def test_damaged_manifest(tmp_path: Path, text: str, line: str) -> None:
    folder = publish(tmp_path / "abc", make_scored())
    (folder / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError) as error:
        load_run(folder)
    assert problem(error) == f"manifest.json: {line}"


def test_missing_table(tmp_path: Path) -> None:
    folder = publish(tmp_path / "abc", make_scored())
    (folder / "scored.parquet").unlink()
    with pytest.raises(ArtifactError) as error:
        load_run(folder)
    assert problem(error) == "scored.parquet: found No such file or directory, expected a file of the run"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            pl.all().exclude("campaign_group"),
            "scored.parquet: found no column campaign_group, expected a run of a version that draws a control group",
        ),
        (
            pl.all().cast(pl.String),
            None,
        ),
        (
            pl.all().exclude("campaign_group"),
            None,
        ),
    ],
)
def test_run_of_another_version(tmp_path: Path, change: pl.Expr, line: str | None) -> None:
    folder = publish(tmp_path / "abc", make_scored().select(change))
    with pytest.raises(ArtifactError) as error:
        load_run(folder)
    assert line is None or problem(error) == line


def test_unknown_group(tmp_path: Path) -> None:
    folder = publish(tmp_path / "abc", make_scored().with_columns(campaign_group=pl.lit("placebo")))
    with pytest.raises(ArtifactError) as error:
        load_run(folder)
    assert problem(error) == "scored.parquet: found placebo, expected groups treatment, control, none, nothing null"


def test_titles_are_in_the_order_of_priority() -> None:
    titles = segment_titles(make_manifest(segments=SEGMENTS))
    assert list(titles.items()) == [("at_risk", "Могут уйти"), ("loyal", "Верные <и> прибыльные")]
