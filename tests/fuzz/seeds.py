"""Right files of every format that is read, small, from which wrong ones are made."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import zipfile
from typing import TYPE_CHECKING

from slidemitosis.demo.files import write_slide
from slidemitosis.demo.tissue import draw_phantom
from slidemitosis.models.local import LocalCalibration
from slidemitosis.models.shipped import find_model, shipped_models
from slidemitosis.toml_tables import dump
from tests.candidates import test_databases as databases
from tests.candidates import test_other_json as other_json
from tests.candidates import test_other_tables as tables
from tests.candidates import test_xml as xml

if TYPE_CHECKING:
    from pathlib import Path

_ID = "3f0c1a52-7e5b-4a0e-9d0e-1f2a3b4c5d6e"


def geojson() -> list[bytes]:
    ring = [[10, 10], [20, 10], [20, 20], [10, 20], [10, 10]]
    shapes = [
        {"type": "Point", "coordinates": [15.5, 20]},
        {"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]},
        {"type": "Polygon", "coordinates": [ring, [[12, 12], [14, 12], [14, 14], [12, 12]]]},
        {"type": "MultiPolygon", "coordinates": [[ring], [[[x + 40, y] for x, y in ring]]]},
    ]
    features = [
        {
            "type": "Feature",
            "id": f"{i}{_ID[1:]}",
            "geometry": shape,
            "properties": {
                "objectType": "detection",
                "classification": {"name": "Mitosis", "color": [1, 2, 3]},
                "measurements": {"P(atypical)": 0.5, "Call threshold": 0.17},
                "metadata": {"a": "b"},
            },
        }
        for i, shape in enumerate(shapes)
    ]
    old = {
        "type": "Feature",
        "id": "PathAnnotationObject",
        "geometry": shapes[2],
        "properties": {
            "measurements": [{"name": "Area", "value": 3.5}],
            "classification": "{'name': 'Mitosis'}",
        },
    }
    collection = {"type": "FeatureCollection", "features": features}
    return [json.dumps(v).encode() for v in (collection, features, old)]


def other_json_files() -> list[bytes]:
    coco = {
        "images": [{"id": 1, "file_name": "a.svs", "width": 100, "height": 100}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 3, 4]}],
        "categories": [{"id": 1, "name": "mitosis"}],
    }
    texts = (json.dumps(v) for v in (coco, other_json.MIDOG, other_json.POINTS))
    return [text.replace("002.tiff", "a.svs").encode() for text in texts]


def delimited() -> list[bytes]:
    ami = "0,002.tiff,MIDOG21,6,4422,216,NMF prometaphase,NMF metaphase,False,False,False,False"
    own = "id,object_id,source,class,x,y,level0_x,level0_y,status,reason,p_atypical,call,padding,score"
    return [
        text.encode()
        for text in (
            "id,x_px,y_px,class\n1,10,20,mitosis\n2,11.5,1e3,\n",
            "x;y\n1,5;2,5\n3;4\n",
            f"{tables.OLD}\n{tables.OLD_ROW}\n",
            f"{tables.NEW}\n{tables.NEW_ROW}\n",
            f"{tables.AMI_BR}\n{ami}\n",
            f"{own}\na,{_ID},row 1,Mitosis,1,2,1,2,classified,,0.5,AMF,0,0.9\n",
        )
    ]


def xml_files() -> list[bytes]:
    square = xml.SQUARE
    return [
        xml.asap(
            xml.annotation("Dot", (1.5, 2)), xml.annotation("Polygon", *square, group="tumour")
        ).encode(),
        xml.imagescope(xml.layer(xml.region(0, *square), xml.region(5, (3, 4)), name="mitosis")).encode(),
    ]


def sqlite_files(folder: Path) -> list[bytes]:
    runner = databases.make(folder / "runner.sqlite", databases.SLIDERUNNER)
    databases.annotate(runner, 1, (100, 200), guid="g1", labels=(1, 2))
    databases.annotate(runner, 3, (1, 2), (30, 2), (30, 40), guid="g2")
    annotations = databases.make(folder / "annotations.db", databases.TIATOOLBOX)
    with sqlite3.connect(annotations) as database:
        point = bytes.fromhex("0101000000000000000000f03f0000000000000040")
        database.execute(
            "INSERT INTO annotations VALUES (1, 'k', 'Point', 1, 2, ?, ?, 0)",
            (point, json.dumps({"type": "mitosis"})),
        )
    database.close()
    return [runner.read_bytes(), annotations.read_bytes()]


def packed() -> list[bytes]:
    text = geojson()[0]
    files = [gzip.compress(text, mtime=0)]
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            archive.writestr(zipfile.ZipInfo("a.geojson"), text, method)
        files.append(buffer.getvalue())
    return files


def cards() -> list[bytes]:
    return [path.read_bytes() for path in sorted(shipped_models().glob("*/model.toml"))]


def calibrations() -> list[bytes]:
    local = LocalCalibration(
        format=1,
        model="lite0",
        version="2",
        networks="0" * 64,
        reviewed="all",
        tumour="dog",
        labels={"table": "0" * 64},
        slides=("a.svs",),
        calibration=find_model("lite0").calibrations[0],
    )
    return [dump(local).encode()]


def cohort_lists() -> list[bytes]:
    return [
        b"slide,points,name,patient,mpp,origin\na.svs,a.geojson,one,P1,0.25,level0\nb.svs,b.geojson,two,NA,,\n",
        "slide;points;tumour\na.svs;a.geojson;H\u00fcndin\n".encode(),
    ]


def reviews() -> list[bytes]:
    row = f"{_ID},anna,AMF,2026-01-02T03:04:05Z,random,a.svs,1,2,0.5"
    return [f"figure,reader,answer,time,reason,slide,x,y,p_atypical\n{row}\n".encode()]


def projects() -> list[bytes]:
    builder = {
        "builderType": "uri",
        "providerClassName": "qupath.lib.images.servers.openslide.OpenslideServerBuilder",
        "uri": "file:/a.svs",
        "args": ["--series", "0"],
        "metadata": {"name": "a", "width": 100, "height": 100, "pixelCalibration": {}},
    }
    rotated = {"builderType": "rotated", "builder": builder, "rotation": "ROTATE_90"}
    images = [
        {"serverBuilder": b, "entryID": i, "imageName": f"a{i}.svs", "metadata": {"Patient": "P1"}}
        for i, b in enumerate((builder, rotated), start=1)
    ]
    return [json.dumps({"version": "0.6.0", "uri": "file:/p.qpproj", "lastID": 2, "images": images}).encode()]


def slides(folder: Path) -> list[bytes]:
    path = folder / "drawn.svs"
    write_slide(draw_phantom(width=300, height=260, figures=1, seed=5), path)
    return [path.read_bytes()]
