"""The ONNX graph: torch's probabilities without torch, whoever computes, and nothing unchecked is run."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from slidemitosis.classify.classifier import SlideClassifier
from slidemitosis.cli import main
from slidemitosis.demo.tissue import draw_phantom
from slidemitosis.engines import choose as engine
from slidemitosis.engines.choose import available_processors, load_engine
from slidemitosis.engines.onnx_engine import OnnxEngine
from slidemitosis.engines.torch_engine import TorchEngine
from slidemitosis.errors import InvalidCard, InvalidOption, WeightsMismatch
from slidemitosis.export.onnx import export_graph
from slidemitosis.labels import NMF_SUBTYPES
from slidemitosis.models.card import HeadPart, read_card, write_card
from slidemitosis.models.classifier import build_model
from slidemitosis.models.files import check_weights, file_sha256
from slidemitosis.models.shipped import find_model, list_models
from slidemitosis.options import ComputeOptions
from tests.conftest import write_aperio, write_points
from tests.models.test_classifier import make_model

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from slidemitosis.engines.engine import Outputs
    from slidemitosis.models.card import ModelCard, NetworkPart

HEADS = (
    HeadPart(name="expert1", kind="sigmoid", classes=("NMF", "AMF")),
    HeadPart(name="expert2", kind="sigmoid", classes=("NMF", "AMF")),
    HeadPart(name="hardness", kind="sigmoid", classes=("easy", "hard")),
    HeadPart(name="subtype", kind="softmax", classes=NMF_SUBTYPES),
)


def drawn_patches(n: int) -> NDArray[np.uint8]:
    """Figures of the drawn slide, uint8 (n, 128, 128, 3)."""
    phantom = draw_phantom()
    inside = [(round(f.x) - 64, round(f.y) - 64) for f in phantom.figures]
    h, w = phantom.pixels.shape[:2]
    corners = [(x, y) for x, y in inside if 0 <= x <= w - 128 and 0 <= y <= h - 128][:n]
    return np.stack([phantom.pixels[y : y + 128, x : x + 128] for x, y in corners])


@pytest.fixture(scope="module")
def patches() -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), np.uint8)
    white, black = np.full((2, 1, 128, 128, 3), [[[[[255]]]], [[[[0]]]]], np.uint8)
    return np.concatenate([drawn_patches(6), noise, white, black])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    card, _ = export_graph(make_model(tmp_path_factory.mktemp("exported"), heads=HEADS))
    return card


def graph_outputs(card: ModelCard, patches: NDArray[np.uint8], **how: Any) -> Outputs:
    forward = OnnxEngine(card, **({"piece": 4, "views": 1, "threads": 2} | how))
    try:
        return forward(patches)
    finally:
        forward.close()


def stated(outputs: Outputs, card: ModelCard) -> NDArray[np.float64]:
    return np.column_stack([card.decision.probability(outputs.logit), outputs.extra])


@pytest.mark.parametrize("views", [1, 8])
@pytest.mark.parametrize("name", [c.name for c in list_models()])
def test_every_shipped_model_has_a_graph_that_gives_torchs_probabilities(
    name: str, views: int, patches: NDArray[np.uint8]
) -> None:
    card = find_model(name)
    some = patches if views == 1 else patches[4:8]
    want = TorchEngine(build_model(card), piece=8, views=views, precision="fp32")(some)
    found = graph_outputs(card, some, views=views)
    np.testing.assert_allclose(stated(found, card), stated(want, card), rtol=0, atol=1e-4)
    assert np.ptp(found.logit) > 0.1  # patches as different as these are told apart


@pytest.mark.parametrize(
    "network",
    [
        {"crops": (64,), "resize": 48, "interpolation": "bicubic"},
        {"crops": (128,), "resize": 64},  # shrinks, and so must not alias
        {"crops": (64, 128), "resize": 64, "colours": ("rgb", "hed"), "hidden": 8},
        {"architecture": "test_vit", "resize": 160, "pooling": "class-and-mean"},
    ],
)
def test_a_graph_can_be_made_of_every_kind_of_input(
    tmp_path: Path, network: dict[str, Any], patches: NDArray[np.uint8]
) -> None:
    card, difference = export_graph(make_model(tmp_path, **network))
    assert read_card(tmp_path) == card
    want = TorchEngine(build_model(card), piece=8, views=1, precision="fp32")(patches)
    found = graph_outputs(card, patches)
    np.testing.assert_allclose(stated(found, card), stated(want, card), rtol=0, atol=1e-4)
    assert difference < 1e-4


def test_a_graph_holds_no_weights_and_no_path(exported: ModelCard) -> None:
    assert exported.graph is not None
    data = (exported.folder / exported.graph.file).read_bytes()
    assert len(data) < (exported.folder / "weights.safetensors").stat().st_size / 4
    assert str(exported.folder).encode() not in data


def test_outputs_do_not_depend_on_threads_and_keep_their_places(
    exported: ModelCard, patches: NDArray[np.uint8]
) -> None:
    one = graph_outputs(exported, patches, threads=1)
    three = graph_outputs(exported, patches, threads=3)
    assert np.array_equal(one.logit, three.logit)
    assert np.array_equal(one.extra, three.extra)
    order = np.random.default_rng(1).permutation(len(patches))
    shuffled = graph_outputs(exported, patches[order], piece=1)
    np.testing.assert_allclose(shuffled.logit, one.logit[order], atol=1e-5)


def test_batches_may_be_begun_before_the_first_is_asked_for(
    exported: ModelCard, patches: NDArray[np.uint8]
) -> None:
    forward = OnnxEngine(exported, piece=2, views=1, threads=2)
    begun = [forward.submit(p) for p in (patches[:5], patches[:0], patches[5:])]
    parts = [outputs().logit for outputs in begun]
    forward.close()
    assert [len(p) for p in parts] == [5, 0, len(patches) - 5]
    np.testing.assert_allclose(np.concatenate(parts), graph_outputs(exported, patches).logit, atol=1e-5)


def test_what_was_begun_and_is_not_wanted_is_dropped(exported: ModelCard) -> None:
    forward = OnnxEngine(exported, piece=1, views=8, threads=1)
    forward.submit(np.zeros((3000, 128, 128, 3), np.uint8))
    forward.close()  # would take a minute if it were computed
    assert forward._threads._work_queue.qsize() <= 1


def test_another_number_of_views_is_refused(exported: ModelCard) -> None:
    with pytest.raises(InvalidOption, match="1 or 8, not 3"):
        graph_outputs(exported, np.zeros((1, 128, 128, 3), np.uint8), views=3)


@pytest.mark.parametrize("damaged", ["graph.onnx", "weights.safetensors"])
def test_a_damaged_file_is_refused_before_it_is_run(tmp_path: Path, damaged: str) -> None:
    card, _ = export_graph(make_model(tmp_path))
    data = bytearray((tmp_path / damaged).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / damaged).write_bytes(bytes(data))
    with pytest.raises(WeightsMismatch, match=f"{damaged}: SHA-256 is"):
        OnnxEngine(card, piece=1, views=1, threads=1)


def test_a_graph_that_onnx_runtime_cannot_load_is_one_line(tmp_path: Path) -> None:
    card, _ = export_graph(make_model(tmp_path))
    assert card.graph is not None
    (tmp_path / "graph.onnx").write_bytes(b"no graph")
    other = replace(card, graph=replace(card.graph, sha256=file_sha256(tmp_path / "graph.onnx")))
    with pytest.raises(WeightsMismatch, match="--engine torch") as caught:
        OnnxEngine(other, piece=1, views=1, threads=1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("had_one", [False, True])
def test_a_graph_that_differs_from_torch_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, had_one: bool
) -> None:
    card = make_model(tmp_path)
    if had_one:
        card, _ = export_graph(card)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    real = build_model(card)
    state = real.state_dict()
    state["networks.0.head.bias"] += 0.01  # the graph refers to the file's, which is another
    monkeypatch.setattr("slidemitosis.export.onnx.build_model", lambda _card: real)
    with pytest.raises(InvalidOption, match="differ by"):
        export_graph(card)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize("change", [{"resize": 32}, {"mean": (0.1, 0.2, 0.3)}, {"crops": (32,)}])
def test_a_graph_of_other_networks_than_the_cards_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    card, _ = export_graph(make_model(tmp_path))
    other = replace(card, networks=(replace(card.networks[0], **change),))
    with pytest.raises(InvalidCard, match=r"made of other networks than the card's.*models export"):
        load_engine(other, ComputeOptions(device="cpu"))
    assert load_engine(other, ComputeOptions(engine="torch")).name == "torch"
    twice = replace(card, networks=card.networks * 2)
    with pytest.raises(InvalidCard, match="made of other networks"):
        load_engine(twice, ComputeOptions(engine="onnx"))


def test_what_was_checked_is_what_is_run(
    exported: ModelCard, patches: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that are exchanged behind the check's back, and even their absence, change nothing."""
    from slidemitosis.engines import onnx_engine as graph

    path = exported.folder / "weights.safetensors"
    data = path.read_bytes()
    want = graph_outputs(exported, patches).logit

    def check_and_lose(folder: Path, network: NetworkPart) -> bytes:
        checked = check_weights(folder, network)
        path.write_bytes(b"other bytes")
        return checked

    monkeypatch.setattr(graph, "check_weights", check_and_lose)
    try:
        assert np.array_equal(graph_outputs(exported, patches).logit, want)
    finally:
        path.write_bytes(data)


