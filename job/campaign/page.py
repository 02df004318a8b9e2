"""The Russian page of a comparison: one file, no script, nothing loaded from anywhere; the run's page in style."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from job.campaign.lift import CAP_LEVEL
from job.campaign.results import CAPPED, DECLINE, MINUTES, PROFIT, REVENUE, REVENUE_BEFORE
from job.report.formats import number
from job.report.html import render_html
from job.statistics import LEVEL
from schemas.scored import CONTROL, NOT_IN_CAMPAIGN, PROFIT_MONTHS, TREATMENT

if TYPE_CHECKING:
    from job.campaign.offers import Plan
    from job.campaign.results import Comparison, Decision, Lift, Note, Verdict

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
PROFIT_DECIMALS: Final = 4
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
    """Return the page as HTML; segments are shown in the order of their titles, one without by its code."""
    segments = _ordered(lift, titles)
    difference = lift.overall.effects[DECLINE].difference
    effects = [part.effects[DECLINE] for _, part in segments]
    ends = [end for effect in effects for end in (effect.low, effect.high) if end is not None]
    worst = {"fewer_declined": "worst", "not_sure": "worst", "more_declined": "best"}.get(lift.verdict)
    return render_html(
        "job.campaign",
        "lift.html",
        lift=lift,
        run_id=run_id,
        headline=HEADLINES[lift.verdict],
        colour=COLOURS.get(lift.verdict, ""),
        against=next((case for case in lift.sensitivity if case.case == worst), None),
        kept=difference and -round(100 * difference, 1) / 100 * lift.overall.groups[TREATMENT].found,
        notes=[_note(note) for note in lift.notes],
        segments=segments,
        axis=(min(0.0, *ends), max(0.0, *ends)) if ends else None,
        offer_titles={result.offer: plan.titles.get(result.offer, result.offer) for result in lift.offers},
        adjusted_for=[COLUMNS[name] for name in lift.adjusted_for],
        tested=sum(part.effects[DECLINE].p_value is not None for part in lift.segments.values()),
        groups=GROUPS,
        measures=TITLES,
        cases=CASES,
        qualities=QUALITIES,
        decisions=DECISIONS,
        months=PROFIT_MONTHS,
        profit_decimals=PROFIT_DECIMALS,
        proof=LEVEL,
        cap_level=CAP_LEVEL,
        gained=_gained,
        net=_net,
    )


def _ordered(lift: Lift, titles: Mapping[str, str]) -> list[tuple[str, Comparison]]:
    """Return all segments together, then each by title; those without one last."""
    codes = [code for code in titles if code in lift.segments]
    codes += [code for code in lift.segments if code not in titles]
    return [("Все сегменты", lift.overall), *((titles.get(code, code), lift.segments[code]) for code in codes)]


def _gained(part: Comparison) -> float | None:
    """Return the profit beyond the control group's, of the difference as the page shows it."""
    effect = part.effects[PROFIT]
    if effect.difference is None:
        return None
    return round(effect.difference, PROFIT_DECIMALS) * effect.treatment_customers * PROFIT_MONTHS


def _net(part: Comparison) -> float | None:
    """Return the net result of what the page shows beside it."""
    gained = _gained(part)
    return None if gained is None else round(gained) - round(part.worth.offer_cost)


def _note(note: Note) -> str:
    values = {
        name: COLUMNS.get(value, value)
        if isinstance(value, str)
        else number(value, decimals=0 if isinstance(value, int) else 2)
        for name, value in note.values.items()
    }
    if note.kind == "nothing_to_compare":
        values["groups"] = ", ".join(f"«{GROUPS[group]}»" for group in str(note.values["groups"]).split(", "))
    return NOTES[note.kind].format(**values)
