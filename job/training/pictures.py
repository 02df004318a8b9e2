"""The pictures of a model card, in the style of the page and in the language of the card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from job.report.charts import reliability, shares_against_shares
from job.report.formats import fixed, percent
from job.report.svg import BLUE, GREY, MUTED, SMALL, WIDTH, Frame, Picture
from schemas.features import title_of

if TYPE_CHECKING:
    from markupsafe import Markup

ROW: Final = 30


TEXTS: Final = {
    "predicted": ("Predicted probability", "Предсказанный риск"),
    "observed": ("Share that declined", "Доля снизивших активность"),
    "false_alarms": ("Of those who stayed, taken for decliners", "Из сохранивших активность приняты за снизивших"),
    "reached": ("Of those who declined, found", "Из снизивших активность найдены"),
    "precision": ("Declined among those addressed", "Снизили активность среди отобранных"),
    "base_rate": ("among all", "среди всех"),
    "loss": ("Loss of ROC-AUC when shuffled", "Потеря ROC-AUC при перемешивании"),
    "contribution": ("Mean absolute contribution to the log-odds (SHAP)", "Средний вклад в логарифм шансов (SHAP)"),
}
"""What is written on the pictures, in English and in Russian."""


def draw_pictures(card: Mapping[str, Any], *, is_russian: bool) -> dict[str, Markup]:
    """Return the card's pictures as SVG elements: `reliability`, `roc`, `precision_recall`, `loss`, `contribution`.

    `card`: as `card.json` has it. `is_russian`: the language; else English.
    """
    texts = {name: text[is_russian] for name, text in TEXTS.items()}
    pictures = {
        "reliability": (reliability(card, texts["observed"], texts["predicted"]), texts["observed"]),
        "roc": (_roc(card, texts), "ROC"),
        "precision_recall": (_precision_recall(card, texts), texts["precision"]),
        **{
            measure: (_intervals(card["importance"], measure, texts[measure], is_russian=is_russian), texts[measure])
            for measure in ("loss", "contribution")
        },
    }
    return {name: picture.svg(description) for name, (picture, description) in pictures.items()}


def _roc(card: Mapping[str, Any], texts: Mapping[str, str]) -> Picture:
    """Return which share of the decliners is found at the price of which share of the others."""
    declined, stayed = card["declined"], card["customers"] - card["declined"]
    picture, frame = shares_against_shares(texts["false_alarms"], texts["reached"])
    picture.line([(frame.x(0), frame.y(0)), (frame.x(1), frame.y(1))], GREY, dashes="4 3")
    cuts = card["ranking"]["cuts"]
    picture.line([(frame.x((cut - hits) / stayed), frame.y(hits / declined)) for cut, hits in cuts], BLUE, width=2)
    return picture


def _precision_recall(card: Mapping[str, Any], texts: Mapping[str, str]) -> Picture:
    """Return which share of those addressed declines, the more of the decliners are found."""
    declined = card["declined"]
    picture, frame = shares_against_shares(texts["reached"], texts["precision"])
    rate = declined / card["customers"]
    picture.line([(frame.x(0), frame.y(rate)), (frame.x(1), frame.y(rate))], GREY, dashes="4 3")
    picture.text(frame.left + 4, frame.y(rate) + 10, f"{texts['base_rate']} {percent(rate)}", color=MUTED, size=SMALL)
    cuts = [(cut, hits) for cut, hits in card["ranking"]["cuts"] if cut]
    picture.line([(frame.x(hits / declined), frame.y(hits / cut)) for cut, hits in cuts], BLUE, width=2)
    return picture


def _intervals(importance: Sequence[Mapping[str, Any]], measure: str, title: str, *, is_russian: bool) -> Picture:
    """Return a measure of each feature as a bar with the ends of its interval, the largest first."""
    rows = sorted(importance, key=lambda row: (-row[measure]["mean"], row["feature"]))
    low = min(0.0, *(row[measure]["low"] for row in rows))
    high = max(1e-9, *(row[measure]["high"] for row in rows))
    picture = Picture(WIDTH, 34 + ROW * len(rows))
    frame = Frame(
        picture, left=4, top=4, right=WIDTH - 56, bottom=ROW * len(rows) + 6, across=(low, high), upwards=(0.0, 1.0)
    )
    for index, row in enumerate(rows):
        value, top = row[measure], ROW * index
        picture.text(4, top + 9, title_of(row["feature"]) if is_russian else row["feature"], size=SMALL)
        start, end = sorted((frame.x(0), frame.x(value["mean"])))
        picture.line([(frame.x(0), top + 15), (frame.x(0), top + 28)], GREY)
        picture.bar(start, top + 17, end - start, 9, BLUE)
        picture.line([(frame.x(value["low"]), top + 21.5), (frame.x(value["high"]), top + 21.5)], MUTED, width=1.5)
        number = fixed(value["mean"], 3)
        text = number if is_russian else number.replace(",", ".")
        picture.text(WIDTH, top + 21.5, text, anchor="end", color=MUTED, size=SMALL)
    picture.text(4, frame.bottom + 14, title, color=MUTED, size=SMALL)
    return picture
