"""Layouts that are one CSV: MIDOG25, patches of one's own, figures on slides; and their description."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from slidemitosis.errors import InvalidOption
from slidemitosis.train.data.describe import describe
from slidemitosis.train.data.read import read_data
from slidemitosis.train.recipe.recipe import SplitRecipe
from tests.conftest import position_colours, write_aperio, write_scn, write_tiff
from tests.train.drawn import write_image

if TYPE_CHECKING:
    from pathlib import Path

MIDOG25 = (
    "image_id,filename,coordinateX,coordinateY,Tumor,Scanner,Origin,Species,expert1,expert2,expert3,majority\n"
    "1.png,201.tiff,5047,459,canine lung cancer,3D Histech,VMU Vienna,Canine,NMF,NMF,,NMF\n"
    "2.png,201.tiff,47,59,canine lung cancer,3D Histech,VMU Vienna,Canine,NMF,AMF,AMF,AMF\n"
    "3.png,7.tiff,8,9,human melanoma,3D Histech,UMC,Human,AMF,AMF,,AMF\n"
)


@pytest.fixture
def midog25(tmp_path: Path) -> Path:
    (tmp_path / "midog25.csv").write_text(MIDOG25)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    write_image(tmp_path / "patches" / "1.png", (1, 0, 0))
    write_image(tmp_path / "patches" / "2.png", (2, 0, 0))
    write_image(tmp_path / "3.png", (3, 0, 0))
    return tmp_path


def test_midog25_is_read_from_its_table_or_its_folder(midog25: Path) -> None:
    data = read_data("midog25", midog25)
    figures = data.training
    assert data.test is None
    assert data.hashes == read_data("midog25", midog25 / "midog25.csv").hashes
    assert figures.names == ("1.png", "2.png", "3.png")
    assert figures.pixels[:, 5, 5, 0].tolist() == [1, 2, 3]
    assert figures.atypical.tolist() == [0, 1, 1]
    assert np.array_equal(
        figures.votes, np.array([[0, 0, np.nan], [0, 1, 1], [1, 1, np.nan]]), equal_nan=True
    )
    assert figures.hard.tolist() == [False, True, False]
    assert figures.slides == figures.patients == ("201.tiff", "201.tiff", "7.tiff")
    assert figures.domains == ("canine lung cancer",) * 2 + ("human melanoma",)
    assert figures.centres.tolist() == [[5047, 459], [47, 59], [8, 9]]


def test_a_folder_of_midog25_must_say_which_table_and_which_image(midog25: Path) -> None:
    write_image(midog25 / "more" / "2.png", (2, 0, 0))
    with pytest.raises(InvalidOption, match=r"row 3, column image_id: 2\.png lies in .*more and .*patches"):
        read_data("midog25", midog25)
    (midog25 / "patches" / "2.png").unlink()
    (midog25 / "more" / "2.png").unlink()
    with pytest.raises(InvalidOption, match=r"2\.png: no such image \(row 3 of midog25\.csv\)"):
        read_data("midog25", midog25)
    (midog25 / "copy.csv").write_text(MIDOG25)
    with pytest.raises(InvalidOption, match=r"holds copy\.csv, midog25\.csv; give the CSV itself"):
        read_data("midog25", midog25)
    with pytest.raises(InvalidOption, match="holds no CSV with the columns image_id and majority"):
        read_data("midog25", midog25 / "patches")


PATCHES = (
    "image,label,slide,patient,domain,x,y,subtype,expert1,expert2,split,comment\n"
    "a.png,AMF,s1.svs,p1,lung,1.5,2,AMF other,1,0,train,x\n"
    "in/b.png,normal,s2.svs,,,,,,nmf,,test,\n"
    "c.png,0,,,,,,,,,train,\n"
)


@pytest.fixture
def patches(tmp_path: Path) -> Path:
    for i, name in enumerate(("a.png", "in/b.png", "c.png")):
        write_image(tmp_path / name, (i, 0, 0), (64, 64))
    path = tmp_path / "mine.csv"
    path.write_text(PATCHES, encoding="utf-8-sig")
    return path


def test_every_column_of_a_patch_table_is_read(patches: Path) -> None:
    data = read_data("csv", patches)
    train, test = data.training, data.test
    assert data.name == "mine"
    assert test is not None
    assert (train.names, test.names) == (("a.png", "c.png"), ("in/b.png",))
    assert (train.atypical.tolist(), test.atypical.tolist()) == ([1, 0], [0])
    assert (train.slides, train.patients, test.patients) == (("s1.svs", ""), ("p1", ""), ("s2.svs",))
    assert train.domains == ("lung", "")
    assert train.subtypes == (("AMF other",), ())
    assert np.array_equal(train.centres, np.array([[1.5, 2], [np.nan, np.nan]]), equal_nan=True)
    assert np.array_equal(train.votes, np.array([[1, 0], [np.nan, np.nan]]), equal_nan=True)
    assert np.array_equal(test.votes, np.array([[0, np.nan]]), equal_nan=True)
    assert train.pixels.shape == (2, 64, 64, 3)
    assert train.data == ("mine", "mine")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("image,label", "file,label", "lacks the columns image; its columns, .* are file, label"),
        ("a.png,AMF", "a.png,mitosis", "row 2, column label: label 'mitosis' is not known; use AMF or NMF"),
        ("a.png,AMF", "a.png,", "row 2, column label: is empty"),
        ("c.png", "d.png", r"d\.png: no such image \(mine\.csv, row 4\)"),
        ("c.png", "./a.png", "row 4, column image: the same figure as in row 2"),
        ("nmf,,test", "nmf,,val", "row 3, column split: 'val' is not known; use train or test"),
        ("1.5,2", "left,2", "row 2, column x: 'left' is not a number"),
        ("1.5,2", '"1,5",inf', "row 2, column x: '1,5' is not a number"),
        ("AMF other", "AMF others", "row 2, column subtype: .*did you mean 'AMF other'"),
        ("1,0,train", "yes,0,train", "row 2, column expert1: label 'yes'"),
        (",comment", ",label", "has the column label twice"),
        ("AMF,", "AMF;", "row 2 has 11 cells"),
        ("a.png,AMF", '"a.png,AMF', "cannot be read: unexpected end of data"),
    ],
)
def test_a_patch_table_with_a_bad_cell_is_refused(patches: Path, old: str, new: str, message: str) -> None:
    assert old in PATCHES
    patches.write_text(PATCHES.replace(old, new, 1))
    with pytest.raises(InvalidOption, match=message) as caught:
        read_data("csv", patches)
    assert str(patches.parent) in str(caught.value)


def test_patches_of_two_sizes_or_of_no_square_are_refused(patches: Path) -> None:
    write_image(patches.parent / "c.png", (0, 0, 0), (32, 32))
    with pytest.raises(InvalidOption, match=r"c\.png: is 32 x 32 px, not 64 x 64 \(mine\.csv, row 4\)"):
        read_data("csv", patches)
    write_image(patches.parent / "a.png", (0, 0, 0), (32, 16))
    with pytest.raises(InvalidOption, match=r"a\.png: is 32 x 16 px, not square"):
        read_data("csv", patches)
    with pytest.raises(InvalidOption, match="cannot be read: Is a directory"):
        read_data("csv", patches.parent)


def test_a_misspelt_optional_column_is_logged(patches: Path, caplog: pytest.LogCaptureFixture) -> None:
    patches.write_text(PATCHES.replace("patient", "pateint"))
    read_data("csv", patches)
    assert [r.getMessage().partition(": ")[2] for r in caplog.records] == [
        "column 'pateint' is not read; did you mean 'patient'?"
    ]


def test_patches_are_cut_from_slides_around_their_centres(tmp_path: Path) -> None:
    pixels = position_colours(400, 300)
    write_aperio(tmp_path / "a.tiff", [pixels])
    write_tiff(tmp_path / "b.tiff", pixels)
    table = tmp_path / "figures.csv"
    table.write_text(
        "slide,x,y,label,mpp,patient\n"
        "a.tiff,300,200,AMF,,p\nb.tiff,100,90,NMF,0.25,\na.tiff,100,100,NMF,,p\na.tiff,10,100,NMF,,p\n"
    )
    figures = read_data("slides", table).training
    assert figures.names[0] == "a.tiff x 300 y 200"
    assert figures.slides == ("a.tiff", "b.tiff", "a.tiff", "a.tiff")
    assert figures.patients == ("p", "b.tiff", "p", "p")
    assert figures.atypical.tolist() == [1, 0, 0, 0]
    assert figures.centres.tolist() == [[300, 200], [100, 90], [100, 100], [10, 100]]
    for patch, (x, y) in zip(figures.pixels[:3], ((300, 200), (100, 90), (100, 100)), strict=True):
        assert np.array_equal(patch, pixels[y - 64 : y + 64, x - 64 : x + 64])
    assert (figures.pixels[3, :, :54] == 255).all()
    assert np.array_equal(figures.pixels[3, :, 54:], pixels[36:164, :74])


def test_slides_of_one_file_name_stay_apart(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_aperio(tmp_path / folder / "1.tiff", [position_colours(128, 128)])
    table = tmp_path / "figures.csv"
    table.write_text("slide,x,y,label\na/1.tiff,64,64,AMF\nb/1.tiff,64,64,NMF\n")
    figures = read_data("slides", table).training
    assert len(set(figures.slides)) == len(set(figures.names)) == 2


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights there")
def test_slides_keep_the_names_of_links_and_are_one_slide_all_the_same(tmp_path: Path) -> None:
    """A pseudonym is not undone in what a model lists as seen; yet the same figure is not read twice."""
    write_aperio(tmp_path / "Jane-Doe.tiff", [position_colours(400, 300)])
    (tmp_path / "case-1.tiff").symlink_to(tmp_path / "Jane-Doe.tiff")
    table = tmp_path / "figures.csv"
    table.write_text("slide,x,y,label\ncase-1.tiff,64,64,AMF\ncase-1.tiff,164,64,NMF\n")
    assert set(read_data("slides", table).training.slides) == {"case-1.tiff"}
    table.write_text("slide,x,y,label\ncase-1.tiff,64,64,AMF\nJane-Doe.tiff,64,64,NMF\n")
    with pytest.raises(InvalidOption, match="the same figure as in row 2"):
        read_data("slides", table)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "a.tiff,64,64,AMF,\na.tiff,400,10,NMF,\n",
            r"row 3, column x: .*x 400, y 10 lies off a\.tiff.*400 x 300",
        ),
        ("a.tiff,-1,64,AMF,\n", "row 2, column x: .* lies off"),
        ("scn.scn,10,10,AMF,\n", r"row 2, column x: .* pixels in 256 x 256 px at x 512, y 512"),
        ("none.svs,64,64,AMF,\n", r"row 2, column slide: .*none\.svs: no such file"),
        ("figures.csv,64,64,AMF,\n", "row 2, column slide: .*not a slide"),
        (
            "b.tiff,64,64,AMF,\n",
            "row 2, column slide: .*no pixel size .*state its um/px of level 0 in a column mpp",
        ),
        ("b.tiff,64,64,AMF,0.9\n", "row 2, column slide: .*coarser than 0.6 um/px.*; state its um/px"),
        ("b.tiff,64,64,AMF,0.25\nb.tiff,70,90,AMF,0.5\n", "row 3, column mpp: 0.5, but 0.25 in row 2"),
        ("a.tiff,64,,AMF,\n", "row 2, column y: is empty"),
        ("a.tiff,64,1,AMF,\na.tiff,64,1.0,NMF,\n", "row 3, column x: the same figure as in row 2"),
    ],
)
def test_a_figure_that_cannot_be_cut_is_refused_with_its_row(tmp_path: Path, rows: str, message: str) -> None:
    write_aperio(tmp_path / "a.tiff", [position_colours(400, 300)])
    write_tiff(tmp_path / "b.tiff", position_colours(400, 300))
    write_scn(tmp_path / "scn.scn", position_colours(256, 256), at=(512, 512), collection=(1024, 1024))
    table = tmp_path / "figures.csv"
    table.write_text("slide,x,y,label,mpp\n" + rows)
    with pytest.raises(InvalidOption, match=message) as caught:
        read_data("slides", table)
    assert "--" not in str(caught.value)


def test_a_slide_damaged_where_a_figure_lies_is_refused_with_its_row(tmp_path: Path) -> None:
    path = write_aperio(tmp_path / "a.tiff", [position_colours(1024, 256)], tile=256)
    content = bytearray(path.read_bytes())
    # The last tiles of level 0 lie before the thumbnail: garbage in the middle of the file hits them.
    middle = len(content) // 2
    content[middle : middle + 200] = b"\xff" * 200
    path.write_bytes(content)
    table = tmp_path / "figures.csv"
    table.write_text("slide,x,y,label\n" + "".join(f"a.tiff,{x},128,AMF\n" for x in (128, 384, 640, 896)))
    with pytest.raises(InvalidOption, match=r"row [2-5], column x: cannot be read: .*; take the row out"):
        read_data("slides", table)


def test_the_description_counts_classes_parts_domains_and_leaks(midog25: Path) -> None:
    data = read_data("midog25", midog25)
    text = describe([data, data], SplitRecipe(folds=2))
    rows = {line[:26].strip(): line[26:].split() for line in text.splitlines()}
    assert rows["all"] == ["3", "1", "2", "66.7", "2", "2", "0"]
    assert rows["domain canine lung cancer"][:4] == ["2", "1", "1", "50.0"]
    assert "no folds: MIDOG25: fold 0 of 2 has no NMF" in text
    assert "those asked agree on 2 of 3 figures (66.7 %)" in text
    assert "expert 3: 1 AMF of 1; with the label 100.0 %" in text
    assert "MIDOG25 and MIDOG25 share 3 figures and 2 slides" in text


def test_the_description_of_patches_tells_padding_subtypes_and_what_is_unknown(patches: Path) -> None:
    pixels = np.full((64, 64, 3), 9, np.uint8)
    Image.fromarray(pixels).save(patches.parent / "a.png")
    Image.fromarray(pixels * 2).save(patches.parent / "in" / "b.png")
    pixels[:, :7] = 0
    Image.fromarray(pixels).save(patches.parent / "c.png")
    text = describe([read_data("csv", patches)], None)
    rows = {line.split("  ")[0]: line.split()[-1] for line in text.splitlines() if line}
    assert (rows["all"], rows["training"], rows["test"]) == ("1", "1", "0")
    assert "1 and unknown" in text
    assert re.search(r"^  AMF other +1$", text, re.MULTILINE)
    assert "not every slide is known of mine training: " in text
    assert "none found" in text
