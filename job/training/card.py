"""The model card: what the model is, how it was measured, where it may be used. In English, in Russian and as JSON."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from job.accuracy import brier_score, delong
from job.models.artifact import CARD, CARD_PAGE, to_text
from job.report.formats import fixed
from job.report.html import render_html
from job.report.page import MODELS
from job.statistics import POWER
from job.text_table import Columns, align, fill
from job.training.calibration import assess, rank_customers
from job.training.candidates import PLAIN
from job.training.leaks import LEAK_AUC
from job.training.pictures import draw_pictures
from job.training.selection import compare, corrected_interval, describe_samples, roc_auc_interval
from job.training.wording import describe_direction, describe_settings
from schemas.features import CATEGORICAL_FEATURES, FEATURE_NAMES, title_of, word_title
from schemas.scored import PROFIT_MONTHS

if TYPE_CHECKING:
    from job.models.artifact import Thresholds
    from job.models.linear import Calibration
    from job.training.calibration import CalibrationQuality
    from job.training.folds import Labels, Numbers
    from job.training.leaks import LeakFinding
    from job.training.selection import Comparison, Measured, Protocol


NOTICEABLE: Final = 0.01  # ROC-AUC: what a better model is hoped to gain
_KEPT_OUT: Final = {"id": "Номер клиента (id)", "row": "Порядок строк"}
SURPRISE: Final = 0.1  # who declined with less had looked like one who stays

# Tables: heading -> what stands in a row.
CANDIDATES: Final[Columns] = {
    "candidate": "{title}",
    "ROC-AUC": "{roc_auc:.4f}",
    "95 % interval": "{low:.4f} to {high:.4f}",
    "Brier": "{brier:.4f}",
    "log-loss": "{log_loss:.4f}",
    "fit, s": "{fit_seconds:.3f}",
    "score, s": "{score_seconds:.4f}",
}
IMPORTANCE: Final[Columns] = {
    "feature": "{feature}",
    "loss of ROC-AUC": "{loss[mean]:+.4f}",
    "95 % interval": "{loss[low]:+.4f} to {loss[high]:+.4f}",
    "contribution": "{contribution[mean]:.3f}",
    "in the folds": "{contribution[low]:.3f} to {contribution[high]:.3f}",
    "direction": lambda row: describe_direction(row, is_russian=False),
}
GROUPS: Final[Columns] = {
    "group": "{word}",
    "customers": "{customers:,}",
    "ROC-AUC": lambda row: "too few" if row["roc_auc"] is None else f"{row['roc_auc']:.3f}",
    "95 % interval": "{low:.3f} to {high:.3f}",
    "mean probability": "{mean_probability:.0%}",
    "declined": "{declined:.0%}",
    "Brier": "{brier:.3f}",
    "flagged": "{flagged:.0%}",
}


@dataclass(frozen=True)
class Card:
    """All that the card tells; see the names."""

    drop_name: str
    inputs: Sequence[Mapping[str, object]]
    protocol: Protocol
    is_quick: bool
    measured: Sequence[Measured]
    selected: Measured
    decision: Comparison
    probability: Numbers
    labels: Labels
    features: pl.DataFrame
    importance: Sequence[Mapping[str, Any]]
    settings: Mapping[str, Any]
    calibrated_by: Calibration
    thresholds: Thresholds
    leaks: Sequence[LeakFinding]
    warnings: Sequence[str]
    owner: str

    @property
    def customers(self) -> int:
        """How many the labelled drop has."""
        return len(self.labels)

    @property
    def declined(self) -> int:
        """How many of them declined."""
        return int(self.labels.sum())

    @cached_property
    def calibration(self) -> CalibrationQuality:
        """How good the out-of-fold probabilities are."""
        return assess(self.probability, self.labels, seed=self.protocol.seed)

    def roc_auc(self) -> dict[str, float]:
        """Return the selected candidate's mean ROC-AUC over the splits with its interval."""
        (row,) = filter(self.is_selected, self.candidates)
        return {"mean": row["roc_auc"], "low": row["low"], "high": row["high"]}

    @cached_property
    def candidates(self) -> list[dict[str, Any]]:
        """One row per candidate, the best first: ROC-AUC with interval, errors, seconds to fit and to score."""
        rows = []
        for measured in self.measured:
            interval = roc_auc_interval(measured, test_share=self.protocol.test_share)
            rows.append(
                {
                    "name": measured.candidate.name,
                    "title": measured.candidate.title,
                    "roc_auc": interval.gain,
                    "low": interval.low,
                    "high": interval.high,
                    "fold_sd": float(measured.aucs.std(ddof=1)),
                    "brier": measured.brier(self.labels),
                    "log_loss": float(measured.log_losses(self.labels).mean()),
                    "fit_seconds": float(np.median([split.fit_seconds for split in measured.splits])),
                    "score_seconds": float(np.median([split.score_seconds for split in measured.splits])),
                }
            )
        return sorted(rows, key=lambda row: -row["roc_auc"])

    def groups(self) -> list[dict[str, Any]]:
        """Return how each category and service type fares: ROC-AUC, mean probability against truth, share flagged.

        Without ROC-AUC where fewer than two customers declined, or fewer than two did not; nothing of a word that
        nobody has.
        """
        rows = []
        for feature in CATEGORICAL_FEATURES:
            for word in feature.values:
                has_word = (self.features[feature.name] == word).to_numpy()
                truth, probability = self.labels[has_word], self.probability[has_word]
                if not len(truth):
                    continue
                foretold, declined = pl.Series(probability), pl.Series(truth == 1)
                interval = delong(foretold, declined)
                rows.append(
                    {
                        "feature": feature.name,
                        "word": word,
                        "customers": int(has_word.sum()),
                        "roc_auc": interval and interval.auc,
                        "low": interval and interval.low,
                        "high": interval and interval.high,
                        "mean_probability": float(probability.mean()),
                        "declined": float(truth.mean()),
                        "brier": brier_score(foretold, declined),
                        "flagged": float((probability >= self.thresholds.risk).mean()),
                    }
                )
        return rows

    def table(self) -> str:
        """Return the comparison as text for a terminal."""
        columns: Columns = {**CANDIDATES, "candidate": "{mark} {title}", "95 % interval": "{low:.3f} to {high:.3f}"}
        marked = [{**row, "mark": "*" if self.is_selected(row) else " "} for row in self.candidates]
        headings = ("  candidate", *list(columns)[1:])
        return "\n".join(
            [
                f"{self.customers:,} customers, {self.declined:,} declined; {self.protocol.describe()}",
                *align(headings, fill(columns, marked), indent="  "),
                "",
                f"  {self.describe_decision()}",
                f"  {self.describe_power()}",
                f"  On log-loss, where less is better: {self.on_log_loss().describe('log-loss')}",
                (
                    f"  Calibration: Brier {self.calibration.brier:.4f}, expected calibration error "
                    f"{self.calibration.expected_error:.3f} ({self.calibration.expected_error_low:.3f} to "
                    f"{self.calibration.expected_error_high:.3f})"
                ),
                *(f"  Warning: {warning}" for warning in self.warnings),
                *(["  Quick comparison: too few splits to rely on."] if self.is_quick else []),
            ]
        )

    def is_selected(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of the candidates is the one that is deployed."""
        return bool(row["name"] == self.selected.candidate.name)

    def on_log_loss(self) -> Comparison:
        """Return the challenger's log-loss less the champion's: below 0 it foretells better."""
        champion, challenger = (measured.log_losses(self.labels) for measured in self.measured[:2])
        return corrected_interval(challenger - champion, test_share=self.protocol.test_share)

    def against_plain(self) -> Comparison | None:
        """Return the challenger against plain logistic regression, None where that did not compete."""
        plain = next((measured for measured in self.measured if measured.candidate.name == PLAIN.name), None)
        return None if plain is None else compare(self.measured[1], plain, test_share=self.protocol.test_share)

    def against_others(self) -> dict[str, Comparison]:
        """Return the champion against each candidate that could not be deployed."""
        champion, _, *others = self.measured
        test_share = self.protocol.test_share
        return {measured.candidate.name: compare(champion, measured, test_share=test_share) for measured in others}

    def describe_power(self) -> str:
        """Return in one sentence what the decision could not have seen."""
        return (
            f"A true gain of {NOTICEABLE:g} would be found significant with a probability of "
            f"{self.decision.power(NOTICEABLE):.0%}, one of {self.decision.smallest_visible():.3f} with {POWER:.0%}."
        )

    def describe_calibration(self) -> str:
        """Return how the deployed model was calibrated, and instead of what."""
        beta, platt = "beta calibration (Kull and others 2017)", "Platt's sigmoid"
        chosen, other = (beta, platt) if self.calibrated_by.bend else (platt, beta)
        return f"{chosen[0].upper()}{chosen[1:]}, which foretold better within the folds (log-loss) than {other}"

    def describe_decision(self) -> str:
        """Return in one sentence whether the challenger replaces the champion, and why."""
        challenger = self.measured[1].candidate.title
        champion = self.measured[0].candidate.title
        outcome = "replaces" if self.decision.is_better else "does not replace"
        return f"{challenger} against {champion}: {self.decision.describe()}. It {outcome} it."

    def plain(self) -> dict[str, Any]:
        """Return the card for machines."""
        area = delong(pl.Series(self.probability), pl.Series(self.labels == 1))
        assert area is not None  # noqa: S101 - there are enough of each label
        plain = self.against_plain()
        declined = self.probability[self.labels == 1]
        return {
            "owner": self.owner,
            "licence": importlib.metadata.metadata("oneclick-retention")["License-Expression"],
            "drop": self.drop_name,
            "inputs": [{"file": file["file"], "sha256": file["sha256"]} for file in self.inputs],
            "customers": self.customers,
            "declined": self.declined,
            "protocol": {**asdict(self.protocol), "quick": self.is_quick},
            "candidates": [
                {key: value for key, value in row.items() if "seconds" not in key} for row in self.candidates
            ],
            "decision": {
                **asdict(self.decision),
                "selected": self.selected.candidate.name,
                "power": {"gain": NOTICEABLE, "probability": self.decision.power(NOTICEABLE)},
                "smallest_visible": {"gain": self.decision.smallest_visible(), "probability": POWER},
                "on_log_loss": asdict(self.on_log_loss()),
                "against_plain": None if plain is None else asdict(plain),
            },
            "champion_against": {name: asdict(comparison) for name, comparison in self.against_others().items()},
            "roc_auc": self.roc_auc(),
            "roc_auc_out_of_fold_delong": area._asdict(),
            "calibration": asdict(self.calibration),
            "ranking": rank_customers(self.probability, self.labels),
            "importance": list(self.importance),
            "groups": self.groups(),
            "missed": {
                "below_threshold": float((declined < self.thresholds.risk).mean()),
                "below_a_tenth": float((declined < SURPRISE).mean()),
            },
            "settings": dict(self.settings),
            "thresholds": self.thresholds._asdict(),
            "features": list(FEATURE_NAMES),
            "single_columns": [asdict(finding) for finding in self.leaks],
            "warnings": list(self.warnings),
        }


def write_card(card: Card, trained_at: str) -> dict[str, str]:
    """Return the card's texts and pictures by file name. Args: trained_at: ISO 8601.

    `card.md` and `card.html` also tell when training took place, and the first how long fitting took, which differs
    between machines; `card.json` and all else are the same for the same data, seed and versions.
    """
    plain = card.plain()
    pictures = draw_pictures(plain, is_russian=False)
    return {
        "card.json": to_text(plain),
        CARD: _markdown(card, plain, trained_at),
        CARD_PAGE: _html(plain, trained_at),
        **{f"{name}.svg": picture for name, picture in pictures.items()},
    }


def _markdown(card: Card, facts: Mapping[str, Any], trained_at: str) -> str:
    candidates = [
        {**row, "title": row["title"] + " (selected)"} if card.is_selected(row) else row for row in card.candidates
    ]
    titles = {measured.candidate.name: measured.candidate.title for measured in card.measured}
    plain = card.against_plain()
    text = files("job.training").joinpath("card.md").read_text(encoding="utf-8")
    return text.format(
        card=card,
        facts=facts,
        trained_at=trained_at,
        quick="\n> Made with `--quick`: too few splits to rely on.\n" if card.is_quick else "",
        owner=card.owner or "not named",
        rate=card.declined / card.customers,
        inputs="\n".join(f"- `{file['file']}`, SHA-256 `{file['sha256']}`" for file in card.inputs),
        warnings="\n".join(f"- {warning}." for warning in card.warnings),
        protocol=card.protocol.describe().capitalize(),
        samples=describe_samples([measured.candidate for measured in card.measured], card.customers, card.protocol),
        candidates=_table(CANDIDATES, candidates),
        decision=card.describe_decision(),
        power=card.describe_power(),
        on_log_loss=card.on_log_loss().describe("log-loss"),
        against_plain="" if plain is None else f" The challenger against {PLAIN.title}: {plain.describe()}.",
        others="\n".join(f"- {titles[name]}: {other.describe()}" for name, other in card.against_others().items()),
        area=facts["roc_auc_out_of_fold_delong"],
        top=facts["ranking"]["top_tenth"],
        calibrated=card.describe_calibration(),
        calibration=card.calibration,
        settings="\n".join(f"- {line}" for line in describe_settings(card.settings, is_russian=False)),
        importance=_table(IMPORTANCE, card.importance),
        groups=_table(GROUPS, facts["groups"]),
    )


def _html(card: Mapping[str, Any], trained_at: str) -> str:
    """Return the card for the shop: one Russian page, without scripts and without anything loaded from elsewhere."""
    return render_html(
        "job.training",
        "card.html",
        card=card,
        pictures=draw_pictures(card, is_russian=True),
        trained_at=trained_at,
        title=MODELS[card["decision"]["selected"]],
        top=card["ranking"]["top_tenth"],
        months=PROFIT_MONTHS,
        directions=[(title_of(row["feature"]), describe_direction(row, is_russian=True)) for row in card["importance"]],
        settings=describe_settings(card["settings"], is_russian=True),
        candidates=[(MODELS[row["name"]], row) for row in card["candidates"]],
        word_title=word_title,
        sorted_by=[
            (_KEPT_OUT[row["column"]], fixed(row["auc"], 3))
            for row in card["single_columns"]
            if row["column"] in _KEPT_OUT and row["auc"] > LEAK_AUC
        ],
    )


def _table(columns: Columns, rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [list(columns), ["---"] * len(columns), *fill(columns, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
