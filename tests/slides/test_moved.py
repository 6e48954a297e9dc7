"""Files that were moved: found by name, each once, the same whatever the order of the file system."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slidemitosis.errors import InvalidOption
from slidemitosis.slides.moved import find_by_name, is_there

if TYPE_CHECKING:
    from collections.abc import Iterator


def made(*places: Path) -> tuple[Path, ...]:
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    return places


def test_every_file_of_a_name_is_found_at_any_depth_and_no_other(tmp_path: Path) -> None:
    deep, flat = made(tmp_path / "x/y/z/a.svs", tmp_path / "x/a.svs")
    made(tmp_path / "x/b.svs", tmp_path / "elsewhere/a.svs")
    (tmp_path / "x/q/a.svs").mkdir(parents=True)
    assert find_by_name({"a.svs", "c.svs"}, [tmp_path / "x"]) == {"a.svs": [flat, deep], "c.svs": []}


def test_a_file_that_is_reached_twice_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (real,) = made(tmp_path / "b/a.svs")
    (tmp_path / "c").mkdir()
    (tmp_path / "c/a.svs").symlink_to(real)
    (tmp_path / "folder").symlink_to(tmp_path / "b")
    (tmp_path / "loop").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    folders = [tmp_path / "c/..", Path("b"), tmp_path / "folder", tmp_path]
    assert find_by_name({"a.svs"}, folders) == {"a.svs": [real]}


def test_the_answer_does_not_depend_on_the_order_in_which_folders_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (real,) = made(tmp_path / "m/other.svs")
    for name in ("c", "a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "s.svs").symlink_to(real)
    walk = os.walk

    def backwards(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        for parent, below, files in walk(folder):
            below.sort(reverse=True)
            yield parent, below, files

    found = find_by_name({"s.svs"}, [tmp_path])
    monkeypatch.setattr(os, "walk", backwards)
    assert find_by_name({"s.svs"}, [tmp_path]) == found == {"s.svs": [tmp_path / "a/s.svs"]}


def test_a_link_to_nothing_is_no_file(tmp_path: Path) -> None:
    (real,) = made(tmp_path / "x/a.svs")
    (tmp_path / "a.svs").symlink_to(tmp_path / "gone")
    assert find_by_name({"a.svs"}, [tmp_path]) == {"a.svs": [real]}


def test_what_is_no_folder_is_refused_even_where_nothing_was_moved(tmp_path: Path) -> None:
    (file,) = made(tmp_path / "a.svs")
    for folder in (file, tmp_path / "gone", tmp_path / ("a" * 5000)):
        with pytest.raises(InvalidOption, match=f"^--search {folder}: not a folder$"):
            find_by_name(set(), [folder])


@pytest.mark.parametrize("text", ["a" * 5000, "a\0b", "nowhere/a.svs"])
def test_what_cannot_be_a_path_is_not_there(tmp_path: Path, text: str) -> None:
    assert not is_there(tmp_path / text)
    assert is_there(tmp_path)
