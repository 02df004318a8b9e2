"""Write the drops of the golden cases: `python -m tests.golden.make_cases [--expected] [CASE ...]`.

A case is a folder with `drop/` and `expected.json`; `tests/test_golden.py` finds and judges them all. Without the
option only the drops are written, and `expected.json` of a new case; with it, what the job does today becomes what
is expected: read the difference before you commit it.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from tests.golden.judge import judge
from tests.intake.drops import STYLES, Drop, Style, frame, make_drop, pack, write_drop, write_parquet_drop

HERE = Path(__file__).parent
PLAIN = Style()
CASES: dict[str, tuple[Callable[[Path], object], list[str]]] = {}

Edit = Callable[[Drop], None]


def case(name: str, *options: str) -> Callable[[Callable[[Path], object]], None]:
    """Register what writes the drop of a case, and the options of the command."""

    def register(write: Callable[[Path], object]) -> None:
        CASES[name] = (write, list(options))

    return register


def write(folder: Path, *, style: Style = PLAIN, edit: Edit = lambda _: None, labelled: bool = False) -> Path:
    """Write a drop of 20 customers in a style, after an edit."""
    drop = make_drop(20, labelled=labelled)
    edit(drop)
    return write_drop(folder, drop, style)


def replace_by_parquet(folder: Path, *names: str) -> None:
    """Write some of the tables as Parquet instead."""
    for name in names:
        (folder / f"{name}.csv").unlink()
        write_parquet_drop(folder, {name: make_drop(20)[name]})


def register_dialects() -> None:
    """Register a case for each way to write text and to pack it."""
    for name, style in STYLES.items():
        case(f"dialect-{name}")(partial(write_drop, drop=make_drop(20), style=style))
    for ending in ("gz", "zst"):
        case(f"dialect-csv-{ending}")(partial(write_drop, drop=make_drop(20), ending=f".csv.{ending}"))


register_dialects()


@case("dialect-parquet")
def _(folder: Path) -> None:
    write(folder)
    replace_by_parquet(folder, "market_file", "money")


@case("dialect-parquet-odd-dtypes")
def _(folder: Path) -> None:
    """What pandas and Spark make of such tables."""
    tables = {name: frame(rows) for name, rows in make_drop(20).items()}
    folder.mkdir(parents=True)
    market_file = tables["market_file"].with_columns(
        pl.col("id").cast(pl.Float64), pl.col("Тип сервиса").cast(pl.Categorical), pl.col("Длительность").cast(pl.Int16)
    )
    market_file.write_parquet(folder / "market_file.parquet")
    tables["market_money"].with_columns(pl.col("Выручка").cast(pl.Decimal(12, 2))).write_parquet(
        folder / "market_money.parquet"
    )
    tables["market_time"].with_columns(pl.col("минут").cast(pl.Float64)).write_parquet(folder / "market_time.parquet")
    comma = pl.col("Прибыль").cast(pl.String).str.replace(".", ",", literal=True)
    tables["money"].with_columns(comma).write_parquet(folder / "money.parquet")


@case("dialect-of-each-file-is-its-own")
def _(folder: Path) -> None:
    for (name, rows), style in zip(make_drop(20).items(), ("utf-16", "quoted", "cp1251", "mojibake"), strict=True):
        write_drop(folder, {name: rows}, STYLES[style])


@case("dialect-mixed-line-ends")
def _(folder: Path) -> None:
    path = write(folder) / "money.csv"
    path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n", 7).replace(b"\r\n", b"\r", 3))


@case("dialect-quoted-separators-and-quotes", "--max-unknown", "0.2")
def _(folder: Path) -> None:
    def edit(drop: Drop) -> None:
        drop["market_file"][3][7] = 'Чай, кофе и "сладости"'
        drop["market_file"][4][7] = "Кухонная, посуда"

    write(folder, style=Style(quoting=csv.QUOTE_ALL), edit=edit)


@case("dialect-mojibake-without-no-break-spaces")
def _(folder: Path) -> None:
    """What a program leaves that takes a no-break space for a plain one, and trims none."""
    for path in write(folder, style=STYLES["mojibake"]).iterdir():
        path.write_text(path.read_text(encoding="utf-8").replace("\u00a0", " "), encoding="utf-8", newline="")


@case("dialect-blank-lines-before-headings")
def _(folder: Path) -> None:
    """Blank lines, rows of separators and Excel's own hint at the separator."""
    write(folder, style=STYLES["utf-8-bom"])
    for (_, path), before in zip(
        sorted((path.name, path) for path in folder.iterdir()),
        (b"\r\n", b" \t\r\n\r\n", b"sep=;\r\n", b";;;\r\n\r\n"),
        strict=True,
    ):
        mark, body = path.read_bytes()[:3], path.read_bytes()[3:]
        path.write_bytes(mark + before + body)


