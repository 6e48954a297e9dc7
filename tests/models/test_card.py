"""Model cards: what a card may say, what is refused and why, and weights that are checked unparsed."""

from __future__ import annotations

import hashlib
import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidemitosis import labels
from slidemitosis.errors import InvalidCard, UnknownModel, WeightsMismatch
from slidemitosis.models import card as cards
from slidemitosis.models import shipped
from slidemitosis.models.card import HeadPart, ModelCard, NetworkPart, PatchPart, Score, read_card, write_card
from slidemitosis.models.decision import BetweenSlidesPart, DecisionPart, HardnessPart, ValidationPart
from slidemitosis.models.files import check_graph, check_weights, file_sha256
from slidemitosis.models.shipped import find_model

WEIGHTS = b"not parsed here"


TYPE = HeadPart(name="type", kind="sigmoid", classes=("NMF", "AMF"))
NETWORK = NetworkPart(
    architecture="test_efficientnet",
    weights="weights.safetensors",
    sha256=hashlib.sha256(WEIGHTS).hexdigest(),
    parameters=99453,
    crops=(64,),
    resize=64,
    interpolation="bilinear",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    heads=(TYPE,),
)


def make_card(folder: Path, **parts: Any) -> ModelCard:
    """A valid card, with parts replaced."""
    values: dict[str, Any] = {
        "format": 2,
        "name": "tiny",
        "version": "1",
        "task": cards.TASK,
        "description": "a network",
        "intended_use": "tests",
        "data": ("drawn",),
        "licence": "Apache-2.0",
        "citation": (),
        "patch": PatchPart(mpp=0.25, side=128),
        "networks": (NETWORK,),
        "decision": DecisionPart(training_prior=0.5, target_prior=0.2, temperature=1.5, threshold=0.3),
        "validation": ValidationPart(protocol="none", tp=1, fn=2, tn=3, fp=4),
        "folder": folder,
    }
    return ModelCard(**values | parts)


def edited(folder: Path, old: str, new: str) -> Path:
    """The folder of a valid card in which `old` was replaced by `new`."""
    write_card(make_card(folder))
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


def test_an_unknown_key_is_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    folder = edited(tmp_path, "temperature = 1.5", "temprature = 1.5")
    with pytest.raises(InvalidCard, match=r"unknown key 'temprature' in \[decision\].* 'temperature'\?$"):
        read_card(folder)


def test_an_unknown_key_like_no_other_is_named_alone(tmp_path: Path) -> None:
    folder = edited(tmp_path, "format = 2", "format = 2\nzzz = 3")
    with pytest.raises(InvalidCard, match=r"unknown key 'zzz' in the top level$"):
        read_card(folder)


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


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("parameters = 99453", "parameters = 99453.0"),
        ("parameters = 99453", "parameters = true"),
        ("threshold = 0.3", 'threshold = "0.3"'),
        ("threshold = 0.3", "threshold = true"),
        ("threshold = 0.3", "threshold = nan"),
        ("temperature = 1.5", "temperature = inf"),
        ("temperature = 1.5", "temperature = true"),
        ('licence = "Apache-2.0"', "licence = 2.0"),
        ("mean = [0.5, 0.5, 0.5]", "mean = 0.5"),
        ("mean = [0.5, 0.5, 0.5]", "mean = [0.5, 0.5]"),
        ("mean = [0.5, 0.5, 0.5]", "mean = [0.5, 0.5, nan]"),
        ("mean = [0.5, 0.5, 0.5]", 'mean = [0.5, 0.5, "0.5"]'),
        ("std = [0.5, 0.5, 0.5]", "std = [0.5, 0.5, 0.0]"),
        ('interpolation = "bilinear"', 'interpolation = "nearest"'),
        ("crops = [64]", "crops = [129]"),
        ("crops = [64]", "crops = []"),
        ("crops = [64]", "crops = [4]"),
        ('colours = ["rgb"]', 'colours = ["lab"]'),
        ('colours = ["rgb"]', "colours = []"),
        ('pooling = "network"', 'pooling = "max"'),
        ('kind = "sigmoid"', 'kind = "tanh"'),
        ("side = 128", "side = 4"),
        ("mpp = 0.25", "mpp = 0.25e3"),
        ("threshold = 0.3", "threshold = 1"),
        ("temperature = 1.5", "temperature = 0"),
        ("tp = 1", "tp = -1"),
        ("citation = []", 'citation = ["a", 1]'),
        ("citation = []", 'citation = "a"'),
        ("citation = []", "citation = []\nscores = 5"),
        ("citation = []", 'citation = []\nscores = "none"'),
        ("citation = []", "citation = []\nscores = [1]"),
        ('protocol = "none"', "protocol = 1979-05-27"),
        ("format = 2", "format = 1"),
        ('task = "atypical mitotic figures"', 'task = "mitoses"'),
        ("format = 2", "format = 2\nfolder = '/etc'"),
        ("[validation]", "[validation"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_with_the_path_of_the_card(
    tmp_path: Path, old: str, new: str
) -> None:
    with pytest.raises(InvalidCard, match=r"model\.toml: ") as caught:
        read_card(edited(tmp_path, old, new))
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
    "weights",
    [
        "../weights.safetensors",
        "/tmp/weights.safetensors",
        "a/b.safetensors",
        "weights.pt",
        "weights.bin",
        "",
    ],
)
def test_weights_outside_the_folder_or_of_another_format_are_refused(tmp_path: Path, weights: str) -> None:
    folder = edited(tmp_path, 'weights = "weights.safetensors"', f'weights = "{weights}"')
    with pytest.raises(InvalidCard, match="safetensors file in the folder"):
        read_card(folder)


