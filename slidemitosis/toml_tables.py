"""TOML tables to frozen dataclasses and back: every missing, unknown or mistyped key is named."""

from __future__ import annotations

import json
import math
import types
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Mapping

_Part = TypeVar("_Part")


class InvalidTable(ValueError):
    """A key is missing, unknown, or has a value of another type. Callers raise their own error from it."""


def build(kind: type[_Part], values: Mapping[str, Any], *, where: str, **extra: Any) -> _Part:
    """`kind(**values, **extra)` for a dataclass, nested tables and lists of tables included.

    A field is read by its annotation: str, int, float (an integer is one too), bool, Literal,
    tuple[X, ...] and tuple[X, X, X] from lists, dataclasses from tables, dict[str, X]. Raises
    InvalidTable with one line that says which key of which table is wrong.
    """
    if not isinstance(values, dict):
        raise InvalidTable(f"{where} must be a table")
    hints = get_type_hints(kind)
    known = {f.name: f for f in fields(kind) if f.name not in extra}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise InvalidTable(f"unknown key {key!r} in {where}{nearest(key, known)}")
    missing = [
        k
        for k, f in known.items()
        if k not in values and f.default is MISSING and f.default_factory is MISSING
    ]
    if missing:
        raise InvalidTable(f"{where} lacks {', '.join(missing)}")
    return kind(**{k: _typed(v, hints[k], k, where) for k, v in values.items()}, **extra)


def nearest(key: str, known: Any) -> str:
    """ "; did you mean 'x'?" for the nearest of `known`, or nothing."""
    near = get_close_matches(key, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _typed(value: Any, hint: Any, key: str, where: str) -> Any:
    """`value` as the annotation `hint` wants it."""
    origin = get_origin(hint)
    if is_dataclass(hint):
        return build(hint, value, where=f"[{key}]")  # type: ignore[arg-type]
    if origin is tuple:
        return _tuple(value, get_args(hint), key, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise InvalidTable(f"{key!r} in {where} must be a table, not {value!r}")
        return {k: _typed(v, get_args(hint)[1], f"{key}.{k}", where) for k, v in value.items()}
    if origin in (types.UnionType, Union):
        return _one_of(value, get_args(hint), key, where)
    return _plain(value, hint, key, where)


def _tuple(value: Any, arguments: tuple[Any, ...], key: str, where: str) -> tuple[Any, ...]:
    each = arguments[0]
    if not isinstance(value, list) or (arguments[-1] is not Ellipsis and len(value) != len(arguments)):
        raise InvalidTable(f"{key!r} in {where} must be a list{_length(arguments)}, not {value!r}")
    if is_dataclass(each):
        return tuple(build(each, v, where=f"[[{key}]] {i}") for i, v in enumerate(value, 1))  # type: ignore[arg-type]
    return tuple(_typed(v, each, key, where) for v in value)


def _one_of(value: Any, hints: tuple[Any, ...], key: str, where: str) -> Any:
    tables = [h for h in hints if is_dataclass(h)]
    if isinstance(value, dict) and len(tables) == 1:
        return _typed(value, tables[0], key, where)  # which says what is wrong inside it
    for hint in hints:
        try:
            return _typed(value, hint, key, where)
        except InvalidTable:
            continue
    wanted = " or ".join(getattr(h, "__name__", str(h)) for h in hints)
    raise InvalidTable(f"{key!r} in {where} must be of type {wanted}, not {value!r}")


def _plain(value: Any, hint: Any, key: str, where: str) -> Any:
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            named = ", ".join(map(repr, get_args(hint)))
            raise InvalidTable(f"{key!r} in {where} must be one of {named}, not {value!r}")
        return value
    if not _is(value, hint):
        raise InvalidTable(f"{key!r} in {where} must be of type {hint.__name__}, not {value!r}")
    return float(value) if hint is float else value


def _length(arguments: tuple[Any, ...]) -> str:
    return "" if arguments[-1] is Ellipsis else f" of {len(arguments)}"


def _is(value: Any, kind: Any) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def dump(part: object, *, skip: tuple[str, ...] = ()) -> str:
    """A dataclass as TOML text; `build` gives it back. What is None or an empty dictionary is left out."""
    return "\n".join(_lines(part, "", skip)).strip() + "\n"


def _lines(part: object, prefix: str, skip: tuple[str, ...]) -> list[str]:
    values = {f.name: getattr(part, f.name) for f in fields(part) if f.name not in skip}  # type: ignore[arg-type]
    lines = [f"{k} = {_toml(v)}" for k, v in values.items() if v is not None and not _is_table(v)]
    for key, value in values.items():
        name = f"{prefix}{key}"
        if is_dataclass(value):
            lines += ["", f"[{name}]", *_lines(value, f"{name}.", ())]
        elif isinstance(value, dict) and value:
            plain = {k: v for k, v in value.items() if not is_dataclass(v)}
            lines += ["", f"[{name}]", *(f"{_toml(k)} = {_toml(v)}" for k, v in plain.items())]
            for k, v in value.items():
                if is_dataclass(v):
                    lines += ["", f"[{name}.{_toml(k)}]", *_lines(v, f"{name}.{_toml(k)}.", ())]
        elif isinstance(value, tuple) and value and is_dataclass(value[0]):
            for item in value:
                lines += ["", f"[[{name}]]", *_lines(item, f"{name}.", ())]
    return lines


def _is_table(value: object) -> bool:
    return (
        is_dataclass(value)
        or isinstance(value, dict)
        or (isinstance(value, tuple) and bool(value) and is_dataclass(value[0]))
    )


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        if any(isinstance(v, str) for v in value) and len(value) > 1:
            return "[\n" + "".join(f"  {_toml(v)},\n" for v in value) + "]"
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # The escapes of JSON are escapes of TOML; DEL alone is one in TOML only.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
