"""Every output path, and how it is written: whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slidemitosis.errors import OutputError
from slidemitosis.interrupts import interrupts_wait

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from slidemitosis.predictions import Prediction

OBJECTS = "objects.geojson"
CANDIDATES = "candidates.csv"
SUMMARY = "summary.json"

COLUMNS = (
    "id",
    "object_id",
    "source",
    "class",
    "x",
    "y",
    "level0_x",
    "level0_y",
    "status",
    "reason",
    "p_atypical",
    "call",
    "padding",
    "upsampled",
    "subtype",
    "p_subtype",
    "p_hard",
)


# What is taken off a slide's name for its folder; of any other name all is kept, dots too.
SLIDE_SUFFIXES = frozenset(
    (".svs", ".tif", ".tiff", ".ndpi", ".vms", ".vmu", ".scn", ".mrxs", ".svslide", ".bif", ".dcm", ".czi")
)


def result_folder(out: Path | None, slide: Path, points: Path) -> Path:
    """Where results go: `out`, or else `default_folder`.

    Raises OutputError for a folder in which they would replace an input, a stranger's file, or results of
    other inputs.
    """
    folder = default_folder(slide, points) if out is None else out
    _check_folder(folder, slide, points)
    return folder


def default_folder(slide: Path, points: Path) -> Path:
    """Where results go unless told otherwise: `<slide name>.slidemitosis` beside the points."""
    return points.parent / f"{slide_stem(slide)}.slidemitosis"


def slide_stem(slide: Path) -> str:
    """A slide's name without the suffix of its format."""
    return slide.stem if slide.suffix.lower() in SLIDE_SUFFIXES else slide.name


def _check_folder(out: Path, slide: Path, points: Path) -> None:
    if not (slide.exists() and points.exists()):
        return  # which is told by whoever reads them
    there = [out / name for name in (OBJECTS, CANDIDATES, SUMMARY) if (out / name).exists()]
    for path in there:
        if any(given.exists() and path.samefile(given) for given in (slide, points)):
            raise OutputError(f"{path}: is an input, and would be replaced; choose another --out")
    if not there:
        return
    try:
        earlier = json.loads((out / SUMMARY).read_text(encoding="utf-8"))
        ours = all(
            _same_input(given, earlier[kind]) for kind, given in (("slide", slide), ("points", points))
        )
        of = f"{Path(earlier['slide']['path']).name} with {Path(earlier['points']['path']).name}"
    except (OSError, ValueError, KeyError, TypeError):
        raise OutputError(
            f"{there[0]}: is there already, and no {SUMMARY} says that it is a result; choose another --out"
        ) from None
    if not ours:
        raise OutputError(
            f"{out}: holds results of other inputs ({of}), which would be replaced; "
            "choose another --out, or remove them"
        )


def _same_input(given: Path, earlier: Mapping[str, Any]) -> bool:
    """Whether a summary speaks of this file: the same place, or moved with its name and its size."""
    before = Path(earlier["path"])
    if before == given.resolve():
        return True
    return before.name == given.name and bool(earlier["bytes"] == given.stat().st_size)


