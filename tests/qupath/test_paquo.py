"""Export and import by paquo, as processes, on stand-ins of QuPath and on the QuPath that is named."""

from __future__ import annotations

import csv
import json
import os
import shutil
import struct
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from slidemitosis.errors import InvalidOption
from slidemitosis.qupath.exports import export_candidates
from slidemitosis.qupath.project import COLUMNS, project_slides
from tests.classify.written import classify
from tests.command import run
from tests.conftest import position_colours, write_aperio
from tests.qupath.test_project import entry, server, write_project

if TYPE_CHECKING:
    from tests.qupath.paquo_qupath import Installation

newest = pytest.mark.parametrize("installation", ["0.7.0", "real"], indirect=True)
"""On one stand-in: only the scenario asks for an older one."""
ID = "00000000-0000-4000-8000-{:012d}"
FIGURES = [(300, 200), (400, 300), (200, 150), (250, 350)]


def record(number: int, geometry: dict[str, Any], name: str | None, **keys: Any) -> dict[str, Any]:
    """Return an object of QuPath as tests state it; see tests/qupath/scenario.py."""
    nothing = {"measurements": {"Area": 3.0}, "metadata": {}, "color": None, "name": None, "parent": None}
    return {
        "id": ID.format(number),
        "type": "annotation",
        "geometry": geometry,
        "class": name and name.split(": "),
        "locked": False,
        **nothing,
        **keys,
    }


def in_qupath() -> list[dict[str, Any]]:
    """Two figures, a points object of two more, and a tumour."""
    one, two, *points = FIGURES
    tumour = [[[50, 50], [150, 50], [150, 150], [50, 150], [50, 50]]]
    return [
        record(1, {"type": "Point", "coordinates": one}, "Mitosis", color=[1, 2, 3]),
        record(2, {"type": "Point", "coordinates": two}, "Mitosis"),
        record(3, {"type": "Polygon", "coordinates": tumour}, "Tumor"),
        record(4, {"type": "MultiPoint", "coordinates": points}, "Mitosis"),
    ]


def make_project(folder: Path, slides: list[Path], **keys: Any) -> Path:
    """Write a project with an image of each slide, named slide 1 and so on."""
    listed = enumerate(slides, start=1)
    return write_project(folder, *(entry(server(s.as_uri()), number) for number, s in listed), **keys)


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    return write_aperio(tmp_path / "a.svs", [position_colours(700, 500)])


@pytest.fixture
def standin(standin_installation: Installation) -> Installation:
    return standin_installation


def classes(records: list[dict[str, Any]]) -> dict[str, str]:
    return {r["id"]: ": ".join(r["class"] or []) for r in records}


@newest
def test_a_cohort_goes_out_and_comes_back_as_the_documentation_says(
    installation: Installation, slide: Path, tmp_path: Path
) -> None:
    project = make_project(tmp_path / "p", [slide, tmp_path / "gone.svs", slide], version="0.5.1")
    installation.write(project, {"1": in_qupath()})
    done = installation.command("export-candidates", project.parent)
    table = project.parent / "slidemitosis/cohort.csv"
    assert done.stdout == f"candidates  3 of 2 images\nwritten     {table}\n"
    assert f"warning: slide 2: there is no file {tmp_path / 'gone.svs'}; open the image" in done.stderr
    assert "slidemitosis: slide 3: no candidates; the classes here: none\n" in done.stderr
    assert done.returncode == 3
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [(r["entry_id"], r["points"]) for r in rows] == [
        ("1", "candidates/1.geojson"),
        ("3", "candidates/3.geojson"),
    ]
    results = tmp_path / "R"
    assert run("cohort", table, "--out", results, "--model", "lite0").returncode == 0
    done = installation.command("import-results", project, "--results", results)
    assert done.stdout == "updated     2 objects of 2 images\nadded       2 objects\n"
    told = "2 objects updated, 2 objects added, 1 points object replaced by one object for each point"
    assert f"slidemitosis: slide 1: {told}\n" in done.stderr
    found = installation.read(project)
    assert found["3"] == []
    points = [o for o in found["1"] if o["geometry"]["type"] == "Point"]
    assert sorted(o["geometry"]["coordinates"] for o in points) == sorted(map(list, FIGURES))
    assert all(o["class"][:1] == ["Mitosis"] and "P(atypical)" in o["measurements"] for o in points)
    assert next(o for o in found["1"] if o["id"] == ID.format(1))["color"] == [1, 2, 3]
    assert classes(found["1"])[ID.format(3)] == "Tumor"
    one, _, three = json.loads(project.read_text())["images"]
    assert one["metadata"]["AMF objects"] == "imported"
    assert (one["metadata"]["AMF candidates"], three["metadata"]["AMF fraction"]) == ("4", "NA")
    summary = next(p for p in results.glob("slides/*/summary.json") if _entry_of(p) == "1")
    assert (table.parent / "summaries/1.json").read_bytes() == summary.read_bytes()

    # Nothing is added by another cycle, whatever it begins with.
    counted = len(found["1"])
    done = installation.command("import-results", project, "--results", results / "slides")
    assert done.stdout == "updated     4 objects of 2 images\nadded       0 objects\n"
    assert installation.command("export-candidates", project.parent).returncode == 3
    assert run("cohort", table, "--out", results, "--model", "lite0").returncode == 0
    done = installation.command("import-results", project, "--results", results)
    assert done.stdout == "updated     4 objects of 2 images\nadded       0 objects\n"
    assert len(installation.read(project)["1"]) == counted


