"""What a cohort is read from: a table, a folder of pairs."""

from __future__ import annotations

import os
import shutil
import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis.cohort.lists.read import folder_name, read_cohort
from slidemitosis.errors import InvalidCohort, InvalidOption
from slidemitosis.geometry import PixelSize
from slidemitosis.options import ReadOptions
from tests.slides.test_dicom import dicom

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from slidemitosis.cohort.slides import CohortSlide, Outcome

PLAIN = ReadOptions()


@pytest.fixture
def table(pairs: Path) -> Callable[..., Path]:
    """Writes a table of slides beside the pairs."""

    def write(*lines: str) -> Path:
        path = pairs / "slides.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def problem(slide: CohortSlide) -> Outcome:
    """What is wrong with a slide before it is looked at."""
    assert slide.problem is not None
    return slide.problem


def test_paths_count_from_the_tables_folder(table: Callable[..., Path], pairs: Path) -> None:
    cohort = read_cohort(table("slide,points", "a.svs,a.geojson", "b.svs,b.geojson"), read=PLAIN)
    assert [s.slide for s in cohort.slides] == [pairs / "a.svs", pairs / "b.svs"]
    assert [s.points for s in cohort.slides] == [pairs / "a.geojson", pairs / "b.geojson"]
    assert [s.name for s in cohort.slides] == ["a", "b"]
    assert all(s.problem is None for s in cohort.slides)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_row_overrides_the_runs_options(table: Callable[..., Path], delimiter: str) -> None:
    lines = [
        "Slide|Points|Patient|MPP|origin|candidate class|area_mm2|name|tumour",
        'a.svs|a.geojson|P1|0.23|level0|"MF; Tumor: MF"|12.5|first|melanoma',
        "b.svs|b.geojson|||||||",
    ]
    run_options = ReadOptions(origin="bounds", candidate_classes=("Mitosis",))
    cohort = read_cohort(table(*(line.replace("|", delimiter) for line in lines)), read=run_options)
    first, second = cohort.slides
    assert first.read == ReadOptions(
        mpp=PixelSize(0.23, 0.23), origin="level0", candidate_classes=("MF", "Tumor: MF")
    )
    assert (first.patient, first.area_mm2, first.name) == ("P1", 12.5, "first")
    assert second.read == run_options
    assert (second.patient, second.area_mm2, second.tumour) == (None, None, None)
    assert first.tumour == "melanoma"


