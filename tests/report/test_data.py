from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from job.intake.drop import wait_for_files
from job.intake.reconcile import accept_drop
from job.levels import Levels
from job.models.reasons import Explainer, usual_values
from job.report.data import HASH_BINS, SAMPLE, correlate, count_groups, describe_report, inflate, take_sample
from job.scoring.cutoffs import Cutoffs, add_bins, count_bins, find_places, last_ranks, order_by_risk
from job.scoring.score import Prepared, Setup, complete, describe_scores, prepare, score_customers
from job.scoring.segments import load_segmentation
from job.settings import Arrival, Campaign, Limits
from schemas.features import FEATURE_NAMES, NUMERIC_FEATURES
from schemas.scored import SCORED_COLUMNS

if TYPE_CHECKING:
    from pathlib import Path

    from job.models.artifact import Artifact

Scored = tuple[Prepared, pl.DataFrame]


def gather_data(
    features: pl.DataFrame,
    customers: pl.DataFrame,
    scored: pl.DataFrame,
    *,
    artifact: Artifact,
    sample: int = SAMPLE,
) -> dict[str, Any]:
    """Return the data of a whole run that is one part."""
    part = take_sample(features, customers, scored.select(SCORED_COLUMNS), hash_bin=HASH_BINS)
    return describe_report(count_groups(scored, artifact.thresholds), part, artifact, most=sample)


@pytest.fixture(scope="module")
def scored(labelled_drop: Path, artifact: Artifact) -> Scored:
    files = wait_for_files(labelled_drop, Arrival())
    prepared = prepare(accept_drop(files, labelled=False, limits=Limits()).tables)
    scores = describe_scores(
        pl.concat(
            [prepared.customers, score_customers(prepared, artifact, Levels(artifact.levels, artifact.levels))],
            how="horizontal",
        )
    )
    explainer = Explainer(artifact.model, usual_values(artifact.manifest))
    ordered = order_by_risk(scores)
    deciles = find_places(add_bins([count_bins(ordered)]), last_ranks(scores.height), lambda _: ordered)
    nobody = pl.Series("id", [], pl.Int64)
    levels = Levels(artifact.levels, artifact.levels)
    setup = Setup(artifact, explainer, load_segmentation(), Campaign(), nobody, None, levels)
    _, frame = complete(scores, prepared.features, explainer.explain(prepared.features), Cutoffs(deciles), setup)
    return prepared._replace(customers=prepared.customers.drop("activity")), frame


@pytest.fixture(scope="module")
def labels(labelled_drop: Path, scored: Scored) -> pl.DataFrame:
    files = wait_for_files(labelled_drop, Arrival())
    tables = accept_drop(files, labelled=False, limits=Limits()).tables
    return tables["market_file"].join(scored[1], on="id", how="semi").select("id", "activity")


@pytest.fixture(scope="module")
def data(scored: Scored, artifact: Artifact) -> dict[str, Any]:
    prepared, frame = scored
    return gather_data(prepared.features, prepared.customers, frame, artifact=artifact)


def test_data_are_plain_and_the_same_each_time(scored: Scored, artifact: Artifact, data: dict[str, Any]) -> None:
    text = json.dumps(data, allow_nan=False)
    prepared, frame = scored
    again = gather_data(prepared.features, prepared.customers, frame, artifact=artifact)
    assert json.dumps(again, allow_nan=False) == text
    assert json.loads(text) == data


def test_no_customer_is_in_the_data(scored: Scored, data: dict[str, Any]) -> None:
    words = set(re.findall(r"[\w.]+", json.dumps(data)))
    assert not words & {str(own) for own in scored[1]["id"]}


def test_counts_and_sums_are_those_of_the_scored_frame(scored: Scored, data: dict[str, Any]) -> None:
    frame = scored[1]
    at_risk = pytest.approx(frame["profit_at_risk"].sum())
    assert data["customers"] == frame.height
    assert sum(data["risk"]["histogram"]) == frame.height
    assert data["risk"]["profit_at_risk"] == at_risk
    assert sum(row["profit_at_risk"] for row in data["deciles"]) == at_risk
    assert sum(row["profit_at_risk"] for row in data["segments"]) == at_risk
    assert sum(row["customers"] for row in data["segments"]) == frame.height
    assert data["contacts"]["treatment"] == frame.filter(pl.col("campaign_group") == "treatment").height
    assert data["contacts"]["allowed"] == frame["contact_allowed"].sum()
    assert data["sample"] is None


def test_drivers_are_mean_contributions_absolute_overall_and_signed_by_segment(
    scored: Scored, artifact: Artifact, data: dict[str, Any]
) -> None:
    prepared, frame = scored
    contributions = artifact.model.contributions(prepared.features)
    name, value = next(iter(data["drivers"]["overall"].items()))
    assert value == pytest.approx(contributions[name].abs().mean())
    segment = data["segments"][0]["segment"]
    own = contributions.filter(frame["segment"] == segment)[name].mean()
    assert data["drivers"]["segments"][segment][name] == pytest.approx(own)


def test_few_pages_are_said_to_raise_the_risk(data: dict[str, Any]) -> None:
    assert data["drivers"]["direction"]["pages_per_visit"] == "less"
    assert data["drivers"]["direction"]["favourite_category"] is None


