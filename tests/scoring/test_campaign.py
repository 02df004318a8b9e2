"""Who is contacted: consent always, the control group by lot, the budget never exceeded."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from job.errors import SettingsError
from job.scoring.campaign import budget_parts, control_draw, describe_campaign, order_candidates, plan_contacts
from job.scoring.cutoffs import find_affordable
from job.scoring.manifest import count_segments
from job.scoring.segments import Segmentation, load_segmentation
from job.settings import Campaign

MASK = 2**64 - 1
DRAWS_OF_DEFAULT = [0.895201, 0.114794, 0.188266]
SEGMENTATION = load_segmentation()
COSTS = dict(SEGMENTATION.offers().select("segment", "cost_parts").iter_rows())
MESSAGES = set(SEGMENTATION.offers().filter("is_message")["segment"])
ONSITE_OFFERS = set(SEGMENTATION.offers()["onsite_offer"])

frames = st.lists(
    st.tuples(st.sampled_from(sorted(COSTS)), st.booleans(), st.floats(-100, 100)), min_size=1, max_size=60
).map(
    lambda rows: pl.DataFrame(
        {
            "id": range(1, len(rows) + 1),
            "segment": [row[0] for row in rows],
            "contact_allowed": [row[1] for row in rows],
            "profit_at_risk": [row[2] for row in rows],
        }
    )
)
campaigns = st.builds(
    Campaign,
    name=st.sampled_from(["default", "Осень 2026"]),
    control_share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    budget=st.none() | st.floats(0, 10).map(lambda budget: round(budget, 2)),
)
unhurried = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])


def customers(rows: list[tuple[str, bool, float]]) -> pl.DataFrame:
    segments, allowed, profit = (list(column) for column in zip(*rows, strict=True))
    return pl.DataFrame(
        {"id": range(1, len(rows) + 1), "segment": segments, "contact_allowed": allowed, "profit_at_risk": profit}
    )


def plan_all(frame: pl.DataFrame, segmentation: Segmentation, campaign: Campaign) -> pl.DataFrame:
    """Plan the contacts of a whole run."""
    if campaign.budget is None:
        return plan_contacts(frame, segmentation, campaign)
    candidates = order_candidates(frame, segmentation, campaign).sort("order", "id")
    return plan_contacts(
        frame, segmentation, campaign, budget_cutoff=find_affordable(candidates, budget_parts(campaign))
    )


def plan(frame: pl.DataFrame, **choices: Any) -> pl.DataFrame:
    return plan_all(frame, SEGMENTATION, Campaign(**choices))


def splitmix64(state: int) -> int:
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return state ^ (state >> 31)


def test_the_draw_is_the_documented_hash() -> None:
    digest = hashlib.sha256("Осень".encode()).digest()
    first, second = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")
    ids = [1, 215_348, 10**18 - 1]
    expected = [(splitmix64((splitmix64((one + first) & MASK) + second) & MASK) >> 11) / 2**53 for one in ids]
    assert control_draw(pl.Series(ids, dtype=pl.Int64), "Осень").to_list() == expected


def test_the_draw_never_changes() -> None:
    drawn = control_draw(pl.Series([1, 2, 3]), "default").round(6)
    assert drawn.to_list() == DRAWS_OF_DEFAULT


@pytest.mark.parametrize("name", ["default", "Осень 2026", "x"])
def test_control_share_is_what_was_asked_for(name: str) -> None:
    share, count = 0.1, 100_000
    frame = pl.DataFrame({"id": pl.int_range(1, count + 1, eager=True)})
    held = int((control_draw(frame["id"], name) < share).sum())
    assert abs(held - share * count) < 4 * math.sqrt(count * share * (1 - share))


def test_control_is_independent_of_the_score_and_of_other_campaigns() -> None:
    ids = pl.int_range(1, 100_001, eager=True)
    frame = pl.DataFrame({"id": ids, "one": control_draw(ids, "one"), "other": control_draw(ids, "other")})
    # A score that follows the id, as in an export sorted by label.
    correlations = frame.select(score=pl.corr("id", "one"), campaigns=pl.corr("one", "other")).row(0)
    assert all(abs(correlation) < 4 / math.sqrt(100_000) for correlation in correlations)


@unhurried
@given(frames, campaigns)
def test_consent_is_never_violated(frame: pl.DataFrame, campaign: Campaign) -> None:
    planned = plan_all(frame, SEGMENTATION, campaign)
    refused = planned.filter(~pl.col("contact_allowed"))
    assert set(refused["campaign_group"]) <= {"none"}
    assert set(refused["offer"]) <= ONSITE_OFFERS
    assert set(planned.filter(pl.col("campaign_group") != "none")["segment"]) <= MESSAGES


@unhurried
@given(frames, campaigns)
def test_the_rest_of_the_frame_stays_as_it_is(frame: pl.DataFrame, campaign: Campaign) -> None:
    planned = plan_all(frame, SEGMENTATION, campaign)
    assert_frame_equal(planned.select(frame.columns), frame)
    assert planned.columns == [*frame.columns, "offer", "campaign_group"]
    assert planned.null_count().sum_horizontal().item() == 0


@unhurried
@given(frames, campaigns, st.randoms())
def test_groups_do_not_depend_on_the_order_of_rows(frame: pl.DataFrame, campaign: Campaign, random: Any) -> None:
    shuffled = frame[random.sample(range(frame.height), frame.height)]
    planned = plan_all(shuffled, SEGMENTATION, campaign).sort("id")
    assert_frame_equal(planned, plan_all(frame, SEGMENTATION, campaign))


@unhurried
@given(frames, st.sampled_from([0.1, 0.5]))
def test_without_a_budget_groups_do_not_depend_on_other_customers(frame: pl.DataFrame, share: float) -> None:
    whole = plan(frame, control_share=share)
    part = plan(frame.gather_every(2), control_share=share)
    assert_frame_equal(part, whole.gather_every(2))


@unhurried
@given(frames, st.floats(0, 10).map(lambda budget: round(budget, 2)), st.sampled_from([0.0, 0.3]))
def test_a_budget_is_spent_on_the_best_and_never_exceeded(frame: pl.DataFrame, budget: float, share: float) -> None:
    planned = plan(frame, budget=budget, control_share=share).with_columns(
        cost=pl.col("segment").replace_strict(COSTS, return_dtype=pl.Int64)
    )
    contacted = planned.filter(pl.col("campaign_group") == "treatment")
    assert contacted["cost"].sum() <= round(budget * 10_000)
    left = planned.filter(
        pl.col("contact_allowed") & pl.col("segment").is_in(MESSAGES) & (pl.col("campaign_group") == "none")
    ).sort(pl.col("profit_at_risk") / pl.col("cost"), -pl.col("id"), descending=True)
    ratio = pl.col("profit_at_risk") / pl.col("cost")
    reached = planned.filter(pl.col("campaign_group") != "none").select(ratio).to_series()
    missed = left.select(ratio).to_series()
    if reached.len() and missed.len():
        assert reached.min() >= missed.max()  # type: ignore[operator]
    payable = left.filter(pl.col("profit_at_risk") > 0)
    if payable.height:  # the first one that is left did not fit
        assert contacted["cost"].sum() + payable["cost"].max() > round(budget * 10_000)  # type: ignore[operator]


def test_without_a_budget_everyone_with_consent_is_contacted() -> None:
    frame = customers(
        [("top_risk", True, 5.0), ("top_risk", False, 9.0), ("rest", True, 1.0), ("durable_goods", True, -1.0)]
    )
    planned = plan(frame, control_share=0)
    assert planned["campaign_group"].to_list() == ["treatment", "none", "none", "treatment"]
    assert planned["offer"].to_list() == ["promo", "onsite_promo", "onsite_selection", "cross_sell"]


def test_a_budget_counts_exactly() -> None:
    frame = customers([("top_risk", True, 5.0)] * 4)  # each costs 0.3; 0.3 + 0.3 + 0.3 > 0.9 in binary fractions
    assert plan(frame, control_share=0, budget=0.9)["campaign_group"].to_list() == ["treatment"] * 3 + ["none"]


def test_a_budget_of_nothing_contacts_nobody() -> None:
    assert plan(customers([("top_risk", True, 5.0)]), control_share=0, budget=0)["campaign_group"].to_list() == ["none"]


def test_a_budget_is_not_spent_where_no_profit_is_at_risk() -> None:
    frame = customers([("top_risk", True, 0.0), ("top_risk", True, -5.0)])
    assert plan(frame, control_share=0, budget=100)["campaign_group"].to_list() == ["none", "none"]


def test_held_back_customers_cost_nothing_and_are_reached_as_far_as_the_treated() -> None:
    frame = pl.DataFrame(
        {"id": range(1, 2001), "segment": "top_risk", "contact_allowed": True, "profit_at_risk": range(2000, 0, -1)}
    ).with_columns(pl.col("profit_at_risk").cast(pl.Float64))
    planned = plan(frame, budget=300)
    treated, held = (planned.filter(pl.col("campaign_group") == group) for group in ("treatment", "control"))
    assert treated.height == 1000
    assert 70 < held.height < 160
    reached = planned.head(int(treated["id"].max()))  # type: ignore[call-overload]
    assert set(reached["campaign_group"]) == {"treatment", "control"}


def test_free_messages_reach_everyone(free: Segmentation) -> None:
    frame = customers([("a", True, -1.0), ("a", True, 2.0)])
    planned = plan_all(frame, free, Campaign(control_share=0, budget=0))
    assert planned["campaign_group"].to_list() == ["treatment", "treatment"]


def test_described() -> None:
    frame = customers([("top_risk", True, 5.0), ("durable_goods", True, 1.0), ("rest", True, 1.0)])
    campaign = Campaign(name="Осень", control_share=0, budget=0.4)
    planned = plan_all(frame, SEGMENTATION, campaign)
    counts = count_segments(planned.with_columns(decline_probability=0.5))
    assert describe_campaign(counts, SEGMENTATION, campaign) == {
        "name": "Осень",
        "control_share": 0,
        "budget": 0.4,
        "spent": 0.35,
        "contacts": 2,
        "control": 0,
    }


def test_impossible_campaigns() -> None:
    with pytest.raises(SettingsError) as caught:
        Campaign(name="", control_share=1.5, budget=math.nan)
    assert caught.value.problems == (
        "--campaign: found nothing, expected a name on one line of at most 100 characters",
        "--control-share: found 1.5, expected a share from 0 to 1",
        "--budget: found nan, expected a number from 0 to 1,000,000,000,000",
    )


@pytest.fixture
def free(tmp_path_factory: pytest.TempPathFactory) -> Segmentation:
    path = tmp_path_factory.mktemp("free") / "free.toml"
    path.write_text(
        '[onsite_offer]\ncode = "banner"\ntext = "Баннер"\n[[segment]]\ncode = "a"\ntitle = "А"\npriority = 1\n'
        'condition = "true"\noffer = { code = "mail", text = "Письмо", channel = "email", cost = 0 }\n',
        encoding="utf-8",
    )
    return load_segmentation(path)
