"""Export the candidates of a project's images for a cohort, as export_candidates.groovy does, by paquo."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slidemitosis.candidates import (
    HOT_SPOT,
    base_class,
    counts_text,
    normal_name,
    parse_geojson,
    reads_as_mitosis,
    select_candidates,
)
from slidemitosis.errors import CandidateError, UnreadableProject
from slidemitosis.files import csv_lines, make_folder, write_whole
from slidemitosis.outputs.objects import feature_collection
from slidemitosis.qupath.matching import file_name
from slidemitosis.qupath.paquo import OpenedProject, one_line
from slidemitosis.qupath.project import COLUMNS, MANIFEST, project_file, read_project, read_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from slidemitosis.candidates import Candidates
    from slidemitosis.qupath.project import ProjectImage

_PLACE = re.compile(r"feature (\d+)")


@dataclass(frozen=True, slots=True)
class Exported:
    """What was exported of one image."""

    name: str
    candidates: int = 0
    note: str | None = None
    """Which classes there are, where no object is a candidate."""
    problem: str | None = None
    """Why the image is not in the table, in one line; None where it is."""


def export_candidates(
    path: Path | str, *, candidate_classes: Sequence[str] = ()
) -> tuple[Path, tuple[Exported, ...]]:
    """Write the candidates of each image, and their table.

    candidate_classes: which objects are candidates; by default those whose class reads as mitosis. An image
    without any is in the table, with none. One that cannot be classified, as its slide is missing, gets no
    row; rows and columns that are there already stay. Returns the path of the table and what was exported of
    each image. Raises UnreadableProject, InvalidOption without paquo or QuPath, OutputError.
    """
    path = project_file(path)
    images = read_project(path)
    table = path.absolute().parent / MANIFEST
    project = OpenedProject(path, "r")
    rows: list[dict[str, str]] = []
    exported = []
    for image in images:
        try:
            if image.problem is not None:
                raise UnreadableProject(image.problem)
            points = f"candidates/{file_name(image.entry_id)}.geojson"
            features, note = _candidates(
                project.geojson(image.entry_id), table.parent / points, candidate_classes
            )
        except (CandidateError, UnreadableProject, project.error, OSError) as e:
            exported.append(Exported(image.name, problem=one_line(e)))
            continue
        make_folder((table.parent / points).parent)
        lines = (json.dumps(f, ensure_ascii=False).encode("utf-8", "backslashreplace") for f in features)
        write_whole(table.parent / points, b"".join(feature_collection(lines)))
        rows.append(_row(image, points))
        exported.append(Exported(image.name, candidates=len(features), note=note))
    if not rows:
        told = "; ".join(f"{e.name}: {e.problem}" for e in exported[:3]) or "it has no images"
        raise UnreadableProject(f"{path}: no image could be exported ({told})")
    write_whole(table, "".join(csv_lines(_merged(table, rows))).encode())
    return table, tuple(exported)


def _candidates(text: str, path: Path, classes: Sequence[str]) -> tuple[list[Mapping[str, Any]], str | None]:
    """Return the features of a GeoJSON text that are candidates, and the classes where there is none."""
    features: list[Mapping[str, Any]] = json.loads(text)
    candidates = parse_geojson(text, path=path)
    wanted = _classes_there(candidates, classes)
    if not wanted:
        return [], f"no candidates; the classes here: {counts_text(candidates.class_counts())}"
    taken = select_candidates(candidates, wanted).candidates
    # An object with several points is several candidates, and yet one object.
    places = [_PLACE.match(c.source) for c in taken]
    return [features[i - 1] for i in dict.fromkeys(int(p[1]) for p in places if p)], None


def _classes_there(candidates: Candidates, classes: Sequence[str]) -> list[str]:
    """Return those of the classes that are asked for, or that read as mitosis, that some object has."""
    names = [normal_name(name) or "Unclassified" for name in candidates.class_counts()]
    if not classes:
        return [name for name in names if reads_as_mitosis(name) and name != HOT_SPOT]
    there = {key.casefold() for name in names for key in (name, base_class(name) or name)}
    return [c for c in classes if (normal_name(c) or "Unclassified").casefold() in there]


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


def _merged(table: Path, rows: Sequence[Mapping[str, str]]) -> Iterable[Iterable[str]]:
    """Return the lines of the table with these rows in the place of those of the same images.

    Columns that a person has added keep their cells.
    """
    columns, there = read_table(table)
    new = {row["entry_id"]: row for row in rows}
    lines = {row["entry_id"]: {**row, **new.get(row["entry_id"], {})} for row in there}
    lines |= {entry: {**lines.get(entry, {}), **row} for entry, row in new.items()}
    columns = columns or list(COLUMNS)
    return [columns, *([row.get(c, "") for c in columns] for row in lines.values())]
