"""Is a plain value, as JSON gives it, what a typed record says? What others may have written is not believed."""

from __future__ import annotations

import json
import re
import types
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NoReturn, get_args, get_origin, get_type_hints, is_typeddict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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

    Args:
        value: of plain dicts, lists, texts and numbers.
        kind: a `TypedDict`, `dict[str, X]`, `list[X]`, `X | None`, `str`, `int`, `float`, `bool` or `Any`.
        name: of the value, for the phrase.
    """
    return None if _test_of(kind)(value) else _find_fault(value, kind, name)


@cache
def _test_of(kind: Any) -> Callable[[object], bool]:  # noqa: ANN401 - as above
    """Return what tells whether a value is of a type: most are, and then nobody asks where they are not."""
    arguments = get_args(kind)
    if kind is Any:
        return lambda _: True
    if get_origin(kind) is types.UnionType:
        tests = [_test_of(each) for each in arguments]
        return lambda value: any(test(value) for test in tests)
    if is_typeddict(kind):
        entries = [(key, _test_of(hint), key in kind.__required_keys__) for key, hint in _hints(kind).items()]
        return lambda value: (
            isinstance(value, dict)
            and all(test(value[key]) if key in value else not is_required for key, test, is_required in entries)
        )
    if get_origin(kind) in (list, dict):
        part = _test_of(arguments[-1])
        if get_origin(kind) is list:
            return lambda value: isinstance(value, list) and all(map(part, value))
        return lambda value: isinstance(value, dict) and all(map(part, value.values()))
    return lambda value: _is_plain(value, kind)


def _find_fault(value: object, kind: Any, name: str) -> str | None:  # noqa: ANN401 - as above
    arguments = get_args(kind)
    if kind is Any:
        return None
    if get_origin(kind) is types.UnionType:
        faults = [_find_fault(value, each, name) for each in arguments]
        return None if None in faults else faults[0]
    if is_typeddict(kind):
        return _fault_of_record(value, kind, name)
    parts: Iterable[tuple[object, object]] | None
    if get_origin(kind) is list:
        parts = enumerate(value) if isinstance(value, list) else None
    elif get_origin(kind) is dict:
        parts = value.items() if isinstance(value, dict) else None
    else:
        return None if _is_plain(value, kind) else f"{name} is no {getattr(kind, '__name__', kind)}"
    if parts is None:
        return f"{name} is no {get_origin(kind).__name__}"
    of_parts = (_find_fault(part, arguments[-1], f"{name}[{key}]") for key, part in parts)
    return next((fault for fault in of_parts if fault), None)


def _fault_of_record(value: object, kind: Any, name: str) -> str | None:  # noqa: ANN401 - as above
    if not isinstance(value, dict):
        return f"{name} is no object"
    hints = _hints(kind)
    missing = [key for key in hints if key in kind.__required_keys__ and key not in value]
    if missing:
        return f"no {', '.join(missing)}{f' in {name}' if name else ''}"
    prefix = f"{name}." if name else ""
    faults = (_find_fault(value[key], hint, f"{prefix}{key}") for key, hint in hints.items() if key in value)
    return next((fault for fault in faults if fault), None)


def _is_plain(value: object, kind: Any) -> bool:  # noqa: ANN401 - as above
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    if isinstance(value, int):
        return kind in (int, float) and -_LARGEST <= value < _LARGEST
    if isinstance(value, str):
        return kind is str and not _HALF.search(value)
    return isinstance(value, kind)


@cache
def _hints(kind: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    return get_type_hints(kind)
