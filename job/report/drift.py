"""What the page says of drift, in Russian display values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from job.models.reference import SCORE
from job.report.formats import compact, count, fixed, percent
from schemas.features import MEANINGS, title_of, word_title
from schemas.phrases import Phrase

if TYPE_CHECKING:
    from schemas.manifest import Drift, Finding

MIDDLE: Final = 0.5
FINDINGS: Final = {
    "not_scored": "Нельзя оценить {share} клиентов выгрузки: части данных нет или она негодна. При обучении таких было "
    "{reference_share}",
    "missing": "у {share} клиентов значения нет или модель его не знает. При обучении таких было {reference_share}",
    "word_gone": "ни у одного клиента нет значения «{word}», при обучении оно было у {reference_share}",
    "word_new": "значение «{word}» у {share} клиентов, при обучении его не было ни у кого",
}
"""Kind of finding -> what is said of it, behind the feature's title; of the others, the index."""
SCORE_TITLE: Final = "Оценка риска"
CHECKS: Final = ("проверки", "проверок", "проверок")
SIGNS: Final = ("признака", "признаков", "признаков")


def describe_drift(drift: Drift | None) -> dict[str, Any] | None:
    """Return the drift of a run in words and numbers, None if the run does not tell it."""
    if drift is None:
        return None
    rows = [*drift["features"], drift["score"]]
    small = [row for row in drift["features"] if row["severity"] == "none" and row["psi"] > row["chance"]]
    return {
        "findings": [(row["severity"] == "stop", _say(row)) for row in drift["findings"]],
        "small": count(len(small), *SIGNS) if small else None,
        "checks": count(drift["checks"], *CHECKS),
        "rows": [
            (
                feature_title(row["feature"]),
                row["severity"] != "none",
                *(_median(row, shares) for shares in ("shares", "reference_shares")),
                fixed(row["psi"], 2),
                fixed(row["chance"], 2),
            )
            for row in rows
        ],
    }


def _say(row: Finding) -> str:
    """Return a finding as a phrase that begins with a capital letter and has no full stop."""
    shares = {key: percent(row[key], decimals=1) for key in ("share", "reference_share") if key in row}
    text = FINDINGS.get(row["kind"], "PSI {psi} (случайно бывает до {chance})").format(
        word=word_title(row.get("word", "")),
        psi=fixed(row.get("psi", 0.0), 2),
        chance=fixed(row.get("chance", 0.0), 2),
        **shares,
    )
    if row["kind"] == "not_scored":
        return text
    higher = row.get("higher")
    way = "" if higher is None else f" {'выше' if higher > MIDDLE else 'ниже'}, чем при обучении,"
    return f"{feature_title(row['feature'])}:{way} {text}"


def feature_title(feature: str) -> str:
    """Return what people call a feature, or the score."""
    return SCORE_TITLE if feature == SCORE else title_of(feature)


def _median(row: Mapping[str, Any], shares: str) -> str:
    """Return the median of a number as far as its bins tell: linear inside a bin, a bound in an outer one.

    It is rounded as the number is delivered: half of the customers have 4 contacts, not 4,01.
    """
    edges: Sequence[float] = row.get("edges", [])
    below = 0.0
    for index, share in enumerate(row[shares]):
        if share and below + share >= MIDDLE:
            if not edges:
                return "—"
            if index == 0:
                return f"до {compact(edges[0])}"
            if index == len(edges):
                return f"от {compact(edges[-1])}"
            low, high = edges[index - 1], edges[index]
            median = low + (high - low) * (MIDDLE - below) / share
            phrase = MEANINGS[row["feature"]].phrase if row["feature"] in MEANINGS else None
            return compact(round(median, phrase.number.decimals) if isinstance(phrase, Phrase) else median)
        below += share
    return "—"
