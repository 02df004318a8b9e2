"""Synthetic drops: what they contain, that they repeat, and how they lie on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.errors import SchemaErrors
from polars.testing import assert_frame_equal, assert_series_equal

from job import sample
from job.errors import OutputError, SettingsError
from job.features import feature_columns
from job.hashing import splitmix64
from job.intake.drop import wait_for_files
from job.intake.reconcile import accept_drop
from job.levels import find_levels
from job.models.reference import read_reference
from job.sample import FAULTS, FIRST_ID, Fault, make_tables, plan_faults, soil, write_drop
from job.scoring.drift import WARN, count_drift, judge_drift, tell_findings
from job.scoring.score import prepare, score_customers
from job.settings import Arrival, Limits
from schemas.columns import MARKET_FILE, MARKET_MONEY, MARKET_TIME, MONEY, TABLES, Table
from schemas.contract import check

if TYPE_CHECKING:
    from pathlib import Path

    from job.models.artifact import Artifact

MANY = 50_000
LABEL = "Покупательская активность"
CURRENT = pl.col("Период") == "текущий_месяц"

seeds = st.integers()
few = st.integers(1, 40)
unhurried = settings(deadline=None, max_examples=5)


@pytest.fixture(scope="module")
def clean() -> dict[str, pl.DataFrame]:
    return make_tables(customers=MANY, seed=1, labelled=True)


@pytest.fixture(scope="module")
def dirty(clean: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    return soil(clean, seed=1)


def inside(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with ASCII headings and words, spelt right."""
    named = frame.rename({heading.delivered: heading.name for heading in table.headings}, strict=False)
    worded = {
        heading.name: pl.col(heading.name)
        .replace(heading.words.misspellings)
        .replace_strict(heading.words.values, return_dtype=heading.words.dtype)
        for heading in table.headings
        if heading.words is not None and heading.name in named.columns
    }
    return named.with_columns(**worded)


def assert_same(left: dict[str, pl.DataFrame], right: dict[str, pl.DataFrame]) -> None:
    assert list(left) == list(right)
    for name, frame in left.items():
        assert_frame_equal(frame, right[name], check_exact=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def planned(customers: int, seed: int, table: Table, fault: Fault) -> list[int]:
    plan = plan_faults(customers=customers, seed=seed)
    return sorted(plan.filter(pl.col("table") == table.name, pl.col("fault") == str(fault))["id"])


def correlation(frame: pl.DataFrame, left: str, right: str) -> float:
    value = frame.select(pl.corr(left, right)).item()
    assert isinstance(value, float)
    return value


def share(frame: pl.DataFrame, condition: pl.Expr) -> float:
    value = frame.select(condition.mean()).item()
    assert isinstance(value, float)
    return value


# Clean tables


@given(customers=few, seed=seeds, labelled=st.booleans())
@unhurried
def test_clean_tables_keep_every_rule_of_an_accepted_drop(customers: int, seed: int, *, labelled: bool) -> None:
    tables = make_tables(customers=customers, seed=seed, labelled=labelled)
    assert {name: frame.height for name, frame in tables.items()} == {
        "market_file": customers,
        "market_money": 3 * customers,
        "market_time": 2 * customers,
        "money": customers,
    }
    for name, frame in tables.items():
        table = TABLES[name]
        assert frame.columns == [heading.delivered for heading in table.expected(labelled=labelled)]
        check(inside(table, frame), table.contract(labelled=labelled))


@given(customers=few, more=few, seed=seeds)
@unhurried
def test_a_smaller_sample_is_the_beginning_of_a_larger_one(customers: int, more: int, seed: int) -> None:
    small = make_tables(customers=customers, seed=seed, labelled=True)
    large = make_tables(customers=customers + more, seed=seed, labelled=True)
    assert_same(small, {name: frame.head(small[name].height) for name, frame in large.items()})


@given(customers=few, seed=seeds)
@unhurried
def test_without_labels_all_else_is_the_same(customers: int, seed: int) -> None:
    labelled = make_tables(customers=customers, seed=seed, labelled=True)
    unlabelled = make_tables(customers=customers, seed=seed, labelled=False)
    assert_same({**labelled, "market_file": labelled["market_file"].drop(LABEL)}, unlabelled)


@given(seed=seeds)
@unhurried
def test_another_seed_gives_other_customers(seed: int) -> None:
    one = make_tables(customers=20, seed=seed, labelled=False)
    other = make_tables(customers=20, seed=seed + 1, labelled=False)
    for name, frame in one.items():
        assert not frame.equals(other[name])


def test_the_mixing_is_splitmix64() -> None:
    state = pl.Series([0x9E3779B97F4A7C15 * step % 2**64 for step in (1, 2, 3)], dtype=pl.UInt64)
    assert pl.select(splitmix64(pl.lit(state))).to_series().to_list() == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]


