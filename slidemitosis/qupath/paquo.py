"""Read and update the objects of a QuPath project by paquo, which no other module imports.

paquo runs QuPath's own classes in a Java machine, and so needs an installed QuPath. Its own proxies show no
ids and its GeoJSON holds annotations alone, so the Java objects behind them are used. The project must not
be open in QuPath meanwhile, which would save over what is written here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slidemitosis.candidates import parse_geojson, select_candidates
from slidemitosis.errors import CandidateError, InvalidOption, UnreadableProject
from slidemitosis.files import csv_lines, write_whole
from slidemitosis.outputs.folder import OBJECTS, SUMMARY
from slidemitosis.outputs.objects import MEASUREMENTS, PREFIX, feature_collection
from slidemitosis.qupath.project import COLUMNS, MANIFEST, project_file, project_slides, read_project

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from slidemitosis.qupath.project import ProjectImage

_PLACE = re.compile(r"feature (\d+)")


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What was exchanged for one image of the project."""

    name: str
    candidates: int = 0
    """Objects that were exported."""
    updated: int = 0
    """Objects of the project that got a new class and new measurements."""
    added: int = 0
    """Objects that the project did not have."""
    problem: str | None = None
    """Why nothing was exchanged, in one line; None where something was."""


def export_candidates(
    path: Path | str, *, candidate_classes: Sequence[str] = ()
) -> tuple[Path, tuple[Exchanged, ...]]:
    """Write the candidates of each image, and their table, as export_candidates.groovy does.

    Returns the path of the table and what was exchanged for each image. Which objects are candidates is told
    by their classes, as everywhere: see `select_candidates`. Raises UnreadableProject, InvalidOption without
    paquo or QuPath, OutputError.
    """
    path = project_file(path)
    images = read_project(path)
    table = path.absolute().parent / MANIFEST
    project = _Project(path, "r")
    refused = (CandidateError, project.error, OSError)
    rows: list[dict[str, str]] = []
    exchanged = []
    for image in images:
        points = table.parent / f"{image.entry_id}.geojson"
        try:
            features = _candidates(project.geojson(image.entry_id), points, candidate_classes)
        except refused as e:
            exchanged.append(Exchanged(image.name, problem=_one_line(e)))
            continue
        if features is None:
            exchanged.append(Exchanged(image.name, problem="it has no objects"))
            continue
        table.parent.mkdir(exist_ok=True)
        lines = (json.dumps(f, ensure_ascii=False).encode("utf-8", "backslashreplace") for f in features)
        write_whole(points, b"".join(feature_collection(lines)))
        rows.append(_row(image, points.name))
        exchanged.append(Exchanged(image.name, candidates=len(features)))
    if not rows:
        raise UnreadableProject(f"{path}: no image has candidates ({_problems(exchanged)})")
    write_whole(table, "".join(csv_lines([COLUMNS, *([row[c] for c in COLUMNS] for row in rows)])).encode())
    return table, tuple(exchanged)


def import_results(path: Path | str, *, results: Path | str | None = None) -> tuple[Exchanged, ...]:
    """Give the project's objects the classes and measurements of the results, in place, by their ids.

    results: folder below which the result folders are; by default that of the exported candidates.
    Objects that the project does not have, as the points of one object, are added. Returns what was exchanged
    for each image, with the problem of those without results. Raises UnreadableProject, and InvalidOption
    without paquo or QuPath.
    """
    path = project_file(path)
    slides = project_slides(path)
    below = Path(results) if results is not None else path.absolute().parent / MANIFEST.parent
    if not below.is_dir():
        raise InvalidOption(f"{below}: no such folder of results; classify the exported candidates first")
    found = _results(below)
    project = _Project(path, "r+")
    exchanged = []
    for slide in slides:
        folder, problem = _result_of(slide, found)
        updated = added = 0
        if folder is not None:
            try:
                updated, added = project.update(slide.entry_id, folder / OBJECTS)
            except (project.error, OSError) as e:
                problem = _one_line(e)
        exchanged.append(Exchanged(slide.name, updated=updated, added=added, problem=problem))
    if all(e.problem for e in exchanged):
        raise UnreadableProject(f"{path}: no image has results below {below} ({_problems(exchanged)})")
    return tuple(exchanged)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _problems(exchanged: Sequence[Exchanged]) -> str:
    told = [f"{e.name}: {e.problem}" for e in exchanged]
    return "; ".join(told[:3]) + ("; ..." if len(told) > 3 else "") or "it has no images"


def _candidates(text: str, path: Path, classes: Sequence[str]) -> list[Mapping[str, Any]] | None:
    """Return the features of a GeoJSON text that are candidates; None where there is no object at all."""
    features: list[Mapping[str, Any]] = json.loads(text)
    candidates = parse_geojson(text, path=path)
    if not candidates.items:
        return None
    taken = select_candidates(candidates, classes).candidates
    # An object with several points is several candidates, and yet one object.
    places = [_PLACE.match(c.source) for c in taken]
    return [features[i - 1] for i in dict.fromkeys(int(p[1]) for p in places if p)]


