"""A run is the same to the byte, however it was cut, in memory or on disk, in whatever order and format it came."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from job.memory import MemoryPlan
from job.sample import write_drop
from job.scoring import pipeline
from job.scoring.pipeline import run_scoring
from job.settings import Campaign, ScoreSettings
from schemas.scored import MONEY_DECIMALS, PROBABILITY_DECIMALS, PROFIT_MONTHS

if TYPE_CHECKING:
    from pathlib import Path

    from job.models.artifact import Artifact

TABLES = ("scored.csv", "scored.parquet", "campaign.csv", "excluded.csv", "rejected.csv", "campaign.xlsx")
CUSTOMERS = 1000
TINY = MemoryPlan(
    block_bytes=4000, batch_rows=500, range_rows=1500, piece_bytes=9000, piece_rows=700, kept_bytes=0, run_bytes=1
)
SMALL = MemoryPlan(
    block_bytes=25_000,
    batch_rows=700,
    range_rows=3000,
    piece_bytes=60_000,
    piece_rows=1400,
    kept_bytes=70_000,
    run_bytes=17_000,
)


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dirty") / "drop"
    write_drop(folder, customers=CUSTOMERS, seed=3, labelled=True)
    return folder


def run(drop: Path, output: Path, plan: MemoryPlan, *, budget: float | None = 27.0) -> dict[str, Any]:
    """Score a drop with the given plan; return the bytes of the tables, and of the manifest what is not of the day."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "plan_memory", lambda _: plan)
        settings = ScoreSettings(campaign=Campaign(name="Осень", budget=budget), campaign_format="xlsx", no_report=True)
        outcome = run_scoring(drop, output, settings)
    manifest = json.loads((outcome.folder / "manifest.json").read_text(encoding="utf-8"))
    for name, file in manifest["outputs"].items():
        assert file["bytes"] == (outcome.folder / name).stat().st_size
    told = {key: manifest[key] for key in ("customers", "segments", "campaign", "report_data", "drift")}
    return {**{name: (outcome.folder / name).read_bytes() for name in TABLES}, **told, "rows": manifest["rows"]}


@pytest.fixture(scope="module")
def whole(drop: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(drop, tmp_path_factory.mktemp("whole"), MemoryPlan())


@pytest.mark.parametrize("plan", [TINY, SMALL], ids=["tiny", "small"])
def test_in_parts_as_at_once(plan: MemoryPlan, drop: Path, whole: dict[str, Any], tmp_path: Path) -> None:
    found = run(drop, tmp_path, plan)
    assert {name for name in whole if found[name] != whole[name]} == set()
    assert not list(tmp_path.glob("**/.*scratch*"))


def test_without_a_budget(drop: Path, tmp_path: Path) -> None:
    parts, whole = (run(drop, tmp_path / str(plan.kept_bytes), plan, budget=None) for plan in (TINY, MemoryPlan()))
    assert {name for name in whole if parts[name] != whole[name]} == set()


@pytest.mark.parametrize("table_format", ["csv", "parquet"])
def test_shuffled_rows_of_any_format(table_format: str, whole: dict[str, Any], tmp_path: Path) -> None:
    write_drop(tmp_path / "drop", customers=CUSTOMERS, seed=3, labelled=True, table_format=table_format, shuffled=True)
    found = run(tmp_path / "drop", tmp_path / "out", TINY)
    same = [name for name in TABLES if name not in {"rejected.csv", "campaign.xlsx"}]  # they name rows and files
    assert {name for name in same if found[name] != whole[name]} == set()


def test_whoever_reads_the_file_can_decide_again(drop: Path, artifact: Artifact, tmp_path: Path) -> None:
    run(drop, tmp_path, MemoryPlan())
    scored = pl.read_csv(tmp_path / "latest" / "scored.csv")
    risk, rows = pl.col("decline_probability"), scored.height
    again = scored.sort(-risk, "id").select(
        "id",
        risk.round(PROBABILITY_DECIMALS).alias("decline_probability"),
        (pl.int_range(pl.len()) * 10 // rows + 1).alias("risk_decile"),
        (risk * pl.col("monthly_profit") * PROFIT_MONTHS).round(MONEY_DECIMALS).alias("profit_at_risk"),
    )
    assert_frame_equal(again.sort("id"), scored.select(again.columns), check_exact=True)
    explained = scored.filter(pl.col("reason_1").is_not_null())
    assert 0 < explained.height < rows
    assert explained["decline_probability"].min() >= artifact.thresholds.risk  # type: ignore[operator] # a number
