"""The charts of the page: Vega-Lite through Altair, drawn as SVG without a browser.

All are drawn about as wide as a phone, because text in an SVG shrinks with it; a desktop puts them side by side. One
colour per meaning, all told apart by colour-blind people (Okabe and Ito, "Color Universal Design", 2008).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

import altair as alt
import vl_convert
from altair.utils.schemapi import debug_mode

from job.models.reference import SCORE
from job.report.facts import RISK, RISK_BINS
from job.report.formats import NO_BREAK_SPACE, compact, fixed, number, percent
from job.russian import MINUS
from schemas.features import title_of, word_title

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from schemas.manifest import Drift

BLUE: Final = "#0072B2"
RED: Final = "#D55E00"
LIGHT_BLUE: Final = "#56B4E9"
GREY: Final = "#A9B1BA"
INK: Final = "#1B2430"
MUTED: Final = "#5B6673"
LINES: Final = "#E3E7EB"
WIDTH: Final = 350
ROW: Final = 36
SHOWN_FEATURES: Final = 10
FONT: Final = "Arial, Liberation Sans, Helvetica, sans-serif"
SIDES: Final[tuple[tuple[Literal["left", "right"], int], ...]] = (("right", -5), ("left", 5))
RUSSIAN: Final = {
    "decimal": ",",
    "thousands": NO_BREAK_SPACE,
    "grouping": [3],
    "currency": ["", ""],
    "percent": f"{NO_BREAK_SPACE}%",
    "minus": MINUS,
}
AXIS: Final = {
    "labelFontSize": 11,
    "titleFontSize": 11,
    "titleFontWeight": "normal",
    "labelColor": MUTED,
    "titleColor": MUTED,
    "gridColor": LINES,
    "domainColor": GREY,
    "tickColor": GREY,
}
CONFIG: Final[dict[str, Any]] = {
    "font": FONT,
    "background": None,
    "padding": 4,
    "view": {"stroke": None},
    "axis": AXIS,
    "text": {"fontSize": 12, "color": INK},
    "title": {"fontSize": 12, "fontWeight": "normal", "color": INK, "anchor": "start", "offset": 6},
    "legend": {"labelFontSize": 11, "titleFontSize": 11, "labelColor": MUTED, "titleColor": MUTED},
}

Rows = list[dict[str, Any]]
Drawn = alt.Chart | alt.LayerChart | alt.FacetChart | alt.ConcatChart


def draw_charts(facts: Mapping[str, Any], titles: Mapping[str, str], *, drift: Drift | None = None) -> dict[str, str]:
    """Return the page's charts (name -> SVG element, with a description for screen readers).

    Args:
        facts: as `FactsTally.facts` returned them.
        titles: segment code -> Russian title.
        drift: as `judge_drift` returned it; None if the run does not tell it.
    """
    with debug_mode(arg=False):  # Altair would check each part against the Vega-Lite schema: a second of work
        return {
            name: draw(chart, description, name=name)
            for name, (chart, description) in _charts(facts, titles, drift).items()
        }


def _charts(facts: Mapping[str, Any], titles: Mapping[str, str], drift: Drift | None) -> dict[str, tuple[Drawn, str]]:
    """Return each chart with what it shows."""
    charts: dict[str, tuple[Drawn, str]] = {
        "bubbles": (segment_bubbles(facts), "Сегменты: средний риск, прибыль под риском и число клиентов"),
        "segments": (segment_bars(facts, titles), "Прибыль под риском по сегментам"),
        "contacts": (contact_bars(facts, titles), "Сколько клиентов каждого сегмента получат предложение"),
        "histogram": (risk_histogram(facts), "Сколько клиентов с каким риском"),
        "deciles": (decile_bars(facts), "Доля прибыли под риском по десятым долям клиентов"),
        "drivers": (driver_bars(facts), "Что сильнее всего меняет оценку риска"),
        "segment_drivers": (segment_drivers(facts), "Что меняет оценку риска в каждом сегменте"),
        "correlations": (correlation_map(facts), "Связи между признаками, phi_k"),
    }
    if drift:
        charts["drift"] = (drift_bars(drift), "Отличие распределений этой выгрузки от обучающих, PSI")
    if facts["card"] and "calibration" in facts["card"]:
        charts["reliability"] = (reliability(facts["card"]), "Предсказанная вероятность и доля снизивших активность")
    for place, part in enumerate(distribution_parts(facts["distributions"])):
        charts[f"distributions_{place}"] = (part, "Распределения признаков в двух группах клиентов")
    charts["categories"] = (word_bars(facts["distributions"]), "Доля первой группы по категориям и типам сервиса")
    return charts


def draw(chart: Drawn, description: str, *, name: str) -> str:
    """Return a chart as an SVG element that scales with its place and says what it shows.

    Vega counts clip paths over the whole process: they are numbered anew, so that a page has each id once and every
    build gives the same bytes.
    """
    svg = str(vl_convert.vegalite_to_svg(chart.to_dict(validate=False), config=CONFIG, format_locale=RUSSIAN))
    for place, clip in enumerate(dict.fromkeys(re.findall(r'id="(clip\d+)"', svg))):
        svg = re.sub(rf"\b{clip}\b", f"{name}-{place}", svg)
    width = re.search(r'\bwidth="(\d+)"', svg)
    label = (
        f'role="img" aria-label="{description}" style="max-width:{int(width.group(1)) * 1.25:.0f}px"' if width else ""
    )
    return re.sub(r'\bwidth="\d+" height="\d+"', label, svg, count=1)


def _data(rows: Rows) -> alt.InlineData:
    return alt.InlineData(values=rows)


def _titled_bars(rows: Rows, *, color: str | alt.Value | dict[str, Any], limit: float | None = None) -> Drawn:
    """Return bars with their titles above them, so that long Russian titles need no margin.

    Args:
        rows: `title`, `value` and `text` (shown after the bar), in order; `color` if bars differ.
        color: of all bars.
        limit: the axis' end; by default room for the text is left after the longest bar.
    """
    top = limit or max([abs(row["value"]) for row in rows], default=1.0) * 1.3 or 1.0
    data = _data([{"place": place, **row} for place, row in enumerate(rows)])
    y = alt.Y("place:O", axis=None, scale=alt.Scale(paddingInner=0, paddingOuter=0))
    x = alt.X("value:Q", axis=None, scale=alt.Scale(domain=[0, top]))
    fill = alt.Color("color:N", scale=None) if any("color" in row for row in rows) else alt.value(color)
    base = alt.Chart(data)
    bars = base.mark_bar(height=13, yOffset=7, cornerRadiusEnd=2).encode(x, y, color=fill)
    titles = base.mark_text(align="left", baseline="middle", dy=-9, limit=WIDTH).encode(
        x=alt.value(0), y=y, text="title:N"
    )
    values = base.mark_text(align="left", baseline="middle", dx=5, dy=7, color=MUTED).encode(x, y, text="text:N")
    return alt.layer(bars, titles, values).properties(width=WIDTH, height=ROW * max(1, len(rows)))


def segment_bubbles(facts: Mapping[str, Any]) -> Drawn:
    """Return the segments as numbered circles: mean risk across, profit at risk upwards, customers as area."""
    rows = [
        {
            "place": place,
            "risk": row["mean_risk"],
            "profit": row["profit_at_risk"],
            "customers": row["customers"],
            "color": RED if row["mean_risk"] >= facts["thresholds"]["risk"] else BLUE,
        }
        for place, row in enumerate(facts["segments"], start=1)
    ]
    top = max([row["profit"] for row in rows], default=1.0) * 1.25 or 1.0
    most = max([row["customers"] for row in rows], default=1)
    base = alt.Chart(_data(rows)).encode(
        alt.X(
            "risk:Q",
            title="Средний риск",
            scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1]),
        ),
        alt.Y(
            "profit:Q",
            title="Прибыль под риском за 3 месяца",
            scale=alt.Scale(domain=[min(0.0, *(row["profit"] for row in rows)), top]),
            axis=alt.Axis(format="~s" if top >= 1e5 else ",.0f", tickCount=5),  # noqa: PLR2004
        ),
    )
    circles = base.mark_circle(opacity=0.35, strokeWidth=1.5, strokeOpacity=1).encode(
        alt.Size("customers:Q", legend=None, scale=alt.Scale(domain=[0, most], range=[0, 2600])),
        color=alt.Color("color:N", scale=None),
        stroke=alt.Stroke("color:N", scale=None),
    )
    numbers = base.mark_text(fontWeight="bold", fontSize=13).encode(text="place:N")
    return alt.layer(circles, numbers).properties(width=WIDTH - 60, height=270)


def segment_bars(facts: Mapping[str, Any], titles: Mapping[str, str]) -> Drawn:
    """Return profit at risk by segment, numbered as the circles and the table are."""
    rows = [
        {
            "title": f"{place}. {titles.get(row['segment'], row['segment'])}",
            "value": max(0.0, row["profit_at_risk"]),
            "text": compact(row["profit_at_risk"]),
            "color": RED if row["mean_risk"] >= facts["thresholds"]["risk"] else BLUE,
        }
        for place, row in enumerate(facts["segments"], start=1)
    ]
    return _titled_bars(rows, color=BLUE)


def contact_bars(facts: Mapping[str, Any], titles: Mapping[str, str]) -> Drawn:
    """Return each segment's customers as stacked bars: contacted, control, allowed but left out, no consent."""
    rows: Rows = []
    names: Rows = []
    for place, row in enumerate(facts["segments"]):
        parts = contact_parts(row)
        start = 0
        for color, part in zip((BLUE, LIGHT_BLUE, "#D8DDE2", GREY), parts, strict=True):
            rows.append({"place": place, "from": start, "to": start + part, "color": color})
            start += part
        names.append(
            {
                "place": place,
                "title": f"{place + 1}. {titles.get(row['segment'], row['segment'])}",
                "end": start,
                "text": f"{number(row['treatment'])} из {number(row['customers'])}",
            }
        )
    top = max([row["end"] for row in names], default=1) * 1.4
    y = alt.Y("place:O", axis=None, scale=alt.Scale(paddingInner=0, paddingOuter=0))
    scale = alt.Scale(domain=[0, top])
    bars = (
        alt.Chart(_data(rows))
        .mark_bar(height=13, yOffset=7)
        .encode(alt.X("from:Q", axis=None, scale=scale), alt.X2("to:Q"), y, color=alt.Color("color:N", scale=None))
    )
    base = alt.Chart(_data(names))
    title = base.mark_text(align="left", baseline="middle", dy=-9, limit=WIDTH).encode(
        x=alt.value(0), y=y, text="title:N"
    )
    value = base.mark_text(align="left", baseline="middle", dx=5, dy=7, color=MUTED).encode(
        alt.X("end:Q", axis=None, scale=scale), y, text="text:N"
    )
    return alt.layer(bars, title, value).properties(width=WIDTH, height=ROW * max(1, len(names)))


