"""Choose which part of a network learns: all of it, its heads, or adapters beside a frozen backbone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from torch import nn

from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slidemitosis.models.networks import Network
    from slidemitosis.train.recipe.recipe import LoraRecipe

BLOCK = re.compile(r"(?:^|.*\.)blocks\.\d+(?=\.)")


def train_only(network: Network, trained: Literal["all", "heads", "lora"]) -> list[nn.Parameter]:
    """Set which parameters learn, and the mode of every module; return these parameters.

    "heads": everything but the backbone is trained; the backbone is frozen, and in evaluation mode, since its
    batch normalisation would go on learning otherwise. "lora": the adapters are trained too, and since they
    have a dropout the backbone is in training mode, without its batch normalisation.
    """
    network.train()
    network.requires_grad_(requires_grad=True)
    if trained == "heads":
        network.backbone.requires_grad_(requires_grad=False)
        network.backbone.eval()
    elif trained == "lora":
        for name, parameter in network.backbone.named_parameters():
            parameter.requires_grad_(requires_grad=".lora_" in name)
        for module in network.backbone.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
    return [p for p in network.parameters() if p.requires_grad]


def add_adapters(network: Network, spec: LoraRecipe) -> None:
    """Put low-rank adapters beside the layers of the transformer blocks, in place, and freeze the rest.

    Hu et al. 2022: W x becomes W x + alpha / rank B A x, with B = 0, so that nothing changes at first.
    The heads stay as they are, and learn. Raises InvalidOption if there are no transformer blocks, or
    peft is missing.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model  # noqa: PLC0415 - several seconds
    except ImportError as e:
        raise InvalidOption('adapters need peft: pip install "slidemitosis[train]"') from e
    layers = adapted_layers(network.backbone, spec.targets)
    try:
        config = LoraConfig(
            r=spec.rank,
            lora_alpha=spec.alpha,
            lora_dropout=spec.dropout,
            # A pattern of whole names: by its last part "proj" is also the embedding of the patches.
            target_modules="|".join(map(re.escape, layers)),
            bias="none",
        )
        inject_adapter_in_model(config, network.backbone)
    except ValueError as e:
        raise InvalidOption(f"[lora]: {e}") from e
    train_only(network, "lora")


def adapted_layers(backbone: nn.Module, targets: Sequence[str]) -> list[str]:
    """Return full names of the linear layers in transformer blocks whose last part is in `targets`.

    A transformer block is a `blocks.N` with an attention, `attn`. Raises InvalidOption if there is none.
    """
    modules = dict(backbone.named_modules())
    blocks = {m.group() for name in modules if (m := BLOCK.match(name)) and f"{m.group()}.attn" in modules}
    if not blocks:
        raise InvalidOption(
            f"{type(backbone).__name__} has no transformer blocks for adapters; "
            "set network.trained to all or heads"
        )
    linear = [
        name
        for name, module in modules.items()
        if isinstance(module, nn.Linear) and (m := BLOCK.match(name)) and m.group() in blocks
    ]
    layers = [name for name in linear if name.rpartition(".")[2] in targets]
    if not layers:
        known = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in linear))
        raise InvalidOption(f"lora.targets name no layer of {type(backbone).__name__}; it has {known}")
    return layers


def merge_adapters(network: Network) -> None:
    """Add the adapters to the weights beside them, in place, and remove them: peft is no longer needed.

    Outputs change by rounding alone. A network without adapters is left as it is.
    """
    adapted = [n for n, m in network.backbone.named_modules() if hasattr(m, "lora_A")]
    for name in adapted:
        parent, _, last = name.rpartition(".")
        layer = network.backbone.get_submodule(name)
        layer.merge()
        setattr(network.backbone.get_submodule(parent), last, layer.get_base_layer())
    if adapted:
        del network.backbone.peft_config