def _row(image: ProjectImage, points: str) -> dict[str, str]:
    size = f"{image.width}x{image.height}" if image.width and image.height else ""
    return {
        "slide": str(image.slide or ""),
        "points": points,
        "image": image.name,
        "entry_id": image.entry_id,
        "viewer_size": size,
        "viewer_server": image.provider or "",
        "mpp_x": str(image.mpp.x) if image.mpp else "",
        "mpp_y": str(image.mpp.y) if image.mpp else "",
    }


def _results(below: Path) -> dict[Path, list[tuple[Path, dict[str, Any]]]]:
    """Return the whole results below a folder, by the file of candidates that they are for."""
    found: dict[Path, list[tuple[Path, dict[str, Any]]]] = {}
    for path in sorted(below.rglob(SUMMARY)):
        try:
            summary = json.loads(path.read_text(encoding="utf-8"))
            points = Path(summary["points"]["path"]).resolve()
        except (OSError, ValueError, KeyError, TypeError):
            continue  # of another program
        found.setdefault(points, []).append((path.parent, summary))
    return found


def _result_of(
    slide: ProjectImage, found: Mapping[Path, Sequence[tuple[Path, dict[str, Any]]]]
) -> tuple[Path | None, str | None]:
    """Return the folder with an image's results, or why there is none that can be used."""
    if slide.points is None:
        return None, slide.problem
    of_it = found.get(slide.points.resolve(), [])
    if len(of_it) != 1:
        places = ", ".join(str(folder) for folder, _ in of_it)
        return None, f"it has several results: {places}; remove all but one" if of_it else "it has no results"
    folder, summary = of_it[0]
    if summary["points"].get("bytes") != slide.points.stat().st_size:
        return None, f"its candidates were exported anew after {folder} was written; classify again"
    reading = summary.get("reading", {})
    if reading.get("offset_px") != reading.get("objects_offset_px"):
        # The candidates came from this project, and so it counts from where they do.
        return None, f"the objects in {folder} were moved to another origin; classify without --origin"
    return folder, None


class _Project:
    """A project that paquo has opened. Raises InvalidOption where there is no paquo, or no QuPath for it."""

    def __init__(self, path: Path, mode: str) -> None:
        try:
            from jpype import JException
            from paquo import java
            from paquo.projects import QuPathProject
        except ImportError as e:
            raise InvalidOption(
                f"objects of a project are read by paquo, which needs {e.name}: "
                "pip install 'slidemitosis[qupath]', or run export_candidates.groovy in QuPath"
            ) from e
        except (ValueError, OSError, RuntimeError) as e:  # no QuPath, or Java cannot be started from it
            raise InvalidOption(
                f"paquo finds no QuPath that it can use ({_one_line(e)}); name its folder in "
                "PAQUO_QUPATH_DIR, or run export_candidates.groovy in QuPath"
            ) from e
        self.error: type[Exception] = JException
        self._java = java
        try:
            self._project = QuPathProject(path, mode=mode)
        except (JException, OSError, ValueError) as e:
            raise UnreadableProject(f"{path}: QuPath cannot open it: {_one_line(e)}") from e
        self._entries = {entry.entry_id: entry.java_object for entry in self._project.images}

    def geojson(self, entry_id: str) -> str:
        """Return the objects of an image as a list of Features, in JSON."""
        objects = self._entries[entry_id].readHierarchy().getAllObjects(False)
        return str(self._java.GsonTools.getInstance().toJson(objects))

    def update(self, entry_id: str, objects: Path) -> tuple[int, int]:
        """Update and save an image's objects from a file; return how many were known and how many new."""
        entry = self._entries[entry_id]
        data = entry.readImageData()  # not the hierarchy alone, which cannot be saved; it opens the slide
        read = self._java.PathIO.readObjects(self._java.File(str(objects)))
        counts = update_in_place(data.getHierarchy(), read)
        entry.saveImageData(data)
        self._project.java_object.syncChanges()
        return counts


def update_in_place(hierarchy: Any, read: Iterable[Any]) -> tuple[int, int]:
    """Give the objects of a hierarchy the classes and measurements of those read with the same id.

    Returns how many were known, and how many were new and so added. Both are of QuPath's Java classes, with
    methods that every version from 0.4 on has. Importing instead would put each object there a second time.
    """
    known = {str(o.getID()): o for o in hierarchy.getAllObjects(False)}
    new, updated = [], 0
    for fresh in read:
        old = known.get(str(fresh.getID()))
        if old is None:
            new.append(fresh)
            continue
        updated += 1
        old.setPathClass(fresh.getPathClass())
        measurements = old.getMeasurementList()
        for name in MEASUREMENTS:  # of an earlier run, which this one may not have
            if measurements.containsKey(name):
                measurements.remove(name)
        measurements.putAll(fresh.getMeasurementList())
        measurements.close()
        if hasattr(old, "getMetadata"):  # QuPath 0.6 and later
            metadata = old.getMetadata()
            for key in [k for k in map(str, metadata.keySet()) if k.startswith(PREFIX)]:
                metadata.remove(key)
            metadata.putAll(fresh.getMetadata())
    if new:
        hierarchy.addObjects(new)
    hierarchy.fireHierarchyChangedEvent(hierarchy.getRootObject())
    return updated, len(new)
