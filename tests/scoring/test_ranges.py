"""Ranges of ids: what is done with them one by one comes to what is done with all ids at once."""

from __future__ import annotations

import io
import pickle
from functools import partial, reduce
from operator import add
from typing import TYPE_CHECKING, NamedTuple

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from job.intake.drop import wait_for_files
from job.intake.reconcile import read_drop
from job.models.artifact import default_folder
from job.report.data import HASH_BINS
from job.sample import write_drop
from job.scoring.cutoffs import Cutoffs, add_bins, add_histograms, find_places, last_ranks
from job.scoring.ranges import (
    Finish,
    FinishedCounts,
    Order,
    RangeCounts,
    count_order,
    fetch_order,
    finish_range,
    score_range,
)
from job.scoring.score import load_setup
from job.settings import Arrival, Campaign
from job.spill import SpillSpace
from schemas.scored import SCORED_DTYPES, check_scored

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from job.intake.reconcile import DropRead
    from job.scoring.cutoffs import Place
    from job.scoring.ranges import ScoredRange
    from job.scoring.score import Setup

ROWS = 700  # of the four tables, in a range


class Ranges(NamedTuple):
    """A drop scored at once and range by range. Args: setup: what with; whole: of all ids; parts: of the ranges."""

    setup: Setup
    whole: ScoredRange
    parts: list[ScoredRange]

    @property
    def total(self) -> RangeCounts:
        """What is counted of the ranges together."""
        return reduce(add, [part.counts for part in self.parts])


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> DropRead:
    folder = tmp_path_factory.mktemp("ranges") / "drop"
    write_drop(folder, customers=500, seed=3, labelled=False)
    return read_drop(wait_for_files(folder, Arrival()), labelled=False)


@pytest.fixture(scope="module")
def ranges(drop: DropRead) -> Ranges:
    setup = load_setup(default_folder(), None, Campaign())
    score = partial(score_range, drop=drop, setup=setup, space=SpillSpace())
    bounds = drop.bounds(ROWS)
    assert len(bounds) > 2
    return Ranges(setup, score((None, None)), [score(bound) for bound in bounds])


@pytest.fixture(scope="module")
def deciles(ranges: Ranges) -> tuple[Place, ...]:
    def fetch(bins: Sequence[int]) -> pl.DataFrame:
        return pl.concat([fetch_order(part.order, order=None, bins=bins) for part in ranges.parts])

    counts = ranges.total
    return find_places(add_bins([counts.by_risk]), last_ranks(counts.scored), fetch)


def finish(ranges: Ranges, deciles: tuple[Place, ...], folder: Path | None = None) -> Finish:
    return Finish(ranges.setup, Cutoffs(deciles), HASH_BINS, SpillSpace(), folder)


@pytest.mark.parametrize("name", ["customers", "order", "excluded"])
def test_rows_of_ranges_are_those_of_all_ids(name: str, ranges: Ranges) -> None:
    rows = pl.concat([getattr(part, name).read() for part in ranges.parts])
    assert rows.height > 0
    assert rows["id"].is_sorted()
    assert_frame_equal(rows, getattr(ranges.whole, name).read(), check_exact=True)


def test_counts_of_ranges_add_up(ranges: Ranges) -> None:
    total, whole = ranges.total, ranges.whole.counts
    assert (total.scored, total.fates, total.excluded) == (whole.scored, whole.fates, whole.excluded)
    assert total.rows == whole.rows
    empty = whole.by_risk.clear()
    assert_frame_equal(add_histograms(empty, total.by_risk), add_histograms(empty, whole.by_risk))
    assert_frame_equal(total.by_hash, whole.by_hash, check_row_order=False)


def test_every_row_has_one_fate(ranges: Ranges) -> None:
    counts = ranges.whole.counts
    assert counts.scored == ranges.whole.customers.height == counts.fates["market_file"][0]
    assert sum(counts.excluded.values()) == ranges.whole.excluded.height == counts.fates["market_file"][1]
    assert counts.by_risk["rows"].sum() == counts.scored


def test_orders_of_ranges_are_those_of_all_ids(ranges: Ranges, deciles: tuple[Place, ...]) -> None:
    order = Order(ranges.setup, Cutoffs(deciles))
    parts = reduce(add_histograms, [count_order(part.customers, order=order) for part in ranges.parts])
    whole = count_order(ranges.whole.customers, order=order).sort("bin")
    assert_frame_equal(parts, whole)
    bins = whole["bin"].head(2).to_list()
    rows = pl.concat([fetch_order(part.customers, order=order, bins=bins) for part in ranges.parts])
    assert rows.height == whole["rows"].head(2).sum()
    assert_frame_equal(rows, fetch_order(ranges.whole.customers, order=order, bins=bins))


def test_finished_ranges_are_all_ids_finished(ranges: Ranges, deciles: tuple[Place, ...]) -> None:
    step = partial(finish_range, finish=finish(ranges, deciles))
    parts, whole = [step(part.customers) for part in ranges.parts], step(ranges.whole.customers)
    scored = pl.concat([part.scored for part in parts if part.scored is not None])
    assert whole.scored is not None
    check_scored(scored)
    assert_frame_equal(scored, whole.scored, check_exact=True)
    texts = [part.text for part in (*parts, whole)]
    text = b"".join(text.getvalue() for text in texts[:-1] if isinstance(text, io.BytesIO))
    assert isinstance(texts[-1], io.BytesIO)
    assert text == texts[-1].getvalue()
    assert sum(part.contacts.height for part in parts) == whole.contacts.height > 0
    counts = FinishedCounts.total([part.counts for part in parts])
    assert_frame_equal(counts.groups, whole.counts.groups, check_row_order=False)
    assert counts.drift is not None
    assert whole.counts.drift is not None
    keys = counts.drift.columns[:2]
    assert_frame_equal(counts.drift.sort(keys), whole.counts.drift.sort(keys))
    assert_frame_equal(counts.sample, whole.counts.sample)


def test_steps_can_be_sent_elsewhere(ranges: Ranges, deciles: tuple[Place, ...], tmp_path: Path) -> None:
    here = finish_range(ranges.whole.customers, finish=finish(ranges, deciles))
    sent = pickle.dumps((partial(finish_range, finish=finish(ranges, deciles, tmp_path)), ranges.whole.customers))
    step, customers = pickle.loads(sent)  # noqa: S301 - made here
    there = step(customers)
    assert there.scored is None
    assert there.parquet.parent == there.text.parent == tmp_path
    rows = pl.read_parquet(there.parquet)
    assert rows.schema == SCORED_DTYPES
    assert here.scored is not None
    assert_frame_equal(rows, here.scored)
    assert isinstance(here.text, io.BytesIO)
    assert there.text.read_bytes() == here.text.getvalue()
