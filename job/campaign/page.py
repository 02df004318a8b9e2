"""The Russian page of a comparison: one file, no script, nothing loaded from anywhere; the run's page in style."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Final

from job import russian
from job.campaign.lift import CAP_LEVEL
from job.campaign.results import CAPPED, DECLINE, MEASURES, MINUTES, PROFIT, REVENUE, REVENUE_BEFORE
from job.report.formats import NO_BREAK_SPACE, POINTS
from job.report.html import bullets, document, section, soft, table
from job.statistics import LEVEL
from schemas.scored import CONTROL, NOT_IN_CAMPAIGN, PROFIT_MONTHS, TREATMENT

if TYPE_CHECKING:
    from job.campaign.offers import Plan
    from job.campaign.results import (
        Case,
        Comparison,
        Decision,
        Delivery,
        Effect,
        Lift,
        Note,
        OfferPair,
        OfferResult,
        Quality,
        Verdict,
    )

UNKNOWN: Final = "—"
_PERCENT: Final = "\u00a0%"
GROUPS: Final = {TREATMENT: "Получили предложение", CONTROL: "Контрольная группа", NOT_IN_CAMPAIGN: "Вне кампании"}
TITLES: Final = {
    DECLINE: "Доля снизивших активность",
    REVENUE: "Выручка за три месяца",
    CAPPED: "То же без крайних значений",
    MINUTES: "Минут на сайте в месяц",
    PROFIT: "Изменение прибыли в месяц",
}
CASES: Final = {
    "all_declined": "Все они снизили активность и больше не приносят прибыли",
    "worst": "Так поступили только получившие предложение",
    "best": "Так поступили только клиенты контрольной группы",
}
QUALITIES: Final = {"untreated": "Без предложения (контрольная группа и вне кампании)", "all": "Все"}
COLUMNS: Final = {
    "decline_probability": "вероятность снижения",
    "monthly_profit": "прибыль",
    REVENUE_BEFORE: "выручка трёх месяцев до кампании",
}
HEADLINES: Final[dict[Verdict, str]] = {
    "nothing_to_compare": "Сравнить не с чем: в одной из групп слишком мало клиентов с известным исходом.",
    "not_proven": "Влияние кампании на активность не доказано: разница объяснима случайностью.",
    "not_sure": "Не доказано: из двух групп исчезла разная доля клиентов, и в худшем случае разницы нет.",
    "fewer_declined": "Кампания удержала клиентов: снизивших активность меньше.",
    "more_declined": "После кампании снизивших активность больше.",
}
COLOURS: Final[dict[Verdict, str]] = {"fewer_declined": "good", "more_declined": "bad"}
_PROFIT_DECIMALS: Final = 4
DECISIONS: Final[dict[Decision, str]] = {"keep": "оставить", "drop": "отказаться", "too_early": "рано решать"}
NOTES: Final = {
    "nothing_to_compare": "Сравнить нельзя: в выгрузке нет ни одного клиента групп: {groups}.",
    "no_cost": "В манифесте прогона нет стоимости этих предложений, она принята за 0: {offers}.",
    "unlike_groups": "Группы различались ещё до кампании сильнее, чем можно объяснить случайностью: {column} в среднем "
    "{treatment} у получивших предложение и {control} в контрольной группе. Разница с поправкой это учитывает.",
    "no_outcome": "Об исходе {lost} клиентов из {customers}, входивших в две группы, ничего не известно. Ниже "
    "показано, как это могло бы изменить вывод.",
    "unequal_vanishing": "Исход неизвестен у {treatment} % получивших предложение и у {control} % контрольной группы: "
    "случайностью это не объяснить. Оставшиеся клиенты двух групп уже не одинаковы.",
    "no_untreated": "Все клиенты получили предложение: прогноз модели нельзя отделить от действия кампании.",
    "control_contacted": "Клиентам контрольной группы писали другие рассылки: {customers} (прогоны {runs}). Разница "
    "показывает меньше, чем есть. Пусть все рассылки называют одну контрольную группу: --control.",
    "runs_unread": "Не прочитаны прогоны {runs}: писали ли они контрольной группе, неизвестно.",
    "no_revenue_before": "Выгрузки, по которой считали прогон, больше нет на её месте: выручка до кампании не учтена, "
    "интервалы длиннее, чем могли бы быть.",
}


def render_page(lift: Lift, *, run_id: str, titles: Mapping[str, str], plan: Plan) -> str:
    """Return the page as HTML.

    Args:
        lift: the comparison.
        run_id: the run's name.
        titles: segment -> its Russian title, in the order in which they are shown; one without is shown by its code.
        plan: what the run says of its offers.
    """
    segments = _ordered(lift, titles)
    parts = [
        "<h1>Что изменила кампания</h1>",
        soft(f"Прогон {escape(run_id)}, через {PROFIT_MONTHS} месяца"),
        _verdict(lift),
        _tiles(lift.overall),
        section("На что обратить внимание", bullets(map(_note, lift.notes)), kind="notes") if lift.notes else "",
        _offers(lift, plan),
        _segments(segments),
        _measures(lift.overall),
        _worth(segments),
        _customers(lift),
        _delivery(lift.delivery),
        _sensitivity(lift),
        _model(lift.model),
        _methods(lift),
    ]
    title = f"Что изменила кампания: {escape(run_id)}"
    return document(title, filter(None, parts), styles=("job.report", "job.campaign"))


def _ordered(lift: Lift, titles: Mapping[str, str]) -> list[tuple[str, Comparison]]:
    """Return all segments together, then each by title, in the order of the titles; those without one last."""
    codes = [code for code in titles if code in lift.segments]
    codes += [code for code in lift.segments if code not in titles]
    return [("Все сегменты", lift.overall), *((titles.get(code, code), lift.segments[code]) for code in codes)]


def _verdict(lift: Lift) -> str:
    effect = lift.overall.effects[DECLINE]
    lines = [f"<b>{HEADLINES[lift.verdict]}</b>"]
    if effect.difference is not None:
        lines.append(
            f"Разница с поправкой на известное до кампании: {_change(effect.difference)} "
            f"(95\u00a0%-й интервал: {_changes(effect)}; {_p_value(effect.p_value)}). "
            f"Без поправки: {_percent(effect.treatment)} против {_percent(effect.control)}."
        )
    worst = [case for case in lift.sensitivity if case.case == ("best" if lift.verdict == "more_declined" else "worst")]
    if lift.verdict in {"fewer_declined", "more_declined", "not_sure"} and worst:
        [case] = worst
        lines.append(
            "Если исход исчезнувших клиентов худший для этого вывода, разница "
            f"{_change(case.difference)} ({_changes(case)}; {_p_value(case.p_value)})."
        )
    lines.append(
        f"Группы такого размера надёжно (с вероятностью 80 %) показали бы снижение от {_points(effect.detectable)}"
        if effect.detectable is not None
        else "Группы так малы, что надёжно показать не удалось бы никакое снижение."
    )
    paragraphs = "".join(f"<p>{text}</p>" for text in lines)
    return f'<section class="verdict {COLOURS.get(lift.verdict, "")}">{paragraphs}</section>'


def _tiles(overall: Comparison) -> str:
    effect, worth, treated = overall.effects[DECLINE], overall.worth, overall.groups[TREATMENT].found
    kept, counted = UNKNOWN, UNKNOWN
    if effect.difference is not None:
        kept = _number(-round(100 * effect.difference, 1) / 100 * treated, 0)
        counted = f"{_points(-effect.difference)} × {russian.number(treated)} получивших предложение"
    tiles = [
        (
            "Снизили активность",
            f"{_percent(effect.treatment)} / {_percent(effect.control)}",
            "получившие предложение / контрольная группа",
        ),
        ("Удержано клиентов", kept, counted),
        (
            f"Чистый результат за {PROFIT_MONTHS} месяца",
            _number(_net(overall), 0, signed=True),
            f"в единицах прибыли магазина; 95\u00a0%-й интервал: {_amounts(worth.net_low, worth.net_high)}",
        ),
    ]
    shown = "".join(
        f'<div class="tile"><span>{title}</span><b>{value}</b><span>{text}</span></div>' for title, value, text in tiles
    )
    return f'<div class="tiles">{shown}</div>'


def _gained(part: Comparison) -> float | None:
    """Return the profit beyond the control group's, of the difference as the page shows it."""
    effect = part.effects[PROFIT]
    if effect.difference is None:
        return None
    return round(effect.difference, _PROFIT_DECIMALS) * effect.treatment_customers * PROFIT_MONTHS