def test_the_values_of_a_seed_never_change() -> None:
    tables = make_tables(customers=1000, seed=7, labelled=False)
    text = "".join(frame.write_csv() for frame in tables.values())
    assert sha256(text.encode()).hexdigest() == "39c69338572437e2af519104002df74d7612965f974ed655a1e3ca874b9217c6"


def test_ids_are_consecutive(clean: dict[str, pl.DataFrame]) -> None:
    ids = pl.Series("id", range(FIRST_ID, FIRST_ID + MANY))
    assert_series_equal(clean["market_file"]["id"], ids)
    assert_series_equal(clean["money"]["id"], ids)
    assert_series_equal(clean["market_money"]["id"].gather_every(3), ids)
    assert_series_equal(clean["market_time"]["id"].gather_every(2), ids)


@pytest.mark.parametrize(("name", "orders"), [("market_money", 6), ("market_time", 2)])
def test_months_come_in_every_order_alike(clean: dict[str, pl.DataFrame], name: str, orders: int) -> None:
    found = clean[name].group_by("id").agg(pl.col("Период").str.join("|"))["Период"].value_counts()
    assert found.height == orders
    assert found["count"].to_list() == pytest.approx([MANY / orders] * orders, rel=0.05)


@pytest.mark.parametrize(
    ("heading", "value", "expected"),
    [
        (LABEL, "Снизилась", 498 / 1300),
        ("Тип сервиса", "премиум", 376 / 1300),
        ("Разрешить сообщать", "нет", 338 / 1300),
        ("Популярная_категория", "Товары для детей", 330 / 1300),
        ("Популярная_категория", "Косметика и аксессуары", 223 / 1300),
        ("Популярная_категория", "Кухонная посуда", 138 / 1300),
        ("Маркет_актив_тек_мес", 4, 669 / 1300),
        ("Средний_просмотр_категорий_за_визит", 3, 356 / 1300),
        ("Неоплаченные_продукты_штук_квартал", 0, 116 / 1300),
        ("Ошибка_сервиса", 4, 257 / 1300),
        ("Страниц_за_визит", 1, 20 / 1300),
        ("Страниц_за_визит", 8, 109 / 1300),
    ],
)
def test_shares_are_those_of_the_export(
    clean: dict[str, pl.DataFrame], heading: str, value: str | int, expected: float
) -> None:
    assert share(clean["market_file"], pl.col(heading) == value) == pytest.approx(expected, abs=0.01)


def test_ranges_are_those_of_the_export(clean: dict[str, pl.DataFrame]) -> None:
    frames = [
        clean["market_file"],
        clean["market_money"].filter(CURRENT).drop("Период"),
        clean["market_time"].filter(CURRENT).drop("Период"),
    ]
    ranges = {
        column: (frame[column].min(), frame[column].max())
        for frame in frames
        for column in frame.columns
        if frame[column].dtype.is_numeric() and column != "id"
    }
    assert ranges == {
        "Маркет_актив_6_мес": (0.9, 6.6),
        "Маркет_актив_тек_мес": (3, 5),
        "Длительность": (110, 1079),
        "Акционные_покупки": (0.11, 0.99),
        "Средний_просмотр_категорий_за_визит": (1, 6),
        "Неоплаченные_продукты_штук_квартал": (0, 10),
        "Ошибка_сервиса": (0, 9),
        "Страниц_за_визит": (1, 20),
        "Выручка": (2989.4, 7591.1),
        "минут": (4, 23),
    }


