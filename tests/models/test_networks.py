"""Networks: what comes out of every family, the pooling of tokens, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from slidemitosis.errors import InvalidCard
from slidemitosis.models.networks import LAYERS, Network, build_network


def network(architecture: str = "test_vit", **changes: Any) -> Network:
    values: dict[str, Any] = {
        "arguments": {},
        "pooling": "network",
        "channels": 3,
        "input_side": 64,
        "hidden": 0,
        "dropout": 0.0,
        "outputs": 1,
    }
    return build_network(architecture, **{**values, **changes})


@pytest.mark.parametrize(
    "architecture",
    [
        "convnext_atto",
        "convnextv2_atto",
        "densenet121",
        "efficientnetv2_rw_t",
        "mobilenetv3_small_050",  # a layer stands between its features and its classifier
        "resnest14d",
        "resnet34d",
        "resnetv2_34d",
        "swin_tiny_patch4_window7_224",
        "tf_efficientnet_lite0",
        "vit_tiny_patch16_224",
        "vit_small_patch14_reg4_dinov2",
    ],
)
def test_every_family_gives_a_row_of_outputs_for_an_image(architecture: str) -> None:
    with torch.device("meta"):
        made = network(architecture, channels=6, input_side=112, outputs=5).eval()
        x = torch.zeros(2, 6, 112, 112)
    assert made(x).shape == (2, 5)
    assert made.features(x).ndim == 2


def test_between_backbone_and_heads_lies_a_hidden_layer_where_asked_for() -> None:
    plain, hidden = network(outputs=3), network(hidden=10, outputs=3)
    assert isinstance(plain.hidden, nn.Identity)
    assert plain.head.in_features == 64
    assert [type(m) for m in hidden.hidden.children()] == [nn.Linear, nn.ReLU]
    assert (hidden.head.in_features, hidden.head.out_features) == (10, 3)
    rooms = {name.partition(".")[0] for name in hidden.state_dict()}
    assert rooms == {"backbone", "hidden", "head"}


def test_the_heads_see_the_features_through_hidden_layer_and_dropout() -> None:
    made = network(hidden=4, dropout=0.5, outputs=2).eval()
    x = torch.randn(3, 3, 64, 64)
    features = made.features(x)
    state = made.state_dict()
    by_hand = (features @ state["hidden.0.weight"].T + state["hidden.0.bias"]).relu()
    torch.testing.assert_close(made(x), by_hand @ made.head.weight.T + made.head.bias)
    made.dropout.train()
    torch.manual_seed(0)
    assert not torch.equal(made(x), made(x))


@pytest.mark.parametrize("registers", [0, 3])
def test_class_and_mean_are_the_class_token_beside_the_mean_of_the_patches_without_registers(
    registers: int,
) -> None:
    made = network(arguments={"depth": 1, "reg_tokens": registers}, pooling="class-and-mean").eval()
    x = torch.randn(2, 3, 64, 64)
    tokens = made.backbone.forward_features(x)
    assert tokens.shape == (2, 1 + registers + 16, 64)
    patches = tokens[:, -16:]
    by_hand = torch.cat([tokens[:, 0], patches.sum(1) / 16], dim=1)
    torch.testing.assert_close(made.features(x), by_hand)
    assert made(x).shape == (2, 1)
    assert made.head.in_features == 128


def test_a_network_without_a_class_token_cannot_be_pooled_by_it() -> None:
    for architecture in ("test_resnet", "swin_tiny_patch4_window7_224"):
        with torch.device("meta"), pytest.raises(InvalidCard, match=r"no class token; pooling must be"):
            network(architecture, pooling="class-and-mean")


def test_a_transformer_takes_the_side_of_its_input() -> None:
    made = network(input_side=96)
    assert made.backbone.pos_embed.shape[1] == 1 + 6 * 6
    assert made(torch.zeros(1, 3, 96, 96)).shape == (1, 1)


def test_a_side_that_would_lose_pixels_at_the_edge_is_refused() -> None:
    message = "patches of 14 px, so an input of 128 px must be 126 or 140 px"
    with torch.device("meta"), pytest.raises(InvalidCard, match=message):
        network("vit_small_patch14_dinov2", input_side=128)


def test_layers_are_named_in_words() -> None:
    made = network(arguments={"mlp_layer": "SwiGLUPacked", "act_layer": "SiLU", "depth": 1})
    mlp = made.backbone.blocks[0].mlp
    assert isinstance(mlp.act, nn.SiLU)
    # The gate and what it lets through lie in one matrix; half as much is left after it.
    assert mlp.fc1.out_features == 2 * mlp.fc2.in_features


def test_each_named_layer_can_be_built_in() -> None:
    for name in LAYERS:
        key = next(k for k, words in KINDS.items() if name in words)
        assert network(arguments={key: name, "depth": 1})(torch.zeros(1, 3, 64, 64)).isfinite().all()


KINDS = {
    "act_layer": ("GELU", "ReLU", "SiLU"),
    "mlp_layer": ("Mlp", "SwiGLU", "SwiGLUPacked"),
    "norm_layer": ("LayerNorm",),
}


@pytest.mark.parametrize(
    ("architecture", "arguments", "message"),
    [
        ("resnt34d", {}, r"timm [\d.]+ has no architecture 'resnt34d'; did you mean 'resnet34d'\?"),
        ("resnet34d.no_such_weights", {}, "timm resnet34d.no_such_weights cannot be built"),
        ("hf-hub:someone/something", {}, "has no architecture 'hf-hub:someone/something'"),
        ("test_vit", {"mlp_layer": "SwiGLUpacked"}, "no layer 'SwiGLUpacked' for mlp_layer; did you mean"),
        ("test_vit", {"act_layer": 3}, "no layer 3 for act_layer"),
        (
            "test_vit",
            {"mlp_ration": 3},
            "test_vit cannot be built: .*unexpected keyword argument 'mlp_ration'",
        ),
        ("test_vit", {"embed_dim": 65}, "test_vit cannot be built"),
        ("test_vit", {"img_size": 32}, "'img_size' cannot be set"),
        ("test_vit", {"pretrained": True}, "'pretrained' cannot be set"),
        ("test_vit", {"global_pool": ""}, "global_pool must pool"),
    ],
)
def test_what_timm_cannot_build_is_refused_in_one_line(
    architecture: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidCard, match=message) as caught:
        network(architecture, arguments=arguments)
    assert "\n" not in str(caught.value)
