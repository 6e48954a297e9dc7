"""SQLite files of SlideRunner and TIAToolbox, made as these make them."""

from __future__ import annotations

import gzip
import json
import sqlite3
import struct
import zlib
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import shapely

from slidemitosis.candidates import read_candidates
from slidemitosis.candidates.formats import databases
from slidemitosis.errors import InvalidOption, UnreadableCandidates
from tests.candidates.checks import feature_of, refused

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.candidates import Candidates

SLIDERUNNER = """
CREATE TABLE Slides (uid INTEGER PRIMARY KEY AUTOINCREMENT, filename TEXT, width INTEGER, height INTEGER,
    directory TEXT, uuid TEXT);
CREATE TABLE Annotations (uid INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT, deleted INTEGER DEFAULT 0,
    slide INTEGER, type INTEGER, agreedClass INTEGER, lastModified REAL, description TEXT);
CREATE TABLE Annotations_coordinates (uid INTEGER PRIMARY KEY AUTOINCREMENT, coordinateX INTEGER,
    coordinateY INTEGER, coordinateZ INTEGER DEFAULT 0, slide INTEGER, annoId INTEGER, orderIdx INTEGER);
CREATE TABLE Persons (uid INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
CREATE TABLE Classes (uid INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, color TEXT);
CREATE TABLE Annotations_label (uid INTEGER PRIMARY KEY AUTOINCREMENT, exact_id INTEGER, person INTEGER,
    class INTEGER, annoId INTEGER);
INSERT INTO Slides (filename) VALUES ('a.svs'), ('b.svs');
INSERT INTO Classes (name) VALUES ('Mitotic figure'), ('Non-mitotic cell');
"""
# Before its first version had a number, a database had neither a guid nor a way to delete.
OLD_SLIDERUNNER = SLIDERUNNER.replace(" guid TEXT, deleted INTEGER DEFAULT 0,", "").replace(
    ", lastModified REAL, description TEXT", ""
)
TIATOOLBOX = """
CREATE TABLE metadata (key TEXT UNIQUE, value TEXT);
INSERT INTO metadata VALUES ('version', '"1.0.1"'), ('compression', '"zlib"'), ('compression_level', '9');
CREATE VIRTUAL TABLE rtree USING rtree(id, min_x, max_x, min_y, max_y);
CREATE TABLE annotations(id INTEGER PRIMARY KEY, key TEXT UNIQUE, objtype TEXT, cx FLOAT NOT NULL,
    cy FLOAT NOT NULL, geometry BLOB, properties TEXT, area FLOAT NOT NULL);
"""


def make(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(script)
        database.commit()
    return path


def change(path: Path, *queries: str, values: tuple[object, ...] = ()) -> None:
    with closing(sqlite3.connect(path)) as database:
        for query in queries:
            database.execute(query, values)
        database.commit()


def insert(path: Path, table: str, **columns: object) -> int | None:
    """Insert a row, and return its number."""
    names, marks = ", ".join(columns), ", ".join("?" for _ in columns)
    with closing(sqlite3.connect(path)) as database:
        row = database.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(columns.values()))
        database.commit()
    return row.lastrowid


def annotate(
    path: Path,
    kind: int,
    *points: tuple[float, float],
    slide: int = 1,
    agreed: int = 1,
    labels: tuple[int, ...] = (),
    **columns: object,
) -> None:
    """Insert an annotation; its points are stored in the wrong order, as an editor leaves them."""
    uid = insert(path, "Annotations", slide=slide, type=kind, agreedClass=agreed, **columns)
    for order, (x, y) in reversed(list(enumerate(points, start=1))):
        place = {"coordinateX": x, "coordinateY": y, "slide": slide, "annoId": uid, "orderIdx": order}
        insert(path, "Annotations_coordinates", **place)
    for person, label in enumerate(labels, start=1):
        insert(path, "Annotations_label", person=person, **{"class": label}, annoId=uid)


@pytest.fixture
def sliderunner(tmp_path: Path) -> Path:
    return make(tmp_path / "mitoses.sqlite", SLIDERUNNER)