def test_promotions_have_two_kinds_of_customers(clean: dict[str, pl.DataFrame]) -> None:
    promo = pl.col("Акционные_покупки")
    assert share(clean["market_file"], promo > 0.88) == pytest.approx(0.128, abs=0.01)
    assert share(clean["market_file"], promo.is_between(0.48, 0.88)) < 0.005


def test_revenue_of_the_months_is_linked_as_in_the_export(clean: dict[str, pl.DataFrame]) -> None:
    months = clean["market_money"].pivot("Период", index="id", values="Выручка")
    now, before, earliest = "текущий_месяц", "предыдущий_месяц", "препредыдущий_месяц"
    assert correlation(months, now, before) == pytest.approx(0.84, abs=0.02)
    assert correlation(months, before, earliest) == pytest.approx(0.33, abs=0.02)
    assert correlation(months, now, earliest) == pytest.approx(0.12, abs=0.02)
    assert months[[now, before, earliest]].mean().row(0) == pytest.approx((5238, 4947, 4836), rel=0.01)
    assert months[[now, before, earliest]].select(pl.all().std()).row(0) == pytest.approx((834, 701, 334), rel=0.03)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("revenue_change", (-0.09, 0.00, 0.06, 0.12, 0.22)),
        ("revenue_change_2_months", (-0.20, 0.00, 0.04, 0.21, 0.41)),
    ],
)
def test_changes_of_revenue_are_spread_as_in_the_export(change: str, expected: tuple[float, ...]) -> None:
    customers = sample.draw_customers(sample._rows(0, MANY)["id"], seed=1)
    changes = customers.select(
        column for column in feature_columns() if column.meta.output_name() == change
    ).to_series()
    found = [changes.quantile(level) for level in (0.05, 0.25, 0.5, 0.75, 0.95)]
    assert found == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize(
    ("customers", "seed", "options"),
    [
        (1_300, 1, {"labelled": True}),
        (1_300, 2, {"labelled": False, "clean": True}),
        (5_000, 7, {"labelled": False}),
        (5_000, 8, {"labelled": True, "clean": True}),
        (50_000, 3, {"labelled": False}),
    ],
)
def test_the_job_sees_no_drift_in_a_sample(
    tmp_path: Path, artifact: Artifact, customers: int, seed: int, options: dict[str, bool]
) -> None:
    """Nothing at all, with the shipped model; and not just below the limits."""
    write_drop(tmp_path / "drop", customers=customers, seed=seed, **options)
    files = wait_for_files(tmp_path / "drop", Arrival())
    intake = accept_drop(files, labelled=options["labelled"], limits=Limits())
    prepared = prepare(intake.tables)
    reference = read_reference(artifact.manifest)
    assert reference is not None
    levels = find_levels(intake.levels, artifact.levels, None)
    scores = score_customers(prepared, artifact, levels)["decline_probability"]
    counts = count_drift(levels.at_training(prepared.features), scores, reference)
    drift = judge_drift(counts, reference, delivered=intake.customers_in)
    assert tell_findings(drift) == []
    assert drift["severity"] == "none"
    assert drift["score"]["psi"] < WARN / 2
    assert max(feature["psi"] for feature in drift["features"]) < WARN / 2
    assert drift["roc_auc"]["estimate"] == pytest.approx(drift["roc_auc"]["training_estimate"], abs=0.02)


