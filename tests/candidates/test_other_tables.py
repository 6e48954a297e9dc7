"""Tables of QuPath, AMi-Br, MIDOG 2025 and HoVer-NeXt: as these write them, in small."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from slidemitosis.candidates import read_candidates, select_candidates
from slidemitosis.errors import InvalidOption, UnreadableCandidates
from tests.candidates.checks import feature_of, refused
from tests.conftest import needs_shared

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.candidates import Candidates

MU = "\N{MICRO SIGN}"
UMLAUT = "T\N{LATIN SMALL LETTER U WITH DIAERESIS}r"
# 0.2 and 0.3; 0.4; 0.5 and later.
OLD = f"Image\tName\tClass\tParent\tROI\tCentroid X {MU}m\tCentroid Y {MU}m\tNucleus: Area"
MIDDLE = f"Image\tObject ID\tName\tClass\tParent\tROI\tCentroid X {MU}m\tCentroid Y {MU}m\tNucleus: Area"
NEW = (
    f"Image\tObject ID\tObject type\tName\tClassification\tParent\tROI\tCentroid X {MU}m\tCentroid Y {MU}m"
    "\tNucleus: Area"
)
ID = "3f0c1a52-7e5b-4a0e-9d0e-1f2a3b4c5d6e"
OLD_ROW = "a.svs\tMitosis\tTumor: Mitosis\tImage\tPolygon\t100.5\t200.25\t31.4"
MIDDLE_ROW = f"a.svs\t{ID}\tMitosis\tTumor: Mitosis\tImage\tPolygon\t100.5\t200.25\t31.4"
NEW_ROW = f"a.svs\t{ID}\tCell\t\tTumor: Mitosis\tRoot object (Image)\tGeometry\t100.5\t200.25\t31.4"


def read(tmp_path: Path, *lines: str, **options: object) -> Candidates:
    path = tmp_path / "table.tsv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return read_candidates(path, **options)  # type: ignore[arg-type]


def refusal(tmp_path: Path, *lines: str, **options: object) -> str:
    return refused(tmp_path / "table.tsv", read, tmp_path, *lines, **options)


def measured(candidates: Candidates) -> list[dict[str, float]]:
    return [c.feature["properties"].get("measurements", {}) if c.feature else {} for c in candidates]


@pytest.mark.parametrize(
    ("header", "row", "name"), [(OLD, OLD_ROW, None), (MIDDLE, MIDDLE_ROW, ID), (NEW, NEW_ROW, ID)]
)
@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_tables_of_every_version_of_qupath_are_read(
    tmp_path: Path, header: str, row: str, name: str | None, delimiter: str
) -> None:
    found = read(tmp_path, header.replace("\t", delimiter), row.replace("\t", delimiter))
    (one,) = found
    assert (found.format, found.unit, found.frame) == ("qupath-table", "um", None)
    assert (one.id, one.x, one.y, one.class_name) == (name, 100.5, 200.25, "Tumor: Mitosis")
    assert measured(found) == [{"Nucleus: Area": 31.4}]
    assert "geometry" not in feature_of(one)  # it would be in um


def test_pixels_are_pixels(tmp_path: Path) -> None:
    found = read(tmp_path, "Image,Class,Centroid X px,Centroid Y px", "a.svs,Mitosis,10,20")
    assert (found.unit, [(c.x, c.y) for c in found]) == ("px", [(10, 20)])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252"])
def test_the_micro_sign_of_every_encoding_is_known(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "table.txt"
    path.write_text(f"{OLD}\n{OLD_ROW.replace('Tumor', UMLAUT)}\n", encoding)
    (one,) = read_candidates(path)
    assert (one.x, one.class_name) == (100.5, f"{UMLAUT}: Mitosis")


@pytest.mark.parametrize(
    "spoilt", ["\N{LATIN CAPITAL LETTER A WITH CIRCUMFLEX}\N{MICRO SIGN}m", "\ufffdm", "?m"]
)
def test_a_micro_sign_that_was_spoilt_is_still_a_micrometre(tmp_path: Path, spoilt: str) -> None:
    assert read(tmp_path, OLD.replace(f"{MU}m", spoilt), OLD_ROW).unit == "um"


def test_a_decimal_comma_of_qupath_is_one_in_any_table(tmp_path: Path) -> None:
    found = read(tmp_path, OLD, OLD_ROW.replace(".5", ",5").replace(".25", ",25").replace("31.4", "31,4"))
    assert [(c.x, c.y) for c in found] == [(100.5, 200.25)]
    assert measured(found) == [{"Nucleus: Area": 31.4}]
    quoted = OLD_ROW.replace("100.5", '"100,5"').replace("200.25", '"200,25"').replace("\t", ",")
    assert [(c.x, c.y) for c in read(tmp_path, OLD.replace("\t", ","), quoted)] == [(100.5, 200.25)]


def test_missing_measurements_are_left_out_and_texts_become_metadata(tmp_path: Path) -> None:
    found = read(tmp_path, f"{OLD}\tNote", OLD_ROW.replace("31.4", "NaN") + "\tseen twice")
    (one,) = found
    assert one.feature == {
        "type": "Feature",
        "properties": {
            "objectType": "detection",
            "metadata": {"Name": "Mitosis", "Note": "seen twice"},
        },
    }


def test_of_several_images_those_rows_are_read_whose_image_is_the_slide(tmp_path: Path) -> None:
    lines = [OLD, OLD_ROW, OLD_ROW.replace("a.svs", "b.svs").replace("100.5", "7")]
    assert [c.x for c in read(tmp_path, *lines, slide_name="B.svs")] == [7]
    assert "holds the objects of 2 images, 'a.svs' (1), 'b.svs' (1); say which" in refusal(tmp_path, *lines)
    assert "none of its 2 images is the slide 'c.svs'" in refusal(tmp_path, *lines, slide_name="c.svs")


def test_the_centroid_of_several_points_is_refused(tmp_path: Path) -> None:
    header, row = f"{OLD}\tNum points", OLD_ROW.replace("Polygon", "Points")
    assert "line 2: an object of 3 points: its centroid" in refusal(tmp_path, header, f"{row}\t3")
    assert [c.x for c in read(tmp_path, header, f"{row}\t1", f"{row}\t1.0")] == [100.5, 100.5]
    # A table with chosen columns does not say how many they are.
    assert "of points, perhaps of several" in refusal(tmp_path, OLD, row)


def test_several_points_of_another_image_do_not_matter(tmp_path: Path) -> None:
    header, row = f"{OLD}\tNum points", OLD_ROW.replace("Polygon", "Points")
    lines = [header, f"{row}\t1", f"{row}\t3".replace("a.svs", "b.svs")]
    assert [c.x for c in read(tmp_path, *lines, slide_name="a.svs")] == [100.5]
    assert "an object of 3 points" in refusal(tmp_path, *lines, slide_name="b.svs")


@pytest.mark.parametrize("none", ["", "NaN"])
def test_a_project_of_images_with_and_without_a_pixel_size_has_columns_for_both(
    tmp_path: Path, none: str
) -> None:
    header = f"Image\tClass\tCentroid X px\tCentroid Y px\tCentroid X {MU}m\tCentroid Y {MU}m\tScore"
    lines = [
        header,
        f"a.svs\tMitosis\t{none}\t{none}\t100.5\t200\t1",
        f"b.png\tMitosis\t7\t8\t{none}\t{none}\t2",
    ]
    calibrated = read(tmp_path, *lines, slide_name="a.svs")
    assert (calibrated.unit, [(c.x, c.y) for c in calibrated]) == ("um", [(100.5, 200)])
    bare = read(tmp_path, *lines, slide_name="b.png")
    assert (bare.unit, [(c.x, c.y) for c in bare]) == ("px", [(7, 8)])
    assert (measured(calibrated), measured(bare)) == ([{"Score": 1}], [{"Score": 2}])
    assert read(tmp_path, *lines, slide_name="b.png", unit="px").unit == "px"
    both = "a.svs\tMitosis\t\t\t\t200\t1"
    assert "line 3: x is ''" in refusal(tmp_path, *lines[:2], both, slide_name="a.svs")


def test_images_and_cores_are_no_candidates(tmp_path: Path) -> None:
    core = NEW_ROW.replace("\tCell\t", "\tTMA core\t")
    assert len(read(tmp_path, NEW, core, NEW_ROW, NEW_ROW.replace("\tCell\t", "\tImage\t"))) == 1


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Centroid X px,Centroid Y um", "different units"),
        ("Centroid X px,Centroid X um,Centroid Y px", "different units"),
        ("Centroid X px,Centroid Y px,Centroid X,Centroid Y", "different units"),
        ("Centroid X px,Centroid X (pixels),Centroid Y px", "say the same"),
        ("Centroid X,Centroid Y", "state no unit; pass --unit"),
    ],
)
def test_centroids_whose_unit_is_in_doubt_are_refused(tmp_path: Path, header: str, expected: str) -> None:
    values = ",".join("1" for _ in header.split(","))
    assert expected in refusal(tmp_path, header, values)


def test_the_unit_of_centroids_without_one_may_be_given_and_none_contradicted(tmp_path: Path) -> None:
    assert read(tmp_path, "Centroid X,Centroid Y", "1,2", unit="um").unit == "um"
    with pytest.raises(InvalidOption, match="its columns are in um, yet the unit given is px"):
        read(tmp_path, OLD, OLD_ROW, unit="px")


def test_a_row_without_a_centroid_is_refused(tmp_path: Path) -> None:
    assert "line 2: x is '', not a finite number" in refusal(tmp_path, OLD, OLD_ROW.replace("100.5", ""))
    assert "line 2: x is 'NaN'" in refusal(tmp_path, OLD, OLD_ROW.replace("100.5", "NaN"))


AMI_BR = (
    ",slide,dataset,uid,x,y,expert1_label,expert2_label,expert1_atypical,expert2_atypical,expert3_atypical,"
    "majority_atypical"
)


def test_figures_of_ami_br_are_mitoses_whatever_the_experts_said(tmp_path: Path) -> None:
    lines = [
        AMI_BR,
        "0,002.tiff,MIDOG21,6,4422,216,NMF prometaphase,NMF metaphase,False,False,False,False",
        "1,04_stitched1.tif,TUPAC16,6,10,20,AMF segregation,AMF segregation,True,True,True,True",
    ]
    found = read(tmp_path, *lines, slide_name="002.tiff")
    (one,) = found
    assert (found.format, found.unit, found.frame) == ("ami-br", "px", "level0")
    assert (one.id, one.x, one.y, one.class_name) == ("MIDOG21_6", 4422, 216, "Mitotic figure")
    metadata = feature_of(one)["properties"]["metadata"]
    assert metadata["expert1_label"] == "NMF prometaphase"
    assert metadata["majority_atypical"] == "False"
    assert select_candidates(found).rule == "reads as mitosis"


def test_the_published_table_of_ami_br_is_read_slide_by_slide() -> None:
    path = needs_shared("data", "ami-br", "AMI-BR.csv")
    with pytest.raises(UnreadableCandidates, match="holds the objects of 202 images"):
        read_candidates(path)
    found = read_candidates(path, slide_name="04_stitched1.tif")
    assert (found.format, len(found), len({c.id for c in found})) == ("ami-br", 319, 319)


def test_figures_of_midog25_are_read(tmp_path: Path) -> None:
    lines = [
        "image_id,filename,coordinateX,coordinateY,Tumor,Species,expert1,expert2,expert3,majority",
        "1.png,201.tiff,100,200.5,canine lymphoma,canine,NMF,NMF,,NMF",
        "2.png,202.tiff,300,400,canine lymphoma,canine,AMF,NMF,AMF,AMF",
    ]
    found = read(tmp_path, *lines, slide_name="202.tiff")
    (one,) = found
    assert (found.format, found.unit, found.frame) == ("midog25", "px", "level0")
    assert (one.id, one.x, one.y, one.class_name) == ("2.png", 300, 400, "Mitotic figure")


def test_a_table_of_hover_next_counts_from_where_qupath_does(tmp_path: Path) -> None:
    found = read(tmp_path, "x\ty\tname\tcolor", "10.5\t20\tmitosis\t-256", "30\t40\tmitosis\t-256")
    assert (found.format, found.unit, found.frame) == ("hover-next", "px", None)
    assert [(c.x, c.y, c.class_name, c.feature) for c in found] == [
        (10.5, 20, "mitosis", None),
        (30, 40, "mitosis", None),
    ]
    assert len(read(tmp_path, "x\ty\tname\tcolor")) == 0


@pytest.mark.parametrize(
    ("header", "row", "form", "class_name"),
    [
        ("x\ty\tclass\tname\tcolor\t", "10.5\t20.0\tMitosis\tP1\t-256", "csv", "Mitosis"),
        ("x\ty\tz\tclass\t", "10.5\t20.0\t2\tMitosis", "csv", "Mitosis"),
        ("x\ty\tname\tcolor\t", "10.5\t20.0\tmitosis\t-256", "hover-next", "mitosis"),
        ("x\ty\t", "10.5\t20.0", "csv", None),
    ],
)
def test_points_as_qupath_saves_them_are_read_though_only_their_first_line_ends_in_a_tab(
    tmp_path: Path, header: str, row: str, form: str, class_name: str | None
) -> None:
    found = read(tmp_path, header, row, row.replace("10.5", "1.25E7"))
    assert found.format == form
    assert [(c.x, c.y, c.class_name) for c in found] == [(10.5, 20, class_name), (1.25e7, 20, class_name)]
    assert "fields where the first line has" in refusal(tmp_path, header, f"{row}\t1\t2")
    assert "fields where the first line has" in refusal(tmp_path, header, row.rpartition("\t")[0])


@pytest.mark.parametrize("header", [AMI_BR, "x\ty\tname\tcolor"])
def test_tables_in_pixels_are_refused_in_um(tmp_path: Path, header: str) -> None:
    with pytest.raises(InvalidOption, match="its columns are in px, yet the unit given is um"):
        read(tmp_path, header, unit="um")


def test_a_plain_table_keeps_scores_as_measurements_and_texts_as_metadata(tmp_path: Path) -> None:
    found = read(tmp_path, "x,y,score,reader,score,color", "1,2,0.75,AB,3e-1,-256", "3,4,,,,")
    assert found.format == "csv"
    assert [c.feature for c in found] == [
        {
            "type": "Feature",
            "properties": {
                "objectType": "detection",
                "measurements": {"score": 0.75, "score (2)": 0.3},
                "metadata": {"reader": "AB"},
            },
        },
        None,
    ]


def test_what_an_earlier_run_of_ours_has_found_is_not_carried_on(tmp_path: Path) -> None:
    header = "id,object_id,source,class,x,y,level0_x,level0_y,status,reason,p_atypical,call,padding,score"
    found = read(tmp_path, header, "a,b,line 2,Mitosis,1,2,1,2,classified,,0.9,AMF,0,7")
    assert measured(found) == [{"score": 7.0}]


@pytest.mark.parametrize("column", ["image", "Slide", "filename", "file_name", "Image name"])
def test_a_plain_table_of_several_images_is_not_read_as_one_slide(tmp_path: Path, column: str) -> None:
    lines = [f"x,y,{column}", "1,2,a.svs", "3,4,b.svs"]
    assert "2 images" in refusal(tmp_path, *lines)
    assert [c.x for c in read(tmp_path, *lines, slide_name="b.svs")] == [3]


def test_a_table_of_one_image_of_another_name_is_read_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert len(read(tmp_path, "x,y,image", "1,2,a.svs", slide_name="pseudonym.svs")) == 1
    assert "its image is 'a.svs', and the slide is pseudonym.svs" in caplog.text
