from __future__ import annotations

import json

import numpy as np
import polars as pl

from job.models.training_rows import seen_probability, to_training_rows

IDS = pl.Series("id", [11, 12])
FEATURES = pl.DataFrame(
    {
        "pages_per_visit": [3.0, 4.0],
        "registered_days": [100.0, 200.0],
        "unpaid_items_quarter": [0.0, 1.0],
        "minutes_current_month": [10.0, 20.0],
        "promo_share": [0.1, 0.2],
        "favourite_category": ["kitchenware", "home_textiles"],
    }
)


def test_a_customer_seen_in_training_is_found_and_others_are_not() -> None:
    known = json.loads(json.dumps(to_training_rows(IDS, FEATURES, np.array([0.25, 0.75]), seed=1)))
    assert seen_probability(IDS, FEATURES, known).to_list() == [0.25, 0.75]
    assert seen_probability(IDS.reverse(), FEATURES, known).to_list() == [None, None]
    for changed in ({"pages_per_visit": [3.0, 5.0]}, {"promo_share": [0.1, 0.3]}):
        assert seen_probability(
            IDS, FEATURES.with_columns(**{name: pl.Series(values) for name, values in changed.items()}), known
        ).to_list() == [0.25, None]


def test_an_artifact_without_marks_gives_the_same() -> None:
    known = to_training_rows(IDS, FEATURES, np.array([0.25, 0.75]), seed=1)
    assert all(0 <= mark < 2**20 for mark in known["marks"])
    del known["marks"]
    assert seen_probability(IDS, FEATURES, known).to_list() == [0.25, 0.75]


def test_the_artifact_holds_no_raw_id() -> None:
    known = to_training_rows(pl.Series([987654321]), FEATURES.head(1), np.array([0.5]), seed=1)
    assert "987654321" not in json.dumps(known)
    assert len(known["probability"]) == 1


def test_the_order_of_the_rows_does_not_matter() -> None:
    forth = to_training_rows(IDS, FEATURES, np.array([0.25, 0.75]), seed=1)
    back = to_training_rows(IDS.reverse(), FEATURES.reverse(), np.array([0.75, 0.25]), seed=1)
    assert json.dumps(forth) == json.dumps(back)


def test_nobody_seen() -> None:
    assert seen_probability(IDS, FEATURES, {"salt": "", "probability": {}}).to_list() == [None, None]