def test_words_are_rated_by_what_was_observed(
    scored: Scored, labels: pl.DataFrame, artifact: Artifact, data: dict[str, Any]
) -> None:
    """By the share of declines where labels are known, else by the mean probability; never by contributions."""
    prepared, frame = scored
    rows = pl.concat([prepared.features, frame.select("id", "decline_probability")], how="horizontal")
    customers = prepared.customers.join(labels, on="id", how="left", maintain_order="left")
    with_labels = gather_data(prepared.features, customers, frame, artifact=artifact)["distributions"]
    rows = rows.join(labels, on="id", how="left", maintain_order="left")
    assert data["distributions"]["base_rate"] == pytest.approx(rows["decline_probability"].mean())
    assert with_labels["base_rate"] == pytest.approx((rows["activity"] == "declined").mean())
    for word, observed in zip(data["distributions"]["words"], with_labels["words"], strict=True):
        own = rows.filter(pl.col(word["feature"]) == word["word"])
        assert word["rate"] == pytest.approx(own["decline_probability"].mean())
        assert observed["rate"] == pytest.approx((own["activity"] == "declined").mean())


def test_of_many_customers_a_sample_is_compared_and_all_are_counted(scored: Scored, artifact: Artifact) -> None:
    prepared, frame = scored
    data = gather_data(prepared.features, prepared.customers, frame, artifact=artifact, sample=100)
    assert data["sample"] == {"customers": 100, "seed": 20260701}
    assert sum(data["distributions"]["customers"]) == 100
    assert sum(data["risk"]["histogram"]) == frame.height
    assert gather_data(prepared.features, prepared.customers, frame, artifact=artifact, sample=100) == data


def test_labels_split_the_distributions_and_measure_the_model(
    scored: Scored, artifact: Artifact, labels: pl.DataFrame
) -> None:
    prepared, frame = scored
    customers = prepared.customers.join(labels, on="id", how="left", maintain_order="left")
    data = gather_data(prepared.features, customers, frame, artifact=artifact)
    known = frame.join(labels, on="id", how="inner")
    assert data["distributions"]["by"] == "label"
    assert data["labels"]["customers"] == known.height
    assert data["labels"]["roc_auc"] == pytest.approx(
        roc_auc_score(known["activity"] == "declined", known["decline_probability"])
    )


def test_without_labels_risk_splits_the_distributions(data: dict[str, Any]) -> None:
    assert data["distributions"]["by"] == "risk"
    assert data["labels"] is None
    for row in data["distributions"]["numbers"]:
        assert len(row["edges"]) == len(row["shares"][0]) + 1
        assert [sum(shares) for shares in row["shares"]] == pytest.approx([1.0, 1.0])


def test_an_artifact_without_card_gives_none(scored: Scored, artifact: Artifact, tmp_path: Path) -> None:
    prepared, frame = scored
    bare = artifact._replace(folder=tmp_path)
    assert gather_data(prepared.features, prepared.customers, frame, artifact=bare)["card"] is None


def test_correlations_are_symmetric_and_see_what_follows_from_what(scored: Scored) -> None:
    part = pl.concat([scored[0].features, scored[1].select("decline_probability")], how="horizontal")
    twin = part.with_columns(pl.col("promo_share").alias("pages_per_visit") * 2)
    found = correlate(twin)
    place = {name: index for index, name in enumerate(found["names"])}
    assert found["names"] == [*FEATURE_NAMES, "decline_probability"]
    assert found["phi_k"] == [list(column) for column in zip(*found["phi_k"], strict=True)]
    assert found["phi_k"][place["promo_share"]][place["pages_per_visit"]] == 1.0


def test_a_column_that_follows_from_another_has_no_inflation(scored: Scored) -> None:
    twin = scored[0].features.with_columns(pl.col("promo_share").alias("pages_per_visit") * 2)
    assert {row["factor"] for row in inflate(twin)} == {None}


def test_a_constant_column_is_left_out_of_inflation(scored: Scored) -> None:
    found = inflate(scored[0].features.with_columns(service_errors=pl.lit(3.0)))
    assert {row["feature"] for row in found} == {
        feature.name for feature in NUMERIC_FEATURES if feature.name != "service_errors"
    }


def test_a_single_customer_has_data(scored: Scored, artifact: Artifact) -> None:
    prepared, frame = scored
    data = gather_data(prepared.features[:1], prepared.customers[:1], frame[:1], artifact=artifact)
    assert data["customers"] == 1
    json.dumps(data, allow_nan=False)


def test_contributions_are_spread_over_the_customers(data: dict[str, Any]) -> None:
    spread = data["drivers"]["spread"]
    assert set(spread["features"]) == set(data["drivers"]["overall"])
    for feature in spread["features"].values():
        assert sum(feature["shares"]) == pytest.approx(1)
        assert len(feature["shares"]) == len(feature["ranks"]) == len(spread["edges"]) - 1
    assert set(spread["features"]["favourite_category"]["ranks"]) == {None}
    ranks = [rank for rank in spread["features"]["pages_per_visit"]["ranks"] if rank is not None]
    assert ranks[0] > 0.5 > ranks[-1], "many pages lower the risk, few raise it"


def test_every_customer_has_a_cell_of_risk_and_profit(data: dict[str, Any]) -> None:
    cells = data["risk_and_profit"]["customers"]
    assert [sum(column) for column in cells] == data["risk"]["histogram"]
    assert len(data["risk_and_profit"]["profit_edges"]) == len(cells[0]) + 1


def test_capped_values_are_counted(scored: Scored, artifact: Artifact, data: dict[str, Any]) -> None:
    features = scored[0].features
    for row in data["capped"]:
        values = features[row["feature"]]
        assert row["customers"] == (values > row["cap"]).sum() > 0
        assert row["largest"] == pytest.approx(values.max())
        assert row["cap"] == pytest.approx(artifact.model.caps[row["feature"]][1])  # type: ignore[attr-defined] # linear
    assert data["capped"]
