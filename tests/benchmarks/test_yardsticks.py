import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from job.features import make_features, split_customers
from job.intake.drop import find_files
from job.intake.reconcile import accept_drop
from job.models.artifact import load_artifact
from job.sample import write_drop
from job.settings import Limits
from tests.benchmarks.yardsticks.boosted_model import draw_features, write_boosted_artifact, write_matrix
from tests.benchmarks.yardsticks.compare import compare
from tests.benchmarks.yardsticks.floor import DTYPES, consume, repeat, scan
from tests.benchmarks.yardsticks.reasons import main as time_reasons


@pytest.mark.parametrize("table", DTYPES)
def test_the_floor_parses_every_column(small_drop: Path, table: str) -> None:
    rows = scan(small_drop, table).collect()
    assert rows.null_count().sum_horizontal().item() == 0
    assert tuple(rows.dtypes) == DTYPES[table]
    found = consume(scan(small_drop, table)).row(0, named=True)
    for name, dtype in rows.schema.items():
        own = rows[name].str.len_bytes() if dtype == pl.String else rows[name]
        assert found.pop(name) == pytest.approx(own.sum())
    assert found == {"rows": rows.height}


def test_the_floor_reads_dirty_drops_of_both_formats_alike(tmp_path: Path) -> None:
    for table_format in ("csv", "parquet"):
        write_drop(tmp_path / table_format, customers=1300, seed=1, labelled=False, table_format=table_format)
    for table in DTYPES:
        csv, parquet = (scan(tmp_path / name, table).collect() for name in ("csv", "parquet"))
        # In Parquet, a column with a word among its numbers is words.
        assert_frame_equal(csv, parquet.cast(dict(csv.schema), strict=False))


@pytest.mark.parametrize("rows", [1, 3, 4, 10])
def test_a_block_is_repeated(rows: int) -> None:
    block = pl.DataFrame({"id": [1, 2, 3]})
    assert repeat(block, rows).collect()["id"].to_list() == ([1, 2, 3] * 4)[:rows]


def test_reasons_and_scores_are_timed_apart(small_drop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    time_reasons(small_drop)
    seconds = json.loads(capsys.readouterr().out)["seconds"]
    assert list(seconds) == ["score", "reasons"]
    assert min(seconds.values()) > 0


def test_scorings_are_compared_by_customers_that_are_scored_once() -> None:
    ours = pl.LazyFrame({"id": [1, 2, 3, 4, 7], "decline_probability": [0.1, 0.2, 0.3, 0.9, 0.5]})
    theirs = pl.LazyFrame({"id": [1, 2, 3, 4, 4, 5, 6], "decline_probability": [0.1, 0.2, 0.4, 0.5, 0.6, 0.0, 0.0]})
    ours = ours.with_columns(in_training=False)
    found = compare(ours, theirs)
    assert found == {
        "both": 3,
        "only_ours": 2,
        "only_theirs": 3,
        "difference": pytest.approx(0.1),
        "correlation": pytest.approx(0.982, abs=1e-3),
    }


def test_probabilities_of_customers_of_training_are_not_compared() -> None:
    ours = pl.LazyFrame({"id": [1, 2], "decline_probability": [0.1, 0.2], "in_training": [False, True]})
    theirs = pl.LazyFrame({"id": [1, 2], "decline_probability": [0.1, 0.9]})
    assert compare(ours, theirs)["difference"] == 0.0


def test_the_matrix_is_of_the_customers_of_the_drop(small_drop: Path, limits: Limits) -> None:
    accepted = accept_drop(find_files(small_drop), labelled=False, limits=limits)
    customers, _ = split_customers(accepted.tables)
    assert_frame_equal(draw_features(300, seed=1), make_features(customers))


def test_the_boosted_artifact_is_whole_and_predicts_the_matrix(tmp_path: Path) -> None:
    write_boosted_artifact(tmp_path / "boosted", customers=300, seed=1)
    artifact = load_artifact(tmp_path / "boosted")
    assert artifact.model.kind == "boosted"
    write_matrix(tmp_path / "boosted", tmp_path / "matrix.npy", customers=300, seed=1)
    matrix = np.load(tmp_path / "matrix.npy")
    margins = artifact.model.booster.predict(matrix, raw_score=True)
    expected = artifact.model.probabilities(draw_features(300, seed=1)).to_numpy()
    np.testing.assert_allclose(1 / (1 + np.exp(-margins)), expected, rtol=1e-12)