def test_profit_has_mean_4_and_deviation_1_and_tells_nothing_of_the_label(clean: dict[str, pl.DataFrame]) -> None:
    assert clean["money"]["Прибыль"].mean() == pytest.approx(4.0, abs=0.02)
    assert clean["money"]["Прибыль"].std() == pytest.approx(1.01, abs=0.02)
    joined = clean["market_file"].join(clean["money"], on="id").with_columns(declines=pl.col(LABEL) == "Снизилась")
    assert correlation(joined, "Прибыль", "declines") == pytest.approx(0, abs=0.02)
    assert correlation(joined, "id", "declines") == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("Страниц_за_визит", -0.52),
        ("Средний_просмотр_категорий_за_визит", -0.37),
        ("Неоплаченные_продукты_штук_квартал", 0.35),
        ("Акционные_покупки", 0.42),
        ("Маркет_актив_6_мес", -0.39),
        ("Маркет_актив_тек_мес", 0),
        ("Ошибка_сервиса", -0.08),
        ("Длительность", 0),
    ],
)
def test_the_label_follows_behaviour(clean: dict[str, pl.DataFrame], heading: str, expected: float) -> None:
    """As in the export, but for errors (there -0.10) and the days since registration (there 0.06)."""
    frame = clean["market_file"].with_columns(declines=pl.col(LABEL) == "Снизилась")
    assert correlation(frame, heading, "declines") == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        ("Товары для детей", 0.44),
        ("Домашний текстиль", 0.40),
        ("Косметика и аксессуары", 0.47),
        ("Техника для красоты и здоровья", 0.27),
        ("Мелкая бытовая техника и электроника", 0.16),
        ("Кухонная посуда", 0.48),
    ],
)
def test_declines_are_as_frequent_in_each_category_as_in_the_export(
    clean: dict[str, pl.DataFrame], category: str, expected: float
) -> None:
    own = clean["market_file"].filter(pl.col("Популярная_категория") == category)
    assert share(own, pl.col(LABEL) == "Снизилась") == pytest.approx(expected, abs=0.03)


def test_the_stated_formula_ranks_declines_with_roc_auc_0_92() -> None:
    """Of all pairs of a decline and a level customer, the share that the formula ranks right (the Mann-Whitney U)."""
    customers = sample._customers(sample._rows(0, MANY), seed=1, labelled=True)
    score = sum(
        (coefficient * pl.col(name) for name, coefficient in sample.FIGURES["label"].items()), start=pl.lit(0.0)
    )
    ranked = customers.select(rank=score.rank(), declines=pl.col("activity") == "Снизилась")
    declines = int(ranked["declines"].sum())
    pairs = declines * (MANY - declines)
    right = float(ranked.filter("declines")["rank"].sum()) - declines * (declines + 1) / 2
    assert right / pairs == pytest.approx(0.92, abs=0.01)


@pytest.mark.parametrize("customers", [0, -1, 1_000_000_001])
def test_a_wrong_number_of_customers_is_refused(customers: int, tmp_path: Path) -> None:
    message = f"customers: found {customers}, expected a whole number from 1 to 1,000,000,000"
    with pytest.raises(SettingsError) as caught:
        write_drop(tmp_path / "drop", customers=customers, seed=1, labelled=True)
    assert str(caught.value) == message
    assert list(tmp_path.iterdir()) == []


# Dirt


@given(customers=st.integers(1, 3000), seed=seeds)
@unhurried
def test_no_customer_has_two_faults_and_every_kind_is_there_from_1000_on(customers: int, seed: int) -> None:
    plan = plan_faults(customers=customers, seed=seed)
    assert plan["id"].is_unique().all()
    assert plan["id"].is_between(FIRST_ID, FIRST_ID + customers - 1).all()
    counts = {(table, fault): count for table, fault, count in plan.group_by("table", "fault").len().iter_rows()}
    least = 1 if customers >= 1000 else 0
    assert counts == {
        (fault.table, str(fault.fault)): max(least, round(fault.share * customers))
        for fault in FAULTS
        if max(least, round(fault.share * customers))
    }


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_0_2_percent_of_each_tables_rows_are_unusable(dirty: dict[str, pl.DataFrame], table: Table) -> None:
    faults = plan_faults(customers=MANY, seed=1).filter(
        pl.col("table") == table.name,
        ~pl.col("fault").is_in([str(Fault.ZERO_MONTHS), str(Fault.SPIKE)]),
    )
    assert faults.height / dirty[table.name].height == pytest.approx(0.002, rel=0.01)


