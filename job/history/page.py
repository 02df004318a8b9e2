"""What the months have taught, beside the runs: `history.json`, and the Russian page in the style of a run's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from job.files import replace_file
from job.report.formats import POINTS, compact, fixed, number, percent
from job.report.html import bullets, document, section, soft, table
from job.report.warnings import translate_warnings
from job.scoring.publish import as_output_error

if TYPE_CHECKING:
    from schemas.manifest import Interval

Row = Mapping[str, Any]

PAGE: Final = "history.html"
JSON: Final = "history.json"
UNKNOWN: Final = "—"
SEVERITIES: Final = {"none": "нет", "warn": "заметный", "stop": "большой"}
_POLICY: Final = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
    'img-src data:">\n'
)
_WIDTH, _LEFT, _ROW = 720, 250, 34  # of the picture, in its own units


def write_history(output: Path, history: Row) -> None:
    """Replace both files. Raises OutputError if they cannot be written."""
    with as_output_error(output):
        replace_file(output / PAGE, render_history(history).encode())
        text = json.dumps(history, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        replace_file(output / JSON, text.encode())


def render_history(history: Row) -> str:
    """Return the page of `describe_history`."""
    warnings = translate_warnings(history["warnings"])
    measured = f"Прогонов: {number(len(history['runs']))}, измеренных кампаний: {number(len(history['campaigns']))}"
    parts = [
        "<h1>Что дали кампании, месяц за месяцем</h1>",
        soft(f"{measured}. Деньги — в единицах столбца «Прибыль»."),
        section("Не удалось прочитать", bullets(map(escape, warnings)), kind="notes") if warnings else "",
        _offers(history["offers"]),
        _campaigns(history),
        section("Месяцы", _scrolled(table(_RUN_COLUMNS, history["runs"]))),
    ]
    return document("Что дали кампании", parts, head=_POLICY)


def _offers(offers: Sequence[Row]) -> str:
    if not offers:
        return section("Предложения", "<p>Ни одного прогона с предложениями ещё нет.</p>")
    return section(
        "Чего стоят предложения",
        "<p>Эффект — какую долю уходов предложение предотвращает: по всем измеренным кампаниям вместе и по "
        "предположению из файла сегментов. Чем больше измерено, тем меньше доля предположения. Следующий расчёт берёт "
        f"эти числа (--effects measured).</p><figure>{_picture(offers)}<figcaption>Точка — эффект, черта — 95 % "
        "интервал, кружок без заливки — предположение.</figcaption></figure>"
        + _scrolled(table(_OFFER_COLUMNS, offers)),
    )


def _picture(offers: Sequence[Row]) -> str:
    """Return the effects with their intervals, and what was assumed, as SVG."""
    low = min(0.0, *(offer["low"] for offer in offers))
    high = max(0.1, *(offer["high"] for offer in offers))
    height = _ROW * len(offers) + 26

    def across(value: float) -> str:
        return f"{_LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - 30):.1f}"

    zero = across(0.0)
    parts = [f'<line x1="{zero}" x2="{zero}" y1="0" y2="{height - 22}" stroke="#a9b1ba"/>']
    parts += [f'<text x="{zero}" y="{height - 6}" text-anchor="middle" fill="#5b6673">0</text>']
    for line, offer in enumerate(offers):
        y = _ROW * line + 18
        title = offer["text"] if len(offer["text"]) <= 32 else f"{offer['text'][:31]}…"  # noqa: PLR2004 - what fits
        parts += [
            f'<text x="0" y="{y + 5}" fill="#1b2430">{escape(title)}</text>',
            f'<line x1="{across(offer["low"])}" x2="{across(offer["high"])}" y1="{y}" y2="{y}" stroke="#0072b2" '
            'stroke-width="3"/>',
            f'<circle cx="{across(offer["effect"])}" cy="{y}" r="6" fill="#0072b2"/>',
            f'<circle cx="{across(offer["assumed"])}" cy="{y}" r="5" fill="#fff" stroke="#d55e00" stroke-width="2"/>',
        ]
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" font-size="14" role="img" '
        f'aria-label="Эффекты предложений с интервалами">{"".join(parts)}</svg>'
    )


def _campaigns(history: Row) -> str:
    if not history["campaigns"]:
        return section(
            "Кампании",
            "<p>Ни одна кампания ещё не измерена: через три месяца после рассылки запустите retention lift с новой "
            "выгрузкой.</p>",
        )
    expected, net = history["expected"]["expected_value"], history["expected"]["net"]
    together = (
        f"<p>Вместе: ожидали {compact(expected)}, получили {compact(net['mean'])} "
        f"(от {compact(net['low'])} до {compact(net['high'])} с вероятностью 95 %).</p>"
        if net is not None
        else ""
    )
    shown = _scrolled(table(_CAMPAIGN_COLUMNS, history["campaigns"]))
    return section("Что было обещано и что вышло", together + shown)


def _scrolled(content: str) -> str:
    return f'<div class="scroll">{content}</div>'


def _ends(interval: Interval | None, show: Callable[[float], str], unit: str = "") -> str:
    if interval is None:
        return UNKNOWN
    return f"{show(interval['mean'])}{unit} ({show(interval['low'])} … {show(interval['high'])})"


def _known(value: float | None, show: Callable[[float], str]) -> str:
    return UNKNOWN if value is None else show(value)


def _share(value: float) -> str:
    return percent(value, decimals=1)


def _auc(value: float) -> str:
    return fixed(value, 3)


def _day(moment: str | None) -> str:
    return UNKNOWN if moment is None else f"{datetime.fromisoformat(moment):%d.%m.%Y}"


_OFFER_COLUMNS: Final[dict[str, Callable[[Row], str]]] = {
    "Предложение": lambda offer: escape(offer["text"]),
    "Эффект": lambda offer: _share(offer["effect"]),
    "С вероятностью 95 %": lambda offer: f"{_share(offer['low'])} … {_share(offer['high'])}",
    "Предполагали": lambda offer: _share(offer["assumed"]),
    "Доля предположения": lambda offer: percent(offer["weight_of_assumption"]),
    "Кампаний": lambda offer: number(offer["campaigns"]),
    "Получили": lambda offer: number(offer["treated"]),
    "В контроле": lambda offer: number(offer["control"]),
}
_CAMPAIGN_COLUMNS: Final[dict[str, Callable[[Row], str]]] = {
    "Кампания": lambda campaign: escape(campaign["name"] or campaign["run_id"]),
    "Когда": lambda campaign: _day(campaign["finished"]),
    "Получили": lambda campaign: number(campaign["treated"]),
    "В контроле": lambda campaign: number(campaign["control"]),
    "Уходов стало меньше на": lambda campaign: _ends(
        campaign["fall"], lambda share: number(share * 100, decimals=1), POINTS
    ),
    "Ожидали сверх затрат": lambda campaign: _known(campaign["expected_value"], compact),
    "Получили сверх затрат": lambda campaign: _ends(campaign["net"], compact),
}
_RUN_COLUMNS: Final[dict[str, Callable[[Row], str]]] = {
    "Кампания": lambda run: escape(run["campaign"]),
    "Когда": lambda run: _day(run["finished"]),
    "Клиентов": lambda run: number(run["customers"]),
    "Высокий риск": lambda run: _share(run["high_risk"] / run["scored"]) if run["scored"] else UNKNOWN,
    "Средний риск": lambda run: _known(run["mean_risk"], _share),
    "Выручка месяца к обучению": lambda run: _known(
        run["levels"].get("current_month"), lambda level: percent(level - 1, signed=True)
    ),
    "Сдвиг клиентов": lambda run: SEVERITIES.get(run["drift"] or "", UNKNOWN),
    "ROC-AUC: обещан": lambda run: _known(run["roc_auc_foretold"], _auc),
    "ROC-AUC: оказался": lambda run: _known(run["roc_auc_found"], _auc),
    "Контактов": lambda run: number(run["contacts"]),
    "Стоимость": lambda run: compact(run["cost"]),
    "В контроле": lambda run: number(run["control"]),
    "Прогон": lambda run: f"<code>{escape(run['run_id'])}</code>",
}
