"""Pages of templates: one frame, one style, one way of writing numbers; what is filled in is escaped."""

from __future__ import annotations

from functools import cache
from typing import Final

import jinja2

from job.report.formats import compact, count, day, fixed, number, percent, significant

CLIENTS: Final = ("клиент", "клиента", "клиентов")
OF_CLIENTS: Final = ("клиента", "клиентов", "клиентов")  # у 1 клиента, у 2 клиентов
TO_CLIENTS: Final = ("клиенту", "клиентам", "клиентам")
ON_CLIENTS: Final = ("клиенте", "клиентах", "клиентах")  # на 1 клиенте, на 2 клиентах


def render_html(package: str, template: str, **values: object) -> str:
    """Return a page of a package's template, which may use the frame of `job.report`: the same values, the same bytes.

    `values`: what the template names; it must name no others. A value of it is escaped unless it is `Markup`.
    """
    return _environment(package).get_template(template).render(values)


@cache
def _environment(package: str) -> jinja2.Environment:
    packages = dict.fromkeys((package, "job.report"))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name, package_path="") for name in packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number,
        fixed=fixed,
        percent=percent,
        compact=compact,
        significant=significant,
        day=day,
        customers=lambda value: count(value, *CLIENTS),
        of_customers=lambda value: count(value, *OF_CLIENTS),
        to_customers=lambda value: count(value, *TO_CLIENTS),
        on_customers=lambda value: count(value, *ON_CLIENTS),
    )
    return environment