def test_misspellings_have_their_real_rates(clean: dict[str, pl.DataFrame], dirty: dict[str, pl.DataFrame]) -> None:
    standard = dirty["market_file"].filter(pl.col("Тип сервиса") != "премиум")
    assert share(standard, pl.col("Тип сервиса") == "стандартт") == pytest.approx(10 / 924, rel=0.15)
    assert set(dirty["market_time"]["Период"]) == {"текущий_месяц", "предыдцщий_месяц"}
    assert set(dirty["market_money"]["Период"]) == set(clean["market_money"]["Период"])
    categories = set(clean["market_file"]["Популярная_категория"])
    assert set(dirty["market_file"]["Популярная_категория"]) == categories - {"Косметика и аксессуары"} | {
        "Косметика и аксесуары"
    }


def test_dirt_is_where_the_plan_says_and_nowhere_else(
    clean: dict[str, pl.DataFrame], dirty: dict[str, pl.DataFrame]
) -> None:
    """Undo nothing, count everything: the rows that differ from the clean ones are the planned ones."""

    def ids(table: Table, fault: Fault) -> list[int]:
        return planned(MANY, 1, table, fault)

    file = dirty["market_file"]
    before = clean["market_file"]
    assert sorted(file.filter(pl.col("Акционные_покупки") > 1)["id"]) == ids(MARKET_FILE, Fault.OUT_OF_RANGE)
    assert sorted(file.filter(pl.col("id").is_duplicated())["id"].unique()) == ids(MARKET_FILE, Fault.CONTRADICTION)
    untouched = [LABEL, "Длительность", "Ошибка_сервиса", "Страниц_за_визит"]
    assert_frame_equal(file.head(MANY)[untouched], before[untouched])
    extra = file.tail(-MANY)
    assert_series_equal(
        extra["Страниц_за_визит"],
        extra[["id"]].join(before, on="id", how="left", maintain_order="left")["Страниц_за_визит"] + 1,
    )

    money = dirty["market_money"].head(3 * MANY)
    revenue = money.with_columns(
        number=pl.col("Выручка").cast(pl.Float64, strict=False), clean=clean["market_money"]["Выручка"]
    )
    zero = revenue.filter(pl.col("number") == 0)
    assert sorted(zero["id"].unique()) == ids(MARKET_MONEY, Fault.ZERO_MONTHS)
    assert zero.height == 2 * zero["id"].n_unique()
    assert not zero["Период"].is_in(["текущий_месяц"]).any()
    spiked = revenue.filter(pl.col("number") > 10_000)
    assert sorted(spiked["id"]) == ids(MARKET_MONEY, Fault.SPIKE)
    assert spiked["number"].to_list() == pytest.approx((spiked["clean"] * 20).to_list(), abs=0.05)
    assert sorted(money.filter(pl.col("Выручка") == "н/д")["id"]) == ids(MARKET_MONEY, Fault.UNPARSEABLE)
    assert sorted(money.filter(pl.col("Выручка").is_null())["id"]) == ids(MARKET_MONEY, Fault.EMPTY)
    assert sorted(dirty["market_money"].tail(-3 * MANY)["id"]) == ids(MARKET_MONEY, Fault.DUPLICATE)
    changed = revenue.filter(pl.col("number").ne_missing(pl.col("clean")))
    assert changed.height == 2 * len(ids(MARKET_MONEY, Fault.ZERO_MONTHS)) + sum(
        len(ids(MARKET_MONEY, fault)) for fault in (Fault.SPIKE, Fault.UNPARSEABLE, Fault.EMPTY)
    )

    time = dirty["market_time"]
    assert sorted(time.filter(pl.col("минут") > 44_640)["id"]) == ids(MARKET_TIME, Fault.OUT_OF_RANGE)
    assert sorted(time.filter(time.is_duplicated())["id"].unique()) == ids(MARKET_TIME, Fault.DUPLICATE)
    profit = dirty["money"]
    assert sorted(profit.filter(pl.col("Прибыль").is_null())["id"]) == ids(MONEY, Fault.EMPTY)
    orphans = profit.join(file, on="id", how="anti")
    assert sorted(orphans["id"] - sample.ORPHAN_OFFSET) == ids(MONEY, Fault.ORPHAN)


@given(seed=seeds)
@unhurried
def test_exact_duplicates_are_exact(seed: int) -> None:
    dirty = soil(make_tables(customers=1000, seed=seed, labelled=False), seed=seed)
    for table in (MARKET_MONEY, MARKET_TIME):
        frame = dirty[table.name]
        doubled = frame.filter(frame.is_duplicated())
        assert sorted(doubled["id"]) == sorted(2 * planned(1000, seed, table, Fault.DUPLICATE))


