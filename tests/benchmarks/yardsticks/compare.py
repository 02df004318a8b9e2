"""Compares what yardsticks wrote with what the job wrote, so that like is measured with like.

Usage: python -m tests.benchmarks.yardsticks.compare JOB.parquet OTHER.csv
Prints a line of JSON: customers scored by both, by the job alone, by the other alone, the largest difference of
their probabilities, and their correlation.
"""

from __future__ import annotations

import json
import sys

import polars as pl


def compare(ours: pl.LazyFrame, theirs: pl.LazyFrame) -> dict[str, float]:
    """Return how two scorings differ. A customer that is scored twice counts as scored by that side alone.

    Probabilities of customers with the id of one of training are not compared: the job has them from other models.
    """
    once = pl.len().over("id") == 1
    columns = ["id", "decline_probability"]
    both = (
        ours.select(*columns, "in_training")
        .with_columns(once=once)
        .filter("once")
        .join(theirs.select(columns).with_columns(once=once).filter("once"), on="id", suffix="_theirs")
    )
    difference = (pl.col("decline_probability") - pl.col("decline_probability_theirs")).abs()
    found = both.select(
        both=pl.len(),
        difference=difference.filter(~pl.col("in_training")).max(),
        correlation=pl.corr("decline_probability", "decline_probability_theirs"),
    ).collect()
    left, right = (int(side.select(pl.col("id").n_unique()).collect().item()) for side in (ours, theirs))
    row = found.row(0, named=True)
    return {**row, "only_ours": left - row["both"], "only_theirs": right - row["both"]}


if __name__ == "__main__":
    print(json.dumps(compare(pl.scan_parquet(sys.argv[1]), pl.scan_csv(sys.argv[2]))))