def test_further_columns_are_kept_in_their_order(table: Callable[..., Path]) -> None:
    cohort = read_cohort(table("grade,slide,points,site", "2,a.svs,a.geojson,Lyon"), read=PLAIN)
    assert cohort.column_names == ("grade", "site")
    assert dict(cohort.slides[0].columns) == {"grade": "2", "site": "Lyon"}


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["a,b", "1,2"], "no column slide and no column points"),
        (["slide", "a.svs"], "no column points"),
        (["slide,points", ",a.geojson"], "line 2: names no slide"),
        (["slide,points", "a.svs"], "line 2: 1 fields where the first line has 2"),
        (["slide,points,mpp", "a.svs,a.geojson,x"], "line 2: mpp is 'x', not a number above 0"),
        (["slide,points,mpp", "a.svs,a.geojson,-1"], "mpp is '-1'"),
        (["slide,points,mpp_x,mpp_y", "a.svs,a.geojson,1,"], "mpp_x and mpp_y must both be given"),
        (["slide,points,origin", "a.svs,a.geojson,corner"], "origin 'corner' is not known"),
        (["slide,points,area_mm2", "a.svs,a.geojson,inf"], "area_mm2 is 'inf'"),
        (["slide,points,points", "a.svs,a.geojson,x"], "two columns are named 'points'"),
        (["slide,points", "a.svs,a.geojson", "", "a.svs,a.geojson"], "line 4: the same slide and candidates"),
        (["slide,points"], "holds no slide"),
        (["slide,points", 'a.svs,"a.geojson'], "not readable as a table"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_with_its_line(
    table: Callable[..., Path], lines: list[str], told: str
) -> None:
    with pytest.raises(InvalidCohort, match=told) as caught:
        read_cohort(table(*lines), read=PLAIN)
    assert "\n" not in str(caught.value)


def test_a_missing_slide_is_that_slides_failure(table: Callable[..., Path]) -> None:
    cohort = read_cohort(table("slide,points", "a.svs,a.geojson", "gone.svs,a.geojson"), read=PLAIN)
    assert cohort.slides[0].problem is None
    found = problem(cohort.slides[1])
    assert (found.status, found.step) == ("failed", "slide")
    assert "gone.svs: no such file" in (found.cause or "")


def test_a_name_too_long_for_the_system_is_a_slide_that_is_not_there(table: Callable[..., Path]) -> None:
    (slide,) = read_cohort(table("slide,points", f"{'a' * 5000}.svs,a.geojson"), read=PLAIN).slides
    assert "a.svs: no such file" in (problem(slide).cause or "")


def test_a_slide_without_candidates_is_skipped(table: Callable[..., Path]) -> None:
    (slide,) = read_cohort(table("slide,points", "a.svs,"), read=PLAIN).slides
    assert problem(slide).status == "skipped"


def test_moved_slides_are_found_by_name_and_only_if_there_is_one(
    table: Callable[..., Path], pairs: Path, tmp_path: Path
) -> None:
    for place in ("x", "y/z"):
        (tmp_path / place).mkdir(parents=True)
    shutil.move(pairs / "a.svs", tmp_path / "y/z/a.svs")
    written = table("slide,points", "/elsewhere/a.svs,a.geojson", "C:\\scans\\b.svs,b.geojson")
    shutil.move(pairs / "b.svs", tmp_path / "x/b.svs")
    search = [tmp_path / "x", tmp_path / "y"]
    cohort = read_cohort(written, read=PLAIN, search=search)
    assert [s.slide for s in cohort.slides] == [tmp_path / "y/z/a.svs", tmp_path / "x/b.svs"]
    shutil.copy(tmp_path / "y/z/a.svs", tmp_path / "x/a.svs")
    twice = read_cohort(written, read=PLAIN, search=search).slides[0]
    assert "several of its name" in (problem(twice).cause or "")
    with pytest.raises(InvalidOption, match="not a folder"):
        read_cohort(written, read=PLAIN, search=[tmp_path / "nowhere"])


def test_a_folder_pairs_each_slide_with_its_candidates(pairs: Path) -> None:
    (pairs / "c.geojson").rename(pairs / "c.svs.geojson")
    (pairs / "notes.txt").write_text("no slide")
    cohort = read_cohort(pairs, read=PLAIN)
    assert [(s.slide.name, s.points and s.points.name) for s in cohort.slides] == [
        ("a.svs", "a.geojson"),
        ("b.svs", "b.geojson"),
        ("c.svs", "c.svs.geojson"),
    ]


def test_a_folder_does_not_choose_between_two_files_of_candidates(pairs: Path) -> None:
    (pairs / "a.csv").write_text("x,y\n1,2\n")
    (pairs / "b.geojson").unlink()
    a, b, c = read_cohort(pairs, read=PLAIN).slides
    assert (problem(a).status, problem(b).status) == ("failed", "skipped")
    assert "a.csv and a.geojson" in (problem(a).cause or "")
    assert c.problem is None


def test_a_folder_without_slides_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidCohort, match="holds no slide"):
        read_cohort(tmp_path, read=PLAIN)


def test_the_folder_of_a_project_is_told_from_one_of_slides(tmp_path: Path) -> None:
    (tmp_path / "project.qpproj").write_text("{}")
    with pytest.raises(InvalidCohort, match=r"but a QuPath project: give .*project\.qpproj$"):
        read_cohort(tmp_path, read=PLAIN)


def test_a_folder_of_slides_has_none_to_search_for(pairs: Path) -> None:
    with pytest.raises(InvalidOption, match=r"--search: .* none of which can be elsewhere"):
        read_cohort(pairs, read=PLAIN, search=[pairs])


def test_no_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidCohort, match="no such file"):
        read_cohort(tmp_path / "x.csv", read=PLAIN)


