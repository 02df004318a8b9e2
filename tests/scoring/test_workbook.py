"""The list that marketing works through, as CSV and as a workbook."""

from __future__ import annotations

import csv
import errno
import re
import shutil
import subprocess
import tempfile
import zipfile
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import polars as pl
import pytest
from xlsxwriter.exceptions import FileCreateError

from job.features import INACTIVE_MONTH
from job.intake.reconcile import ORPHAN_RULE, UNIQUE_RULE
from job.intake.validate import REJECTED_SCHEMA
from job.scoring import workbook
from job.scoring.manifest import count_segments, describe_segments
from job.scoring.segments import load_segmentation
from job.scoring.spreadsheet import RUSSIAN
from job.scoring.tables import CsvTable
from job.scoring.workbook import (
    choose_contacts,
    contacts_table,
    explain_rejection,
    hints_of,
    list_contacts,
    rank_contacts,
    write_workbook,
)
from schemas.columns import RULES
from schemas.phrases import CONTACT_HEADINGS
from schemas.scored import SCORED_DTYPES

if TYPE_CHECKING:
    from pathlib import Path

SOFFICE = shutil.which("soffice")
SEGMENTATION = load_segmentation()
PAGES = "всего 2 страницы за визит, у половины клиентов 8 и больше"
HINT = "Показать подборку по интересам"
SCORED = pl.DataFrame(
    {
        "id": [1, 2, 3, 4, 10**17],
        "decline_probability": [0.98765, 0.9, 0.91, 0.1, 0.99],
        "monthly_profit": [3.4, 7.0, 7.3, 3.3, -1.0],
        "profit_at_risk": [10.005, 20.0, 20.0, 1.0, -3.0],
        "expected_value": [1.5, 3.0, 3.0, 0.0, 0.5],
        "offer": ["promo", "promo", "limited_collections", "onsite_selection", "promo"],
        "segment": ["top_risk", "top_risk", "high_risk_beauty", "rest", "top_risk"],
        "contact_allowed": [True] * 5,
        "campaign_group": ["treatment", "treatment", "treatment", "none", "treatment"],
        "reason_1": pl.Series([None, PAGES, None, None, None], dtype=pl.String),
        "reason_2": ["=1+1", None, None, None, None],
        "reason_3": pl.Series([None] * 5, dtype=pl.String),
    }
)
REJECTED = [
    ("money.csv", 5, "8", "Прибыль", "is a number", "н/д"),
    ("money.csv", 6, None, None, "has 2 fields", "a;b;c"),
]
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


def ranked(scored: pl.DataFrame) -> pl.DataFrame:
    [contacts] = rank_contacts([chosen(scored)])
    return contacts


def chosen(scored: pl.DataFrame) -> pl.DataFrame:
    month = pl.Series("contacts_current_month", range(scored.height), dtype=pl.Int32)
    return choose_contacts(scored, month).sort("order", "id")


def write_run(folder: Path, scored: pl.DataFrame) -> Path:
    """Write the tables of a run, then its workbook; return the workbook's path."""
    scored.write_parquet(folder / "scored.parquet")
    (folder / "excluded.csv").write_text(f"id,reason\n7,{INACTIVE_MONTH}\n", encoding="utf-8")
    pl.DataFrame(REJECTED, schema=REJECTED_SCHEMA, orient="row").write_csv(folder / "rejected.csv")
    write_workbook(
        folder,
        chosen(scored),
        describe_segments(count_segments(scored, scored["campaign_group"]), SEGMENTATION),
        SEGMENTATION,
    )
    return folder / "campaign.xlsx"


def write_contacts(contacts: pl.DataFrame, path: Path) -> None:
    shown = contacts_table(contacts, SEGMENTATION)
    with CsvTable(path, shown, **RUSSIAN) as file:
        file.add(shown)