def test_spots_of_one_slide_are_read_with_the_class_agreed_and_all_labels(sliderunner: Path) -> None:
    annotate(sliderunner, 1, (100, 200), guid="g1", labels=(1, 2, 1), description="blurred")
    annotate(sliderunner, 4, (300, 400), agreed=2)
    annotate(sliderunner, 1, (5, 6), slide=2)
    found = read_candidates(sliderunner, slide_name="a.svs")
    assert (found.format, found.unit, found.frame) == ("sliderunner", "px", "level0")
    assert [(c.id, c.x, c.y, c.class_name) for c in found] == [
        ("g1", 100, 200, "Mitotic figure"),
        ("2", 300, 400, "Non-mitotic cell"),
    ]
    assert found.items[0].feature == {
        "type": "Feature",
        "properties": {
            "objectType": "detection",
            "metadata": {
                "labels": "Mitotic figure; Non-mitotic cell; Mitotic figure",
                "description": "blurred",
            },
        },
    }
    assert [c.x for c in read_candidates(sliderunner, slide_name="b.tiff")] == [5]
    with pytest.raises(UnreadableCandidates, match=r"2 images, 'a\.svs' \(2\), 'b\.svs' \(1\); say which"):
        read_candidates(sliderunner)


def test_outlines_keep_the_order_of_their_points(sliderunner: Path) -> None:
    annotate(sliderunner, 3, (0, 0), (10, 0), (10, 10), (0, 10))
    annotate(sliderunner, 2, (20, 20), (60, 40))
    annotate(sliderunner, 5, (100, 100), (150, 150))
    square, area, circle = read_candidates(sliderunner, slide_name="a.svs")
    assert (square.x, square.y, square.extent) == (5, 5, 10)
    assert (area.x, area.y, area.extent) == (40, 30, 40)
    assert (round(circle.x, 9), round(circle.y, 9), circle.extent) == (125, 125, 50)
    assert feature_of(square)["geometry"]["coordinates"] == [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]]


def test_what_was_deleted_and_labels_of_whole_images_are_left_out(sliderunner: Path) -> None:
    annotate(sliderunner, 1, (1, 2), deleted=1)
    annotate(sliderunner, 6)
    annotate(sliderunner, 1, (3, 4), deleted=None)
    assert [c.x for c in read_candidates(sliderunner, slide_name="a.svs")] == [3]


def test_experts_who_do_not_agree_leave_no_class(sliderunner: Path) -> None:
    annotate(sliderunner, 1, (1, 2), agreed=0, labels=(1, 2))
    assert [c.class_name for c in read_candidates(sliderunner, slide_name="a.svs")] == [None]


def test_an_old_database_without_guid_and_deleted_is_read(tmp_path: Path) -> None:
    path = make(tmp_path / "old.sqlite", OLD_SLIDERUNNER)
    annotate(path, 1, (1, 2))
    assert [(c.id, c.x) for c in read_candidates(path, slide_name="a.svs")] == [("1", 1)]


@pytest.mark.parametrize(
    ("kind", "points", "expected"),
    [
        (1, (), "annotation 1: 0 points, where its type 1 needs 1"),
        (3, ((1, 2), (3, 4)), "2 points, where its type 3 needs 3"),
        (9, ((1, 2),), "of the type 9, which is none of SlideRunner's"),
        (1, (("left", 2),), "a coordinate is no number"),
    ],
)
def test_a_broken_annotation_is_refused_by_its_number(
    sliderunner: Path, kind: int, points: tuple[Any, ...], expected: str
) -> None:
    annotate(sliderunner, kind, *points)
    assert expected in refusal(sliderunner)


def test_a_slide_that_stands_twice_is_refused_and_no_other(tmp_path: Path) -> None:
    path = make(tmp_path / "twice.sqlite", SLIDERUNNER.replace("('b.svs')", "('b.svs'), ('a.svs')"))
    annotate(path, 1, (5, 6), slide=2)
    assert "it holds the slide 'a.svs' twice" in refusal(path)
    assert [c.x for c in read_candidates(path, slide_name="b.svs")] == [5]


