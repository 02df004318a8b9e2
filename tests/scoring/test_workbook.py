"""The list that marketing works through, as CSV and as a workbook."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import polars as pl
import pytest

from job.features import INACTIVE_MONTH
from job.scoring import workbook
from job.scoring.manifest import count_segments, describe_segments
from job.scoring.segments import load_segmentation
from job.scoring.spreadsheet import RUSSIAN
from job.scoring.tables import CsvTable
from job.scoring.workbook import choose_contacts, contacts_table, hints_of, list_contacts, list_others, write_workbook
from schemas.scored import SCORED_DTYPES

if TYPE_CHECKING:
    from pathlib import Path

SEGMENTATION = load_segmentation()
PAGES = "всего 2 страницы за визит, у половины клиентов 8 и больше"
HINT = "Показать подборку по интересам"
SCORED = pl.DataFrame(
    {
        "id": [1, 2, 3, 4, 10**17],
        "decline_probability": [0.98765, 0.9, 0.91, 0.1, 0.99],
        "profit_at_risk": [10.005, 20.0, 20.0, 1.0, -3.0],
        "segment": ["top_risk", "top_risk", "high_risk_beauty", "rest", "top_risk"],
        "contact_allowed": [True] * 5,
        "campaign_group": ["treatment", "treatment", "treatment", "none", "treatment"],
        "reason_1": pl.Series([None, PAGES, None, None, None], dtype=pl.String),
        "reason_2": ["=1+1", None, None, None, None],
        "reason_3": pl.Series([None] * 5, dtype=pl.String),
    }
)
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def read_sheets(path: Path) -> dict[str, list[list[str | None]]]:
    """Return title -> rows of cells; text in quotes, numbers as written."""
    with zipfile.ZipFile(path) as archive:
        book = ET.fromstring(archive.read("xl/workbook.xml"))  # noqa: S314 - our own file
        titles = [sheet.attrib["name"] for sheet in book.iter(f"{MAIN}sheet")]
        sheets = {}
        for place, title in enumerate(titles, start=1):
            root = ET.fromstring(archive.read(f"xl/worksheets/sheet{place}.xml"))  # noqa: S314 - our own file
            assert not list(root.iter(f"{MAIN}f"))
            sheets[title] = [[_cell(cell) for cell in row] for row in root.iter(f"{MAIN}row")]
    return sheets


def _cell(cell: Any) -> str | None:
    text = cell.find(f"{MAIN}is/{MAIN}t")
    return f"'{text.text}'" if text is not None else cell.findtext(f"{MAIN}v")


def listed(scored: pl.DataFrame) -> pl.DataFrame:
    return list_contacts(choose_contacts(scored).sort("order", "id"), SEGMENTATION)


def write_contacts(contacts: pl.DataFrame, path: Path) -> None:
    shown = contacts_table(contacts)
    with CsvTable(path, shown, **RUSSIAN) as file:
        file.add(shown)


def test_contacts_are_the_treated_by_profit_at_risk() -> None:
    assert listed(SCORED).select("id", "segment_title", "channel", "decline_percent").rows() == [
        (2, "Самый высокий риск", "SMS", 90.0),
        (3, "Красота и косметика, могут уйти", "письмо", 91.0),
        (1, "Самый высокий риск", "SMS", 98.8),
        (10**17, "Самый высокий риск", "SMS", 99.0),
    ]


def test_campaign_csv(tmp_path: Path) -> None:
    write_contacts(listed(SCORED).slice(0, 3), tmp_path / "campaign.csv")
    assert (tmp_path / "campaign.csv").read_bytes().decode("utf-8-sig").split("\r\n") == [
        "id;Сегмент;Предложение;Канал;Вероятность снижения, %;Прибыль под риском;Причина 1;Причина 2;Причина 3;"
        "Что можно сделать",
        f"2;Самый высокий риск;Промокод на следующую покупку;SMS;90,00;20,00;{PAGES};;;{HINT}",
        "3;Красота и косметика, могут уйти;Лимитированные коллекции и новые бренды;письмо;91,00;20,00;;;;",
        "1;Самый высокий риск;Промокод на следующую покупку;SMS;98,80;10,01;;'=1+1;;",
        "",
    ]


def test_workbook_has_a_summary_and_a_sheet_per_segment_with_contacts(tmp_path: Path) -> None:
    path = tmp_path / "campaign.xlsx"
    segments = describe_segments(count_segments(SCORED), SEGMENTATION)
    write_workbook(listed(SCORED), segments, path)
    sheets = read_sheets(path)
    assert list(sheets) == ["Сводка", "Самый высокий риск", "Красота и косметика, могут уйти"]
    assert [row[0] for row in sheets["Сводка"]] == ["'Сегмент'", *(f"'{row['title']}'" for row in segments)]
    assert [row[0] for row in sheets["Самый высокий риск"]] == ["'id'", "2", "1", f"'{10**17}'"]
    assert sheets["Самый высокий риск"][2][3:] == ["'SMS'", "98.8", "10.01", "'=1+1'"]
    assert sheets["Самый высокий риск"][1][3:] == ["'SMS'", "90", "20", f"'{PAGES}'", f"'{HINT}'"]


def test_the_same_contacts_give_the_same_bytes(tmp_path: Path) -> None:
    contacts, segments = listed(SCORED), describe_segments(count_segments(SCORED), SEGMENTATION)
    for name in ("a.xlsx", "b.xlsx"):
        write_workbook(contacts, segments, tmp_path / name)
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


def test_long_segments_go_on_in_the_next_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "SHEET_ROWS", 2)
    path = tmp_path / "campaign.xlsx"
    write_workbook(listed(SCORED), describe_segments(count_segments(SCORED), SEGMENTATION), path)
    sheets = read_sheets(path)
    assert {title: len(rows) for title, rows in sheets.items()} == {
        "Сводка": 9,
        "Самый высокий риск": 3,
        "Самый высокий риск 2": 2,
        "Красота и косметика, могут уйти": 2,
    }


@pytest.mark.parametrize(
    ("title", "sheet"), [("a/b: [c]*?", "a b c"), ("x" * 40, "x" * 31), ("сводка", "сводка 2"), ("'''", "Сводка 2")]
)
def test_titles_are_what_excel_takes(title: str, sheet: str) -> None:
    assert workbook._sheet_title(title, {"сводка"}) == sheet


def test_nobody_to_contact(tmp_path: Path) -> None:
    nobody = SCORED.clear()
    write_contacts(listed(nobody), tmp_path / "campaign.csv")
    write_workbook(
        listed(nobody),
        describe_segments(count_segments(nobody), SEGMENTATION),
        tmp_path / "c.xlsx",
    )
    assert (tmp_path / "campaign.csv").read_bytes().count(b"\r\n") == 1
    assert list(read_sheets(tmp_path / "c.xlsx")) == ["Сводка"]


def test_a_theme_without_a_hint_has_none() -> None:
    reasons = pl.Series("reason_1", [PAGES, None, "1 ошибка на сайте, у половины клиентов не больше 0", PAGES])
    assert hints_of(reasons, {"visits": "Подборка"}).to_list() == ["Подборка", None, None, "Подборка"]
    assert hints_of(reasons.clear(), {}).dtype == pl.String


def test_sheets_are_filtered_and_printed_one_page_wide_with_their_headings(tmp_path: Path) -> None:
    path = tmp_path / "campaign.xlsx"
    write_workbook(listed(SCORED), describe_segments(count_segments(SCORED), SEGMENTATION), path)
    with zipfile.ZipFile(path) as archive:
        book = ET.fromstring(archive.read("xl/workbook.xml"))  # noqa: S314 - our own file
        names = {(name.attrib["name"], name.text) for name in book.iter(f"{MAIN}definedName")}
        assert ("_xlnm.Print_Titles", "'Самый высокий риск'!$1:$1") in names
        sheet = ET.fromstring(archive.read("xl/worksheets/sheet2.xml"))  # noqa: S314 - our own file
        styles = ET.fromstring(archive.read("xl/styles.xml"))  # noqa: S314 - our own file
    [filtered] = sheet.iter(f"{MAIN}autoFilter")
    assert filtered.attrib["ref"] == "A1:J4"
    [setup] = sheet.iter(f"{MAIN}pageSetup")
    assert (setup.attrib["orientation"], setup.attrib["fitToHeight"], setup.attrib["paperSize"]) == (
        "landscape",
        "0",
        "9",
    )
    codes = {own.attrib["numFmtId"]: own.attrib["formatCode"] for own in styles.iter(f"{MAIN}numFmt")}
    formats = [cell.attrib for cell in styles.find(f"{MAIN}cellXfs") or []]
    cells = {cell.attrib["r"]: cell.attrib.get("s", "0") for cell in sheet.iter(f"{MAIN}c")}
    shown = {cell: codes[formats[int(cells[cell])]["numFmtId"]] for cell in ("E2", "F2")}
    assert shown == {"E2": "0.0", "F2": "#,##0.00"}


def test_who_is_not_contacted_has_sheets_too(tmp_path: Path) -> None:
    row = dict.fromkeys(SCORED_DTYPES, None) | {"segment": "top_risk", "decline_probability": 0.98765}
    rows = [
        {**row, "id": 1, "offer": "promo", "campaign_group": "control"},
        {**row, "id": 2, "offer": "promo", "campaign_group": "treatment"},
        {**row, "id": 3, "offer": "onsite_promo", "campaign_group": "none"},
        {**row, "id": 4, "offer": "promo", "campaign_group": "none"},
    ]
    pl.DataFrame(rows, schema=SCORED_DTYPES).write_parquet(tmp_path / "scored.parquet")
    (tmp_path / "excluded.csv").write_text(f"id,reason\n7,{INACTIVE_MONTH}\n", encoding="utf-8")
    path = tmp_path / "campaign.xlsx"
    others = list_others(tmp_path, SEGMENTATION)
    write_workbook(listed(SCORED), describe_segments(count_segments(SCORED), SEGMENTATION), path, others)
    sheets = read_sheets(path)
    assert list(sheets)[-3:] == ["Контрольная группа", "Показать на сайте", "Не оценены"]
    assert sheets["Контрольная группа"] == [
        ["'id'", "'Сегмент'", "'Вероятность снижения, %'", "'Что делать'"],
        ["1", "'Самый высокий риск'", "98.8", "'Не писать: с этими клиентами сравнят тех, кому написали'"],
    ]
    assert sheets["Показать на сайте"] == [
        ["'id'", "'Сегмент'", "'Показать на сайте'"],
        ["3", "'Самый высокий риск'", "'Промокод на следующую покупку в личном кабинете'"],
    ]
    assert sheets["Не оценены"] == [
        ["'id'", "'Почему не оценён'"],
        ["7", "'не были активны все три месяца: есть месяц без выручки'"],
    ]
