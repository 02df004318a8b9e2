"""Training at the edge of what it can use: each drop has a sensible outcome."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from job.errors import DropError
from job.models.artifact import load_artifact
from job.models.reference import read_reference
from job.models.seen import find_probability
from job.sample import make_tables, write_pieces
from job.settings import Arrival, Limits, TrainSettings
from job.training import importance, run
from job.training.run import read_labelled, run_training
from job.training.selection import Protocol

LABEL, PAGES, CATEGORY = "Покупательская активность", "Страниц_за_визит", "Популярная_категория"


CHOOSE_PROTOCOL = run.choose_protocol


@pytest.mark.parametrize(
    ("customers", "is_quick", "expected"),
    [
        (10_000, False, Protocol(trials=10, seed=1)),
        (10_001, False, Protocol(repeats=5, trials=10, seed=1)),
        (10_001, True, Protocol(repeats=2, trials=2, seed=1)),
    ],
)
def test_many_customers_need_fewer_repeats(customers: int, expected: Protocol, *, is_quick: bool) -> None:
    assert CHOOSE_PROTOCOL(TrainSettings(seed=1, is_quick=is_quick), customers) == expected


@pytest.fixture(scope="module", autouse=True)
def _few_splits() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        few = Protocol(folds=3, repeats=1, inner_folds=2, trials=1, seed=1)
        patch.setattr(run, "choose_protocol", lambda *_: few)
        patch.setattr(importance, "SHUFFLES", 1)
        yield


def write(folder: Path, customers: int, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Path:
    tables = make_tables(customers=customers, seed=4, labelled=True)
    tables["market_file"] = change(tables["market_file"])
    write_pieces(folder, iter([tables]), table_format="csv", shuffle_seed=None)
    return folder


def test_two_hundred_customers_a_constant_column_and_a_category_that_nobody_has(tmp_path: Path, limits: Limits) -> None:
    def change(table: pl.DataFrame) -> pl.DataFrame:
        category = pl.when(pl.col(CATEGORY) == "Кухонная посуда").then(pl.lit("Домашний текстиль"))
        return table.with_columns(
            pl.lit(3).cast(table.schema[PAGES]).alias(PAGES), category.otherwise(pl.col(CATEGORY)).alias(CATEGORY)
        )

    drop = write(tmp_path / "drop", 200, change)
    trained = run_training(drop, tmp_path / "artifact", TrainSettings(seed=1, is_quick=True), workers=1)
    assert trained.is_written
    artifact = load_artifact(tmp_path / "artifact")
    card = json.loads((tmp_path / "artifact" / "card.json").read_text())
    assert "kitchenware" not in [group["word"] for group in card["groups"]]
    assert {row["feature"]: row["loss"]["mean"] for row in card["importance"]}["pages_per_visit"] == 0
    assert card["roc_auc"]["high"] <= 1
    data = read_labelled(drop, limits=limits, arrival=Arrival())
    other = data.features.with_columns(
        pl.lit(9.0).alias("pages_per_visit"),
        pl.lit("kitchenware", data.features.schema["favourite_category"]).alias("favourite_category"),
    )
    for features in (data.features, other):
        assert find_probability(artifact, data.customers["id"], features)["decline_probability"].is_between(0, 1).all()


def test_where_two_in_a_hundred_decline_probabilities_are_small_and_groups_too_few(tmp_path: Path) -> None:
    def change(table: pl.DataFrame) -> pl.DataFrame:
        others = pl.col(CATEGORY) != "Кухонная посуда"
        declines = others & (others.cum_sum() % 40 == 7) & (others.cum_sum() <= 800)
        return table.with_columns(
            pl.when(declines).then(pl.lit("Снизилась")).otherwise(pl.lit("Прежний уровень")).alias(LABEL)
        )

    drop = write(tmp_path / "drop", 1000, change)
    assert run_training(drop, tmp_path / "artifact", TrainSettings(seed=1, is_quick=True), workers=1).is_written
    artifact = load_artifact(tmp_path / "artifact")
    assert artifact.thresholds.risk == pytest.approx(0.02)
    card = json.loads((tmp_path / "artifact" / "card.json").read_text())
    assert (card["customers"], card["declined"]) == (1000, 20)
    assert sum(rows * mean for mean, _, rows in card["calibration"]["bins"]) / 1000 == pytest.approx(0.02, abs=0.005)
    assert [group["word"] for group in card["groups"] if group["roc_auc"] is None] == ["kitchenware"]
    assert "| too few | - |" in (tmp_path / "artifact" / "card.md").read_text()
    reference = read_reference(artifact.manifest)
    assert reference is not None
    assert 0 < reference.roc_auc_error < 0.5


@pytest.mark.parametrize("word", ["Снизилась", "Прежний уровень"])
def test_of_one_label_nothing_can_be_learned(word: str, tmp_path: Path) -> None:
    drop = write(tmp_path / "drop", 200, lambda table: table.with_columns(pl.lit(word).alias(LABEL)))
    with pytest.raises(DropError) as caught:
        run_training(drop, tmp_path / "artifact", TrainSettings(seed=1), workers=1)
    assert caught.value.problems == (
        f"{drop}: found 200 labelled customers, 0 of the rarer label; expected at least 200 and 20",
    )
