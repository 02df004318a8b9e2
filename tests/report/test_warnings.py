"""Warnings in Russian: those that the job really writes."""

from __future__ import annotations

from job.levels import Levels
from job.report.warnings import translate_warnings
from job.scoring.changes import tell_changes
from job.scoring.manifest import count_segments, describe_segments, segment_warnings
from job.scoring.segments import load_segmentation
from schemas.manifest import Change
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