def test_spelt_right_only_the_planned_cells_break_a_rule(dirty: dict[str, pl.DataFrame]) -> None:
    for table, fault, column in (
        (MARKET_FILE, Fault.OUT_OF_RANGE, "promo_share"),
        (MARKET_TIME, Fault.OUT_OF_RANGE, "minutes"),
    ):
        frame = inside(table, dirty[table.name])
        others = frame.filter(~pl.col("id").is_in(planned(MANY, 1, table, fault)))
        check(others, table.contract(labelled=True, whole=False))
        with pytest.raises(SchemaErrors) as caught:
            check(frame, table.contract(labelled=True, whole=False))
        assert {error["column"] for error in caught.value.failure_cases.iter_rows(named=True)} == {column}


def test_soil_leaves_its_argument_alone(clean: dict[str, pl.DataFrame], dirty: dict[str, pl.DataFrame]) -> None:
    assert_same(clean, make_tables(customers=MANY, seed=1, labelled=True))
    assert dirty["market_file"].height > clean["market_file"].height


# On the disk


def test_a_csv_drop_looks_like_the_export(tmp_path: Path) -> None:
    rows = write_drop(tmp_path / "deep" / "drop", customers=1300, seed=1, labelled=True)
    files = contents(tmp_path / "deep" / "drop")
    assert list(files) == ["market_file.csv", "market_money.csv", "market_time.csv", "money.csv"]
    for name, content in files.items():
        lines = content.decode("utf-8").split("\r\n")
        assert lines[-1] == ""
        assert "\n" not in content.decode("utf-8").replace("\r\n", "")
        assert len(lines) - 2 == rows[name.removesuffix(".csv")]
    assert rows == {"market_file": 1301, "market_money": 3903, "market_time": 2603, "money": 1301}
    headings = {name: content.decode().split("\r\n")[0] for name, content in files.items()}
    assert headings["market_file.csv"] == ",".join(heading.delivered for heading in MARKET_FILE.headings)
    assert headings["market_money.csv"] == "id,Период,Выручка"
    assert headings["market_time.csv"] == "id,Период,минут"
    assert headings["money.csv"] == "id;Прибыль"


def test_numbers_are_written_as_in_the_export(tmp_path: Path) -> None:
    write_drop(tmp_path, customers=2000, seed=1, labelled=False, clean=True)
    patterns = {
        "market_money": r"^\d+,[а-я_]+,\d{4}\.\d$",
        "market_time": r"^\d+,[а-я_]+,\d{1,2}$",
        "money": r"^\d+;\d(,\d?[1-9])?$",
        "market_file": r"^\d+,(стандарт|премиум),(да|нет),\d\.\d,[345],\d{3,4},0\.\d{1,2},[А-Яа-я ]+,\d,\d+,\d,\d+$",
    }
    for name, pattern in patterns.items():
        lines = pl.Series((tmp_path / f"{name}.csv").read_text(encoding="utf-8").splitlines()[1:])
        assert lines.filter(~lines.str.contains(pattern)).to_list() == []
    profits = (tmp_path / "money.csv").read_text(encoding="utf-8")
    assert ",0\n" not in profits
    assert ";4\n" in profits


@pytest.mark.parametrize("clean", [True, False])
def test_csv_and_parquet_hold_the_tables_in_order(tmp_path: Path, *, clean: bool) -> None:
    write_drop(tmp_path / "csv", customers=1500, seed=3, labelled=True, clean=clean)
    write_drop(tmp_path / "parquet", customers=1500, seed=3, labelled=True, clean=clean, table_format="parquet")
    tables = make_tables(customers=1500, seed=3, labelled=True)
    expected = tables if clean else soil(tables, seed=3)
    for name, frame in expected.items():
        assert_frame_equal(pl.read_parquet(tmp_path / "parquet" / f"{name}.parquet"), frame)
        is_money = name == "money"
        read = pl.read_csv(
            tmp_path / "csv" / f"{name}.csv",
            schema=frame.schema,
            separator=";" if is_money else ",",
            decimal_comma=is_money,
        )
        assert_frame_equal(read, frame, check_exact=True)


