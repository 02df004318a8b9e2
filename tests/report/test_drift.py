from __future__ import annotations

import copy
import re
from typing import Any

import polars as pl
import pytest

from job.models.artifact import Artifact
from job.models.reference import SCORE, STEPS, read_reference
from job.report.drift import describe_drift
from job.report.page import build_page
from job.scoring.drift import judge_drift

SPACE = "\u00a0"


@pytest.fixture(scope="module")
def counts(artifact: Artifact) -> pl.DataFrame:
    """As many customers in each bin as in training."""
    reference = read_reference(artifact.manifest)
    assert reference is not None
    rows = [(bins.name, place, count) for bins in reference.features for place, count in enumerate(bins.counts)]
    steps = [*map(int, reference.score.edges), STEPS]
    rows += [(SCORE, step, count) for step, count in zip(steps, reference.score.counts, strict=True)]
    return pl.DataFrame(rows, schema={"feature": pl.String, "bin": pl.Int32, "rows": pl.Int64}, orient="row")


def judged(artifact: Artifact, counts: pl.DataFrame, **settings: Any) -> dict[str, Any]:
    reference = read_reference(artifact.manifest)
    assert reference is not None
    told = {"delivered": 1_300, "measured": artifact.manifest["roc_auc"], **settings}
    return judge_drift(counts, reference, **told)


def moved(counts: pl.DataFrame, feature: str, source: int, target: int) -> pl.DataFrame:
    """Move all customers of one bin of a feature to another."""
    return counts.with_columns(
        pl.when(pl.col("feature") == feature).then(pl.col("bin").replace(source, target)).otherwise("bin").alias("bin")
    )


def findings(drift: dict[str, Any]) -> list[tuple[bool, str]]:
    shown = describe_drift(drift)
    assert shown is not None
    found: list[tuple[bool, str]] = shown["findings"]
    return found


def test_a_run_without_drift_has_nothing_to_say() -> None:
    assert describe_drift(None) is None


def test_a_number_that_moved_is_told_with_its_way_and_what_chance_does(
    artifact: Artifact, counts: pl.DataFrame
) -> None:
    drift = judged(artifact, moved(counts, "registered_days", 0, 9))
    assert findings(drift) == [(True, "Дней с регистрации: выше, чем при обучении, PSI 0,62 (случайно бывает до 0,06)")]
    lower = judged(artifact, moved(counts, "registered_days", 9, 0))
    assert findings(lower) == [(True, "Дней с регистрации: ниже, чем при обучении, PSI 0,62 (случайно бывает до 0,06)")]


