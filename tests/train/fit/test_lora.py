"""What learns: adapters that begin as nothing and end as plain weights, heads alone, or everything."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch

from slidemitosis.errors import InvalidOption
from slidemitosis.models.networks import Network, build_network
from slidemitosis.train.fit.lora import adapted_layers, add_adapters, merge_adapters, train_only
from slidemitosis.train.recipe.recipe import LoraRecipe

if TYPE_CHECKING:
    from collections.abc import Callable

SWIGLU: dict[str, Any] = {
    "mlp_layer": "SwiGLUPacked",
    "act_layer": "SiLU",
    "depth": 2,
    "reg_tokens": 2,
    "init_values": 1e-5,
}
SPEC = LoraRecipe(rank=4)


def network(architecture: str = "test_vit", **arguments: Any) -> Network:
    torch.manual_seed(0)
    return build_network(
        architecture,
        arguments=arguments or ({"depth": 2} if architecture == "test_vit" else {}),
        pooling="network",
        channels=3,
        input_side=32,
        hidden=8,
        dropout=0.0,
        outputs=3,
    )


def images() -> torch.Tensor:
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def train_a_little(made: Network, trained: list[torch.nn.Parameter]) -> None:
    optimizer = torch.optim.SGD(trained, lr=0.5)
    for _ in range(3):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(made(images()), torch.tensor([0, 1, 2, 0])).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


@pytest.fixture
def adapted() -> Network:
    pytest.importorskip("peft")
    made = network()
    add_adapters(made, SPEC)
    return made


def test_adapters_change_nothing_at_first() -> None:
    pytest.importorskip("peft")
    made = network().eval()
    before = made(images())
    add_adapters(made, SPEC)
    assert torch.equal(made.eval()(images()), before)


def test_adapters_lie_beside_the_layers_of_the_blocks_and_not_beside_the_embedding_of_the_patches(
    adapted: Network,
) -> None:
    layers = {n.partition(".lora_")[0] for n, _ in adapted.backbone.named_parameters() if ".lora_" in n}
    assert layers == {
        f"blocks.{i}.{layer}" for i in (0, 1) for layer in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    }
    assert type(adapted.backbone.patch_embed.proj) is torch.nn.Conv2d


def test_adapters_hidden_layer_and_heads_learn_and_nothing_else(adapted: Network) -> None:
    before = {k: v.clone() for k, v in adapted.state_dict().items()}
    trained = train_only(adapted, "lora")
    # A and B of each layer, 2 blocks: qkv 64 to 192, proj 64 to 64, fc1 64 to 192, fc2 192 to 64.
    adapters = 2 * SPEC.rank * ((64 + 192) + (64 + 64) + (64 + 192) + (192 + 64))
    assert sum(p.numel() for p in trained) == adapters + (64 * 8 + 8) + (8 * 3 + 3)
    train_a_little(adapted, trained)
    changed = {k for k, v in adapted.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {k for k in before if ".lora_" in k or k.startswith(("hidden.", "head."))}


def test_merged_adapters_are_plain_weights_that_say_the_same(adapted: Network) -> None:
    train_a_little(adapted, train_only(adapted, "lora"))
    expected = adapted.eval()(images())
    merge_adapters(adapted)
    torch.testing.assert_close(adapted.eval()(images()), expected, rtol=1e-4, atol=1e-4)
    plain = network().eval()
    plain.load_state_dict(adapted.state_dict())
    torch.testing.assert_close(plain(images()), expected, rtol=1e-4, atol=1e-4)
    assert not any("peft" in type(m).__module__ for m in adapted.modules())


def test_a_copy_can_be_merged_while_the_training_goes_on(adapted: Network) -> None:
    merged = copy.deepcopy(adapted)
    merge_adapters(merged)
    assert any(".lora_" in k for k in adapted.state_dict())
    assert not any(".lora_" in k for k in merged.state_dict())


def test_without_adapters_there_is_nothing_to_merge() -> None:
    made = network()
    before = list(made.state_dict())
    merge_adapters(made)
    assert list(made.state_dict()) == before


def test_adapters_scale_as_said(adapted: Network) -> None:
    """W + alpha / rank B A (Hu et al. 2022, section 4.1)."""
    layer = adapted.backbone.blocks[0].attn.qkv
    torch.nn.init.normal_(layer.lora_B["default"].weight)
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    by_hand = layer.get_base_layer().weight + SPEC.alpha / SPEC.rank * b @ a
    merge_adapters(adapted)
    torch.testing.assert_close(adapted.backbone.blocks[0].attn.qkv.weight, by_hand)


def test_gated_layers_and_windows_get_adapters_too() -> None:
    swiglu = adapted_layers(network(**SWIGLU).backbone, SPEC.targets)
    assert len(swiglu) == 8
    with torch.device("meta"):
        swin = adapted_layers(network("swin_tiny_patch4_window7_224").backbone, SPEC.targets)
    assert len(swin) == 12 * 4
    assert {name.rpartition(".")[2] for name in swin} == {"qkv", "proj", "fc1", "fc2"}


def test_only_the_named_layers_get_adapters() -> None:
    assert adapted_layers(network().backbone, ("qkv",)) == ["blocks.0.attn.qkv", "blocks.1.attn.qkv"]


@pytest.mark.parametrize(
    ("make", "spec", "message"),
    [
        (lambda: network("test_efficientnet"), SPEC, "EfficientNet has no transformer blocks for adapters"),
        (lambda: network("test_convnext2"), SPEC, "ConvNeXt has no transformer blocks for adapters"),
        (network, LoraRecipe(targets=("query",)), "lora.targets name no layer .* it has qkv, proj, fc1, fc2"),
    ],
)
def test_what_cannot_have_adapters_is_refused(
    make: Callable[[], Network], spec: LoraRecipe, message: str
) -> None:
    pytest.importorskip("peft")
    with pytest.raises(InvalidOption, match=message) as caught:
        add_adapters(make(), spec)
    assert "\n" not in str(caught.value)


def test_a_frozen_backbone_keeps_its_statistics_too() -> None:
    made = network("test_efficientnet")
    before = {k: v.clone() for k, v in made.backbone.state_dict().items()}
    train_a_little(made, train_only(made, "heads"))
    assert all(torch.equal(v, before[k]) for k, v in made.backbone.state_dict().items())
    assert not any(m.training for m in made.backbone.modules())
    assert made.head.training
    assert made.dropout.training


def test_everything_learns_again_after_the_epochs_of_the_heads() -> None:
    made = network("test_efficientnet")
    heads = train_only(made, "heads")
    assert {id(p) for p in heads} == {id(p) for m in (made.hidden, made.head) for p in m.parameters()}
    everything = train_only(made, "all")
    assert {id(p) for p in everything} == {id(p) for p in made.parameters()}
    assert all(m.training for m in made.modules())


def test_the_heads_alone_learn_at_first_beside_adapters(adapted: Network) -> None:
    train_only(adapted, "heads")
    assert not any(".lora_" in n for n, p in adapted.named_parameters() if p.requires_grad)
    train_only(adapted, "lora")
    dropouts = [m for n, m in adapted.named_modules() if "lora_dropout" in n]
    assert dropouts
    assert all(m.training for m in dropouts)
