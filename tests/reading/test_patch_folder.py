"""Folders of patches: every PNG in the order of the names, and none that is anything else."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from slidemitosis.errors import UnreadableStack
from slidemitosis.reading.patch_folder import PatchFolder
from tests.command import refused, run
from tests.models.tiny import drawn_patches

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIDE = 16
PATCHES = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)
NAMES = ("b.png", "a.PNG", "d.png", "c 1.png", "c 2.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "patches"
    found.mkdir()
    for name, pixels in zip(NAMES, PATCHES, strict=True):
        Image.fromarray(pixels).save(found / name, "PNG")
    (found / "notes.txt").write_text("no patch")
    (found / ".hidden.png").write_text("no patch")
    return found


@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_patches_come_in_the_order_of_their_names(folder: Path, size: int) -> None:
    with PatchFolder(folder, side=SIDE) as patches:
        batches = list(patches.batches(size))
        assert len(patches) == 5
    order = np.argsort(NAMES)
    assert np.array_equal(np.concatenate(batches), PATCHES[order])


def wrong_size(file: Path) -> None:
    Image.new("RGB", (SIDE, SIDE + 1)).save(file)


def with_alpha(file: Path) -> None:
    Image.new("RGBA", (SIDE, SIDE)).save(file)


def a_jpeg(file: Path) -> None:
    Image.new("RGB", (SIDE, SIDE)).save(file, "JPEG")


def no_image(file: Path) -> None:
    file.write_bytes(b"no image")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (wrong_size, "is 16 x 17 px; patches of 16 x 16 px"),
        (with_alpha, "has pixels of the kind RGBA; patches of 16 x 16 px, RGB with 8 bit"),
        (a_jpeg, "is damaged, or no PNG"),
        (no_image, "is damaged, or no PNG"),
    ],
)
def test_a_file_that_is_no_patch_is_named(folder: Path, make: Callable[[Path], None], told: str) -> None:
    make(folder / "e.png")
    with pytest.raises(UnreadableStack, match=f"e.png: {told}"):
        PatchFolder(folder, side=SIDE)


def test_a_png_that_is_cut_off_is_no_black_patch(folder: Path) -> None:
    file = folder / "d.png"
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(UnreadableStack, match=r"d\.png: is damaged"):
        list(PatchFolder(folder, side=SIDE).batches(5))


@pytest.mark.slow
def test_a_folder_gets_a_row_for_each_file(tmp_path: Path) -> None:
    folder = tmp_path / "patches"
    folder.mkdir()
    pixels = drawn_patches(3)
    for name, patch in zip(("z", "x", "y"), pixels, strict=True):
        Image.fromarray(patch).save(folder / f"{name}.png")
    done = run("patches", folder, "--out", tmp_path / "calls.csv", "--model", "lite0")
    assert done.returncode == 0, done.stderr
    stack = tmp_path / "stack.tif"
    first, *others = [Image.fromarray(pixels[i]) for i in (1, 2, 0)]
    first.save(stack, save_all=True, append_images=others)
    assert run("patches", stack, "--out", tmp_path / "stack.csv", "--model", "lite0").returncode == 0
    ours, theirs = (
        list(csv.DictReader((tmp_path / name).read_text().splitlines()))
        for name in ("calls.csv", "stack.csv")
    )
    assert [row.pop("file") for row in ours] == ["x.png", "y.png", "z.png"]
    assert [row.pop("page") for row in theirs] == ["1", "2", "3"]
    assert ours == theirs
    (tmp_path / "none").mkdir()
    assert "holds no PNG" in refused("patches", tmp_path / "none", "--out", tmp_path / "x.csv")
