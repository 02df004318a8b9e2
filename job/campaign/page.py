"""The Russian page of a comparison: one file, no script, nothing loaded from anywhere."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from job import russian
from job.campaign.lift import CAP_LEVEL, CAPPED, DECLINE, MEASURES, PROFIT, RESAMPLES, REVENUE
from job.statistics import LEVEL
from schemas.scored import CONTROL, NOT_IN_CAMPAIGN, PROFIT_MONTHS, TREATMENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from job.campaign.lift import Case, Comparison, Effect, Lift, Note, Quality

NOTHING: Final = "—"
POINTS: Final = "\u00a0п.\u00a0п."
GROUPS: Final = {TREATMENT: "Получили предложение", CONTROL: "Контрольная группа", NOT_IN_CAMPAIGN: "Вне кампании"}
TITLES: Final = {
    DECLINE: "Доля снизивших активность",
    REVENUE: "Выручка за три месяца",
    CAPPED: "То же без крайних значений",
    "monthly_minutes": "Минут на сайте в месяц",
    PROFIT: "Изменение прибыли в месяц",
}
CASES: Final = {
    "all_declined": "Все они снизили активность",
    "worst": "Снизили только получившие предложение",
    "best": "Снизили только клиенты контрольной группы",
}
QUALITIES: Final = {"untreated": "Без предложения (контрольная группа и вне кампании)", "all": "Все"}
COLUMNS: Final = {"decline_probability": "вероятность снижения", "monthly_profit": "прибыль"}
NOTES: Final = {
    "nothing_to_compare": "Сравнить нельзя: в выгрузке нет ни одного клиента групп: {groups}.",
    "no_cost": "В манифесте прогона нет стоимости этих предложений, она принята за 0: {offers}.",
    "unlike_groups": "Группы различались ещё до кампании сильнее, чем можно объяснить случайностью: {column} в среднем "
    "{treatment} у получивших предложение и {control} в контрольной группе. Сравнение сомнительно.",
    "no_outcome": "Об исходе {lost} клиентов из {customers}, входивших в две группы, ничего не известно. Ниже "
    "показано, как это могло бы изменить вывод.",
    "no_untreated": "Все клиенты получили предложение: прогноз модели нельзя отделить от действия кампании.",
}


def render_page(lift: Lift, *, run_id: str, titles: Mapping[str, str]) -> str:
    """Return the page as HTML.

    Args:
        lift: the comparison.
        run_id: the run's name.
        titles: segment -> its Russian title; a segment without one is shown by its code.
    """
    css = files("job.campaign").joinpath("page.css").read_text(encoding="utf-8")
    sections = [
        _verdict(lift),
        _cards(lift.overall),
        _notes(lift.notes),
        _segments(lift, titles),
        _measures(lift.overall),
        _worth(lift, titles),
        _customers(lift),
        _sensitivity(lift.sensitivity),
        _model(lift.model),
        _methods(lift),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="ru">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Что изменила кампания: {escape(run_id)}</title>\n"
        f'<link rel="icon" href="data:,">\n<style>\n{css}</style>\n</head>\n<body>\n<main>\n'
        f'<h1>Что изменила кампания</h1>\n<p class="soft">Прогон {escape(run_id)}, через {PROFIT_MONTHS} месяца</p>\n'
        + "\n".join(section for section in sections if section)
        + "\n</main>\n</body>\n</html>\n"
    )


def _verdict(lift: Lift) -> str:
    effect = lift.overall.effects[DECLINE]
    if effect.difference is None:
        return _box("verdict", "Сравнить не с чем: в одной из групп нет клиентов с известным исходом.")
    size = f"{_points(effect.difference, signed=True)} (95 %-й интервал: {_range(effect, DECLINE)})"
    smallest = (
        f"Наименьшее снижение, которое группы такого размера показали бы надёжно: {_points(effect.detectable)}"
        if effect.detectable is not None
        else "Группы так малы, что надёжно показать не удалось бы никакое снижение."
    )
    if not effect.is_found:
        return _box("verdict", f"Влияние на активность не доказано: разница {size} объяснима случайностью.", smallest)
    if effect.difference < 0:
        return _box(
            "verdict good", f"Кампания удержала клиентов: снизивших активность меньше, разница {size}.", smallest
        )
    return _box("verdict bad", f"После кампании снизивших активность больше: разница {size}.", smallest)


def _box(kind: str, *paragraphs: str) -> str:
    return f'<section class="{kind}">' + "".join(f"<p>{text}</p>" for text in paragraphs) + "</section>"


def _cards(overall: Comparison) -> str:
    effect, worth = overall.effects[DECLINE], overall.worth
    kept = None if effect.difference is None else -effect.difference * overall.groups[TREATMENT].found
    cards = [
        (
            "Снизили активность",
            f"{_percent(effect.treatment)} против {_percent(effect.control)}",
            "получившие предложение против контрольной группы",
        ),
        ("Удержано клиентов", _number(kept, 0), "разница долей × число получивших предложение"),
        (
            f"Чистый результат за {PROFIT_MONTHS} месяца",
            _number(worth.net, 0, signed=True),
            f"в единицах прибыли магазина; 95 %-й интервал: {_between(worth.net_low, worth.net_high)}",
        ),
    ]
    return (
        '<div class="cards">'
        + "".join(
            f'<section><span class="soft">{title}</span><b>{value}</b><span class="soft">{text}</span></section>'
            for title, value, text in cards
        )
        + "</div>"
    )


def _notes(notes: Sequence[Note]) -> str:
    if not notes:
        return ""
    items = "".join(f"<li>{_note(note)}</li>" for note in notes)
    return f"<section><h2>На что обратить внимание</h2><ul>{items}</ul></section>"


def _note(note: Note) -> str:
    values = {
        name: russian.number(value, decimals=0 if isinstance(value, int) else 2)
        if not isinstance(value, str)
        else escape(COLUMNS.get(value, value))
        for name, value in note.values.items()
    }
    if note.kind == "nothing_to_compare":
        values["groups"] = ", ".join(f"«{GROUPS[group]}»" for group in str(note.values["groups"]).split(", "))
    return NOTES[note.kind].format(**values)


def _segments(lift: Lift, titles: Mapping[str, str]) -> str:
    rows = [("Все сегменты", lift.overall.effects[DECLINE]), *_titled(lift, titles)]
    ends = [end for _, effect in rows for end in (effect.low, effect.high) if end is not None]
    if not ends:
        return ""
    low, high = min(0.0, *ends), max(0.0, *ends)
    lines = [_difference_row(name, effect, low, high, is_first=not place) for place, (name, effect) in enumerate(rows)]
    return (
        "<section><h2>Разница в доле снизивших активность, по сегментам</h2>"
        '<p class="soft">Левее черты — предложение помогло. Полоса — 95 %-й интервал; p с поправкой Холма на число '
        "сегментов.</p>"
        '<div class="key"><span><i class="good"></i>меньше снизивших</span>'
        '<span><i class="bad"></i>больше снизивших</span><span><i></i>не доказано</span></div>'
        + "".join(lines)
        + f'<div class="row scale"><span></span><div class="axis">'
        f"<span>{_points(low)}</span><span>{_points(high, signed=True)}</span></div><span></span></div></section>"
    )


def _titled(lift: Lift, titles: Mapping[str, str]) -> list[tuple[str, Effect]]:
    return [(titles.get(code, code), part.effects[DECLINE]) for code, part in lift.segments.items()]


def _difference_row(name: str, effect: Effect, low: float, high: float, *, is_first: bool) -> str:
    classes = ["row", *(["first"] if is_first else [])]
    if effect.difference is None or effect.low is None or effect.high is None:
        return (
            f'<div class="{" ".join([*classes, "empty"])}"><span class="name">{escape(name)}</span>'
            '<div class="track"></div><span class="figures">нет контрольной группы или предложений</span></div>'
        )
    if effect.is_found:
        classes.append("good" if effect.difference < 0 else "bad")
    return (
        f'<div class="{" ".join(classes)}"><span class="name">{escape(name)}</span><div class="track">'
        f'<span class="zero" style="left:{_place(0, low, high)}"></span>'
        f'<span class="range" style="left:{_place(effect.low, low, high)};'
        f'width:{_width(effect.low, effect.high, low, high)}"></span>'
        f'<span class="dot" style="left:{_place(effect.difference, low, high)}"></span></div>'
        f'<span class="figures">{_points(effect.difference, signed=True)}, {_p_value(effect.p_value_corrected)}</span>'
        "</div>"
    )


def _measures(overall: Comparison) -> str:
    rows = [
        (
            TITLES[measure],
            _value(effect.treatment, measure),
            _value(effect.control, measure),
            _value(effect.difference, measure, is_difference=True),
            _range(effect, measure),
            _p_value(effect.p_value_corrected),
            _value(effect.detectable, measure, is_difference=True).lstrip("+"),
        )
        for measure in MEASURES
        for effect in [overall.effects[measure]]
    ]
    headings = ("В среднем на клиента", "Предложение", "Контроль", "Разница", "95 %-й интервал", "p", "Различимо от")
    return _section("Все показатели", _table(headings, rows))


def _worth(lift: Lift, titles: Mapping[str, str]) -> str:
    rows = [
        (
            escape(name),
            russian.number(part.groups[TREATMENT].in_run),
            _number(part.worth.incremental_profit, 0, signed=True),
            _number(part.worth.offer_cost, 0),
            _number(part.worth.net, 0, signed=True),
            _between(part.worth.net_low, part.worth.net_high),
        )
        for name, part in [
            ("Все сегменты", lift.overall),
            *((titles.get(code, code), part) for code, part in lift.segments.items()),
        ]
    ]
    headings = ("Сегмент", "Предложений", "Прибыль сверх контроля", "Стоимость", "Чистый результат", "95 %-й интервал")
    text = (
        f"Разница в изменении месячной прибыли × {PROFIT_MONTHS} месяца × получившие предложение, за вычетом стоимости "
        "контактов. В единицах, в которых магазин ведёт прибыль."
    )
    return _section("Деньги", f'<p class="soft">{text}</p>' + _table(headings, rows))


def _customers(lift: Lift) -> str:
    rows = [
        (
            GROUPS[name],
            *(russian.number(count) for count in (group.in_run, group.found, group.vanished, group.unusable)),
        )
        for name, group in lift.overall.groups.items()
    ]
    table = _table(("Группа", "В прогоне", "Найдены", "Исчезли", "Строка не годится"), rows)
    text = f'<p class="soft">Новых клиентов, которых в прогоне не было: {russian.number(lift.new_customers)}.</p>'
    return _section("Клиенты", table + text)


def _sensitivity(cases: Sequence[Case]) -> str:
    if not cases:
        return ""
    rows = [
        (
            CASES[case.case],
            _percent(case.treatment),
            _percent(case.control),
            _points(case.difference, signed=True),
            _ends(case.low, case.high),
            _p_value(case.p_value),
        )
        for case in cases
    ]
    headings = ("Что, если", "Предложение", "Контроль", "Разница", "95 %-й интервал", "p")
    return _section("Если учесть клиентов без исхода", _table(headings, rows))


def _model(model: Mapping[str, Quality]) -> str:
    rows = [
        (
            QUALITIES[name],
            russian.number(quality.customers),
            _percent(quality.predicted),
            _percent(quality.observed),
            _number(quality.roc_auc, 3),
            _between(quality.roc_auc_low, quality.roc_auc_high, decimals=3),
            _number(quality.brier, 3),
            _number(quality.calibration_error, 3),
        )
        for name, quality in model.items()
    ]
    headings = ("Клиенты", "Число", "Прогноз", "Снизили", "ROC-AUC", "95 %-й интервал", "Брайер", "Ошибка калибровки")
    deciles = [
        f'<div class="row"><span class="name">{decile.decile}-я десятая '
        f"({russian.number(decile.customers)})</span>"
        f'<div class="track"><span class="bar" style="width:{_place(decile.predicted, 0, 1)}"></span>'
        f'<span class="range" style="left:{_place(decile.low, 0, 1)};'
        f'width:{_width(decile.low, decile.high, 0, 1)}"></span>'
        f'<span class="dot" style="left:{_place(decile.observed, 0, 1)}"></span></div>'
        f'<span class="figures">{_percent(decile.predicted)} → {_percent(decile.observed)}</span></div>'
        for decile in model["untreated"].deciles
    ]
    chart = (
        '<p class="soft">По десятым долям риска, 1-я — самый высокий; клиенты без предложения.</p>'
        '<div class="key"><span><i class="bar"></i>прогноз</span>'
        "<span><i></i>снизили на деле, с 95 %-м интервалом</span></div>" + "".join(deciles)
        if deciles
        else ""
    )
    return _section("Как сработала модель", _table(headings, rows) + chart)


def _methods(lift: Lift) -> str:
    tested = sum(part.effects[DECLINE].p_value is not None for part in lift.segments.values())
    items = [
        "Доли: гибридный интервал Ньюкомба по Уилсону (Newcombe 1998, метод 10); p согласовано с интервалом.",
        f"Деньги и минуты: бутстреп-t, {russian.number(RESAMPLES)} повторных выборок в каждой группе отдельно.",
        f"Сегменты: p каждого показателя с поправкой Холма (сегментов: {tested}); интервалы без поправки.",
        f"«Доказано» — p с поправкой меньше {russian.number(LEVEL, decimals=2)}.",
        "«Различимо от» — наименьшая разница, которую группы такого размера показали бы с вероятностью 80 %.",
        _cap_method(lift),
        "ROC-AUC: интервал Делонга. Ошибка калибровки: по десяти группам равного размера.",
        "Исчезнувшие клиенты не входят в средние; что они могли бы изменить, показано отдельно.",
    ]
    return _section("Как посчитано", "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>")


def _cap_method(lift: Lift) -> str:
    return (
        f"«Без крайних значений»: выручка больше {_number(lift.revenue_cap, 0)} (квантиль "
        f"{russian.number(CAP_LEVEL, decimals=3)} обеих групп вместе) считается равной ему: одна ошибка в "
        "выгрузке может изменить среднее сильнее, чем кампания."
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _place(value: float, low: float, high: float) -> str:
    return f"{100 * (value - low) / (high - low):.2f}%" if high > low else "50%"


def _width(first: float, last: float, low: float, high: float) -> str:
    return f"{100 * (last - first) / (high - low):.2f}%" if high > low else "0%"


def _value(value: float | None, measure: str, *, is_difference: bool = False) -> str:
    if measure == DECLINE:
        return _points(value, signed=is_difference) if is_difference else _percent(value)
    return _number(value, 2, signed=is_difference)


def _range(effect: Effect, measure: str) -> str:
    if measure == DECLINE:
        return _ends(effect.low, effect.high)
    return _between(effect.low, effect.high, decimals=2)


def _ends(low: float | None, high: float | None) -> str:
    """Return an interval of a difference of rates, the unit once."""
    if low is None or high is None:
        return NOTHING
    first, last = (russian.number(100 * end, decimals=1, signed=True) for end in (low, high))
    return f"от {first} до {last}{POINTS}"


def _between(low: float | None, high: float | None, *, decimals: int = 0) -> str:
    if low is None or high is None:
        return NOTHING
    return f"от {russian.number(low, decimals=decimals)} до {russian.number(high, decimals=decimals)}"


def _points(value: float | None, *, signed: bool = False) -> str:
    return NOTHING if value is None else f"{russian.number(100 * value, decimals=1, signed=signed)}{POINTS}"


def _percent(value: float | None) -> str:
    return NOTHING if value is None else russian.percent(value, decimals=1)


def _number(value: float | None, decimals: int, *, signed: bool = False) -> str:
    return NOTHING if value is None else russian.number(value, decimals=decimals, signed=signed)


def _p_value(value: float | None) -> str:
    if value is None:
        return NOTHING
    return "p < 0,001" if value < 0.001 else f"p = {russian.number(value, decimals=3)}"  # noqa: PLR2004 - the last digit
