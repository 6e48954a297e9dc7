"""Databases of SlideRunner, in which the data sets of mitoses from 2019 to 2021 were published."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from slidemitosis.candidates.formats.polygons import box, ellipse, polygon
from slidemitosis.candidates.images import choose_image
from slidemitosis.candidates.marks import Mark, candidates_of
from slidemitosis.candidates.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from slidemitosis.candidates.candidate import Candidates

LOOKED_FOR = "the tables Slides, Annotations, Annotations_coordinates, Annotations_label and Classes"

_NEEDED = {
    "slides": {"uid", "filename"},
    "annotations": {"uid", "slide", "type", "agreedclass"},
    "annotations_coordinates": {"annoid", "coordinatex", "coordinatey", "orderidx"},
    "annotations_label": {"uid", "annoid", "class"},
    "classes": {"uid", "name"},
}
_SPOT, _AREA, _POLYGON, _SPECIAL_SPOT, _CIRCLE, _WHOLE_IMAGE = range(1, 7)


def fits(tables: Mapping[str, set[str]]) -> bool:
    """Tell whether the tables are those of SlideRunner; columns by table, in lower case."""
    return all(needed <= tables.get(table, set()) for table, needed in _NEEDED.items())


def read_sliderunner(database: sqlite3.Connection, *, path: Path, slide_name: str | None) -> Candidates:
    """Read the annotations of one slide, but those that are deleted; px from the corner of the whole slide.

    The class is the one that SlideRunner calls agreed, None where there is none. The classes that the experts
    gave become a text, `labels`. Raises UnreadableCandidates.
    """
    database.row_factory = sqlite3.Row
    slide = _slide(database, path, slide_name)
    classes: dict[int, str] = dict(map(tuple, database.execute("SELECT uid, name FROM Classes")))
    points: dict[int, list[list[object]]] = defaultdict(list)
    # Early versions gave all points of a polygon the same orderIdx, and wrote them in their order.
    query = """SELECT annoId, coordinateX, coordinateY FROM Annotations_coordinates
        WHERE annoId IN (SELECT uid FROM Annotations WHERE slide = ?) ORDER BY orderIdx, rowid"""
    for uid, x, y in database.execute(query, (slide,)):
        points[uid].append([x, y])
    labels = _labels(database, slide, classes)
    marks = []
    for row in database.execute("SELECT * FROM Annotations WHERE slide = ? ORDER BY uid", (slide,)):
        if _optional(row, "deleted") or row["type"] == _WHOLE_IMAGE:
            continue
        source = f"annotation {row['uid']}"
        stated = {"labels": labels.get(row["uid"]), "description": _optional(row, "description")}
        marks.append(
            Mark(
                source=source,
                id=str(_optional(row, "guid") or row["uid"]),
                class_name=classes.get(row["agreedClass"]),
                stated=stated,
                **_place(row["type"], points[row["uid"]], f"{path}: {source}"),
            )
        )
    return candidates_of(marks, path=path, format="sliderunner", frame="level0")


def _slide(database: sqlite3.Connection, path: Path, slide_name: str | None) -> int | None:
    """Return the uid of the slide that is meant; None if the database holds none."""
    names = {
        uid: str(name) for uid, name in database.execute("SELECT uid, filename FROM Slides ORDER BY uid")
    }
    counts = Counter(dict.fromkeys(names.values(), 0))
    for row in database.execute("SELECT * FROM Annotations"):
        if row["slide"] in names and not _optional(row, "deleted"):
            counts[names[row["slide"]]] += 1
    chosen = choose_image(counts, path=path, slide_name=slide_name)
    if list(names.values()).count(chosen or "") > 1:
        # The same file from two folders, say: neither has all of the annotations.
        raise refusal(path, f"it holds the slide {chosen!r} twice; remove one of them in SlideRunner")
    return next((uid for uid, name in names.items() if name == chosen), None)


def _labels(database: sqlite3.Connection, slide: int | None, classes: Mapping[int, str]) -> dict[int, str]:
    """Return, by annotation, the classes that the experts gave, in order: "Mitotic figure; Non-mitotic"."""
    query = """SELECT annoId, class FROM Annotations_label
        WHERE annoId IN (SELECT uid FROM Annotations WHERE slide = ?) ORDER BY uid"""
    given: dict[int, list[str]] = defaultdict(list)
    for uid, class_uid in database.execute(query, (slide,)):
        given[uid].append(str(classes.get(class_uid, class_uid)))
    return {uid: "; ".join(names) for uid, names in given.items()}


def _optional(row: sqlite3.Row, column: str) -> Any:
    """Return the value of a column, None in older databases, which lack it."""
    return row[column] if column in row.keys() else None  # noqa: SIM118, a Row iterates over its values


def _place(kind: object, points: Sequence[Any], where: str) -> dict[str, Any]:
    """Return the centre of a spot, or the outline of anything larger, as arguments of a Mark."""
    needed = {_SPOT: 1, _SPECIAL_SPOT: 1, _AREA: 2, _CIRCLE: 2, _POLYGON: 3}
    if kind not in needed:
        raise refusal(where, f"of the type {kind!r}, which is none of SlideRunner's")
    if len(points) < needed[kind]:
        raise refusal(where, f"{len(points)} points, where its type {kind} needs {needed[kind]}")
    if not all(isinstance(value, int | float) for point in points for value in point):
        raise refusal(where, "a coordinate is no number")
    if kind in {_SPOT, _SPECIAL_SPOT}:
        x, y = points[0]
        return {"centre": (float(x), float(y))}
    if kind == _POLYGON:
        return {"outline": polygon(list(points))}
    (x1, y1), (x2, y2) = points[:2]
    return {"outline": box(x1, y1, x2, y2) if kind == _AREA else ellipse(x1, y1, x2, y2)}
