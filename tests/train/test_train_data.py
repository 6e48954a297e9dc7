"""Labelled figures: the published layouts, the published split, and folds that share no slide."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from slidemitosis.errors import InvalidOption
from slidemitosis.train.__main__ import fold_rows
from slidemitosis.train.data import Figures, read_ami_br, read_folders
from slidemitosis.train.recipe import load_recipe

if TYPE_CHECKING:
    from collections.abc import Callable

AMI_BR = Path(__file__).resolve().parents[3] / "shared" / "data" / "ami-br"

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


def draw(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (128, 128)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def write_csv(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """AMi-Br in small, as published; the patch of row i has the colour (i, 10, 200)."""
    labels: list[dict[str, object]] = [
        {"slide": slide, "dataset": name, "uid": uid, "x": 5, "majority_atypical": atypical}
        for name, uid, atypical, slide, _ in ROWS
    ]
    write_csv(tmp_path / "AMI-BR.csv", labels)
    # The split's order is not that of the labels.
    training: list[dict[str, object]] = [
        {"dataset_uid": name, "final_label": "x"} for name, row in zip(NAMES, ROWS, strict=True) if row[4]
    ]
    write_csv(tmp_path / "amibr_train_split.csv", training[::-1])
    for i in range(len(ROWS)):
        draw(patch_path(tmp_path, i), (i, 10, 200))
    return tmp_path


def test_figures_labels_slides_and_pixels_stay_together(root: Path) -> None:
    train, test = read_ami_br(root)
    assert train.names == (NAMES[4], NAMES[1], NAMES[0])
    assert test.names == (NAMES[2], NAMES[3])
    for figures in (train, test):
        assert figures.pixels.shape == (len(figures), 128, 128, 3)
        for name, pixels, atypical, slide in zip(
            figures.names, figures.pixels, figures.atypical, figures.slides, strict=True
        ):
            i = NAMES.index(name)
            assert np.array_equal(pixels, np.broadcast_to(np.array([i, 10, 200]), (128, 128, 3)))
            assert (bool(atypical), slide) == (ROWS[i][2], ROWS[i][3])


def test_taken_figures_keep_what_belongs_to_them(root: Path) -> None:
    train, _ = read_ami_br(root)
    taken = train.take([2, 0])
    assert taken.names == (train.names[2], train.names[0])
    assert taken.slides == (train.slides[2], train.slides[0])
    assert np.array_equal(taken.pixels, train.pixels[[2, 0]])
    assert np.array_equal(taken.atypical, train.atypical[[2, 0]])


def drop_column(name: str, file: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        with (root / file).open(newline="") as f:
            rows = [{k: v for k, v in row.items() if k != name} for row in csv.DictReader(f)]
        write_csv(root / file, [dict(row) for row in rows])

    return change


def replace_in(file: str, old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        text = (root / file).read_text()
        assert old in text
        (root / file).write_text(text.replace(old, new))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_column("slide", "AMI-BR.csv"), r"AMI-BR\.csv: .*lacks the columns slide"),
        (drop_column("majority_atypical", "AMI-BR.csv"), "lacks the columns majority_atypical"),
        (drop_column("dataset_uid", "amibr_train_split.csv"), r"split\.csv: .*lacks the columns dataset_uid"),
        (replace_in("AMI-BR.csv", "b.tiff", "a.tiff"), "slides in both training and test: a.tiff"),
        (
            replace_in("AMI-BR.csv", "True", "TRUE"),
            "majority_atypical is 'TRUE' for uid 2, not True or False",
        ),
        (replace_in("amibr_train_split.csv", "TUPAC_9", "TUPAC_8"), r"1 training rows .*: TUPAC_8\.png"),
        (lambda root: (root / "AMI-BR.csv").unlink(), r"AMI-BR\.csv: cannot be read: No such file"),
        (lambda root: (root / "AMI-BR.csv").write_bytes(b"\xff\xfe\x00"), r"AMI-BR\.csv: cannot be read: "),
        (lambda root: (root / "AMI-BR.csv").write_text(""), "no rows"),
        (lambda root: patch_path(root, 3).unlink(), r"TUPAC_7\.png: cannot be read as an image"),
        (
            lambda root: patch_path(root, 3).write_bytes(b"GIF89a"),
            r"TUPAC_7\.png: cannot be read as an image",
        ),
        (
            lambda root: patch_path(root, 3).write_bytes(patch_path(root, 3).read_bytes()[:90]),
            r"TUPAC_7\.png: cannot be read as an image",
        ),
        (
            lambda root: draw(patch_path(root, 3), (0, 0, 0), (64, 128)),
            r"TUPAC_7\.png: is 64 x 128 px, not 128 x 128",
        ),
    ],
)
def test_a_layout_that_is_not_as_published_is_refused(
    root: Path, change: Callable[[Path], None], message: str
) -> None:
    change(root)
    with pytest.raises(InvalidOption, match=message) as caught:
        read_ami_br(root)
    assert str(root) in str(caught.value)


def test_patches_of_other_modes_are_read_as_rgb(root: Path) -> None:
    Image.new("RGBA", (128, 128), (1, 2, 3, 255)).save(patch_path(root, 0))
    Image.new("L", (128, 128), 9).save(patch_path(root, 1))
    train, _ = read_ami_br(root)
    assert train.pixels[2, 0, 0].tolist() == [1, 2, 3]
    assert train.pixels[1, 0, 0].tolist() == [9, 9, 9]


@pytest.mark.parametrize("names", [("Atypical", "Normal"), ("atypical", "normal")])
def test_folders_are_classes(tmp_path: Path, names: tuple[str, str]) -> None:
    draw(tmp_path / names[0] / "2.png", (2, 0, 0))
    draw(tmp_path / names[1] / "1.png", (1, 0, 0))
    draw(tmp_path / names[1] / "3.png", (3, 0, 0))
    draw(tmp_path / "other" / "4.png", (4, 0, 0))
    figures = read_folders(tmp_path)
    assert figures.names == ("2.png", "1.png", "3.png")
    assert figures.atypical.tolist() == [1, 0, 0]
    assert figures.pixels[:, 0, 0, 0].tolist() == [2, 1, 3]
    assert figures.slides == ("", "", "")


def test_folders_without_figures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="no PNG files"):
        read_folders(tmp_path)


def drawn_figures(seed: int = 0, *, slides: int = 23, n: int = 200) -> Figures:
    rng = np.random.default_rng(seed)
    of = [f"{i}.tiff" for i in rng.integers(0, slides, n)]
    atypical = rng.integers(0, 2, n)
    return Figures(tuple(map(str, range(n))), np.zeros((n, 1, 1, 3), np.uint8), atypical, tuple(of))


def assert_folds_are_sound(figures: Figures) -> None:
    recipe = load_recipe("lite0")
    validated: list[int] = []
    for fold in range(recipe.folds):
        train, validation = fold_rows(figures, recipe, fold)
        assert not {figures.slides[i] for i in train} & {figures.slides[i] for i in validation}
        assert sorted(train + validation) == list(range(len(figures)))
        assert 0 < figures.atypical[validation].mean() < 1
        validated += validation
    assert sorted(validated) == list(range(len(figures)))


@pytest.mark.parametrize("seed", range(3))
def test_folds_share_no_slide_and_cover_every_figure_once(seed: int) -> None:
    assert_folds_are_sound(drawn_figures(seed))


def test_folds_are_the_same_each_time() -> None:
    recipe = load_recipe("lite0")
    assert fold_rows(drawn_figures(), recipe, 2) == fold_rows(drawn_figures(), recipe, 2)


@pytest.mark.parametrize("fold", [-1, 5])
def test_a_fold_that_is_not_there_is_refused(fold: int) -> None:
    with pytest.raises(InvalidOption, match=f"0 to 4, not {fold}"):
        fold_rows(drawn_figures(), load_recipe("lite0"), fold)


@pytest.fixture(scope="module")
def ami_br() -> tuple[Figures, Figures]:
    if not AMI_BR.exists():
        pytest.skip(f"no AMi-Br at {AMI_BR}")
    return read_ami_br(AMI_BR)


def test_ami_br_has_the_published_counts(ami_br: tuple[Figures, Figures]) -> None:
    assert [(len(f), int(f.atypical.sum()), len(set(f.slides))) for f in ami_br] == [
        (2894, 648, 146),
        (826, 184, 56),
    ]
    assert not set(ami_br[0].slides) & set(ami_br[1].slides)
    assert all(f.pixels.any((1, 2, 3)).all() for f in ami_br)


def test_the_test_figures_are_those_of_the_published_benchmark(ami_br: tuple[Figures, Figures]) -> None:
    official = (AMI_BR / "test_names.txt").read_text().split()
    assert sorted(ami_br[1].names) == sorted(official)
    assert len(official) == len(set(official)) == 826


# First 16 digits of the SHA-256 of the validation part's slide names, sorted, a line each: two machines
# that disagree here have trained on different figures.
FOLDS = ["b77e065e0f465739", "af822a2a549fc074", "31983e6d92229d24", "f32ff88474a04ad2", "7b33f463a9e8430d"]


def test_the_folds_of_ami_br_are_the_recorded_ones(ami_br: tuple[Figures, Figures]) -> None:
    train, _ = ami_br
    assert_folds_are_sound(train)
    recipe = load_recipe("lite0")
    parts = [fold_rows(train, recipe, fold)[1] for fold in range(recipe.folds)]
    slides = ["\n".join(sorted({train.slides[i] for i in part})) for part in parts]
    assert [hashlib.sha256(text.encode()).hexdigest()[:16] for text in slides] == FOLDS
