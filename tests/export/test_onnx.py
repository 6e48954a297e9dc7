"""The exported graph: torch's probabilities without torch, or nothing is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from slidemitosis.cli import main
from slidemitosis.errors import InvalidOption
from slidemitosis.export.onnx import export_graph
from slidemitosis.models.card import read_card, write_card
from slidemitosis.models.classifier import build_model
from slidemitosis.models.files import check_graph
from slidemitosis.models.shipped import find_model
from tests.command import refused
from tests.engines.graphs import assert_graph_gives_torchs_probabilities, varied_patches
from tests.models.tiny import HEADS, make_model

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.parametrize(
    "network",
    [
        {"crops": (64,), "resize": 48, "interpolation": "bicubic"},
        {"crops": (128,), "resize": 64},  # shrinks, and so must not alias
        {"crops": (64, 128), "resize": 64, "colours": ("rgb", "hed"), "hidden": 8},
        {"architecture": "test_vit", "resize": 160, "pooling": "class-and-mean"},
    ],
)
def test_a_graph_can_be_made_of_every_kind_of_input(tmp_path: Path, network: dict[str, Any]) -> None:
    card, difference = export_graph(make_model(tmp_path, **network))
    assert read_card(tmp_path) == card
    assert_graph_gives_torchs_probabilities(card, varied_patches())
    assert difference < 1e-4


def test_a_graph_holds_no_weights_and_no_path_and_its_card_keeps_it(tmp_path: Path) -> None:
    card, _ = export_graph(make_model(tmp_path, heads=HEADS))
    assert card.graph is not None
    data = (tmp_path / card.graph.file).read_bytes()
    assert len(data) < (tmp_path / "weights.safetensors").stat().st_size / 4
    assert str(tmp_path).encode() not in data
    write_card(card)
    assert read_card(tmp_path).graph == card.graph


@pytest.mark.slow
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


def files_of(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.mark.slow
def test_a_shipped_model_is_never_replaced(tmp_path: Path) -> None:
    before = files_of(find_model("lite0").folder)
    for name in ("lite0", str(find_model("lite0").folder)):
        told = refused("models", "export", name)
        assert "lite0: comes with this package" in told
        assert "--out" in told
    assert files_of(find_model("lite0").folder) == before


def test_a_copy_gets_the_graph_and_leaves_the_model_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_model(tmp_path / "model")
    before = files_of(tmp_path / "model")
    words = ["models", "export", str(tmp_path / "model"), "--out", str(tmp_path / "copy")]
    assert main(words) == 0
    assert str(tmp_path / "copy" / "graph.onnx") in capsys.readouterr().out
    assert files_of(tmp_path / "model") == before
    copy = read_card(tmp_path / "copy")
    assert copy.graph is not None
    check_graph(copy)
    assert main(words) == 2  # the copy is not replaced either
    assert "copy: is there already; choose another --out" in capsys.readouterr().err


def test_exporting_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_model(tmp_path)
    assert main(["models", "export", str(tmp_path)]) == 0
    assert str(tmp_path / "graph.onnx") in capsys.readouterr().out
    assert read_card(tmp_path).graph is not None
    assert main(["models", "export", str(tmp_path / "none")]) == 2
    assert "no model" in capsys.readouterr().err