def test_points_of_one_order_keep_the_one_they_were_written_in(sliderunner: Path) -> None:
    """Early versions of SlideRunner gave each vertex of a polygon the order 1."""
    crossing = [(0, 0), (10, 0), (0, 10), (10, 10)]
    annotate(sliderunner, 3, *reversed(crossing))  # which writes them the other way round
    # An index that brings them up otherwise sorted.
    index = "CREATE INDEX sorted ON Annotations_coordinates (orderIdx, coordinateX DESC)"
    change(sliderunner, "UPDATE Annotations_coordinates SET orderIdx = 1", index)
    (one,) = read_candidates(sliderunner, slide_name="a.svs")
    assert feature_of(one)["geometry"]["coordinates"][0][:-1] == [list(point) for point in crossing]


def test_reading_a_database_changes_nothing_in_or_beside_it(sliderunner: Path) -> None:
    annotate(sliderunner, 1, (1, 2))
    before = sliderunner.read_bytes()
    sliderunner.chmod(0o444)
    read_candidates(sliderunner, slide_name="a.svs")
    assert sliderunner.read_bytes() == before
    assert [p.name for p in sliderunner.parent.iterdir()] == [sliderunner.name]


@pytest.mark.parametrize(
    "logged", ["", "INSERT INTO annotations VALUES (2, 'b', 'Point', 7, 8, NULL, '{}', 0)"]
)
def test_a_database_with_a_write_ahead_log_is_read_with_it_and_none_is_left(
    tmp_path: Path, logged: str
) -> None:
    path = store(tmp_path / "nuclei.db", (shapely.Point(1, 2), {}))
    change(path, "PRAGMA journal_mode = WAL")
    before = path.read_bytes()
    assert ids(read_candidates(path)) == ["key 1"]
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    with closing(sqlite3.connect(path)) as database:  # open elsewhere, and not yet all in the file
        database.execute(logged)
        database.commit()
        assert ids(read_candidates(path)) == (["key 1", "b"] if logged else ["key 1"])


def store(path: Path, *annotations: tuple[shapely.Geometry, dict[str, Any]], packed: bool = True) -> Path:
    make(path, TIATOOLBOX)
    for number, (geometry, properties) in enumerate(annotations, start=1):
        wkb, centre = shapely.to_wkb(geometry), geometry.centroid
        blob = None if geometry.geom_type == "Point" else zlib.compress(wkb, 9) if packed else wkb
        row = f"key {number}", geometry.geom_type, centre.x, centre.y, blob, json.dumps(properties)
        query = "INSERT INTO annotations VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)"
        change(path, query, values=(*row, geometry.area))
    return path


@pytest.mark.parametrize("packed", [True, False])
def test_annotations_of_a_store_are_read_packed_or_not(tmp_path: Path, packed: bool) -> None:
    path = store(
        tmp_path / "nuclei.db",
        (shapely.Point(10.5, 20.25), {"type": "mitosis", "probability": 0.75}),
        (shapely.box(100, 100, 140, 120), {"type": 2, "prob": 0.5, "centroid": [1, 2], "note": "x"}),
        (shapely.Point(1, 2), {}),
        packed=packed,
    )
    found = read_candidates(path)
    assert (found.format, found.unit, found.frame) == ("tiatoolbox", "px", "level0")
    assert [(c.id, c.x, c.y, c.class_name, c.extent) for c in found] == [
        ("key 1", 10.5, 20.25, "mitosis", 0),
        ("key 2", 120, 110, "2", 40),
        ("key 3", 1, 2, None, 0),
    ]
    point, nucleus, bare = found
    assert point.feature == {
        "type": "Feature",
        "properties": {"objectType": "detection", "measurements": {"probability": 0.75}},
    }
    assert feature_of(nucleus)["geometry"]["type"] == "Polygon"
    assert feature_of(nucleus)["properties"] == {
        "objectType": "detection",
        "measurements": {"prob": 0.5},
        "metadata": {"note": "x"},
    }
    assert bare.feature is None


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("geometry", b"x\x9cnonsense", "annotation 1: its geometry is no well-known binary"),
        ("geometry", b"\x01\x03\x00", "its geometry is no well-known binary"),
        ("geometry", zlib.compress(b"\x01" * 1000)[:-8], "its geometry is cut off"),
        ("geometry", "POINT (1 2)", "not well-known binary"),
        ("geometry", zlib.compress(shapely.to_wkb(shapely.GeometryCollection())), "has the type"),
        ("properties", "{'type': 1}", "its properties are no JSON"),
        ("properties", "[1]", "not a JSON object"),
        ("cx", "left", "is not a finite number"),
    ],
)
def test_a_broken_row_of_a_store_is_refused_by_its_number(
    tmp_path: Path, column: str, value: object, expected: str
) -> None:
    path = store(tmp_path / "nuclei.db", (shapely.Point(1, 2), {}))
    change(path, f"UPDATE annotations SET {column} = ?", values=(value,))
    assert expected in refusal(path)


