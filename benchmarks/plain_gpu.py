"""What one would write in an afternoon for a GPU: OpenSlide, a DataLoader, timm, half precision.

As `plain_script.py`, whose patches these are, it checks nothing. It only computes logits, again and again.
"""

from __future__ import annotations

import time
import tomllib
from typing import TYPE_CHECKING

import safetensors.torch
import timm
import torch
from plain_script import Patches
from torch.utils.data import DataLoader

if TYPE_CHECKING:
    from pathlib import Path


class Again(Patches):
    """The patches, over and over."""

    def __len__(self):
        return 1000 * len(self.centres)

    def __getitem__(self, i):
        return super().__getitem__(i % len(self.centres))


def plain_network(folder: Path, part: dict, dtype: torch.dtype, device: str):
    width = sum(1 if h["kind"] == "sigmoid" else len(h["classes"]) for h in part["heads"])
    network = timm.create_model(part["architecture"], num_classes=width)
    classifier = network.default_cfg["classifier"]
    state = safetensors.torch.load_file(folder / part["weights"])
    heads = {"head.weight": f"{classifier}.weight", "head.bias": f"{classifier}.bias"}
    network.load_state_dict({heads.get(k, k.removeprefix("backbone.")): v for k, v in state.items()})
    return network.eval().to(device=device, dtype=dtype, memory_format=torch.channels_last)


def plain_rate(slide: Path, centres, folder: Path, *, device: str, workers: int, seconds: float) -> float:
    """Patches a second, once all workers have given some."""
    cuda = device.startswith("cuda")
    dtype, batch = (torch.float16, 256) if cuda else (torch.float32, 64)
    parts = tomllib.loads((folder / "model.toml").read_text())["networks"]
    networks = [plain_network(folder, part, dtype, device) for part in parts]
    loader = DataLoader(Again(slide, centres), batch_size=batch, num_workers=workers, pin_memory=cuda)
    part = parts[0]
    mean, std = (torch.tensor(part[k], device=device).view(1, 3, 1, 1) for k in ("mean", "std"))
    (crop,), size = part["crops"], part["resize"]
    start = (128 - crop) // 2
    begun, done, logits = 0.0, 0, []
    with torch.inference_mode():
        for i, patches in enumerate(loader):
            x = patches.to(device, non_blocking=True)
            x = x[:, :, start : start + crop, start : start + crop].float() / 255
            if size != crop:
                x = torch.nn.functional.interpolate(x, size=(size, size), mode=part["interpolation"])
            x = ((x - mean) / std).to(dtype=dtype, memory_format=torch.channels_last)
            logits.append(torch.stack([network(x)[:, 0] for network in networks]).mean(0).cpu())
            if i == workers:
                begun, done = time.perf_counter(), -len(patches)
            done += len(patches)
            if begun and time.perf_counter() - begun >= seconds:
                break
    return done / (time.perf_counter() - begun)
