"""Parquet: each test starts a process, so there are few of them with many columns each."""

import io
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from job.errors import DropError
from job.intake import parquet as parquet_module
from job.intake.drop import wait_for_files
from job.intake.parquet import ParquetProbe, open_parquet
from job.intake.reconcile import read_drop
from job.memory import MemoryPlan
from job.settings import Arrival
from tests.intake.drops import frame, make_drop
from tests.intake.reading import Read, read_table
from tests.intake.test_table import rejections, table_file


def read(tmp_path: Path, table: pl.DataFrame, name: str = "money", *, batch_rows: int = 200_000) -> Read:
    path = tmp_path / f"{name}.parquet"
    table.write_parquet(path)
    return read_table(table_file(path), labelled=False, memory=MemoryPlan(batch_rows=batch_rows))


def refusal(path: Path) -> tuple[str, ...]:
    with pytest.raises(DropError) as caught:
        read_table(table_file(path), labelled=False)
    return caught.value.problems


def test_numbers_of_any_dtype(tmp_path: Path) -> None:
    values = [0.1, -1e-7, 999_999_999.5, 12345.678, float("nan"), float("inf"), None]
    table = pl.DataFrame({"id": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, None], "Прибыль": values})
    found = read(tmp_path, table, batch_rows=3)
    assert found.accepted.select("row", "id", "monthly_profit").rows() == [
        (1, 1, 0.1),
        (2, 2, -1e-7),
        (3, 3, 999_999_999.5),
        (4, 4, 12345.678),
    ]
    assert rejections(found) == [
        (5, "5.0", "Прибыль", "is given", "NaN"),
        (6, "6.0", "Прибыль", "is a number", "inf"),
        (7, None, "id", "is given", None),
        (7, None, "Прибыль", "is given", None),
    ]
    assert (found.counts.rows, found.written["format"], found.written["decimal_mark"]) == (7, "parquet", None)


def test_odd_dtypes(tmp_path: Path) -> None:
    rows = frame(make_drop(3)["market_file"])
    table = rows.with_columns(
        pl.col("id").cast(pl.UInt64),
        pl.col("Тип сервиса").cast(pl.Categorical),
        pl.Series("Разрешить сообщать", [True, False, True]),
        pl.Series("Маркет_актив_6_мес", [Decimal("1.50"), Decimal("2.25"), None]),
        pl.Series("Длительность", ["1 234", "5,0", "1,5"]),
        pl.Series("Маркет_актив_тек_мес", [date(2026, 11, 1)] * 3),
        pl.lit(None).alias("Страниц_за_визит"),
        pl.col("Акционные_покупки").cast(pl.Float32),
        pl.col("Ошибка_сервиса").cast(pl.Int128),
    )
    found = read(tmp_path, table, "market_file")
    of_first = [row[2:] for row in rejections(found) if row[0] == 1]
    assert of_first == [
        ("Разрешить сообщать", "is one of: да, нет", "true"),
        ("Маркет_актив_тек_мес", "is a whole number", "2026-11-01"),
        ("Страниц_за_визит", "is given", None),
    ]
    assert [
        row[2:] for row in rejections(found) if row[0] == 3 and row[2] in ("Длительность", "Маркет_актив_6_мес")
    ] == [
        ("Маркет_актив_6_мес", "is given", None),
        ("Длительность", "is a whole number", "1,5"),
    ]
    assert found.written["decimal_mark"] == ","


def test_same_rows_as_text(tmp_path: Path) -> None:
    rows = make_drop(9)["market_money"]
    found = read(tmp_path, frame(rows), "market_money")
    path = tmp_path / "market_money.csv"
    path.write_text("\n".join(",".join(str(cell) for cell in row) for row in rows) + "\n", encoding="utf-8")
    assert_frame_equal(found.accepted.drop("row"), read_table(table_file(path), labelled=False).accepted.drop("row"))


def test_headings_and_nothing_below(tmp_path: Path) -> None:
    with pytest.raises(DropError, match=r"^money\.parquet: found headings only, expected rows below the headings$"):
        read(tmp_path, pl.DataFrame({"ID": [], "прибыль": []}, schema={"ID": pl.Int64, "прибыль": pl.Float64}))


def test_nested_and_binary_columns(tmp_path: Path) -> None:
    path = tmp_path / "money.parquet"
    pl.DataFrame({"id": [[1]], "Прибыль": [b"5"]}).write_parquet(path)
    assert refusal(path) == (
        "money.parquet, column «id»: found List(Int64), expected numbers or text",
        "money.parquet, column «Прибыль»: found Binary, expected numbers or text",
    )