def test_an_outline_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    path = store(tmp_path / "bomb.db", (shapely.Point(1, 2), {}))
    change(path, "UPDATE annotations SET geometry = ?", values=(zlib.compress(bytes(65 << 20)),))
    assert "larger than 64 MiB" in refusal(path)


def test_collections_in_one_another_are_refused_before_they_end_the_process(tmp_path: Path) -> None:
    """GEOS calls itself for each level, and the process died of 100,000."""
    point = shapely.to_wkb(shapely.Point(1, 2))
    for kind in range(4, 16):
        for order in "<>":
            shell = struct.pack(f"{order}BII", order == "<", kind, 2) + point
            nested = shell * 100_000 + point
            path = store(tmp_path / f"nested {kind}{order == '<'}.db", (shapely.Point(1, 2), {}))
            change(path, "UPDATE annotations SET geometry = ?", values=(nested,))
            assert "has the type of a collection" in refusal(path)


SHAPES = [
    shapely.LineString([(0, 0), (4, 0)]),
    shapely.Polygon([(0, 0), (9, 0), (9, 9)], [[(5, 1), (6, 1), (6, 2)]]),
    shapely.MultiPoint([(1, 1), (3, 3)]),
    shapely.MultiLineString([[(0, 0), (4, 0)], [(0, 2), (4, 2)]]),
    shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(4, 4, 5, 5)]),
]