def contact_parts(row: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Return a segment's customers: contacted, control, allowed but not contacted, without consent."""
    left = row["allowed"] - row["treatment"] - row["control"]
    if left < 0:  # a control group that was drawn from all customers, consent or not
        return row["treatment"], row["control"], 0, row["customers"] - row["treatment"] - row["control"]
    return row["treatment"], row["control"], left, row["customers"] - row["allowed"]


def risk_histogram(facts: Mapping[str, Any]) -> Drawn:
    """Return how many customers have which risk, those at or above the threshold in red."""
    threshold = facts["thresholds"]["risk"]
    step = 1 / RISK_BINS
    rows = [
        {
            "from": place * step,
            "to": (place + 1) * step,
            "customers": customers,
            "color": RED if (place + 0.5) * step >= threshold else BLUE,
        }
        for place, customers in enumerate(facts["risk"]["histogram"])
    ]
    top = max(facts["risk"]["histogram"], default=1) * 1.18 or 1
    across = alt.Scale(domain=[0, 1])
    bars = (
        alt.Chart(_data(rows))
        .mark_bar(binSpacing=1)
        .encode(
            alt.X(
                "from:Q",
                bin="binned",
                title="Риск снижения активности",
                scale=across,
                axis=alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1], grid=False),
            ),
            alt.X2("to:Q"),
            alt.Y("customers:Q", title="Клиентов", scale=alt.Scale(domain=[0, top]), axis=alt.Axis(tickCount=5)),
            color=alt.Color("color:N", scale=None),
        )
    )
    side, shift = SIDES[threshold <= 0.5]  # noqa: PLR2004 - the text stands where there is more room
    line = alt.Chart(_data([{"at": threshold, "text": f"порог высокого риска {percent(threshold)}"}]))
    at = alt.X("at:Q", scale=across)
    rule = line.mark_rule(color=INK, strokeDash=[4, 3]).encode(at)
    text = line.mark_text(align=side, dx=shift, baseline="top").encode(at, y=alt.value(0), text="text:N")
    return alt.layer(bars, rule, text).properties(width=WIDTH - 55, height=220)


