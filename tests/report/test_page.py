from __future__ import annotations

import copy
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from job.cli import main
from job.models.artifact import default_folder, load_artifact
from job.report.formats import count, number, percent
from job.report.html import OF_CLIENTS
from job.report.page import build_page, write_report
from schemas.features import NUMERIC_FEATURES, title_of, word_title
from tests.manifests import make_manifest, make_report_data

CHARTS = 6 + len(NUMERIC_FEATURES)


class Tags(HTMLParser):
    """Every element with its attributes; every text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_nothing_is_loaded_and_nothing_runs(page: str) -> None:
    tags = Tags(page)
    links = [
        value
        for _, attributes in tags.elements
        for name, value in attributes.items()
        if name in {"src", "href", "xlink:href", "action", "data", "poster", "srcset"}
    ]
    assert links == ["data:,"]
    assert {tag for tag, _ in tags.elements} & {"script", "iframe", "object", "embed", "img", "base"} == set()
    assert not [name for _, attributes in tags.elements for name in attributes if name.startswith("on")]
    assert "@import" not in page
    assert set(re.findall(r"url\([^)#]", page)) == set()
    policy = [own["content"] for tag, own in tags.elements if tag == "meta" and "http-equiv" in own]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_every_id_occurs_once(page: str) -> None:
    ids = [own["id"] for _, own in Tags(page).elements if "id" in own]
    assert len(ids) == len(set(ids))


def test_charts_are_drawn_and_described(page: str) -> None:
    charts = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(charts) == CHARTS
    for chart in charts:
        assert 'role="img" aria-label="' in chart
        assert re.search(r"<(rect|circle|path) ", chart)


def test_bars_are_as_long_as_what_they_show(manifest: dict[str, Any], page: str) -> None:
    data, titles = manifest["report_data"], {row["segment"]: row["title"] for row in manifest["segments"]}
    rows = [(f"{place}. {titles[row['segment']]}", row) for place, row in enumerate(data["segments"], start=1)]
    bars = re.findall(r"<div>([^<]+)<span>(.*?)<em>([^<]*)</em></span></div>", page)
    for title, row in rows:
        at_risk, contacts = ((parts, text) for name, parts, text in bars if name == title)
        [(colour, length)] = re.findall(r'<i class="(\w+)" style="width:([\d.]+)%">', at_risk[0])
        assert colour == ("red" if row["mean_risk"] >= data["thresholds"]["risk"] else "blue")
        assert float(length) == pytest.approx(75 * row["profit_at_risk"] / rows[0][1]["profit_at_risk"], abs=0.01)
        lengths = [float(part) for part in re.findall(r"width:([\d.]+)%", contacts[0])]
        assert sum(lengths) == pytest.approx(
            75 * row["customers"] / max(each["customers"] for _, each in rows), abs=0.03
        )
        assert contacts[1] == f"{number(row['treatment'])} из {number(row['customers'])}"


def test_cells_of_features_and_segments_are_shaded_by_their_contributions(manifest: dict[str, Any], page: str) -> None:
    drivers = manifest["report_data"]["drivers"]
    segments = [drivers["segments"][row["segment"]] for row in manifest["report_data"]["segments"]]
    shown = list(drivers["overall"])[:10]
    most = max(abs(means[name]) for means in segments for name in shown)
    for name in shown:
        cells = re.findall(rf"<tr><td>{title_of(name)}</td>(.*?)</tr>", page, flags=re.DOTALL)[0]
        shades = [(red, float(part)) for red, part in re.findall(r"rgba\((\d+),\d+,\d+,([\d.]+)\)", cells)]
        expected = [("213" if means[name] > 0 else "0", abs(means[name]) / most) for means in segments]
        assert [red for red, _ in shades] == [red for red, _ in expected]
        assert [part for _, part in shades] == pytest.approx([part for _, part in expected], abs=0.006)


def test_marketing_reads_titles_offers_and_sums(manifest: dict[str, Any], page: str) -> None:
    text = Tags(page).text
    for row in manifest["segments"]:
        if row["customers"]:
            assert row["title"] in text
            assert all(offer["offer_text"] in text for offer in row["offers"])
    assert f"В рассылке {manifest['campaign']['contacts']}\u00a0клиент" in text
    assert "(кампания «осень»)" in text
    assert manifest["run_id"] in text


def test_who_was_taken_by_earlier_segments_is_what_the_scored_customers_show(
    run_folder: Path, small_drop: Path, page: str
) -> None:
    scored = pl.read_csv(run_folder / "scored.csv")
    top = scored.filter(pl.col("risk_decile") == 1)["segment"].value_counts()
    taken = dict(top.iter_rows())
    offers = ", ".join(
        f"«{title}» ({number(taken[code])})"
        for code, title in (
            ("high_risk_high_profit", "Прибыльные, риск повышен"),
            ("high_risk_high_promo", "Ждут акций, риск повышен"),
        )
        if code in taken
    )
    assert (
        f"«Самый высокий риск» берёт {number(taken.get('top_risk', 0))} из {count(top['count'].sum(), *OF_CLIENTS)}, "
        f"которые ему подходят; остальных раньше взяли {offers}."
    ) in page
    market = pl.read_csv(small_drop / "market_file.csv", infer_schema=False)
    beauty = market.filter(pl.col("Популярная_категория").str.contains("Косметика|красоты")).select(
        pl.col("id").cast(pl.Int64, strict=False)
    )
    at_risk = scored.filter(pl.col("decline_probability") >= load_artifact(default_folder()).thresholds.risk)
    known = at_risk.join(beauty.unique(), on="id", how="semi")
    own = known.filter(pl.col("segment") == "high_risk_beauty").height
    assert f"«Красота, риск повышен» берёт {own} из {count(known.height, *OF_CLIENTS)}, которые ему подходят;" in page


def test_the_same_manifest_gives_the_same_bytes(manifest: dict[str, Any], page: str) -> None:
    assert build_page(manifest) == page


def test_what_a_segments_file_says_is_escaped(manifest: dict[str, Any]) -> None:
    hostile = copy.deepcopy(manifest)
    for row in hostile["segments"]:
        row["title"] = row["offers"][0]["offer_text"] = "<script>alert(1)</script>"
    hostile["warnings"] = ["<img src=x onerror=alert(1)>"]
    page = build_page(hostile)
    assert {tag for tag, _ in Tags(page).elements} & {"script", "img"} == set()
    assert "&lt;img src=x" in page


def test_an_artifact_without_card_is_told(manifest: dict[str, Any]) -> None:
    bare = copy.deepcopy(manifest)
    bare["report_data"]["card"] = None
    text = Tags(build_page(bare)).text
    assert "Карточки модели в артефакте нет." in text


def test_a_group_too_small_for_a_roc_auc_is_shown_as_such(manifest: dict[str, Any]) -> None:
    small = copy.deepcopy(manifest)
    small["report_data"]["card"]["groups"][0] |= {"roc_auc": None, "low": None, "high": None}
    assert '<td class="n">мало</td>' in build_page(small)


def test_the_words_of_a_category_are_told_with_their_rates(manifest: dict[str, Any]) -> None:
    distributions = manifest["report_data"]["distributions"]
    rows = [row for row in distributions["words"] if row["feature"] == "favourite_category"]
    highest, lowest = (pick(rows, key=lambda row: row["rate"]) for pick in (max, min))
    said = (
        f"Любимая категория: средний риск больше всего у «{word_title(highest['word'])}» — {percent(highest['rate'])}, "
        f"меньше всего у «{word_title(lowest['word'])}» — {percent(lowest['rate'])}; "
        f"у всех — {percent(distributions['base_rate'])}."
    )
    assert said in Tags(build_page(manifest)).text


@pytest.mark.parametrize(
    ("high", "said"),
    [(1, "У 1 клиента риск высокий"), (492, "У 492 клиентов риск высокий"), (501, "У 501 клиента риск высокий")],
)
def test_nouns_agree_with_their_numbers(manifest: dict[str, Any], high: int, said: str) -> None:
    changed = copy.deepcopy(manifest)
    changed["report_data"]["risk"]["high"] = high
    text = Tags(build_page(changed)).text.replace("\u00a0", " ")
    assert said in text
    assert "Обучена на 1 297 клиентах" in text


def test_a_sample_is_told(manifest: dict[str, Any]) -> None:
    sampled = copy.deepcopy(manifest)
    sampled["report_data"]["sample"] = {"customers": 100_000, "seed": 7}
    assert "по случайной выборке из 100\u00a0000\u00a0клиентов (зерно 7)" in Tags(build_page(sampled)).text


def test_warnings_stand_before_everything_else(manifest: dict[str, Any]) -> None:
    warned = {**manifest, "warnings": ["segment top_risk («Самый высокий риск») is empty"]}
    page = build_page(warned)
    assert page.index("В сегменте «Самый высокий риск» никого нет") < page.index("<h2>Сегменты</h2>")


@pytest.fixture
def own_run(run_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run_folder, tmp_path / "run"))


def test_a_page_is_drawn_again_from_the_run_alone(own_run: Path, page: str) -> None:
    manifest = (own_run / "manifest.json").read_bytes()
    (own_run / "report.html").unlink()
    assert write_report(own_run) == own_run / "report.html"
    assert (own_run / "report.html").read_text() == page
    assert (own_run / "manifest.json").read_bytes() == manifest
    assert not [path for path in own_run.iterdir() if path.name.startswith(".")]


def test_a_page_that_the_run_did_not_have_is_listed(own_run: Path, page: str) -> None:
    manifest = json.loads((own_run / "manifest.json").read_text())
    del manifest["outputs"]["report.html"]
    (own_run / "manifest.json").write_text(json.dumps(manifest))
    write_report(own_run)
    outputs = json.loads((own_run / "manifest.json").read_text())["outputs"]
    content = page.encode()
    assert outputs["report.html"] == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def retention(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(own) for own in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_the_command_says_where_the_page_is(own_run: Path) -> None:
    assert retention("report", "--run", own_run) == (0, f"Wrote {own_run / 'report.html'}\n", "")


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    expected = "expected a published run (OUT/runs/ID)"
    assert retention("report", "--run", tmp_path / "a") == (
        2,
        "",
        f"{tmp_path / 'a'}: found no such folder, {expected}\n",
    )
    assert retention("report", "--run", tmp_path) == (
        2,
        "",
        f"{tmp_path}: found a folder without _SUCCESS, {expected}\n",
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "{",
            "Expecting property name enclosed in double quotes: line 1 column 2 (char 1), "
            "expected a run of this version; score the drop again",
        ),
        ("{}", "format None, not 1, the one of this version, expected a run of this version; score the drop again"),
        (
            json.dumps(make_manifest(report_data={**make_report_data(), "risk": {}})),
            "no mean, median, high, high_profit_at_risk, profit_at_risk, monthly_profit, in_training, histogram "
            "in report_data.risk, expected a run of this version; score the drop again",
        ),
        (
            json.dumps(make_manifest(report_data={**make_report_data(), "deciles": {}})),
            "report_data.deciles is no list, expected a run of this version; score the drop again",
        ),
    ],
)
def test_a_manifest_that_does_not_hold_report_data(own_run: Path, text: str, found: str) -> None:
    (own_run / "manifest.json").write_text(text)
    assert retention("report", "--run", own_run) == (2, "", f"{own_run / 'manifest.json'}: found {found}\n")


def test_a_page_that_cannot_be_written(own_run: Path) -> None:
    (own_run / "report.html").unlink()
    (own_run / "report.html").mkdir()
    assert retention("report", "--run", own_run) == (
        5,
        "",
        f"{own_run / 'report.html'}: cannot be written: Is a directory\n",
    )


def test_no_report_leaves_the_page_out(small_drop: Path, tmp_path: Path) -> None:
    code, _, errors = retention("score", "--input", small_drop, "--output", tmp_path, "--no-report")
    assert (code, errors) == (0, "")
    assert not (tmp_path / "latest" / "report.html").exists()
