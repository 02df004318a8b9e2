"""The command from end to end: table, files, exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from job.cli import main
from tests.campaign.runs import make_scored, publish

if TYPE_CHECKING:
    from collections.abc import Mapping

EFFECT_KEYS = [
    "treatment_customers",
    "control_customers",
    "treatment",
    "control",
    "raw",
    "difference",
    "low",
    "high",
    "standard_error",
    "p_value",
    "p_value_corrected",
    "detectable",
]
MEASURES = ["decline_rate", "revenue", "revenue_capped", "monthly_minutes", "monthly_profit_change"]


def call(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run under out/runs/abc and its outcome."""
    folder = tmp_path_factory.mktemp("circle")
    run = publish(folder / "out" / "runs" / "abc", make_scored(1200))
    done = call("sample", "--outcome-of", run, "--effect", "0.5", "--seed", "3", folder / "outcome")
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def result(base: Path) -> Result:
    return call("lift", "--run", base / "out" / "runs" / "abc", "--outcome", base / "outcome")


def test_table(base: Path, result: Result) -> None:
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    expected = (Path(__file__).parent / "lift.txt").read_text(encoding="utf-8")
    assert result.stdout == expected.replace("FOLDER", str(base / "out" / "lift" / "abc"))


def test_json_keys(base: Path, result: Result) -> None:
    assert result.exit_code == 0
    described = json.loads((base / "out" / "lift" / "abc" / "lift.json").read_text(encoding="utf-8"))
    assert list(described) == [
        "run_id",
        "product",
        "outcome",
        "methods",
        "verdict",
        "overall",
        "segments",
        "offers",
        "pairs",
        "vanishing",
        "sensitivity",
        "delivery",
        "exposure",
        "adjusted_for",
        "model",
        "revenue_cap",
        "new_customers",
        "notes",
    ]
    assert list(described["methods"]) == [
        "level",
        "power",
        "verdict",
        "adjusted",
        "raw_rates",
        "strata",
        "corrected",
        "delivery",
        "roc_auc",
        "profit_months",
    ]
    assert list(described["segments"]) == ["at_risk", "loyal"]
    check_comparison(described["overall"], MEASURES)
    for part in described["segments"].values():
        check_comparison(part, ["decline_rate", "monthly_profit_change"])
    assert [list(case) for case in described["sensitivity"]] == [
        ["case", "treatment", "control", "difference", "low", "high", "p_value", "net"]
    ] * 3
    assert list(described["model"]) == ["untreated", "all"]
    assert list(described["model"]["all"]) == [
        "customers",
        "declined",
        "predicted",
        "observed",
        "roc_auc",
        "roc_auc_low",
        "roc_auc_high",
        "brier",
        "calibration_error",
        "deciles",
    ]
    assert list(described["model"]["all"]["deciles"][0]) == [
        "decile",
        "customers",
        "predicted",
        "observed",
        "low",
        "high",
    ]


def check_comparison(part: Mapping[str, Mapping[str, object]], measures: list[str]) -> None:
    assert list(part) == ["groups", "effects", "worth"]
    assert list(part["groups"]) == ["treatment", "control", "none"]
    assert part["groups"]["none"].keys() == {"in_run", "found", "vanished", "unusable"}  # type: ignore[attr-defined]
    assert list(part["effects"]) == measures
    assert all(list(effect) == EFFECT_KEYS for effect in part["effects"].values())  # type: ignore[call-overload]
    assert list(part["worth"]) == ["incremental_profit", "low", "high", "offer_cost", "net", "net_low", "net_high"]


def test_page_is_self_contained_and_escaped(base: Path, result: Result) -> None:
    assert result.exit_code == 0
    page = (base / "out" / "lift" / "abc" / "lift.html").read_text(encoding="utf-8")
    assert page.startswith('<!DOCTYPE html>\n<html lang="ru">')
    assert "Верные &lt;и&gt; прибыльные" in page
    assert "Верные <и>" not in page
    assert re.findall(r"https?:|<script|src=|@import|url\(", page) == []
    assert """content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">""" in page
    assert "None" not in page
    assert "nan" not in page
    assert page.count('class="dot"') == 1 + 2 + 10
    assert "Кампания удержала клиентов" in page


def read_number(text: str) -> float:
    """Return a number as the page writes it."""
    found = re.search(r"[+\u2212]?[0-9][0-9\u00a0\u202f ]*(?:,[0-9]+)?", text)
    assert found is not None, text
    return float(re.sub(r"[\u00a0\u202f ]", "", found[0]).replace("\u2212", "-").replace(",", "."))


