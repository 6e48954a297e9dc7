"""A light installation, without torch, timm, SciPy, scikit-learn, matplotlib and pyarrow."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from slidemitosis.demo.files import write_candidates, write_slide
from slidemitosis.demo.tissue import draw_phantom

if TYPE_CHECKING:
    from pathlib import Path

ABSENT = (
    "torch",
    "timm",
    "torchvision",
    "sklearn",
    "scipy",
    "matplotlib",
    "peft",
    "pyarrow",
    "pandas",
    "optuna",
)
_CODE = """
import sys
for name in {absent!r}:
    sys.modules[name] = None
if {gpu!r}:
    import slidemitosis.engines.choose as choose
    choose.gpu_is_there = lambda: True
from slidemitosis.cli import main
sys.exit(main({words!r}))
"""


def light(*words: object, gpu: bool = False) -> subprocess.CompletedProcess[str]:
    code = _CODE.format(absent=ABSENT, words=list(map(str, words)), gpu=gpu)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("light")
    phantom = draw_phantom(width=1000, height=800, figures=12, seed=5)
    write_slide(phantom, folder / "drawn.svs")
    write_candidates(phantom, folder / "drawn.geojson")
    return folder


def test_the_whole_way_on_the_cpu_needs_none_of_them(drawn: Path) -> None:
    slide, points, out = drawn / "drawn.svs", drawn / "drawn.geojson", drawn / "results"
    for words in (
        ("classify", slide, "--points", points, "--out", out, "--model", "lite0", "--cutoff", 0.2),
        ("report", out),
        ("count", out),
        ("models",),
        ("inspect", slide, "--points", points, "--sheet", drawn / "sheet.png"),
        ("cohort", drawn, "--out", drawn / "cohort", "--model", "lite0"),
    ):
        done = light(*words)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        assert "Traceback" not in done.stderr
    summary = json.loads((out / "summary.json").read_text())
    assert summary["counts"]["atypical"] + summary["counts"]["normal"] == 12
    assert summary["expected_fraction_amf_of_all_tumour_95"]
    assert (drawn / "cohort" / "cohort.png").exists()
    assert not (drawn / "cohort" / "cohort.parquet").exists()


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (("--engine", "torch"), "--engine torch"),
        (("--device", "cuda"), "--device cuda"),
        (("--precision", "fp16"), "--precision fp16"),
        (("--compile",), "--compile"),
    ],
)
def test_what_only_torch_can_do_is_one_line_with_the_remedy(
    drawn: Path, words: tuple[str, ...], asked: str
) -> None:
    done = light("classify", drawn / "drawn.svs", "--points", drawn / "drawn.geojson", *words)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert (
        line == f"slidemitosis: error: {asked}: torch and timm not installed: pip install 'slidemitosis[gpu]'"
    )


@pytest.mark.slow
def test_a_cohorts_devices_need_torch_only_where_one_is_no_cpu(drawn: Path) -> None:
    words = ("cohort", drawn, "--out", drawn / "devices", "--model", "lite0", "--dry-run", "--devices")
    done = light(*words, "cpu,cpu")
    assert done.returncode == 0, done.stderr
    (line,) = light(*words, "cuda:0,cuda:1").stderr.splitlines()
    told = "device 'cuda:0': torch and timm not installed: pip install 'slidemitosis[gpu]'"
    assert line == f"slidemitosis: error: {told}"


def test_a_gpu_without_torch_is_one_line_and_the_cpu_computes(drawn: Path) -> None:
    words = ("classify", drawn / "drawn.svs", "--points", drawn / "drawn.geojson", "--model", "lite0")
    done = light(*words, "--out", drawn / "with-gpu", gpu=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("pip install 'slidemitosis[gpu]'; the CPU computes") == 1


@pytest.mark.parametrize(
    "words", [("train", "lite0", "--data"), ("evaluate", "lite0", "--data")], ids=["train", "evaluate"]
)
def test_training_says_what_to_install(words: tuple[str, ...], tmp_path: Path) -> None:
    done = light(*words, f"ami-br={tmp_path}", "--out", tmp_path / "run")
    assert done.returncode == 2
    assert 'pip install "slidemitosis[train]"' in done.stderr
    assert len(done.stderr.splitlines()) == 1