def _entry_of(summary: Path) -> str:
    """Return the entry whose candidates results are of."""
    return Path(json.loads(summary.read_text())["points"]["path"]).stem


def test_columns_and_rows_that_a_person_added_survive_a_second_export(
    standin: Installation, slide: Path, tmp_path: Path
) -> None:
    project = make_project(tmp_path / "p", [slide])
    standin.write(project, {"1": in_qupath()})
    assert standin.command("export-candidates", project).returncode == 0
    table = project.parent / "slidemitosis/cohort.csv"
    head, row = table.read_text().splitlines()
    table.write_text(f'{head},patient\n{row},"P, 1"\n{row.replace(",1,", ",9,")},other\n')
    assert standin.command("export-candidates", project, "--candidate-class", "Tumor").returncode == 0
    with table.open() as file:
        rows = {r["entry_id"]: r for r in csv.DictReader(file)}
    assert {name: r["patient"] for name, r in rows.items()} == {"1": "P, 1", "9": "other"}
    (found,) = json.loads((table.parent / rows["1"]["points"]).read_text())["features"]
    assert found["id"] == ID.format(3)


@newest
@pytest.mark.parametrize("damage", ["cut off", "overwritten"])
def test_an_unreadable_data_file_is_left_as_it_is(
    installation: Installation, exported: Path, tmp_path: Path, damage: str
) -> None:
    """QuPath would take it for an image without objects, or wait for its end for ever."""
    project = exported
    (project.parent / "data/1/data.qpdata").unlink()
    installation.write(project, {"1": in_qupath()})
    data = project.parent / "data/1/data.qpdata"
    whole = data.read_bytes()
    half = len(whole) // 2
    data.write_bytes(whole[:half] if damage == "cut off" else whole[:half] + b"\0" * 64 + whole[half + 64 :])
    before = {p: p.read_bytes() for p in project.parent.rglob("*") if p.is_file()}
    for words in (
        ("export-candidates", project),
        ("import-results", project, "--results", tmp_path / "R", "--force"),
    ):
        done = installation.command(*words)
        assert done.returncode == 2
        assert done.stdout == ""
        assert "(slide 1: its data file cannot be read" in done.stderr
        assert ("it was cut off" in done.stderr) is (damage == "cut off")
        assert "Traceback" not in done.stderr
    assert {p: p.read_bytes() for p in project.parent.rglob("*") if p.is_file()} == before


def classified(project: Path, out: Path, **options: Any) -> None:
    """Classify the exported candidates of a project's first image."""
    image = project_slides(project)[0]
    assert image.slide is not None
    assert image.points is not None
    classify(image.slide, image.points, out=out, workers=0, model="lite0", viewer=image.viewer, **options)


@pytest.mark.slow
@newest
def test_the_data_file_before_the_first_import_is_kept_and_takes_everything_back(
    installation: Installation, exported: Path, tmp_path: Path
) -> None:
    project = exported
    (project.parent / "data/1/data.qpdata").unlink()
    installation.write(project, {"1": in_qupath()})
    before = installation.read(project)
    kept = project.parent / "data/1/data.qpdata.before-slidemitosis"
    words = ("import-results", project, "--results", tmp_path / "R", "--force")
    first = installation.command(*words)
    assert f"slidemitosis: slide 1: its objects as they were are kept in {kept}\n" in first.stderr
    second = installation.command(*words)
    assert "are kept in" not in second.stderr
    kept.replace(kept.with_name("data.qpdata"))
    assert installation.read(project) == before


