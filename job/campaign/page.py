"""The Russian page of a comparison: one file, no script, nothing loaded from anywhere; the run's page in style."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from job import russian
from job.campaign.adjustment import DECLINE, PROFIT
from job.campaign.lift import (
    CAP_LEVEL,
    CAPPED,
    FEWER,
    MEASURES,
    MINUTES,
    MORE,
    NOTHING,
    REVENUE,
    REVENUE_BEFORE,
    UNPROVEN,
    UNSURE,
)
from job.campaign.offers import DROP, EARLY, KEEP
from job.statistics import LEVEL
from schemas.scored import CONTROL, NOT_IN_CAMPAIGN, PROFIT_MONTHS, TREATMENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from job.campaign.lift import Comparison, Delivery, Effect, Lift, Note
    from job.campaign.offers import OfferPair, OfferResult, Plan
    from job.campaign.quality import Quality

UNKNOWN: Final = "—"
POINTS: Final = "\u00a0п.\u00a0п."
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
HEADLINES: Final = {
    NOTHING: "Сравнить не с чем: в одной из групп слишком мало клиентов с известным исходом.",
    UNPROVEN: "Влияние кампании на активность не доказано: разница объяснима случайностью.",
    UNSURE: "Не доказано: из двух групп исчезла разная доля клиентов, и в худшем случае разницы нет.",
    FEWER: "Кампания удержала клиентов: снизивших активность меньше.",
    MORE: "После кампании снизивших активность больше.",
}
COLOURS: Final = {FEWER: "good", MORE: "bad"}
_PROFIT_DECIMALS: Final = 4
DECISIONS: Final = {KEEP: "оставить", DROP: "отказаться", EARLY: "рано решать"}
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
    css = "".join(
        files(package).joinpath("page.css").read_text(encoding="utf-8") for package in ("job.report", "job.campaign")
    )
    sections = [
        _verdict(lift),
        _tiles(lift.overall),
        _notes(lift.notes),
        _offers(lift, plan),
        _segments(lift, titles),
        _measures(lift.overall),
        _worth(lift, titles),
        _customers(lift),
        _delivery(lift.delivery),
        _sensitivity(lift),
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


def shown_points(difference: float) -> float:
    """Return a difference of rates as the page shows it, in percentage points: others can count with it."""
    return round(100 * difference, 1)


def _verdict(lift: Lift) -> str:
    effect = lift.overall.effects[DECLINE]
    lines = [f"<b>{HEADLINES[lift.verdict]}</b>"]
    if effect.difference is not None:
        lines.append(
            f"Разница с поправкой на известное до кампании: {_points(effect.difference, signed=True)} "
            f"(95\u00a0%-й интервал: {_ends(effect.low, effect.high)}; {_p_value(effect.p_value)}). "
            f"Без поправки: {_percent(effect.treatment)} против {_percent(effect.control)}."
        )
    worst = [case for case in lift.sensitivity if case.case == ("best" if lift.verdict == MORE else "worst")]
    if lift.verdict in {FEWER, MORE, UNSURE} and worst:
        [case] = worst
        lines.append(
            "Если исход исчезнувших клиентов худший для этого вывода, разница "
            f"{_points(case.difference, signed=True)} ({_ends(case.low, case.high)}; {_p_value(case.p_value)})."
        )
    lines.append(
        f"Группы такого размера надёжно (с вероятностью 80 %) показали бы снижение от {_points(effect.detectable)}"
        if effect.detectable is not None
        else "Группы так малы, что надёжно показать не удалось бы никакое снижение."
    )
    return (
        f'<section class="verdict {COLOURS.get(lift.verdict, "")}">'
        + "".join(f"<p>{text}</p>" for text in lines)
        + ("</section>")
    )


def _tiles(overall: Comparison) -> str:
    effect, worth, treated = overall.effects[DECLINE], overall.worth, overall.groups[TREATMENT].found
    kept = None if effect.difference is None else -shown_points(effect.difference) / 100 * treated
    tiles = [
        (
            "Снизили активность",
            f"{_percent(effect.treatment)} / {_percent(effect.control)}",
            "получившие предложение / контрольная группа",
        ),
        (
            "Удержано клиентов",
            _number(kept, 0),
            UNKNOWN
            if effect.difference is None
            else f"{_points(-effect.difference)} × {russian.number(treated)} получивших предложение",
        ),
        (
            f"Чистый результат за {PROFIT_MONTHS} месяца",
            _number(_net(overall), 0, signed=True),
            f"в единицах прибыли магазина; 95\u00a0%-й интервал: {_between(worth.net_low, worth.net_high)}",
        ),
    ]
    return (
        '<div class="tiles">'
        + "".join(
            f'<div class="tile"><span>{title}</span><b>{value}</b><span>{text}</span></div>'
            for title, value, text in tiles
        )
        + "</div>"
    )


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


def _notes(notes: Sequence[Note]) -> str:
    if not notes:
        return ""
    items = "".join(f"<li>{_note(note)}</li>" for note in notes)
    return f'<section class="notes"><h2>На что обратить внимание</h2><ul>{items}</ul></section>'


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
    rows = [
        (
            escape(titles[result.offer]),
            f"{russian.number(result.treated)} / {russian.number(result.control)}",
            _percent(result.treatment_rate),
            _percent(None if result.control_rate is None else min(result.control_rate, 1.0)),
            _percent(result.effect),
            _shares(result.low, result.high),
            _percent(result.break_even),
            _number(result.worth.net, 0, signed=True),
            DECISIONS[result.decision],
        )
        for result in lift.offers
    ]
    headings = (
        "Предложение",
        "Получили / контроль",
        "Снизили",
        "Снизили бы без него",
        "Предотвратило снижений",
        "95 %-й интервал",
        "Окупается от",
        "Чистый результат",
        "Решение",
    )
    sentences = [decide_sentence(result, titles[result.offer]) for result in lift.offers]
    sentences += [_pair_sentence(pair, titles) for pair in lift.pairs]
    return _section(
        "Предложения",
        "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>" + _table(headings, rows),
    )


def decide_sentence(result: OfferResult, title: str) -> str:
    """Return in one sentence what to do with an offer."""
    start = f"«{title}»: {DECISIONS[result.decision]}"
    if result.effect is None:
        return f"{start}: слишком мало клиентов, чтобы сравнить."
    shown = f"предотвратило {_percent(result.effect)} снижений ({_shares(result.low, result.high)})"
    earning = f"окупается от {_percent(result.break_even)}" if result.break_even is not None else "окупиться не может"
    if result.decision != EARLY or result.more_customers is None:
        return f"{start}: {shown}, {earning}."
    return f"{start}: {shown}, {earning}; нужно ещё около {russian.number(result.more_customers)} клиентов."


def _pair_sentence(pair: OfferPair, titles: Mapping[str, str]) -> str:
    fewer, other = (pair.first, pair.second) if pair.difference < 0 else (pair.second, pair.first)
    difference = f"{_points(abs(pair.difference))} ({_p_value(pair.p_value_corrected)} с поправкой Холма)"
    sign = 1 if fewer == pair.first else -1
    money = (
        ""
        if pair.net_difference is None
        else (
            f"; за {PROFIT_MONTHS} месяца и за вычетом стоимости на клиента "
            f"{_number(sign * pair.net_difference, 2, signed=True)}"
        )
    )
    if pair.is_found:
        return f"«{titles[fewer]}» удерживает лучше, чем «{titles[other]}»: разница {difference}{money}."
    return f"Что лучше, «{titles[fewer]}» или «{titles[other]}», не доказано: разница {difference}{money}."


def _segments(lift: Lift, titles: Mapping[str, str]) -> str:
    rows = [("Все сегменты", lift.overall.effects[DECLINE])]
    rows += [(title, part.effects[DECLINE]) for title, part in _ordered(lift, titles)]
    ends = [end for _, effect in rows for end in (effect.low, effect.high) if end is not None]
    if not ends:
        return ""
    low, high = min(0.0, *ends), max(0.0, *ends)
    lines = [_difference_row(name, effect, low, high, is_first=not index) for index, (name, effect) in enumerate(rows)]
    return _section(
        "Разница в доле снизивших активность, по сегментам",
        '<p class="soft">Левее черты — предложение помогло. Полоса — 95 %-й интервал; p с поправкой Холма на число '
        "сегментов. Общая разница — среднее сегментов, где есть обе группы, по числу получивших предложение.</p>"
        '<ul class="key"><li><i class="blue"></i>меньше снизивших</li>'
        '<li><i class="red"></i>больше снизивших</li><li><i class="ink"></i>не доказано</li></ul>'
        + "".join(lines)
        + f'<div class="row scale"><span></span><div class="axis">'
        f"<span>{_points(low)}</span><span>{_points(high, signed=True)}</span></div><span></span></div>",
    )


def _ordered(lift: Lift, titles: Mapping[str, str]) -> list[tuple[str, Comparison]]:
    """Return the segments by title, in the order of the titles; those without one last."""
    codes = [code for code in titles if code in lift.segments]
    codes += [code for code in lift.segments if code not in titles]
    return [(titles.get(code, code), lift.segments[code]) for code in codes]


def _difference_row(name: str, effect: Effect, low: float, high: float, *, is_first: bool) -> str:
    classes = ["row", *(["first"] if is_first else [])]
    if effect.difference is None or effect.low is None or effect.high is None:
        return (
            f'<div class="{" ".join([*classes, "empty"])}"><span class="name">{escape(name)}</span>'
            '<div class="track"></div><span class="figures">в одной из групп слишком мало клиентов</span></div>'
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
            _value(None if effect.raw is None else effect.raw.difference, measure, is_difference=True),
            _value(effect.difference, measure, is_difference=True),
            _range(effect, measure),
            _p_value(effect.p_value_corrected),
            "да" if effect.is_found else "нет",
            _value(effect.detectable, measure, is_difference=True).lstrip("+"),
        )
        for measure in MEASURES
        for effect in [overall.effects[measure]]
    ]
    headings = (
        "В среднем на клиента",
        "Предложение",
        "Контроль",
        "Разница",
        "С поправкой",
        "95 %-й интервал",
        "p",
        "Доказано",
        "Различимо от",
    )
    return _section("Все показатели", _table(headings, rows))


def _worth(lift: Lift, titles: Mapping[str, str]) -> str:
    rows = [
        (
            escape(name),
            _number(part.effects[PROFIT].difference, _PROFIT_DECIMALS, signed=True),
            russian.number(part.effects[PROFIT].treatment_customers),
            _number(_gained(part), 0, signed=True),
            _number(part.worth.offer_cost, 0),
            _number(_net(part), 0, signed=True),
            _between(part.worth.net_low, part.worth.net_high),
        )
        for name, part in [("Все сегменты", lift.overall), *_ordered(lift, titles)]
    ]
    headings = (
        "Сегмент",
        "На клиента в месяц",
        "Клиентов",
        "Прибыль сверх контроля",
        "Стоимость",
        "Чистый результат",
        "95 %-й интервал",
    )
    text = (
        f"Разница в изменении месячной прибыли с поправкой × получившие предложение × {PROFIT_MONTHS} месяца, за "
        "вычетом стоимости контактов и скидок. В единицах, в которых магазин ведёт прибыль."
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


def _delivery(delivery: Delivery | None) -> str:
    if delivery is None:
        return ""
    rows = [
        (
            GROUPS[name],
            russian.number(customers),
            russian.number(contacted),
            russian.number(customers - contacted),
        )
        for name, customers, contacted in (
            (TREATMENT, delivery.treatment, delivery.treatment_contacted),
            (CONTROL, delivery.control, delivery.control_contacted),
        )
    ]
    effect = (
        f"{_points(delivery.difference, signed=True)} ({_ends(delivery.low, delivery.high)})"
        if delivery.difference is not None
        else "оценить нельзя, жребий почти не менял, кому отправлено"
    )
    text = (
        f"Сам контакт меняет долю снизивших активность на: {effect}. Это оценка для тех, кому отправили из-за жребия; "
        "вывод страницы — по группам, как они назначены. Отправлено клиентам вне двух групп: "
        f"{russian.number(delivery.outsiders)}."
    )
    return _section(
        "Кому отправлено на деле",
        _table(("Группа", "В прогоне", "Отправлено", "Не отправлено"), rows) + f'<p class="soft">{text}</p>',
    )


def _sensitivity(lift: Lift) -> str:
    if not lift.sensitivity:
        return ""
    rows = [
        (
            CASES[case.case],
            _percent(case.treatment),
            _percent(case.control),
            _points(case.difference, signed=True),
            _ends(case.low, case.high),
            _p_value(case.p_value),
            _number(case.net, 0, signed=True),
        )
        for case in lift.sensitivity
    ]
    headings = ("Что, если", "Предложение", "Контроль", "С поправкой", "95 %-й интервал", "p", "Чистый результат")
    vanishing = lift.vanishing
    text = (
        ""
        if vanishing is None
        else f'<p class="soft">Исход неизвестен у {_percent(vanishing.treatment)} получивших предложение и '
        f"{_percent(vanishing.control)} контрольной группы ({_p_value(vanishing.p_value)}).</p>"
    )
    return _section("Если учесть клиентов без исхода", text + _table(headings, rows))


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
        '<ul class="key"><li><i class="pale"></i>прогноз</li>'
        '<li><i class="ink"></i>снизили на деле, с 95 %-м интервалом</li></ul>' + "".join(deciles)
        if deciles
        else ""
    )
    return _section("Как сработала модель", _table(headings, rows) + chart)


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
        _cap_method(lift),
        "ROC-AUC: интервал Делонга. Ошибка калибровки: по десяти группам равного размера.",
        "Исчезнувшие клиенты не входят в средние; что они могли бы изменить, показано отдельно. Если из двух групп "
        "исчезла разная доля, вывод делается по худшему случаю.",
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
    """Return a table; on a phone each row is a list of its headings and cells."""
    first, *others = headings
    head = f"<th>{first}</th>" + "".join(f'<th class="n">{heading}</th>' for heading in others)
    body = "".join(
        f'<tr><td class="head">{row[0]}</td>'
        + "".join(
            f'<td class="n" data-label="{heading}">{cell}</td>' for heading, cell in zip(others, row[1:], strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f'<table class="stack"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


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
        return UNKNOWN
    return f"от {_number(100 * low, 1, signed=True)} до {_number(100 * high, 1, signed=True)}{POINTS}"


def _shares(low: float | None, high: float | None) -> str:
    """Return an interval of shares, the unit once."""
    if low is None or high is None:
        return UNKNOWN
    return f"от {_number(100 * low, 1)} до {_percent(high)}"


def _between(low: float | None, high: float | None, *, decimals: int = 0) -> str:
    if low is None or high is None:
        return UNKNOWN
    return f"от {_number(low, decimals)} до {_number(high, decimals)}"


def _points(value: float | None, *, signed: bool = False) -> str:
    return UNKNOWN if value is None else f"{_number(shown_points(value), 1, signed=signed)}{POINTS}"


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else _whole(russian.percent(value, decimals=1, is_fixed=True))


def _number(value: float | None, decimals: int, *, signed: bool = False) -> str:
    """Return a number with all its decimals: those of a column are of one length."""
    return UNKNOWN if value is None else _whole(russian.number(value, decimals=decimals, signed=signed, is_fixed=True))


def _whole(text: str) -> str:
    """Return a number that is never broken between lines."""
    return text.replace(" ", "\u00a0")


def _p_value(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return "p < 0,001" if value < 0.001 else f"p = {russian.number(value, decimals=3)}"  # noqa: PLR2004 - the last digit