@case("line-breaks-in-quotes", "--max-rejected", "0.2", "--max-unknown", "0.1")
def _(folder: Path) -> None:
    """In headings, in words and after numbers; and a quote that nobody closed, which takes no other row with it."""

    def edit(drop: Drop) -> None:
        file, money, time, profit = (drop[name] for name in drop)
        file[0][1] = "Тип\nсервиса"
        file[2][7] = "Домашний\nтекстиль"
        file[4][7] = "Подарки\n\nи\nсувениры"
        file[6][4] = "3\n"
        file[7][4] = "трижды"
        money[3][1] = "\n" + str(money[3][1])
        time[0][2] = "минут\n"
        profit[5][1] = "5\n5"

    path = write(folder, style=Style(quoting=csv.QUOTE_ALL), edit=edit) / "market_money.csv"
    lines = path.read_bytes().split(b"\r\n")
    lines[10] = lines[10].removesuffix(b'"')
    path.write_bytes(b"\r\n".join(lines))


@case("refused-line-breaks-in-quotes")
def _(folder: Path) -> None:
    """Rows are records; where a line break makes their number another than the line's, both are told."""

    def edit(drop: Drop) -> None:
        drop["market_file"][2][7] = "Домашний\nтекстиль"
        for row in drop["market_file"][9:12]:
            row[4] = "трижды"

    write(folder, style=Style(quoting=csv.QUOTE_ALL), edit=edit)


@case("refused-mojibake-that-lost-characters")
def _(folder: Path) -> None:
    for path in write(folder, style=STYLES["mojibake"]).iterdir():
        text = path.read_text(encoding="utf-8").replace("\u00a0", "").replace("–", "-")
        path.write_text(text, encoding="utf-8", newline="")


@case("dialect-blank-lines")
def _(folder: Path) -> None:
    path = write(folder, style=STYLES["cp1251"]) / "money.csv"
    lines = path.read_bytes().split(b"\r\n")
    path.write_bytes(b"\r\n".join([*lines[:5], b"", b"  ", b";", *lines[5:-1], b";;;", b";;;", b""]))


@case("last-line-without-end")
def _(folder: Path) -> None:
    path = write(folder) / "money.csv"
    path.write_bytes(path.read_bytes().removesuffix(b"\r\n"))


@case("ready-marker")
def _(folder: Path) -> None:
    paths = sorted(write(folder).iterdir())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in paths[:2]]
    lines += [f"{path.name} {path.stat().st_size}" for path in paths[2:]]
    (folder / "_READY").write_text("\n".join(lines) + "\n", encoding="utf-8")


@case("repairs")
def _(folder: Path) -> None:
    """The export's own misspellings, and near misses."""

    def edit(drop: Drop) -> None:
        for row in drop["market_time"]:
            row[1] = "предыдцщий_месяц" if row[1] == "предыдущий_месяц" else row[1]
        words = {
            1: ("стандартт", "ДА", "Косметика и аксесуары"),
            2: ("премиуум", "Нет", "товары  для детей"),
            3: ("Стандарт", "нетт", "Домашний тектсиль"),
            4: ("пермиум", " да ", "Кухоная посуда"),
        }
        for place, (service, consent, category) in words.items():
            drop["market_file"][place][1:3] = [service, consent]
            drop["market_file"][place][7] = category
        drop["market_money"][1][1] = "ТЕКУЩИЙ МЕСЯЦ"
        drop["market_money"][1][0] = drop["market_money"][2][0]
        drop["market_money"][2][1] = "препредыдущий-месяц"

    write(folder, edit=edit)