def test_contacts_are_the_treated_by_what_they_are_worth() -> None:
    assert list_contacts(ranked(SCORED), SEGMENTATION).select(
        "rank", "id", "segment_title", "channel", "cost", "decline_probability", "contacts_current_month"
    ).rows() == [
        (1, 2, "Самый высокий риск", "SMS", 0.3, 0.9, 1),
        (2, 3, "Красота, риск повышен", "письмо", 0.05, 0.91, 2),
        (3, 1, "Самый высокий риск", "SMS", 0.3, 0.98765, 0),
        (4, 10**17, "Самый высокий риск", "SMS", 0.3, 0.99, 4),
    ]


def test_ranks_go_on_through_the_parts_of_a_list() -> None:
    parts = [pl.DataFrame({"id": [5, 4]}), pl.DataFrame({"id": [9]})]
    assert [part.rows() for part in rank_contacts(parts)] == [[(1, 5), (2, 4)], [(3, 9)]]


def test_campaign_csv(tmp_path: Path) -> None:
    write_contacts(ranked(SCORED).slice(0, 3), tmp_path / "campaign.csv")
    assert (tmp_path / "campaign.csv").read_bytes().decode("utf-8-sig").split("\r\n") == [
        "№;id;Сегмент;Риск снижения, %;Прибыль за месяц;Прибыль под риском;Ожидаемая ценность контакта;Предложение;"
        "Код предложения;Канал;"
        "Цена контакта;Контактов в этом месяце;Причина 1;Причина 2;Причина 3;Что можно сделать",
        f"1;2;Самый высокий риск;90,00;7,00;20,00;3,00;Промокод на следующую покупку;promo;SMS;0,3;1;{PAGES};;;{HINT}",
        "2;3;Красота, риск повышен;91,00;7,30;20,00;3,00;Лимитированные коллекции и новые бренды;"
        "limited_collections;письмо;0,05;2;;;;",
        "3;1;Самый высокий риск;98,80;3,40;10,01;1,50;Промокод на следующую покупку;promo;SMS;0,3;0;;'=1+1;;",
        "",
    ]


def test_workbook_has_a_summary_and_a_sheet_per_segment_with_contacts(tmp_path: Path) -> None:
    sheets = read_sheets(write_run(tmp_path, SCORED))
    segments = describe_segments(count_segments(SCORED, SCORED["campaign_group"]), SEGMENTATION)
    assert list(sheets) == [
        "Сводка",
        "Самый высокий риск",
        "Красота, риск повышен",
        "Показать на сайте",
        "Не оценены",
        "Отклонены",
    ]
    assert [row[0] for row in sheets["Сводка"]] == ["'Сегмент'", *(f"'{row['title']}'" for row in segments), "'Всего'"]
    assert sheets["Сводка"][-1][5:] == ["5", None, "48.005", "4", "0", "0.95", "8"]
    assert [row[:3] for row in sheets["Самый высокий риск"]] == [
        ["'№'", "'id'", "'Риск снижения'"],
        ["1", "2", "0.9"],
        ["3", "1", "0.98765"],
        ["4", f"'{10**17}'", "0.99"],
    ]
    assert sheets["Самый высокий риск"][1][3:] == [
        *("7", "20", "3", "'Промокод на следующую покупку'", "'promo'", "'SMS'", "0.3", "1", f"'{PAGES}'", f"'{HINT}'")
    ]
    assert sheets["Самый высокий риск"][2][-1] == "'=1+1'"


