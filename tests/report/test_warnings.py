"""Warnings in Russian: those that the job really writes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import polars as pl

from job.intake.drop import wait_for_files
from job.intake.reconcile import MOST_REPAIRS, accept_drop
from job.intake.reconcile import _most_frequent as most_frequent
from job.levels import Levels
from job.report.warnings import PATTERNS, translate_warnings
from job.sample import write_drop
from job.scoring.changes import TITLES, tell_changes
from job.scoring.effects import read_lifts
from job.scoring.manifest import count_segments, describe_segments, segment_warnings
from job.scoring.past import read_held
from job.scoring.pipeline import write_page
from job.scoring.segments import load_segmentation
from job.settings import Arrival, Limits
from schemas.manifest import Change, Manifest
from schemas.vocabulary import PERIODS_OF_REVENUE
from tests.manifests import make_manifest
from tests.scoring.test_workbook import SCORED


def test_each_line_that_the_job_writes_is_told_in_russian() -> None:
    segments = describe_segments(
        count_segments(SCORED, SCORED["campaign_group"]), load_segmentation(), previous={"top_risk": 0.1}
    )
    shifts = segment_warnings(segments, customers=5000, previous_customers=5000, limit=1.5)
    change: Change = {"measure": "mean_risk", "before": 0.25, "now": 0.5, "change": 1.0, "is_beyond": True}
    count: Change = {"measure": "customers", "before": 1300, "now": 650, "change": -0.5, "is_beyond": True}
    training = {"current_month": 5000.0, "previous_month": 4900.0, "month_before_previous": 4800.0}
    here = {**training, "previous_month": 500000.0}
    lines = [
        *shifts,
        *tell_changes([change, count], "0123456789abcdef"),
        *Levels(here, training).findings(),
        "money.csv, row 1301: the last line has no line end; nothing else seems cut",
        "the control group of run 0123456789abcdef is not held back: scored.parquet is not as published",
        "drift, warn: revenue_change has PSI 0.3",
        "nobody knows this line",
    ]
    assert translate_warnings(lines)[-6:] == [
        "Средний риск: 50,0\u00a0%, в прошлом прогоне 25,0\u00a0%",
        "Клиентов в выгрузке: 650, в прошлом прогоне 1\u00a0300",
        "Выручка за прошлый месяц: половина клиентов потратила не меньше 500\u00a0000, при обучении 4\u00a0900. "
        "Другая валюта, другие единицы или испорченная выгрузка?",
        "money.csv: последняя строка (1301) не закончена; похоже, больше ничего не обрезано",
        "Контрольная группа прогона 0123456789abcdef не учтена: его файл изменён или не читается. Ей могли написать",
        "nobody knows this line",
    ]
    assert "В сегменте «Прибыльные, риск повышен» никого нет" in translate_warnings(lines)
    assert "В сегменте «Самый высокий риск» 60,0\u00a0% клиентов, в прошлом прогоне было 10,0\u00a0%" in (
        translate_warnings(lines)
    )


def lines_of_the_past(folder: Path) -> list[str]:
    """Return what is told of lifts and control groups that cannot be read."""
    (folder / "lift" / "0123456789abcdef").mkdir(parents=True)
    (folder / "lift" / "0123456789abcdef" / "lift.json").write_text("{")
    gone = folder / "runs" / "fedcba9876543210"
    held = read_held([(gone, cast("Manifest", make_manifest()))])[2]
    return [*read_lifts(folder)[1], *held]


def lines_of_the_job(folder: Path) -> list[str]:
    """Return a warning of every kind that a manifest can hold, each from what writes it."""
    segments = describe_segments(
        count_segments(SCORED, SCORED["campaign_group"]), load_segmentation(), previous={"top_risk": 0.1}
    )
    ends = []
    for name in ("whole", "cut"):
        drop = folder / name
        write_drop(drop, customers=300, seed=1, labelled=False, clean=True)
        path = drop / "money.csv"
        lines = path.read_bytes().splitlines()
        lines[-1] = lines[-1] if name == "whole" else lines[-1].split(b";")[0]
        path.write_bytes(b"\r\n".join(lines))
        files = wait_for_files(drop, Arrival())
        ends += accept_drop(files, labelled=False, limits=Limits()).warnings
    spellings = pl.DataFrame({"rows": [1] * (MOST_REPAIRS + 1)})
    measures: list[Change] = [
        {"measure": name, "before": 0.5, "now": 0.25, "change": -0.5, "is_beyond": True} for name in TITLES
    ]
    levels = dict.fromkeys(PERIODS_OF_REVENUE, 5000.0)
    page = folder / "page"
    page.mkdir()
    return [
        *ends,
        *most_frequent(spellings)[1],
        *lines_of_the_past(folder / "out"),
        *segment_warnings(segments, customers=5000, previous_customers=5000, limit=1.5),
        *tell_changes(measures, "0123456789abcdef"),
        *Levels(dict.fromkeys(levels, 1000000.0), levels).findings(),
        *write_page(page, cast("Manifest", {})),
    ]


def test_every_kind_of_warning_has_russian_words(tmp_path: Path) -> None:
    lines = lines_of_the_job(tmp_path)
    assert {pattern for pattern in PATTERNS if not any(re.fullmatch(pattern, line) for line in lines)} == set()
    for line, said in zip(lines, translate_warnings(lines), strict=True):
        assert said != line
        words = re.findall(r"[A-Za-z]{3,}", re.sub(r"\w+\.csv|[0-9a-f]{16}", "", said))
        assert words == [], (line, said)
