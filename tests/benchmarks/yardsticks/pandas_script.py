"""The script that somebody with pandas and scikit-learn writes: read, pivot, merge, predict, write.

It reads the same dirty drops as the job. It knows the misspellings of the export and how `money.csv` is written; what
is no number is missing, and customers with something missing fall out. It checks nothing, explains nothing, and of two
rows that contradict each other it takes the first.

Usage: python -m tests.benchmarks.yardsticks.pandas_script fit DROP MODEL
       python -m tests.benchmarks.yardsticks.pandas_script score DROP MODEL OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

WORDS = ["Тип сервиса", "Популярная_категория"]
NUMBERS = [
    "Маркет_актив_6_мес",
    "Маркет_актив_тек_мес",
    "Длительность",
    "Акционные_покупки",
    "Средний_просмотр_категорий_за_визит",
    "Неоплаченные_продукты_штук_квартал",
    "Ошибка_сервиса",
    "Страниц_за_визит",
    "Выручка_текущий_месяц",
    "Выручка_предыдущий_месяц",
    "Выручка_препредыдущий_месяц",
    "изменение",
    "изменение_2",
    "минут_текущий_месяц",
    "минут_предыдущий_месяц",
]
SPELLING = {
    "стандартт": "стандарт",
    "Косметика и аксесуары": "Косметика и аксессуары",
    "предыдцщий_месяц": "предыдущий_месяц",
}


def read(drop: Path, table: str) -> pd.DataFrame:
    if (drop / f"{table}.parquet").exists():  # pandas' own Parquet reader needs pyarrow, which nobody else here needs
        raise SystemExit("this script reads CSV")
    style = {"sep": ";", "decimal": ","} if table == "money" else {}
    return pd.read_csv(drop / f"{table}.csv", na_values=["н/д"], **style)


def by_month(table: pd.DataFrame, value: str) -> pd.DataFrame:
    table["Период"] = table["Период"].replace(SPELLING)
    wide = table.pivot_table(index="id", columns="Период", values=value, aggfunc="first")
    return wide.add_prefix(f"{value}_").reset_index()


def customers_of(drop: Path) -> pd.DataFrame:
    customers = read(drop, "market_file").drop_duplicates("id")
    customers[WORDS] = customers[WORDS].replace(SPELLING)
    customers = (
        customers.merge(by_month(read(drop, "market_money"), "Выручка"), on="id")
        .merge(by_month(read(drop, "market_time"), "минут"), on="id")
        .merge(read(drop, "money"), on="id")
        .dropna()
    )
    earned = customers[[name for name in NUMBERS if name.startswith("Выручка")]].gt(0).all(axis=1)
    customers = customers[earned & customers["Акционные_покупки"].between(0, 1)].sort_values("id")
    customers["изменение"] = customers["Выручка_текущий_месяц"] / customers["Выручка_предыдущий_месяц"] - 1
    customers["изменение_2"] = customers["Выручка_текущий_месяц"] / customers["Выручка_препредыдущий_месяц"] - 1
    return customers


def fit(drop: Path, model: Path) -> None:
    customers = customers_of(drop)
    columns = ColumnTransformer([("numbers", StandardScaler(), NUMBERS), ("words", OneHotEncoder(), WORDS)])
    classifier = make_pipeline(columns, LogisticRegression(max_iter=1000))
    classifier.fit(customers[NUMBERS + WORDS], customers["Покупательская активность"] == "Снизилась")
    joblib.dump(classifier, model)


def score(drop: Path, model: Path, out: Path) -> None:
    customers = customers_of(drop)
    classifier = joblib.load(model)
    customers["decline_probability"] = classifier.predict_proba(customers[NUMBERS + WORDS])[:, 1]
    customers["profit_at_risk"] = customers["decline_probability"] * customers["Прибыль"] * 3
    out.mkdir(parents=True)
    customers[["id", "decline_probability", "Прибыль", "profit_at_risk"]].to_csv(out / "scored.csv", index=False)


if __name__ == "__main__":
    {"fit": fit, "score": score}[sys.argv[1]](*map(Path, sys.argv[2:]))