def test_who_is_not_contacted_has_sheets_too(tmp_path: Path) -> None:
    row = dict.fromkeys(SCORED_DTYPES, None) | {"segment": "top_risk", "decline_probability": 0.98765}
    row |= {"contact_allowed": True, "profit_at_risk": 1.0}
    rows = [
        {**row, "id": 1, "offer": "promo", "campaign_group": "control"},
        {**row, "id": 2, "offer": "promo", "campaign_group": "treatment"},
        {**row, "id": 3, "offer": "onsite_promo", "campaign_group": "none"},
        {**row, "id": 4, "offer": "promo", "campaign_group": "none"},
    ]
    sheets = read_sheets(write_run(tmp_path, pl.DataFrame(rows, schema=SCORED_DTYPES)))
    assert list(sheets)[2:] == ["Контрольная группа", "Показать на сайте", "Не оценены", "Отклонены"]
    assert sheets["Контрольная группа"] == [
        ["'id'", "'Сегмент'", "'Риск снижения'", "'Что делать'"],
        ["1", "'Самый высокий риск'", "0.98765", "'Не писать: с этими клиентами сравнят тех, кому написали'"],
    ]
    assert sheets["Показать на сайте"] == [
        ["'id'", "'Сегмент'", "'Риск снижения'", "'Показать на сайте'", "'Код предложения'"],
        ["3", "'Самый высокий риск'", "0.98765", "'Промокод на следующую покупку в личном кабинете'", "'onsite_promo'"],
    ]
    assert sheets["Не оценены"] == [
        ["'id'", "'Почему не оценён'"],
        ["7", "'не были активны все три месяца: есть месяц без выручки'"],
    ]
    assert sheets["Отклонены"] == [
        ["'Файл'", "'Строка'", "'id'", "'Столбец'", "'Почему отклонена'", "'Значение'"],
        ["'money.csv'", "5", "'8'", "'Прибыль'", "'не число'", "'н/д'"],
        ["'money.csv'", "6", "'полей в строке не 2'", "'a;b;c'"],
    ]


def test_every_rule_of_a_drop_has_russian_words() -> None:
    rules = [rule.fact for rule in RULES]
    rules += [UNIQUE_RULE, ORPHAN_RULE, "has paired quotes", "is readable as cp1251", "has 13 fields"]
    shown = [explain_rejection(rule) for rule in rules]
    assert [text for text in shown if not re.fullmatch("[^a-z]*((cp1251|id|market_file)[^a-z]*)?", text)] == []
    assert dict(zip(rules, shown, strict=True))["is readable as cp1251"] == "не читается в кодировке cp1251"
    assert explain_rejection("some rule to come") == "some rule to come"


def test_the_same_contacts_give_the_same_bytes(tmp_path: Path) -> None:
    first = write_run(tmp_path, SCORED).read_bytes()
    assert write_run(tmp_path, SCORED).read_bytes() == first


def test_a_sheet_with_too_many_rows_only_says_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MOST_ROWS", 1)
    sheets = read_sheets(write_run(tmp_path, SCORED))
    assert sheets["Отклонены"] == [["'Больше 1 строк: их здесь нет, они в rejected.csv'"]]
    assert len(sheets["Показать на сайте"]) == 2


@pytest.mark.parametrize(
    ("title", "sheet"), [("a/b: [c]*?", "a b c"), ("x" * 40, "x" * 31), ("сводка", "сводка 2"), ("'''", "Сводка 2")]
)
def test_titles_are_what_excel_takes(title: str, sheet: str) -> None:
    assert workbook._sheet_title(title, {"сводка"}) == sheet


def test_nobody_to_contact(tmp_path: Path) -> None:
    nobody = SCORED.clear()
    write_contacts(ranked(nobody), tmp_path / "campaign.csv")
    assert (tmp_path / "campaign.csv").read_bytes().count(b"\r\n") == 1
    assert list(read_sheets(write_run(tmp_path, nobody))) == ["Сводка", "Не оценены", "Отклонены"]


def test_a_theme_without_a_hint_has_none() -> None:
    reasons = pl.Series("reason_1", [PAGES, None, "1 ошибка на сайте, у половины клиентов не больше 0", PAGES])
    assert hints_of(reasons, {"visits": "Подборка"}).to_list() == ["Подборка", None, None, "Подборка"]
    assert hints_of(reasons.clear(), {}).to_list() == []


