"""What the pages that are written without templates share: their frame, sections, lists and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from typing import TypeVar

_Row = TypeVar("_Row")


def document(title: str, parts: Iterable[str], *, styles: Sequence[str] = ("job.report",), head: str = "") -> str:
    """Return a page. Args: styles: packages whose `page.css` it takes; head: more of its head."""
    css = "".join(files(package).joinpath("page.css").read_text(encoding="utf-8") for package in styles)
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="ru">\n<head>\n<meta charset="utf-8">\n{head}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{title}</title>\n<link rel="icon" href="data:,">\n<style>\n{css}</style>\n</head>\n'
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def section(title: str, content: str, *, kind: str = "") -> str:
    """Return a part of a page under a heading."""
    kind = kind and f' class="{kind}"'
    return f"<section{kind}><h2>{title}</h2>{content}</section>"


def soft(text: str) -> str:
    """Return a paragraph that explains."""
    return f'<p class="soft">{text}</p>'


def bullets(texts: Iterable[str]) -> str:
    """Return a list."""
    return f"<ul>{''.join(f'<li>{text}</li>' for text in texts)}</ul>"


def table(columns: Mapping[str, Callable[[_Row], str]], rows: Iterable[_Row]) -> str:
    """Return a table; on a phone each row is a list of its headings and cells.

    Args:
        columns: heading -> the cell of a row, as HTML.
        rows: what the cells are made of.
    """
    (first, name), *others = columns.items()
    head = f"<th>{first}</th>" + "".join(f'<th class="n">{heading}</th>' for heading, _ in others)
    body = "".join(
        f'<tr><td class="head">{name(row)}</td>'
        + "".join(f'<td class="n" data-label="{heading}">{cell(row)}</td>' for heading, cell in others)
        + "</tr>"
        for row in rows
    )
    return f'<table class="stack"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
