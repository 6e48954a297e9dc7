"""The ONNX graph: torch's probabilities without torch, whoever computes, and nothing unchecked is run."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx.parser
import pytest

from slidemitosis.engines.engine import columns_of
from slidemitosis.engines.onnx_engine import OnnxEngine
from slidemitosis.errors import InvalidOption, WeightsMismatch
from slidemitosis.export.onnx import export_graph
from slidemitosis.models.files import check_weights, file_sha256
from slidemitosis.models.shipped import find_model, list_models
from tests.engines.graphs import assert_graph_gives_torchs_probabilities, graph_outputs, varied_patches
from tests.models.tiny import HEADS, make_model

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.models.card import ModelCard, NetworkPart


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    card, _ = export_graph(make_model(tmp_path_factory.mktemp("exported"), heads=HEADS))
    return card


@pytest.mark.parametrize("views", [1, 8])
@pytest.mark.parametrize("name", [c.name for c in list_models()])
def test_every_shipped_model_has_a_graph_that_gives_torchs_probabilities(name: str, views: int) -> None:
    some = varied_patches()[slice(None) if views == 1 else slice(4, 8)]
    found = assert_graph_gives_torchs_probabilities(find_model(name), some, views=views)
    assert np.ptp(found.logit) > 0.1  # patches as different as these are told apart


def test_outputs_do_not_depend_on_threads_and_keep_their_places(exported: ModelCard) -> None:
    patches = varied_patches()
    one = graph_outputs(exported, patches, threads=1)
    three = graph_outputs(exported, patches, threads=3)
    assert np.array_equal(one.logit, three.logit)
    assert np.array_equal(one.extra, three.extra)
    order = np.random.default_rng(1).permutation(len(patches))
    shuffled = graph_outputs(exported, patches[order], piece=1)
    np.testing.assert_allclose(shuffled.logit, one.logit[order], atol=1e-5)


def test_batches_may_be_begun_before_the_first_is_asked_for(exported: ModelCard) -> None:
    patches = varied_patches()
    engine = OnnxEngine(exported, piece=2, views=1, threads=2)
    begun = [engine.submit(p) for p in (patches[:5], patches[:0], patches[5:])]
    parts = [outputs().logit for outputs in begun]
    engine.close()
    assert [len(p) for p in parts] == [5, 0, len(patches) - 5]
    np.testing.assert_allclose(np.concatenate(parts), graph_outputs(exported, patches).logit, atol=1e-5)


def test_what_was_begun_and_is_not_wanted_is_dropped(exported: ModelCard) -> None:
    engine = OnnxEngine(exported, piece=1, views=8, threads=1)
    engine.submit(np.zeros((3000, 128, 128, 3), np.uint8))
    engine.close()  # would take a minute if it were computed
    assert engine._threads._work_queue.qsize() <= 1


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


def test_what_was_checked_is_what_is_run(exported: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that are exchanged behind the check's back, and even their absence, change nothing."""
    patches = varied_patches()
    path = exported.folder / "weights.safetensors"
    data = path.read_bytes()
    want = graph_outputs(exported, patches).logit

    def check_and_lose(folder: Path, network: NetworkPart) -> bytes:
        checked = check_weights(folder, network)
        path.write_bytes(b"other bytes")
        return checked

    monkeypatch.setattr("slidemitosis.engines.onnx_engine.check_weights", check_and_lose)
    try:
        assert np.array_equal(graph_outputs(exported, patches).logit, want)
    finally:
        path.write_bytes(data)


def card_with_graph(card: ModelCard, folder: Path, text: str) -> ModelCard:
    """The card with another graph of its own, in onnx's text format; hashes are right."""
    graph = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 18]>\n{text}')
    (folder / "graph.onnx").write_bytes(graph.SerializeToString())
    for network in card.networks:
        shutil.copy(card.folder / network.weights, folder)
    assert card.graph is not None
    part = replace(card.graph, sha256=file_sha256(folder / "graph.onnx"))
    return replace(card, folder=folder, graph=part)


IN = "uint8[batch,128,128,3] patches"
# The mean over a patch's pixels, float (B, 1).
MEAN = """
  f = Cast<to=1>(patches)
  axes = Constant<value_ints=[1,2,3]>()
  m = ReduceMean<keepdims=0>(f, axes)
  last = Constant<value_ints=[1]>()
  one = Unsqueeze(m, last)
"""


