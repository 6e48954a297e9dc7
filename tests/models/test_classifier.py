"""From a card to a network: what the network sees, what its logit means, and what is never run."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from slidemitosis.errors import InvalidCard, SlideMitosisError, WeightsMismatch
from slidemitosis.labels import AMF_SUBTYPES, HARDNESS, NMF_SUBTYPES, SUBTYPES
from slidemitosis.models.card import HeadPart, ModelCard
from slidemitosis.models.classifier import (
    PatchInput,
    build_model,
    combine,
    empty_network,
    load_model,
    type_logit,
)
from slidemitosis.models.colour import HED_MEAN, HED_STD, rgb_to_hed
from slidemitosis.models.files import check_weights, file_sha256
from tests.models.tiny import NETWORK, TYPE, Payload, flip_last_bit, make_model, write_model_card

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = replace(NETWORK, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def make_input(**changes: Any) -> PatchInput:
    return PatchInput(replace(PLAIN, **changes), side=128)


def with_network(card: ModelCard, **changes: Any) -> ModelCard:
    return replace(card, networks=(replace(card.networks[0], **changes),))


def random_patches(n: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, 128, 128, 3), dtype=torch.uint8, generator=torch.manual_seed(n))


def position_patch(side: int) -> torch.Tensor:
    """One patch whose red is the column and whose green is the row of each pixel."""
    at = torch.arange(side, dtype=torch.uint8)
    columns, rows = at[None, :].expand(side, side), at[:, None].expand(side, side)
    return torch.stack([columns, rows, torch.zeros_like(rows)], -1)[None]


@pytest.mark.parametrize(("crop", "start"), [(64, 32), (128, 0), (63, 32), (126, 1)])
def test_the_crop_is_the_middle_of_the_patch_to_the_pixel(crop: int, start: int) -> None:
    out = make_input(crops=(crop,), resize=crop)(position_patch(128))
    inside = torch.arange(start, start + crop)
    assert out.shape == (1, 3, crop, crop)
    assert torch.equal((out[0, 0] * 255).round().int(), inside[None, :].expand(crop, crop).int())
    assert torch.equal((out[0, 1] * 255).round().int(), inside[:, None].expand(crop, crop).int())
    assert not out[0, 2].any()


@pytest.mark.parametrize("resize", [32, 50, 96, 128])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_resizing_leaves_a_constant_patch_constant(resize: int, interpolation: Any) -> None:
    out = make_input(resize=resize, interpolation=interpolation)(
        torch.full((1, 128, 128, 3), 51, dtype=torch.uint8)
    )
    assert out.shape == (1, 3, resize, resize)
    assert torch.allclose(out, torch.tensor(0.2), atol=1e-5)


@pytest.mark.parametrize("resize", [32, 128])
def test_resizing_keeps_the_middle_in_the_middle(resize: int) -> None:
    red = make_input(resize=resize)(position_patch(128))[0, 0] * 255
    assert red.mean().item() == pytest.approx(63.5, abs=0.05)
    assert torch.allclose(red + red.flip(1), torch.tensor(127.0), atol=0.05)


def test_shrinking_averages_rather_than_skips() -> None:
    """A fine checkerboard must turn grey; without antialiasing it keeps its extremes."""
    board = (torch.arange(128)[:, None] + torch.arange(128)[None, :]) % 2 * 255
    patches = board.to(torch.uint8)[None, :, :, None].expand(1, 128, 128, 3)
    out = make_input(crops=(128,), resize=48)(patches)
    assert (out[..., 4:-4, 4:-4] - 0.5).abs().max() < 0.1


def test_normalisation_gives_the_numbers_worked_out_by_hand() -> None:
    patches = torch.zeros((1, 128, 128, 3), dtype=torch.uint8)
    patches[..., 0], patches[..., 1], patches[..., 2] = 255, 51, 0
    out = make_input(mean=(0.5, 0.1, 0.25), std=(0.25, 0.2, 0.5))(patches)
    expected = torch.tensor([2.0, 0.5, -0.5]).view(1, 3, 1, 1)  # (1 - .5) / .25, (.2 - .1) / .2, -.25 / .5
    assert out.dtype == torch.float32
    assert torch.allclose(out, expected.expand_as(out), atol=1e-6)


@pytest.mark.parametrize(
    "patches",
    [
        torch.zeros((1, 128, 128, 3)),
        torch.zeros((1, 128, 128, 3), dtype=torch.int32),
        torch.zeros((1, 3, 128, 128), dtype=torch.uint8),
        torch.zeros((1, 128, 128, 4), dtype=torch.uint8),
        torch.zeros((1, 128, 64, 3), dtype=torch.uint8),
        torch.zeros((128, 128, 3), dtype=torch.uint8),
    ],
)
def test_patches_of_another_type_or_shape_are_refused(patches: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"must be uint8 \(B, 128, 128, 3\)"):
        make_input()(patches)


def test_a_loaded_model_gives_one_finite_logit_a_patch(tmp_path: Path) -> None:
    make_model(tmp_path)
    model = load_model(tmp_path)
    logits = model(random_patches(3))
    assert logits.shape == (3, 1)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())


def test_a_loaded_model_holds_the_weights_of_its_file(tmp_path: Path) -> None:
    card = make_model(tmp_path)
    stored = safetensors.torch.load(check_weights(tmp_path, card.networks[0]))
    loaded = build_model(card).networks[0].state_dict()
    assert stored.keys() == loaded.keys()
    assert all(torch.equal(stored[k], loaded[k]) for k in stored)


def test_a_logit_of_normal_figures_is_turned_into_one_of_atypical(tmp_path: Path) -> None:
    card = make_model(tmp_path)
    turned = with_network(card, heads=(replace(TYPE, classes=("AMF", "NMF")),))
    logits = build_model(card)(random_patches(4))
    assert logits.abs().min() > 0
    assert torch.equal(build_model(turned)(random_patches(4)), -logits)


@pytest.mark.parametrize("other", ["test_resnet", "test_vit"])
def test_weights_of_another_architecture_are_refused_in_one_line(tmp_path: Path, other: str) -> None:
    card = with_network(make_model(tmp_path), architecture=other)
    with pytest.raises(WeightsMismatch, match=rf"weights\.safetensors: does not fit {other}: ") as caught:
        build_model(card)
    assert "\n" not in str(caught.value)
    assert "Missing key(s)" in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("change", ["lacking", "surplus", "reshaped"])
def test_weights_that_almost_fit_are_refused(tmp_path: Path, change: str) -> None:
    make_model(tmp_path)
    path = tmp_path / "weights.safetensors"
    state = safetensors.torch.load_file(path)
    last = max(state)
    if change == "lacking":
        del state[last]
    elif change == "surplus":
        state["more"] = torch.zeros(1)
    else:
        state["head.weight"] = torch.zeros((2, *state["head.weight"].shape[1:]))
    safetensors.torch.save_file(state, path)
    with pytest.raises(WeightsMismatch, match="does not fit"):
        build_model(write_model_card(tmp_path))


@pytest.mark.parametrize("name", ["no_such_net", "hf-hub:timm/resnet18.a1_in1k", ""])
def test_an_architecture_that_timm_lacks_is_refused(tmp_path: Path, name: str) -> None:
    card = with_network(make_model(tmp_path), architecture=name)
    with pytest.raises(InvalidCard, match=rf"has no architecture '{name}'"):
        build_model(card)


def test_a_network_that_a_card_names_is_never_looked_for_elsewhere(tmp_path: Path) -> None:
    """A card could name a hub's network; the refusal must come before anything is fetched."""
    card = with_network(make_model(tmp_path), architecture="hf-hub:x/y")
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(InvalidCard):
        build_model(card)


