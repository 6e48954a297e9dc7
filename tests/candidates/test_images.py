"""Which image of a file of several is the slide's."""

from __future__ import annotations

from pathlib import Path

import pytest

from slidemitosis.candidates.images import choose_image
from slidemitosis.errors import UnreadableCandidates
from tests.candidates.checks import refused

PATH = Path("many.csv")


def chosen(slide_name: str | None, *names: str) -> str | None:
    return choose_image(dict.fromkeys(names, 1), path=PATH, slide_name=slide_name)


@pytest.mark.parametrize(
    ("slide_name", "names", "expected"),
    [
        ("002.tiff", ["001.tiff", "002.tiff"], "002.tiff"),
        ("A.SVS", ["a.svs", "b.svs"], "a.svs"),
        ("a.svs", ["cohort/A.svs", "b.svs"], "cohort/A.svs"),
        ("a.svs", ["C:\\slides\\a.svs", "b.svs"], "C:\\slides\\a.svs"),
        # The file was converted; its name but for the suffix is the same.
        ("a.tiff", ["a.svs", "b.svs"], "a.svs"),
        ("a.ome.tiff", ["a.svs", "b.svs"], "a.svs"),
        # The whole name goes before the stem.
        ("a.svs", ["a.ndpi", "a.svs"], "a.svs"),
        ("e\N{COMBINING ACUTE ACCENT}.svs", ["\N{LATIN SMALL LETTER E WITH ACUTE}.svs", "b.svs"], None),
    ],
)
def test_the_slide_is_known_by_its_name_or_else_by_its_stem(
    slide_name: str, names: list[str], expected: str | None
) -> None:
    assert chosen(slide_name, *names) == (expected or names[0])


def test_no_image_is_taken_because_its_name_begins_alike() -> None:
    with pytest.raises(UnreadableCandidates, match=r"none of its 2 images is the slide '1\.tiff'"):
        chosen("1.tiff", "001.tiff", "11.tiff")


def test_two_images_of_the_slides_name_are_refused_with_both() -> None:
    with pytest.raises(
        UnreadableCandidates, match=r"2 of its images are .* 'x/a.svs' \(1\), 'y/a.svs' \(1\);"
    ):
        chosen("a.svs", "x/a.svs", "y/a.svs", "b.svs")


def test_several_images_without_a_slide_are_refused_with_ten_of_them() -> None:
    message = refused(PATH, chosen, None, *(f"{n:03}.tiff" for n in range(1, 504)))
    assert message.startswith("many.csv: holds the objects of 503 images, '001.tiff' (1), ")
    assert "'010.tiff' (1) and 493 more;" in message
    assert "011" not in message


def test_a_file_of_one_image_is_taken_under_any_name_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert chosen("b.svs", "a.svs") == "a.svs"
    (warning,) = caplog.messages
    assert "its image is 'a.svs', and the slide is b.svs" in warning
    caplog.clear()
    assert chosen(None, "a.svs") == chosen("a.svs", "a.svs") == "a.svs"
    assert not caplog.messages


def test_a_file_of_no_image_has_none() -> None:
    assert chosen("a.svs") is None
