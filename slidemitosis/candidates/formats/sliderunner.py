"""Databases of SlideRunner, in which the data sets of mitoses from 2019 to 2021 were published."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from slidemitosis.candidates.formats.polygons import box, ellipse, polygon
from slidemitosis.candidates.images import choose_image
from slidemitosis.candidates.marks import Mark, candidates_of
from slidemitosis.candidates.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from slidemitosis.candidates.candidate import Candidates
    from slidemitosis.candidates.formats.databases import Database

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


def read_sliderunner(database: Database, columns: Collection[str], *, slide_name: str | None) -> Candidates:
    """Read the annotations of one slide, but those that are deleted; px from the corner of the whole slide.

    columns: of the table of annotations, in lower case; older databases lack some. The class is the one that
    SlideRunner calls agreed, None where there is none. The classes that the experts gave become a text,
    `labels`. Raises UnreadableCandidates.
    """
    path = database.path
    slide = _slide(database, columns, slide_name)
    classes: dict[int, str | None] = dict(_rows(database, "SELECT uid, name FROM Classes"))
    points: dict[int, list[list[object]]] = defaultdict(list)
    # Early versions gave all points of a polygon the same orderIdx, and wrote them in their order.
    query = """SELECT annoId, coordinateX, coordinateY FROM Annotations_coordinates
        WHERE annoId IN (SELECT uid FROM Annotations WHERE slide = ?) ORDER BY orderIdx, rowid"""
    for uid, x, y in _rows(database, query, slide):
        points[uid].append([x, y])
    labels = _labels(database, slide, classes)
    marks = []
    listed = ", ".join(_or_null(name, columns) for name in ("guid", "deleted", "description"))
    query = f"SELECT uid, type, agreedClass, {listed} FROM Annotations WHERE slide = ? ORDER BY uid"  # noqa: S608
    for uid, kind, agreed, guid, deleted, description in _rows(database, query, slide):
        if deleted or kind == _WHOLE_IMAGE:
            continue
        source = f"annotation {uid}"
        class_name = classes.get(agreed)
        marks.append(
            Mark(
                source=source,
                id=str(guid or uid),
                class_name=None if class_name is None else str(class_name),
                stated={"labels": labels.get(uid), "description": description},
                **_place(kind, points[uid], f"{path}: {source}"),
            )
        )
    return candidates_of(marks, path=path, format="sliderunner", frame="level0")


def _rows(database: Database, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query, all numbers and texts, as SlideRunner writes them."""
    for row in database.rows(query, *values):
        if any(isinstance(value, bytes) for value in row):
            raise refusal(database.path, f"binary data where SlideRunner writes text ({row[0]!r:.40})")
        yield row


def _or_null(column: str, columns: Collection[str]) -> str:
    """Return what to select for a column that may not be there; each is one of three names of our own."""
    return column if column in columns else "NULL"


def _slide(database: Database, columns: Collection[str], slide_name: str | None) -> int | None:
    """Return the uid of the slide that is meant; None if the database holds none."""
    path = database.path
    names = {uid: str(name) for uid, name in _rows(database, "SELECT uid, filename FROM Slides ORDER BY uid")}
    counts = Counter(dict.fromkeys(names.values(), 0))
    query = f"SELECT slide, {_or_null('deleted', columns)} FROM Annotations"  # noqa: S608
    for slide, deleted in _rows(database, query):
        if slide in names and not deleted:
            counts[names[slide]] += 1
    chosen = choose_image(counts, path=path, slide_name=slide_name)
    if list(names.values()).count(chosen or "") > 1:
        # The same file from two folders, say: neither has all of the annotations.
        raise refusal(path, f"it holds the slide {chosen!r} twice; remove one of them in SlideRunner")
    return next((uid for uid, name in names.items() if name == chosen), None)


def _labels(database: Database, slide: int | None, classes: Mapping[int, str | None]) -> dict[int, str]:
    """Return, by annotation, the classes that the experts gave, in order: "Mitotic figure; Non-mitotic"."""
    query = """SELECT annoId, class FROM Annotations_label
        WHERE annoId IN (SELECT uid FROM Annotations WHERE slide = ?) ORDER BY uid"""
    given: dict[int, list[str]] = defaultdict(list)
    for uid, class_uid in _rows(database, query, slide):
        given[uid].append(str(classes.get(class_uid, class_uid)))
    return {uid: "; ".join(names) for uid, names in given.items()}


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
