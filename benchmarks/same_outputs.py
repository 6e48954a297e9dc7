"""Does the command line still say and write the same? For changes that must not change what comes out.

python benchmarks/same_outputs.py record CHECKOUT OUT [--scratch FOLDER] [--only TEXT]
python benchmarks/same_outputs.py compare OUT_A OUT_B

`record` runs each of `commands()` with the code of CHECKOUT, one after the other in a scratch folder, on
inputs that are made here. OUT gets a folder for each: exit code, standard output and error, and what files it
wrote. `compare` prints every difference, and ends with 1 if there is one. Record both by one Python on one
machine, with one scratch folder, which is emptied. What differs from run to run by nature, or between
checkouts, is replaced by `<...>`: see `RULES`, `_told_once` and `_torchscript`. Linux.
"""

from __future__ import annotations

import argparse
import difflib
import gzip
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
import zipfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

# Of what ("COMMAND: stdout", "COMMAND: stderr" or "COMMAND: path"), what is replaced, and by what.
RULES = (
    (
        r"summary\.json$",
        rb'("(?:preparing|(?:load|read|wait|comput|rat|writ)ing|total)": )[\d.e-]+',
        rb"\1<s>",
    ),
    (r"-history\.csv$", rb"(?m)(,(?:True|False),)[\d.e-]+(,(?:True|False)\r?)$", rb"\1<s>\2"),
    (r"^(train|tune).*: stderr$", rb"(?m)^(slidemitosis: epoch .*), \d+ s$", rb"\1, <s>"),
    (r"run\.json$", rb'("source": )(?:null|"[0-9a-f]{40}(?:\+changes)?")', rb"\1<commit>"),
    (r"trials\.journal$", rb'("(?:worker_id|datetime_\w+)":)"[^"]+"', rb"\1<by whom and when>"),
    (r"^bench.*: stdout$", rb"(?<= )[\d.]+(?= s\b| patches/s)", rb"<n>"),
    (r"^bench.*: stdout$", rb"(?m)^(hint +).*", rb"\1<what took longest>"),
)
# TorchScript calls our classes by the module that they stand in.
_MODULE = re.compile(rb"__torch__\.slidemitosis(?:\.[a-z_][a-z0-9_]*(?![A-Za-z]))*")

