"""JSON of MIDOG, COCO, Grand Challenge and TIAToolbox: as these write it, in small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.candidates import read_candidates, select_candidates
from slidemitosis.candidates.formats import coco
from slidemitosis.errors import InvalidOption, UnreadableCandidates
from tests.candidates.checks import feature_of, refused

if TYPE_CHECKING:
    from slidemitosis.candidates import Candidates

PATH = Path("found.json")
IMAGES = [
    {"id": 1, "file_name": "001.tiff", "width": 7215, "height": 5412, "license": 1},
    {"id": 2, "file_name": "002.tiff", "width": 7215, "height": 5412, "license": 1},
]
CATEGORIES = [{"id": 1, "name": "mitotic figure"}, {"id": 2, "name": "hard negative"}]
FIGURE = {"id": 6, "image_id": 2, "category_id": 1, "bbox": [4397, 191, 4447, 241], "labels": [2, 1, 1]}
IMPOSTER = {"id": 1, "image_id": 1, "category_id": 2, "bbox": [4336, 346, 4386, 396], "labels": [2, 2]}
MIDOG = {"info": {}, "images": IMAGES, "categories": CATEGORIES, "annotations": [IMPOSTER, FIGURE]}


def read(tmp_path: Path, document: object, **options: Any) -> Candidates:
    path = tmp_path / "found.json"
    path.write_text(json.dumps(document))
    return read_candidates(path, **options)


def refusal(tmp_path: Path, document: object, **options: Any) -> str:
    return refused(tmp_path / "found.json", read, tmp_path, document, **options)


def changed(**entries: Any) -> dict[str, Any]:
    return {**MIDOG, "annotations": [{**FIGURE, **entries}, IMPOSTER]}


def test_boxes_of_midog_are_corners_on_the_image_that_is_the_slides(tmp_path: Path) -> None:
    found = read(tmp_path, MIDOG, slide_name="002.tiff")
    (one,) = found
    assert (found.format, found.unit, found.frame) == ("midog", "px", "level0")
    assert (one.id, one.x, one.y, one.extent, one.class_name) == ("6", 4422, 216, 50, "mitotic figure")
    assert one.source == "annotation 2"
    assert one.feature == {
        "type": "Feature",
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[4397, 191], [4447, 191], [4447, 241], [4397, 241], [4397, 191]]],
        },
        "properties": {"objectType": "detection", "metadata": {"labels": "[2, 1, 1]"}},
    }


@pytest.mark.parametrize("negative", ["hard negative", "non-mitotic figure", "not mitotic figure"])
def test_imposters_of_midog_are_no_candidates(tmp_path: Path, negative: str) -> None:
    categories = [CATEGORIES[0], {"id": 2, "name": negative}]
    document = {**MIDOG, "categories": categories, "annotations": [FIGURE, {**IMPOSTER, "image_id": 2}]}
    selection = select_candidates(read(tmp_path, document, slide_name="002.tiff"))
    assert (selection.taken, selection.left) == ({"mitotic figure": 1}, {negative: 1})


def test_boxes_of_coco_are_a_corner_and_a_size(tmp_path: Path) -> None:
    document = changed(bbox=[4397, 191, 50, 50], score=0.75)
    document["annotations"][1] = {**IMPOSTER, "bbox": [10, 20, 30, 40]}
    found = read(tmp_path, document, slide_name="002.tiff")
    (one,) = found
    assert (found.format, one.x, one.y, one.extent) == ("coco", 4422, 216, 50)
    assert feature_of(one)["properties"]["measurements"] == {"score": 0.75}


def test_boxes_that_may_be_either_are_refused_until_the_format_is_given(tmp_path: Path) -> None:
    document = {**MIDOG, "annotations": [{**FIGURE, "bbox": [10, 20, 60, 70]}]}
    message = refusal(tmp_path, document, slide_name="002.tiff")
    assert "its boxes fit either of corners" in message
    assert "--format midog" in message
    for form, centre in (("midog", (35, 45)), ("coco", (40, 55))):
        found = read(tmp_path, document, slide_name="002.tiff", format=form)
        assert (found.format, [(c.x, c.y) for c in found]) == (form, [centre])


def test_boxes_that_can_be_neither_are_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, changed(bbox=[4397, 191, -3, 50]), slide_name="002.tiff")
    assert "its boxes fit neither of corners" in message
    document = changed(bbox=[4397, 191, 4390, 241])
    assert "annotation 1: its bbox [4397, 191, 4390, 241] is no box of MIDOG" in refusal(
        tmp_path, document, slide_name="002.tiff", format="midog"
    )


@given(
    st.lists(st.tuples(st.integers(-25, 7190), st.integers(-25, 5387)), min_size=8, max_size=20, unique=True)
)
def test_boxes_of_50_px_all_over_an_image_are_told_apart(corners: list[tuple[int, int]]) -> None:
    images = {1: {"width": 7215, "height": 5412}}
    spread = [*corners, (5000, 4000)]  # one beyond the middle is enough
    midog = [{"image_id": 1, "bbox": [x, y, x + 50, y + 50]} for x, y in spread]
    sizes = [{"image_id": 1, "bbox": [x, y, 50, 50]} for x, y in spread]
    assert coco._form(midog, images, PATH) == "midog"
    assert coco._form(sizes, images, PATH) == "coco"


def test_an_image_without_annotations_has_no_candidates(tmp_path: Path) -> None:
    assert len(read(tmp_path, {**MIDOG, "annotations": [IMPOSTER]}, slide_name="002.tiff")) == 0
    assert len(read(tmp_path, {**MIDOG, "annotations": []}, slide_name="002.tiff")) == 0


def test_without_a_slide_the_images_are_listed(tmp_path: Path) -> None:
    assert "2 images, '001.tiff' (1), '002.tiff' (1); say which" in refusal(tmp_path, MIDOG)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({"bbox": [1, 2, 3]}, "annotation 1: its bbox is [1, 2, 3], not four finite numbers"),
        ({"bbox": [1, 2, 3, "4"]}, "not four finite numbers"),
        ({"bbox": [1, 2, 3, float("nan")]}, "not four finite numbers"),
        ({"bbox": None}, "its bbox is None"),
        ({"image_id": 7}, "its image_id 7 is none of the images"),
        ({"category_id": 7}, "its category_id 7 is none of the categories"),
    ],
)
def test_a_broken_annotation_is_refused_by_its_number(
    tmp_path: Path, entries: dict[str, Any], expected: str
) -> None:
    assert expected in refusal(tmp_path, changed(**entries), slide_name="002.tiff")


def test_a_broken_list_is_refused(tmp_path: Path) -> None:
    assert "image 1: expected an object with an id" in refusal(tmp_path, {**MIDOG, "images": ["a.tiff"]})
    assert "image 2: has the id 1" in refusal(tmp_path, {**MIDOG, "images": [IMAGES[0], IMAGES[0]]})
    assert "annotation 1: expected an object" in refusal(tmp_path, {**MIDOG, "annotations": [[]]})


POINTS = {
    "name": "Points of interest",
    "type": "Multiple points",
    "points": [
        {"name": "mitotic figure", "point": [1.25, 0.5, 0.0], "probability": 0.9},
        {"name": "non-mitotic figure", "point": [0.25, 2.0], "probability": 0.25},
    ],
    "version": {"major": 1, "minor": 0},
}


def test_points_of_grand_challenge_are_millimetres(tmp_path: Path) -> None:
    found = read(tmp_path, POINTS)
    assert (found.format, found.unit, found.frame) == ("grand-challenge", "um", "level0")
    assert [(c.x, c.y, c.class_name, c.source) for c in found] == [
        (1250, 500, "mitotic figure", "point 1"),
        (250, 2000, "non-mitotic figure", "point 2"),
    ]
    assert found.items[0].feature == {
        "type": "Feature",
        "properties": {"objectType": "detection", "measurements": {"probability": 0.9}},
    }
    # The containers of the challenges themselves spell the type in another way.
    assert len(read(tmp_path, {**POINTS, "type": "Mulitple points"})) == 2
    assert len(read(tmp_path, {**POINTS, "points": []})) == 0
    with pytest.raises(InvalidOption, match="is in mm, yet the unit given is um"):
        read(tmp_path, POINTS, unit="um")


def test_points_of_grand_challenge_are_pixels_where_the_user_says_so(tmp_path: Path) -> None:
    """The reference detector of MIDOG writes pixels for an image that does not state their size."""
    found = read(tmp_path, POINTS, unit="px")
    assert (found.unit, found.frame) == ("px", "level0")
    assert [(c.x, c.y) for c in found] == [(1.25, 0.5), (0.25, 2.0)]


def test_the_number_of_a_point_is_its_name_and_not_its_class(tmp_path: Path) -> None:
    named = ["Point 0", "point 12", "Point_3", "mitotic figure", "Point"]
    points = [{"name": name, "point": [0.1 * i, 0.2, 0.24]} for i, name in enumerate(named)]
    found = read(tmp_path, {"type": "Multiple points", "points": points})
    assert [c.class_name for c in found] == [None, None, None, "mitotic figure", "Point"]
    names = [c.feature["properties"].get("name") if c.feature else None for c in found]
    assert names == ["Point 0", "point 12", "Point_3", None, None]
    numbered = read(tmp_path, {"type": "Multiple points", "points": points[:3]})
    assert select_candidates(numbered).taken == {None: 3}


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        (
            {"point": [1, float("inf"), 0]},
            "point 1: its point is [1, inf, 0], not two or three finite numbers",
        ),
        ({"point": [1]}, "not two or three finite numbers"),
        ({"point": "1,2"}, "not two or three finite numbers"),
        ({"point": [1, 2], "name": 3}, "its name is 3, not a text"),
    ],
)
def test_a_broken_point_is_refused_by_its_number(
    tmp_path: Path, point: dict[str, Any], expected: str
) -> None:
    assert expected in refusal(tmp_path, {"points": [point]})


def nucleus(**properties: object) -> dict[str, Any]:
    ring = [[10, 10], [30, 10], [30, 20], [10, 20], [10, 10]]
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": properties,
    }


def collection(*features: dict[str, Any]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features)}


def test_geojson_of_tiatoolbox_has_its_class_in_type(tmp_path: Path) -> None:
    point = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [5, 6]}}
    document = collection(
        nucleus(type="mitosis", prob=0.5, box=[10, 10, 30, 20]), {**point, "properties": {"type": 3}}
    )
    found = read(tmp_path, document)
    assert (found.format, found.unit, found.frame) == ("tiatoolbox", "px", "level0")
    assert [(c.x, c.y, c.class_name, c.extent) for c in found] == [(20, 15, "mitosis", 20), (5, 6, "3", 0)]
    feature = feature_of(found.items[0])
    assert feature["properties"] == {"objectType": "detection", "measurements": {"prob": 0.5}}
    assert feature["geometry"] == document["features"][0]["geometry"]


@pytest.mark.parametrize(
    "properties",
    [
        {"type": "detection", "prob": 0.5},
        {"type": "PathAnnotationObject", "prob": 0.5},
        {"type": "mitosis"},
        {"prob": 0.5},
        {"type": "mitosis", "prob": 0.5, "classification": {"name": "a", "color": None}},
        {"type": "mitosis", "prob": 0.5, "objectType": "detection"},
    ],
)
def test_geojson_of_others_is_not_taken_for_tiatoolboxs(tmp_path: Path, properties: dict[str, Any]) -> None:
    found = read(tmp_path, collection(nucleus(**properties)))
    assert (found.format, found.frame) == ("geojson", None)
    beside = {**nucleus(type="mitosis", prob=0.5), "objectType": "detection"}  # as other tools write it
    assert read(tmp_path, collection(beside)).format == "geojson"
    forced = read(tmp_path, collection(nucleus(**properties)), format="tiatoolbox")
    assert (forced.format, forced.frame) == ("tiatoolbox", "level0")


def test_detections_that_tiatoolbox_writes_for_qupath_are_read(tmp_path: Path) -> None:
    """`output_type="qupath"` of its 2.0: a class is a number where the model has no names for them."""
    detections = [
        {
            "type": "Feature",
            "id": f"detection_{number}",
            "geometry": {"type": "Point", "coordinates": [1000.5, 2000.25]},
            "properties": {
                "classification": {"name": name, "color": [31, 119, 180]},
                "probability": 0.9,
            },
            "objectType": "detection",
            "name": name,
            "class_value": 0,
        }
        for number, name in enumerate(["Mitotic_Figure", 0, 12])
    ]
    found = read(tmp_path, collection(*detections))
    assert (found.format, found.unit) == ("geojson", "px")
    assert [(c.id, c.x, c.y) for c in found][:1] == [("detection_0", 1000.5, 2000.25)]
    assert [c.class_name for c in found] == ["Mitotic_Figure", "0", "12"]
    assert select_candidates(found).taken == {"Mitotic_Figure": 1}


def test_outlines_of_hover_next_are_refused_as_they_are_not_in_pixels_of_the_slide(tmp_path: Path) -> None:
    ring = [[10.0, 10.0], [14.0, 10.0], [14.0, 14.0], [10.0, 10.0]]
    outline = {
        "type": "Feature",
        "geometry": {"type": "LineString", "coordinates": ring},
        "properties": {"Name": "Nuc 0", "Type": "Polygon", "classification": {"name": "mitosis"}},
    }
    assert "feature 1: an outline of HoVer-NeXt" in refusal(tmp_path, collection(outline))
    drawn = {**outline, "properties": {"Name": "Line 0", "classification": {"name": "mitosis"}}}
    assert len(read(tmp_path, collection(drawn))) == 1


def test_a_broken_feature_of_tiatoolbox_is_refused_by_its_number(tmp_path: Path) -> None:
    broken = {**nucleus(type="mitosis", prob=0.5), "geometry": {"type": "Polygon", "coordinates": [[[1]]]}}
    document = collection(nucleus(type="mitosis", prob=0.5), broken)
    assert "feature 2: a point needs x and y, found [1]" in refusal(tmp_path, document)
    assert "feature 2: it has no geometry" in refusal(
        tmp_path, collection(nucleus(type="mitosis", prob=0.5), {"type": "Feature", "properties": {}})
    )


def test_json_of_no_format_names_those_that_were_looked_for(tmp_path: Path) -> None:
    message = refusal(tmp_path, {"slides": [], "mitoses": []})
    assert "expected a FeatureCollection, found 'slides', 'mitoses'; nor has it" in message
    assert "(MIDOG, COCO)" in message
    assert "(Grand Challenge)" in message
    assert "found the type 'Topology'" in refusal(tmp_path, {"type": "Topology"})
    assert "found an empty object" in refusal(tmp_path, {})


def test_json_of_every_format_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.json"
    for document in (MIDOG, POINTS, collection(nucleus(type="mitosis", prob=0.5))):
        text = json.dumps(document)
        for length in range(1, len(text), 7):
            path.write_text(text[:length])
            with pytest.raises(UnreadableCandidates, match=r"cut\.json: .*cut off"):
                read_candidates(path, slide_name="002.tiff")


@pytest.mark.parametrize(
    ("document", "form", "expected"),
    [
        (POINTS, "midog", "no lists of images and annotations"),
        (MIDOG, "grand-challenge", "no a list"),
        (MIDOG, "tiatoolbox", "no list of features"),
        (MIDOG, "geojson", "expected a FeatureCollection"),
    ],
)
def test_json_of_another_format_than_the_one_given_is_refused(
    tmp_path: Path, document: object, form: str, expected: str
) -> None:
    assert expected in refusal(tmp_path, document, format=form)


@pytest.mark.parametrize("form", ["csv", "asap", "sliderunner"])
def test_a_format_that_is_no_json_is_refused_with_those_that_are(tmp_path: Path, form: str) -> None:
    with pytest.raises(InvalidOption, match=f"is JSON, which holds no {form}; .* geojson, midog, coco"):
        read(tmp_path, MIDOG, format=form)


def test_an_unknown_format_is_refused_with_all_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"one of geojson, csv, .*imagescope, not 'ndpa'"):
        read(tmp_path, MIDOG, format="ndpa")