@pytest.mark.parametrize("flavor", ["extended", "iso"])
@pytest.mark.parametrize("is_flat", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_kind_of_well_known_binary_is_read(
    tmp_path: Path, shape: shapely.Geometry, flavor: Any, is_flat: bool
) -> None:
    """In both byte orders, with z and without, as PostGIS and as ISO write it."""
    path = store(tmp_path / "nuclei.db", (shapely.box(0, 0, 1, 1), {}))
    solid = shape if is_flat else shapely.force_3d(shape, 7)
    for order in (0, 1):
        wkb = shapely.to_wkb(solid, byte_order=order, flavor=flavor)
        change(path, "UPDATE annotations SET geometry = ?", values=(wkb,))
        assert len(read_candidates(path)) == (2 if isinstance(shape, shapely.MultiPoint) else 1)


def test_a_database_of_neither_is_refused_with_its_tables(tmp_path: Path) -> None:
    path = make(tmp_path / "other.db", "CREATE TABLE cells (x, y); CREATE TABLE slides (uid, filename);")
    message = refused(path, read_candidates, path)
    assert message.startswith(f"{path}: an SQLite database with cells, slides; looked for ")
    assert "(SlideRunner)" in message
    assert "(TIAToolbox)" in message


def test_the_other_database_than_the_one_given_is_refused(sliderunner: Path, tmp_path: Path) -> None:
    with pytest.raises(UnreadableCandidates, match="looked for"):
        read_candidates(sliderunner, format="tiatoolbox", slide_name="a.svs")
    with pytest.raises(UnreadableCandidates, match="looked for"):
        read_candidates(store(tmp_path / "nuclei.db"), format="sliderunner")
    with pytest.raises(InvalidOption, match="is an SQLite database, which holds no geojson"):
        read_candidates(sliderunner, format="geojson")


def refusal(path: Path) -> str:
    return refused(path, read_candidates, path, slide_name="a.svs")


@pytest.mark.parametrize(
    "query",
    [
        "UPDATE Classes SET name = x'00ff'",
        "UPDATE Annotations SET guid = x'00ff'",
        "UPDATE Annotations SET agreedClass = x'00ff'",
        "UPDATE Annotations_coordinates SET coordinateX = x'00ff'",
        "UPDATE Slides SET filename = x'00ff'",
    ],
)
def test_binary_data_in_place_of_text_are_refused(sliderunner: Path, query: str) -> None:
    annotate(sliderunner, 1, (1, 2))
    change(sliderunner, query)
    assert "binary data where SlideRunner writes text" in refusal(sliderunner)


def test_a_column_that_is_computed_is_refused_before_it_is(sliderunner: Path) -> None:
    """As text of 200 MB in each row, it would take time and memory without end."""
    endless = "ALTER TABLE Annotations ADD COLUMN note AS (replace(hex(zeroblob(100000000)), '0', 'x'))"
    change(sliderunner, endless)
    assert "its table 'Annotations' computes the column 'note'" in refusal(sliderunner)


def test_rows_out_of_proportion_to_the_file_are_refused(tmp_path: Path) -> None:
    """A text that stands once in the file can be in each of its rows."""
    path = make(tmp_path / "old.sqlite", OLD_SLIDERUNNER)
    with closing(sqlite3.connect(path)) as database:
        rows = [(1, 6)] * 2000
        database.executemany("INSERT INTO Annotations (slide, type) VALUES (?, ?)", rows)
        long = "x" * 100_000
        database.execute(f"ALTER TABLE Annotations ADD COLUMN guid TEXT DEFAULT '{long}'")
        database.commit()
    assert "out of all proportion to its size" in refusal(path)


def test_a_database_that_takes_without_end_is_refused(
    sliderunner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that is the child of several, on several levels, makes rows without end of a small file."""
    for limit, value in (("_FREE_STEPS", 0), ("_STEPS_A_BYTE", 0), ("_STEPS", 1000)):
        monkeypatch.setattr(databases, limit, value)
    with closing(sqlite3.connect(sliderunner)) as database:
        database.executemany("INSERT INTO Annotations (slide, type) VALUES (?, ?)", [(1, 6)] * 30_000)
        database.commit()
    assert "out of all proportion to its size" in refusal(sliderunner)


@pytest.mark.slow
def test_a_database_cut_off_anywhere_is_refused(sliderunner: Path) -> None:
    for number in range(200):
        annotate(sliderunner, 1, (number, number))
    whole = sliderunner.read_bytes()
    cut = sliderunner.with_name("cut.sqlite")
    for length in [*range(16, len(whole), 2000), *range(4096, len(whole), 4096), len(whole) - 1]:
        cut.write_bytes(whole[:length])
        message = refusal(cut)
        assert "cut off" in message
        assert "copy it again" in message


def test_a_packed_database_is_refused_with_what_to_do(sliderunner: Path) -> None:
    packed = sliderunner.with_suffix(".gz")
    packed.write_bytes(gzip.compress(sliderunner.read_bytes()))
    assert "holds a packed SQLite database; unpack it first" in refusal(packed)


def test_a_database_in_um_is_refused(sliderunner: Path) -> None:
    with pytest.raises(InvalidOption, match="SlideRunner's database is in px, yet the unit given is um"):
        read_candidates(sliderunner, unit="um", slide_name="a.svs")


def ids(candidates: Candidates) -> list[str | None]:
    return [c.id for c in candidates]


def test_a_path_with_the_signs_of_a_uri_is_a_path(tmp_path: Path) -> None:
    folder = tmp_path / "50% of #1?mode=rw"
    folder.mkdir()
    assert ids(read_candidates(store(folder / "a b.db", (shapely.Point(1, 2), {})))) == ["key 1"]