def _net(part: Comparison) -> float | None:
    """Return the net result of what the page shows beside it."""
    gained = _gained(part)
    return None if gained is None else round(gained) - round(part.worth.offer_cost)


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


def _offers(lift: Lift, plan: Plan) -> str:
    if not lift.offers:
        return ""
    titles = {result.offer: plan.titles.get(result.offer, result.offer) for result in lift.offers}
    columns: dict[str, Callable[[OfferResult], str]] = {
        "Предложение": lambda result: escape(titles[result.offer]),
        "Получили / контроль": lambda result: f"{russian.number(result.treated)} / {russian.number(result.control)}",
        "Снизили": lambda result: _percent(result.treatment_rate),
        "Снизили бы без него": lambda result: _percent(result.control_rate and min(result.control_rate, 1.0)),
        "Предотвратило снижений": lambda result: _percent(result.effect),
        "95 %-й интервал": _shares,
        "Окупается от": lambda result: _percent(result.break_even),
        "Чистый результат": lambda result: _number(result.worth.net, 0, signed=True),
        "Решение": lambda result: DECISIONS[result.decision],
    }
    sentences = [_decide_sentence(result, titles[result.offer]) for result in lift.offers]
    sentences += [_pair_sentence(pair, titles) for pair in lift.pairs]
    return section("Предложения", bullets(map(escape, sentences)) + table(columns, lift.offers))


