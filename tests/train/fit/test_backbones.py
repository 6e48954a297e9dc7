"""The shipped backbones: each can be built without the hub, and is what its page says."""

from __future__ import annotations

import tomllib

import pytest
import torch
from timm.models import get_pretrained_cfg

from slidemitosis.models.networks import Network, build_network
from slidemitosis.toml_tables import build
from slidemitosis.train.recipe.recipe import BACKBONES, Backbone

TABLES = tomllib.loads(BACKBONES.read_text(encoding="utf-8"))
# Parameters without a classifier and width of the features. Of the foundation models the number is
# that of the weights that their authors published; of the others that of timm's own pages.
SIZES = {
    "tf_efficientnet_lite0": (3_371_008, 1280),
    "tf_efficientnet_lite1": (4_135_680, 1280),
    "tf_efficientnet_lite2": (4_811_072, 1280),
    "resnet34d": (21_303_904, 512),
    "resnetv2_34d": (21_302_112, 512),
    "densenet121": (6_953_856, 1024),
    "resnest26d": (15_020_448, 2048),
    "resnet50": (23_508_032, 2048),
    "convnext_base": (87_566_464, 1024),
    "convnextv2_base": (87_692_800, 1024),
    "swin_base": (86_743_224, 1024),
    "vit_large_patch16_224": (303_301_632, 1024),
    "efficientnetv2_m": (52_858_356, 1280),
    "tf_efficientnetv2_m": (52_858_356, 1280),
    "uni": (303_350_784, 1024),
    "uni2-h": (681_394_176, 1536),
    "virchow": (631_229_184, 2560),
    "virchow2": (631_239_424, 2560),
    "prov-gigapath": (1_134_953_984, 1536),
    "h-optimus-0": (1_134_774_272, 1536),
    "h-optimus-1": (1_134_774_272, 1536),
    "h0-mini": (85_739_520, 768),
    "smoke-cnn": (99_196, 256),
    "smoke-vit": (145_472, 64),
}
FOUNDATION_MODELS = [name for name, table in TABLES.items() if table["pretrained"].startswith("hub:")]


def backbone(name: str) -> Backbone:
    return build(Backbone, TABLES[name], where=f"[{name}]")


def empty(name: str, *, input_side: int = 224) -> Network:
    """Shapes without memory: the largest would take 4.5 GB."""
    spec = backbone(name)
    with torch.device("meta"):
        return build_network(
            spec.architecture,
            arguments=spec.arguments,
            pooling=spec.pooling,
            channels=3,
            input_side=input_side,
            hidden=0,
            dropout=0.0,
            outputs=1,
        ).eval()


def test_every_backbone_has_a_size_below() -> None:
    assert set(SIZES) == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_a_backbone_has_the_published_number_of_parameters_and_features(name: str) -> None:
    made = empty(name)
    parameters, width = SIZES[name]
    assert sum(p.numel() for p in made.backbone.parameters()) == parameters
    assert made.head.in_features == width


@pytest.mark.parametrize("name", [n for n in TABLES if n not in FOUNDATION_MODELS or n == "h0-mini"])
def test_a_backbone_gives_features_of_that_width(name: str) -> None:
    made = empty(name)
    assert made.features(torch.zeros(2, 3, 224, 224, device="meta")).shape == (2, SIZES[name][1])


@pytest.mark.parametrize(
    ("name", "registers", "patch"),
    [
        ("uni", 0, 16),
        ("uni2-h", 8, 14),
        ("virchow", 0, 14),
        ("virchow2", 4, 14),
        ("prov-gigapath", 0, 16),
        ("h-optimus-0", 4, 14),
        ("h-optimus-1", 4, 14),
        ("h0-mini", 4, 14),
    ],
)
def test_a_foundation_model_has_its_registers_patches_and_layer_scale(
    name: str, registers: int, patch: int
) -> None:
    made = empty(name).backbone
    assert made.num_prefix_tokens == 1 + registers
    assert made.patch_embed.patch_size == (patch, patch)
    # Where it is lacking, tensors of the published file would be left over.
    assert made.blocks[0].ls1.gamma.shape == (made.num_features,)


def test_the_eight_models_of_the_benchmark_are_there() -> None:
    assert FOUNDATION_MODELS == [
        "uni",
        "uni2-h",
        "virchow",
        "virchow2",
        "prov-gigapath",
        "h-optimus-0",
        "h-optimus-1",
        "h0-mini",
    ]
    assert [n for n in TABLES if backbone(n).pooling == "class-and-mean"] == ["virchow", "virchow2"]


@pytest.mark.parametrize("name", [n for n in TABLES if TABLES[n]["pretrained"].startswith("timm:")])
def test_statistics_are_those_that_timm_records_for_the_weights(name: str) -> None:
    spec = backbone(name)
    weights = spec.pretrained.removeprefix("timm:")
    record = get_pretrained_cfg(weights)
    assert record is not None
    assert (tuple(record.mean), tuple(record.std)) == (spec.mean, spec.std)
    assert record.hf_hub_id
    assert weights.partition(".")[0] == spec.architecture


@pytest.mark.parametrize("name", ["smoke-cnn", "smoke-vit"])
def test_the_small_ones_take_a_small_input(name: str) -> None:
    x = torch.zeros(1, 3, 32, 32, device="meta")
    assert empty(name, input_side=32)(x).shape == (1, 1)
