"""Models by name and by folder, and those that are shipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from slidemitosis.errors import UnknownModel
from slidemitosis.models.card import read_card, write_card
from slidemitosis.models.files import check_graph, check_weights
from slidemitosis.models.shipped import find_model, list_models, shipped_models
from slidemitosis.options.compute import DEFAULT_MODEL
from tests.models.tiny import make_card

if TYPE_CHECKING:
    from pathlib import Path


def test_a_model_is_found_by_its_name_and_by_its_folder(tmp_path: Path) -> None:
    write_card(make_card(tmp_path, name="of this folder"))
    assert find_model(tmp_path).name == find_model(str(tmp_path)).name == "of this folder"
    assert find_model(DEFAULT_MODEL).folder == shipped_models() / DEFAULT_MODEL


def test_a_name_wins_over_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / DEFAULT_MODEL
    folder.mkdir()
    write_card(make_card(folder, name="of this folder"))
    monkeypatch.chdir(tmp_path)
    assert find_model(DEFAULT_MODEL).name == DEFAULT_MODEL
    assert find_model(f"./{DEFAULT_MODEL}").name == "of this folder"
    assert find_model(folder).name == "of this folder"


def test_an_unknown_name_lists_those_known() -> None:
    with pytest.raises(UnknownModel, match=rf"'light0'; known models: .*\b{DEFAULT_MODEL}\b"):
        find_model("light0")


@pytest.mark.parametrize("name", ["..", "../models", "", "lite0/../lite0"])
def test_a_name_never_leads_out_of_the_shipped_models(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownModel):
        find_model(name)


SHIPPED = sorted(p.parent.name for p in shipped_models().glob("*/model.toml"))


def test_the_default_model_is_shipped() -> None:
    assert DEFAULT_MODEL in SHIPPED
    assert [card.folder.name for card in list_models()] == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_is_whole(name: str) -> None:
    card = read_card(shipped_models() / name)
    assert card.name == name
    for network in card.networks:
        check_weights(card.folder, network)
    check_graph(card)
    assert card.validation.protocol != "not yet validated"
    assert card.scores
    readme = (card.folder / "README.md").read_text(encoding="utf-8")
    assert name in readme
    suffixes = {p.suffix for p in card.folder.iterdir()}
    assert suffixes <= {".toml", ".md", ".log", ".csv", ".safetensors", ".onnx"}  # and so no code