@case("look-alikes", "--max-rejected", "0.2")
def _(folder: Path) -> None:
    """Letters of other alphabets and characters that are not seen: in headings, words, ids and numbers."""

    def edit(drop: Drop) -> None:
        file, money, time, profit = (drop[name] for name in drop)
        file[0][1] = "\u0422ип\u200b с\u0435рвис\u0430".replace("\u0430", "a")
        file[0][11] = "Cтраниц_зa_визит"
        time[0][2] = "мин\u00adут"
        file[1][1:3] = ["cтaндaрт", "дa"]
        file[2][2] = "Hет"
        file[3][7] = "Кухонная по\u00adсуда"
        file[4][0] = f"\u2060{file[4][0]}\u200b"
        file[5][4] = "3\u200b"
        profit[6][1] = "\u200e5.5"
        money[7][1] = "\u200bтекущий_мecяц"
        file[8][8] = "1О"
        profit[9][1] = "5\u066b5"

    write(folder, edit=edit)


@case("minus-signs")
def _(folder: Path) -> None:
    def edit(drop: Drop) -> None:
        minuses = ("-5", "\u22125.25", "\u20135", "\u20145", "\uff0d5", "- 5", "\u2212\u00a05", "\u2212 1\u202f234.5")
        for row, written in zip(drop["money"][1:], minuses, strict=False):
            row[1] = written

    write(folder, edit=edit)


@case("refused-odd-characters")
def _(folder: Path) -> None:
    """What cannot be repaired for certain is named with its code point."""

    def edit(drop: Drop) -> None:
        drop["market_file"][0][3] = "Маркeт_актив_7_мес"
        drop["money"][0][1] = "Приб\u00a0ыль"

    write(folder, edit=edit)
    write_drop(
        folder,
        {"market_time": [[*row[:2], f"{row[2]}О"] if n else row for n, row in enumerate(make_drop(20)["market_time"])]},
    )


@case("refused-float-ids")
def _(folder: Path) -> None:
    """Through a spreadsheet, or through a float beyond 2^53."""

    def edit(drop: Drop) -> None:
        for row in drop["money"][1:]:
            row[0] = f"{float(row[0]):.5E}"
        for row in drop["market_time"][1:]:
            row[0] = f"{float(row[0] * 10**11)}"

    write(folder, edit=edit)


@case("quarantine", "--max-rejected", "0.9")
def _(folder: Path) -> None:
    """A row of each kind that cannot be used."""

    def edit(drop: Drop) -> None:
        file, money, time, profit = (drop[name] for name in drop)
        file[1][0] = "abc"
        file[2][0] = "007"
        file[3][0] = "99999999999999999999"
        file[4][2] = "на"
        file[5][3] = "много"
        file[6][4] = -1
        file[7][6] = 1.5
        file[8][1:7] = ["", "NULL", "-", "NaN", "x", "2"]
        file[9].append("ещё")
        del file[10][-1]
        money[1][2] = "1e400"
        money[5][2] = "٣"
        money[9][2] = "0x10"
        money[13][1] = "прошлый_месяц"
        money[17][1] = "current_month"
        time[1][2] = 44641
        time[5][2] = 5.5
        profit[1][1] = "#Н/Д"
        profit[11][1] = "inf"
        profit[12][1] = "1 23"
        profit.append([1, 5.5])

    write(folder, edit=edit)


@case("quarantine-lines", "--max-rejected", "0.9")
def _(folder: Path) -> None:
    """Lines that are no rows: unpaired quotes, bytes that are no text, NUL bytes, headings again."""
    path = write(folder, style=STYLES["lf"]) / "money.csv"
    lines = path.read_bytes().split(b"\n")
    lines[3] = b'"' + lines[3]
    lines[5] = lines[5].replace(b",", b",\xff")
    lines[7] = b"\0" * 12
    lines[9:9] = [lines[0]]
    lines[11] = lines[11] + b"\0"
    path.write_bytes(b"\n".join(lines))


