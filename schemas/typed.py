"""Is a plain value, as JSON gives it, what a typed record says? What others may have written is not believed."""

from __future__ import annotations

import json
import re
import types
from functools import cache
from typing import Any, Final, NoReturn, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

_LARGEST: Final = 2**63
_HALF: Final = re.compile("[\ud800-\udfff]")  # of a character: text with it cannot be written


def parse_object(text: bytes) -> dict[str, Any]:
    """Return what a file of JSON holds. Raises ValueError if that is no object, or has a number that is none."""
    try:
        plain = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(plain, dict):
        raise ValueError(f"a JSON {type(plain).__name__}, not an object")  # noqa: TRY004 - as all that is wrong in it
    return plain


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant}, which is no number")


def check(value: Any, kind: Any, place: str = "") -> None:  # noqa: ANN401 - anything, and what it should be
    """Raise ValueError, which says where, if a value is not of a type; entries that nobody asked for do not matter.

    `kind`: a `TypedDict`, `dict[str, X]`, `list[X]`, `X | None`, `str`, `int`, `float`, `bool` or `Any`.
    """
    if type(value) is kind is float:  # as most are
        return
    shape, parts = _shape_of(kind)
    if shape is types.UnionType:
        if value is not None:
            check(value, parts[0], place)
    elif not _is_plain(value, shape):
        raise ValueError(f"{place} is no {'object' if isinstance(parts, dict) else shape.__name__}")
    elif isinstance(parts, dict):
        if missing := [key for key, (_, is_needed) in parts.items() if is_needed and key not in value]:
            raise ValueError(f"no {', '.join(missing)}{place and f' in {place}'}")
        for key in filter(value.__contains__, parts):
            check(value[key], parts[key][0], f"{place}.{key}".removeprefix("."))
    elif parts:
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            check(each, parts[-1], f"{place}[{key}]")


@cache
def _shape_of(kind: Any) -> tuple[Any, Any]:  # noqa: ANN401 - as above
    """Return the type without its parts, and these; of a `TypedDict`, key -> its type, and whether it must be there."""
    if is_typeddict(kind):
        hints = get_type_hints(kind, include_extras=True)
        marked = {key: get_origin(hint) is NotRequired for key, hint in hints.items()}
        return dict, {key: (get_args(hint)[0] if marked[key] else hint, not marked[key]) for key, hint in hints.items()}
    return get_origin(kind) or kind, get_args(kind)


def _is_plain(value: object, kind: Any) -> bool:  # noqa: ANN401 - as above
    if type(value) is int and kind in (int, float):
        return -_LARGEST <= value < _LARGEST
    return kind is Any or (type(value) is kind and not (isinstance(value, str) and _HALF.search(value)))
