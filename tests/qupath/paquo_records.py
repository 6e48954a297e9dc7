"""Write and read the objects of a project's images, by paquo: `python -m tests.qupath.paquo_records`.

The words are "write PROJECT FILE", whose JSON has the records of each entry by its id, or "read PROJECT",
which prints the same. `scenario` says what a record is.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from slidemitosis.qupath.paquo import OpenedProject


def write(project: OpenedProject, entry: str, records: list[dict[str, Any]]) -> None:
    from jpype import JClass

    data = project.image_data(entry)
    hierarchy = data.getHierarchy()
    made = project.read_objects([_feature(r) for r in records])
    by_id: dict[str, Any] = {}
    for record, o in zip(records, made, strict=True):
        if record["color"] is not None:
            red, green, blue = record["color"]
            o.setColor(JClass("java.lang.Integer")((0xFF << 24 | red << 16 | green << 8 | blue) - (1 << 32)))
        o.setLocked(record["locked"])
        hierarchy.addObjectBelowParent(by_id.get(record["parent"], hierarchy.getRootObject()), o, False)
        by_id[record["id"]] = o
    project.save(entry, data)


def _feature(record: dict[str, Any]) -> dict[str, Any]:
    properties = {"objectType": record["type"]}
    properties |= {key: record[key] for key in ("measurements", "metadata")}
    if record["class"]:
        properties["classification"] = {"names": record["class"], "color": [200, 0, 0]}
    if record["name"] is not None:
        properties["name"] = record["name"]
    return {
        "type": "Feature",
        "id": record["id"],
        "geometry": record["geometry"],
        "properties": properties,
    }


def read(project: OpenedProject, entry: str) -> list[dict[str, Any]]:
    hierarchy = project.hierarchy(entry)
    features = json.loads(project.as_geojson(hierarchy))
    return [_record(o, f) for o, f in zip(hierarchy.getAllObjects(False), features, strict=True)]


def _record(o: Any, feature: dict[str, Any]) -> dict[str, Any]:
    path_class, colour, parent = o.getPathClass(), o.getColor(), o.getParent()
    return {
        "id": str(o.getID()),
        "type": feature["properties"].get("objectType", "annotation"),
        "geometry": feature["geometry"],
        "class": None if path_class is None else str(path_class.toString()).split(": "),
        "measurements": {str(e.getKey()): float(e.getValue()) for e in o.getMeasurements().entrySet()},
        "metadata": {str(e.getKey()): str(e.getValue()) for e in o.getMetadata().entrySet()},
        "color": None if colour is None else [int(colour) >> shift & 255 for shift in (16, 8, 0)],
        "name": None if o.getName() is None else str(o.getName()),
        "locked": bool(o.isLocked()),
        "parent": None if parent is None or parent.isRootObject() else str(parent.getID()),
    }


def main(what: str, path: str, *rest: str) -> None:
    project = OpenedProject(Path(path), "r+" if what == "write" else "r")
    if what == "write":
        for entry, records in json.loads(Path(rest[0]).read_text()).items():
            write(project, entry, records)
    else:
        document = json.loads(Path(path).read_text())
        print(json.dumps({str(i["entryID"]): read(project, str(i["entryID"])) for i in document["images"]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