@case("duplicates", "--max-rejected", "0.5")
def _(folder: Path) -> None:
    """Identical ones are dropped, contradicting ones rejected, all of them."""

    def edit(drop: Drop) -> None:
        drop["market_file"] += [[*drop["market_file"][2]], [*drop["market_file"][2]]]
        drop["market_money"].append([*drop["market_money"][4][:2], 17.5])
        drop["market_time"].append([*drop["market_time"][4][:2], "x"])
        drop["market_time"] += [["1", "текущий_месяц", "x"]] * 2
        drop["money"][5:5] = [[*drop["money"][5]], [drop["money"][9][0], "77.7"], [drop["money"][9][0], "77.7"]]

    write(folder, edit=edit)


@case("orphans", "--max-rejected", "0.3")
def _(folder: Path) -> None:
    def edit(drop: Drop) -> None:
        del drop["market_file"][4]
        drop["money"].append([999, 5.5])
        drop["market_file"][9][2] = "?"

    write(folder, edit=edit)


@case("unknown-category", "--max-unknown", "0.15")
def _(folder: Path) -> None:
    def edit(drop: Drop) -> None:
        drop["market_file"][1][7] = "Автотовары"
        drop["market_file"][2][7] = ""
        drop["market_file"][3][7] = "kitchenware"

    write(folder, edit=edit)


@case("labelled", "--labelled")
def _(folder: Path) -> None:
    write(folder, labelled=True)


@case("refused-unknown-categories")
def _(folder: Path) -> None:
    def edit(drop: Drop) -> None:
        for row in drop["market_file"][1:4]:
            row[7] = "Автотовары"

    write(folder, edit=edit)


@case("refused-label-half-filled", "--labelled")
def _(folder: Path) -> None:
    def edit(drop: Drop) -> None:
        for row in drop["market_file"][1:11]:
            row[1] = ""

    write(folder, edit=edit, labelled=True)


@case("refused-without-label", "--labelled")
def _(folder: Path) -> None:
    write(folder)


@case("refused-too-many-bad-rows")
def _(folder: Path) -> None:
    def edit(drop: Drop) -> None:
        for row in drop["market_file"][1:4]:
            row[6] = 75
        drop["market_file"][9].pop()
        for row in drop["money"][3:6]:
            row[1] = ""

    write(folder, edit=edit)


@case("refused-months-mixed")
def _(folder: Path) -> None:
    def edit(drop: Drop) -> None:
        for row in drop["market_time"][1:-2]:
            row[0] = int(row[0]) + 50

    write(folder, edit=edit)


@case("refused-month-missing-for-all")
def _(folder: Path) -> None:
    def edit(drop: Drop) -> None:
        drop["market_money"] = [row for row in drop["market_money"] if row[1] != "предыдущий_месяц"]

    write(folder, edit=edit)


@case("refused-decimal-marks-tie")
def _(folder: Path) -> None:
    def edit(drop: Drop) -> None:
        for row in drop["money"][1:11]:
            row[1] = str(row[1]).replace(".", ",")

    write(folder, style=Style(separator=";"), edit=edit)


@case("refused-thousands-or-decimals")
def _(folder: Path) -> None:
    def edit(drop: Drop) -> None:
        for place, row in enumerate(drop["money"][1:], start=101):
            row[1] = f"{place},500"

    write(folder, edit=edit)


@case("refused-first-line-is-data")
def _(folder: Path) -> None:
    def edit(drop: Drop) -> None:
        for rows in drop.values():
            del rows[0]

    write(folder, edit=edit)


@case("refused-headings")
def _(folder: Path) -> None:
    """Unknown, missing, there twice, empty; all are named."""

    def edit(drop: Drop) -> None:
        drop["market_file"][0][1:3] = ["Сервис", "id"]
        drop["market_money"][0][2] = "Выручка, руб."
        drop["market_time"][0][1] = ""
        drop["money"][0].append("комментарий")

    write(folder, edit=edit)


@case("refused-headings-in-two-ways")
def _(folder: Path) -> None:
    path = write(folder) / "market_money.csv"
    path.write_bytes(path.read_bytes().replace(",Выручка".encode(), ";Выручка".encode(), 1))