def test_sheets_are_filtered_and_printed_one_page_wide_with_their_headings(tmp_path: Path) -> None:
    with zipfile.ZipFile(write_run(tmp_path, SCORED)) as archive:
        book = ET.fromstring(archive.read("xl/workbook.xml"))  # noqa: S314 - our own file
        names = {(name.attrib["name"], name.text) for name in book.iter(f"{MAIN}definedName")}
        assert ("_xlnm.Print_Titles", "'Самый высокий риск'!$1:$1") in names
        sheet = ET.fromstring(archive.read("xl/worksheets/sheet2.xml"))  # noqa: S314 - our own file
        styles = ET.fromstring(archive.read("xl/styles.xml"))  # noqa: S314 - our own file
    [filtered] = sheet.iter(f"{MAIN}autoFilter")
    assert filtered.attrib["ref"] == "A1:O4"
    [setup] = sheet.iter(f"{MAIN}pageSetup")
    assert (setup.attrib["orientation"], setup.attrib["fitToHeight"], setup.attrib["paperSize"]) == (
        "landscape",
        "0",
        "9",
    )
    codes = {one.attrib["numFmtId"]: one.attrib["formatCode"] for one in styles.iter(f"{MAIN}numFmt")}
    formats = [cell.attrib for cell in styles.iterfind(f"{MAIN}cellXfs/*")]
    cells = {cell.attrib["r"]: cell.attrib.get("s", "0") for cell in sheet.iter(f"{MAIN}c")}
    shown = {cell: codes[formats[int(cells[cell])]["numFmtId"]] for cell in ("C2", "D2", "J2")}
    assert shown == {"C2": "0.0 %", "D2": "#,##0.00", "J2": "#,##0.00##"}
    heights = [float(row.attrib["ht"]) for row in sheet.iter(f"{MAIN}row") if "ht" in row.attrib]
    assert heights[1] == 45.0, "the reason has three lines"
    widths = {one.attrib["min"]: float(one.attrib["width"]) for one in sheet.iter(f"{MAIN}col")}
    assert widths["2"] > len(str(10**17)), "all digits of an id are shown"


@pytest.mark.skipif(SOFFICE is None, reason="no LibreOffice is installed")
def test_libreoffice_shows_what_was_written(tmp_path: Path) -> None:
    path = write_run(tmp_path, SCORED)
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    all_sheets_as_shown = "csv:Text - txt - csv (StarCalc):59,34,76,1,,0,false,false,true,false,false,-1"
    subprocess.run(
        [str(SOFFICE), profile, "--headless", "--convert-to", all_sheets_as_shown, "--outdir", tmp_path / "csv", path],
        check=True,
        capture_output=True,
        timeout=240,
    )
    shown = {
        file.stem.removeprefix("campaign-"): list(csv.reader(file.read_text("utf-8").splitlines(), delimiter=";"))
        for file in (tmp_path / "csv").iterdir()
    }
    written = read_sheets(path)
    assert {title: len(rows) for title, rows in shown.items()} == {title: len(rows) for title, rows in written.items()}
    risk = shown["Самый высокий риск"]
    assert risk[0] == [name for column, name in CONTACT_HEADINGS.items() if column != "segment_title"]
    offered = ("Промокод на следующую покупку", "promo", "SMS", "0.30")
    assert risk[1] == ["1", "2", "90.0 %", "7.00", "20.00", "3.00", *offered, "1", PAGES, "", "", HINT]
    assert [row[1:3] for row in risk[2:]] == [["1", "98.8 %"], [str(10**17), "99.0 %"]]
    assert shown["Отклонены"][1] == ["money.csv", "5", "8", "Прибыль", "не число", "н/д"]


def test_sheets_wait_in_the_folder_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's root, and so its folder for temporary files, is read-only."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    path = write_run(tmp_path, SCORED)
    assert path.is_file()
    assert sorted(file.name for file in path.parent.iterdir() if file.name.startswith("tmp")) == []


def test_a_workbook_that_cannot_be_written_is_the_systems_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise FileCreateError(PermissionError(errno.EACCES, "Permission denied"))

    monkeypatch.setattr("xlsxwriter.Workbook", refuse)
    with pytest.raises(PermissionError, match="Permission denied"):
        write_run(tmp_path, SCORED)
