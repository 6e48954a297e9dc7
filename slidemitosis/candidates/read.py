"""Files of candidates opened, unpacked, decoded, and given to the reader of JSON, tables, XML or SQLite."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import lzma
import re
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, get_args

from slidemitosis.candidates.formats.databases import MAGIC
from slidemitosis.candidates.formats.foreign import foreign_kind
from slidemitosis.candidates.formats.recognise import (
    Request,
    read_database,
    read_json,
    read_table,
    read_xml,
)
from slidemitosis.candidates.refusal import refusal
from slidemitosis.errors import InvalidOption, UnreadableCandidates
from slidemitosis.files import regular
from slidemitosis.options.read import FORMATS, Unit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from io import BufferedIOBase
    from typing import IO

    from slidemitosis.candidates.candidate import Candidates
    from slidemitosis.options.read import Format

_GZIP, _ZIP, _EMPTY_ZIP = b"\x1f\x8b", b"PK\x03\x04", b"PK\x05\x06"
_ZIP_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""Those that Python unpacks in pieces; the others it unpacks as a whole, however large that is."""
_SUFFIXES = {".json", ".geojson", ".csv", ".tsv", ".xml"}
_LIMIT = 4 << 30  # bytes, far beyond any slide's export: a packed file should not exhaust the memory
_CHUNK = 16 << 20  # bytes
_MOST_PACKED = 500
"""How many times smaller packed text of candidates may be: twenty times is usual, a thousand possible."""
_INK = re.compile(rb"\S")
_WHY_UNREAD: Mapping[type[Exception], str] = {
    FileNotFoundError: "no such file",
    IsADirectoryError: "a folder; name the file of candidates in it",
    PermissionError: "no permission to read it",
}
# What the standard library raises for a packed file that is damaged, cut off, or (RuntimeError) locked by
# a password or packed in a way that it does not know.
_DAMAGE = (
    *(OSError, EOFError, ValueError, LookupError, RuntimeError),
    *(struct.error, zlib.error, lzma.LZMAError, zipfile.BadZipFile),
)


def read_candidates(
    path: Path | str,
    *,
    unit: Unit | None = None,
    format: Format | None = None,
    slide_name: str | None = None,
) -> Candidates:
    """Read the candidates in a file of any format of docs/candidates.md; text may be packed as gzip or zip.

    The format is told by the content of the file, never by its name, unless `format` states it. `unit` is
    that of columns x and y of a table whose names state none, or "px" for points of Grand Challenge that are
    not in mm; every other format has a unit of its own. `slide_name` is the slide's file name, which tells
    whose objects are meant in a file of several images. Raises `UnreadableCandidates`, or `InvalidOption` for
    a unit or a format that there is not, or that contradicts the file.
    """
    path = Path(path)
    if unit is not None and unit not in get_args(Unit):
        raise InvalidOption(f"the unit of candidates is px or um, not {unit!r}")
    if format is not None and format not in FORMATS:
        raise InvalidOption(f"the format of candidates is one of {', '.join(FORMATS)}, not {format!r}")
    request = Request(path=path, unit=unit, format=format, slide_name=slide_name)
    if _is_database(path):
        return read_database(request)
    data = _read(path)
    if (kind := foreign_kind(data)) is not None:
        raise refusal(path, kind)
    data = _unpack(data, path)
    if data.startswith(MAGIC):
        raise refusal(path, "holds a packed SQLite database; unpack it first")
    if _is_xml(data):
        return read_xml(data, request)
    data = _utf8(data, path)
    start = _INK.search(data)
    if not start:
        raise refusal(path, "the file is empty")
    if start[0] in {b"{", b"["}:
        return read_json(data, request)
    return read_table(data.decode(), request)


def _is_database(path: Path) -> bool:
    """Tell whether a file begins as SQLite files do, which may be large and are not read whole."""
    try:
        if not path.is_file():  # a pipe can be read once only
            return False
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):  # said when the file is read
        return False


