"""Who was contacted: files of ids, and other runs of the same output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from job.campaign.results import Exposure
from job.campaign.run import find_exposure, load_run, read_contacted
from job.errors import SettingsError
from tests.campaign.runs import make_scored, publish

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "content",
    [
        b"7\n8\n9\n",
        b"id\r\n7\r\n8\r\n9\r\n",
        '\ufeffСегмент;id;Предложение\r\nА;7;Б\r\nА;8;Б\r\nА;"9";Б\r\n'.encode(),
        b"ID,sent\n7,1\n8,1\n\n9,1\n",
        "Сегмент;id\r\nА;7\r\nА;8\r\nА;9\r\n".encode("cp1251"),
    ],
)
def test_ids_in_any_table(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sent.csv").write_bytes(content)
    assert read_contacted(tmp_path / "sent.csv").to_list() == [7, 8, 9]


def test_nobody_was_contacted(tmp_path: Path) -> None:
    (tmp_path / "sent.csv").touch()
    assert read_contacted(tmp_path / "sent.csv").equals(pl.Series("id", [], pl.Int64))


def test_what_is_no_id_is_named(tmp_path: Path) -> None:
    (tmp_path / "sent.csv").write_text("id;mail\n7;x\nseven;x\n8.5;x\n;x\n99999999999999999999;x\n")
    with pytest.raises(SettingsError) as error:
        read_contacted(tmp_path / "sent.csv")
    assert error.value.problems == (
        "sent.csv, row 3, column «id»: found seven, expected a whole number",
        "sent.csv, row 4, column «id»: found 8.5, expected a whole number",
        "sent.csv, row 5, column «id»: found nothing, expected a whole number",
        "sent.csv, row 6, column «id»: found 99999999999999999999, expected a whole number",
    )
    with pytest.raises(SettingsError) as error:
        read_contacted(tmp_path / "nothing.csv")
    assert error.value.problems == (
        f"{tmp_path / 'nothing.csv'}: found No such file or directory, expected a file of ids",
    )


def run_name(name: str) -> str:
    return name.rjust(16, "0")


def test_control_customers_whom_other_runs_contacted_within_three_months(tmp_path: Path) -> None:
    scored = make_scored(40)
    control = scored.filter(pl.col("campaign_group") == "control")["id"].to_list()
    runs = tmp_path / "runs"

    def contact(name: str, ids: list[int], finished: str) -> Path:
        group = pl.when(pl.col("id").is_in(ids)).then(pl.lit("treatment")).otherwise(pl.lit("none"))
        return publish(runs / run_name(name), scored.with_columns(campaign_group=group), finished=finished)

    run = publish(runs / run_name("a1"), scored, finished="2026-07-01T05:00:00+00:00")
    contact("b2", control[:2], "2026-08-01T05:00:00+00:00")
    contact("c3", control[1:4], "2026-09-01T05:00:00+00:00")
    contact("d4", [1], "2026-09-02T05:00:00+00:00")
    contact("e5", control, "2026-06-01T05:00:00+00:00")  # before the run
    contact("f6", control, "2026-10-02T05:00:00+00:00")  # after the outcome
    altered = contact("a7", control, "2026-08-02T05:00:00+00:00") / "scored.parquet"
    altered.write_bytes(bytes(altered.stat().st_size))
    exposure = find_exposure(load_run(run))
    assert (exposure.customers, sorted(exposure.runs), exposure.unread) == (
        4,
        [run_name("b2"), run_name("c3")],
        (run_name("a7"),),
    )


def test_a_run_alone(tmp_path: Path) -> None:
    assert find_exposure(load_run(publish(tmp_path / "runs" / "a", make_scored(40)))) == Exposure(0)