HELP = """, classify, cohort, inspect, patches, convert, models, models export, bench, demo, qupath,
qupath install, qupath scripts, qupath export-candidates, qupath import-results, train, evaluate, compare,
tune, data, data check"""
# Further options of `classify a.svs --points a.geojson --model lite0`.
OPTIONS = """--progress json --workers 0 | --progress none --workers 2 | --reader tiffslide --mpp 0.26,0.25
--abstain 0.1 0.3 --points area.geojson --candidate-class Mitosis --candidate-class Region --area 0.5
--area 0.5 --hot-spot-shape square --hot-spot 0.5 | --tissue --hot-spot-shape 4:3 --hot-spot 0.3
--area-class Region --points area.geojson --hot-spot 0.2 | --views 8 --sensitivity 90 10 --specificity 80 20
--viewer-size 4096x3072 --viewer-server OpenslideServerBuilder | --viewer-size 4000x3000 | --viewer-size wide
--viewer-server OpenslideServerBuilder | --mpp 0.7 --allow-upsampling | --mpp 0.7 | --mpp 0 | --mpp wide
--engine torch --batch-size 7 --precision fp32 | --points off.csv | --points cut.geojson | --points other.txt
--points off.csv --keep-duplicates --unit um | --points px.csv --format asap | --points qupath.tsv --unit px
--points coco.json --format midog | --format excel | --points area.geojson | --candidate-class Other
--points area.geojson --candidate-class Region | --points missing.csv | --points several.csv
--model labelled | --model no-such-model | --abstain 0.8 0.9 | --abstain 0.3 0.1 | --sensitivity 9 1
--area 0.5 --tissue | --area -1 | --hot-spot 0 | --views 2 | --origin bounds | --device cuda:7
--engine onnx --precision fp16 | --batch-size 0 | --workers -1 | --no-such"""
SLIDES = """--version | no-such-command | classify a.svs | classify missing.svs --points a.geojson
classify broken.svs --points a.geojson | classify grid.tif --points grid.csv
classify grid.tif --points grid.csv --mpp 0.25 --out o/grid
classify grid.tif --points grid.csv --mpp 0.25 --out a.svs
classify bounds.scn --points grid.csv LITE --out o/scn
classify bounds.scn --points asap.xml LITE --out o/scn-asap
classify bounds.scn --points grid.csv LITE --out o/scn-level0 --origin level0 --tissue
classify bounds.scn --points grid.csv LITE --out o/scn-bounds --origin bounds
classify bounds.scn --points grid.csv LITE --out o/scn-viewer --viewer-size 512x384
classify bounds.scn --points grid.csv LITE --out o/scn-whole --viewer-size 704x512
classify bounds.scn --points grid.csv LITE --out o/scn-shift --viewer-size 704x512 --origin bounds
inspect a.svs | inspect a.svs --sheet s.png | inspect a.svs --points a.geojson --sheet s.png
inspect grid.tif | inspect bounds.scn --points grid.csv --origin bounds --viewer-size 704x512
inspect missing.svs | inspect a.svs --points um.csv --mpp 0.3 | convert a.geojson made/a.txt
convert a.geojson made/again.geojson
convert a.geojson made/again.geojson | convert um.csv made/um.geojson | convert um.csv made/um.json --mpp 0.25
convert grid.csv made/bounds.geojson --slide bounds.scn --to-origin bounds
convert asap.xml made/level0.geojson --slide bounds.scn
convert asap.xml made/level0.geojson --slide bounds.scn --to-origin bounds
patches grid.tif --out made/grid.csv | patches stack.tif --out made/p.csv | patches stack.tif --out stack.tif
patches stack.tif --out made/p.json --format midog25 LITE --views 8
models | models export no-such-model | models export lite0 --out made/lite0
models export lite0 --format wsinfer --out made/lite0 | bench a.svs --points a.geojson LITE --workers 0
bench a.svs --figures 0 | bench a.svs --unit px | demo --out a.svs | qupath | qupath install
qupath install --scripts-dir home/other
$ echo // mine >> home/other/slidemitosis/classify_image.groovy | qupath install --scripts-dir home/other
$ rm -r home/QuPath | qupath install | qupath scripts | qupath export-candidates project
qupath import-results project --results o"""
# What stands between `cohort` and `--model lite0`.
COHORTS = """list.csv --out c/list --dry-run | list.csv --out c/list --progress json | list.csv --out c/list
$ rm c/list/slides/two/summary.json | list.csv --out c/list --join clinical.csv --progress json
list.csv --out c/list --force --jobs 2 --hot-spot 0.1 | list.csv --out c/list --area-class Region
broken.csv --out c/broken --progress json | broken.csv --out c/broken --dry-run
pairs --out c/pairs --mpp 0.25 | list.csv --out c/parts --shard 1/2 | list.csv --out c/parts --collect
list.csv --out c/parts --shard 2/2 --abstain 0.1 0.3 | list.csv --out c/parts --collect
project/project.qpproj --out c/project | project --out c/project | moved.csv --out c/moved --mpp 0.25
moved.csv --out c/moved --mpp 0.25 --search pairs | list.csv --out c/dask --executor dask --jobs 1
unknown.csv --out c/unknown | lacking.csv --out c/x | missing.csv --out c/x | list.csv --out o/theirs
list.csv --out a.svs/x | list.csv --out c/x --shard 3/2 | list.csv --out c/x --cluster missing.toml
list.csv --out c/x --scheduler tcp://localhost:1 --cluster x.toml | list.csv --out c/x --cluster cluster.toml
list.csv --out c/x --jobs 0 | list.csv --out c/x --join unfit.csv"""
TRAINING = """data check csv=labelled/figures.csv folder=labelled | data check cvs=labelled
data check midog25=labelled/midog25.csv slides=corrections.csv --recipe subtypes
train lite0-multi-task --smoke --device cpu CSV --out t/lite0
train lite0-multi-task --smoke --device cpu CSV --out t/lite0
train benchmark WHOLE --data folder=labelled --set split.group=figure --out t/benchmark
train type-then-subtypes SMALL CSV --out t/subtypes --seed 3 | train lite1 SMALL CSV --out t/x
train lite0 SMALL CSV --set schedule.epoch=2 --out t/x
train misspelt.toml SMALL CSV --out t/x
train lite0 SMALL CSV --test folder=labelled --out t/x
train lite0 SMALL CSV --out t/x --drop-leaks --allow-leaks | train lite0 SMALL CSV --out t/lite0
train lite0 SMALL --data folder=labelled --out t/x
evaluate t/lite0 t/subtypes lite0 CSV --out t/report --device cpu --progress json
evaluate t/benchmark CSV --out t/x --device cpu | compare t/lite0
evaluate t/benchmark lite0 CSV --out t/leaks --device cpu --views 8 --allow-leaks
compare t/lite0 t/subtypes --out t/compared | compare t/lite0 t/subtypes --group a
tune expert-heads SMALL CSV --out t/tuned --trials 1 | tune lite0 SMALL CSV --out t/x
models export t/subtypes/fold-0 | models export t/subtypes/fold-0 --format wsinfer --out made/subtypes
classify a.svs --points a.geojson --model t/subtypes/fold-0 --out o/exported
classify a.svs --points a.geojson --model t/lite0/ensemble --out o/trained"""
SUBTYPES = {
    "NMF": ("prometaphase", "metaphase", "anaphase-telophase", "ring shape"),
    "AMF": ("other", "segregation", "multipolar", "bipolar asymmetric"),
}
TIME = 1_600_000_000  # of every slide, since a cohort keeps it
MARK = "broken.svs"  # tells a scratch folder of ours
SHORT = {
    "LITE": "--model lite0",
    "CSV": "--data csv=labelled/figures.csv",
    "SMALL": "--smoke --device cpu --set backbone=smoke-cnn --set input.resize=32",
    "WHOLE": "--device cpu --set backbone=smoke-cnn --set input.resize=32 --set backbone.pretrained=none"
    " --set schedule.epochs=2 --set split.folds=2 --set sampler.batch_size=8",
}


