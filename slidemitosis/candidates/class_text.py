"""Pure: class names written as the text of a JSON or Python value, as tables of pandas hold them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

_NOTHING = {"none", "nan", "null", "<na>"}
"""What pandas and JSON write for a class that is missing."""
_KEYS = ("names", "name", "class", "class_name", "label")
_COLOURS = {"color", "colour", "colorRGB"}
_LONGEST = 10_000
# Numbers of numpy, as its newer versions write them: np.int32(200), array([1, 2]).
_OF_NUMPY = re.compile(
    r"\b(?:np\.|numpy\.)?(?:u?int\d+|float\d+|bool_?|str_|array)\((\[[^][()]*\]|[^][(),]*)(?:,[^()]*)?\)"
)


def class_of_text(text: str | None) -> str | None:
    """Return the class name that a text states, which is the text itself unless it is that of a value.

    Of a dictionary it is the name, of a list the names, each derived from the one before; None where nothing
    is stated. Raises ValueError for a dictionary that cannot be read, or has no name.
    """
    stated = (text or "").strip()
    if stated.casefold() in _NOTHING:
        return None
    if stated[:1] not in ("{", "[", '"'):
        return text
    value = _value(stated)
    if value is None and stated[0] != "{":
        return text  # a name that begins with a bracket, such as "[1] Mitosis"
    if not isinstance(value, Mapping):
        return class_of_value(value) if value is not None else _unreadable()
    return class_of_value(value) if not value or value.keys() & {*_KEYS, *_COLOURS} else _unreadable()


def _unreadable() -> NoReturn:
    raise ValueError("expected a dictionary with a name")


def class_of_value(value: object) -> str | None:
    """Return the class name that a value states: a text, a list of names, or a dictionary with either.

    Raises ValueError for anything else.
    """
    name = value
    if isinstance(value, Mapping):
        name = next((value[key] for key in _KEYS if value.get(key) not in (None, [])), None)
        if type(name) is int:  # TIAToolbox, if its model has no names for its classes
            name = str(name)
    if isinstance(name, list | tuple) and all(isinstance(part, str) for part in name):
        name = ": ".join(name)
    if name is not None and not isinstance(name, str):
        raise ValueError("expected a name, names or null")
    return name


def _value(text: str) -> Any:
    """Return the value of a JSON or Python text; None if it is neither. No code is run."""
    if len(text) > _LONGEST:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(_OF_NUMPY.sub(r"\1", text))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