def read_table(page: str, title: str) -> dict[str, dict[str, str]]:
    """Return a section's table: first cell -> heading -> cell."""
    section = page.partition(f"<h2>{title}</h2>")[2].partition("</section>")[0]
    return {
        row.partition('<td class="head">')[2].partition("</td>")[0]: dict(
            re.findall(r'<td class="n" data-label="([^"]*)">([^<]*)</td>', row)
        )
        for row in re.findall(r"<tr>(<td.*?)</tr>", section)
    }


def test_every_headline_can_be_counted_from_what_stands_on_the_page(base: Path, result: Result) -> None:
    assert result.exit_code == 0
    page = (base / "out" / "lift" / "abc" / "lift.html").read_text(encoding="utf-8")
    tiles = dict(re.findall(r'<div class="tile"><span>([^<]*)</span><b>([^<]*)</b>', page))
    rates = read_table(page, "Все показатели")["Доля снизивших активность"]
    customers = read_table(page, "Клиенты")["Получили предложение"]
    kept = -read_number(rates["С поправкой"]) / 100 * read_number(customers["Найдены"])
    assert read_number(tiles["Удержано клиентов"]) == round(kept)
    assert tiles["Снизили активность"] == f"{rates['Предложение']} / {rates['Контроль']}"
    raw = read_number(rates["Предложение"]) - read_number(rates["Контроль"])
    assert read_number(rates["Разница"]) == pytest.approx(raw, abs=0.11)  # three rounded numbers

    money = read_table(page, "Деньги")
    for row in money.values():
        gained = read_number(row["На клиента в месяц"]) * read_number(row["Клиентов"]) * 3
        assert read_number(row["Прибыль сверх контроля"]) == pytest.approx(gained, abs=0.51)
        net = read_number(row["Прибыль сверх контроля"]) - read_number(row["Стоимость"])
        assert read_number(row["Чистый результат"]) == net
    assert tiles["Чистый результат за 3 месяца"] == money["Все сегменты"]["Чистый результат"]
    assert list(money) == ["Все сегменты", "Могут уйти", "Верные &lt;и&gt; прибыльные"]  # by priority

    weights = {name: read_number(row["Клиентов"]) for name, row in money.items()}
    segments = re.findall(r'<span class="name">([^<]*)</span><div class="track">.*?class="figures">([^<]*)<', page)
    differences = {name: read_number(text) for name, text in segments if name in weights}
    total = sum(weights[name] * difference for name, difference in differences.items() if name != "Все сегменты")
    assert differences["Все сегменты"] == pytest.approx(total / weights["Все сегменты"], abs=0.11)

    for row in read_table(page, "Предложения").values():
        prevented = 1 - read_number(row["Снизили"]) / read_number(row["Снизили бы без него"])
        assert read_number(row["Предотвратило снижений"]) == pytest.approx(100 * prevented, abs=0.3)


def test_numbers_of_a_column_are_written_in_one_way_and_no_share_is_above_all(base: Path, result: Result) -> None:
    assert result.exit_code == 0
    page = (base / "out" / "lift" / "abc" / "lift.html").read_text(encoding="utf-8")
    for title in ("Предложения", "Деньги", "Если учесть клиентов без исхода", "Как сработала модель"):
        table = read_table(page, title)
        for heading in next(iter(table.values())):
            cells = [row[heading] for row in table.values()]
            decimals = {len(digits) for cell in cells for digits in re.findall(r"\d(?:,(\d+))?(?![\d,])", cell)}
            assert len(decimals) <= 1, (title, heading, cells)
    rates = read_table(page, "Все показатели")
    for name, decimals in (("Доля снизивших активность", 1), ("Изменение прибыли в месяц", 2)):
        for heading in ("Предложение", "Контроль", "Разница", "С поправкой", "95 %-й интервал"):
            digits = re.findall(r"\d(?:,(\d+))?(?![\d,])", rates[name][heading])
            assert {len(own) for own in digits} == {decimals}, (name, heading, rates[name][heading])
    assert [share for share in re.findall(r"([\d,]+)\s%", page) if read_number(share) > 100] == []


def test_the_run_stays_as_it_is_and_a_second_comparison_changes_nothing(base: Path, result: Result) -> None:
    run, folder = base / "out" / "runs" / "abc", base / "out" / "lift" / "abc"
    before, stamp = contents(run), (folder / "lift.json").stat().st_mtime_ns
    again = call("lift", "--run", run, "--outcome", base / "outcome")
    assert (again.exit_code, again.stdout) == (0, result.stdout)
    assert (folder / "lift.json").stat().st_mtime_ns == stamp
    assert contents(run) == before
    assert sorted(path.name for path in folder.parent.iterdir()) == ["abc"]