def commands() -> Iterator[str]:
    """Each command in its order, without `slidemitosis`; `$` begins what a shell does between them."""
    yield from (f"{words.strip()} --help".strip() for words in HELP.split(","))
    yield from (
        "",
        "demo",
        "$ cp slidemitosis-demo/demo.svs a.svs; cp slidemitosis-demo/demo.geojson a.geojson",
    )
    yield f"$ cp a.svs a.geojson pairs; touch -d @{TIME} a.svs pairs/a.svs"
    yield "classify a.svs --points a.geojson"
    for number, options in enumerate(_parts(OPTIONS), 1):
        given = [f"{k} {v}" for k, v in (("--points", "a.geojson"), ("--model", "lite0")) if k not in options]
        yield " ".join(["classify a.svs", *given, f"--out o/{number}", options])
    for name in [*candidate_texts(), *databases(), "px.csv.gz"]:
        yield f"inspect a.svs --points {name}"
        yield f"classify a.svs --points {name} --model lite0 --out o/{name}"
        yield from (f"convert {name} made/{name}.{to} --slide a.svs" for to in ("geojson", "csv"))
    yield from _parts(SLIDES)
    for words in _parts(COHORTS):
        # Of two slides at work, either may be told of first.
        jobs = "" if "--jobs" in words or "--cluster" in words else " --jobs 1"
        yield words if words.startswith("$") else f"cohort {words} --model lite0{jobs}"
    yield from _parts(TRAINING)


def _parts(text: str) -> list[str]:
    words = re.split(r" \| |\n", text)
    return [re.sub(r"\b[A-Z]{3,5}\b", lambda m: SHORT.get(m[0], m[0]), w) for w in words]


PLACES = [(1214.09, 2151.64), (606.12, 1385.5), (2792.99, 1970.81)]  # of figures on the demo's slide


