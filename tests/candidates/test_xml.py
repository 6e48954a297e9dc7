"""XML of ASAP and ImageScope, as these write it, and XML that would do harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from slidemitosis.candidates import Candidates, read_candidates, select_candidates
from slidemitosis.errors import InvalidOption
from tests.candidates.checks import feature_of, refused

if TYPE_CHECKING:
    from pathlib import Path

DECLARATION = '<?xml version="1.0"?>\n'


def coordinates(*points: tuple[object, object]) -> str:
    listed = "".join(f'<Coordinate Order="{i}" X="{x}" Y="{y}" />' for i, (x, y) in enumerate(points))
    return f"<Coordinates>{listed}</Coordinates>"


def annotation(kind: str, *points: tuple[object, object], group: str = "mitosis", name: str = "A 0") -> str:
    head = f'<Annotation Name="{name}" Type="{kind}" PartOfGroup="{group}" Color="#F4FA58">'
    return f"{head}{coordinates(*points)}</Annotation>"


def asap(*annotations: str) -> str:
    groups = "".join(
        f'<Group Name="{name}" PartOfGroup="{parent}" Color="#00ff00"><Attributes /></Group>'
        for name, parent in (("mitosis", "None"), ("tumour", "None"), ("figure", "tumour"))
    )
    return (
        f"{DECLARATION}<ASAP_Annotations>\n\t<Annotations>{''.join(annotations)}</Annotations>"
        f"<AnnotationGroups>{groups}</AnnotationGroups></ASAP_Annotations>"
    )


def region(kind: int, *points: tuple[object, object], text: str = "", more: str = "") -> str:
    vertices = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in points)
    head = f'<Region Id="1" Type="{kind}" Zoom="0.5" Text="{text}" {more} InputRegionId="0" Analyze="1">'
    return f"{head}<Attributes/><Vertices>{vertices}</Vertices></Region>"


def layer(*regions: str, name: str = "", description: str = "") -> str:
    return (
        f'<Annotation Id="1" Name="{name}" ReadOnly="0" Type="4" LineColor="65280"><Attributes>'
        f'<Attribute Name="Description" Id="0" Value="{description}"/></Attributes><Regions>'
        '<RegionAttributeHeaders><AttributeHeader Id="9999" Name="Region"/></RegionAttributeHeaders>'
        f"{''.join(regions)}</Regions><Plots/></Annotation>"
    )


def imagescope(*layers: str) -> str:
    return f'<Annotations MicronsPerPixel="0.252">{"".join(layers)}</Annotations>'


SQUARE = ((0, 0), (10, 0), (10, 10), (0, 10))


def read(tmp_path: Path, text: str, **options: str) -> Candidates:
    path = tmp_path / "drawn.xml"
    path.write_text(text, "utf-8")
    return read_candidates(path, **options)  # type: ignore[arg-type]


def refusal(tmp_path: Path, text: str) -> str:
    return refused(tmp_path / "drawn.xml", read, tmp_path, text)


def test_annotations_of_asap_count_from_the_corner_of_the_slide(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        asap(
            annotation("Dot", (1.5, 2.5)),
            annotation("PointSet", (3, 4), (5, 6)),
            annotation("Polygon", *SQUARE, group="None", name=""),
            annotation("Spline", *SQUARE, group="figure"),
            annotation("Rectangle", *SQUARE),
            annotation("Measurement", (0, 0), (8, 6)),
        ),
    )
    assert (found.format, found.unit, found.frame) == ("asap", "px", "level0")
    assert [(c.source, c.x, c.y, c.class_name, c.extent) for c in found] == [
        ("annotation 1", 1.5, 2.5, "mitosis", 0),
        ("annotation 2, point 1", 3, 4, "mitosis", 0),
        ("annotation 2, point 2", 5, 6, "mitosis", 0),
        ("annotation 3", 5, 5, None, 10),
        ("annotation 4", 5, 5, "tumour: figure", 10),
        ("annotation 5", 5, 5, "mitosis", 10),
        ("annotation 6", 4, 3, "mitosis", 8),
    ]
    assert {c.id for c in found} == {None}  # a name is no id: ASAP does not keep names apart
    assert found.items[0].feature == {
        "type": "Feature",
        "properties": {"objectType": "detection", "name": "A 0"},
    }
    outline = feature_of(found.items[3])
    assert outline["geometry"] == {
        "type": "Polygon",
        "coordinates": [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]],
    }


def test_coordinates_of_asap_are_in_their_stated_order(tmp_path: Path) -> None:
    shuffled = (
        '<Coordinates><Coordinate Order="2" X="10" Y="10"/><Coordinate Order="10" X="0" Y="10"/>'
        '<Coordinate Order="0" X="0" Y="0"/><Coordinate Order="1" X="10" Y="0"/></Coordinates>'
    )
    text = asap(f'<Annotation Name="" Type="Polygon" PartOfGroup="None">{shuffled}</Annotation>')
    (one,) = read(tmp_path, text)
    assert feature_of(one)["geometry"]["coordinates"] == [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]]


def test_groups_within_each_other_do_not_go_round_in_circles(tmp_path: Path) -> None:
    text = asap(annotation("Dot", (1, 2), group="tumour")).replace(
        '"tumour" PartOfGroup="None"', '"tumour" PartOfGroup="figure"'
    )
    assert [c.class_name for c in read(tmp_path, text)] == ["figure: tumour"]


def test_regions_of_imagescope_have_the_class_of_their_layer(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        imagescope(
            layer(region(0, *SQUARE, text="late"), region(1, *SQUARE), name="Mitosis"),
            layer(region(2, (0, 0), (20, 10)), description="Tumor"),
            layer(region(0, *SQUARE, text="mitosis?"), region(4, (0, 0), (8, 6))),
            layer(region(0, (1, 2), (3, 4), more='GeoShape="Points"'), name="Clicked"),
        ),
    )
    # Of slides with bounds it is not known where ImageScope counts from.
    assert (found.format, found.unit, found.frame) == ("imagescope", "px", None)
    assert [(c.source, round(c.x, 9), round(c.y, 9), c.class_name, c.extent) for c in found] == [
        ("layer 1, region 1", 5, 5, "Mitosis", 10),
        ("layer 1, region 2", 5, 5, "Mitosis", 10),
        ("layer 2, region 1", 10, 5, "Tumor", 20),
        ("layer 3, region 1", 5, 5, "mitosis?", 10),
        ("layer 3, region 2", 4, 3, None, 8),
        ("layer 4, region 1, point 1", 1, 2, "Clicked", 0),
        ("layer 4, region 1, point 2", 3, 4, "Clicked", 0),
    ]
    feature = feature_of(found.items[0])
    assert feature["properties"] == {"objectType": "detection", "name": "late"}
    assert select_candidates(found).taken == {"Mitosis": 2, "mitosis?": 1}


def test_negative_regions_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    negative = region(0, *SQUARE, more='NegativeROA="1"')
    with caplog.at_level("INFO"):
        found = read(tmp_path, imagescope(layer(region(0, *SQUARE, more='NegativeROA="0"'), negative)))
    assert len(found) == 1
    assert "1 negative regions" in caplog.text


@pytest.mark.parametrize("text", [asap(), imagescope(layer()), imagescope()])
def test_a_file_without_annotations_has_no_candidates(tmp_path: Path, text: str) -> None:
    assert len(read(tmp_path, text)) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (asap(annotation("Dot", ("1,5,0", 2))), "annotation 1: a vertex has X '1,5,0', Y '2': no numbers"),
        (asap(annotation("Dot", ("1,5", 2), ("3.25", 2))), "two decimal marks, '3.25' and '1,5'; use one"),
        (asap(annotation("Dot", ("1,000.5", 2))), "two decimal marks"),
        (asap(annotation("Dot", ("nan", 2))), "no numbers"),
        (asap(annotation("Dot")), "annotation 1: it has no coordinates"),
        (asap(annotation("Circle", *SQUARE)), "its Type 'Circle' is none of ASAP's"),
        (imagescope(layer(region(3, (1, 2), (30, 40)))), "layer 1, region 1: an arrow"),
        (imagescope(layer(region(0))), "it has no vertices"),
        (imagescope(layer(region(0, ("", 2)))), "a vertex has X '', Y '2': no numbers"),
        ("<ASAP_Annotations/>", "no Annotations in its ASAP_Annotations"),
        ("<Annotations><Slide/></Annotations>", "XML with the root 'Annotations'; looked for"),
        ("<annotations/>", "ASAP_Annotations (ASAP) or Annotations of Regions (ImageScope)"),
        ("<Annotations>", "not valid XML"),
        ("<!-- nothing -->", "not valid XML"),
        ('<?xml version="1.0" encoding="klingon"?><Annotations/>', "unknown"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in refusal(tmp_path, text)


def test_a_decimal_comma_is_one(tmp_path: Path) -> None:
    dot = annotation("Dot", ("1173,36755", "7,66442078e+02"))
    assert [(c.x, c.y) for c in read(tmp_path, asap(dot))] == [(1173.36755, 766.442078)]
    drawn = region(0, ("0,5", 0), ("10,5", 0), ("10,5", 10), ("0,5", 10))
    assert [(c.x, c.y) for c in read(tmp_path, imagescope(layer(drawn)))] == [(5.5, 5)]


@pytest.mark.parametrize(
    ("points", "centre", "extent"),
    [
        ([(1, 2)], (1, 2), 0),
        ([(1, 2), (1, 2), (1, 2)], (1, 2), 0),
        ([(1, 2), (5, 2)], (3, 2), 4),
        ([(1, 2), (5, 2), (1, 2), (5, 2)], (3, 2), 4),
    ],
)
def test_what_was_clicked_once_or_twice_is_where_it_was_clicked(
    tmp_path: Path, points: list[tuple[float, float]], centre: tuple[float, float], extent: float
) -> None:
    for text in (asap(annotation("Polygon", *points)), imagescope(layer(region(0, *points)))):
        (one,) = read(tmp_path, text)
        assert ((one.x, one.y), one.extent) == (centre, extent)


def test_xml_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    text = asap(annotation("Dot", (1, 2)))
    for length in range(1, len(text.rstrip(">")), 11):
        assert "cut off" in refusal(tmp_path, text[:length])


@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE a [<!ENTITY x "1">]>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE a [<!ENTITY % x SYSTEM "file:///etc/hostname"> %x;]>',
        '<!DOCTYPE a SYSTEM "file:///etc/hostname">',
        '<!DOCTYPE a [<!ENTITY x "1"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;">]>',
    ],
)
def test_no_entity_is_expanded_and_no_file_opened(tmp_path: Path, declared: str) -> None:
    text = asap(annotation("Dot", ("&x;", 2))).replace(DECLARATION, DECLARATION + declared)
    assert "declares a document type" in refusal(tmp_path, text)


def test_xml_says_its_encoding_itself(tmp_path: Path) -> None:
    text = asap(annotation("Dot", (1, 2), group="M\N{LATIN SMALL LETTER I WITH DIAERESIS}tose"))
    path = tmp_path / "drawn.xml"
    for encoding in ("utf-8", "utf-8-sig", "latin-1", "utf-16"):
        stated = encoding.removesuffix("-sig")
        path.write_text(text.replace('"1.0"?', f'"1.0" encoding="{stated}"?'), encoding)
        assert [c.class_name for c in read_candidates(path)] == [
            "M\N{LATIN SMALL LETTER I WITH DIAERESIS}tose"
        ]


def test_formats_of_xml_may_be_forced_and_no_others(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"is XML, which holds no geojson; .* asap, imagescope"):
        read(tmp_path, asap(), format="geojson")
    with pytest.raises(InvalidOption, match="ASAP's XML is in px, yet the unit given is um"):
        read(tmp_path, asap(), unit="um")
    assert read(tmp_path, imagescope(), format="imagescope").format == "imagescope"