def decile_bars(facts: Mapping[str, Any]) -> Drawn:
    """Return the share of all profit at risk in each tenth of the customers, the highest risk first."""
    total = facts["risk"]["profit_at_risk"] or 1.0
    threshold = facts["thresholds"]["risk"]
    rows = [
        {
            "decile": row["risk_decile"],
            "share": row["profit_at_risk"] / total,
            "text": percent(row["profit_at_risk"] / total),
            "color": RED if row["mean_risk"] >= threshold else BLUE,
        }
        for row in facts["deciles"]
    ]
    top = max([row["share"] for row in rows], default=1.0) * 1.15 or 1.0
    base = alt.Chart(_data(rows)).encode(
        alt.X("decile:O", title="Десятые доли клиентов, от самого высокого риска", axis=alt.Axis(labelAngle=0)),
        alt.Y("share:Q", title=None, axis=None, scale=alt.Scale(domain=[0, top])),
    )
    bars = base.mark_bar(cornerRadiusEnd=2).encode(color=alt.Color("color:N", scale=None))
    text = base.mark_text(dy=-7, fontSize=11, color=MUTED).encode(text="text:N")
    return alt.layer(bars, text).properties(width=WIDTH - 10, height=220)


def driver_bars(facts: Mapping[str, Any]) -> Drawn:
    """Return the features that move the risk most, and in which direction."""
    drivers = facts["drivers"]
    total = sum(drivers["overall"].values()) or 1.0
    arrows = {"more": " ↑", "less": " ↓", None: ""}
    rows = [
        {
            "title": title_of(name) + arrows[drivers["direction"][name]],
            "value": value / total,
            "text": percent(value / total),
        }
        for name, value in list(drivers["overall"].items())[:SHOWN_FEATURES]
    ]
    return _titled_bars(rows, color=BLUE)