@pytest.fixture(scope="module")
def classified_once(standin_installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a slide, a project of it that was exported, and the results R."""
    folder = tmp_path_factory.mktemp("classified")
    slide = write_aperio(folder / "a.svs", [position_colours(700, 500)])
    project = make_project(folder / "p", [slide], version="0.7.0")
    standin_installation.write(project, {"1": in_qupath()})
    assert standin_installation.command("export-candidates", project).returncode == 0
    classified(project, folder / "R")
    return folder


@pytest.fixture
def exported(classified_once: Path, tmp_path: Path) -> Path:
    """The project of a copy of that folder."""
    shutil.copytree(classified_once, tmp_path, dirs_exist_ok=True)
    project = tmp_path / "p/project.qpproj"
    text = project.read_text()
    project.write_text(text.replace(classified_once.as_uri(), tmp_path.as_uri()))
    return project


def test_an_import_that_fails_leaves_objects_metadata_and_summary_as_they_were(
    standin: Installation, exported: Path, tmp_path: Path
) -> None:
    (exported.parent / "slidemitosis/summaries").write_text("a file where the folder is to be")
    document, objects = json.loads(exported.read_text()), standin.read(exported)
    done = standin.command("import-results", exported, "--results", tmp_path / "R")
    assert (done.returncode, done.stdout) == (2, "")
    assert "summaries: cannot be written" in done.stderr
    assert json.loads(exported.read_text()) == document
    assert standin.read(exported) == objects


def test_a_project_of_a_newer_qupath_is_refused_unless_it_is_forced(
    standin: Installation, exported: Path, tmp_path: Path
) -> None:
    older, text = standin.of("0.6.0"), exported.read_bytes()
    assert older.command("export-candidates", exported).returncode == 0
    done = older.command("import-results", exported, "--results", tmp_path / "R")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is of QuPath 0.7.0, and paquo's QuPath 0.6.0 would write it as one of 0.6.0" in done.stderr
    assert exported.read_bytes() == text
    assert older.command("import-results", exported, "--results", tmp_path / "R", "--force").returncode == 0
    assert json.loads(exported.read_text())["version"] == "0.6.0"


def test_a_project_that_was_moved_takes_results_that_were_made_before(
    standin: Installation, exported: Path, tmp_path: Path
) -> None:
    """By entry and slide, as results that were made on a cluster, where all paths are others."""
    moved = exported.parent.rename(tmp_path / "moved") / exported.name
    slide = (tmp_path / "a.svs").rename(tmp_path / "renamed.svs")
    document = json.loads(moved.read_text())
    document["images"][0]["serverBuilder"]["uri"] = slide.as_uri()
    moved.write_text(json.dumps(document))
    os.utime(slide, (1, 1))
    assert standin.command("import-results", moved, "--results", tmp_path / "R").returncode == 0


def test_results_of_another_slide_or_of_one_that_was_still_copied_are_refused(
    standin: Installation, exported: Path, tmp_path: Path
) -> None:
    def refused() -> str:
        done = standin.command("import-results", exported, "--results", tmp_path / "R")
        assert (done.returncode, done.stdout) == (2, "")
        return done.stderr

    os.utime(tmp_path / "a.svs", (1, 1))
    summary = json.loads((tmp_path / "R/summary.json").read_text())
    summary["counts"]["unreadable"] = 2
    (tmp_path / "R/summary.json").write_text(json.dumps(summary))
    assert "has another time than" in (told := refused())
    assert "2 figures were unreadable or blank then" in told
    with (tmp_path / "a.svs").open("ab") as file:
        file.write(b"more")
    assert "is of another slide than" in refused()
    summary["points"]["path"] = "/elsewhere/candidates/1.csv"
    (tmp_path / "R/summary.json").write_text(json.dumps(summary))
    assert "it has no results" in refused()


def test_objects_that_count_from_elsewhere_are_refused(
    standin: Installation, exported: Path, tmp_path: Path
) -> None:
    summary = json.loads((tmp_path / "R/summary.json").read_text())
    summary["reading"]["objects_offset_px"] = [100, 0]
    (tmp_path / "R/summary.json").write_text(json.dumps(summary))
    done = standin.command("import-results", exported, "--results", tmp_path / "R")
    assert "its objects count from 100, 0 px of a slide of 700 x 500 px" in done.stderr


def test_of_several_results_of_one_entry_the_folder_must_be_named(
    standin: Installation, exported: Path, tmp_path: Path
) -> None:
    (tmp_path / "all").mkdir()
    for name in ("one", "two"):
        shutil.copytree(tmp_path / "R", tmp_path / "all" / name)
    done = standin.command("import-results", exported, "--results", tmp_path / "all")
    assert "slide 1: it has several results: " in done.stderr
    assert standin.command("import-results", exported, "--results", tmp_path / "all/two").returncode == 0
    assert "no such folder of results" in standin.command("import-results", exported, "--results", "x").stderr


@pytest.mark.slow
def test_each_of_several_entries_of_one_slide_takes_the_results_of_its_own_candidates(
    standin: Installation, slide: Path, tmp_path: Path
) -> None:
    project = make_project(tmp_path / "p", [slide, slide])
    one, two, *_ = in_qupath()
    standin.write(project, {"1": [one], "2": [two]})
    assert standin.command("export-candidates", project).returncode == 0
    table = project.parent / "slidemitosis/cohort.csv"
    assert run("cohort", table, "--out", tmp_path / "R", "--model", "lite0").returncode == 0
    done = standin.command("import-results", project, "--results", tmp_path / "R")
    assert done.stdout == "updated     2 objects of 2 images\nadded       0 objects\n"


def lines(standin: Installation, project: Path, **environment: str) -> str:
    """Return the one line with which the command refuses."""
    done = standin.command("export-candidates", project, **environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_what_is_wrong_with_qupath_is_one_line_with_the_folder_that_is_expected(
    standin: Installation, slide: Path, tmp_path: Path
) -> None:
    project = make_project(tmp_path / "p", [slide])
    layout = "the folder of QuPath that holds lib/app/qupath*.jar and lib/runtime/lib/server/libjvm.so"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert layout in lines(standin, project, PAQUO_QUPATH_DIR=str(empty))
    shutil.copytree(
        standin.folder, tmp_path / "QuPath", symlinks=True, ignore=shutil.ignore_patterns("runtime")
    )
    told = lines(standin, project, PAQUO_QUPATH_DIR=str(tmp_path / "QuPath"))
    assert f"{tmp_path / 'QuPath'}: no whole QuPath" in told
    assert layout in told
    (tmp_path / "QuPath/lib/runtime").symlink_to((standin.folder / "lib/runtime").resolve())
    jar = tmp_path / "QuPath/lib/app/qupath-standins.jar"
    _for_a_newer_java(standin.folder / "lib/app" / jar.name, jar)
    told = lines(standin, project, PAQUO_QUPATH_DIR=str(tmp_path / "QuPath"))
    assert "UnsupportedClassVersionError" in told
    jar.unlink()
    (jar.parent / "qupath-nothing.jar").symlink_to(standin.folder / "lib/app/gson-2.10.1.jar")
    assert layout in lines(standin, project, PAQUO_QUPATH_DIR=str(tmp_path / "QuPath"))


def _for_a_newer_java(source: Path, target: Path) -> None:
    """Copy a jar with its classes marked as compiled for a Java that is not there yet."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data[:6] + struct.pack(">H", 200) + data[8:])


def test_a_setting_that_paquo_cannot_read_is_one_line(
    standin: Installation, slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path / "p", [slide])
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".paquo.toml").write_text("java_opts = [\n")
    assert "paquo finds no QuPath that it can use (" in lines(standin, project)


def test_a_folder_below_the_home_may_be_written_with_a_tilde(
    standin: Installation, slide: Path, tmp_path: Path
) -> None:
    project = make_project(tmp_path / "p", [slide])
    (tmp_path / "QuPath").symlink_to(standin.folder)
    done = standin.command("export-candidates", project, PAQUO_QUPATH_DIR="~/QuPath", HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr


def test_without_paquo_the_remedies_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_project(tmp_path, entry(server("file:/a.svs")))
    monkeypatch.setitem(sys.modules, "jpype", None)
    with pytest.raises(InvalidOption, match=r"pip install 'slidemitosis\[qupath\]'.*script in QuPath") as e:
        export_candidates(path)
    assert "\n" not in str(e.value)
