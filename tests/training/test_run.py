"""Training end to end, on a small synthetic drop and the quick protocol."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from job.errors import ArtifactError, DropError
from job.models.artifact import default_folder, load_artifact
from job.models.seen import find_probability
from job.report.formats import fixed
from job.sample import write_drop
from job.settings import TrainSettings
from job.training import run
from job.training.run import Labelled, Trained, run_training
from job.training.selection import Protocol
from schemas.features import title_of

FILES = {
    "card.html",
    "card.json",
    "card.md",
    "contribution.svg",
    "loss.svg",
    "manifest.json",
    "model.json",
    "precision_recall.svg",
    "reliability.svg",
    "roc.svg",
    "seen.json",
    *(f"fold_{fold}_model.json" for fold in range(1, 4)),
}


@pytest.fixture(scope="module", autouse=True)
def _few_splits() -> Iterator[None]:
    """A quick protocol that is quicker still: what is tested is not how good the model is."""
    with pytest.MonkeyPatch.context() as patch:
        few = Protocol(folds=3, repeats=2, inner_folds=2, trials=1, seed=3)
        patch.setattr(run, "choose_protocol", lambda *_: few)
        yield


@pytest.fixture(scope="module")
def artifacts(labelled_drop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifact")
    trained = run_training(labelled_drop, folder, TrainSettings(seed=3, is_quick=True, owner="the shop"), workers=2)
    assert trained.is_written
    assert "Quick comparison: too few splits to rely on." in trained.table
    return folder


def test_the_artifact_is_whole_and_text(artifacts: Path) -> None:
    assert {path.name for path in artifacts.iterdir()} == FILES
    for path in artifacts.iterdir():
        path.read_bytes().decode("utf-8")
    manifest = load_artifact(artifacts).manifest
    assert manifest["trained_on"]["customers"] == 400
    assert manifest["roc_auc"]["low"] < manifest["roc_auc"]["mean"] < manifest["roc_auc"]["high"]
    assert set(manifest["trained_on"]["inputs"]) == {
        f"{name}.csv" for name in ("market_file", "market_money", "market_time", "money")
    }


def test_the_card_says_that_it_was_quick_and_names_the_groups(artifacts: Path) -> None:
    assert "Made with `--quick`" in (artifacts / "card.md").read_text()
    card = json.loads((artifacts / "card.json").read_text())
    assert card["protocol"]["quick"] is True
    assert [group["word"] for group in card["groups"]][:2] == ["standard", "premium"]
    assert len(card["groups"]) == 8
    assert {row["feature"] for row in card["importance"]} == set(card["features"])


def test_the_card_says_what_the_decision_could_not_have_seen(artifacts: Path) -> None:
    card, text = json.loads((artifacts / "card.json").read_text()), (artifacts / "card.md").read_text()
    decision = card["decision"]
    assert 0 < decision["power"]["probability"] < 0.8 < decision["smallest_visible"]["gain"] / 0.01
    by_name = {row["name"]: row["log_loss"] for row in card["candidates"]}
    assert decision["on_log_loss"]["gain"] == pytest.approx(by_name["boosted"] - by_name["linear"], abs=1e-12)
    assert decision["against_plain"] is None
    assert f"with a probability of {decision['power']['probability']:.0%}" in text
    assert f"on log-loss, where less is\nbetter: {decision['on_log_loss']['gain']:+.4f} log-loss (" in text
    bend = json.loads((artifacts / "model.json").read_text())["calibration"]["bend"]
    assert f"## Calibration\n\n{'Beta calibration' if bend else 'Platt'}" in text


def test_both_cards_tell_owner_licence_date_and_what_was_measured(artifacts: Path) -> None:
    card = json.loads((artifacts / "card.json").read_text())
    text, page = ((artifacts / name).read_text() for name in ("card.md", "card.html"))
    assert re.search(r"Trained on 20\d\d-\d\d-\d\d\. Owner: the shop\. Licence: MIT\.", text)
    assert re.search(r"Обучена \d+\xa0[а-я]+ 20\d\d\xa0г\., .+ Владелец: the shop\. Лицензия: MIT\.", page)
    top, measured = card["ranking"]["top_tenth"], card["roc_auc"]["mean"]
    assert f"{top['declined']:,} declined: a precision of {top['precision']:.1%}" in text
    assert f"{top['declined']} из {top['customers']} снизили активность" in page
    assert f"<span>ROC-AUC</span><b>{fixed(measured, 3)}</b>" in page
    assert page.count("<svg") == 5
    assert all(f"<td>{title_of(name)}</td>" in page for name in card["features"])
    assert "−0,000" not in page


def test_training_customers_get_the_probability_of_a_model_that_had_not_seen_them(
    artifacts: Path, labelled: Labelled
) -> None:
    """Whatever has changed of them since."""
    artifact, ids = load_artifact(artifacts), labelled.customers["id"]
    older = labelled.features.with_columns(registered_days=pl.col("registered_days") + 1)
    for features in (labelled.features, older):
        found = find_probability(artifact, ids, features)
        assert found["in_training"].all()
        unseen, seen = (
            roc_auc_score(labelled.labels, scores)
            for scores in (found["decline_probability"], artifact.model.probabilities(features))
        )
        assert unseen < seen
    card = json.loads((artifacts / "card.json").read_text())
    scores = find_probability(artifact, ids, labelled.features)["decline_probability"]
    assert roc_auc_score(labelled.labels, scores) == pytest.approx(card["roc_auc_out_of_fold_delong"]["auc"], abs=1e-12)
    assert card["calibration"]["brier"] == pytest.approx(((scores - labelled.labels) ** 2).mean(), abs=1e-12)
    first, hits = card["ranking"]["cuts"][20]
    assert labelled.labels[scores.arg_sort(descending=True).to_numpy()[:first]].sum() == hits
    shares = artifact.model.contributions(labelled.features)
    for row in card["importance"]:
        contribution = shares[row["feature"]]
        assert row["contribution"]["mean"] == pytest.approx(contribution.abs().mean(), abs=1e-12)
        assert row["loss"]["low"] <= row["loss"]["mean"] <= row["loss"]["high"]
        if row["raises"] is None:
            values = labelled.features[row["feature"]]
            rank = pl.DataFrame({"value": values, "share": contribution}).select(
                pl.corr("value", "share", method="spearman")
            )
            assert row["correlation"] == pytest.approx(rank.item(), abs=1e-9)
        else:
            of_word = contribution.filter(labelled.features[row["feature"]] == row["raises"]).mean()
            assert of_word > contribution.mean()
    declined = scores.filter(labelled.labels == 1)
    assert card["missed"]["below_a_tenth"] == pytest.approx((declined < 0.1).mean())


def test_the_same_seed_gives_the_same_bytes_whatever_the_order_of_rows_and_the_processes(
    artifacts: Path, labelled_drop: Path, tmp_path: Path
) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    for path in labelled_drop.iterdir():
        heading, *lines = path.read_bytes().split(b"\r\n")[:-1]
        (drop / path.name).write_bytes(b"\r\n".join([heading, *reversed(lines), b""]))
    run_training(drop, tmp_path / "again", TrainSettings(seed=3, is_quick=True), workers=1)
    for name in ("model.json", "seen.json", "fold_3_model.json", "reliability.svg", "roc.svg", "loss.svg"):
        assert (tmp_path / "again" / name).read_bytes() == (artifacts / name).read_bytes(), name


def test_an_artifact_that_is_not_beaten_stays(artifacts: Path, labelled_drop: Path, tmp_path: Path) -> None:
    trained: Trained = run_training(
        labelled_drop, tmp_path / "new", TrainSettings(seed=3, is_quick=True, champion=artifacts), workers=1
    )
    assert not trained.is_written
    assert trained.gate is not None
    assert trained.gate.gain < 0.02
    assert list((tmp_path / "new").iterdir()) == []


def test_a_missing_champion_is_found_before_the_work(labelled_drop: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError):
        run_training(labelled_drop, tmp_path, TrainSettings(seed=3, champion=tmp_path / "none"))


def test_too_few_customers_are_refused(tmp_path: Path) -> None:
    write_drop(tmp_path / "drop", customers=50, seed=1, labelled=True, clean=True)
    with pytest.raises(DropError) as caught:
        run_training(tmp_path / "drop", tmp_path / "artifact", TrainSettings(seed=1))
    (problem,) = caught.value.problems
    assert problem.startswith(f"{tmp_path / 'drop'}: found 50 labelled customers, ")
    assert problem.endswith("of the rarer label; expected at least 200 and 20")


def test_the_shipped_artifact_is_of_the_full_protocol() -> None:
    card = json.loads((default_folder() / "card.json").read_text())
    assert card["protocol"]["quick"] is False
    assert (card["protocol"]["folds"], card["protocol"]["repeats"]) == (5, 10)
    assert len(card["candidates"]) == 8
    assert pl.DataFrame(card["candidates"])["roc_auc"].max() == card["roc_auc"]["mean"]
    top, page = card["ranking"]["top_tenth"], (default_folder() / "card.html").read_text(encoding="utf-8")
    assert f"{top['declined']} из {top['customers']} снизили активность" in page
    assert f"<span>ROC-AUC</span><b>{fixed(card['roc_auc']['mean'], 3)}</b>" in page
