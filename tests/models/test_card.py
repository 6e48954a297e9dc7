"""Model cards: what a card may say, and what is refused and why."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis import labels
from slidemitosis.errors import InvalidCard, UnknownModel
from slidemitosis.models.card import GraphPart, HeadPart, Score, read_card, write_card
from slidemitosis.models.decision import BetweenSlidesPart, DecisionPart, HardnessPart, ValidationPart
from slidemitosis.models.shipped import find_model
from tests.models.tiny import NETWORK, TYPE, make_card

if TYPE_CHECKING:
    from pathlib import Path

    from slidemitosis.models.card import ModelCard


def edited(folder: Path, old: str, new: str, card: ModelCard | None = None) -> Path:
    """The folder of a valid card in which `old` was replaced by `new`."""
    write_card(card or make_card(folder))
    path = folder / "model.toml"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    return folder


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
shares = st.floats(0.001, 0.999)
scores = st.builds(
    Score,
    data=words,
    figures=st.integers(0, 10**6),
    atypical=st.integers(0, 10**6),
    views=st.sampled_from((1, 8)),
    balanced_accuracy=shares,
    balanced_accuracy_at_half=shares,
    auroc=shares,
)


@given(
    text=words,
    texts=st.lists(words, max_size=3).map(tuple),
    mpp=st.floats(0.05, 4),
    decision=st.builds(
        DecisionPart,
        training_prior=shares,
        target_prior=shares,
        temperature=st.floats(1e-6, 99),
        threshold=shares,
    ),
    scores=st.lists(scores, max_size=2).map(tuple),
)
def test_a_written_card_is_read_back_equal(
    tmp_path_factory: pytest.TempPathFactory,
    text: str,
    texts: tuple[str, ...],
    mpp: float,
    decision: DecisionPart,
    scores: tuple[Score, ...],
) -> None:
    folder = tmp_path_factory.getbasetemp() / "round-trip"
    folder.mkdir(exist_ok=True)
    card = make_card(folder, description=text, data=texts, citation=texts, decision=decision, scores=scores)
    card = replace(card, patch=replace(card.patch, mpp=mpp))
    write_card(card)
    assert read_card(folder) == card


def test_a_number_without_a_fraction_is_a_number(tmp_path: Path) -> None:
    assert read_card(edited(tmp_path, "temperature = 1.5", "temperature = 1")).decision.temperature == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("temperature = 1.5", "temprature = 1.5", r"'temprature' in \[decision\].* 'temperature'\?$"),
        ("format = 2", "format = 2\nzzz = 3", "'zzz' in the top level$"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one_if_there_is_one(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(InvalidCard, match=f"unknown key {message}"):
        read_card(edited(tmp_path, old, new))


@pytest.mark.parametrize(
    ("old", "where"),
    [
        ("threshold = 0.3\n", r"\[decision\] lacks threshold"),
        ("resize = 64\n", r"\[\[networks\]\] 1 lacks resize"),
        ('licence = "Apache-2.0"\n', "the top level lacks licence"),
        ('[validation]\nprotocol = "none"\ntp = 1\nfn = 2\ntn = 3\nfp = 4\n', "top level lacks validation"),
    ],
)
def test_a_missing_key_is_named_with_its_table(tmp_path: Path, old: str, where: str) -> None:
    with pytest.raises(InvalidCard, match=where):
        read_card(edited(tmp_path, old, ""))


WRONG = {
    "parameters": ["99453.0", "true"],
    "threshold": ['"0.3"', "true", "nan", "1"],
    "temperature": ["inf", "true", "0"],
    "licence": ["2.0"],
    "mean": ["0.5", "[0.5, 0.5]", "[0.5, 0.5, nan]", '[0.5, 0.5, "0.5"]'],
    "std": ["[0.5, 0.5, 0.0]"],
    "interpolation": ['"nearest"'],
    "crops": ["[129]", "[]", "[4]"],
    "colours": ['["lab"]', "[]"],
    "pooling": ['"max"'],
    "kind": ['"tanh"'],
    "side": ["4"],
    "mpp": ["0.25e3"],
    "tp": ["-1"],
    "citation": ['["a", 1]', '"a"', "[]\nscores = 5", '[]\nscores = "none"', "[]\nscores = [1]"],
    "protocol": ["1979-05-27", '"none"\n[validation'],
    "format": ["1", "2\nfolder = '/etc'"],
    "task": ['"mitoses"'],
}


@pytest.mark.parametrize(("key", "value"), [(k, value) for k, values in WRONG.items() for value in values])
def test_a_value_of_the_wrong_kind_is_refused_with_the_path_of_the_card(
    tmp_path: Path, key: str, value: str
) -> None:
    write_card(make_card(tmp_path))
    path = tmp_path / "model.toml"
    text, n = re.subn(rf"(?m)^{key} = (\[[^\]]*\]|.*)$", lambda _: f"{key} = {value}", path.read_text())
    assert n == 1
    path.write_text(text)
    with pytest.raises(InvalidCard, match=r"model\.toml: ") as caught:
        read_card(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("part", "message"), [("patch", r"\[patch\]"), ("decision", r"\[decision\]")])
def test_a_part_that_is_no_table_is_refused(tmp_path: Path, part: str, message: str) -> None:
    folder = edited(tmp_path, "format = 2", f"format = 2\n{part} = 3")
    path = folder / "model.toml"
    before, _, after = path.read_text().partition(f"[{part}]")
    path.write_text(before + "[" + after.partition("\n[")[2])
    with pytest.raises(InvalidCard, match=rf"{message} must be a table"):
        read_card(folder)


def test_a_logit_of_normal_figures_is_told_by_the_order_of_the_classes(tmp_path: Path) -> None:
    turned = replace(NETWORK, heads=(replace(TYPE, classes=("AMF", "NMF")),))
    write_card(make_card(tmp_path, networks=(turned,)))
    assert read_card(tmp_path).networks[0].heads[0].classes == ("AMF", "NMF")


@pytest.mark.parametrize(
    ("kind", "classes"),
    [
        ("sigmoid", ("NMF",)),
        ("sigmoid", ("NMF", "AMF", "AMF other")),
        ("softmax", ("AMF", "AMF")),
        ("softmax", ("nmf", "amf")),
        ("softmax", ("NMF", "other")),
        ("softmax", ("AMF",)),
    ],
)
def test_other_classes_than_these_types_are_refused(kind: Any, classes: tuple[str, ...]) -> None:
    with pytest.raises(InvalidCard, match="head 'type'"):
        HeadPart(name="type", kind=kind, classes=classes)


def test_a_model_that_cannot_tell_the_type_is_refused(tmp_path: Path) -> None:
    subtypes = HeadPart(name="subtype", kind="softmax", classes=labels.AMF_SUBTYPES)
    with pytest.raises(InvalidCard, match="no head of any network tells AMF from NMF"):
        make_card(tmp_path, networks=(replace(NETWORK, heads=(subtypes,)),))
    with pytest.raises(InvalidCard, match="no head"):
        make_card(tmp_path, networks=())


def test_extra_outputs_are_what_any_network_tells_besides_the_type(tmp_path: Path) -> None:
    hardness = HeadPart(name="hardness", kind="sigmoid", classes=labels.HARDNESS)
    amf = HeadPart(name="subtype", kind="softmax", classes=labels.AMF_SUBTYPES)
    first, second = replace(NETWORK, heads=(TYPE, hardness)), replace(NETWORK, heads=(amf,))
    card = make_card(tmp_path, networks=(first, second))
    assert card.extra_outputs == ("hard", *labels.AMF_SUBTYPES)
    assert make_card(tmp_path).extra_outputs == ()
    write_card(card)
    assert read_card(tmp_path) == card
    assert card.parameters == 2 * NETWORK.parameters
    assert card.weights_sha256 != make_card(tmp_path).weights_sha256 == NETWORK.sha256


@pytest.mark.parametrize(
    "weights", ["../w.safetensors", "/w.safetensors", "a/w.safetensors", "w.pt", "w.bin", ""]
)
def test_weights_outside_the_folder_or_of_another_format_are_refused(weights: str) -> None:
    with pytest.raises(InvalidCard, match="safetensors file in the folder"):
        replace(NETWORK, weights=weights)


@pytest.mark.parametrize("digest", ["", "0" * 63, "0" * 65, "g" * 64, "A" * 64])
def test_a_hash_that_is_no_sha256_is_refused(digest: str) -> None:
    with pytest.raises(InvalidCard, match="64 hexadecimal"):
        replace(NETWORK, sha256=digest)


def test_a_folder_without_a_card_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match=r"no model\.toml"):
        read_card(tmp_path)


def test_the_calibration_of_doubt_is_read_written_and_checked(tmp_path: Path) -> None:
    lite = find_model("lite0")
    heads = (*lite.networks[0].heads, HeadPart(name="h", kind="sigmoid", classes=labels.HARDNESS))
    networks = (replace(lite.networks[0], heads=heads),)
    hardness = HardnessPart(slope=0.9, type_slope=-0.1, intercept=-1.2)
    card = replace(lite, networks=networks, hardness=hardness, folder=tmp_path)
    write_card(card)
    assert read_card(tmp_path) == card
    with pytest.raises(InvalidCard, match=r"unknown key 'typeslope' in \[hardness\]; did you mean"):
        read_card(edited(tmp_path, "type_slope", "typeslope", card))


def test_how_slides_differ_is_read_written_and_checked(tmp_path: Path) -> None:
    part = BetweenSlidesPart(
        slides=12, sensitivity_sd=0.0, specificity_sd=0.1, sensitivity_se=0.01, specificity_se=0.02
    )
    validation = ValidationPart(protocol="none", tp=1, fn=2, tn=3, fp=4, between_slides=part)
    card = make_card(tmp_path, validation=validation)
    write_card(card)
    assert read_card(tmp_path).validation == validation
    with pytest.raises(InvalidCard, match=r"model\.toml: validation\.between_slides needs 2 slides or more"):
        read_card(edited(tmp_path, "specificity_sd = 0.1", "specificity_sd = 1.1", card))


@pytest.mark.parametrize(("file", "sha256"), [("../g.onnx", "0" * 64), ("g.pt", "0" * 64), ("g.onnx", "0")])
def test_a_card_may_name_no_other_file_as_its_graph(file: str, sha256: str) -> None:
    with pytest.raises(InvalidCard, match="graph"):
        GraphPart(file=file, sha256=sha256, made_of="0" * 64)