def segment_drivers(facts: Mapping[str, Any]) -> Drawn:
    """Return each segment's shares of importance as a table of shades, columns numbered as the segments are."""
    drivers = facts["drivers"]
    names = list(drivers["overall"])[:SHOWN_FEATURES]
    rows: Rows = []
    for place, segment in enumerate(facts["segments"], start=1):
        own = drivers["segments"].get(segment["segment"])
        if own is None:
            continue
        total = sum(own.values()) or 1.0
        rows += [
            {"segment": place, "feature": title_of(name), "share": own[name] / total, "order": order}
            for order, name in enumerate(names)
        ]
    most = max([row["share"] for row in rows], default=1.0) or 1.0
    for row in rows:
        row["text"] = number(row["share"] * 100)
        row["is_dark"] = row["share"] > most * 0.55
    return _shades(
        rows,
        alt.X("segment:O", title="Сегмент", axis=alt.Axis(orient="top", labelAngle=0, domain=False, ticks=False)),
        alt.Y("feature:N", sort=[title_of(name) for name in names], title=None, axis=_row_axis(190)),
        alt.Color("share:Q", legend=None, scale=alt.Scale(range=["#F2F6FA", BLUE], domain=[0, most])),
    ).properties(width=max(110, min(len(facts["segments"]) * 26, WIDTH - 150)), height=26 * len(names))


def _row_axis(limit: int) -> alt.Axis:
    return alt.Axis(domain=False, ticks=False, labelLimit=limit, labelColor=INK)


def _shades(rows: Rows, x: alt.X, y: alt.Y, color: alt.Color, *, size: int = 11) -> Drawn:
    base = alt.Chart(_data(rows)).encode(x, y)
    cells = base.mark_rect(stroke="white").encode(color=color)
    text = base.mark_text(fontSize=size).encode(
        text="text:N", color=alt.condition("datum.is_dark", alt.value("white"), alt.value(INK))
    )
    return alt.layer(cells, text)


def drift_bars(drift: Drift) -> Drawn:
    """Return the stability index of the features and of the score that differ most, with what chance could do."""
    compared = sorted([*drift["features"], drift["score"]], key=lambda row: (-row["psi"], row["feature"]))
    rows = [
        {
            "place": place,
            "title": "Оценка риска" if row["feature"] == SCORE else title_of(row["feature"]),
            "value": row["psi"],
            "text": "",
            "color": RED if row["severity"] != "none" else BLUE,
            "chance": row["chance"],
            "end": max(row["psi"], row["chance"]),
            "index": fixed(row["psi"], 2),
        }
        for place, row in enumerate(compared[:SHOWN_FEATURES])
    ]
    top = 1.25 * max(drift["settings"]["warn"], *(max(row["psi"], row["chance"]) for row in compared[:SHOWN_FEATURES]))
    scale = alt.Scale(domain=[0, top])
    base = alt.Chart(_data(rows)).encode(alt.Y("place:O", axis=None, scale=alt.Scale(paddingInner=0, paddingOuter=0)))
    chance = base.mark_tick(color=INK, height=13, thickness=1.5, yOffset=7).encode(
        alt.X("chance:Q", axis=None, scale=scale)
    )
    index = base.mark_text(align="left", baseline="middle", dx=5, dy=7, color=MUTED).encode(
        alt.X("end:Q", axis=None, scale=scale), text="index:N"
    )
    bars = _titled_bars(rows, color=BLUE, limit=top)
    return alt.layer(bars, chance, index).properties(width=WIDTH, height=ROW * len(rows))