def write_pickle(path: Path, ran: Path) -> None:
    path.write_bytes(pickle.dumps(Payload(ran)))


def write_checkpoint(path: Path, ran: Path) -> None:
    torch.save({"weights": Payload(ran)}, path)


@pytest.mark.parametrize("write", [write_pickle, write_checkpoint])
def test_a_pickle_of_the_right_hash_is_refused_and_never_run(tmp_path: Path, write: Any) -> None:
    ran = tmp_path / "ran"
    write(tmp_path / "weights.safetensors", ran)
    write_model_card(tmp_path)
    with pytest.raises(WeightsMismatch, match="does not fit"):
        load_model(tmp_path)
    assert not ran.exists()


@pytest.mark.parametrize("data", [b"", b"\0" * 8, b"\xff" * 64])
def test_weights_that_are_no_safetensors_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "weights.safetensors").write_bytes(data)
    with pytest.raises(WeightsMismatch, match="does not fit"):
        build_model(write_model_card(tmp_path))


def test_damaged_weights_are_refused_before_they_are_parsed(tmp_path: Path) -> None:
    make_model(tmp_path)
    flip_last_bit(tmp_path / "weights.safetensors")
    with pytest.raises(WeightsMismatch, match="SHA-256"):
        load_model(tmp_path)


def test_every_model_error_can_be_caught_as_one(tmp_path: Path) -> None:
    with pytest.raises(SlideMitosisError):
        load_model(tmp_path)


def test_a_patch_in_a_batch_gets_the_logit_that_it_gets_alone(tmp_path: Path) -> None:
    model = build_model(make_model(tmp_path))
    patches = random_patches(5)
    alone = torch.cat([model(p[None]) for p in patches])
    assert np.allclose(model(patches), alone, atol=1e-5)
    assert isinstance(model.networks[0], nn.Module)


def test_a_card_of_another_number_of_parameters_is_refused(tmp_path: Path) -> None:
    card = make_model(tmp_path, parameters=7)
    with pytest.raises(InvalidCard, match=r"has \d+ parameters, the card says 7"):
        build_model(card)


