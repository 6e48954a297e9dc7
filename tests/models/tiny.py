"""Models of a tiny network with random weights, and patches of the drawn slide."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slidemitosis.demo.tissue import draw_phantom
from slidemitosis.labels import HARDNESS, NMF_SUBTYPES
from slidemitosis.models.card import TASK, HeadPart, ModelCard, NetworkPart, PatchPart, write_card
from slidemitosis.models.decision import DecisionPart, ValidationPart
from slidemitosis.models.files import file_sha256
from slidemitosis.models.shipped import find_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEIGHTS = b"not parsed here"
TYPE = HeadPart(name="type", kind="sigmoid", classes=("NMF", "AMF"))
HEADS = (
    replace(TYPE, name="expert1"),
    replace(TYPE, name="expert2"),
    HeadPart(name="hardness", kind="sigmoid", classes=HARDNESS),
    HeadPart(name="subtype", kind="softmax", classes=NMF_SUBTYPES),
)
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
        "task": TASK,
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


def make_model(folder: Path, **network: Any) -> ModelCard:
    """A model folder with random weights of a small network."""
    import safetensors.torch
    import torch

    from slidemitosis.models.classifier import empty_network

    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    made = empty_network(replace(NETWORK, **{k: v for k, v in network.items() if k != "parameters"}))
    safetensors.torch.save_file(made.state_dict(), folder / "weights.safetensors")
    parameters = sum(p.numel() for p in made.parameters())
    return write_model_card(folder, **{"parameters": parameters} | network)


def write_model_card(folder: Path, **network: Any) -> ModelCard:
    """The card for the weights that lie in `folder`."""
    values = {"sha256": file_sha256(folder / "weights.safetensors")} | network
    card = make_card(folder, name=folder.name, networks=(replace(NETWORK, **values),))
    write_card(card)
    return card


def damaged_model(folder: Path) -> Path:
    """A copy of a shipped model in which one bit of the weights differs."""
    shutil.copytree(find_model("lite0").folder, folder)
    flip_last_bit(next(folder.glob("*.safetensors")))
    return folder


def flip_last_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def drawn_patches(n: int) -> NDArray[np.uint8]:
    """Figures of the drawn slide, uint8 (n, 128, 128, 3)."""
    phantom = draw_phantom()
    inside = [(round(f.x) - 64, round(f.y) - 64) for f in phantom.figures]
    h, w = phantom.pixels.shape[:2]
    corners = [(x, y) for x, y in inside if 0 <= x <= w - 128 and 0 <= y <= h - 128][:n]
    return np.stack([phantom.pixels[y : y + 128, x : x + 128] for x, y in corners])