@pytest.mark.parametrize("clean", [True, False])
def test_pieces_make_the_same_drop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, clean: bool) -> None:
    write_drop(tmp_path / "whole", customers=1100, seed=3, labelled=True, clean=clean)
    monkeypatch.setattr(sample, "_PIECE", 600)
    write_drop(tmp_path / "pieces", customers=1100, seed=3, labelled=True, clean=clean)
    assert contents(tmp_path / "whole") == contents(tmp_path / "pieces")


@pytest.mark.parametrize("table_format", ["csv", "parquet"])
def test_shuffled_tables_hold_the_same_rows_in_another_order(tmp_path: Path, table_format: str) -> None:
    arguments: dict[str, Any] = {"customers": 1200, "seed": 3, "labelled": True, "table_format": table_format}
    write_drop(tmp_path / "ordered", **arguments)
    write_drop(tmp_path / "shuffled", **arguments, shuffled=True)
    write_drop(tmp_path / "again", **arguments, shuffled=True)
    assert contents(tmp_path / "shuffled") == contents(tmp_path / "again")
    for name in TABLES:
        frames = [
            pl.read_csv(tmp_path / folder / f"{name}.csv", infer_schema=False, separator="\x01")
            if table_format == "csv"
            else pl.read_parquet(tmp_path / folder / f"{name}.parquet")
            for folder in ("ordered", "shuffled")
        ]
        assert not frames[0].equals(frames[1])
        assert_frame_equal(*frames, check_row_order=False)


def test_the_bytes_repeat_in_another_process_with_another_number_of_threads(tmp_path: Path) -> None:
    write_drop(tmp_path / "here", customers=3000, seed=-5, labelled=True)
    script = (
        "import pathlib, sys; from job.sample import write_drop;"
        "write_drop(pathlib.Path(sys.argv[1]), customers=3000, seed=-5, labelled=True)"
    )
    environment = {
        **os.environ,
        "POLARS_MAX_THREADS": "3",
        "PYTHONHASHSEED": "11",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "there")], check=True, env=environment)
    write_drop(tmp_path / "other", customers=3000, seed=-6, labelled=True)
    here, there, other = (contents(tmp_path / name) for name in ("here", "there", "other"))
    assert here == there
    assert all(here[name] != other[name] for name in here)


def test_a_folder_with_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError) as caught:
        write_drop(tmp_path, customers=10, seed=1, labelled=True)
    assert caught.value.problems == (f"{tmp_path}: found a folder with a, b.txt, expected a new or empty folder",)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a", "b.txt"]


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "drop"
    place.write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError) as caught:
        write_drop(place, customers=10, seed=1, labelled=True)
    assert caught.value.problems == (f"{place}: found a file, expected a new or empty folder",)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    place = tmp_path / "file" / "drop"
    with pytest.raises(OutputError) as caught:
        write_drop(place, customers=10, seed=1, labelled=True)
    assert caught.value.problems == (f"{place}: found Not a directory, expected a folder that can be written",)


@pytest.mark.parametrize("table_format", ["csv", "parquet"])
def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table_format: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, f"write_{table_format}", fail)
    with pytest.raises(OutputError) as caught:
        write_drop(tmp_path, customers=10, seed=1, labelled=True, table_format=table_format)
    expected = f"{tmp_path}: found No space left on device, expected a folder that can be written"
    assert caught.value.problems == (expected,)
    assert list(tmp_path.iterdir()) == []


def test_rests_of_a_killed_run_are_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".market_file.csv.partial").write_text("half", encoding="utf-8")
    (tmp_path / ".money.parquet.partial").write_text("half", encoding="utf-8")
    rows = write_drop(tmp_path, customers=10, seed=1, labelled=True)
    assert rows == {"market_file": 10, "market_money": 30, "market_time": 20, "money": 10}
    assert list(contents(tmp_path)) == ["market_file.csv", "market_money.csv", "market_time.csv", "money.csv"]