def _is_xml(data: bytes) -> bool:
    """Tell whether data begin with a tag, in UTF-8, or in UTF-16 with a byte-order mark."""
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    return start.startswith((b"<", b"\xff\xfe<\0", b"\xfe\xff\0<"))


def _read(path: Path) -> bytes:
    try:
        return regular(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        other = f"cannot be read ({getattr(error, 'strerror', None) or error})"
        raise refusal(path, _WHY_UNREAD.get(type(error), other)) from error


def _unpack(data: bytes, path: Path) -> bytes:
    """Return the data, or what a gzip or zip of them holds; nothing is written to disk."""
    try:
        if data.startswith(_GZIP):
            return _gunzip(data, path)
        if data.startswith((_ZIP, _EMPTY_ZIP)):
            return _unzip(data, path)
    except UnreadableCandidates:
        raise
    except _DAMAGE as error:
        why = " ".join(str(error).split())
        raise refusal(
            path, f"cannot be unpacked ({why}); it may be cut off: copy or export it again"
        ) from error
    return data


def _gunzip(data: bytes, path: Path) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
        return _in_pieces(packed, len(data), path)


def _unzip(data: bytes, path: Path) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        fit = [member for member in members if _may_hold_candidates(PurePosixPath(member.filename))]
        if len(fit) != 1:
            listed = ", ".join(repr(member.filename) for member in members[:10]) or "nothing"
            if len(members) > 10:
                listed += f" and {len(members) - 10} more"
            raise refusal(
                path, f"must hold exactly one .geojson, .json, .csv, .tsv or .xml; it holds {listed}"
            )
        if fit[0].compress_type not in _ZIP_METHODS:
            raise refusal(path, "a zip packed by bzip2, LZMA or the like; pack it as a plain zip (deflate)")
        with archive.open(fit[0]) as packed:
            return _in_pieces(packed, len(data), path)


def _in_pieces(packed: BufferedIOBase | IO[bytes], size: int, path: Path) -> bytes:
    """Unpack a file of `size` bytes, and stop where it grows too large: the size that it states may be wrong.

    That of a gzip wraps round at 4 GiB, that of a zip is whatever its maker has written.
    """
    chunks, unpacked = [], 0
    while chunk := packed.read(_CHUNK):
        chunks.append(chunk)
        unpacked += len(chunk)
        _check_unpacked(unpacked, size, path)
    return b"".join(chunks)


def _check_unpacked(size: int, packed: int, path: Path) -> None:
    if size > _LIMIT:
        raise refusal(path, "larger than 4 GiB when unpacked")
    if size > _CHUNK and size > _MOST_PACKED * packed:
        raise refusal(path, f"more than {_MOST_PACKED} times larger when unpacked, which no candidates are")


def _may_hold_candidates(name: PurePosixPath) -> bool:
    # macOS puts a second, hidden member "__MACOSX/._name" beside each file that it packs.
    return name.suffix.lower() in _SUFFIXES and not name.name.startswith(".")


def _utf8(data: bytes, path: Path) -> bytes:
    """Return the data as UTF-8 without a byte-order mark; anything that cannot be decoded is refused.

    They stay bytes: text of more than Latin letters takes two or four times the memory.
    """
    if data.isascii():
        return data
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # as Windows redirects output to a file
        with contextlib.suppress(UnicodeDecodeError):
            return data.decode("utf-16").encode()
    data = data.removeprefix(codecs.BOM_UTF8)
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(data), _CHUNK):
        chunk = data[start : start + _CHUNK]
        end = start + len(chunk)
        try:
            decoder.decode(chunk, final=end == len(data))
        except UnicodeDecodeError as error:
            # QuPath wrote tables in the encoding of the system, in which their micro sign is one byte.
            header = data.lstrip().splitlines()[0]
            if b"entroid X \xb5m" in header:
                with contextlib.suppress(UnicodeDecodeError):
                    return data.decode("cp1252").encode()
            byte = end - len(error.object) + error.start + 1
            raise refusal(
                path, f"not UTF-8 text (byte {byte}); save it as UTF-8 (in Excel: CSV UTF-8)"
            ) from error
    return data