@pytest.mark.parametrize(
    ("options", "gpu", "engine_name"),
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
    exported: ModelCard, monkeypatch: pytest.MonkeyPatch, options: Any, gpu: bool, engine_name: str
) -> None:
    monkeypatch.setattr(engine, "gpu_is_there", lambda: gpu)
    forward = load_engine(exported, ComputeOptions(**options))
    forward.close()
    assert (forward.name, forward.device, forward.precision) == (engine_name, "cpu", "fp32")
    without = replace(exported, graph=None)
    if options.get("engine") != "onnx":
        assert load_engine(without, ComputeOptions(**options)).name == "torch"


def test_a_compiled_network_is_torchs(exported: ModelCard) -> None:
    assert load_engine(exported, ComputeOptions(compiled=True, device="cpu")).name == "torch"


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


def test_a_model_without_a_graph_says_how_to_make_one(tmp_path: Path) -> None:
    card = make_model(tmp_path)
    for build in (
        lambda: load_engine(card, ComputeOptions(engine="onnx")),
        lambda: SlideClassifier(tmp_path, compute=ComputeOptions(engine="onnx")),
        lambda: OnnxEngine(card, piece=1, views=1, threads=1),
    ):
        with pytest.raises(InvalidCard, match="no ONNX graph; make it with `slidemitosis models export"):
            build()