def _decide_sentence(result: OfferResult, title: str) -> str:
    start = f"«{title}»: {DECISIONS[result.decision]}"
    if result.effect is None:
        return f"{start}: слишком мало клиентов, чтобы сравнить."
    shown = f"предотвратило {_percent(result.effect)} снижений ({_shares(result)})"
    earning = f"окупается от {_percent(result.break_even)}" if result.break_even is not None else "окупиться не может"
    if result.decision != "too_early" or result.more_customers is None:
        return f"{start}: {shown}, {earning}."
    return f"{start}: {shown}, {earning}; нужно ещё около {russian.number(result.more_customers)} клиентов."


def _pair_sentence(pair: OfferPair, titles: Mapping[str, str]) -> str:
    fewer, other, sign = (pair.first, pair.second, 1) if pair.difference < 0 else (pair.second, pair.first, -1)
    shown = f"разница {_points(abs(pair.difference))} ({_p_value(pair.p_value_corrected)} с поправкой Холма)"
    if pair.net_difference is not None:
        net = _number(sign * pair.net_difference, 2, signed=True)
        shown += f"; за {PROFIT_MONTHS} месяца и за вычетом стоимости на клиента {net}"
    if pair.is_found:
        return f"«{titles[fewer]}» удерживает лучше, чем «{titles[other]}»: {shown}."
    return f"Что лучше, «{titles[fewer]}» или «{titles[other]}», не доказано: {shown}."


def _segments(segments: Sequence[tuple[str, Comparison]]) -> str:
    rows = [(name, part.effects[DECLINE]) for name, part in segments]
    ends = [end for _, effect in rows for end in (effect.low, effect.high) if end is not None]
    if not ends:
        return ""
    low, high = min(0.0, *ends), max(0.0, *ends)
    lines = [_difference_row(name, effect, low, high, is_first=not index) for index, (name, effect) in enumerate(rows)]
    return section(
        "Разница в доле снизивших активность, по сегментам",
        soft(
            "Левее черты — предложение помогло. Полоса — 95 %-й интервал; p с поправкой Холма на число "
            "сегментов. Общая разница — среднее сегментов, где есть обе группы, по числу получивших предложение."
        )
        + _key(blue="меньше снизивших", red="больше снизивших", ink="не доказано")
        + "".join(lines)
        + f'<div class="row scale"><span></span><div class="axis"><span>{_points(low)}</span>'
        f"<span>{_change(high)}</span></div><span></span></div>",
    )


