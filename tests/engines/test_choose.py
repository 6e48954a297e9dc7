"""The engine that is chosen, and what it cannot do."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from slidemitosis.classify.classifier import SlideClassifier
from slidemitosis.demo.tissue import draw_phantom
from slidemitosis.engines.choose import available_processors, default_workers, gpu_piece, load_engine
from slidemitosis.engines.onnx_engine import OnnxEngine
from slidemitosis.errors import InvalidCard, InvalidOption
from slidemitosis.export.onnx import export_graph
from slidemitosis.options import ComputeOptions
from tests.conftest import write_aperio, write_points
from tests.models.tiny import make_model

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.models.card import ModelCard


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    return export_graph(make_model(tmp_path_factory.mktemp("exported")))[0]


@pytest.mark.parametrize("change", [{"resize": 32}, {"mean": (0.1, 0.2, 0.3)}, {"crops": (32,)}])
def test_a_graph_of_other_networks_than_the_cards_is_refused(
    exported: ModelCard, change: dict[str, Any]
) -> None:
    other = replace(exported, networks=(replace(exported.networks[0], **change),))
    with pytest.raises(InvalidCard, match=r"made of other networks than the card's.*models export"):
        load_engine(other, ComputeOptions(device="cpu"))
    assert load_engine(other, ComputeOptions(engine="torch")).name == "torch"
    twice = replace(exported, networks=exported.networks * 2)
    with pytest.raises(InvalidCard, match="made of other networks"):
        load_engine(twice, ComputeOptions(engine="onnx"))


@pytest.mark.parametrize(
    ("options", "gpu", "name"),
    [
        ({}, False, "onnx"),
        ({"device": "cpu"}, True, "onnx"),
        ({"engine": "torch"}, False, "torch"),
        ({"engine": "onnx"}, True, "onnx"),
        # A GPU that this torch cannot use, here because there is none, leaves the CPU.
        pytest.param(
            {}, True, "onnx", marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
        ),
    ],
)
def test_the_engine_follows_device_and_model(
    exported: ModelCard, monkeypatch: pytest.MonkeyPatch, options: Any, gpu: bool, name: str
) -> None:
    monkeypatch.setattr("slidemitosis.engines.choose.gpu_is_there", lambda: gpu)
    engine = load_engine(exported, ComputeOptions(**options))
    engine.close()
    assert (engine.name, engine.device, engine.precision) == (name, "cpu", "fp32")
    without = replace(exported, graph=None)
    if options.get("engine") != "onnx":
        assert load_engine(without, ComputeOptions(**options)).name == "torch"


def test_a_compiled_network_is_torchs(exported: ModelCard) -> None:
    assert load_engine(exported, ComputeOptions(compiled=True, device="cpu")).name == "torch"


def test_a_model_without_a_graph_says_how_to_make_one(tmp_path: Path) -> None:
    card = make_model(tmp_path)
    for build in (
        lambda: load_engine(card, ComputeOptions(engine="onnx")),
        lambda: SlideClassifier(tmp_path, compute=ComputeOptions(engine="onnx")),
        lambda: OnnxEngine(card, piece=1, views=1, threads=1),
    ):
        with pytest.raises(InvalidCard, match="no ONNX graph; make it with `slidemitosis models export"):
            build()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "tensorflow"}, "engine 'tensorflow' is not known; use auto, onnx, torch"),
        ({"engine": "onnx", "device": "cuda"}, "device 'cuda': the engine onnx runs on the CPU"),
        ({"engine": "onnx", "precision": "fp16"}, "precision 'fp16': the engine onnx runs"),
        ({"engine": "onnx", "compiled": True}, "--compile is for torch"),
    ],
)
def test_what_an_engine_cannot_do_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        ComputeOptions(**options)


def test_processors_are_those_that_were_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    granted = available_processors()
    assert granted >= 1
    for asked, number in (("1", 1), ("100000", granted), ("", granted), ("all", granted), ("0", 1)):
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
        assert available_processors() == number


@pytest.mark.parametrize(
    ("processors", "cpu", "gpu"), [(1, 1, 1), (2, 1, 1), (4, 1, 3), (8, 2, 7), (16, 4, 15), (64, 4, 16)]
)
def test_where_a_gpu_computes_all_processors_but_one_read(
    monkeypatch: pytest.MonkeyPatch, processors: int, cpu: int, gpu: int
) -> None:
    monkeypatch.setattr("slidemitosis.engines.choose.available_processors", lambda: processors)
    assert (default_workers(on_gpu=False), default_workers(on_gpu=True)) == (cpu, gpu)


def test_a_piece_fits_the_gpus_free_memory() -> None:
    gib = 1024**3
    assert [gpu_piece(free) for free in (None, 0, 3 * gib, 5 * gib, 140 * gib)] == [64, 64, 64, 128, 256]


@pytest.mark.slow
def test_classifying_with_a_graph_imports_no_torch(tmp_path: Path) -> None:
    slide = write_aperio(tmp_path / "a.svs", [draw_phantom().pixels[:512, :512]])
    points = write_points(tmp_path / "p.geojson", [(100, 100), (300, 200)])
    words = ["classify", str(slide), "--points", str(points), "--device", "cpu"]
    code = f"from slidemitosis.cli import main; import sys; main({words!r}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    assert "2 classified" in done.stdout