@case("refused-headings-only")
def _(folder: Path) -> None:
    write(folder, edit=lambda drop: drop["money"].__delitem__(slice(1, None)))


@case("refused-encoding")
def _(folder: Path) -> None:
    write(folder, style=Style(encoding="koi8-r"))


@case("refused-empty-file")
def _(folder: Path) -> None:
    (write(folder) / "money.csv").write_bytes(b"")


@case("dialect-folder-as-spark-names-it")
def _(folder: Path) -> None:
    path = write(folder) / "money.csv"
    raw = path.read_bytes()
    path.unlink()
    path.mkdir()
    (path / "part-0000.csv").write_bytes(raw)
    (path / "_SUCCESS").touch()


@case("refused-two-candidates")
def _(folder: Path) -> None:
    write(folder)
    write_parquet_drop(folder, {"money": make_drop(20)["money"]})


@case("refused-link-that-leaves-the-drop")
def _(folder: Path) -> None:
    path = write(folder) / "money.csv"
    path.unlink()
    path.symlink_to("../../dialect-plain/drop/money.csv")


@case("last-line-without-end-that-is-rejected")
def _(folder: Path) -> None:
    """A line that sums up, or breaks off: one row is rejected, and the others are whole."""
    path = write(folder) / "money.csv"
    path.write_bytes(path.read_bytes() + "Итого,48.2".encode())
    path = folder / "market_money.csv"
    path.write_bytes(path.read_bytes()[:-12])


@case("refused-cut-in-a-line", "--max-rejected", "0.5")
def _(folder: Path) -> None:
    write(folder, style=STYLES["cp1251"])
    for name, size in (("market_file", 100), ("market_money", 400), ("money", 60)):
        path = folder / f"{name}.csv"
        path.write_bytes(path.read_bytes()[:-size])


@case("refused-cut-in-a-value", "--max-rejected", "0.5")
def _(folder: Path) -> None:
    """The last line looks whole; that customers are missing gives the cut away."""
    write(folder)
    for name, lines in (("market_time", 2), ("money", 2)):
        path = folder / f"{name}.csv"
        path.write_bytes(b"\r\n".join(path.read_bytes().split(b"\r\n")[:-lines])[:-1])


@case("refused-cut-packed-files")
def _(folder: Path) -> None:
    write(folder)
    for name, ending in (("market_file", ".csv.gz"), ("market_money", ".csv.zst")):
        path = folder / f"{name}.csv"
        packed = pack(path.read_bytes(), ending)
        path.unlink()
        (folder / f"{name}{ending}").write_bytes(packed[:-20])


@case("refused-cut-parquet")
def _(folder: Path) -> None:
    write(folder)
    replace_by_parquet(folder, "market_file", "market_money", "money")
    for name, size in (("market_file", 30), ("market_money", 4), ("money", 900)):
        path = folder / f"{name}.parquet"
        path.write_bytes(path.read_bytes()[:-size])


@case("refused-not-parquet")
def _(folder: Path) -> None:
    (write(folder) / "money.csv").rename(folder / "money.parquet")


@case("refused-nested-parquet")
def _(folder: Path) -> None:
    write(folder)
    replace_by_parquet(folder, "money")
    table = pl.read_parquet(folder / "money.parquet")
    table.with_columns(pl.concat_list("Прибыль")).write_parquet(folder / "money.parquet")


@case("refused-long-line")
def _(folder: Path) -> None:
    path = write(folder) / "money.csv"
    path.write_bytes(path.read_bytes() + b"1" * 70_000)


@case("refused-garbage")
def _(folder: Path) -> None:
    (write(folder) / "money.csv").write_bytes(b"PK\x03\x04" + hashlib.sha512(b"xlsx").digest() * 20)


@case("refused-every-problem-at-once")
def _(folder: Path) -> None:
    """Faults of different stages in different files."""
    write(folder)
    (folder / "market_money.csv").write_bytes(b"\xff\xfe\0")
    (folder / "money.csv").write_bytes("id;Прибыль\n".encode())
    (folder / "market_time.csv").write_bytes("id,Период\n1,2\n".encode())