def test_other_scores_are_told(artifact: Artifact, counts: pl.DataFrame) -> None:
    low = counts.with_columns(
        pl.when(pl.col("feature") == SCORE).then(pl.col("bin") // 2).otherwise("bin").cast(pl.Int32).alias("bin")
    )
    assert [line.split(" PSI")[0] for _, line in findings(judged(artifact, low))] == [
        "Оценка риска: ниже, чем при обучении,"
    ]


def test_words_gone_new_and_unknown_are_told(artifact: Artifact, counts: pl.DataFrame) -> None:
    gone = judged(artifact, moved(counts, "favourite_category", 5, 0))
    assert findings(gone)[-1] == (
        False,
        f"Любимая категория: ни у одного клиента нет значения «Кухонная посуда», при обучении оно было у 10,6{SPACE}%",
    )
    unknown = judged(artifact, moved(counts, "favourite_category", 5, -1))
    assert (
        True,
        f"Любимая категория: у 10,6{SPACE}% клиентов значения нет или модель его не знает. "
        f"При обучении таких было 0{SPACE}%",
    ) in findings(unknown)
    new = copy.deepcopy(gone)
    new["findings"] = [{**gone["findings"][-1], "kind": "word_new", "share": 0.106}]
    assert findings(new) == [
        (
            False,
            f"Любимая категория: значение «Кухонная посуда» у 10,6{SPACE}% клиентов, "
            "при обучении его не было ни у кого",
        )
    ]


def test_customers_that_cannot_be_scored_are_told(artifact: Artifact, counts: pl.DataFrame) -> None:
    assert findings(judged(artifact, counts, delivered=1_500)) == [
        (
            True,
            f"Нельзя оценить 13,5{SPACE}% клиентов выгрузки: части данных нет или она негодна. "
            f"При обучении таких было 0,2{SPACE}%",
        )
    ]


def test_medians_are_those_of_the_bins(artifact: Artifact, counts: pl.DataFrame) -> None:
    shown = describe_drift(judged(artifact, counts))
    assert shown is not None
    rows = {row[0]: row for row in shown["rows"]}
    assert len(rows) == 18
    assert rows["Дней с регистрации"] == ("Дней с регистрации", False, "607", "607", "0,00", "0,06")
    assert rows["Тип сервиса"][2:4] == ("—", "—")
    assert rows["Контакты, текущий месяц"][2:4] == ("4", "4")  # a value that occurs
    assert rows["Контакты за 6 месяцев, среднее"][2:4] == ("4,2", "4,2")
    days = counts.filter(pl.col("feature") != "registered_days")
    for place, said in ((0, "до 250"), (9, "от 942")):
        one = pl.DataFrame([("registered_days", place, 1_297)], schema=counts.schema, orient="row")
        shown = describe_drift(judged(artifact, pl.concat([days, one])))
        assert shown is not None
        assert shown["rows"][2][1:4] == (True, said, "607")


def test_what_is_beyond_chance_but_small_is_counted(artifact: Artifact, counts: pl.DataFrame) -> None:
    many = counts.with_columns(pl.col("rows") * 1_000)
    drift = judged(artifact, moved(many, "service_errors", 7, 6), delivered=1_300_000, warn=99, stop=99)
    shown = describe_drift(drift)
    assert shown is not None
    assert shown["small"] == f"1{SPACE}признака"
    same = describe_drift(judged(artifact, many, delivered=1_300_000))
    assert same is not None
    assert same["small"] is None


def section(manifest: dict[str, Any], drift: dict[str, Any] | None) -> str:
    page = build_page({**manifest, "drift": drift})
    found = re.search(r"<h2>Чем эта выгрузка отличается.*?</section>", page, flags=re.DOTALL)
    assert found is not None
    return found.group()


def test_the_page_says_that_a_person_must_look(
    manifest: dict[str, Any], artifact: Artifact, counts: pl.DataFrame
) -> None:
    text = section(manifest, judged(artifact, moved(counts, "registered_days", 0, 9)))
    assert "Перед рассылкой пусть посмотрит аналитик" in text
    assert "<li><b>Дней с регистрации: выше, чем при обучении, PSI 0,62" in text
    assert "<div>Дней с регистрации<span>" in text
    assert "измерено было 0,920" in text


def test_the_page_warns(manifest: dict[str, Any], artifact: Artifact, counts: pl.DataFrame) -> None:
    text = section(manifest, judged(artifact, moved(counts, "registered_days", 0, 9), stop=99))
    assert "Есть отличия больше случайных: прогнозу стоит верить осторожнее." in text
    assert "Перед рассылкой" not in text


def test_the_page_says_that_nothing_differs(manifest: dict[str, Any], artifact: Artifact, counts: pl.DataFrame) -> None:
    text = section(manifest, judged(artifact, counts))
    assert "Отличий, которые больше случайных и заметны (PSI от 0,1), нет" in text
    assert "похожи на 1\u00a0297 обучающих" in text


def test_the_page_does_without_an_estimate_and_without_a_measured_figure(
    manifest: dict[str, Any], artifact: Artifact, counts: pl.DataFrame
) -> None:
    text = section(manifest, judged(artifact, counts, measured=None))
    assert "без меток можно только прикинуть" in text
    assert "измерено было" not in text
    assert "прикинуть" not in section(manifest, {**judged(artifact, counts), "roc_auc": None})


def test_the_page_says_that_there_is_no_comparison(manifest: dict[str, Any]) -> None:
    text = section(manifest, None)
    assert "Сравнения нет: артефакт модели не хранит подсчётов обучающих клиентов." in text
    assert "<svg" not in text
    assert "bars" not in text
