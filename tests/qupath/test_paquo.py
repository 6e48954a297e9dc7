"""Export the objects of a project, classify them, and update them in place.

One test goes the whole way with paquo and a QuPath, if there is one; the others use objects that answer as
QuPath's Java classes do, so that everything but Java itself is run.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from slidemitosis.cli.qupath import add_qupath
from slidemitosis.cli.report import Report
from slidemitosis.errors import InvalidOption, UnreadableProject
from slidemitosis.qupath import paquo as qupath_objects
from slidemitosis.qupath.paquo import Exchanged, export_candidates, import_results, update_in_place
from slidemitosis.qupath.project import COLUMNS, MANIFEST, project_slides
from tests.classify.written import classify
from tests.conftest import position_colours, write_aperio
from tests.qupath.test_project import entry, metadata, server, write_project

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from slidemitosis.qupath.project import ProjectImage
    from tests.classify.written import Written

ID = "00000000-0000-4000-8000-{:012d}"


class JavaMap(dict[str, Any]):
    """The methods that maps and lists of measurements share."""

    def remove(self, key: str) -> None:
        del self[key]

    def putAll(self, other: dict[str, Any]) -> None:  # noqa: N802
        self.update(other)


class Measurements(JavaMap):
    """The methods of QuPath's MeasurementList that are used."""

    closed = False

    def containsKey(self, name: str) -> bool:  # noqa: N802
        return name in self

    def close(self) -> None:
        self.closed = True


class Texts(JavaMap):
    """The methods of java.util.Map that are used."""

    def keySet(self) -> list[str]:  # noqa: N802
        return list(self)


class PathObject:
    """A Feature that answers as QuPath's PathObject does."""

    def __init__(self, feature: dict[str, Any]) -> None:
        self.feature = feature
        properties = feature["properties"]
        self.path_class = (properties.get("classification") or {}).get("names")
        self.measurements = Measurements(properties.get("measurements", {}))
        self.metadata = Texts(properties.get("metadata", {}))

    def getID(self) -> str:  # noqa: N802
        return str(self.feature["id"])

    def getPathClass(self) -> Any:  # noqa: N802
        return self.path_class

    def setPathClass(self, path_class: Any) -> None:  # noqa: N802
        self.path_class = path_class

    def getMeasurementList(self) -> Measurements:  # noqa: N802
        return self.measurements

    def getMetadata(self) -> Texts:  # noqa: N802
        return self.metadata


class Hierarchy:
    """The methods of QuPath's PathObjectHierarchy that are used."""

    def __init__(self, features: Iterable[dict[str, Any]]) -> None:
        self.objects = [PathObject(f) for f in features]
        self.fired = 0

    def getAllObjects(self, include_root: bool) -> list[PathObject]:  # noqa: N802
        assert not include_root
        return list(self.objects)

    def addObjects(self, objects: list[PathObject]) -> None:  # noqa: N802
        self.objects += objects

    def getRootObject(self) -> None:  # noqa: N802
        return None

    def fireHierarchyChangedEvent(self, _root: None) -> None:  # noqa: N802
        self.fired += 1


def feature(number: int, geometry: dict[str, Any], name: str | None, **properties: Any) -> dict[str, Any]:
    if name is not None:
        properties["classification"] = {"names": name.split(": "), "color": [200, 0, 0]}
    plain = {"objectType": "annotation", "measurements": {"Area": 3.0}, **properties}
    return {"type": "Feature", "id": ID.format(number), "geometry": geometry, "properties": plain}


def point(x: float, y: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [x, y]}


def in_qupath() -> list[dict[str, Any]]:
    return [
        feature(1, point(300, 200), "Mitosis"),
        feature(2, point(400, 300), "Mitosis", measurements={"P(AMF multipolar)": 0.5, "Area": 3.0}),
        feature(3, point(100, 100), "Tumor"),
        feature(4, {"type": "MultiPoint", "coordinates": [[200, 150], [250, 350]]}, "Mitosis"),
    ]


class Opened:
    """A stand-in for the project that paquo opens."""

    error = RuntimeError
    hierarchies: dict[str, Hierarchy]

    def __init__(self, _path: Path, _mode: str) -> None:
        pass

    def geojson(self, entry_id: str) -> str:
        if entry_id == "3":
            raise RuntimeError("java.io.IOException:\n data.qpdata is cut off")
        return json.dumps([o.feature for o in self.hierarchies[entry_id].objects])

    def update(self, entry_id: str, objects: Path) -> tuple[int, int]:
        read = [PathObject(f) for f in json.loads(objects.read_text())["features"]]
        return update_in_place(self.hierarchies[entry_id], read)


