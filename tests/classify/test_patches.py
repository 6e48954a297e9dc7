"""Patches that are cut already: what is said of each page, as a table and as the challenge reads it."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from slidemitosis.classify.patches import BATCH, classify_patches, csv_text, midog25_text
from slidemitosis.cli import main
from slidemitosis.engines.choose import load_engine
from slidemitosis.errors import UnreadableStack
from slidemitosis.labels import SUBTYPES
from slidemitosis.models.shipped import find_model
from slidemitosis.options import ComputeOptions
from tests.conftest import REPOSITORY
from tests.models.tiny import drawn_patches, make_model

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CPU = ComputeOptions(device="cpu")
CONTAINER = REPOSITORY / "examples" / "06_midog25_container"


def write_stack(path: Path, patches: NDArray[np.uint8]) -> Path:
    first, *others = [Image.fromarray(p) for p in patches]
    first.save(path, "TIFF", save_all=True, append_images=others, compression="tiff_lzw")
    return path


@pytest.fixture(scope="module")
def patches() -> NDArray[np.uint8]:
    """Drawn figures, and as the fourth one a blank patch."""
    return np.insert(drawn_patches(7), 3, 240, axis=0)


@pytest.fixture
def stack(tmp_path: Path, patches: NDArray[np.uint8]) -> Path:
    return write_stack(tmp_path / "stack_5.tiff", patches)


def test_each_page_gets_the_probability_of_its_own_pixels(
    stack: Path, patches: NDArray[np.uint8], caplog: pytest.LogCaptureFixture
) -> None:
    card = find_model("lite0")
    decision = card.decision_for(views=1, point="counting")
    found = classify_patches(stack, model="lite0", compute=CPU)
    engine = load_engine(card, CPU)
    want = [float(decision.probability(engine.submit(p[None])().logit)[0]) for p in patches]
    engine.close()
    assert [said.probability for said in found] == pytest.approx(want, abs=1e-5)
    assert np.ptp(want) > 0.02
    assert [said.atypical for said in found] == [p >= decision.threshold for p in want]
    assert [said.blank for said in found] == [False, False, False, True, False, False, False, False]
    assert "stack_5.tiff: 1 of 8 pages show nothing: 4" in caplog.text


def test_more_pages_than_are_read_at_once_keep_their_order(tmp_path: Path) -> None:
    card = make_model(tmp_path, crops=(16,), resize=16)
    patches = np.random.default_rng(0).integers(0, 256, (BATCH + 3, 128, 128, 3), np.uint8)
    path, done = write_stack(tmp_path / "s.tiff", patches), list[tuple[int, int]]()
    compute = ComputeOptions(device="cpu", batch_size=5)
    found = classify_patches(path, model=tmp_path, compute=compute, progress=lambda *n: done.append(n))
    assert done == [(BATCH, BATCH + 3), (BATCH + 3, BATCH + 3)]
    backwards = write_stack(tmp_path / "b.tiff", patches[::-1])
    again = classify_patches(backwards, model=card.folder, compute=compute)[::-1]
    assert [a.probability for a in again] == pytest.approx([f.probability for f in found], abs=1e-5)


def test_a_damaged_page_leaves_no_result(stack: Path, tmp_path: Path, capsys: Any) -> None:
    stack.write_bytes(stack.read_bytes()[:-5000])
    with pytest.raises(UnreadableStack):
        classify_patches(stack, compute=CPU)
    assert main(["patches", str(stack), "--out", str(tmp_path / "p.csv")]) == 2
    assert re.fullmatch(r"slidemitosis: error: .*stack_5\.tiff: .*\n", capsys.readouterr().err)
    assert [p.name for p in tmp_path.iterdir()] == ["stack_5.tiff"]


def test_the_table_has_a_row_for_each_page(stack: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.csv"
    assert main(["patches", str(stack), "--out", str(out), "--device", "cpu"]) == 0
    found = classify_patches(stack, compute=CPU)
    assert out.read_text() == csv_text(found)
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [int(r["page"]) for r in rows] == list(range(1, 9))
    assert [r["status"] for r in rows] == ["classified"] * 3 + ["blank"] + ["classified"] * 4
    for row, said in zip(rows, found, strict=True):
        if said.blank:
            assert {row[c] for c in row if c not in ("page", "status")} == {""}
            continue
        assert float(row["p_atypical"]) == said.probability
        assert row["call"] == ("AMF" if said.atypical else "NMF")
        assert row["subtype"] in SUBTYPES
        assert row["subtype"].startswith(row["call"])
        assert 0 <= float(row["p_hard"]) <= 1


def test_a_model_that_tells_no_more_than_the_type_leaves_the_rest_empty(stack: Path, tmp_path: Path) -> None:
    make_model(tmp_path)
    (first, *_) = csv.DictReader(csv_text(classify_patches(stack, model=tmp_path)).splitlines())
    assert first["p_atypical"]
    assert first["subtype"] == first["p_subtype"] == first["p_hard"] == ""


def official_reading(text: str) -> list[tuple[bool, float]]:
    """Read calls as the challenge does: a list of objects, a class of two, a confidence that is a float."""
    result = json.loads(text)
    assert isinstance(result, list)
    for entry in result:
        assert entry.keys() == {"class", "confidence"}
        assert entry["class"] in ("normal", "atypical")
        assert isinstance(entry["confidence"], float)
    return [(e["class"] == "atypical", e["confidence"]) for e in result]


def test_the_challenges_json_has_an_entry_for_each_page_even_a_blank_one(stack: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.json"
    words = ["patches", str(stack), "--format", "midog25", "--out", str(out), "--model", "lite0"]
    assert main([*words, "--device", "cpu"]) == 0
    found = classify_patches(stack, model="lite0", compute=CPU)
    assert out.read_text() == midog25_text(found)
    assert official_reading(out.read_text()) == [(said.atypical, said.probability) for said in found]


def test_certain_probabilities_are_floats_too(tmp_path: Path) -> None:
    from slidemitosis.prediction import Prediction

    sure = [Prediction(p, p == 1) for p in (0.0, 1.0)]
    assert official_reading(midog25_text(sure)) == [(False, 0.0), (True, 1.0)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{stack}", "--out", "{stack}"], "is the input, and would be replaced"),
        (["{stack}", "--out", "{tmp}"], "is a folder; choose another --out"),
        (["{stack}", "--out", "{tmp}/none/p.csv"], "there is no folder"),
        (["{tmp}/none.tiff", "--out", "{tmp}/p.csv"], "none.tiff: cannot be read"),
        (["{stack}", "--out", "{tmp}/p.csv", "--model", "none"], "no model 'none'"),
        (["{stack}", "--out", "{tmp}/p.csv", "--engine", "onnx", "--device", "cuda"], "use --engine torch"),
    ],
)
def test_wrong_words_are_one_line(
    stack: Path, tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = stack.read_bytes()
    assert main(["patches", *(w.format(stack=stack, tmp=tmp_path) for w in words)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert stack.read_bytes() == before


def platform_folders(tmp_path: Path, stack: Path) -> tuple[Path, Path]:
    """/input as the platform fills it, and an empty /output."""
    given, out = tmp_path / "input", tmp_path / "output"
    slug = "stacked-histopathology-roi-cropouts"
    (given / "images" / slug).mkdir(parents=True)
    out.mkdir()
    shutil.copy(stack, given / "images" / slug / "0f5c2bd7-8b1c-4d1e-9d55-3d1d2e3f4a5b.tiff")
    interface = {"slug": slug, "kind": "Image", "super_kind": "Image", "relative_path": f"images/{slug}"}
    entry = {"file": None, "image": {"name": stack.name}, "value": None, "interface": interface}
    (given / "inputs.json").write_text(json.dumps([entry]))
    return given, out


def run_container(given: Path, out: Path) -> subprocess.CompletedProcess[str]:
    words = [CONTAINER / "inference.py", "--input", given, "--output", out]
    return subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, check=False, timeout=120
    )


def test_the_containers_script_turns_input_into_output(tmp_path: Path, stack: Path) -> None:
    given, out = platform_folders(tmp_path, stack)
    done = run_container(given, out)
    assert done.returncode == 0, done.stderr
    (written,) = out.iterdir()
    assert written.name == "multiple-mitotic-figure-classification.json"
    assert len(official_reading(written.read_text())) == 8


@pytest.mark.parametrize("wrong", ["other socket", "no inputs", "two stacks", "damaged"])
def test_the_containers_script_fails_rather_than_guess(tmp_path: Path, stack: Path, wrong: str) -> None:
    given, out = platform_folders(tmp_path, stack)
    (image,) = (given / "images").glob("*/*.tiff")
    if wrong == "other socket":
        text = (given / "inputs.json").read_text()
        (given / "inputs.json").write_text(text.replace('"slug": "stacked', '"slug": "another'))
    elif wrong == "no inputs":
        (given / "inputs.json").unlink()
    elif wrong == "two stacks":
        shutil.copy(image, image.with_name("other.tif"))
    else:
        image.write_bytes(image.read_bytes()[:-5000])
    done = run_container(given, out)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert not list(out.iterdir())


def test_the_dockerfile_copies_what_is_there_and_ends_as_a_user() -> None:
    lines = (CONTAINER / "Dockerfile").read_text().splitlines()
    sources = [w for line in lines if line.startswith("COPY") for w in line.split()[1:-1]]
    assert all((REPOSITORY / s).exists() for s in sources)
    kept = {
        line.removeprefix("!") for line in (CONTAINER / "Dockerfile.dockerignore").read_text().splitlines()
    }
    assert set(sources) <= kept
    words = [line.split()[0] for line in lines if line and not line.startswith("#")]
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert not {"COPY", "RUN"} & set(words[words.index("USER") :])
