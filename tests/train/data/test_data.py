"""Figures, and the published layouts: what belongs together stays together, and bad input is one line."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from slidemitosis.errors import InvalidOption
from slidemitosis.train.data.figures import Figures, LabelledData, join
from slidemitosis.train.data.read import read_data
from tests.conftest import needs_shared
from tests.train.drawn import read_rows, write_image, write_rows

if TYPE_CHECKING:
    from collections.abc import Callable

# (data set, number, atypical, slide, training)
ROWS = [
    ("MIDOG21", 1, False, "a.tiff", True),
    ("MIDOG21", 2, True, "a.tiff", True),
    ("TUPAC", 1, True, "b.tiff", False),
    ("TUPAC", 7, False, "b.tiff", False),
    ("TUPAC", 9, False, "c.tiff", True),
]
NAMES = [f"{row[0]}_{row[1]}.png" for row in ROWS]


def patch_path(root: Path, index: int) -> Path:
    return root / "patches" / ("atypical" if ROWS[index][2] else "normal") / NAMES[index]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """AMi-Br in small, as published; the patch of row i has the colour (i, 10, 200)."""
    labels = [
        {
            "slide": slide,
            "dataset": name,
            "uid": uid,
            "x": 5 + i,
            "y": 700 + i,
            "expert1_label": "AMF bipolar assymetric" if atypical else "NMF ring shape",
            "expert2_label": "NMF metaphase",
            "expert1_atypical": atypical,
            "expert2_atypical": False,
            "expert3_atypical": atypical,
            "majority_atypical": atypical,
        }
        for i, (name, uid, atypical, slide, _) in enumerate(ROWS)
    ]
    write_rows(tmp_path / "AMI-BR.csv", labels)
    # The split's order is not that of the labels.
    training = [
        {"dataset_uid": name, "final_label": "x"} for name, row in zip(NAMES, ROWS, strict=True) if row[4]
    ]
    write_rows(tmp_path / "amibr_train_split.csv", training[::-1])
    for i in range(len(ROWS)):
        write_image(patch_path(tmp_path, i), (i, 10, 200))
    return tmp_path


def test_everything_of_a_figure_stays_together(root: Path) -> None:
    data = read_data("ami-br", root)
    assert data.name == "AMi-Br"
    assert data.test is not None
    assert data.training.names == (NAMES[4], NAMES[1], NAMES[0])
    assert data.test.names == (NAMES[2], NAMES[3])
    for figures in (data.training, data.test):
        assert figures.pixels.shape == (len(figures), 128, 128, 3)
        for k, name in enumerate(figures.names):
            i = NAMES.index(name)
            dataset, _, atypical, slide, _ = ROWS[i]
            assert (figures.pixels[k] == [i, 10, 200]).all()
            assert figures.atypical[k] == atypical
            assert (figures.slides[k], figures.patients[k], figures.domains[k]) == (slide, slide, dataset)
            assert figures.votes[k].tolist() == [atypical, 0, atypical]
            assert figures.hard[k] == atypical
            assert figures.centres[k].tolist() == [5 + i, 700 + i]
            first = "AMF bipolar asymmetric" if atypical else "NMF ring shape"
            assert figures.subtypes[k] == (first, "NMF metaphase")
            assert figures.data[k] == "AMi-Br"


def test_hashes_are_those_of_the_tables_and_of_all_pixels(root: Path) -> None:
    data = read_data("ami-br", root)
    assert data.test is not None
    pixels = data.training.pixels.tobytes() + data.test.pixels.tobytes()
    assert data.hashes == {
        "AMI-BR.csv": hashlib.sha256((root / "AMI-BR.csv").read_bytes()).hexdigest(),
        "amibr_train_split.csv": hashlib.sha256((root / "amibr_train_split.csv").read_bytes()).hexdigest(),
        "pixels": hashlib.sha256(pixels).hexdigest(),
    }


def test_taken_figures_keep_what_belongs_to_them(root: Path) -> None:
    train = read_data("ami-br", root).training
    taken = train.take([2, 0])
    for column in ("names", "slides", "patients", "domains", "subtypes", "data"):
        values = getattr(train, column)
        assert getattr(taken, column) == (values[2], values[0])
    for column in ("pixels", "atypical", "votes", "centres"):
        assert np.array_equal(getattr(taken, column), getattr(train, column)[[2, 0]])


def test_joined_figures_are_all_there_and_unasked_experts_are_nan(root: Path, tmp_path: Path) -> None:
    first = read_data("ami-br", root).training
    write_image(tmp_path / "other" / "Normal" / "1.png", (1, 2, 3))
    second = read_data("folder", tmp_path / "other").training
    joined = join([first, second])
    assert joined.names == first.names + second.names
    assert joined.data == ("AMi-Br",) * 3 + ("other",)
    assert np.array_equal(joined.take([0, 1, 2]).votes, first.votes)
    assert np.isnan(joined.votes[3]).all()
    assert joined.hard.tolist() == [*first.hard, False]
    assert joined.pixels[3, 0, 0].tolist() == [1, 2, 3]


def test_patches_of_other_sizes_are_not_joined(root: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "other" / "Normal" / "1.png", (1, 2, 3), (64, 64))
    with pytest.raises(InvalidOption, match="AMi-Br 128 px, other 64 px"):
        join([read_data(n, p).training for n, p in (("ami-br", root), ("folder", tmp_path / "other"))])


def test_figures_with_columns_of_other_lengths_are_refused(root: Path) -> None:
    f = read_data("ami-br", root).training
    columns = [f.pixels, f.atypical, f.votes, f.subtypes, f.slides, f.patients, f.domains, f.centres, f.data]
    with pytest.raises(InvalidOption, match="1 names, but not as many pixels"):
        Figures(("a",), *columns)  # type: ignore[arg-type]


def drop_column(name: str, file: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        rows = [{k: v for k, v in row.items() if k != name} for row in read_rows(root / file)]
        write_rows(root / file, rows)

    return change


def replace_in(file: str, old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        text = (root / file).read_text()
        assert old in text
        (root / file).write_text(text.replace(old, new, 1))

    return change


LABELS, SPLIT = "AMI-BR.csv", "amibr_train_split.csv"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            drop_column("slide", LABELS),
            r"AMI-BR\.csv: lacks the columns slide; its columns.* are dataset, uid",
        ),
        (drop_column("majority_atypical", LABELS), "lacks the columns majority_atypical"),
        (drop_column("dataset_uid", SPLIT), r"split\.csv: lacks the columns dataset_uid"),
        (replace_in(LABELS, "b.tiff", "a.tiff"), "slides in both training and test: a.tiff"),
        (replace_in(LABELS, "False\n", "no\n"), "row 2, column majority_atypical: label 'no' is not known"),
        (
            replace_in(LABELS, "NMF metaphase", "NMF metafase"),
            "row 2, column expert2_label: .*did you mean 'NMF metaphase'",
        ),
        (replace_in(LABELS, ",701,", ",7 01,"), "row 3, column y: '7 01' is not a number"),
        (replace_in(LABELS, "MIDOG21,2", "MIDOG21,1"), "row 3, column uid: the same figure as in row 2"),
        (replace_in(LABELS, "\na.tiff", "\n"), "row 2, column slide: is empty"),
        (replace_in(LABELS, "a.tiff", "a,b.tiff"), "row 2 has 12 cells, the header 11"),
        (
            replace_in(SPLIT, "TUPAC_9", "TUPAC_8"),
            r"row 2, column dataset_uid: TUPAC_8\.png is not in AMI-BR",
        ),
        (replace_in(SPLIT, "MIDOG21_2", "TUPAC_9"), "row 3, .*the same figure as in row 2"),
        (lambda root: (root / LABELS).unlink(), r"AMI-BR\.csv: cannot be read: No such file"),
        (lambda root: (root / LABELS).write_bytes(b"\xff\xfe\x00"), r"AMI-BR\.csv: cannot be read: "),
        (lambda root: (root / LABELS).write_text(""), "the file has no rows"),
        (
            lambda root: (root / SPLIT).write_text("dataset_uid\n"),
            r"split\.csv: has no rows below its header",
        ),
        (lambda root: patch_path(root, 3).unlink(), r"TUPAC_7\.png: no such image \(AMI-BR\.csv, row 5\)"),
        (
            lambda root: patch_path(root, 3).write_bytes(b"GIF89a"),
            r"TUPAC_7\.png: cannot be read as an image",
        ),
        (
            lambda root: patch_path(root, 3).write_bytes(patch_path(root, 3).read_bytes()[:90]),
            r"TUPAC_7\.png: cannot be read as an image",
        ),
        (
            lambda root: write_image(patch_path(root, 3), (0, 0, 0), (64, 128)),
            r"TUPAC_7\.png: is 64 x 128 px, not 128 x 128",
        ),
        (
            lambda root: Image.new("I;16", (128, 128)).save(patch_path(root, 3)),
            r"TUPAC_7\.png: pixels are of mode I;16, not 8 bits",
        ),
    ],
)
def test_a_layout_that_is_not_as_published_is_refused(
    root: Path, change: Callable[[Path], None], message: str
) -> None:
    change(root)
    with pytest.raises(InvalidOption, match=message) as caught:
        read_data("ami-br", root)
    assert str(root) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_patches_of_other_modes_are_read_as_rgb(root: Path) -> None:
    Image.new("RGBA", (128, 128), (1, 2, 3, 255)).save(patch_path(root, 0))
    Image.new("L", (128, 128), 9).save(patch_path(root, 1))
    train = read_data("ami-br", root).training
    assert train.pixels[2, 0, 0].tolist() == [1, 2, 3]
    assert train.pixels[1, 0, 0].tolist() == [9, 9, 9]


def test_an_unknown_layout_is_told_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="no data layout 'amibr'; did you mean 'ami-br'"):
        read_data("amibr", tmp_path)
    with pytest.raises(InvalidOption, match=r"absent: no such file or folder; give its place as ami-br=PATH"):
        read_data("ami-br", tmp_path / "absent")


@pytest.mark.parametrize("names", [("Atypical", "Normal"), ("atypical", "normal")])
def test_folders_are_classes_and_numbers_the_order(tmp_path: Path, names: tuple[str, str]) -> None:
    write_image(tmp_path / names[0] / "10.png", (10, 0, 0))
    write_image(tmp_path / names[1] / "9.png", (9, 0, 0))
    write_image(tmp_path / names[1] / "100.png", (100, 0, 0))
    write_image(tmp_path / "other" / "4.png", (4, 0, 0))
    (tmp_path / names[1] / "._9.png").write_bytes(b"left by an archive")
    for layout in ("folder", "atnorm-br", "atnorm-md"):
        figures = read_data(layout, tmp_path).training
        assert figures.names == ("9.png", "10.png", "100.png")
        assert figures.atypical.tolist() == [0, 1, 0]
        assert figures.pixels[:, 0, 0, 0].tolist() == [9, 10, 100]
        assert figures.slides == figures.patients == ("", "", "")
        assert figures.votes.shape == (3, 0)
        assert not figures.hard.any()


def test_a_name_in_both_folders_keeps_its_folder(tmp_path: Path) -> None:
    write_image(tmp_path / "Atypical" / "1.png", (2, 0, 0))
    write_image(tmp_path / "Normal" / "1.png", (1, 0, 0))
    assert read_data("folder", tmp_path).training.names == ("Normal/1.png", "Atypical/1.png")
    (tmp_path / "expert_votes.csv").write_text("Filename,Expert_1,Majority\n1.png,Normal,Normal\n")
    with pytest.raises(InvalidOption, match=r"1\.png is in both folders"):
        read_data("folder", tmp_path)


def test_folders_without_figures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="no PNG files"):
        read_data("folder", tmp_path)


VOTES = "Filename,Expert_2,Expert_1,Expert_10,Majority\n"


def test_votes_are_those_of_the_figure_in_the_experts_order(tmp_path: Path) -> None:
    write_image(tmp_path / "Atypical" / "2.png", (2, 0, 0))
    write_image(tmp_path / "Normal" / "1.png", (1, 0, 0))
    (tmp_path / "expert_votes.csv").write_text(
        VOTES + "2.png,Normal,Atypical,Atypical,Atypical\n1.png,Normal,Normal,,Normal\n"
    )
    figures = read_data("atnorm-md", tmp_path).training
    assert np.array_equal(figures.votes, np.array([[0, 0, np.nan], [1, 0, 1]]), equal_nan=True)
    assert figures.hard.tolist() == [False, True]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("1.png,Normal,Normal,Normal,Normal\n", r"has no row for 2\.png"),
        (
            "1.png,Normal,Normal,Normal,Normal\n2.png,Normal,Atypical,Atypical,Normal\n",
            r"row 3, column Majority: 2\.png is Normal here but lies in the folder Atypical",
        ),
        ("1.png,Normal,Normal,what,Normal\n2.png,,,,Atypical\n", "row 2, column Expert_10: label 'what'"),
        ("1.png,,,,Normal\n1.png,,,,Normal\n", "row 3, column Filename: the same figure as in row 2"),
    ],
)
def test_votes_that_contradict_the_folders_are_refused(tmp_path: Path, rows: str, message: str) -> None:
    write_image(tmp_path / "Atypical" / "2.png", (2, 0, 0))
    write_image(tmp_path / "Normal" / "1.png", (1, 0, 0))
    (tmp_path / "expert_votes.csv").write_text(VOTES + rows)
    with pytest.raises(InvalidOption, match=message):
        read_data("atnorm-md", tmp_path)


def test_labels_that_most_experts_speak_against_are_used_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_image(tmp_path / "Normal" / "1.png", (1, 0, 0))
    (tmp_path / "expert_votes.csv").write_text(VOTES + "1.png,Atypical,Atypical,Normal,Normal\n")
    assert read_data("atnorm-md", tmp_path).training.atypical.tolist() == [0]
    assert "1 labels are not what most of their experts said, such as that of 1.png" in caplog.text


@pytest.fixture(scope="module")
def ami_br() -> LabelledData:
    return read_data("ami-br", needs_shared("data", "ami-br"))


def test_ami_br_has_the_published_counts(ami_br: LabelledData) -> None:
    assert ami_br.test is not None
    assert [(len(f), int(f.atypical.sum()), len(set(f.slides))) for f in (ami_br.training, ami_br.test)] == [
        (2894, 648, 146),
        (826, 184, 56),
    ]
    assert not set(ami_br.training.slides) & set(ami_br.test.slides)
    both = join([ami_br.training, ami_br.test])
    assert both.pixels.any((1, 2, 3)).all()
    first = [s[0] for s in both.subtypes]
    assert (first.count("NMF prometaphase"), first.count("AMF bipolar asymmetric")) == (1527, 59)
    assert round(float(np.mean([s[0] == s[1] for s in both.subtypes])), 3) == 0.706
    assert np.array_equal(both.votes.sum(axis=1) >= 2, both.atypical == 1)


def test_the_test_figures_are_those_of_the_published_benchmark(ami_br: LabelledData) -> None:
    assert ami_br.test is not None
    official = needs_shared("data", "ami-br", "test_names.txt").read_text().split()
    assert sorted(ami_br.test.names) == sorted(official)
    assert len(official) == len(set(official)) == 826


def test_atnorm_md_is_read_in_the_order_of_its_slides() -> None:
    data = read_data("atnorm-md", needs_shared("data", "atnorm-md-dev"))
    assert data.test is None
    figures = data.training
    assert (len(figures), int(figures.atypical.sum()), figures.votes.shape[1]) == (1053, 95, 5)
    numbers = [int(Path(n).stem) for n in figures.names]
    assert numbers == sorted(numbers)
    assert np.array_equal(figures.votes.sum(axis=1) >= 3, figures.atypical == 1)