def classified(slide: ProjectImage, **options: Any) -> Written:
    assert slide.slide is not None
    assert slide.points is not None
    return classify(slide.slide, slide.points, workers=0, model="lite0", **options)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    slide = write_aperio(tmp_path / "a.svs", [position_colours(700, 500)])
    builder = server(slide.as_uri(), metadata=metadata())
    Opened.hierarchies = {"1": Hierarchy(in_qupath()), "2": Hierarchy([])}
    monkeypatch.setattr(qupath_objects, "_Project", Opened)
    return write_project(tmp_path / "p", *(entry(builder, n) for n in (1, 2, 3)))


def test_candidates_go_out_and_their_classes_come_back_once(project: Path) -> None:
    table, exported = export_candidates(project)
    assert table == project.parent / MANIFEST
    assert exported == (
        Exchanged("slide 1", candidates=3),
        Exchanged("slide 2", problem="it has no objects"),
        Exchanged("slide 3", problem="java.io.IOException: data.qpdata is cut off"),
    )
    with table.open() as file:
        (row,) = csv.DictReader(file)
    assert tuple(row) == COLUMNS
    assert (row["points"], row["entry_id"], row["viewer_size"]) == ("1.geojson", "1", "700x500")
    slide, *others = project_slides(project)
    assert all(o.problem for o in others)
    result = classified(slide, viewer=slide.viewer)
    assert result.rate.classified == 4
    one, two, three = import_results(project)
    # The two points of one object are candidates with ids of their own.
    assert one == Exchanged("slide 1", updated=2, added=2)
    assert two.problem == "no exported candidates; run export_candidates.groovy for the project"
    assert three.problem == two.problem
    hierarchy = Opened.hierarchies["1"]
    objects = {o.getID(): o for o in hierarchy.objects}
    assert len(hierarchy.objects) == len(objects) == 6
    for p in result.candidates[:2]:
        found = objects[p.placed.object_id]
        assert found.path_class == ["Mitosis", "Atypical" if p.call and p.call.atypical else "Normal"]
        assert found.measurements["P(atypical)"] == p.probability
        assert found.measurements["Area"] == 3.0
        assert found.measurements.closed
        assert found.metadata["slidemitosis.status"] == "classified"
    assert objects[ID.format(3)].path_class == ["Tumor"]
    assert "P(atypical)" not in objects[ID.format(3)].measurements
    assert hierarchy.fired == 1
    assert import_results(project)[0] == Exchanged("slide 1", updated=4, added=0)
    assert len(hierarchy.objects) == 6


def test_what_an_earlier_run_left_is_gone_where_this_one_says_nothing() -> None:
    old = feature(
        1, point(1, 2), "Mitosis: Atypical", measurements={"P(atypical)": 0.9, "Upsampled": 1.0, "Area": 2.0}
    )
    old["properties"]["metadata"] = {"slidemitosis.subtype": "AMF multipolar", "mine": "kept"}
    new = feature(1, point(1, 2), "Mitosis", measurements={}, metadata={"slidemitosis.status": "blank"})
    hierarchy = Hierarchy([old])
    assert update_in_place(hierarchy, [PathObject(new)]) == (1, 0)
    (found,) = hierarchy.objects
    assert found.path_class == ["Mitosis"]
    assert found.measurements == {"Area": 2.0}
    assert found.metadata == {"slidemitosis.status": "blank", "mine": "kept"}


def test_only_the_classes_that_are_asked_for_are_exported(project: Path) -> None:
    table, exported = export_candidates(project, candidate_classes=["Tumor"])
    assert exported[0] == Exchanged("slide 1", candidates=1)
    (found,) = json.loads((table.parent / "1.geojson").read_text())["features"]
    assert found["id"] == ID.format(3)
    with pytest.raises(
        UnreadableProject, match=r"no image has candidates.*no object has the class 'Foo'"
    ) as e:
        export_candidates(project, candidate_classes=["Foo"])
    assert "\n" not in str(e.value)


def test_results_that_are_not_of_these_candidates_are_not_imported(project: Path, tmp_path: Path) -> None:
    table, _ = export_candidates(project)
    with pytest.raises(UnreadableProject, match=r"no image has results below .*: it has no results"):
        import_results(project)
    with pytest.raises(InvalidOption, match="no such folder of results"):
        import_results(project, results=tmp_path / "gone")
    slide = project_slides(project)[0]
    for name in ("one", "two"):
        classified(slide, viewer=slide.viewer, out=tmp_path / "results" / name)
    with pytest.raises(UnreadableProject, match=r"several results: .*one, .*two"):
        import_results(project, results=tmp_path / "results")
    assert import_results(project, results=tmp_path / "results" / "two")[0].updated == 2
    points = table.parent / "1.geojson"
    points.write_text(points.read_text() + "\n")
    with pytest.raises(UnreadableProject, match="exported anew"):
        import_results(project, results=tmp_path / "results" / "two")


