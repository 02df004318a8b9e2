"""The model card for the shop: one Russian page, without scripts and without anything loaded from elsewhere."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from job.report.formats import fixed
from job.report.page import MODELS, html_environment
from job.training.leaks import LEAK_AUC
from job.training.pictures import draw_pictures
from job.training.wording import describe_direction, describe_settings
from schemas.features import title_of, word_title
from schemas.scored import PROFIT_MONTHS

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEPT_OUT: Final = {"id": "Номер клиента (id)", "row": "Порядок строк"}


def render_card(card: Mapping[str, Any], trained_at: str) -> str:
    """Return the card as HTML.

    `card`: as `card.json` has it. `trained_at`: the moment, ISO 8601.
    """
    pictures = draw_pictures(card, is_russian=True)
    css = files("job.report").joinpath("page.css").read_text(encoding="utf-8")
    return (
        html_environment("job.training")
        .get_template("card.html")
        .render(
            card=card,
            css=Markup(css),  # noqa: S704 - our own file
            pictures={name: Markup(svg) for name, svg in pictures.items()},  # noqa: S704 - drawn here; texts are escaped
            trained_at=trained_at,
            title=MODELS[card["decision"]["selected"]],
            top=card["ranking"]["top_tenth"],
            months=PROFIT_MONTHS,
            directions=[
                (title_of(row["feature"]), describe_direction(row, is_russian=True)) for row in card["importance"]
            ],
            settings=describe_settings(card["settings"], is_russian=True),
            candidates=[(MODELS[row["name"]], row) for row in card["candidates"]],
            groups=[(word_title(row["word"]), row) for row in card["groups"]],
            sorted_by=[
                (_KEPT_OUT[row["column"]], fixed(row["auc"], 3))
                for row in card["single_columns"]
                if row["column"] in _KEPT_OUT and row["auc"] > LEAK_AUC
            ],
        )
    )
