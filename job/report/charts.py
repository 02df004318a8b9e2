"""The charts of the page, each drawn of the run's data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

from job.report.data import RISK_BINS
from job.report.formats import compact, number, percent
from job.report.svg import (
    BLUE,
    GREY,
    INK,
    LIGHT_BLUE,
    LINES,
    MUTED,
    NORMAL,
    RED,
    SHARES,
    SMALL,
    WIDTH,
    Frame,
    Picture,
    between,
    shade,
    ticks,
    wrapped,
)
from job.statistics import wilson_interval
from schemas.features import MEANINGS, title_of

if TYPE_CHECKING:
    from markupsafe import Markup

    from schemas.manifest import EarlierRun
    from schemas.report_data import ReportData

    Ends = tuple[float, float]

SHOWN_FEATURES: Final = 10
ALL_CIRCLES: Final = 0.16  # of the plot: circles that are small enough can be moved apart
GAP: Final = 2.0  # between circles
ROUNDS: Final = 400  # of moving circles apart
TILE: Final = (240, 120)
SHOWN_SEGMENTS: Final = 4
_SERIES: Final = (BLUE, RED, "#009E73", "#CC79A7")


def draw_charts(data: ReportData, titles: Mapping[str, str], *, runs: Sequence[EarlierRun] = ()) -> dict[str, Markup]:
    """Return the page's charts (name -> SVG element, with a description for screen readers): those that are shown.

    `titles`: segment code -> Russian title; `runs`: earlier runs of the same output and this one, the oldest first.
    """
    charts: dict[str, tuple[Picture, str]] = {
        "bubbles": (segment_bubbles(data), "Сегменты: средний риск, прибыль под риском и число клиентов"),
        "histogram": (risk_histogram(data), "Сколько клиентов с каким риском"),
        "deciles": (decile_bars(data), "Доля прибыли под риском по десятым долям клиентов"),
        "worth": (risk_and_profit(data), "Клиенты по риску и прибыли за месяц"),
        "drivers": (shapley_summary(data), "Вклады признаков в риск по клиентам, значения SHAP"),
    }
    if data["card"] and "calibration" in data["card"]:
        charts["reliability"] = (reliability(data["card"]), "Предсказанная вероятность и доля снизивших активность")
    if len(runs) > 1:
        charts |= {f"runs_{name}": drawn for name, drawn in run_lines(runs, titles).items()}
    for index, row in enumerate(data["distributions"]["numbers"]):
        charts[f"distributions_{index}"] = (tile(row), f"Распределение: {title_of(row['feature'])}")
    return {name: picture.svg(description) for name, (picture, description) in charts.items()}


def plot(height: float, across: Ends, upwards: Ends, *, left: float = 44, top: float = 26) -> tuple[Picture, Frame]:
    """Return a picture with a frame, room for an axis and its title below. Args: across, upwards: ends of the axes."""
    picture = Picture(WIDTH, height)
    right = WIDTH - min(left, 20)
    frame = Frame(picture, left=left, top=top, right=right, bottom=height - 40, across=across, upwards=upwards)
    return picture, frame


def risk_color(risk: float, data: ReportData) -> str:
    """Return the colour of customers with a mean risk: red from the threshold on."""
    return RED if risk >= data["thresholds"]["risk"] else BLUE


def segment_bubbles(data: ReportData) -> Picture:
    """Return the segments as numbered circles: mean risk across, profit at risk upwards, customers as area.

    Circles that would cover each other are moved apart; a line leads to where they belong.
    """
    rows = data["segments"]
    lowest = min(0.0, *(row["profit_at_risk"] for row in rows), 0.0)
    top = max(0.0, *(row["profit_at_risk"] for row in rows), 0.0) * 1.15 or 1.0
    picture, frame = plot(300, (0.0, 1.0), (lowest, top), left=48)
    frame.y_axis(ticks(lowest, top), "Прибыль под риском за 3 месяца")
    frame.x_axis(SHARES, "Средний риск", written=percent)
    area = (frame.right - frame.left) * (frame.bottom - frame.top)
    total = sum(row["customers"] for row in rows) or 1
    sizes = [math.sqrt(ALL_CIRCLES * area * row["customers"] / total / math.pi) for row in rows]
    where = [(frame.x(row["mean_risk"]), frame.y(row["profit_at_risk"])) for row in rows]
    moved = move_apart(where, [max(size, 7.0) for size in sizes], frame)
    for (x, y), (new_x, new_y) in zip(where, moved, strict=True):
        if math.hypot(new_x - x, new_y - y) > GAP:
            picture.line([(x, y), (new_x, new_y)], MUTED)
            picture.circle(x, y, 2, MUTED)
    for label, (row, size, (x, y)) in enumerate(zip(rows, sizes, moved, strict=True), start=1):
        picture.circle(x, y, size, risk_color(row["mean_risk"], data), is_light=True)
        picture.text(x, y, str(label), anchor="middle", is_bold=True)
    return picture


def move_apart(where: Sequence[tuple[float, float]], sizes: Sequence[float], frame: Frame) -> list[tuple[float, float]]:
    """Return places of circles that do not cover each other, as near to the given ones as pushing gets them."""
    places = [list(place) for place in where]

    def keep_inside() -> None:
        for place, size in zip(places, sizes, strict=True):
            place[0] = min(max(place[0], frame.left + size), frame.right - size)
            place[1] = min(max(place[1], frame.top + size), frame.bottom - size)

    for _ in range(ROUNDS):
        keep_inside()
        is_done = True
        for one, other in combinations(range(len(places)), 2):
            dx, dy = (places[other][axis] - places[one][axis] for axis in (0, 1))
            distance = math.hypot(dx, dy)
            short = sizes[one] + sizes[other] + GAP - distance
            if short > 0.01:  # noqa: PLR2004 - a hundredth of a pixel
                is_done = False
                if not distance:
                    dx, dy, distance = 1.0, 0.0, 1.0
                for index, sign in ((one, -1), (other, 1)):
                    places[index][0] += sign * dx / distance * short / 2
                    places[index][1] += sign * dy / distance * short / 2
        if is_done:
            break
    keep_inside()
    return [(x, y) for x, y in places]


def risk_histogram(data: ReportData) -> Picture:
    """Return how many customers have which risk, those at or above the threshold in red."""
    counts, threshold = data["risk"]["histogram"], data["thresholds"]["risk"]
    top = max([*counts, 1]) * 1.18
    picture, frame = plot(235, (0.0, 1.0), (0.0, top), top=24)
    frame.y_axis(ticks(0, top), "Клиентов", written=number)
    width = (frame.right - frame.left) / RISK_BINS
    for index, customers in enumerate(counts):
        color = RED if (index + 0.5) / RISK_BINS >= threshold else BLUE
        y = frame.y(customers)
        picture.bar(frame.x(index / RISK_BINS) + 0.5, y, width - 1, frame.bottom - y, color)
    frame.x_axis(SHARES, "Риск снижения активности", written=percent)
    at = frame.x(threshold)
    picture.line([(at, frame.top), (at, frame.bottom)], INK, dashes="4 3")
    anchor, shift = ("start", 5) if threshold <= 0.5 else ("end", -5)  # noqa: PLR2004 - where there is more room
    picture.text(at + shift, frame.top + 5, f"порог высокого риска {percent(threshold)}", anchor=anchor)
    return picture


def decile_bars(data: ReportData) -> Picture:
    """Return the share of all profit at risk in each tenth of the customers, the highest risk first."""
    rows = data["deciles"]
    total = data["risk"]["profit_at_risk"] or 1.0
    top = max([row["profit_at_risk"] / total for row in rows], default=1.0) * 1.15 or 1.0
    picture, frame = plot(235, (0.5, 10.5), (0.0, top), left=4, top=10)
    width = (frame.right - frame.left) / 10
    for row in rows:
        part = row["profit_at_risk"] / total
        y = frame.y(max(part, 0))
        x = frame.x(row["risk_decile"])
        picture.bar(x - width / 2 + 2, y, width - 4, frame.bottom - y, risk_color(row["mean_risk"], data))
        picture.text(x, y - 8, percent(part), anchor="middle", color=MUTED, size=SMALL)
    deciles = [row["risk_decile"] for row in rows]
    frame.x_axis(deciles, "Десятые доли клиентов, от самого высокого риска", written=number)
    return picture


def risk_and_profit(data: ReportData) -> Picture:
    """Return the customers by risk (across) and monthly profit (upwards) as shades, with the thresholds as lines."""
    edges, counts = data["risk_and_profit"]["profit_edges"], data["risk_and_profit"]["customers"]
    picture, frame = plot(250, (0.0, 1.0), (edges[0], edges[-1]))
    frame.y_axis(ticks(edges[0], edges[-1]), "Прибыль за месяц на клиента")
    most = math.sqrt(max(max(row) for row in counts) or 1)
    width = (frame.right - frame.left) / len(counts)
    height = (frame.bottom - frame.top) / (len(edges) - 1)
    for across, column in enumerate(counts):
        for up, customers in enumerate(column):
            if customers:
                x, y = frame.left + across * width, frame.bottom - (up + 1) * height
                color = shade(0.12 + 0.88 * math.sqrt(customers) / most, BLUE)
                picture.bar(x + 0.5, y + 0.5, width - 1, height - 1, color)
    frame.x_axis(SHARES, "Риск снижения активности", written=percent)
    risk, profit = data["thresholds"]["risk"], data["thresholds"]["profit"]
    picture.line([(frame.x(risk), frame.top), (frame.x(risk), frame.bottom)], INK, dashes="4 3")
    if edges[0] < profit < edges[-1]:
        picture.line([(frame.left, frame.y(profit)), (frame.right, frame.y(profit))], INK, dashes="4 3")
    return picture


def shapley_summary(data: ReportData) -> Picture:
    """Return how the features' contributions (log-odds) are spread over customers, the most important first.

    A column is as high as the root of its share of customers; its colour is the mean rank of their values: red where
    they have more of the feature, blue where they have less; grey, of words, which have no order.
    """
    drivers = data["drivers"]
    names = list(drivers["overall"])[:SHOWN_FEATURES]
    edges = drivers["spread"]["edges"]
    height = 34
    bottom = height * len(names) + 8
    picture = Picture(WIDTH, bottom + 44)
    across = (edges[0], edges[-1])
    frame = Frame(picture, left=4, top=4, right=WIDTH - 4, bottom=bottom, across=across, upwards=(0.0, 1.0))
    picture.line([(frame.x(0), frame.top), (frame.x(0), frame.bottom)], GREY)
    width = (frame.right - frame.left) / (len(edges) - 1)
    for row, name in enumerate(names):
        spread = drivers["spread"]["features"][name]
        middle = frame.top + height * row + 23
        most = max(spread["shares"]) or 1.0
        picture.text(4, frame.top + height * row + 8, title_of(name))
        for index, part in enumerate(spread["shares"]):
            if part:
                half = 1 + 8 * math.sqrt(part / most)
                rank = spread["ranks"][index]
                color = GREY if rank is None else between(rank)
                picture.bar(frame.left + index * width, middle - half, width, 2 * half, color)
    frame.x_axis(ticks(edges[0], edges[-1]), "← риск ниже      вклад в логарифм шансов      риск выше →")
    return picture


def run_lines(runs: Sequence[EarlierRun], titles: Mapping[str, str]) -> dict[str, tuple[Picture, str]]:
    """Return what changed from run to run (two or more), name -> chart and description."""
    largest = sorted(runs[-1]["segments"].items(), key=lambda item: (-item[1], item[0]))[:SHOWN_SEGMENTS]
    segments = [(titles.get(code, code), [run["segments"].get(code) for run in runs]) for code, _ in largest]
    level = "Выручка половины клиентов за текущий месяц от прогона к прогону"
    drift = "Отличие оценки риска от обучающей, PSI, от прогона к прогону"
    psi = [("", [run["score_psi"] for run in runs])]
    return {
        "risk": (
            _lines([("", [run["mean_risk"] for run in runs])], runs, percent),
            "Средний риск от прогона к прогону",
        ),
        "level": (_lines([("", [run["revenue_level"] for run in runs])], runs, compact), level),
        "drift": (_lines(psi, runs, lambda value: number(value, decimals=3)), drift),
        "segments": (_lines(segments, runs, percent), "Доли клиентов в сегментах от прогона к прогону"),
    }


def _lines(
    series: Sequence[tuple[str, Sequence[float | None]]],
    runs: Sequence[EarlierRun],
    written: Callable[[float], str],
) -> Picture:
    """Return lines over the runs, from 0; each is named under the plot, if it has a name."""
    names = [title for title, _ in series if title]
    picture = Picture(WIDTH, 150 + 16 * len(names))
    top = max([value for _, values in series for value in values if value is not None], default=1.0) * 1.15 or 1.0
    last = len(runs) - 1
    frame = Frame(picture, left=48, top=10, right=WIDTH - 24, bottom=112, across=(0.0, float(last)), upwards=(0.0, top))
    frame.y_axis(ticks(0, top, 3), written=written)
    shown = sorted({0, last // 2, last})
    frame.x_axis(shown, written=lambda index: runs[round(index)]["day"])
    for index, (title, values) in enumerate(series):
        points = [(frame.x(at), frame.y(value)) for at, value in enumerate(values) if value is not None]
        if len(points) > 1:
            picture.line(points, _SERIES[index], width=2)
        for x, y in points:
            picture.circle(x, y, 3, _SERIES[index])
        if title:
            picture.bar(48, 136 + 16 * index, 10, 10, _SERIES[index])
            picture.text(64, 141 + 16 * index, title, size=SMALL, color=MUTED)
    return picture


def shares_against_shares(across: str, upwards: str) -> tuple[Picture, Frame]:
    """Return a picture with two axes of shares, of these titles."""
    picture, frame = plot(290, (0.0, 1.0), (0.0, 1.0), left=48)
    frame.y_axis(SHARES, upwards, written=percent)
    frame.x_axis(SHARES, across, written=percent)
    return picture, frame


def reliability(
    card: Mapping[str, Any], upwards: str = "Доля снизивших активность", across: str = "Предсказанный риск"
) -> Picture:
    """Return predicted probability against the share that declined, in tenths of the training customers.

    Lines upwards are Wilson's 95 % intervals of the shares. Args: upwards, across: the titles of the axes.
    """
    picture, frame = shares_against_shares(across, upwards)
    picture.line([(frame.x(0), frame.y(0)), (frame.x(1), frame.y(1))], GREY, dashes="4 3")
    points = []
    for predicted, declined, customers in card["calibration"]["bins"]:
        interval = wilson_interval(round(declined * customers), customers)
        x = frame.x(predicted)
        picture.line([(x, frame.y(interval.low)), (x, frame.y(interval.high))], LIGHT_BLUE, width=3)
        points.append((x, frame.y(declined)))
    picture.line(points, BLUE, width=2)
    for x, y in points:
        picture.circle(x, y, 3.5, BLUE)
    return picture


def tile(row: Mapping[str, Any]) -> Picture:
    """Return a number's distribution in two groups as steps: all tiles are of one size."""
    width, height = TILE
    edges = row["edges"]
    picture = Picture(width, height)
    for line, text in enumerate(wrapped(title_of(row["feature"]), width, NORMAL)[:2]):
        picture.text(0, 8 + 14 * line, text)
    top = max([part for shares in row["shares"] for part in shares], default=1.0) or 1.0
    across = (edges[0], edges[-1])
    frame = Frame(picture, left=6, top=34, right=width - 6, bottom=height - 20, across=across, upwards=(0.0, top))
    for shares, color in zip(row["shares"], (RED, BLUE), strict=True):
        steps = [
            (frame.x(edge), frame.y(part))
            for index, part in enumerate(shares)
            for edge in (edges[index], edges[index + 1])
        ]
        floor = [(frame.x(edges[-1]), frame.bottom), (frame.x(edges[0]), frame.bottom)]
        picture.area([*steps, *floor], color, opacity=0.2)
        picture.line(steps, color, width=1.5)
    written = percent if MEANINGS[row["feature"]].unit.startswith("share") else compact
    frame.x_axis(ticks(edges[0], edges[-1], 3), written=written)
    picture.line([(frame.left, frame.bottom), (frame.right, frame.bottom)], LINES)
    return picture