def test_a_slide_is_not_counted_twice_by_another_path_or_name(
    table: Callable[..., Path], pairs: Path
) -> None:
    (pairs / "link.svs").symlink_to(pairs / "a.svs")
    for again in ("../pairs/a.svs,a.geojson,", "link.svs,a.geojson,", "a.svs,a.geojson,other"):
        with pytest.raises(InvalidCohort, match=r"line 3: the same slide and candidates as in .*line 2"):
            read_cohort(table("slide,points,name", "a.svs,a.geojson,", again), read=PLAIN)


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights there")
@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_a_slide_is_not_counted_twice_by_a_link(table: Callable[..., Path], pairs: Path, link: str) -> None:
    getattr(pairs / "other.svs", link)(pairs / "a.svs")
    text = "slide,points\n{0}/a.svs,{0}/a.geojson\n{0}/other.svs,{0}/a.geojson\n"
    with pytest.raises(InvalidCohort, match="the same slide and candidates"):
        read_cohort(table(text.format(pairs)), read=ReadOptions())


ACCENTS = {form: unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD")}


@pytest.mark.parametrize(("there", "listed"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_name_whose_accents_are_written_in_the_other_way_is_found(
    table: Callable[..., Path], pairs: Path, there: str, listed: str
) -> None:
    """A list that was made on a Mac, of slides that lie on a server."""
    for kind in ("svs", "geojson"):
        (pairs / f"a.{kind}").rename(pairs / f"{ACCENTS[there]}.{kind}")
    name = ACCENTS[listed]
    cohort = read_cohort(
        table(f"slide,points\n{pairs}/{name}.svs,{pairs}/{name}.geojson\n"), read=ReadOptions()
    )
    (slide,) = cohort.slides
    assert slide.problem is None
    assert slide.slide.exists()
    assert slide.points is not None
    assert slide.points.exists()


def test_the_files_of_one_dicom_slide_are_one_slide_of_a_folder(tmp_path: Path) -> None:
    for name, series in (("level-0", b"1.2.3"), ("level-1", b"1.2.3"), ("level-2", b"1.2.3"), ("x", b"4.5")):
        (tmp_path / f"{name}.dcm").write_bytes(dicom(series))
    (tmp_path / "level-1.geojson").write_text("{}")
    found = read_cohort(tmp_path, read=ReadOptions()).slides
    assert [(s.name, s.points and s.points.name) for s in found] == [
        ("level-1", "level-1.geojson"),
        ("x", None),
    ]
    (tmp_path / "level-2.geojson").write_text("{}")
    one, _ = read_cohort(tmp_path, read=ReadOptions()).slides
    assert one.problem is not None
    assert one.problem.status == "failed"
    assert "level-1.dcm and level-2.dcm are of one DICOM slide" in str(one.problem.cause)


def test_candidates_that_fit_two_slides_are_neithers(pairs: Path) -> None:
    shutil.copy(pairs / "a.svs", pairs / "a.tif")
    slides = read_cohort(pairs, read=PLAIN).slides
    assert [s.problem is not None and s.problem.status for s in slides] == ["failed", "failed", False, False]
    assert "name it a.svs.geojson" in (problem(slides[0]).cause or "")


def test_slides_of_one_name_get_names_of_their_own(table: Callable[..., Path], pairs: Path) -> None:
    (pairs / "sub").mkdir()
    shutil.copy(pairs / "a.svs", pairs / "sub/A.svs")
    lines = ["slide,points", "a.svs,a.geojson", "sub/A.svs,a.geojson", "a.svs,b.geojson", "b.svs,b.geojson"]
    names = [s.name for s in read_cohort(table(*lines), read=PLAIN).slides]
    assert len({n.casefold() for n in names}) == 4
    assert names[3] == "b"
    # The order of the list decides nothing.
    swapped = [lines[0], *reversed(lines[1:])]
    assert [s.name for s in read_cohort(table(*swapped), read=PLAIN).slides] == names[::-1]


@given(st.text())
def test_every_name_can_be_a_folders(text: str) -> None:
    name = folder_name(text)
    assert name
    assert not set(name) & set('/\\:*?"<>| \0\n')
    assert name.strip("._") or name == "slide"
    assert len(name) <= 101
    assert name.split(".")[0].casefold() not in {"con", "nul", "aux", "prn", "com1"}
