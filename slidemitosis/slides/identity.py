"""What counts as the same slide: one rule for cohorts, results in one folder, and results of a project.

The scripts for QuPath know it too, for slides that are one file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slidemitosis.files import regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_SAMPLES, _SAMPLES_OF_OTHERS, _SAMPLE_BYTES = 64, 4, 65536
_BESIDE = {".dcm": (".dcm",), ".vms": (".jpg", ".opt"), ".vmu": (".jpg", ".ngr", ".opt")}
"""Suffix of a slide -> those of its other files, in the same folder."""


def slide_identity(path: Path) -> dict[str, Any]:
    """Return what a slide's file is recognised by: `bytes`, `modified_ms`, `others` and `content_sha256`.

    modified_ms: time of the file since 1970, ms. others: of the further files that a slide may be made of, a
    SHA-256 of names, sizes and times; None where there are none. content_sha256: of 64 samples of the file,
    from its first to its last byte, and of four of each other; of small files all bytes. Raises
    OSError.
    """
    return {**_by_time(path), "content_sha256": content_sha256(path)}


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it was when a run began to read it."""

    path: Path
    identity: Mapping[str, Any]
    """`slide_identity`."""
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> Seen:
        """Look at a file. Raises OSError."""
        before = path.stat().st_mtime_ns
        return cls(path, slide_identity(path), before)

    def change(self) -> str | None:
        """Say what has become of the file since then; None if it is the same.

        It is opened, since a network's folder may tell of an old size and time until then.
        """
        try:
            now = Seen.of(self.path)
        except OSError as e:
            return "is gone" if isinstance(e, FileNotFoundError) else f"cannot be read: {e.strerror or e}"
        if now.identity["bytes"] != self.identity["bytes"]:
            return f"has {now.identity['bytes']} bytes now, and had {self.identity['bytes']}"
        if now.identity["content_sha256"] != self.identity["content_sha256"]:
            return "has another content now"
        # What lies between the samples of the content is known by the time alone.
        return None if now == self else "was written to"


def _by_time(path: Path) -> dict[str, Any]:
    stat = path.stat()
    listed = [(p.name, p.stat()) for p in _other_files(path)]
    others = _digest(f"{name}\n{of.st_size}\n{_ms(of.st_mtime_ns)}\n" for name, of in listed)
    return {"bytes": stat.st_size, "modified_ms": _ms(stat.st_mtime_ns), "others": others}


def content_sha256(path: Path) -> str:
    """Return a SHA-256 that copies of a slide share, without reading the gigabytes of one."""
    digest = hashlib.sha256()
    for data in _samples(path, _SAMPLES):
        digest.update(data)
    for other in _other_files(path):
        digest.update(f"{other.name}\n{other.stat().st_size}\n".encode("utf-8", "surrogateescape"))
        for data in _samples(other, _SAMPLES_OF_OTHERS):
            digest.update(data)
    return digest.hexdigest()


def _samples(path: Path, number: int) -> Iterator[bytes]:
    """Yield samples of a file from its first to its last byte; of a small one all bytes."""
    size = path.stat().st_size
    with regular(path).open("rb") as file:
        if size <= number * _SAMPLE_BYTES:
            yield file.read()
            return
        for i in range(number):
            file.seek((size - _SAMPLE_BYTES) * i // (number - 1))
            yield file.read(_SAMPLE_BYTES)


def same_slide(earlier: Mapping[str, Any], path: Path, *, whole: bool) -> bool:
    """Whether a file holds the slide that was recorded.

    Of the same size and time, it does, and nothing is opened. Of the same size and another time, as a copy,
    it does if the content is the same, and every figure could be read. OpenSlide's quickhash does not tell:
    it covers the smallest level and the metadata, which a damaged slide and its repair share.

    earlier: `slide_identity`. whole: whether no figure was unreadable or blank. Otherwise the file may have
    been cut off or still been copied, in parts that the samples of its content do not cover.
    """
    now = _by_time(path)
    if now["bytes"] != earlier.get("bytes"):
        return False
    if all(now[key] == earlier.get(key) for key in ("modified_ms", "others")):
        return True
    return whole and earlier.get("content_sha256") == content_sha256(path)


def _other_files(path: Path) -> list[Path]:
    """What a slide's pixels lie in beside its own file: MIRAX, DICOM, Hamamatsu VMS and VMU."""
    suffix = path.suffix.lower()
    if suffix == ".mrxs":
        folder, wanted = path.with_suffix(""), None
    else:
        # Other things may lie in the folder, and be written to at any time.
        folder, wanted = path.parent, _BESIDE.get(suffix, ())
    if wanted == () or not folder.is_dir():
        return []
    files = (p for p in folder.iterdir() if wanted is None or p.suffix.lower() in wanted)
    return sorted(p for p in files if p.is_file() and p != path)


def _digest(lines: Iterable[str]) -> str | None:
    text = "".join(lines)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest() if text else None


def _ms(nanoseconds: int) -> int:
    return nanoseconds // 1_000_000