def repeated(times: str) -> str:
    return f"{MEAN} r = Constant<value_ints=[{times}]>()\n outputs = Tile(one, r)"


ONE_ROW = f"""{MEAN}
  zero = Constant<value_ints=[0]>() mean = ReduceMean<keepdims=1>(one, zero)
  r = Constant<value_ints=[1,COLUMNS]>() outputs = Tile(mean, r)
"""


@pytest.mark.parametrize(
    "graph",
    [
        f"g ({IN}) => (float[batch,1] outputs) {{ {repeated('1,1')} }}",
        f"g ({IN}) => (float[batch,40] outputs) {{ {repeated('1,40')} }}",
        f"g ({IN}) => (float[batch] outputs) {{ {MEAN} outputs = Identity(m) }}",
        f"g ({IN}) => (float[1,COLUMNS] outputs) {{ {repeated('1,COLUMNS')} }}",
        f"g ({IN}) => (float[batch,any] outputs) {{ {repeated('1,1')} }}",
        (
            f"g ({IN}) => (double[batch,COLUMNS] outputs) "
            f"{{ {repeated('1,COLUMNS').replace('outputs', 'o')} outputs = Cast<to=11>(o) }}"
        ),
        f"g ({IN}) => (float[batch,COLUMNS] other) {{ {repeated('1,COLUMNS').replace('outputs', 'other')} }}",
        f"g ({IN}) => (float[batch,COLUMNS] outputs, float[batch,1] one) {{ {repeated('1,COLUMNS')} }}",
        f"g (uint8[batch,64,64,3] patches) => (float[batch,COLUMNS] outputs) {{ {repeated('1,COLUMNS')} }}",
        f"g (float[batch,128,128,3] patches) => (float[batch,COLUMNS] outputs) {{ {repeated('1,COLUMNS')} }}",
        f"g (uint8[1,128,128,3] patches) => (float[1,COLUMNS] outputs) {{ {repeated('1,COLUMNS')} }}",
        (
            f"g (uint8[batch,128,128,3] x) => (float[batch,COLUMNS] outputs) "
            f"{{ {repeated('1,COLUMNS').replace('patches', 'x')} }}"
        ),
        # One row for all, of which nothing says how many there are.
        f"g ({IN}) => (float[rows,any] outputs) {{ {ONE_ROW} }}",
        # It would take more memory than there is.
        f"g ({IN}) => (float[batch,any] outputs) {{ {repeated('1,99999999999999')} }}",
    ],
)
def test_a_graph_with_other_inputs_or_outputs_is_refused_when_it_is_loaded(
    exported: ModelCard, tmp_path: Path, graph: str
) -> None:
    card = card_with_graph(exported, tmp_path, graph.replace("COLUMNS", str(columns_of(exported))))
    with pytest.raises(WeightsMismatch, match="ONNX") as caught:
        OnnxEngine(card, piece=4, views=1, threads=1)
    assert "\n" not in str(caught.value)


def test_a_graph_that_says_its_sizes_leave_open_is_run_if_they_fit(
    exported: ModelCard, tmp_path: Path
) -> None:
    columns = columns_of(exported)
    text = f"g ({IN}) => (float[batch,any] outputs) {{ {repeated(f'1,{columns}')} }}"
    found = graph_outputs(card_with_graph(exported, tmp_path, text), varied_patches())
    assert found.logit.shape == (len(varied_patches()),)
    assert np.ptp(found.logit) > 1


def test_outputs_of_another_shape_than_a_graph_says_are_never_broadcast(
    exported: ModelCard, tmp_path: Path
) -> None:
    """A graph may state one shape and give another, for which ONNX Runtime has a warning only."""
    columns = columns_of(exported)
    text = repeated(f"1,{columns}").replace("outputs =", "all =")
    # Rows are left out by what they hold, which nobody knows before.
    text += " limit = Constant<value_float=1.0>() bright = Greater(m, limit)"
    text += " outputs = Compress<axis=0>(all, bright)"
    patches = np.concatenate([varied_patches()[:3], np.zeros((1, 128, 128, 3), np.uint8)])
    card = card_with_graph(exported, tmp_path, f"g ({IN}) => (float[batch,{columns}] outputs) {{ {text} }}")
    with pytest.raises(WeightsMismatch, match=rf"gives float32 \(3, {columns}\), and the card needs"):
        graph_outputs(card, patches)