def test_another_comparison_replaces_the_earlier_one(base: Path, tmp_path: Path) -> None:
    words = ("lift", "--run", base / "out" / "runs" / "abc", "--outcome", base / "outcome", "--output", tmp_path / "to")
    assert call(*words).exit_code == 0
    first = contents(tmp_path / "to")
    (tmp_path / "sent.txt").write_text("7\n")
    assert call(*words, "--contacted", tmp_path / "sent.txt").exit_code == 0
    second = contents(tmp_path / "to")
    assert sorted(first) == sorted(second) == ["lift.html", "lift.json"]
    assert first["lift.json"] != second["lift.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sent.txt", "to"]


def test_a_folder_with_other_things_is_not_touched(base: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    run = base / "out" / "runs" / "abc"
    refused = call("lift", "--run", run, "--outcome", base / "outcome", "--output", tmp_path)
    assert (refused.exit_code, refused.stderr) == (
        5,
        f"{tmp_path}: found mine.txt, expected a new folder or an earlier comparison\n",
    )
    (tmp_path / "mine.txt").rename(tmp_path / "file")
    refused = call("lift", "--run", run, "--outcome", base / "outcome", "--output", tmp_path / "file" / "in")
    assert (refused.exit_code, refused.stderr) == (
        5,
        f"{tmp_path / 'file' / 'in'}: found Not a directory, expected a folder that can be written\n",
    )


def test_output_in_the_run_is_refused(base: Path) -> None:
    run = base / "out" / "runs" / "abc"
    refused = call("lift", "--run", run, "--outcome", base / "outcome", "--output", run / "lift")
    assert (refused.exit_code, refused.stderr) == (
        2,
        f"--output: found {run / 'lift'}, expected a folder outside the run, which stays as published\n",
    )


def test_no_run_altered_run_and_no_outcome(base: Path, tmp_path: Path) -> None:
    refused = call("lift", "--run", tmp_path, "--outcome", base / "outcome")
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    run = publish(tmp_path / "out" / "runs" / "abc", make_scored())
    with (run / "scored.parquet").open("ab") as stream:
        stream.write(b"more")
    refused = call("lift", "--run", run, "--outcome", base / "outcome")
    assert (refused.exit_code, refused.stderr.count("\n")) == (4, 1)
    refused = call("lift", "--run", base / "out" / "runs" / "abc", "--outcome", tmp_path / "nowhere")
    assert refused.exit_code in {2, 6}
    assert not (tmp_path / "out" / "lift").exists()


def test_the_scored_drop_is_not_its_outcome(base: Path, tmp_path: Path) -> None:
    import hashlib  # noqa: PLC0415

    digest = hashlib.sha256((base / "outcome" / "money.csv").read_bytes()).hexdigest()
    run = publish(tmp_path / "out" / "runs" / "abc", make_scored(), inputs=[{"sha256": digest}])
    refused = call("lift", "--run", run, "--outcome", base / "outcome")
    assert (refused.exit_code, refused.stderr) == (
        2,
        f"{base / 'outcome'}: found the drop that the run scored (the same money.csv), "
        "expected a drop of three months later\n",
    )


def test_outcome_of_other_customers(base: Path, tmp_path: Path) -> None:
    run = publish(tmp_path / "out" / "runs" / "abc", make_scored(50, first_id=90_000))
    refused = call("lift", "--run", run, "--outcome", base / "outcome")
    assert (refused.exit_code, refused.stderr) == (
        3,
        "market_file, column «id»: found none of them, expected some of the 50 customers of run abc\n",
    )


def test_outcome_without_labels(base: Path, tmp_path: Path) -> None:
    assert call("sample", "--customers", 50, "--seed", 1, tmp_path / "drop").exit_code == 0
    refused = call("lift", "--run", base / "out" / "runs" / "abc", "--outcome", tmp_path / "drop")
    assert (refused.exit_code, refused.stderr) == (
        3,
        "market_file.csv, column «Покупательская активность»: found none, expected a column with this heading\n",
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--customers", "5", "--outcome-of", "run"],
            "--customers and --outcome-of do not go together: the run says who the customers are\n",
        ),
        (
            ["--customers", "5", "--effect", "0.2"],
            "--effect needs --outcome-of RUN: it says what became of that run's customers\n",
        ),
        (
            ["--customers", "5", "--months", "1", "--unlabelled", "--labelled"],
            "--months needs --outcome-of RUN: it says what became of that run's customers\n"
            "--unlabelled needs --outcome-of RUN: it says what became of that run's customers\n"
            "--labelled and --unlabelled do not go together\n",
        ),
        ([], "one of --customers N and --outcome-of RUN is needed\n"),
    ],
)
def test_options_of_sample_that_do_not_go_together(tmp_path: Path, words: list[str], line: str) -> None:
    refused = call("sample", *words, "--seed", 1, tmp_path / "drop")
    assert (refused.exit_code, refused.stderr) == (2, line)
    assert not (tmp_path / "drop").exists()
