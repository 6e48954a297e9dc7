"""JSON text taken apart without changing it: the parts of objects and lists, as they are written.

What is never turned into a number and back keeps every digit, and costs next to nothing. msgspec finds
the parts; where it refuses a text that the json module takes, for a bare NaN or half a surrogate pair,
json's own scanner does. Both are strict, so every part is JSON again.
"""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

JsonText: TypeAlias = bytes | msgspec.Raw
"""UTF-8. A part of a larger text is a view of it: `bytes(part)` copies it out."""

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NUMBERS = msgspec.json.Decoder(dict[str, float])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_UNSPACED = re.compile(r"[^ \t\n\r]|\Z")
_UNSPACED_BYTE = re.compile(rb"[^ \t\n\r]")
_scan = json.JSONDecoder().raw_decode
_quoted = json.JSONEncoder(ensure_ascii=False).encode

_BLANK = rb"[ \t\n\r]*+"
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN = rb"(?:NaN|-?Infinity)"
_BLANKS = re.compile(rb"(%b)|[ \t\n\r]+" % _STRING)
_TOKEN_IN_LIST = re.compile(_TOKEN)
_REST_OF_MEMBER = _BLANK + b":" + _BLANK + _TOKEN
_MEMBER = re.compile(_STRING + _REST_OF_MEMBER)
_FINITE = re.compile(rb'(?:[^"NI-]++|%b(?!%b)|-(?!I))*+' % (_STRING, _REST_OF_MEMBER))
"""All up to the next member that is NaN or infinite, or to the next such element of a list."""
_COMMA = re.compile(_BLANK + b",")


def members(text: JsonText) -> Mapping[str, JsonText]:
    """The members of a JSON object; of a key that stands twice the last counts, as in QuPath and json.

    Raises ValueError and RecursionError, as json.loads does.
    """
    try:
        return _OBJECT.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {key: part for key, part in _scanned(bytes(text).decode()) if key is not None}


def elements(text: JsonText) -> Sequence[JsonText]:
    """The elements of a JSON list. Raises ValueError and RecursionError, as json.loads does."""
    try:
        return _LIST.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return [part for _, part in _scanned(bytes(text).decode())]


def collection(text: bytes) -> tuple[Mapping[str, JsonText], Sequence[JsonText] | None]:
    """The member `type` of a JSON object, and the elements of its list `features`; of a list, its own.

    What `features` is instead where it is no list is a member too, and the elements are None. The list is
    never taken as a whole: it may be larger than all else in memory. Raises ValueError and RecursionError, as
    json.loads does, but perhaps not for what is no number although it ends as NaN does: each element has to
    be read all the same.
    """
    try:
        return _collection(text)
    except (msgspec.DecodeError, RecursionError):
        # Numbers in their place, of the same length, leave each part where it is, also those inside strings.
        masked = text.replace(b"NaN", b"1e9").replace(b"Infinity", b"1e999999")
    try:
        found, features = _collection(masked)
    except (msgspec.DecodeError, RecursionError):
        return _scanned_collection(text.decode())
    start = _address(masked)
    stated = {name: _same_part(part, start, text) for name, part in found.items()}
    return stated, None if features is None else [_same_part(part, start, text) for part in features]


def _collection(text: bytes) -> tuple[dict[str, msgspec.Raw], list[msgspec.Raw] | None]:
    if kind(text) == "[":
        return {}, _LIST.decode(text)
    found = _OBJECT.decode(text)
    found = {name: found[name] for name in ("type", "features") if name in found}
    features = found.get("features", b"")
    return (found, None) if kind(features) != "[" else (found, _LIST.decode(found.pop("features")))


def _same_part(part: msgspec.Raw, start: int, text: bytes) -> bytes:
    """What stands in `text` where `part` is in the text that it is a view of, which is at `start`."""
    offset = _address(part) - start
    assert 0 <= offset <= len(text) - len(part)
    return text[offset : offset + len(part)]


def _address(text: JsonText) -> int:
    address: int = np.frombuffer(text, np.uint8).__array_interface__["data"][0]
    return address


def kind(text: JsonText) -> str:
    """The first character of a JSON value: one of `{["tfn-0123456789NI`; nothing of an empty text."""
    match = _UNSPACED_BYTE.search(text)
    return match[0].decode("latin-1") if match else ""