def test_long_values_and_too_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_module, "FREE_ROWS", 1000)
    path = tmp_path / "money.parquet"
    table = pl.select(id=pl.repeat(1, 10_000), Прибыль=pl.repeat("x", 10_000))
    table = table.with_columns(
        pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("x" * 70_000)).otherwise("Прибыль").alias("Прибыль")
    )
    table.write_parquet(path)
    size = path.stat().st_size
    assert size < 10_000 // 8
    assert refusal(path) == (
        f"money.parquet: found 10,000 rows in {size:,} bytes, expected rows with an id each",
        "money.parquet, column «Прибыль»: found 70,000, expected at most 65,536 bytes in a value",
    )


def parquet_bytes() -> bytearray:
    stream = io.BytesIO()
    frame(make_drop(8)["money"]).write_parquet(stream)
    return bytearray(stream.getvalue())


def test_cut_or_no_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ParquetProbe, "describe", lambda *_: pytest.fail("no process is needed"))
    path = tmp_path / "money.parquet"
    whole = parquet_bytes()
    for size in range(9, len(whole) - 1, 7):
        path.write_bytes(whole[:size])
        (problem,) = refusal(path)
        assert problem.startswith("money.parquet: found a cut one (it ends with b'")
    path.write_bytes(b"id")
    assert refusal(path) == ("money.parquet: found one that begins with b'id', expected a whole Parquet file",)


def damages() -> list[bytes]:
    """Files of which Polars panics, aborts or complains."""
    whole = parquet_bytes()
    footer_length = bytes([*whole[:-8], 255, 255, 255, 127, *whole[-4:]])
    metadata = whole.copy()
    metadata[-60:-40] = b"\xff" * 20
    pages = whole.copy()
    pages[4:24] = b"\x15\xff\xff\xff\xff\x0f" + b"\x7f" * 14
    return [footer_length, bytes(metadata), bytes(pages), b"PAR1PAR1", b"PAR1" + b"\0" * 8 + b"PAR1"]


@pytest.mark.parametrize("damaged", damages())
def test_damaged_files_are_refused_in_silence(
    tmp_path: Path, damaged: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "money.parquet"
    path.write_bytes(damaged)
    (problem,) = refusal(path)
    assert problem.startswith("money.parquet: found ")
    assert problem.endswith("expected a whole Parquet file")
    assert capfd.readouterr() == ("", "")


def test_process_that_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "dies.py"
    script.write_text("import os; os.abort()")
    monkeypatch.setattr(parquet_module, "_PROBE", script)
    path = tmp_path / "money.parquet"
    path.write_bytes(parquet_bytes())
    with pytest.raises(DropError, match="found one that cannot be decoded, expected a whole Parquet file"):
        open_parquet(table_file(path))
    script.write_text("import nothing_of_that_name")
    with pytest.raises(AssertionError, match="nothing_of_that_name"):
        open_parquet(table_file(path))


def test_one_process_decodes_all_files_until_one_breaks_it(tmp_path: Path) -> None:
    whole, damaged = tmp_path / "money.parquet", tmp_path / "damaged" / "money.parquet"
    damaged.parent.mkdir()
    whole.write_bytes(parquet_bytes())
    damaged.write_bytes(damages()[1])
    with ParquetProbe() as probe:
        first = open_parquet(table_file(whole), probe)
        process = probe._child
        assert open_parquet(table_file(whole), probe) == first
        assert probe._child is process
        with pytest.raises(DropError, match="expected a whole Parquet file"):
            open_parquet(table_file(damaged), probe)
        assert open_parquet(table_file(whole), probe) == first
        process = probe._child
        assert process is not None
        assert process.poll() is None
    assert process.returncode is not None
    assert probe._child is None


def test_a_process_that_dies_of_what_others_left_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = '{"rows": 8, "schema": ["id"], "nested": [], "text": [], "text_bytes": 0, "longest": {}}'
    script = tmp_path / "tires.py"
    script.write_text(f"import os; input(); print('{answer}', flush=True); input(); print('{answer[:9]}'); os.abort()")
    monkeypatch.setattr(parquet_module, "_PROBE", script)
    path = tmp_path / "money.parquet"
    path.write_bytes(parquet_bytes())
    with ParquetProbe() as probe:
        heights = [open_parquet(table_file(path), probe).height for _ in range(3)]
    assert heights == [8, 8, 8]


def test_a_drop_of_parquet_files_starts_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, rows in make_drop(20).items():
        frame(rows).write_parquet(tmp_path / f"{name}.parquet")
    started = []
    popen = parquet_module.subprocess.Popen
    monkeypatch.setattr(
        parquet_module.subprocess, "Popen", lambda *args, **kw: started.append(args) or popen(*args, **kw)
    )
    read_drop(wait_for_files(tmp_path, Arrival()), labelled=False)
    assert len(started) == 1
