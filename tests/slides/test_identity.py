"""What counts as the same slide."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from slidemitosis.slides.identity import same_slide, slide_identity

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    path = tmp_path / "a.svs"
    path.write_bytes(b"pixels")
    return path


def test_size_and_time_are_enough_whatever_the_name(slide: Path) -> None:
    before = slide_identity(slide)
    moved = slide.rename(slide.with_name("moved.svs"))
    assert same_slide(before, moved, whole=False)


def test_a_copy_is_known_by_its_content_if_every_figure_could_be_read(slide: Path) -> None:
    before = slide_identity(slide)
    os.utime(slide, (1, 1))
    assert same_slide(before, slide, whole=True)
    assert not same_slide(before, slide, whole=False)
    slide.write_bytes(b"pixelt")
    os.utime(slide, (1, 1))
    assert not same_slide(before, slide, whole=True)


def test_a_repaired_slide_is_another_whatever_its_metadata_say(slide: Path) -> None:
    """OpenSlide's quickhash is of the smallest level and the metadata, and so the same after a repair."""
    before = {**slide_identity(slide), "quickhash": "hash"}
    slide.write_bytes(b"pixelt")
    os.utime(slide, (1, 1))
    assert not same_slide(before, slide, whole=True)


def test_another_size_is_another_slide(slide: Path) -> None:
    before = slide_identity(slide)
    slide.write_bytes(b"more pixels")
    assert not same_slide(before, slide, whole=True)


def test_the_samples_of_a_large_file_reach_from_its_first_to_its_last_byte(tmp_path: Path) -> None:
    """Half a copy, whose rest is zeros until it is there, is never the whole."""
    size = 64 * 65536 + 100_000
    whole = tmp_path / "whole.svs"
    whole.write_bytes(os.urandom(size))
    before = slide_identity(whole)
    copied = whole.read_bytes()
    for cut in (size - 1, size // 2):
        part = tmp_path / "part.svs"
        part.write_bytes(copied[:cut] + b"\0" * (size - cut))
        os.utime(part, (1, 1))
        assert not same_slide(before, part, whole=True)
    part.write_bytes(copied)
    os.utime(part, (1, 1))
    assert same_slide(before, part, whole=True)


def test_a_slide_of_several_files_is_known_by_all_of_them(tmp_path: Path) -> None:
    slide = tmp_path / "s.mrxs"
    slide.write_bytes(b"same")
    (tmp_path / "s").mkdir()
    part = tmp_path / "s/Data0001.dat"
    part.write_bytes(b"one")
    before = slide_identity(slide)
    assert same_slide(before, slide, whole=False)
    os.utime(part, (1, 1))
    assert not same_slide(before, slide, whole=False)
    assert same_slide(before, slide, whole=True)
    part.write_bytes(b"two")
    os.utime(part, (1, 1))
    assert not same_slide(before, slide, whole=True)
    part.write_bytes(b"two!")
    assert not same_slide(before, slide, whole=True)


@pytest.mark.parametrize("slide_name", ["s.dcm", "s.vms"])
def test_what_lies_beside_a_slide_and_is_no_part_of_it_changes_nothing(
    tmp_path: Path, slide_name: str
) -> None:
    slide = tmp_path / slide_name
    slide.write_bytes(b"same")
    before = slide_identity(slide)
    (tmp_path / "run.log").write_bytes(b"a line")
    assert slide_identity(slide) == before
