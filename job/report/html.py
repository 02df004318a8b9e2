"""Pages of templates: one frame, one style, one way of writing numbers; what is filled in is escaped."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

import jinja2

from job.report.formats import compact, count, date, day, fixed, number, p_value, percent, points, share, significant

UNKNOWN: Final = "—"
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
    written: dict[str, Callable[..., str]] = {
        "customers": lambda value: count(value, *CLIENTS),
        "of_customers": lambda value: count(value, *OF_CLIENTS),
        "to_customers": lambda value: count(value, *TO_CLIENTS),
        "on_customers": lambda value: count(value, *ON_CLIENTS),
    }
    written |= {
        one.__name__: one for one in (number, fixed, percent, share, points, p_value, compact, significant, date, day)
    }
    environment.filters.update({name: _where_known(one) for name, one in written.items()})
    return environment


def _where_known(written: Callable[..., str]) -> Callable[..., str]:
    """Return the same way of writing a value, which writes a dash for None."""
    return lambda value, *args, **settings: UNKNOWN if value is None else written(value, *args, **settings)
