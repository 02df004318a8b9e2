"""Whom a segments file would take of a run: with the run's own file, whom it took."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from job.cli import main
from job.sample import write_drop
from job.scoring.segments import DEFAULT_FILE
from tests.faults.processes import UNMOVED


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preview")
    write_drop(folder / "drop", customers=500, seed=8, labelled=False)
    common = ("--no-report", "--format", "csv", *UNMOVED)
    assert call("score", "--input", folder / "drop", "--output", folder / "out", *common).exit_code == 0
    return folder / "out" / "latest"


def test_the_own_file_of_a_run_takes_whom_it_took(run: Path) -> None:
    result = call("segments", DEFAULT_FILE, "--run", run, "--json")
    assert result.exit_code == 0, result.output
    manifest = json.loads((run / "manifest.json").read_bytes())
    expected = {row["segment"]: row for row in manifest["segments"]}
    preview = json.loads(result.stdout)["preview"]
    assert {row["segment"] for row in preview} == set(expected)
    for row in preview:
        published = expected[row["segment"]]
        assert row["customers"] == row["customers_before"] == published["customers"]
        assert (row["contacts"], row["control"]) == (published["treatment"], published["control"])
        assert (row["cost"], row["expected_value"]) == (published["cost"], published["expected_value"])


def test_what_moved_is_shown_in_russian(run: Path, tmp_path: Path) -> None:
    text = DEFAULT_FILE.read_text(encoding="utf-8").replace("risk_decile = 1", "risk_decile <= 2")
    (tmp_path / "my.toml").write_text(text, encoding="utf-8")
    lines = call("segments", tmp_path / "my.toml", "--run", run).stdout.splitlines()
    assert lines[0] == "Файл my.toml в порядке: сегментов 8."
    [top] = [line.split() for line in lines if "Самый высокий риск" in line]
    assert top[4].startswith("+")
    alone = call("segments", tmp_path / "my.toml").stdout
    assert "risk_decile <= 2" in alone


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


@pytest.mark.parametrize(
    ("written", "instead", "message"),
    [
        ("cost = 0.5", "cost = 0,5", ": найдено cost = 0,5; нужно: в числе точка, а не запятая. Правильно: cost = 0.5"),
        (
            'title = "Прибыльные, риск повышен"',
            "title = «Прибыльные»  # новое",
            ': найдено title = «Прибыльные»  # новое; нужно: текст в прямых кавычках "…". '
            'Правильно: title = "Прибыльные"',
        ),
        (
            '"high_risk AND high_profit"',
            '"высокий_риск AND high_profit"',
            ", сегмент «high_risk_high_profit», condition: найдено высокий_риск; нужно: имена столбцов латиницей, "
            "числа, слова в одинарных кавычках, сравнения, + - * /, AND, OR, NOT, IN, BETWEEN. "
            'Правильно: condition = "high_risk AND high_profit"',
        ),
        (
            '"high_risk AND high_profit"',
            '"promo_share > 50"',
            ", сегмент «high_risk_high_profit», condition: найдено promo_share рядом с 50; нужно: доля от 0 до 1, а не "
            'проценты. Правильно: condition = "promo_share > 0.5"',
        ),
        (
            "effect = 0.3",
            "effekt = 0.3",
            ": найдено effekt; нужно: одно из имён channel, code, ",
        ),
        (
            "effect = 0.3",
            "effect = 30",
            ", effect: найдено 30; нужно: число от 0 до 1. Правильно: effect = 0.25",
        ),
    ],
)
def test_where_people_go_wrong_is_told_in_russian(written: str, instead: str, message: str, tmp_path: Path) -> None:
    text = DEFAULT_FILE.read_text(encoding="utf-8").replace(written, instead, 1)
    (tmp_path / "my.toml").write_text(text, encoding="utf-8")
    result = call("segments", tmp_path / "my.toml")
    assert result.exit_code == 2
    first = result.stderr.splitlines()[0]
    assert first.startswith(f"my.toml, строка {line_of(text, instead)}")
    assert message in first


def test_all_mistakes_are_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = DEFAULT_FILE.read_text(encoding="utf-8")
    for written, instead in (
        ("cost = 0.5", "cost = 0,5"),
        ("discount = 0.05", "discount = 5"),
        ('text = "Программа лояльности: накопительные бонусы вместо новой скидки"', "text = “Бонусы”"),
        ("priority = 3", "priority = 2"),
        ('channel = "sms"', 'channel = "смс"'),
        ('"high_risk"', '"высокий_риск"'),
        ('"true"\n', '"high_risk"\n'),
    ):
        assert written in text
        text = text.replace(written, instead, 1)
    (tmp_path / "my.toml").write_text(text, encoding="utf-8")
    lines = call("segments", tmp_path / "my.toml").stderr.splitlines()
    marks = [
        "cost = 0,5",
        "discount = 5",
        "text = “Бонусы”",
        'priority = 2\ncondition = "risk_decile = 1"',
        'channel = "смс"',
        'condition = "высокий_риск"',
        'condition = "high_risk"\n[segment.offer]\ncode = "onsite_selection"',
    ]
    assert [re.match(r"my.toml, строка (\d+)", line)[1] for line in lines] == [  # type: ignore[index]
        str(line_of(text, mark)) for mark in marks
    ]
    assert lines[3] == (
        f"my.toml, строка {line_of(text, marks[3])}, приоритет 2: найдено сегментов с ним: 2 (high_risk_high_promo, "
        "top_risk); нужно: у каждого сегмента свой приоритет: он решает, куда попадёт клиент, подходящий нескольким. "
        "Правильно: priority = 9"
    )
    english = call("score", "--input", tmp_path, "--output", tmp_path / "out", "--segments", tmp_path / "my.toml")
    assert len(english.stderr.splitlines()) == len(lines)
    assert not re.search(r"найдено|нужно", english.stderr)


def test_what_is_no_line_of_the_file_is_told_with_those_before_it(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("profit_lost = 0,5\n[[segment]\n", encoding="utf-8")
    result = call("segments", tmp_path / "my.toml", "--json")
    assert json.loads(result.stdout)["problems"] == [
        "my.toml, строка 1: найдено profit_lost = 0,5; нужно: в числе точка, а не запятая. "
        "Правильно: profit_lost = 0.5",
        "my.toml, строка 2: найдено [[segment]; нужно: строка вида имя = значение: у чисел точка, тексты в прямых "
        'кавычках "…". Правильно: title = "Прибыльные"',
    ]
    assert call("segments", tmp_path / "none.toml").stderr.endswith(
        "none.toml: найдено пустое место: файла нет; нужно: файл сегментов, который можно прочитать\n"
    )


def test_a_run_without_its_drop(run: Path, tmp_path: Path) -> None:
    drop = Path(json.loads((run / "manifest.json").read_bytes())["drop"])
    moved = drop.rename(drop.with_name("moved"))
    try:
        result = call("segments", DEFAULT_FILE, "--run", run)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"{drop}: found ")
    finally:
        moved.rename(drop)
    missing = call("segments", DEFAULT_FILE, "--run", tmp_path)
    assert (missing.exit_code, missing.stderr) == (
        2,
        f"--run: found {tmp_path}, expected a published run (OUT/runs/ID)\n",
    )
