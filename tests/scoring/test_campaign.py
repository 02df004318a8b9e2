"""Who is contacted: consent always, the control group by lot, the budget never exceeded."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from job.errors import SettingsError
from job.scoring.campaign import FATES, OFFER_LOT, budget_parts, draw_lots, order_candidates, plan_contacts
from job.scoring.cutoffs import find_affordable
from job.scoring.manifest import count_segments, describe_campaign, describe_segments
from job.scoring.segments import Segmentation, load_segmentation
from job.settings import Campaign
from tests.manifests import make_manifest

if TYPE_CHECKING:
    from pathlib import Path

MASK = 2**64 - 1
DRAWS_OF_DEFAULT = [0.895201, 0.114794, 0.188266]
SEGMENTATION = load_segmentation()
OFFERS = SEGMENTATION.offers()
COSTS = dict(OFFERS.select("segment", "cost_parts").iter_rows())
MESSAGES = set(OFFERS.filter("is_message")["segment"])
ONSITE_OFFERS = set(OFFERS["onsite_offer"])
ROWS = {segment.code: row for row, segment in enumerate(SEGMENTATION.segments)}
POWER = make_manifest()["campaign"]["power"]
NOBODY = pl.Series("id", [], pl.Int64)

Row = tuple[str, bool, float, float]


def customers(rows: list[Row]) -> pl.DataFrame:
    """Return customers of (segment, consent, probability, monthly profit), as `plan_contacts` takes them."""
    segments, allowed, risk, profit = (list(column) for column in zip(*rows, strict=True))
    return pl.DataFrame(
        {
            "id": range(1, len(rows) + 1),
            "segment_row": [ROWS[segment] for segment in segments],
            "contact_allowed": allowed,
            "decline_probability": risk,
            "monthly_profit": profit,
        },
        schema_overrides={"segment_row": pl.UInt32},
    )


frames = st.lists(
    st.tuples(st.sampled_from(sorted(COSTS)), st.booleans(), st.floats(0, 1), st.floats(-100, 100)),
    min_size=1,
    max_size=60,
).map(customers)
campaigns = st.builds(
    Campaign,
    name=st.sampled_from(["default", "Осень 2026"]),
    control=st.sampled_from(["default", "other"]),
    control_share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    budget=st.none() | st.floats(0, 10).map(lambda budget: round(budget, 2)),
)
unhurried = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])


def plan_all(
    frame: pl.DataFrame, segmentation: Segmentation, campaign: Campaign, held: pl.Series = NOBODY
) -> pl.DataFrame:
    """Plan the contacts of a whole run."""
    if campaign.budget is None:
        return plan_contacts(frame, segmentation, campaign, held=held)
    candidates = order_candidates(frame, segmentation, campaign, held).sort("order", "id")
    reach = find_affordable(candidates, budget_parts(campaign))
    return plan_contacts(frame, segmentation, campaign, held=held, budget_cutoff=reach.last)


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
    assert draw_lots(pl.Series(ids, dtype=pl.Int64), "Осень").to_list() == expected


def test_the_draw_never_changes() -> None:
    drawn = draw_lots(pl.Series([1, 2, 3]), "default").round(6)
    assert drawn.to_list() == DRAWS_OF_DEFAULT


@pytest.mark.parametrize("name", ["default", "Осень 2026", "x"])
def test_control_share_is_what_was_asked_for(name: str) -> None:
    share, count = 0.1, 100_000
    frame = pl.DataFrame({"id": pl.int_range(1, count + 1, eager=True)})
    held = int((draw_lots(frame["id"], name) < share).sum())
    assert abs(held - share * count) < 4 * math.sqrt(count * share * (1 - share))


def test_control_is_independent_of_the_score_and_of_other_campaigns() -> None:
    ids = pl.int_range(1, 100_001, eager=True)
    frame = pl.DataFrame({"id": ids, "one": draw_lots(ids, "one"), "other": draw_lots(ids, "other")})
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
    assert {"segment", "offer", "expected_value", "fate", "campaign_group"} <= set(planned.columns)
    assert set(planned["fate"]) <= set(FATES)
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
@given(frames)
def test_what_a_contact_is_worth_is_the_formula(frame: pl.DataFrame) -> None:
    planned = plan(frame, control_share=0)
    known = {row["offer"]: row for row in OFFERS.iter_rows(named=True)}
    for row in planned.iter_rows(named=True):
        offer = known.get(row["offer"])
        value = 0.0
        if row["contact_allowed"] and offer is not None and offer["is_message"]:
            profit = row["monthly_profit"] * 3
            kept = row["decline_probability"] * offer["effect"] * SEGMENTATION.profit_lost * profit
            value = kept - offer["cost_parts"] / 10_000 - offer["discount"] * profit
        assert row["expected_value"] == pytest.approx(value, abs=6e-5)
        if row["campaign_group"] != "none":
            assert row["expected_value"] > 0
            assert row["monthly_profit"] > 0


@unhurried
@given(frames, st.floats(0, 10).map(lambda budget: round(budget, 2)), st.sampled_from([0.0, 0.3]))
def test_a_budget_is_spent_on_the_best_and_never_exceeded(frame: pl.DataFrame, budget: float, share: float) -> None:
    planned = plan(frame, budget=budget, control_share=share)
    contacted = planned.filter(pl.col("campaign_group") == "treatment")
    assert contacted["cost_parts"].sum() <= round(budget * 10_000)
    ratio = pl.col("expected_value") / pl.col("cost_parts")
    reached = planned.filter(pl.col("campaign_group") != "none").select(ratio).to_series()
    left = planned.filter(pl.col("fate") == "beyond_budget").sort(ratio, -pl.col("id"), descending=True)
    missed = left.select(ratio).to_series()
    if reached.len() and missed.len():
        assert reached.min() >= missed.max()  # type: ignore[operator]
    if left.height:  # the first one that is left did not fit
        assert contacted["cost_parts"].sum() + left["cost_parts"].max() > round(budget * 10_000)  # type: ignore[operator]


def test_without_a_budget_everyone_who_is_worth_it_is_contacted() -> None:
    frame = customers(
        [
            ("top_risk", True, 1.0, 5.0),
            ("top_risk", False, 1.0, 9.0),
            ("rest", True, 0.5, 1.0),
            ("durable_goods", True, 0.5, -1.0),
            ("top_risk", True, 0.05, 5.0),
        ]
    )
    planned = plan(frame, control_share=0)
    assert planned["fate"].to_list() == ["treatment", "no_consent", "onsite_only", "not_worth", "not_worth"]
    assert planned["campaign_group"].to_list() == ["treatment", *["none"] * 4]
    assert planned["offer"].to_list() == ["promo", "onsite_promo", "onsite_selection", "cross_sell", "promo"]
    # 1.0 x 0.2 x 0.5 x 15 - 0.3 - 0.03 x 15; the last: 0.05 x 0.2 x 0.5 x 15 - 0.3 - 0.03 x 15
    assert planned["expected_value"].to_list() == [0.75, 0.0, 0.0, -0.0475, -0.675]


def test_a_discount_on_a_loss_is_worth_nothing() -> None:
    planned = plan(customers([("top_risk", True, 0.0, -100.0)]), control_share=0)
    assert planned.select("expected_value", "fate").row(0) == (8.7, "not_worth")


def test_a_budget_counts_exactly() -> None:
    frame = customers([("top_risk", True, 1.0, 5.0)] * 4)  # each costs 0.3; 0.3 x 3 > 0.9 in binary fractions
    assert plan(frame, control_share=0, budget=0.9)["campaign_group"].to_list() == ["treatment"] * 3 + ["none"]


def test_a_budget_of_nothing_contacts_nobody() -> None:
    frame = customers([("top_risk", True, 1.0, 5.0)])
    assert plan(frame, control_share=0, budget=0)["fate"].to_list() == ["beyond_budget"]


def test_held_back_customers_cost_nothing_and_are_reached_as_far_as_the_treated() -> None:
    frame = customers([("top_risk", True, 1.0, 4000.0 - number) for number in range(2000)])
    planned = plan(frame, budget=300)
    treated, held = (planned.filter(pl.col("campaign_group") == group) for group in ("treatment", "control"))
    assert treated.height == 1000
    assert 70 < held.height < 160
    reached = planned.head(int(treated["id"].max()))  # type: ignore[call-overload]
    assert set(reached["campaign_group"]) == {"treatment", "control"}


def test_free_messages_reach_all_who_are_worth_anything(tmp_path: Path) -> None:
    free = segmentation_of(tmp_path, 'offer = { code = "mail", text = "Письмо", channel = "email", cost = 0 }')
    frame = customers([("high_risk_high_profit", True, 0.5, -1.0), ("high_risk_high_profit", True, 0.5, 2.0)])
    planned = plan_all(frame, free, Campaign(control_share=0, budget=0))
    assert planned["fate"].to_list() == ["not_worth", "treatment"]


def test_whom_another_control_group_holds_back_is_in_neither_group() -> None:
    frame = customers([("top_risk", True, 1.0, 5.0)] * 4)
    held = pl.Series("id", [-5, 2, 4, 99], dtype=pl.Int64)
    for budget in (None, 100.0):
        planned = plan_all(frame, SEGMENTATION, Campaign(control_share=0, budget=budget), held)
        assert planned["fate"].to_list() == ["treatment", "held_elsewhere", "treatment", "held_elsewhere"]
        assert planned["campaign_group"].to_list() == ["treatment", "none", "treatment", "none"]


def test_one_key_holds_the_same_customers_back_in_every_mailing() -> None:
    frame = customers([("top_risk", True, 1.0, 5.0)] * 500)
    october, november = (plan(frame, name=name, control="autumn") for name in ("october", "november"))
    assert october["campaign_group"].to_list() == november["campaign_group"].to_list()
    other = plan(frame, name="october", control="winter")
    assert other["campaign_group"].to_list() != october["campaign_group"].to_list()


TWO = """
[[segment.offer]]
code = "letter"
text = "Письмо"
channel = "email"
cost = 0.1
share = 0.25
[[segment.offer]]
code = "call"
text = "Звонок"
channel = "phone"
cost = 0.2
effect = 0.3
share = 0.75
"""


def test_offers_are_drawn_by_the_mailing_and_not_by_the_control_group(tmp_path: Path) -> None:
    segmentation = segmentation_of(tmp_path, TWO)
    count = 20_000
    frame = customers([("high_risk_high_profit", True, 1.0, 10.0)] * count)
    planned = plan_all(frame, segmentation, Campaign(name="october"))
    drawn = draw_lots(frame["id"], OFFER_LOT + "october") < 0.25
    assert (planned["offer"] == "letter").to_list() == drawn.to_list()
    assert abs(int(drawn.sum()) - count / 4) < 4 * math.sqrt(count * 0.25 * 0.75)
    again = plan_all(frame, segmentation, Campaign(name="october", control="other"))
    assert again["offer"].to_list() == planned["offer"].to_list()
    november = plan_all(frame, segmentation, Campaign(name="november"))
    assert november["offer"].to_list() != planned["offer"].to_list()
    both = planned.select(pl.corr(pl.col("offer") == "letter", pl.col("campaign_group") == "control")).item()
    assert abs(both) < 4 / math.sqrt(count)
    # 1.0 x 0.1 x 0.5 x 30 - 0.1 for the letter, whose effect is not written; 1.0 x 0.3 x 0.5 x 30 - 0.2 for the call.
    worth = planned.group_by("offer").agg(pl.col("expected_value").unique())
    assert dict(worth.iter_rows()) == {"call": [4.3], "letter": [1.4]}


def test_described() -> None:
    frame = customers(
        [("top_risk", True, 1.0, 5.0), ("durable_goods", True, 0.5, 4.0), ("rest", True, 0.5, 1.0)]
    ).with_columns(profit_at_risk=pl.col("decline_probability") * pl.col("monthly_profit") * 3)
    campaign = Campaign(name="Осень", control="год", control_share=0, budget=0.4)
    planned = plan_all(frame, SEGMENTATION, campaign)
    segments = describe_segments(count_segments(planned, planned["fate"]), SEGMENTATION)
    assert describe_campaign(segments, SEGMENTATION, campaign, power=POWER, beyond_budget=0.25) == {
        "name": "Осень",
        "control_name": "год",
        "control_share": 0,
        "budget": 0.4,
        "profit_lost": 0.5,
        "spent": 0.31,
        "contacts": 2,
        "control": 0,
        "not_worth": 0,
        "held_elsewhere": 0,
        "beyond_budget": 0,
        "expected_value": 0.89,  # 0.75 of the promo, 0.5 x 0.05 x 0.5 x 12 - 0.01 of the cross-sale
        "next_unit": 0.25,
        "power": POWER,
    }


def test_impossible_campaigns() -> None:
    with pytest.raises(SettingsError) as caught:
        Campaign(name="", control="a\nb", control_share=1.5, budget=math.nan)
    assert caught.value.problems == (
        "--campaign: found nothing, expected a name on one line of at most 100 characters",
        "--control: found a\\nb, expected a name on one line of at most 100 characters",
        "--control-share: found 1.5, expected a share from 0 to 1",
        "--budget: found nan, expected a number from 0 to 1,000,000,000,000",
    )


def segmentation_of(folder: Path, offer: str) -> Segmentation:
    """Return segments of which the only one has such an offer."""
    path = folder / "segments.toml"
    path.write_text(
        '[onsite_offer]\ncode = "banner"\ntext = "Баннер"\n[[segment]]\ncode = "a"\ntitle = "А"\npriority = 1\n'
        f'condition = "true"\n{offer}\n',
        encoding="utf-8",
    )
    return load_segmentation(path)