def correlation_map(facts: Mapping[str, Any]) -> Drawn:
    """Return phi_k between all features and the risk as a table of shades (hundredths), columns numbered as rows."""
    names, values = facts["correlations"]["names"], facts["correlations"]["phi_k"]
    shown = {name: f"{'Риск' if name == RISK else title_of(name)} {place}" for place, name in enumerate(names, start=1)}
    rows = [
        {
            "row": shown[names[row]],
            "column": column + 1,
            "value": value if column < row else 0.0,
            "text": number(value * 100) if value >= 0.05 and column < row else "",  # noqa: PLR2004 - less is noise
            "is_dark": value > 0.6,  # noqa: PLR2004
        }
        for row, line in enumerate(values)
        for column, value in enumerate(line)
        if column <= row
    ]
    return _shades(
        rows,
        alt.X("column:O", title=None, axis=alt.Axis(labelAngle=0, domain=False, ticks=False)),
        alt.Y("row:N", sort=list(shown.values()), title=None, axis=_row_axis(260)),
        alt.Color("value:Q", legend=None, scale=alt.Scale(range=["#F2F6FA", BLUE], domain=[0, 1])),
        size=10,
    ).properties(width=22 * len(names), height=22 * len(names))


def reliability(card: Mapping[str, Any]) -> Drawn:
    """Return predicted probability against the share that declined, in tenths of the training customers."""
    rows = [{"predicted": bin_[0], "observed": bin_[1]} for bin_ in card["calibration"]["bins"]]
    scale = alt.Scale(domain=[0, 1])
    axis = alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1])
    ideal = (
        alt.Chart(_data([{"predicted": 0, "observed": 0}, {"predicted": 1, "observed": 1}]))
        .mark_line(color=GREY, strokeDash=[4, 3])
        .encode(
            alt.X("predicted:Q", title="Предсказанный риск", scale=scale, axis=axis),
            alt.Y("observed:Q", title="Доля снизивших активность", scale=scale, axis=axis),
        )
    )
    points = (
        alt.Chart(_data(rows))
        .mark_line(color=BLUE, point=alt.OverlayMarkDef(color=BLUE, size=45))
        .encode(alt.X("predicted:Q"), alt.Y("observed:Q"))
    )
    return alt.layer(ideal, points).properties(width=WIDTH - 70, height=230)


def distribution_parts(distributions: Mapping[str, Any], each: int = 4) -> list[alt.ConcatChart]:
    """Return the numbers' distributions in two groups as steps, so many in one picture, two abreast."""
    charts = [_steps(row) for row in distributions["numbers"]]
    return [
        alt.ConcatChart(concat=charts[start : start + each], columns=2, spacing=14)
        for start in range(0, len(charts), each)
    ]


def _steps(row: Mapping[str, Any]) -> alt.Chart:
    edges = row["edges"]
    rows = [
        {"at": edge, "share": share, "group": group, "color": color}
        for group, (shares, color) in enumerate(zip(row["shares"], (RED, BLUE), strict=True))
        for edge, share in zip(edges, [*shares, shares[-1]], strict=True)
    ]
    steps: alt.Chart = (
        alt.Chart(_data(rows), title=alt.Title(_wrapped(title_of(row["feature"])), fontSize=11))
        .mark_area(interpolate="step-after", fillOpacity=0.22, line={"strokeWidth": 1.5})
        .encode(
            alt.X(
                "at:Q",
                title=None,
                scale=alt.Scale(domain=[edges[0], edges[-1]], nice=False),
                axis=alt.Axis(tickCount=3, grid=False, format="~r", labelFontSize=10),
            ),
            alt.Y("share:Q", title=None, axis=None, stack=None),
            color=alt.Color("color:N", scale=None),
            detail="group:N",
        )
        .properties(width=WIDTH // 2 - 14, height=70)
    )
    return steps


def _wrapped(title: str, limit: int = 26) -> Sequence[str]:
    lines = [""]
    for word in title.split(" "):
        if lines[-1] and len(lines[-1]) + len(word) >= limit:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return [*lines, ""][:2] if len(lines) == 1 else lines


def word_bars(distributions: Mapping[str, Any]) -> Drawn:
    """Return the share of the first group (declined, or high risk) among the customers of each word."""
    rows = [
        {
            "title": f"{title_of(row['feature'])}: {word_title(row['word'])}",
            "value": row["first_share"],
            "text": percent(row["first_share"]),
        }
        for row in distributions["words"]
        if row["first_share"] is not None
    ]
    return _titled_bars(rows, color=RED)