@pytest.mark.parametrize("digest", ["", "0" * 63, "0" * 65, "g" * 64, "A" * 64])
def test_a_hash_that_is_no_sha256_is_refused(tmp_path: Path, digest: str) -> None:
    with pytest.raises(InvalidCard, match="64 hexadecimal"):
        replace(NETWORK, sha256=digest)


def test_weights_of_the_right_hash_come_back_as_bytes(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(WEIGHTS)
    assert check_weights(tmp_path, NETWORK) == WEIGHTS
    assert file_sha256(tmp_path / "weights.safetensors") == NETWORK.sha256


def test_one_changed_bit_of_the_weights_is_seen(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(bytes([WEIGHTS[0] ^ 1]) + WEIGHTS[1:])
    with pytest.raises(WeightsMismatch, match="damaged or not the model's own"):
        check_weights(tmp_path, NETWORK)


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatch, match=r"weights\.safetensors: cannot be read: No such file"):
        check_weights(tmp_path, NETWORK)


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_with_another_hash_is_refused_unparsed(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    with pytest.raises(WeightsMismatch, match="SHA-256"):
        check_weights(tmp_path, NETWORK)
    assert not (tmp_path / "ran").exists()


def test_a_folder_without_a_card_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match=r"no model\.toml"):
        read_card(tmp_path)


def test_a_model_is_found_by_its_name_and_by_its_folder(tmp_path: Path) -> None:
    write_card(make_card(tmp_path, name="of this folder"))
    assert find_model(tmp_path).name == find_model(str(tmp_path)).name == "of this folder"
    assert find_model(shipped.DEFAULT_MODEL).folder == shipped.shipped_models() / shipped.DEFAULT_MODEL


def test_a_name_wins_over_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / shipped.DEFAULT_MODEL
    folder.mkdir()
    write_card(make_card(folder, name="of this folder"))
    monkeypatch.chdir(tmp_path)
    assert find_model(shipped.DEFAULT_MODEL).name == shipped.DEFAULT_MODEL
    assert find_model(f"./{shipped.DEFAULT_MODEL}").name == "of this folder"
    assert find_model(folder).name == "of this folder"


def test_an_unknown_name_lists_those_known() -> None:
    with pytest.raises(UnknownModel, match=rf"'light0'; known models: .*\b{shipped.DEFAULT_MODEL}\b"):
        find_model("light0")


def test_the_calibration_of_doubt_is_read_written_and_checked(tmp_path: Path) -> None:
    lite = find_model("lite0")
    heads = (*lite.networks[0].heads, cards.HeadPart(name="h", kind="sigmoid", classes=labels.HARDNESS))
    networks = (replace(lite.networks[0], heads=heads),)
    hardness = HardnessPart(slope=0.9, type_slope=-0.1, intercept=-1.2)
    card = replace(lite, networks=networks, hardness=hardness, folder=tmp_path)
    cards.write_card(card)
    assert read_card(tmp_path) == card
    path = tmp_path / "model.toml"
    path.write_text(path.read_text().replace("type_slope", "typeslope"))
    with pytest.raises(InvalidCard, match=r"unknown key 'typeslope' in \[hardness\]; did you mean"):
        read_card(tmp_path)


def test_how_slides_differ_is_read_written_and_checked(tmp_path: Path) -> None:
    part = BetweenSlidesPart(
        slides=12, sensitivity_sd=0.0, specificity_sd=0.1, sensitivity_se=0.01, specificity_se=0.02
    )
    validation = ValidationPart(protocol="none", tp=1, fn=2, tn=3, fp=4, between_slides=part)
    write_card(make_card(tmp_path, validation=validation))
    assert read_card(tmp_path).validation == validation
    path = tmp_path / "model.toml"
    path.write_text(path.read_text().replace("specificity_sd = 0.1", "specificity_sd = 1.1"))
    with pytest.raises(InvalidCard, match=r"model\.toml: validation\.between_slides needs 2 slides or more"):
        read_card(tmp_path)


@pytest.mark.parametrize("name", ["..", "../models", "", "lite0/../lite0"])
def test_a_name_never_leads_out_of_the_shipped_models(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownModel):
        find_model(name)


def decision(training: float, target: float, temperature: float = 1.0) -> DecisionPart:
    return DecisionPart(training_prior=training, target_prior=target, temperature=temperature, threshold=0.5)


@pytest.mark.parametrize(
    ("part", "logit", "probability"),
    [
        (decision(0.5, 0.5), 0.0, 0.5),
        # A network taught on 50:50 that cannot tell leaves what was known before: the prior.
        (decision(0.5, 0.2), 0.0, 0.2),
        (decision(0.5, 0.2), math.log(4), 0.5),  # odds 4 x 1/4
        (decision(0.2, 0.2), math.log(3), 0.75),  # nothing shifts
        (decision(0.25, 0.5), 0.0, 0.75),  # odds 1 / (1/3)
        (decision(0.5, 0.5, 2.0), math.log(9), 0.75),  # odds 9 ** (1 / 2)
        (decision(0.5, 0.2, 2.0), math.log(16), 0.5),  # odds 16 ** (1 / 2) x 1/4
        (decision(0.25, 0.5, 2.0), math.log(3), 0.75),  # odds (3 x 3) ** (1 / 2)
    ],
)
def test_probabilities_are_those_worked_out_by_hand(
    part: DecisionPart, logit: float, probability: float
) -> None:
    assert part.probability(np.array([logit])) == pytest.approx([probability], abs=1e-12)


@given(
    part=st.builds(decision, shares, shares, st.floats(0.2, 5)),
    logits=st.lists(st.floats(-20, 20, width=32), min_size=2, max_size=20),
)
def test_a_higher_logit_never_gives_a_lower_probability(part: DecisionPart, logits: list[float]) -> None:
    p = part.probability(np.sort(np.array(logits, np.float32)))
    assert (np.diff(p) >= 0).all()
    assert ((p >= 0) & (p <= 1)).all()


@given(p=shares, part=st.builds(decision, shares, shares))
def test_without_a_temperature_the_prior_correction_is_bayes_rule(p: float, part: DecisionPart) -> None:
    up, down = part.target_prior / part.training_prior, (1 - part.target_prior) / (1 - part.training_prior)
    expected = p * up / (p * up + (1 - p) * down)
    assert part.probability(np.array([math.log(p / (1 - p))])) == pytest.approx([expected], abs=1e-9)


@pytest.mark.parametrize("logit", [1e3, 1e6, np.inf])
def test_extreme_logits_are_certain_without_a_warning(logit: float) -> None:
    part = decision(0.5, 0.2, 0.5)
    assert part.probability(np.array([-logit, logit])).tolist() == [0, 1]


SHIPPED = sorted(p.parent.name for p in shipped.shipped_models().glob("*/model.toml"))


def test_the_default_model_is_shipped() -> None:
    assert shipped.DEFAULT_MODEL in SHIPPED
    assert [card.folder.name for card in shipped.list_models()] == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_is_whole(name: str) -> None:
    card = read_card(shipped.shipped_models() / name)
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