def test_processors_are_those_that_were_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    granted = available_processors()
    assert granted >= 1
    for asked, number in (("1", 1), ("100000", granted), ("", granted), ("all", granted), ("0", 1)):
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
        assert available_processors() == number


def test_exporting_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_model(tmp_path)
    assert main(["models", "export", str(tmp_path)]) == 0
    assert str(tmp_path / "graph.onnx") in capsys.readouterr().out
    assert read_card(tmp_path).graph is not None
    assert main(["models", "export", str(tmp_path / "none")]) == 2
    assert "no model" in capsys.readouterr().err


@pytest.mark.parametrize(("file", "sha256"), [("../g.onnx", "0" * 64), ("g.pt", "0" * 64), ("g.onnx", "0")])
def test_a_card_may_name_no_other_file_as_its_graph(exported: ModelCard, file: str, sha256: str) -> None:
    assert exported.graph is not None
    with pytest.raises(InvalidCard, match="graph"):
        replace(exported.graph, file=file, sha256=sha256)


def test_a_card_keeps_its_graph(exported: ModelCard) -> None:
    write_card(exported)
    assert read_card(exported.folder).graph == exported.graph


def test_classifying_with_a_graph_imports_no_torch(tmp_path: Path) -> None:
    slide = write_aperio(tmp_path / "a.svs", [draw_phantom().pixels[:512, :512]])
    points = write_points(tmp_path / "p.geojson", [(100, 100), (300, 200)])
    words = ["classify", str(slide), "--points", str(points), "--device", "cpu"]
    code = f"from slidemitosis.cli import main; import sys; main({words!r}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    assert "2 classified" in done.stdout
