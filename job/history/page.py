"""The Russian page of all months: one file, no script, nothing loaded from anywhere; the run's page in style."""

from __future__ import annotations

from datetime import datetime
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from job.report.formats import NO_BREAK_SPACE, compact, fixed, number, percent
from job.report.warnings import translate_warnings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.results import HistoryCampaign, HistoryFile, HistoryOffer, HistoryRun, Interval

UNKNOWN: Final = "—"
SEVERITIES: Final = {"none": "нет", "warn": "заметный", "stop": "большой"}
_WIDTH, _LEFT, _ROW = 720, 250, 34  # of the picture, in its own units


def render_history(history: HistoryFile) -> str:
    """Return the page of `describe_history`."""
    css = files("job.report").joinpath("page.css").read_text(encoding="utf-8")
    body = "\n".join(
        [
            "<h1>Что дали кампании, месяц за месяцем</h1>",
            f'<p class="soft">Прогонов: {number(len(history["runs"]))}, измеренных кампаний: '
            f"{number(len(history['campaigns']))}. Деньги — в единицах столбца «Прибыль».</p>",
            _warnings(history["warnings"]),
            _offers(history["offers"]),
            _campaigns(history),
            _runs(history["runs"]),
        ]
    )
    return (
        '<!DOCTYPE html>\n<html lang="ru">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>Что дали кампании</title>\n<link rel="icon" href="data:,">\n<style>\n{css}</style>\n</head>\n'
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    lines = "".join(f"<li>{escape(warning)}</li>" for warning in translate_warnings(warnings))
    return f'<section class="notes"><h2>Не удалось прочитать</h2><ul>{lines}</ul></section>'


def _offers(offers: Sequence[HistoryOffer]) -> str:
    if not offers:
        return "<section><h2>Предложения</h2><p>Ни одного прогона с предложениями ещё нет.</p></section>"
    rows = [
        [
            escape(offer["text"]),
            percent(offer["effect"], decimals=1),
            f"{percent(offer['low'], decimals=1)} … {percent(offer['high'], decimals=1)}",
            percent(offer["assumed"], decimals=1),
            percent(offer["weight_of_assumption"]),
            number(offer["campaigns"]),
            number(offer["treated"]),
            number(offer["control"]),
        ]
        for offer in offers
    ]
    headings = (
        "Предложение",
        "Эффект",
        "С вероятностью 95 %",
        "Предполагали",
        "Доля предположения",
        "Кампаний",
        "Получили",
        "В контроле",
    )
    return (
        "<section><h2>Чего стоят предложения</h2>"
        "<p>Эффект — какую долю уходов предложение предотвращает: по всем измеренным кампаниям вместе и по "
        "предположению из файла сегментов. Чем больше измерено, тем меньше доля предположения. Следующий расчёт берёт "
        f"эти числа (--effects measured).</p><figure>{_picture(offers)}<figcaption>Точка — эффект, черта — 95 % "
        f"интервал, кружок без заливки — предположение.</figcaption></figure>{_table(headings, rows)}</section>"
    )


def _picture(offers: Sequence[HistoryOffer]) -> str:
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


def _campaigns(history: HistoryFile) -> str:
    if not history["campaigns"]:
        return (
            "<section><h2>Кампании</h2><p>Ни одна кампания ещё не измерена: через три месяца после рассылки "
            "запустите retention lift с новой выгрузкой.</p></section>"
        )
    headings = (
        "Кампания",
        "Когда",
        "Получили",
        "В контроле",
        "Уходов стало меньше на",
        "Ожидали сверх затрат",
        "Получили сверх затрат",
    )
    rows = [_campaign_row(campaign) for campaign in history["campaigns"]]
    expected = history["expected"]
    together = ""
    if expected["net"] is not None:
        net = expected["net"]
        together = (
            f"<p>Вместе: ожидали {compact(expected['expected_value'])}, получили {compact(net['mean'])} "
            f"(от {compact(net['low'])} до {compact(net['high'])} с вероятностью 95 %).</p>"
        )
    return f"<section><h2>Что было обещано и что вышло</h2>{together}{_table(headings, rows)}</section>"


def _campaign_row(campaign: HistoryCampaign) -> list[str]:
    fall = campaign["fall"]
    points = f"{NO_BREAK_SPACE}п.{NO_BREAK_SPACE}п."
    shown = UNKNOWN
    if fall is not None:
        ends = f"{number(fall['low'] * 100, decimals=1)} … {number(fall['high'] * 100, decimals=1)}"
        shown = f"{number(fall['mean'] * 100, decimals=1)}{points} ({ends})"
    expected = campaign["expected_value"]
    return [
        escape(campaign["name"] or campaign["run_id"]),
        UNKNOWN if campaign["finished"] is None else _day(campaign["finished"]),
        number(campaign["treated"]),
        number(campaign["control"]),
        shown,
        UNKNOWN if expected is None else compact(expected),
        _money(campaign["net"]),
    ]


def _money(interval: Interval | None) -> str:
    if interval is None:
        return UNKNOWN
    return f"{compact(interval['mean'])} ({compact(interval['low'])} … {compact(interval['high'])})"


def _runs(runs: Sequence[HistoryRun]) -> str:
    headings = (
        "Кампания",
        "Когда",
        "Клиентов",
        "Высокий риск",
        "Средний риск",
        "Выручка месяца к обучению",
        "Сдвиг клиентов",
        "ROC-AUC: обещан",
        "ROC-AUC: оказался",
        "Контактов",
        "Стоимость",
        "В контроле",
        "Прогон",
    )
    return f"<section><h2>Месяцы</h2>{_table(headings, [_run_row(run) for run in runs])}</section>"


def _run_row(run: HistoryRun) -> list[str]:
    high, level = run["high_risk"], run["levels"].get("current_month")
    return [
        escape(run["campaign"]),
        _day(run["finished"]),
        number(run["customers"]),
        UNKNOWN if high is None or not run["scored"] else percent(high / run["scored"], decimals=1),
        UNKNOWN if run["mean_risk"] is None else percent(run["mean_risk"], decimals=1),
        UNKNOWN if level is None else percent(level - 1, signed=True),
        SEVERITIES.get(run["drift"] or "", UNKNOWN),
        UNKNOWN if run["roc_auc_foretold"] is None else fixed(run["roc_auc_foretold"], 3),
        UNKNOWN if run["roc_auc_found"] is None else fixed(run["roc_auc_found"], 3),
        number(run["contacts"]),
        compact(run["cost"]),
        number(run["control"]),
        f"<code>{escape(run['run_id'])}</code>",
    ]


def _day(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%d.%m.%Y}"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of texts that are escaped; on a narrow screen each row is a list."""
    first, *others = headings
    head = f"<th>{first}</th>" + "".join(f'<th class="n">{name}</th>' for name in others)
    lines = [
        f'<tr><td class="head">{row[0]}</td>'
        + "".join(f'<td class="n" data-label="{name}">{cell}</td>' for name, cell in zip(others, row[1:], strict=True))
        + "</tr>"
        for row in rows
    ]
    table = f'<table class="stack"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
    return f'<div class="scroll">{table}</div>'
