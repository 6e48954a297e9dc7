"""Build networks: a backbone of timm, its pooling, and our heads."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING, Any, Literal

import timm
import torch
from timm.layers.mlp import Mlp, SwiGLU, SwiGLUPacked
from timm.layers.norm import LayerNorm
from timm.models import get_pretrained_cfg
from torch import nn

from slidemitosis.errors import InvalidCard
from slidemitosis.toml_tables import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

Argument = str | bool | int | float
Pooling = Literal["network", "class-and-mean"]
# Names of layers in a card or recipe, since TOML cannot hold a class.
LAYERS = {
    "GELU": nn.GELU,
    "LayerNorm": LayerNorm,
    "Mlp": Mlp,
    "ReLU": nn.ReLU,
    "SiLU": nn.SiLU,
    "SwiGLU": SwiGLU,
    "SwiGLUPacked": SwiGLUPacked,
}
LAYER_ARGUMENTS = ("act_layer", "mlp_layer", "norm_layer")
# Arguments that follow from the rest of a card or recipe, or are decided here.
DECIDED = ("checkpoint_path", "features_only", "img_size", "in_chans", "num_classes", "pretrained")


class Network(nn.Module):
    """A backbone of timm without its classifier, a hidden layer if asked for, and our heads.

    In: float (B, channels, side, side), normalised. Out: float (B, outputs), the logits of all heads
    side by side.
    """

    backbone: Any  # timm is not typed
    hidden: nn.Sequential | nn.Identity
    dropout: nn.Dropout
    head: nn.Linear

    def __init__(
        self, backbone: nn.Module, *, width: int, pooling: Pooling, hidden: int, dropout: float, outputs: int
    ) -> None:
        super().__init__()
        self.pooling = pooling
        self.backbone = backbone
        self.hidden = nn.Sequential(nn.Linear(width, hidden), nn.ReLU()) if hidden else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden or width, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute logits, float (B, outputs), of normalised float (B, channels, side, side)."""
        return self.answers(self.features(x))

    def answers(self, features: torch.Tensor) -> torch.Tensor:
        """Compute logits, float (B, outputs), of what `features` returns, float (B, width)."""
        logits: torch.Tensor = self.head(self.dropout(self.hidden(features)))
        return logits

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the backbone's pooled features, float (B, width), of float (B, channels, side, side)."""
        if self.pooling == "network":
            pooled: torch.Tensor = self.backbone(x)
            return pooled
        tokens: torch.Tensor = self.backbone.forward_features(x)
        # Register tokens between the class token and the patches carry no meaning of their own.
        patches = tokens[:, self.backbone.num_prefix_tokens :]
        return torch.cat([tokens[:, 0], patches.mean(1)], dim=1)


def build_network(
    architecture: str,
    *,
    arguments: Mapping[str, Argument],
    pooling: Pooling,
    channels: int,
    input_side: int,
    hidden: int,
    dropout: float,
    outputs: int,
) -> Network:
    """Build a network with random weights; nothing is downloaded.

    `architecture` is a name in timm, `arguments` go to `timm.create_model`, with layers by their
    names in `LAYERS`. `pooling`: "network" is timm's own; "class-and-mean" puts the class token beside
    the mean of the patch tokens, as the authors of Virchow and Virchow2 say. `input_side` (px) sets the
    number of a transformer's position embeddings. Raises InvalidCard if timm cannot build it.
    """
    backbone = _backbone(architecture, arguments, channels=channels, input_side=input_side)
    # Not num_features: some, such as MobileNetV3, have another layer before the classifier.
    width = backbone.head_hidden_size
    if pooling == "class-and-mean":
        if getattr(backbone, "cls_token", None) is None:
            raise InvalidCard(
                f'timm {architecture} has no class token; pooling must be "network", not "class-and-mean"'
            )
        width = 2 * backbone.num_features
    return Network(backbone, width=width, pooling=pooling, hidden=hidden, dropout=dropout, outputs=outputs)


def _backbone(architecture: str, arguments: Mapping[str, Argument], *, channels: int, input_side: int) -> Any:
    # For a name such as "hf-hub:..." timm would download a description even for random weights.
    if not timm.is_model(architecture):
        known = timm.list_models()
        raise InvalidCard(
            f"timm {timm.__version__} has no architecture {architecture!r}{nearest(architecture, known)}"
        )
    values = {k: _value(k, v) for k, v in arguments.items()}
    try:
        record = get_pretrained_cfg(architecture)
        if record and record.fixed_input_size:
            values["img_size"] = input_side
        backbone = timm.create_model(
            architecture, pretrained=False, num_classes=0, in_chans=channels, **values
        )
    except (TypeError, ValueError, RuntimeError, AssertionError, KeyError) as e:
        raise InvalidCard(f"timm {architecture} cannot be built: {shorten(str(e), 200)}") from e
    patch = getattr(getattr(backbone, "patch_embed", None), "patch_size", (1,))[0]
    if "img_size" in values and input_side % patch:
        # timm would drop the columns and rows that remain.
        below = input_side // patch * patch
        raise InvalidCard(
            f"timm {architecture} sees patches of {patch} px, so an input of {input_side} px must be "
            f"{below} or {below + patch} px"
        )
    return backbone


def _value(key: str, value: Argument) -> Any:
    """Return an argument for timm.create_model, with a layer in place of its name. Raises InvalidCard."""
    if key in DECIDED:
        raise InvalidCard(f"arguments: {key!r} cannot be set, since it follows from the rest")
    if key == "global_pool" and not value:
        raise InvalidCard("arguments: global_pool must pool; an empty one leaves tokens or maps")
    if key not in LAYER_ARGUMENTS:
        return value
    if value not in LAYERS:
        known = ", ".join(LAYERS)
        raise InvalidCard(
            f"arguments: no layer {value!r} for {key}{nearest(str(value), LAYERS)}; known: {known}"
        )
    return LAYERS[str(value)]
