"""The pictures of a model card, in the style of the page and in the language of the card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from job.report.charts import reliability, shares_against_shares
from job.report.formats import fixed
from job.report.svg import BLUE, GREY, MUTED, SMALL, WIDTH, Frame, Picture, share
from schemas.features import title_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROW: Final = 30


class Words(NamedTuple):
    """What is written on the pictures: how features and numbers (with so many decimals) are, and the axes' titles."""

    title: Callable[[str], str]
    decimal: Callable[[float, int], str]
    predicted: str
    observed: str
    false_alarms: str
    reached: str
    precision: str
    base_rate: str
    loss: str
    contribution: str


ENGLISH: Final = Words(
    title=lambda name: name,
    decimal=lambda value, decimals: fixed(value, decimals).replace(",", "."),
    predicted="Predicted probability",
    observed="Share that declined",
    false_alarms="Of those who stayed, taken for decliners",
    reached="Of those who declined, found",
    precision="Declined among those addressed",
    base_rate="among all",
    loss="Loss of ROC-AUC when shuffled",
    contribution="Mean absolute contribution to the log-odds (SHAP)",
)
RUSSIAN: Final = Words(
    title=title_of,
    decimal=fixed,
    predicted="Предсказанный риск",
    observed="Доля снизивших активность",
    false_alarms="Из сохранивших активность приняты за снизивших",
    reached="Из снизивших активность найдены",
    precision="Снизили активность среди отобранных",
    base_rate="среди всех",
    loss="Потеря ROC-AUC при перемешивании",
    contribution="Средний вклад в логарифм шансов (SHAP)",
)


def draw_pictures(card: Mapping[str, Any], words: Words) -> dict[str, str]:
    """Return the card's pictures as SVG elements: `reliability`, `roc`, `precision_recall`, `loss`, `contribution`.

    Args:
        card: as `card.json` has it.
        words: the language.
    """
    importance = card["importance"]
    pictures = {
        "reliability": (reliability(card, words.observed, words.predicted), words.observed),
        "roc": (_roc(card, words), "ROC"),
        "precision_recall": (_precision_recall(card, words), words.precision),
        "loss": (_intervals(importance, "loss", words), words.loss),
        "contribution": (_intervals(importance, "contribution", words), words.contribution),
    }
    return {name: picture.svg(description) for name, (picture, description) in pictures.items()}


def _roc(card: Mapping[str, Any], words: Words) -> Picture:
    """Return which share of the decliners is found at the price of which share of the others."""
    declined, stayed = card["declined"], card["customers"] - card["declined"]
    picture, frame = shares_against_shares(words.false_alarms, words.reached)
    picture.line([(frame.x(0), frame.y(0)), (frame.x(1), frame.y(1))], GREY, dashes="4 3")
    cuts = card["ranking"]["cuts"]
    picture.line([(frame.x((cut - hits) / stayed), frame.y(hits / declined)) for cut, hits in cuts], BLUE, width=2)
    return picture


def _precision_recall(card: Mapping[str, Any], words: Words) -> Picture:
    """Return which share of those addressed declines, the more of the decliners are found."""
    declined = card["declined"]
    picture, frame = shares_against_shares(words.reached, words.precision)
    rate = declined / card["customers"]
    picture.line([(frame.x(0), frame.y(rate)), (frame.x(1), frame.y(rate))], GREY, dashes="4 3")
    picture.text(frame.left + 4, frame.y(rate) + 10, f"{words.base_rate} {share(rate)}", color=MUTED, size=SMALL)
    cuts = [(cut, hits) for cut, hits in card["ranking"]["cuts"] if cut]
    picture.line([(frame.x(hits / declined), frame.y(hits / cut)) for cut, hits in cuts], BLUE, width=2)
    return picture


def _intervals(importance: Sequence[Mapping[str, Any]], measure: str, words: Words) -> Picture:
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
        picture.text(4, top + 9, words.title(row["feature"]), size=SMALL)
        start, end = sorted((frame.x(0), frame.x(value["mean"])))
        picture.line([(frame.x(0), top + 15), (frame.x(0), top + 28)], GREY)
        picture.bar(start, top + 17, end - start, 9, BLUE)
        picture.line([(frame.x(value["low"]), top + 21.5), (frame.x(value["high"]), top + 21.5)], MUTED, width=1.5)
        picture.text(WIDTH, top + 21.5, words.decimal(value["mean"], 3), anchor="end", color=MUTED, size=SMALL)
    title = words.loss if measure == "loss" else words.contribution
    picture.text(4, frame.bottom + 14, title, color=MUTED, size=SMALL)
    return picture