def _difference_row(name: str, effect: Effect, low: float, high: float, *, is_first: bool) -> str:
    kinds = ["first"] if is_first else []
    if effect.difference is None or effect.low is None or effect.high is None:
        return _row(escape(name), "", "в одной из групп слишком мало клиентов", [*kinds, "empty"])
    if effect.is_found:
        kinds.append("good" if effect.difference < 0 else "bad")
    marks = _marks(effect.low, effect.difference, effect.high, low, high)
    track = f'<span class="zero" style="left:{_share_of_axis(0 - low, low, high)}"></span>{marks}'
    return _row(escape(name), track, f"{_change(effect.difference)}, {_p_value(effect.p_value_corrected)}", kinds)


def _row(name: str, track: str, figures: str, kinds: Sequence[str] = ()) -> str:
    """Return a line of a chart: a name, what is drawn, and its figures."""
    return (
        f'<div class="{" ".join(["row", *kinds])}"><span class="name">{name}</span><div class="track">{track}</div>'
        f'<span class="figures">{figures}</span></div>'
    )


def _marks(low: float, middle: float, high: float, start: float, end: float) -> str:
    """Return an interval and its middle, on an axis from `start` to `end`."""
    left, width, dot = (_share_of_axis(length, start, end) for length in (low - start, high - low, middle - start))
    return f'<span class="range" style="left:{left};width:{width}"></span><span class="dot" style="left:{dot}"></span>'


def _share_of_axis(length: float, start: float, end: float) -> str:
    return f"{100 * length / (end - start):.2f}%"


def _key(**colours: str) -> str:
    items = "".join(f'<li><i class="{colour}"></i>{text}</li>' for colour, text in colours.items())
    return f'<ul class="key">{items}</ul>'


def _measures(overall: Comparison) -> str:
    columns: dict[str, Callable[[tuple[str, Effect]], str]] = {
        "В среднем на клиента": lambda row: TITLES[row[0]],
        "Предложение": lambda row: _level(row[1].treatment, row[0]),
        "Контроль": lambda row: _level(row[1].control, row[0]),
        "Разница": lambda row: _change(None if row[1].raw is None else row[1].raw.difference, row[0]),
        "С поправкой": lambda row: _change(row[1].difference, row[0]),
        "95 %-й интервал": lambda row: _changes(row[1], row[0]),
        "p": lambda row: _p_value(row[1].p_value_corrected),
        "Доказано": lambda row: "да" if row[1].is_found else "нет",
        "Различимо от": lambda row: _change(row[1].detectable, row[0]).lstrip("+"),
    }
    return section("Все показатели", table(columns, [(measure, overall.effects[measure]) for measure in MEASURES]))


def _worth(segments: Sequence[tuple[str, Comparison]]) -> str:
    columns: dict[str, Callable[[tuple[str, Comparison]], str]] = {
        "Сегмент": lambda row: escape(row[0]),
        "На клиента в месяц": lambda row: _number(row[1].effects[PROFIT].difference, _PROFIT_DECIMALS, signed=True),
        "Клиентов": lambda row: russian.number(row[1].effects[PROFIT].treatment_customers),
        "Прибыль сверх контроля": lambda row: _number(_gained(row[1]), 0, signed=True),
        "Стоимость": lambda row: _number(row[1].worth.offer_cost, 0),
        "Чистый результат": lambda row: _number(_net(row[1]), 0, signed=True),
        "95 %-й интервал": lambda row: _amounts(row[1].worth.net_low, row[1].worth.net_high),
    }
    text = (
        f"Разница в изменении месячной прибыли с поправкой × получившие предложение × {PROFIT_MONTHS} месяца, за "
        "вычетом стоимости контактов и скидок. В единицах, в которых магазин ведёт прибыль."
    )
    return section("Деньги", soft(text) + table(columns, segments))


