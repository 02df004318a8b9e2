"""Is a plain value, as JSON gives it, what a typed record says? What others may have written is not believed."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, NamedTuple, NoReturn, get_args, get_origin, get_type_hints, is_typeddict

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


def find_fault(value: object, kind: Any, name: str = "") -> str | None:  # noqa: ANN401 - a type, or what stands for one
    """Return where a value is not of a type, as a phrase; None if it is. Entries that nobody asked for do not matter.

    `kind`: a `TypedDict`, `dict[str, X]`, `list[X]`, `X | None`, `str`, `int`, `float`, `bool` or `Any`. `name`: of the
    value, for the phrase.
    """
    fault = _check_of(kind)(value)
    if fault is None:
        return None
    place = f"{name}{fault.place}".removeprefix("." if not name else "")
    return f"{fault.missing} in {place}".removesuffix(" in ") if fault.missing else f"{place} {fault.phrase}"


class _Fault(NamedTuple):
    """What is wrong. Args: place: within the value; phrase: what it is not; missing: the entries that are not there."""

    place: str
    phrase: str
    missing: str = ""


_Check = Callable[[object], "_Fault | None"]
"""Returns what is wrong with a value."""


@cache
def _check_of(kind: Any) -> _Check:  # noqa: ANN401 - as above
    """Return the check of a type; it is made once, for manifests have thousands of values."""
    arguments = get_args(kind)
    if kind is Any:
        return lambda _: None
    if get_origin(kind) is types.UnionType:
        return _check_of_union([_check_of(each) for each in arguments])
    if is_typeddict(kind):
        return _check_of_record(kind)
    if get_origin(kind) in (list, dict):
        return _check_of_parts(get_origin(kind), _check_of(arguments[-1]))
    fault = _Fault("", f"is no {getattr(kind, '__name__', kind)}")
    return lambda value: None if _is_plain(value, kind) else fault


def _check_of_union(checks: Sequence[_Check]) -> _Check:
    def check(value: object) -> _Fault | None:
        first = None
        for each in checks:
            fault = each(value)
            if fault is None:
                return None
            first = first or fault
        return first

    return check


def _check_of_record(kind: Any) -> _Check:  # noqa: ANN401 - as above
    entries = [(key, _check_of(hint)) for key, hint in get_type_hints(kind).items()]
    required = [key for key, _ in entries if key in kind.__required_keys__]

    def check(value: object) -> _Fault | None:
        if not isinstance(value, dict):
            return _Fault("", "is no object")
        missing = [key for key in required if key not in value]
        if missing:
            return _Fault("", "", f"no {', '.join(missing)}")
        for key, part in entries:
            if key in value and (fault := part(value[key])) is not None:
                return fault._replace(place=f".{key}{fault.place}")
        return None

    return check


def _check_of_parts(container: type[Any], part: _Check) -> _Check:
    def check(value: object) -> _Fault | None:
        if not isinstance(value, container):
            return _Fault("", f"is no {container.__name__}")
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            if (fault := part(each)) is not None:
                return fault._replace(place=f"[{key}]{fault.place}")
        return None

    return check


def _is_plain(value: object, kind: Any) -> bool:  # noqa: ANN401 - as above
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    if isinstance(value, int):
        return kind in (int, float) and -_LARGEST <= value < _LARGEST
    if isinstance(value, str):
        return kind is str and not _HALF.search(value)
    return isinstance(value, kind)
