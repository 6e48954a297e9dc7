"""Single functions of the scripts for QuPath, run by a real Groovy."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from slidemitosis.slides.identity import content_sha256, same_slide, slide_identity
from tests.qupath.standin_qupath import SCRIPTS, QuPath, results

if TYPE_CHECKING:
    from pathlib import Path

NAMES = sorted(p.stem for p in SCRIPTS.glob("*.groovy"))
OF_IMAGES = [name for name in NAMES if name not in ("slidemitosis_menu", "settings")]
"""The scripts that are about the image that is open."""


def text(name: str) -> str:
    return (SCRIPTS / f"{name}.groovy").read_text(encoding="utf-8")


# Code that some Groovy from 2.4 to 6 cannot read or reads otherwise (QuPath has 4.0 to 5.0), that needs what
# QuPath does not bring, or that differs from one QuPath to another.
AVOIDED = {
    "a local variable by var": r"^\s*var\s",
    "a method reference": r"\w::\w",
    "a lambda": r"\)\s*->\s*[{(\w](?![^{]*\{)",
    "a negated operator": r"!in\b|!instanceof\b",
    "safe indexing or elvis assignment": r"\?\[|\?=[^=]",
    "try with resources": r"\btry\s*\(",
    "a loop with its condition last": r"\}\s*while\s*\(",
    "an array of values": r"new \w+\[\]\s*\{",
    "a class of its own, which compiled scripts would mix up": r"^\s*(class|enum|interface|trait|record)\s",
    "a method that Groovy 5 would run as the script": r"^\w+\s+(main|run)\s*\(",
    "groovy-json, which QuPath does not bring": r"groovy\.json|JsonSlurper|JsonOutput",
    "groovy-nio, which QuPath does not bring": r"\.toPath\(\)\.(text|withReader|readLines)",
    "groovy-dateutil, which QuPath does not bring": r"new Date\(|\.format\(\s*'y",
    "a text of the system's encoding": r"\.text\b|getText\(\)|withReader\s*\{|withWriter\s*\{|\.bytes\b",
    "a method that QuPath has dropped": r"addPathObjects?\(|putMeasurement|addMeasurement|getColorRGB"
    r"|getServerURIs|removeObjects\(|setClassification\(|PluginRunner|showParameterDialog",
    "a number put into a map of measurements": r"measurements\[.*\]\s*=",
    "dialogs by their package, which has moved": r"\.dialogs\.(?!ParameterPanelFX)",
    "an import that adds without looking at ids": r"importObjectsFromFile",
    "a key of a map that is also a property of every map": r"\.(properties|empty|class)\b(?!\()",
    "a shell": r"\.execute\(\)|Runtime\.|'sh'|'cmd'",
    "objects as the set that QuPath gives, which Groovy makes no list of": r"getAllObjects\(\w*\)\.",
}


@pytest.mark.parametrize("what", AVOIDED)
@pytest.mark.parametrize("name", NAMES)
def test_what_some_version_of_groovy_or_qupath_lacks_is_avoided(name: str, what: str) -> None:
    code = re.sub(r"/\*.*?\*/|//.*", "", text(name), flags=re.S)
    found = [m.group() for m in re.finditer(AVOIDED[what], code, re.M)]
    assert found == []


@pytest.mark.parametrize("name", NAMES)
def test_a_script_is_ascii_with_unix_lines_of_a_width_that_the_script_editor_shows(name: str) -> None:
    assert text(name).isascii()
    assert "\r" not in text(name)
    assert "\t" not in text(name)
    assert max(map(len, text(name).splitlines())) <= 120


def test_every_script_is_read_by_groovy_as_it_stands(qupath: QuPath) -> None:
    for name in NAMES:
        qupath.call(name, "fileName", "a/b c")
    assert results(qupath) == ["a_b_c"] * len(NAMES)


IMAGE: dict[str, Any] = {
    "slide": {"file": "/slides of May/A 'one' & two.svs"},
    "width": 46000,
    "height": 32914,
    "server": "OpenSlide",
    "mppX": 0.2485,
    "mppY": 0.2487,
}


def command_line(qupath: QuPath, image: dict[str, Any], model: str, classes: list[str]) -> None:
    points, out = {"file": "/w o/points.geojson"}, {"file": "/w o/1"}
    qupath.call("classify_image", "classifyCommand", "/p y/python", image, points, out, model, classes)


def test_the_command_line_names_each_class_once_and_leaves_out_what_is_not_known(qupath: QuPath) -> None:
    command_line(qupath, IMAGE, "lite0", ["Mitosis", "Mitosis: Atypical", "Mitosis", "Unclassified"])
    command_line(qupath, IMAGE | {"mppX": float("nan")}, "", ['-odd, "name"'])
    full, short = results(qupath)
    words = [
        *("/p y/python", "-I", "-m", "slidemitosis", "classify", "/slides of May/A 'one' & two.svs"),
        *("--points", "/w o/points.geojson", "--out", "/w o/1"),
        *("--viewer-size", "46000x32914", "--viewer-server=OpenSlide", "--progress", "json"),
    ]
    assert full == [
        *words,
        *("--mpp", "0.2485,0.2487", "--model=lite0"),
        *("--candidate-class=Mitosis", "--candidate-class=Mitosis: Atypical"),
        "--candidate-class=Unclassified",
    ]
    assert short == [*words, '--candidate-class=-odd, "name"']


IN_IMAGE_TAB = "; double-click Pixel width in the Image tab, and Pixel height below it, and give them in um"
SAID = {
    "a.svs: no pixel size; pass --mpp (um/px of level 0)": f"a.svs: no pixel size{IN_IMAGE_TAB}",
    "a.svs: 9 um/px; pass --allow-upsampling to go on, or --mpp": f"a.svs: 9 um/px{IN_IMAGE_TAB}",
    "the metadata say 0.5 um/px, --mpp says 0.25": "the metadata say 0.5 um/px, QuPath says 0.25",
    "a.tif: cannot be opened: TiffFileError: not a TIFF file: header=b'abcd'": (
        "a.tif: cannot be opened: it is damaged, or of a format that slidemitosis does not read"
    ),
    "a.geojson: one id. If it is not the figure's own, pass --keep-duplicates": (
        "a.geojson: one id. If it is not the figure's own"
    ),
    "the fraction has no interval: few figures": "the fraction has no interval: few figures",
}


def test_a_message_says_what_can_be_done_in_qupath_and_names_no_option(qupath: QuPath) -> None:
    for said in SAID:
        qupath.call("classify_image", "inQuPathsWords", said)
    assert results(qupath) == list(SAID.values())


def test_only_lines_of_our_own_are_events(qupath: QuPath) -> None:
    lines = [
        '{"event": "progress", "done": 64, "total": 500, "what": "classifying"}',
        '{"event": "done", "objects": "/o", "summary": "/s"}',
        "Traceback (most recent call last):",
        '{"no event": 1}',
        "{cut off",
        "",
    ]
    for line in lines:
        qupath.call("classify_image", "parseEvent", line)
    progress, done, *others = results(qupath)
    assert progress == {"event": "progress", "done": 64, "total": 500, "what": "classifying"}
    assert done["objects"] == "/o"
    assert others == [{"event": "text", "text": line} for line in lines[2:]]


@pytest.mark.parametrize("name", OF_IMAGES)
def test_only_an_image_that_is_its_file_is_taken(name: str, qupath: QuPath) -> None:
    taken = [["uri"], ["pyramidize", "uri"], ["color_deconvolved", "swapRedBlue", "uri"]]
    refused = {
        "rotated": ["rotated", "uri"],
        "cropped": ["pyramidize", "cropped", "uri"],
        "flipped, turned or warped": ["affine", "uri"],
        "sliced": ["sliced", "uri"],
        "concatenated": ["channels", "uri"],
        "put together from parts": ["sparse"],
        "anyNewKind": ["anyNewKind", "uri"],
        "made of something else": ["pyramidize"],
        "does not say": [],
    }
    for types in [*taken, *refused.values()]:
        qupath.call(name, "movedReason", types)
    found = results(qupath)
    assert found[: len(taken)] == [None] * len(taken)
    for word, reason in zip(refused, found[len(taken) :], strict=True):
        assert word in reason
        assert reason.endswith("add the file itself to the project")


CELLS = ["", "plain", "a,b", 'say "so"', "two\nlines", "cr\r\nlf", " edge ", '"', ",", "Größe µm", "=1+1"]


def test_any_text_survives_a_table_that_python_reads(qupath: QuPath) -> None:
    for cell in CELLS:
        qupath.call("export_candidates", "csvCell", cell)
    written = results(qupath)
    text = "\n".join(f"x,{cell},y" for cell in written)
    assert list(csv.reader(io.StringIO(text, newline=""), strict=True)) == [["x", c, "y"] for c in CELLS]
    qupath.steps.clear()
    qupath.call("export_candidates", "parseCsv", "\ufeff" + text + "\r\n\r\n")
    assert results(qupath)[0] == [["x", c, "y"] for c in CELLS]


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as f:
        return list(csv.reader(f, strict=True))


def test_a_row_is_replaced_in_its_place_and_keeps_what_a_user_has_added(
    qupath: QuPath, tmp_path: Path
) -> None:
    table = tmp_path / "t.csv"
    columns = ["entry_id", "image", "patient"]

    def replace(entry: str, image: str) -> QuPath:
        row = {"entry_id": entry, "image": image}
        where = {"file": str(table)}
        return qupath.call(
            "export_candidates", "replaceRows", where, columns, {"entry_id": entry}, "entry_id", [row]
        )

    replace("1", "one").reports()
    qupath.steps.clear()
    replace("2", "two, too").reports()
    lines = table.read_text().replace("patient", "patient,note").replace("one,", "one,P7,mine").splitlines()
    table.write_text("\n".join([lines[0], lines[1], lines[2] + ","]) + "\n")
    qupath.steps.clear()
    replace("1", "renamed")
    replace("3", "three")
    qupath.reports()
    assert rows_of(table) == [
        ["entry_id", "image", "patient", "note"],
        ["1", "renamed", "P7", "mine"],
        ["2", "two, too", "", ""],
        ["3", "three", "", ""],
    ]
    assert sorted(p.name for p in tmp_path.iterdir() if "t.csv" in p.name) == ["t.csv"]


def test_a_table_that_is_not_ours_is_left_alone(qupath: QuPath, tmp_path: Path) -> None:
    table = tmp_path / "cohort.csv"
    table.write_text("entry_id;image\n1;one\n")
    where, columns, one = {"file": str(table)}, ["entry_id", "image"], {"entry_id": "1"}
    qupath.call("export_candidates", "replaceRows", where, columns, one, "entry_id", [one])
    (reason,) = results(qupath)
    assert reason == f"{table}: lacks the columns entry_id, image, which commas must part; move it away"
    assert table.read_text() == "entry_id;image\n1;one\n"


def summary(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "slide": {
            "name": "a.mrxs", "bytes": 9000, "width_px": 900, "height_px": 800,
            "bounds_px": {"x": 64, "y": 32, "width": 400, "height": 300},
        },
        "reading": {"offset_px": [64, 32]},
        "model": {"name": "m", "version": "1", "threshold": 0.1676, "operating_point": "counting"},
        "counts": {"candidates": 40, "classified": 38, "atypical": 16, "normal": 22},
        "fraction_amf_of_all": 0.421053,
        "fraction_amf_of_all_wilson_95": [0.279, 0.578],
        "expected_fraction_amf_of_all": 0.213456,
        "expected_fraction_amf_of_all_figures_95": [0.0921, 0.3049],
    }  # fmt: skip
    for key, value in changes.items():
        found[key] = found[key] | value if isinstance(value, dict) else value
    return found


def test_results_of_another_slide_or_another_origin_are_refused(qupath: QuPath, tmp_path: Path) -> None:
    for name in ("a.mrxs", "b.mrxs"):
        (tmp_path / name).write_bytes(bytes(9000))
    (tmp_path / "longer").mkdir()
    (tmp_path / "longer" / "a.mrxs").write_bytes(bytes(9001))
    cases = [
        (summary(), ("a.mrxs", 400, 300, False), None),
        (summary(reading={"offset_px": [0, 0]}), ("a.mrxs", 900, 800, False), None),
        # Objects may count from elsewhere than the points: theirs is the frame that matters.
        (
            summary(reading={"offset_px": [0, 0], "objects_offset_px": [64, 32]}),
            ("a.mrxs", 400, 300, False),
            None,
        ),
        (summary(reading={"objects_offset_px": [0, 0]}), ("a.mrxs", 900, 800, False), None),
        (
            summary(reading={"objects_offset_px": [0, 0]}),
            ("a.mrxs", 400, 300, False),
            r"count from 0, 0 px",
        ),
        (
            summary(),
            ("b.mrxs", 400, 300, False),
            r"are of a\.mrxs \(9000 bytes\), and this image is b\.mrxs \(9000 bytes\), or has",
        ),
        (summary(), ("longer/a.mrxs", 400, 300, False), r"9000 bytes.*9001 bytes"),
        (
            summary(),
            ("a.mrxs", 900, 800, False),
            r"count from 64, 32 px .*900 x 800 px of it: the origins differ",
        ),
        (summary(reading={"offset_px": [0, 0]}), ("a.mrxs", 400, 300, False), r"count from 0, 0 px"),
        (summary(), ("a.mrxs", 401, 300, False), r"401 x 300"),
        ({"version": 2}, ("a.mrxs", 400, 300, False), r"is not one of \"slidemitosis classify\""),
    ]
    # Of the image's own run: its file may have got another name, but no other content.
    cases += [
        (summary(), ("b.mrxs", 400, 300, True), None),
        (summary(), ("longer/a.mrxs", 400, 300, True), r"9000 bytes.*9001 bytes"),
    ]
    for stated, arguments, _ in cases:
        name, *others = arguments
        qupath.call("import_results", "otherImage", stated, {"file": str(tmp_path / name)}, *others)
    for found, (_, _, expected) in zip(results(qupath), cases, strict=True):
        assert (found is None) == (expected is None), found
        assert expected is None or re.search(expected, found), found


def test_the_metadata_of_an_image_is_the_summary_and_nothing_is_not_zero(qupath: QuPath) -> None:
    empty = summary(
        counts={"candidates": 1, "classified": 0, "atypical": 0, "normal": 0},
        fraction_amf_of_all=None,
        fraction_amf_of_all_wilson_95=None,
        expected_fraction_amf_of_all=None,
        expected_fraction_amf_of_all_figures_95=None,
    )
    older = summary(expected_fraction_amf_of_all=None, model={"operating_point": None})
    unsure = summary(expected_fraction_amf_of_all_figures_95=None)
    qupath.call("classify_image", "imageMetadata", summary(), "class Mitosis")
    qupath.call("classify_image", "imageMetadata", empty, "selected")
    qupath.call("classify_image", "outcomeText", summary())
    for other in (empty, older, unsure):
        qupath.call("classify_image", "outcomeText", other)
    qupath.call("classify_image", "imageMetadata", older, "selected")
    full, none, told, told_none, told_older, told_unsure, of_older = results(qupath)
    assert full == {
        "AMF expected fraction": "0.2135",
        "AMF expected fraction, 95 % from": "0.0921",
        "AMF expected fraction, 95 % to": "0.3049",
        "AMF operating point": "counting",
        "AMF threshold": "0.1676",
        "AMF fraction": "0.4211",
        "AMF fraction, 95 % from": "0.2790",
        "AMF fraction, 95 % to": "0.5780",
        "AMF count": "16",
        "NMF count": "22",
        "AMF candidates": "40",
        "AMF model": "m 1",
        "AMF objects": "class Mitosis",
    }
    assert {none[k] for k in full if "fraction" in k} == {"NA"}
    assert (of_older["AMF expected fraction"], of_older["AMF operating point"]) == ("NA", "balanced")
    rest = "of 38 figures; 16 called atypical, 2 not classified"
    assert told == f"atypical fraction 21 % (95 % interval 9.2 to 30 %) {rest}"
    assert told_unsure == f"atypical fraction 21 % (no interval) {rest}"
    assert told_older == "16 of 38 called atypical, 2 not classified"
    assert told_none == "none of 1 candidates could be classified"


def test_what_the_run_said_is_told_by_metadata_or_by_probability_and_threshold(qupath: QuPath) -> None:
    as_float = float(np.float32(0.7))  # of a detection, whose measurements QuPath keeps as floats
    assert as_float < 0.7
    nan = float("nan")
    cases = [
        ((nan, nan, None, 0.1676), None),
        ((0.9, nan, "NMF metaphase", 0.1676), "Normal"),
        ((0.1, nan, "AMF multipolar", 0.1676), "Atypical"),
        ((0.1676, nan, None, 0.1676), "Atypical"),
        ((as_float, nan, None, 0.7), "Atypical"),
        ((0.167599, nan, None, 0.1676), "Normal"),
        ((0.9, nan, None, None), None),
        # Its own threshold goes before that of the last run, and before metadata, which 0.5 cannot change.
        ((0.5, 0.6, None, 0.4), "Normal"),
        ((as_float, 0.7, "NMF metaphase", None), "Atypical"),
    ]
    for arguments, _ in cases:
        qupath.call("export_corrections", "recordedCall", *arguments)
    assert results(qupath) == [expected for _, expected in cases]


def test_which_class_is_a_call_and_which_is_of_the_candidates(qupath: QuPath) -> None:
    calls = {"Mitosis: Atypical": "Atypical", "A: B: Normal": "Normal", "Normal": None, "Mitosis": None}
    for name in calls:
        qupath.call("export_corrections", "statedCall", name)
    of_class = {
        ("Mitosis: Atypical", "Mitosis"): True,
        ("Mitosis", "Mitosis"): True,
        ("Mitosis-like", "Mitosis"): False,
        ("Tumor: Mitosis", "Mitosis"): False,
        ("Tumor: Mitosis: Normal", "Tumor:Mitosis"): True,
        ("Unclassified", "Unclassified"): True,
    }
    for name, wanted in of_class:
        qupath.call("export_candidates", "isOfClass", name, wanted)
    assert results(qupath) == [*calls.values(), *of_class.values()]


def test_pixels_that_are_not_square_are_no_column_of_the_labels(qupath: QuPath) -> None:
    qupath.call("export_corrections", "givenMpp", {"mpp_x": 0.2485, "mpp_y": 0.2487})
    qupath.call("export_corrections", "givenMpp", {"mpp_x": 0.25, "mpp_y": 0.5})
    mean, reason = results(qupath)
    assert float(mean) == pytest.approx(0.2486)
    assert "not square (0.25 x 0.5 um)" in reason


@pytest.mark.parametrize("column", ["entry_id", "image", "object_id", "model_call", "p_atypical", "reason"])
def test_no_column_of_ours_beside_the_labels_looks_like_a_misspelt_one(column: str) -> None:
    from slidemitosis.toml_tables import nearest
    from slidemitosis.train.data import rows

    known = [*rows._KNOWN, "mpp", "expert1"]
    assert nearest(column, known) == ""


def test_the_scripts_recognise_a_slide_by_the_same_content_as_the_command(
    qupath: QuPath, tmp_path: Path
) -> None:
    """Of a copy, whose time is another, the content decides; of a large one in samples."""
    small, large, many = tmp_path / "a.svs", tmp_path / "b.svs", tmp_path / "c.mrxs"
    small.write_bytes(b"small" * 99)
    large.write_bytes(b"".join(i.to_bytes(4, "big") for i in range(1_100_001)))
    many.write_bytes(b"index")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "Slidedat.ini").write_bytes(b"ini")
    (tmp_path / "c" / "Data0001.dat").write_bytes(b"".join(i.to_bytes(4, "big") for i in range(100_000)))
    series = tmp_path / "dicom" / "d.dcm"
    series.parent.mkdir()
    for name in ("d.dcm", "E.DCM", "notes.txt"):  # what lies beside them by chance is no part of the slide
        (series.parent / name).write_bytes(name.encode())
    slides = (small, large, many, series)
    for slide in slides:
        qupath.call("import_results", "contentSha256", {"file": str(slide)})
    assert results(qupath) == [content_sha256(slide) for slide in slides]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"name": "other.svs"}, True),
        ({"bytes": 8}, False),
        ({"modified_ms": 1}, True),
        ({"modified_ms": 1, "content_sha256": "0"}, False),
        ({"modified_ms": 1, "unreadable": 1}, False),
        ({"modified_ms": 1, "blank": 1}, False),
    ],
)
def test_what_counts_as_the_same_slide_is_one_rule(
    change: dict[str, Any], same: bool, qupath: QuPath, tmp_path: Path
) -> None:
    file = tmp_path / "a.svs"
    file.write_bytes(b"a slide")
    stated = {"name": "a.svs", **slide_identity(file), "unreadable": 0, "blank": 0} | change
    counts = {key: stated.pop(key) for key in ("unreadable", "blank")}
    told = {"slide": stated, "counts": counts}
    qupath.call("import_results", "isSameSlide", told, {"file": str(file)}, False)
    assert results(qupath) == [same]
    identity = {k: v for k, v in stated.items() if k != "name"}
    assert same_slide(identity, file, whole=not any(counts.values())) == same