def test_objects_that_were_moved_away_from_the_projects_origin_are_not_imported(project: Path) -> None:
    export_candidates(project)
    result = classified(project_slides(project)[0])
    summary = json.loads(result.files.summary.read_text())
    summary["reading"]["objects_offset_px"] = [100, 0]
    result.files.summary.write_text(json.dumps(summary))
    with pytest.raises(UnreadableProject, match="were moved to another origin"):
        import_results(project)


def run(*words: str | Path) -> None:
    """Run an action as `slidemitosis qupath` does."""
    parser = argparse.ArgumentParser()
    add_qupath(parser)
    args = parser.parse_args([str(word) for word in words])
    args.run(args, Report("none"))


def test_the_commands_say_what_was_exchanged_and_what_was_not(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("export-candidates", project.parent, "--candidate-class", "Mitosis")
    said = capsys.readouterr()
    assert said.out == (
        f"candidates  3 of 1 images\nwritten     {project.parent / 'slidemitosis' / 'cohort.csv'}\n"
    )
    assert "slidemitosis: warning: slide 2: it has no objects\n" in said.err
    assert "slidemitosis: warning: slide 3: java.io.IOException: data.qpdata is cut off\n" in said.err
    classified(project_slides(project)[0])
    run("import-results", project)
    assert capsys.readouterr().out == "updated     2 objects of 1 images\nadded       2 objects\n"


def test_without_paquo_the_remedies_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_project(tmp_path, entry(server("file:/a.svs")))
    monkeypatch.setitem(sys.modules, "jpype", None)
    with pytest.raises(InvalidOption, match=r"pip install 'slidemitosis\[qupath\]'.*groovy") as e:
        export_candidates(path)
    assert "\n" not in str(e.value)


def test_without_qupath_the_remedies_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As paquo behaves: importing it from a machine without QuPath raises a ValueError."""
    packages = tmp_path / "packages"
    (packages / "paquo").mkdir(parents=True)
    (packages / "jpype.py").write_text("class JException(Exception): pass\n")
    (packages / "paquo" / "__init__.py").write_text("")
    (packages / "paquo" / "java.py").write_text("raise ValueError('no valid qupath installation found')\n")
    for name in [m for m in sys.modules if m.split(".")[0] in ("jpype", "paquo")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(packages)
    path = write_project(tmp_path / "p", entry(server("file:/a.svs")))
    try:
        with pytest.raises(InvalidOption, match=r"no valid qupath.*PAQUO_QUPATH_DIR"):
            export_candidates(path)
    finally:
        for name in [m for m in sys.modules if m.split(".")[0] in ("jpype", "paquo")]:
            del sys.modules[name]


@pytest.fixture
def paquo_projects() -> Any:
    """paquo with a QuPath; skips where either is absent."""
    try:
        from paquo import projects
    except ImportError:
        pytest.skip("paquo is not installed (extra: qupath)")
    except (ValueError, OSError, RuntimeError) as e:
        pytest.skip(f"paquo has no QuPath to run: {e}")
    return projects


@pytest.mark.slow
def test_a_real_project_is_updated_in_place_by_paquo(paquo_projects: Any, tmp_path: Path) -> None:
    from paquo.classes import QuPathPathClass
    from shapely.geometry import Point, Polygon

    slide = write_aperio(tmp_path / "a.svs", [position_colours(700, 500)])
    mitosis = QuPathPathClass("Mitosis")
    with paquo_projects.QuPathProject(tmp_path / "p", mode="x") as made:
        image = made.add_image(slide)
        image.hierarchy.add_detection(Polygon([(280, 180), (320, 180), (320, 220), (280, 220)]), mitosis)
        image.hierarchy.add_annotation(Point(400, 300), mitosis)
        image.hierarchy.add_annotation(Polygon([(0, 0), (699, 0), (699, 499)]), QuPathPathClass("Tumor"))
    project = tmp_path / "p" / "project.qpproj"
    _, (exported,) = export_candidates(project)
    assert exported.candidates == 2
    (found,) = project_slides(project)
    assert found.slide == slide
    assert found.points is not None
    result = classify(slide, found.points, viewer=found.viewer, workers=0, model="lite0")
    for _ in range(2):
        assert import_results(project) == (Exchanged("a.svs", updated=2, added=0),)
    (image,) = paquo_projects.QuPathProject(project, mode="r").images
    objects = {str(o.getID()): o for o in image.hierarchy.java_object.getAllObjects(False)}
    assert len(objects) == 3
    for p in result.candidates:
        kind = "Atypical" if p.call and p.call.atypical else "Normal"
        assert str(objects[p.placed.object_id].getPathClass().toString()) == f"Mitosis: {kind}"
        measured = objects[p.placed.object_id].getMeasurementList().get("P(atypical)")
        assert float(measured) == pytest.approx(p.probability, abs=1e-6)