def joined(parts: Mapping[str, JsonText]) -> bytes:
    """A JSON object of these members."""
    return b"{%b}" % b"".join([text for name, part in parts.items() for text in (_key(name), part)])[1:]


def are_numbers(text: JsonText) -> bool:
    """Whether every member of a JSON object is a number that is finite as a float64."""
    try:
        _NUMBERS.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def compact(text: JsonText) -> bytes:
    """The text without the blanks around its parts, and without NaN and infinities inside it.

    A member that is not finite is left out; in a list, null takes its place.
    """
    data = bytes(text).strip(b" \t\n\r")
    if data[:1] not in (b"{", b"["):
        return data
    return finite(_BLANKS.sub(rb"\1", data))


def finite(text: JsonText) -> bytes:
    """The text without NaN and infinities inside it, as `compact` leaves them out."""
    data = bytes(text)
    if b"NaN" not in data and b"Infinity" not in data:
        return data
    kept, at = bytearray(), 0
    while True:
        end = _end(_FINITE, data, at)
        kept += data[at:end]
        if end == len(data):
            return bytes(kept)
        if data[end : end + 1] != b'"':
            kept += b"null"
            at = _end(_TOKEN_IN_LIST, data, end)
            continue
        at = _end(_MEMBER, data, end)
        kept = kept.rstrip(b" \t\n\r")
        if kept.endswith(b","):
            del kept[-1]
        elif match := _COMMA.match(data, at):
            at = match.end()


def _end(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    match = pattern.match(data, at)
    assert match is not None
    return match.end()


def string(value: str) -> bytes:
    """`value` as a JSON string; half a surrogate pair, which UTF-8 cannot hold, stays escaped."""
    return _quoted(value).encode("utf-8", "backslashreplace")


@functools.lru_cache(maxsize=4096)
def _key(name: str) -> bytes:
    return b",%b:" % string(name)


def _scanned(text: str) -> list[tuple[str | None, bytes]]:
    """Key, if any, and text of each part of the JSON object or list that `text` is."""
    found: list[tuple[str | None, bytes]] = []

    def visit(name: str | None, start: int) -> int:
        _, end = _scan(text, start)
        found.append((name, text[start:end].encode()))
        return end

    _expect_end(text, _walk(text, _next(text, 0), visit))
    return found


def _scanned_collection(text: str) -> tuple[Mapping[str, JsonText], Sequence[JsonText] | None]:
    if text.lstrip(" \t\n\r").startswith("["):
        return {}, [part for _, part in _scanned(text)]
    found: dict[str, JsonText] = {}
    features: list[JsonText] | None = None

    def visit_feature(_: str | None, start: int) -> int:
        assert features is not None
        _, end = _scan(text, start)
        features.append(text[start:end].encode())
        return end

    def visit(name: str | None, start: int) -> int:
        nonlocal features
        assert name is not None
        found.pop(name, None)
        if name == "features":
            features = [] if text.startswith("[", start) else None
            if features is not None:
                return _walk(text, start, visit_feature)
        _, end = _scan(text, start)
        if name in ("type", "features"):
            found[name] = text[start:end].encode()
        return end

    _expect_end(text, _walk(text, _next(text, 0), visit))
    return found, features


def _walk(text: str, at: int, visit: Callable[[str | None, int], int]) -> int:
    """The end of the object or list that opens at `at`; `visit(key, start)` says where each part ends."""
    closing = {"{": "}", "[": "]"}.get(text[at : at + 1])
    if closing is None:
        raise json.JSONDecodeError("Expecting an object or a list", text, at)
    at = _next(text, at + 1)
    if text.startswith(closing, at):
        return at + 1
    while True:
        name = None
        if closing == "}":
            if not text.startswith('"', at):
                raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, at)
            name, at = _scan(text, at)
            at = _next(text, at)
            if not text.startswith(":", at):
                raise json.JSONDecodeError("Expecting ':' delimiter", text, at)
            at = _next(text, at + 1)
        at = _next(text, visit(name, at))
        if text.startswith(closing, at):
            return at + 1
        if not text.startswith(",", at):
            raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
        at = _next(text, at + 1)


def _next(text: str, at: int) -> int:
    """The place of the next character that is not blank, or the end."""
    match = _UNSPACED.search(text, at)
    assert match is not None
    return match.start()


def _expect_end(text: str, at: int) -> None:
    if _next(text, at) < len(text):
        raise json.JSONDecodeError("Extra data", text, _next(text, at))