def test_crops_and_colours_lie_behind_one_another() -> None:
    patches = random_patches(2)
    part = make_input(crops=(128, 80), colours=("rgb", "hed"), resize=64, mean=(0.5, 0.4, 0.3))
    out = part(patches)
    assert out.shape == (2, 12, 64, 64)
    for first, crop in ((0, 128), (6, 80)):
        rgb = make_input(crops=(crop,), resize=64)(patches)
        assert torch.allclose(
            out[:, first : first + 3], rgb - torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1), atol=1e-6
        )
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (HED_MEAN, HED_STD))
        assert torch.allclose(out[:, first + 3 : first + 6], (rgb_to_hed(rgb) - mean) / std, atol=1e-5)


def logits_of(*probabilities: float) -> torch.Tensor:
    """Logits whose softmax, or for two whose sigmoid, these probabilities are."""
    return torch.tensor([probabilities]).log()


def sigmoid_logit(p: float) -> torch.Tensor:
    return torch.tensor([[p]]).logit()


def test_members_are_averaged_by_their_probabilities() -> None:
    logit = combine([[(TYPE, sigmoid_logit(0.2))], [(TYPE, sigmoid_logit(0.9))]], ())[0, 0]
    assert torch.sigmoid(logit).item() == pytest.approx(0.55)  # (.2 + .9) / 2


def test_members_that_are_all_but_certain_keep_a_finite_logit() -> None:
    far = [[(TYPE, torch.tensor([[z]]))] for z in (-200.0, -300.0)]
    assert combine(far, ())[0, 0].item() == pytest.approx(-200 - np.log(2), abs=1e-3)


def test_experts_of_one_network_are_averaged_by_their_logits() -> None:
    heads = [(replace(TYPE, name=f"expert{i}"), torch.tensor([[z]])) for i, z in enumerate((1.0, 2.0, 6.0))]
    logit = type_logit(heads)
    assert logit is not None
    assert logit.item() == pytest.approx(3.0)


def test_type_and_hardness_come_from_the_sums_of_four_classes() -> None:
    classes = ("NMF easy", "NMF hard", "AMF easy", "AMF hard")
    head = HeadPart(name="type-hardness", kind="softmax", classes=classes)
    out = combine([[(head, logits_of(0.4, 0.2, 0.1, 0.3))]], ("hard",))
    assert torch.sigmoid(out[0, 0]).item() == pytest.approx(0.4)  # .1 + .3
    assert out[0, 1].item() == pytest.approx(0.5)  # .2 + .3


def test_the_type_is_the_sum_of_its_subtypes() -> None:
    head = HeadPart(name="subtype", kind="softmax", classes=SUBTYPES)
    p = (0.3, 0.2, 0.1, 0.05, 0.15, 0.1, 0.06, 0.04)
    out = combine([[(head, logits_of(*p))]], SUBTYPES)
    assert torch.sigmoid(out[0, 0]).item() == pytest.approx(0.35)  # .15 + .1 + .06 + .04
    assert out[0, 1:].tolist() == pytest.approx(p)


def test_subtypes_of_one_type_are_multiplied_by_the_probability_of_the_type() -> None:
    amf = HeadPart(name="subtype", kind="softmax", classes=AMF_SUBTYPES)
    nmf = HeadPart(name="subtype", kind="softmax", classes=NMF_SUBTYPES)
    answers = [
        [(TYPE, sigmoid_logit(0.25))],
        [(amf, logits_of(0.4, 0.3, 0.2, 0.1))],
        [(nmf, logits_of(0.1, 0.2, 0.3, 0.4))],
    ]
    out = combine(answers, SUBTYPES)
    assert out[0, 1:].tolist() == pytest.approx([0.075, 0.15, 0.225, 0.3, 0.1, 0.075, 0.05, 0.025])
    assert out[0, 1:].sum().item() == pytest.approx(1)


def test_a_hardness_head_gives_the_probability_of_its_second_class() -> None:
    head = HeadPart(name="hardness", kind="sigmoid", classes=HARDNESS)
    turned = replace(head, classes=HARDNESS[::-1])
    for h, expected in ((head, 0.7), (turned, 0.3)):
        out = combine([[(TYPE, sigmoid_logit(0.5)), (h, sigmoid_logit(0.7))]], ("hard",))
        assert out[0, 1].item() == pytest.approx(expected)


def test_a_model_of_several_networks_is_the_mean_of_each_alone(tmp_path: Path) -> None:
    card = make_model(tmp_path)
    first = build_model(card)
    torch.manual_seed(1)
    second = empty_network(NETWORK).eval()
    safetensors.torch.save_file(second.state_dict(), tmp_path / "second.safetensors")
    other = replace(
        card.networks[0], weights="second.safetensors", sha256=file_sha256(tmp_path / "second.safetensors")
    )
    both = replace(card, networks=(card.networks[0], other))
    alone = [build_model(replace(card, networks=(n,))) for n in both.networks]
    patches = random_patches(3)
    mean = torch.stack([m(patches)[:, 0].sigmoid() for m in alone]).mean(0)
    assert torch.allclose(build_model(both)(patches)[:, 0].sigmoid(), mean, atol=1e-6)
    assert not torch.allclose(first(patches)[:, 0].sigmoid(), mean, atol=1e-4)