@contextlib.contextmanager
def staged_folder(out: Path) -> Iterator[Path]:
    """A temporary folder whose files become `out`'s when the block ends without an error.

    An interrupted or failed run leaves `out` as it was. `summary.json` goes first and comes last: a
    folder that holds it holds a whole result, even after a kill. Raises OutputError, before the block
    if possible.
    """
    base = out
    try:
        while not base.exists() and base != base.parent:
            base = base.parent
        if not base.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{base} is not a folder")
        stage = Path(tempfile.mkdtemp(prefix=".slidemitosis-", dir=base))
    except OSError as e:
        raise OutputError(f"{out}: cannot be written: {e.strerror}; choose another --out") from e
    published = False
    try:
        yield stage
        try:
            # Once it has begun it is done in a moment, and half of it would be neither result.
            with interrupts_wait():
                _publish(stage, out)
                published = True
        except KeyboardInterrupt as e:
            raise KeyboardInterrupt("the results are written") if published else e from None
        except OSError as e:
            raise OutputError(f"{out}: cannot be written: {e.strerror}; choose another --out") from e
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _publish(stage: Path, out: Path) -> None:
    """Move the staged files into `out`; where one cannot be, put back what was there."""
    out.mkdir(parents=True, exist_ok=True)
    earlier = stage / "earlier"
    earlier.mkdir()
    moves: list[tuple[Path, Path]] = []
    ours = sorted((p for p in stage.iterdir() if p.is_file()), key=lambda p: (p.name == SUMMARY, p.name))
    try:
        for old in (out / new.name for new in reversed(ours)):
            if old.is_dir():
                raise IsADirectoryError(errno.EISDIR, f"{old.name} is a folder there")
            if old.exists():
                _move(old, earlier / old.name, moves)
        for new in ours:
            _move(new, out / new.name, moves)
    except OSError:
        for source, target in reversed(moves):
            target.replace(source)
        raise


def _move(source: Path, target: Path, moves: list[tuple[Path, Path]]) -> None:
    source.replace(target)
    moves.append((source, target))


class _Line:
    """A file for a csv writer, which hands back what is written."""

    def write(self, line: str) -> str:
        return line


def candidates_csv(predictions: Iterable[Prediction], *, upsampled: bool) -> Iterator[str]:
    """The lines of the table: the names of its columns, then each candidate in the points file's order."""
    # Only a carriage return in the terminator makes Python 3.11 quote a cell that holds one.
    writer = csv.writer(_Line(), lineterminator="\r\n")
    for row in _rows(predictions, upsampled=upsampled):
        line: str = writer.writerow(row)
        yield line.replace("\r\n", "\n")


def _rows(predictions: Iterable[Prediction], *, upsampled: bool) -> Iterator[Sequence[str]]:
    yield COLUMNS
    for p in predictions:
        call = {True: "AMF", False: "NMF", None: ""}[p.atypical]
        subtype = p.subtype
        yield (
            p.candidate.id or "",
            p.object_id,
            p.candidate.source,
            p.candidate.class_name or "",
            _number(p.frame_x, 2),
            _number(p.frame_y, 2),
            _number(p.x, 2),
            _number(p.y, 2),
            p.status,
            p.reason or "",
            "" if p.probability is None else f"{p.probability:.6f}",
            call,
            "" if p.padding is None else _number(p.padding, 4),
            str(upsampled).lower(),
            subtype or "",
            "" if subtype is None else f"{p.subtypes[subtype]:.6f}",
            "" if p.p_hard is None else f"{p.p_hard:.6f}",
        )


def _number(value: float, decimals: int) -> str:
    """At most so many decimals, no trailing zeros, no negative zero."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}".rstrip("0").rstrip(".")


def summary_text(summary: Mapping[str, Any]) -> str:
    """JSON with null for what is not known; NaN is a programming error."""
    return json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """UTF-8 with newlines as they are, the same bytes on every system. Raises OutputError."""
    write_parts(path, (text,))


def write_parts(path: Path, parts: Iterable[str | bytes]) -> None:
    """`write_text` of a text that is never in memory as a whole; bytes are UTF-8 already."""
    try:
        with path.open("wb") as file:
            for part in parts:
                file.write(part if isinstance(part, bytes) else part.encode("utf-8", "backslashreplace"))
    except OSError as e:
        raise OutputError(f"{path}: cannot be written: {e.strerror}; choose another --out") from e


def write_whole(path: Path, data: bytes) -> None:
    """Write one file whole or not at all. Raises OutputError."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        try:
            partial.write_bytes(data)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as e:
        raise OutputError(f"{path}: cannot be written: {e.strerror or e}") from e
