"""The Russian guides: what they show is what the commands print, the pages have and the demo counts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from job.cli import main
from job.scoring.segments import DEFAULT_FILE, load_segmentation
from schemas.phrases import CONTROL_SHEET, EXCLUDED_SHEET, ONSITE_SHEET, REJECTED_SHEET, SUMMARY_SHEET
from tests.faults.processes import UNMOVED

ROOT = Path(__file__).parents[2]
GUIDES = [ROOT / "docs" / name for name in ("marketing.md", "data.md")]
LARGEST_PICTURE = 200_000  # bytes


def run(*words: object) -> str:
    result = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code in {0, 2}, result.output
    return result.output


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_links_and_pictures_are_there_and_small(guide: Path) -> None:
    text = guide.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        path = guide.parent / target
        assert path.is_file(), target
        assert path.suffix != ".png" or path.stat().st_size < LARGEST_PICTURE, target


def test_the_mistakes_of_the_guide_are_what_the_command_says(tmp_path: Path) -> None:
    text = GUIDES[0].read_text(encoding="utf-8")
    shown = re.search(r"\$ retention segments my\.toml\n(.*?)```", text, flags=re.DOTALL)
    assert shown is not None
    file = DEFAULT_FILE.read_text(encoding="utf-8").replace("cost = 0.5", "cost = 0,5", 1)
    (tmp_path / "my.toml").write_text(file.replace("effect = 0.3", "effect = 30", 1), encoding="utf-8")
    assert run("segments", tmp_path / "my.toml") == shown[1]


def test_the_segments_of_the_guide_are_those_that_are_shipped() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| ([^|(]+?)(?: \(.+\))? \|", GUIDES[0].read_text("utf-8"), flags=re.MULTILINE)
    assert rows == [(segment.code, segment.title) for segment in load_segmentation().segments]


def test_the_parts_of_the_guide_are_on_the_page_and_in_the_workbook() -> None:
    guide = GUIDES[0].read_text(encoding="utf-8")
    page = (ROOT / "job" / "report" / "page.html").read_text(encoding="utf-8")
    first = guide[guide.index("## 1.") : guide.index("## 2.")]
    assert re.findall(r"^- \*\*(.+?)\*\* —", first, flags=re.MULTILINE) == re.findall(r"<h2>(.+?)</h2>", page)
    second = guide[guide.index("## 2.") : guide.index("## 3.")]
    for sheet in (SUMMARY_SHEET, CONTROL_SHEET, ONSITE_SHEET, EXCLUDED_SHEET, REJECTED_SHEET):
        assert sheet in second


def test_what_the_demo_counts_is_what_readme_and_guide_say(tmp_path: Path) -> None:
    run("sample", "--customers", "5000", "--seed", "7", tmp_path / "drop")
    run(
        *("score", "--input", tmp_path / "drop", "--output", tmp_path / "out"),
        *("--no-report", "--format", "csv", *UNMOVED),
    )
    matches = json.loads((tmp_path / "out" / "latest" / "manifest.json").read_bytes())["report_data"]["matches"]
    top, beauty = matches["top_risk"], matches["high_risk_beauty"]
    guide = " ".join(GUIDES[0].read_text(encoding="utf-8").split())
    assert f"достаётся {top['top_risk']} из {sum(top.values())} клиентов десятой части" in guide
    assert f"риск повышен» ({top['high_risk_high_profit']})" in guide
    assert f"«Ждут акций, риск повышен» ({top['high_risk_high_promo']})" in guide
    assert f"«Красота, риск повышен» берёт {beauty['high_risk_beauty']} из {sum(beauty.values())}." in guide
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"reaches {top['top_risk']} of the {sum(top.values())} customers of the riskiest tenth" in readme