def _customers(lift: Lift) -> str:
    groups = lift.overall.groups
    columns: dict[str, Callable[[str], str]] = {
        "Группа": lambda name: GROUPS[name],
        "В прогоне": lambda name: russian.number(groups[name].in_run),
        "Найдены": lambda name: russian.number(groups[name].found),
        "Исчезли": lambda name: russian.number(groups[name].vanished),
        "Строка не годится": lambda name: russian.number(groups[name].unusable),
    }
    text = f"Новых клиентов, которых в прогоне не было: {russian.number(lift.new_customers)}."
    return section("Клиенты", table(columns, groups) + soft(text))


def _delivery(delivery: Delivery | None) -> str:
    if delivery is None:
        return ""
    columns: dict[str, Callable[[tuple[str, int, int]], str]] = {
        "Группа": lambda row: GROUPS[row[0]],
        "В прогоне": lambda row: russian.number(row[1]),
        "Отправлено": lambda row: russian.number(row[2]),
        "Не отправлено": lambda row: russian.number(row[1] - row[2]),
    }
    rows = [
        (TREATMENT, delivery.treatment, delivery.treatment_contacted),
        (CONTROL, delivery.control, delivery.control_contacted),
    ]
    effect = (
        f"{_change(delivery.difference)} ({_changes(delivery)})"
        if delivery.difference is not None
        else "оценить нельзя, жребий почти не менял, кому отправлено"
    )
    text = (
        f"Сам контакт меняет долю снизивших активность на: {effect}. Это оценка для тех, кому отправили из-за жребия; "
        "вывод страницы — по группам, как они назначены. Отправлено клиентам вне двух групп: "
        f"{russian.number(delivery.outsiders)}."
    )
    return section("Кому отправлено на деле", table(columns, rows) + soft(text))


def _sensitivity(lift: Lift) -> str:
    vanishing = lift.vanishing
    if vanishing is None:
        return ""
    columns: dict[str, Callable[[Case], str]] = {
        "Что, если": lambda case: CASES[case.case],
        "Предложение": lambda case: _percent(case.treatment),
        "Контроль": lambda case: _percent(case.control),
        "С поправкой": lambda case: _change(case.difference),
        "95 %-й интервал": _changes,
        "p": lambda case: _p_value(case.p_value),
        "Чистый результат": lambda case: _number(case.net, 0, signed=True),
    }
    text = (
        f"Исход неизвестен у {_percent(vanishing.treatment)} получивших предложение и "
        f"{_percent(vanishing.control)} контрольной группы ({_p_value(vanishing.p_value)})."
    )
    return section("Если учесть клиентов без исхода", soft(text) + table(columns, lift.sensitivity))


def _model(model: Mapping[str, Quality]) -> str:
    columns: dict[str, Callable[[str], str]] = {
        "Клиенты": lambda name: QUALITIES[name],
        "Число": lambda name: russian.number(model[name].customers),
        "Прогноз": lambda name: _percent(model[name].predicted),
        "Снизили": lambda name: _percent(model[name].observed),
        "ROC-AUC": lambda name: _number(model[name].roc_auc, 3),
        "95 %-й интервал": lambda name: _amounts(model[name].roc_auc_low, model[name].roc_auc_high, decimals=3),
        "Брайер": lambda name: _number(model[name].brier, 3),
        "Ошибка калибровки": lambda name: _number(model[name].calibration_error, 3),
    }
    deciles = [
        _row(
            f"{decile.decile}-я десятая ({russian.number(decile.customers)})",
            f'<span class="bar" style="width:{_share_of_axis(decile.predicted, 0, 1)}"></span>'
            f"{_marks(decile.low, decile.observed, decile.high, 0, 1)}",
            f"{_percent(decile.predicted)} → {_percent(decile.observed)}",
        )
        for decile in model["untreated"].deciles
    ]
    chart = (
        soft("По десятым долям риска, 1-я — самый высокий; клиенты без предложения.")
        + _key(pale="прогноз", ink="снизили на деле, с 95 %-м интервалом")
        + "".join(deciles)
        if deciles
        else ""
    )
    return section("Как сработала модель", table(columns, model) + chart)


