"""Read TOML tables into frozen dataclasses, naming every missing, unknown or mistyped key, and write them."""

from __future__ import annotations

import math
import tomllib
import types
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import tomli_w

if TYPE_CHECKING:
    from collections.abc import Mapping

_Part = TypeVar("_Part")
_SHORT = 2  # letters
_NEAR, _NEAR_IF_SHORT = 0.6, 0.75
"""Share of letters that two names have in common if one is meant by the other."""


class InvalidTable(ValueError):
    """A key is missing, unknown, or has a value of another type. Callers raise their own error from it."""


class NotToml(ValueError):
    """A text is not TOML. Callers raise their own error from it."""


def parse_toml(text: str) -> dict[str, Any]:
    """Return the tables of a TOML text. Raises NotToml."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise NotToml(str(e)) from e
    except RecursionError:
        raise NotToml("its values are nested too deeply") from None


def build(kind: type[_Part], values: Mapping[str, Any], *, where: str, **extra: Any) -> _Part:
    """Return the dataclass `kind(**values, **extra)`, nested tables and lists of tables included.

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
    """Return "; did you mean 'x'?" for the name in `known` nearest to `key`, or "" where none is near.

    Of a short key one letter more is a larger part: "lr" and "lora" have little in common.
    """
    near = get_close_matches(key, list(known), n=1, cutoff=_NEAR if len(key) > _SHORT else _NEAR_IF_SHORT)
    return f"; did you mean {near[0]!r}?" if near else ""


def _typed(value: Any, hint: Any, key: str, where: str) -> Any:
    """Return `value` as the type of the annotation `hint`, or raise InvalidTable."""
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
        length = "" if arguments[-1] is Ellipsis else f" of {len(arguments)}"
        raise InvalidTable(f"{key!r} in {where} must be a list{length}, not {value!r}")
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
    kinds = (int, float) if hint is float else hint
    fits = isinstance(value, kinds) and (hint is bool or not isinstance(value, bool))  # True is an int too
    if not fits or (hint is float and not math.isfinite(value)):
        raise InvalidTable(f"{key!r} in {where} must be of type {hint.__name__}, not {value!r}")
    return float(value) if hint is float else value


def dump(part: object, *, skip: tuple[str, ...] = ()) -> str:
    """Return a dataclass as TOML text without its fields `skip`; `build` gives it back.

    None and empty dictionaries are left out, as in `plain`.
    """
    return tomli_w.dumps({k: v for k, v in plain(part).items() if k not in skip})


def plain(value: Any) -> Any:
    """Return a value with its dataclasses as dictionaries and its tuples as lists, at every depth.

    Fields of dataclasses that are None or an empty dictionary are left out.
    """
    if is_dataclass(value):
        values = {f.name: getattr(value, f.name) for f in fields(value)}
        return {k: plain(v) for k, v in values.items() if v is not None and v != {}}
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, tuple) else value