@case("refused-ready-checksum")
def _(folder: Path) -> None:
    paths = sorted(write(folder).iterdir())
    lines = [f"{path.name} {hashlib.sha256(path.name.encode()).hexdigest()}" for path in paths]
    (folder / "_READY").write_text("\n".join(lines) + "\n", encoding="utf-8")


@case("refused-ready-that-cannot-be-understood")
def _(folder: Path) -> None:
    (write(folder) / "_READY").write_text("готово\n", encoding="utf-8")


@case("incomplete-ready-sizes")
def _(folder: Path) -> None:
    (write(folder) / "_READY").write_text("money.csv 17\nmarket_time.csv 5\n", encoding="utf-8")


@case("incomplete-drop")
def _(folder: Path) -> None:
    write(folder)
    (folder / "money.csv").rename(folder / "money.csv.part")
    (folder / "market_time.csv").unlink()


@case("refused-another-format")
def _(folder: Path) -> None:
    write(folder)
    (folder / "market_time.csv").rename(folder / "market_time.xlsx")
    (folder / "money.csv").rename(folder / "money_2026-10.csv")


@case("dates-of-excel", "--max-rejected", "0.1")
def _(folder: Path) -> None:
    """A date in a column of numbers is its serial number, some 46,000 by now."""

    def edit(drop: Drop) -> None:
        for table, row, column in (("market_file", 2, 3), ("market_file", 2, 5), ("market_time", 9, 2)):
            drop[table][row][column] = 46_115
        drop["market_file"][4][10] = "12.мар"

    write(folder, edit=edit)


@case("refused-ids-of-excel")
def _(folder: Path) -> None:
    def edit(drop: Drop) -> None:
        for row in drop["money"][1:]:
            row[0] = f"{row[0]:.5E}".replace(".", ",")

    write(folder, style=Style(separator=";", decimal_mark=","), edit=edit)


def in_parts(folder: Path, table: str) -> Path:
    """Let a table be a folder with two parts; return it."""
    headings, *rows = (write(folder) / f"{table}.csv").read_bytes().splitlines(keepends=True)
    (folder / f"{table}.csv").unlink()
    (folder / table).mkdir()
    for number, some in enumerate((rows[:9], rows[9:])):
        (folder / table / f"part-{number:05}.csv").write_bytes(b"".join([headings, *some]))
    return folder / table


@case("leftovers-among-parts")
def _(folder: Path) -> None:
    """What systems, programs and editors leave, and what Spark writes where a partition has no rows."""
    parts = in_parts(folder, "money")
    for name in ("_SUCCESS", "_committed_17", ".part-00000.csv.crc", "part-00002.csv"):
        (parts / name).touch()
    for name in ("Thumbs.db", "desktop.ini", "part-00001.csv~", "part-00001.csv.bak"):
        (parts / name).write_bytes(b"left")


@case("incomplete-part")
def _(folder: Path) -> None:
    (in_parts(folder, "money") / "part-00002.csv.filepart").write_bytes(b"215368,0.")


@case("refused-part-in-another-format")
def _(folder: Path) -> None:
    (in_parts(folder, "money") / "part-00002.xlsx").write_bytes(b"PK")


@case("refused-delta-table")
def _(folder: Path) -> None:
    """Read file by file it would bring deleted customers back."""
    log = in_parts(folder, "market_file") / "_delta_log"
    log.mkdir()
    (log / "00000000000000000000.json").write_text("{}\n", encoding="utf-8")


def write_case(name: str, *, expected: bool) -> None:
    """Write one case."""
    write, options = CASES[name]
    folder = HERE / name
    shutil.rmtree(folder / "drop", ignore_errors=True)
    write(folder / "drop")
    path = folder / "expected.json"
    if expected or not path.exists():
        found: dict[str, Any] = {"options": options, **judge(folder / "drop", options)}
        path.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Write the cases that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--expected", action="store_true")
    parser.add_argument("cases", nargs="*", default=[*CASES])
    arguments = parser.parse_args()
    for name in arguments.cases:
        write_case(name, expected=arguments.expected)


if __name__ == "__main__":
    main()
