"""The same job as the pandas script in DuckDB's SQL, with the shipped linear model written out.

It reads the same dirty drops. It knows the misspellings of the export and how `money.csv` is written; a line that does
not parse is skipped, and customers with something missing fall out. Probabilities equal the job's to 1e-9. It checks
nothing else and explains nothing. A customer with two contradicting rows is scored twice.

Usage: python -m tests.benchmarks.yardsticks.duckdb_script DROP ARTIFACT OUT THREADS
"""

from __future__ import annotations

import json
import math
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import duckdb

HEADINGS = {
    "id": "BIGINT",
    "Тип сервиса": "VARCHAR",
    "Разрешить сообщать": "VARCHAR",
    "Маркет_актив_6_мес": "DOUBLE",
    "Маркет_актив_тек_мес": "BIGINT",
    "Длительность": "BIGINT",
    "Акционные_покупки": "DOUBLE",
    "Популярная_категория": "VARCHAR",
    "Средний_просмотр_категорий_за_визит": "BIGINT",
    "Неоплаченные_продукты_штук_квартал": "BIGINT",
    "Ошибка_сервиса": "BIGINT",
    "Страниц_за_визит": "BIGINT",
}
TABLES = {
    "market_file": HEADINGS,
    "market_money": {"id": "BIGINT", "Период": "VARCHAR", "Выручка": "DOUBLE"},
    "market_time": {"id": "BIGINT", "Период": "VARCHAR", "минут": "BIGINT"},
    "money": {"id": "BIGINT", "Прибыль": "DOUBLE"},
}
SERVICES = {"стандарт": "standard", "стандартт": "standard", "премиум": "premium"}
CATEGORIES = {
    "Товары для детей": "children_goods",
    "Домашний текстиль": "home_textiles",
    "Косметика и аксессуары": "cosmetics_accessories",
    "Косметика и аксесуары": "cosmetics_accessories",
    "Техника для красоты и здоровья": "beauty_health_devices",
    "Мелкая бытовая техника и электроника": "small_appliances_electronics",
    "Кухонная посуда": "kitchenware",
}

CUSTOMERS = """
WITH money_by_month AS (
    SELECT id,
        max("Выручка") FILTER ("Период" = 'текущий_месяц') AS revenue_current_month,
        max("Выручка") FILTER ("Период" = 'предыдущий_месяц') AS revenue_previous_month,
        max("Выручка") FILTER ("Период" = 'препредыдущий_месяц') AS revenue_month_before_previous
    FROM {market_money} GROUP BY id
), time_by_month AS (
    SELECT id,
        max("минут") FILTER ("Период" = 'текущий_месяц') AS minutes_current_month,
        max("минут") FILTER ("Период" IN ('предыдущий_месяц', 'предыдцщий_месяц')) AS minutes_previous_month
    FROM {market_time} GROUP BY id
), customers AS (
    SELECT id, "Прибыль" AS monthly_profit,
        "Маркет_актив_6_мес" AS contacts_6_months,
        "Маркет_актив_тек_мес" AS contacts_current_month,
        "Длительность" AS registered_days,
        "Акционные_покупки" AS promo_share,
        "Средний_просмотр_категорий_за_визит" AS categories_per_visit,
        "Неоплаченные_продукты_штук_квартал" AS unpaid_items_quarter,
        "Ошибка_сервиса" AS service_errors,
        "Страниц_за_визит" AS pages_per_visit,
        revenue_current_month, revenue_previous_month, revenue_month_before_previous,
        revenue_current_month / revenue_previous_month - 1 AS revenue_change,
        revenue_current_month / revenue_month_before_previous - 1 AS revenue_change_2_months,
        minutes_current_month, minutes_previous_month,
        {service} AS service_type,
        {category} AS favourite_category
    FROM {market_file} JOIN money_by_month USING (id) JOIN time_by_month USING (id) JOIN {money} USING (id)
    WHERE revenue_current_month > 0 AND revenue_previous_month > 0 AND revenue_month_before_previous > 0
        AND minutes_current_month BETWEEN 0 AND 44640 AND minutes_previous_month BETWEEN 0 AND 44640
        AND "Прибыль" IS NOT NULL AND "Акционные_покупки" BETWEEN 0 AND 1
)"""


