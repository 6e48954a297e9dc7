"""From a path to candidates: opening, unpacking, decoding, and telling GeoJSON from a table."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NoReturn, get_args

from slidemitosis.candidates.geojson import parse_geojson
from slidemitosis.candidates.model import Unit
from slidemitosis.candidates.table import parse_table
from slidemitosis.errors import InvalidOption, UnreadableCandidates

if TYPE_CHECKING:
    from slidemitosis.candidates.model import Candidates

_GZIP, _ZIP, _EMPTY_ZIP = b"\x1f\x8b", b"PK\x03\x04", b"PK\x05\x06"
_SUFFIXES = {".json", ".geojson", ".csv", ".tsv"}
_LIMIT = 4 << 30  # bytes, far beyond any slide's export: a packed file should not exhaust the memory
_CHUNK = 16 << 20  # bytes
# What the standard library raises for a packed file that is damaged, cut off, or (RuntimeError) locked by
# a password or packed in a way that it does not know.
_DAMAGE = (
    *(OSError, EOFError, ValueError, LookupError, RuntimeError),
    *(struct.error, zlib.error, lzma.LZMAError, zipfile.BadZipFile),
)


def read_candidates(path: Path | str, *, unit: Unit | None = None) -> Candidates:
    """The candidates in a GeoJSON file or a table, plain or packed as gzip or zip.

    What the file is, is told by its content, never by its name. `unit` says what the columns x and
    y of a table are in if their names do not; GeoJSON is always in px. Raises
    `UnreadableCandidates`, or `InvalidOption` for a unit that cannot be.
    """
    path = Path(path)
    if unit is not None and unit not in get_args(Unit):
        message = f"the unit of candidates is px or um, not {unit!r}"
        raise InvalidOption(message)
    text = _decode(_unpack(_read(path), path), path)
    start = text.lstrip()[:1]
    if not start:
        _fail(path, "the file is empty")
    if start not in {"{", "["}:
        return parse_table(text, path=path, unit=unit)
    if unit == "um":
        message = f"{path}: GeoJSON is in px, yet the unit given is um; leave the unit out"
        raise InvalidOption(message)
    return parse_geojson(text, path=path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        message = f"{path}: {_why_unread(error)}"
        raise UnreadableCandidates(message) from error


def _why_unread(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "a folder; name the file of candidates in it"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    return f"cannot be read ({getattr(error, 'strerror', None) or error})"


def _unpack(data: bytes, path: Path) -> bytes:
    """The bytes themselves, or what a gzip or zip holds; nothing is written to disk."""
    try:
        if data.startswith(_GZIP):
            return _gunzip(data, path)
        if data.startswith((_ZIP, _EMPTY_ZIP)):
            return _unzip(data, path)
    except UnreadableCandidates:
        raise
    except _DAMAGE as error:
        why = " ".join(str(error).split())
        message = f"{path}: cannot be unpacked ({why}); it may be cut off: copy or export it again"
        raise UnreadableCandidates(message) from error
    return data


def _gunzip(data: bytes, path: Path) -> bytes:
    chunks, size = [], 0
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
        while chunk := packed.read(_CHUNK):
            chunks.append(chunk)
            size += len(chunk)
            # The size that a gzip states wraps round at 4 GiB, so it is counted here.
            if size > _LIMIT:
                _fail(path, "larger than 4 GiB when unpacked")
    return b"".join(chunks)


def _unzip(data: bytes, path: Path) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        fit = [member for member in members if _may_hold_candidates(PurePosixPath(member.filename))]
        if len(fit) != 1:
            listed = ", ".join(repr(member.filename) for member in members[:10]) or "nothing"
            if len(members) > 10:
                listed += f" and {len(members) - 10} more"
            _fail(path, f"must hold exactly one .geojson, .json, .csv or .tsv; it holds {listed}")
        if fit[0].file_size > _LIMIT:
            _fail(path, f"its {fit[0].filename!r} is larger than 4 GiB")
        return archive.read(fit[0])


def _may_hold_candidates(name: PurePosixPath) -> bool:
    # macOS puts a second, hidden member "__MACOSX/._name" beside each file that it packs.
    return name.suffix.lower() in _SUFFIXES and not name.name.startswith(".")


def _decode(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{path}: not UTF-8 text (byte {error.start + 1}); save it as UTF-8 (in Excel: CSV UTF-8)"
        raise UnreadableCandidates(message) from error


def _fail(path: Path, what: str) -> NoReturn:
    message = f"{path}: {what}"
    raise UnreadableCandidates(message)