def _methods(lift: Lift) -> str:
    tested = sum(part.effects[DECLINE].p_value is not None for part in lift.segments.values())
    known = ", ".join(COLUMNS[name] for name in lift.adjusted_for)
    items = [
        "Главный показатель один: доля снизивших активность, все сегменты вместе, с поправкой. Так решено до кампаний.",
        f"Поправка: линейная регрессия на известное до кампании ({known}), своя в каждой группе (Lin 2013); интервалы "
        "Уэлча. Без поправки разница долей остаётся рядом.",
        f"«Доказано» — p меньше {russian.number(LEVEL, decimals=2)}: у главного показателя само, у остальных с "
        f"поправкой Холма на их число, у сегментов на число сегментов ({tested}). Интервалы без поправки.",
        "Предложение сравнивается с контрольной группой его сегментов, среди клиентов, до которых дошли бы те же "
        "предложения. «Оставить» и «отказаться» — доказано (Холм), что доля предотвращённых снижений выше или ниже "
        "той, с которой оно окупается. Сколько ещё нужно клиентов: чтобы с вероятностью 80 % отличить от неё "
        "предполагавшееся.",
        "«Различимо от» — наименьшая разница, которую группы такого размера показали бы с вероятностью 80 %.",
        "Удержано: разница с поправкой, как она показана, × найденные получившие предложение.",
        f"«Без крайних значений»: выручка больше {_number(lift.revenue_cap, 0)} (квантиль "
        f"{russian.number(CAP_LEVEL, decimals=3)} обеих групп вместе) считается равной ему: одна ошибка в "
        "выгрузке может изменить среднее сильнее, чем кампания.",
        "ROC-AUC: интервал Делонга. Ошибка калибровки: по десяти группам равного размера.",
        "Исчезнувшие клиенты не входят в средние; что они могли бы изменить, показано отдельно. Если из двух групп "
        "исчезла разная доля, вывод делается по худшему случаю.",
    ]
    return section("Как посчитано", bullets(items))


def _level(value: float | None, measure: str) -> str:
    return _percent(value) if measure == DECLINE else _number(value, 2)


def _change(value: float | None, measure: str = DECLINE) -> str:
    return _points(value, signed=True) if measure == DECLINE else _number(value, 2, signed=True)


def _changes(effect: Effect | Case | Delivery, measure: str = DECLINE) -> str:
    """Return the interval of a change."""
    if measure == DECLINE:
        return _range(_change(effect.low), _change(effect.high))
    return _amounts(effect.low, effect.high, decimals=2)


def _shares(result: OfferResult) -> str:
    return _range(_percent(result.low), _percent(result.high))


def _amounts(low: float | None, high: float | None, *, decimals: int = 0) -> str:
    return _range(_number(low, decimals), _number(high, decimals))


def _range(low: str, high: str) -> str:
    """Return an interval, its unit once."""
    if UNKNOWN in (low, high):
        return UNKNOWN
    return f"от {low.removesuffix(POINTS).removesuffix(_PERCENT)} до {high}"


def _points(value: float | None, *, signed: bool = False) -> str:
    return UNKNOWN if value is None else f"{_number(100 * value, 1, signed=signed)}{POINTS}"


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{_number(100 * value, 1)}{_PERCENT}"


def _number(value: float | None, decimals: int, *, signed: bool = False) -> str:
    """Return a number with all its decimals, never broken: those of a column are of one length."""
    if value is None:
        return UNKNOWN
    return russian.number(value, decimals=decimals, signed=signed, is_fixed=True).replace(" ", NO_BREAK_SPACE)


def _p_value(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return "p < 0,001" if value < 0.001 else f"p = {russian.number(value, decimals=3)}"  # noqa: PLR2004 - the last digit
