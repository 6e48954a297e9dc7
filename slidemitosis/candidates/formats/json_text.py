"""JSON text taken apart without changing it: the parts of objects and lists, as they are written.

What is never turned into a number and back keeps every digit, and costs next to nothing. msgspec finds the
parts. Where it refuses a text that the json module takes, for a bare NaN or half a surrogate pair, a scanner
made of json's own finds them, in twice the time. Both are strict, so every part is JSON again.
"""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

JsonText: TypeAlias = bytes | msgspec.Raw
"""UTF-8. A part of a larger text is a view of it: `bytes(part)` copies it out."""

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NUMBERS = msgspec.json.Decoder(dict[str, float])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_REFUSED = (msgspec.DecodeError, RecursionError)
_scan = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode  # of numbers any length, and quicker
_quoted = json.JSONEncoder(ensure_ascii=False).encode

_NOT_BLANK = re.compile(r"[^ \t\n\r]|\Z")
_NOT_BLANK_BYTE = re.compile(rb"[^ \t\n\r]")
_BLANK = rb"[ \t\n\r]*+"
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_NAN = rb"(?:NaN|-?Infinity)"
_IS_NAN = _BLANK + b":" + _BLANK + _NAN
_MEMBER = _BLANK + _STRING + _IS_NAN
_BLANKS = re.compile(rb"(%b)|[ \t\n\r]+" % _STRING)
# Runs of a limited length, which can be matched again: Python before 3.11.5 matches a possessive run of such
# alternatives wrongly, and a run without a limit would take memory for each of its parts.
_FINITE = re.compile(
    rb"""
    ((?: [^",NI-]++ | %(string)b (?!%(is_nan)b) | , (?!%(member)b) | - (?!I) ){1,999})  # kept
    | , %(member)b             # a member that is not finite, with the comma before it
    | %(member)b %(blank)b ,?  # or, where it is the first of its object, with the comma behind it
    | (%(nan)b)                # an element of a list that is not finite
    """
    % {b"string": _STRING, b"is_nan": _IS_NAN, b"member": _MEMBER, b"blank": _BLANK, b"nan": _NAN},
    re.VERBOSE,
)


def members(text: JsonText) -> Mapping[str, JsonText]:
    """Return the members of a JSON object; of a key that stands twice the last counts, as in QuPath and json.

    Raises ValueError and RecursionError, as json.loads does.
    """
    try:
        return _OBJECT.decode(text)
    except _REFUSED:
        return dict(_scanned(text, "{"))


def elements(text: JsonText) -> Sequence[JsonText]:
    """Return the elements of a JSON list. Raises ValueError and RecursionError, as json.loads does."""
    try:
        return _LIST.decode(text)
    except _REFUSED:
        return [part for _, part in _scanned(text, "[")]


def collection(text: bytes) -> tuple[Mapping[str, JsonText], Sequence[JsonText] | None]:
    """Return the member `type` of a JSON object and the elements of its list `features`; of a list, its own.

    What `features` is instead where it is no list is a member too, and the elements are None. The list is
    never parsed as a whole: it may be larger than all else in memory. Raises ValueError and RecursionError,
    as json.loads does.
    """
    if kind(text) == "[":
        return {}, elements(text)
    try:
        found = _OBJECT.decode(text)
    except _REFUSED:
        return _scanned_collection(text)
    found = {name: found[name] for name in ("type", "features") if name in found}
    features = elements(found.pop("features")) if kind(found.get("features", b"")) == "[" else None
    return found, features


def kind(text: JsonText) -> str:
    """Return the first character of a JSON value, one of `{["tfn-0123456789NI`; nothing of an empty text."""
    match = _NOT_BLANK_BYTE.search(text)
    return match[0].decode("latin-1") if match else ""


def joined(parts: Mapping[str, JsonText]) -> bytes:
    """Return a JSON object of these members."""
    return b"{%b}" % b"".join([text for name, part in parts.items() for text in (_key(name), part)])[1:]


def are_numbers(text: JsonText) -> bool:
    """Tell whether every member of a JSON object is a number that is finite as a float64."""
    try:
        _NUMBERS.decode(text)
    except _REFUSED:
        return False
    return True


def compact(text: JsonText) -> bytes:
    """Return the text without blanks around its parts, and without NaN and infinities inside it."""
    data = bytes(text).strip(b" \t\n\r")
    return finite(_BLANKS.sub(rb"\1", data)) if data[:1] in (b"{", b"[") else data


def finite(text: JsonText) -> bytes:
    """Return the text without NaN and infinities: members are left out, elements of lists become null."""
    data = bytes(text)
    if b"NaN" not in data and b"Infinity" not in data:
        return data
    return _FINITE.sub(lambda match: match[1] or (b"null" if match[2] else b""), data)


def string(value: str) -> bytes:
    """Return `value` as a JSON string; half a surrogate pair, which UTF-8 cannot hold, stays escaped."""
    return _quoted(value).encode("utf-8", "backslashreplace")


@functools.lru_cache(maxsize=4096)
def _key(name: str) -> bytes:
    return b",%b:" % string(name)


def _scanned(text: JsonText, opening: str) -> list[tuple[str, bytes]]:
    scanner = _Scanner(text)
    found = [(key, scanner.take()) for key in scanner.parts(opening)]
    scanner.expect_end()
    return found


def _scanned_collection(text: bytes) -> tuple[Mapping[str, JsonText], Sequence[JsonText] | None]:
    found: dict[str, JsonText] = {}
    features: list[JsonText] | None = None
    scanner = _Scanner(text)
    for key in scanner.parts("{"):
        if key == "features" and scanner.next == "[":
            found.pop(key, None)
            features = [scanner.take() for _ in scanner.parts("[")]
            continue
        part = scanner.take()
        if key in ("type", "features"):
            found[key] = part
        if key == "features":
            features = None
    scanner.expect_end()
    return found, features


class _Scanner:
    """JSON text that is gone through part by part, as strictly as json does and with its messages."""

    def __init__(self, text: JsonText) -> None:
        self._text = bytes(text).decode()
        self._go_to(0)

    def parts(self, opening: str) -> Iterator[str]:
        """Yield the key of each member of the object, or "" for each element of the list, that is next.

        Each time the caller has to go past that part: by `take`, or through its own parts.
        """
        closing = {"{": "}", "[": "]"}[opening]
        self._pass(opening)
        if self.next != closing:
            yield self._take_key(opening)
            while self.next != closing:
                self._pass(",")
                yield self._take_key(opening)
        self._pass(closing)

    def take(self) -> bytes:
        """Return the text of the value that is next, and go past it."""
        start = self._at
        _, end = _scan(self._text, start)
        self._go_to(end)
        return self._text[start:end].encode()

    def expect_end(self) -> None:
        if self.next:
            raise json.JSONDecodeError("Extra data", self._text, self._at)

    def _take_key(self, opening: str) -> str:
        if opening == "[":
            return ""
        if self.next != '"':
            raise json.JSONDecodeError(
                "Expecting property name enclosed in double quotes", self._text, self._at
            )
        key: str = json.loads(self.take())
        self._pass(":")
        return key

    def _pass(self, delimiter: str) -> None:
        if self.next != delimiter:
            raise json.JSONDecodeError(f"Expecting {delimiter!r} delimiter", self._text, self._at)
        self._go_to(self._at + 1)

    def _go_to(self, at: int) -> None:
        """Go to the next character from `at` that is not blank, which is `next`, or to the end."""
        match = _NOT_BLANK.search(self._text, at)
        assert match is not None
        self._at, self.next = match.start(), match[0]