def main(drop: Path, artifact: Path, out: Path, threads: int) -> None:
    out.mkdir(parents=True)
    with duckdb.connect() as database:
        database.execute(f"SET threads = {threads}")
        database.execute("SET enable_progress_bar = false")
        database.execute(statement(drop, json.loads((artifact / "model.json").read_text(encoding="utf-8")), out))


def statement(drop: Path, model: dict[str, Any], out: Path) -> str:
    """Return the one statement that reads the drop, scores it and writes the CSV file."""
    customers = CUSTOMERS.format(
        **{table: source(drop, table) for table in TABLES},
        service=renamed("Тип сервиса", SERVICES),
        category=renamed("Популярная_категория", CATEGORIES),
    )
    factors, probability = linear_model(model)
    return f"""
COPY (
    {customers},
    factors AS (SELECT id, monthly_profit, {factors} FROM customers),
    scored AS (SELECT id, round({probability}, 6) AS decline_probability, monthly_profit FROM factors)
    SELECT *, round(decline_probability * monthly_profit * 3, 4) AS profit_at_risk FROM scored ORDER BY id
) TO '{out / "scored.csv"}' (HEADER)"""  # noqa: S608 - our own paths and model


def source(drop: Path, table: str) -> str:
    """Return the expression that reads a table of the drop."""
    if not (path := drop / f"{table}.csv").exists():
        columns = ", ".join(f'TRY_CAST("{name}" AS {dtype}) AS "{name}"' for name, dtype in TABLES[table].items())
        return f"(SELECT {columns} FROM read_parquet('{drop / table}.parquet')) AS {table}"  # noqa: S608
    style = "delim = ';', decimal_separator = ','" if table == "money" else "delim = ','"
    return (
        f"read_csv('{path}', header = true, auto_detect = false, columns = {TABLES[table]}, "
        f"new_line = '\\r\\n', ignore_errors = true, {style}) AS {table}"
    )


def renamed(heading: str, names: dict[str, str]) -> str:
    """Return the expression that gives each known word its name."""
    cases = " ".join(f"WHEN '{word}' THEN '{name}'" for word, name in names.items())
    return f"CASE \"{heading}\" {cases} ELSE 'unknown' END"


def linear_model(model: dict[str, Any]) -> tuple[str, str]:
    """Return the columns of the model's factors, and the calibrated probability over them.

    The terms of two factors are grouped by their first one, which halves the multiplications.
    """
    names: dict[str, str] = {}
    singles: list[str] = [repr(model["intercept"] - math.fsum(t["center"] * t["weight"] for t in model["terms"]))]
    pairs: dict[str, list[str]] = defaultdict(list)
    for term in model["terms"]:
        used = [names.setdefault(factor_of(own, model["caps"]), f"f{len(names)}") for own in term["factors"]]
        weighted = f"{used[-1]} * ({term['weight']!r})"
        (singles if len(used) == 1 else pairs[used[0]]).append(weighted)
    parts = [*singles, *(f"{first} * ({' + '.join(weighted)})" for first, weighted in pairs.items())]
    calibration, margin = model["calibration"], f"({' + '.join(parts)})::DOUBLE"
    bent = f"(ln(1 + exp(-abs({margin}))) + greatest({margin}, 0)) * ({calibration['bend']!r})"
    logit = f"{margin} * ({calibration['slope']!r}) + {bent} + ({calibration['intercept']!r})"
    columns = ", ".join(f"{expression} AS {name}" for expression, name in names.items())
    return columns, f"1 / (1 + exp(-({logit})))"


def factor_of(factor: dict[str, Any], caps: dict[str, tuple[float, float]]) -> str:
    """Return the expression of one factor. A word that the model does not know says nothing."""
    feature, center = factor["feature"], f"({factor['center']!r})::DOUBLE"
    if factor["basis"] == "equals":
        known = f"({feature} = '{factor['word']}')::DOUBLE - {center}"
        return f"CASE WHEN {feature} = 'unknown' THEN 0.0::DOUBLE ELSE {known} END"
    low, high = caps.get(feature, (-math.inf, math.inf))
    value = f"least(greatest({feature}::DOUBLE, {low!r}::DOUBLE), {high!r}::DOUBLE)" if feature in caps else feature
    if factor["basis"] == "above":
        return f"greatest({value} - ({factor['knot']!r})::DOUBLE, 0) - {center}"
    return f"{value}::DOUBLE - {center}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