def _rows(head: str, row: str, tail: str = "") -> str:
    """A line, or whatever a place is in this format, for each of the places."""
    named = [{"i": i, "x": x, "y": y, "u": x / 4, "v": y / 4} for i, (x, y) in enumerate(PLACES, 1)]
    return head + "".join(row % place for place in named) + tail


def _features(properties: Mapping[str, object], *more: Mapping[str, object]) -> str:
    points = [{"type": "Point", "coordinates": place} for place in PLACES]
    found = [{"type": "Feature", "geometry": p, "properties": properties} for p in points]
    return json.dumps({"type": "FeatureCollection", "features": [*found, *more]})


def _boxes(*, corners: bool) -> str:
    ends = [(x + 25, y + 25) if corners else (50, 50) for x, y in PLACES]
    image = '{"id": 1, "file_name": "a.svs", "width": 4096, "height": 3072}'
    boxes = [[x - 25, y - 25, *end] for (x, y), end in zip(PLACES, ends, strict=True)]
    found = [{"id": i, "image_id": 1, "category_id": 1 + i // 2, "bbox": b} for i, b in enumerate(boxes)]
    kinds = '[{"id": 1, "name": "mitotic figure"}, {"id": 2, "name": "hard negative"}]'
    return f'{{"images": [{image}], "categories": {kinds}, "annotations": {json.dumps(found)}}}'


def candidate_texts() -> dict[str, str]:
    """A file of each format of candidates that is text."""
    points = [{"name": "mitosis", "point": [x / 4000, y / 4000, 0.25], "probability": 0.5} for x, y in PLACES]
    dot = '<Annotation Name="A %(i)s" Type="Dot" PartOfGroup="mitosis"><Coordinates><Coordinate Order="0" '
    return {
        "qupath.geojson": _features({"objectType": "annotation", "classification": {"name": "Mitosis"}}),
        "px.csv": _rows("x,y,class,score\n", "%(x)s,%(y)s,Mitosis,0.%(i)s\n"),
        "um.csv": _rows("x_um;y_um;label\n", "%(u)s;%(v)s;Mitosis\n"),
        "qupath.tsv": _rows(
            "Image\tObject ID\tClass\tROI\tCentroid X \u00b5m\tCentroid Y \u00b5m\tNucleus: Area\n",
            "a.svs\tid %(i)s\tMitosis\tPolygon\t%(u)s\t%(v)s\t31.%(i)s\n",
        ),
        "midog.json": _boxes(corners=True),
        "coco.json": _boxes(corners=False),
        "ami-br.csv": _rows("slide,dataset,uid,x,y,majority_atypical\n", "a.svs,T,%(i)s,%(x)s,%(y)s,1\n"),
        "midog25.csv": _rows("image_id,filename,coordinateX,coordinateY\n", "%(i)s,a.svs,%(x)s,%(y)s\n"),
        "grand-challenge.json": json.dumps({"type": "Multiple points", "points": points}),
        "hover-next.tsv": _rows("x\ty\tname\tcolor\n", "%(x)s\t%(y)s\tmitosis\t-65536\n"),
        "tiatoolbox.json": _features({"type": "mitosis", "prob": 0.75}),
        "asap.xml": _rows(
            "<ASAP_Annotations><Annotations>",
            f'{dot}X="%(x)s" Y="%(y)s"/></Coordinates></Annotation>',
            '</Annotations><AnnotationGroups><Group Name="mitosis"/></AnnotationGroups></ASAP_Annotations>',
        ),
        "imagescope.xml": _rows(
            '<Annotations><Annotation Id="1" Name="Mitosis"><Regions>',
            '<Region Type="0" GeoShape="Points"><Vertices><Vertex X="%(x)s" Y="%(y)s"/></Vertices></Region>',
            "</Regions></Annotation></Annotations>",
        ),
    }


def databases() -> dict[str, str]:
    """What makes a file of each format of candidates that is an SQLite database."""
    return {
        "tiatoolbox.db": _rows(
            "CREATE TABLE annotations"
            " (id INTEGER PRIMARY KEY, key, objtype, cx, cy, geometry, properties, area);",
            "INSERT INTO annotations VALUES (%(i)s, 'key %(i)s', 'Point', %(x)s, %(y)s, NULL,"
            """ '{"type": "mitosis", "probability": 0.75}', 0);""",
        ),
        "sliderunner.db": _rows(
            "CREATE TABLE Slides (uid, filename); CREATE TABLE Classes (uid, name);"
            "CREATE TABLE Annotations (uid, guid, deleted, slide, type, agreedClass, description);"
            "CREATE TABLE Annotations_coordinates (uid, coordinateX, coordinateY, slide, annoId, orderIdx);"
            "CREATE TABLE Annotations_label (uid, person, class, annoId);"
            "INSERT INTO Slides VALUES (1, 'a.svs'); INSERT INTO Classes VALUES (1, 'Mitotic figure');",
            "INSERT INTO Annotations VALUES (%(i)s, 'g%(i)s', 0, 1, 1, 1, '');"
            "INSERT INTO Annotations_coordinates VALUES (%(i)s, %(x)s, %(y)s, 1, %(i)s, 1);"
            "INSERT INTO Annotations_label VALUES (%(i)s, 1, 1, %(i)s);",
        ),
    }


def _draw(number: int) -> NDArray[np.uint8]:
    """A patch of 128 px: of every third number three dark spots, atypical, else a dark bar."""
    y, x = np.mgrid[:128, :128] - 63.5
    spots, wide = (((-14, -10), (14, -10), (0, 14)), 7) if number % 3 == 0 else (((0, 0),), 16)
    dark = np.max([np.exp(-(((x - a) / wide) ** 2) - ((y - b) / 7) ** 2) for a, b in spots], axis=0)[
        ..., None
    ]
    tissue = np.random.default_rng(number).normal((225, 190, 215), 6, (128, 128, 3))
    pixels = tissue * (1 - dark) + np.array([70, 40, 110]) * dark
    return np.asarray(pixels.clip(0, 255), np.uint8)


def make_slides(folder: Path, patches: list[NDArray[np.uint8]]) -> None:
    """A TIFF without a pixel size, a Leica SCN with bounds, and a stack of patches."""
    lossless: dict[str, Any] = {
        "tile": (64, 64),
        "photometric": "rgb",
        "compression": "lzw",
        "metadata": None,
    }
    grid = np.concatenate([np.concatenate(patches[i : i + 4], axis=1) for i in (0, 4, 8)])
    for name in ("grid.tif", "pairs/grid.tif"):
        tifffile.imwrite(folder / name, grid, **lossless)
    pages = [Image.fromarray(p) for p in patches[:8]]
    pages[0].save(folder / "stack.tif", save_all=True, append_images=pages[1:])

    def image(name: str, width: int, height: int, number: int, view: str, objective: str) -> str:
        size = f'sizeX="{width}" sizeY="{height}"'
        return (
            f'<image name="{name}"><pixels {size}><dimension {size} r="0" ifd="{number}"/></pixels>'
            f'<view {view} spacingZ="0"/><scanSettings><objectiveSettings><objective>{objective}</objective>'
            "</objectiveSettings><illuminationSettings><illuminationSource>brightfield</illuminationSource>"
            "</illuminationSettings></scanSettings></image>"
        )

    size = 'sizeX="176000" sizeY="128000"'  # nm, of which a pixel has 250
    macro = image("macro", 64, 64, 0, f'{size} offsetX="0" offsetY="0"', "0.6")
    where = 'sizeX="128000" sizeY="96000" offsetX="16000" offsetY="8000"'
    region = image("region", 512, 384, 1, where, "40")
    xml = (
        '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01">'
        f'<collection name="c" {size}><barcode>MQ==</barcode>{macro}{region}</collection></scn>'
    )
    lossless |= {"software": False, "resolution": (40_000, 40_000), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(folder / "bounds.scn", bigtiff=True) as tif:
        tif.write(np.ascontiguousarray(grid[:64, :64]), description=xml, **lossless)
        tif.write(grid, **lossless)


def make_labelled(folder: Path, patches: list[NDArray[np.uint8]]) -> None:
    """Labelled figures as class folders, as a table of one's own, and as MIDOG 2025's."""
    figures = ["image,label,slide,patient,domain,subtype,split,expert1,expert2,expert3"]
    midog25 = ["image_id,filename,coordinateX,coordinateY,Tumor,expert1,expert2,expert3,majority"]
    for i, pixels in enumerate(patches):
        kind, label, other = ("Normal", "NMF", "AMF") if i % 3 else ("Atypical", "AMF", "NMF")
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / kind / f"{i}.png")
        slide, split = (f"s{i % 8}", "train") if i < 30 else (f"t{i}", "test")
        tumour, votes = ("breast", "lung")[i % 2], f"{label},{label},{label if i % 5 else other}"
        subtype = SUBTYPES[label][i // 3 % 4]
        figures.append(f"{kind}/{i}.png,{label},{slide},{slide},{tumour},{label} {subtype},{split},{votes}")
        midog25.append(f"{i}.png,{slide}.tif,{100 + 99 * i},{9 * i},{tumour},{votes},{label}")
    (folder / "figures.csv").write_text("\n".join(figures))
    (folder / "midog25.csv").write_text("\n".join(midog25))


def make_inputs(folder: Path) -> None:
    """All that the commands read, but for the demo's slide."""
    for name in ("pairs", "home/QuPath/v0.6", "project/slidemitosis", "made", "o/theirs/slides", "c", "t"):
        (folder / name).mkdir(parents=True)
    patches = [_draw(i) for i in range(36)]
    make_slides(folder, patches)
    make_labelled(folder / "labelled", patches)
    mitosis = {"objectType": "detection", "classification": {"name": "Mitosis"}}
    square = {"type": "Polygon", "coordinates": [[[500, 1000], [2500, 1000], [2500, 2500], [500, 1000]]]}
    region = {"type": "Feature", "geometry": square, "properties": {"classification": {"name": "Region"}}}
    server = {
        "builderType": "uri",
        "providerClassName": "qupath.lib.images.servers.openslide.OpenslideServerBuilder",
    }
    images = [
        {"serverBuilder": server | {"uri": (folder / n).as_uri(), "args": [], "metadata": size}, "entryID": i}
        | {"imageName": n, "metadata": {"site": f"S{i}"}}
        for i, (n, size) in enumerate((("a.svs", {"width": 4096, "height": 3072}), ("grid.tif", {})), 1)
    ]
    grid = "".join(f"{64 + 128 * i},{64 + 128 * k}\n" for k in range(3) for i in range(4))
    texts = candidate_texts() | {
        "area.geojson": _features(mitosis, region),
        "off.csv": "x,y\n1214,2151\n1215,2151\n-50,10\n5000,3000\n3,3\n",
        "cut.geojson": candidate_texts()["qupath.geojson"][:200],
        "other.txt": "nothing of candidates\n",
        "several.csv": "slide,x,y\nb.svs,1,2\nc.svs,3,4\n",
        "grid.csv": f"x,y\n{grid}",
        "pairs/grid.csv": f"x,y\n{grid}",
        "pairs/lonely.svs": "a slide without candidates",
        MARK: "no slide",
        "list.csv": "slide,points,name,patient,mpp,area_mm2,site\na.svs,a.geojson,one,P1,,0.5,X\n"
        "grid.tif,grid.csv,two,P2,0.25,,Y\n",
        "broken.csv": "slide;points;origin;viewer_size;candidate_class;format;mpp\n"
        "broken.svs;a.geojson;;;;;\nbounds.scn;grid.csv;bounds;;Unclassified;csv;\na.svs;;;;;;\n"
        "grid.tif;grid.csv;;512x384;;;0.25\nmissing.svs;a.geojson;;;;;\na.svs;cut.geojson;;;;;\n",
        "moved.csv": "slide,points\nelsewhere/grid.tif,grid.csv\n",
        "unknown.csv": "slide,points,mpp_um\ngrid.tif,grid.csv,0.25\n",
        "lacking.csv": "slide,dots\na.svs,a.geojson\n",
        "clinical.csv": "patient,grade\nP1,3\nP9,1\n",
        "unfit.csv": "case,grade\nP1,3\n",
        "cluster.toml": 'kind = "local"\nworker = 2\n',
        "misspelt.toml": 'base = "lite0"\n[schedule]\nepoch = 2\n',
        "corrections.csv": "slide,x,y,label\na.svs,1214.09,2151.64,NMF\na.svs,606.12,1385.5,AMF\n",
        "project/project.qpproj": json.dumps({"version": "0.6.0", "images": images}),
        "project/slidemitosis/cohort.csv": "slide,points,image,entry_id,viewer_size,viewer_server,mpp_x,"
        "mpp_y\n"
        f"{folder}/a.svs,../../qupath.geojson,a.svs,1,4096x3072,OpenslideServerBuilder,0.26,0.26\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "px.csv.gz").write_bytes(gzip.compress(texts["px.csv"].encode(), mtime=0))
    for name, script in databases().items():
        with closing(sqlite3.connect(folder / name)) as database:
            database.executescript(script)
    for path in folder.rglob("*"):
        os.utime(path, (TIME, TIME))


def _torchscript(data: bytes) -> bytes:
    """The parts of a TorchScript file, with their hashes, whatever modules of ours the classes stand in."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        parts = {n: _MODULE.sub(b"<module>", file.read(n)) for n in file.namelist()}
    parts.pop("torchscript_model/.data/serialization_id")  # hash of the others
    ours = [parts.pop(n) for n in sorted(parts) if "/__torch__/slidemitosis/" in n]
    listed = [f"{hashlib.sha256(part).hexdigest()} {name}" for name, part in sorted(parts.items())]
    return "\n".join(listed).encode() + b"\n\nours:\n" + b"\n".join(sorted(b"\n".join(ours).splitlines()))


def _told_once(lines: bytes) -> bytes:
    """Progress without what is told each second of slides: the first line for each number of slides done."""
    kept: dict[object, bytes] = {}
    for number, line in enumerate(lines.splitlines(keepends=True)):
        told = json.loads(line) if b'"what": "slides"' in line else {}
        kept.setdefault(told.get("done", f"line {number}"), line)
    return b"".join(kept.values())


def _plain(what: str, data: bytes, replaced: dict[bytes, bytes]) -> bytes:
    if what.endswith("torchscript_model.pt"):
        data = _torchscript(data)
    if re.search(r"^cohort.*--progress json.*: stderr$", what):
        data = _told_once(data)
    for where, pattern, by in RULES:
        if re.search(where, what):
            data = re.sub(pattern, by, data)
    for text, by in replaced.items():
        data = data.replace(text, by)
    return data


def _states(folder: Path) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix() + "/" * path.is_dir()
        if not name.startswith("home/.cache/"):  # onnxruntime counts there how it is used, with random ids
            status = path.lstat()
            state = () if path.is_dir() else (status.st_ino, status.st_mtime_ns, status.st_size)
            found[name] = state
    return found


def _environment(checkout: Path, scratch: Path) -> dict[str, str]:
    """That of every command; ends where Python would run another slidemitosis than the checkout's."""
    fonts = os.environ.get("MPLCONFIGDIR") or str(Path.home() / ".cache/matplotlib")
    ours = {"PYTHONPATH": str(checkout), "HOME": str(scratch / "home"), "MPLCONFIGDIR": fonts}
    env = os.environ | ours | {"COLUMNS": "100", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    asked = [sys.executable, "-P", "-c", "import slidemitosis; print(slidemitosis.__file__)"]
    found = subprocess.run(asked, capture_output=True, check=True, cwd=scratch, env=env, text=True).stdout
    if not Path(found).is_relative_to(checkout):
        sys.exit(f"{found.strip()} would be run, and not {checkout}")
    return env


def _record_one(line: str, folder: Path, scratch: Path, env: dict[str, str]) -> None:
    before = _states(scratch)
    words = [sys.executable, "-P", "-m", "slidemitosis", *shlex.split(line)]
    nothing = subprocess.DEVNULL
    done = subprocess.run(words, capture_output=True, check=False, cwd=scratch, env=env, stdin=nothing)
    after = _states(scratch)
    written = sorted(name for name, state in after.items() if before.get(name) != state)
    gone = [f"{name} is gone" for name in sorted(before.keys() - after.keys())]
    said = {f"files/{name}": (scratch / name).read_bytes() for name in written if not name.endswith("/")}
    replaced = {env["PYTHONPATH"].encode(): b"<checkout>"}
    for name, data in said.items():
        # Hashes that stand in other files; the README says that of the model, and so has another one with it.
        if name.endswith(("torchscript_model.pt", "README.md")):
            replaced[hashlib.sha256(data).hexdigest().encode()] = b"<its SHA-256>"
    said |= {"stdout": done.stdout, "stderr": done.stderr}
    for name, data in said.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(_plain(f"{line}: {name}", data, replaced))
    (folder / "command").write_text("\n".join([line, f"exit code {done.returncode}", *written, *gone, ""]))
    if b"Traceback" in done.stderr:
        print(f"{line}: a traceback, see {folder}")


def record(checkout: Path, out: Path, scratch: Path, only: str) -> None:
    """Run the commands with the code of `checkout`, and keep in `out` what they say and write."""
    if scratch.exists():
        if not (scratch / MARK).exists():
            sys.exit(f"{scratch} is there, and not from here; choose another --scratch")
        shutil.rmtree(scratch)
    scratch.mkdir(parents=True)
    make_inputs(scratch)
    env = _environment(checkout, scratch)
    began, number = time.monotonic(), 0
    for line in commands():
        if line.startswith("$"):
            subprocess.run(line[1:], shell=True, check=False, cwd=scratch)
            continue
        number += 1
        if only in line:
            name = re.sub("[^A-Za-z0-9.=-]+", " ", line)[:80].strip()
            _record_one(line, out / f"{number:03} {name}".strip(), scratch, env)
    shutil.rmtree(scratch)
    print(f"{number} commands in {time.monotonic() - began:.0f} s")


def compare(a: Path, b: Path) -> int:
    """Print how the recordings differ; 1 if they do."""
    files = [{p.relative_to(of).as_posix(): p for p in of.rglob("*") if p.is_file()} for of in (a, b)]
    names = sorted(files[0].keys() | files[1].keys())
    different = [n for n in names if len({f[n].read_bytes() if n in f else None for f in files}) > 1]
    for name in different:
        print(f"{name}:")
        if not (name in files[0] and name in files[1]):
            print(f"  only in {a if name in files[0] else b}")
            continue
        one, other = (f[name].read_bytes() for f in files)
        try:
            old, new = one.decode().splitlines(keepends=True), other.decode().splitlines(keepends=True)
            lines = difflib.unified_diff(old, new, a.name, b.name, n=0)
            print(*(f"  {line[:500]!r}" for line in lines), sep="\n")
        except UnicodeDecodeError:
            pairs = enumerate(zip(one, other, strict=False))
            at = next((i for i, (x, y) in pairs if x != y), "the last of one")
            print(f"  {len(one)} and {len(other)} bytes, which differ from byte {at} on")
    print(f"{len(different)} of {len(names)} files differ")
    return int(bool(different))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    recording = actions.add_parser("record")
    recording.add_argument("checkout", type=Path)
    recording.add_argument("out", type=Path)
    recording.add_argument("--scratch", type=Path, default=Path("/tmp/slidemitosis-same-outputs"))
    recording.add_argument("--only", default="", help="for a try: the commands that hold this text")
    comparing = actions.add_parser("compare")
    comparing.add_argument("a", type=Path)
    comparing.add_argument("b", type=Path)
    args = parser.parse_args()
    if args.action == "compare":
        return compare(args.a, args.b)
    if args.out.exists():
        parser.error(f"{args.out} is there already")
    record(args.checkout.resolve(), args.out.resolve(), args.scratch.resolve(), args.only)
    return 0


if __name__ == "__main__":
    sys.exit(main())
