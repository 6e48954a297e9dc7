"""What one would write in an afternoon: OpenSlide, a DataLoader with two workers, timm.

python benchmarks/plain_script.py SLIDE POINTS MODEL_FOLDER OUT.csv

It reads a GeoJSON of polygons, cuts 128 px around each centre, and writes P(atypical) of a model of one
network, with one view: the probabilities of `slidemitosis classify`, without checks of any kind. The other
benchmarks measure by it.
"""

from __future__ import annotations

import csv
import json
import sys
import tomllib
from pathlib import Path

import numpy as np
import openslide
import safetensors.torch
import timm
import torch
from torch.utils.data import DataLoader, Dataset


class Patches(Dataset):
    def __init__(self, path, centres):
        self.path, self.centres, self.slide = path, centres, None

    def __len__(self):
        return len(self.centres)

    def __getitem__(self, i):
        if self.slide is None:
            self.slide = openslide.OpenSlide(self.path)
        x, y = self.centres[i]
        region = self.slide.read_region((int(x) - 64, int(y) - 64), 0, (128, 128)).convert("RGB")
        return torch.from_numpy(np.array(region)).permute(2, 0, 1)


def main():
    slide, points, folder, out = sys.argv[1:]
    card = tomllib.loads((Path(folder) / "model.toml").read_text())
    (part,) = card["networks"]
    width = sum(1 if h["kind"] == "sigmoid" else len(h["classes"]) for h in part["heads"])
    network = timm.create_model(part["architecture"], num_classes=width)
    state = safetensors.torch.load_file(Path(folder) / part["weights"])
    heads = {"head.weight": "classifier.weight", "head.bias": "classifier.bias"}
    network.load_state_dict({heads.get(k, k.removeprefix("backbone.")): v for k, v in state.items()})
    network.eval()
    features = json.loads(Path(points).read_text())["features"]
    centres = [np.mean(f["geometry"]["coordinates"][0][:-1], axis=0) for f in features]
    loader = DataLoader(Patches(slide, centres), batch_size=64, num_workers=2)
    mean, std = (torch.tensor(part[k]).view(1, 3, 1, 1) for k in ("mean", "std"))
    (crop,), size = part["crops"], part["resize"]
    start = (128 - crop) // 2
    logits = []
    with torch.inference_mode():
        for patches in loader:
            x = patches[:, :, start : start + crop, start : start + crop].float() / 255
            x = torch.nn.functional.interpolate(x, size=(size, size), mode=part["interpolation"])
            logits.append(network((x - mean) / std)[:, 0])
    d = card["decision"]
    logit = torch.cat(logits).double()
    log_odds = [np.log(d[k] / (1 - d[k])) for k in ("training_prior", "target_prior")]
    p = torch.sigmoid((logit - log_odds[0]) / d["temperature"] + log_odds[1])
    with Path(out).open("w", newline="") as f:
        csv.writer(f).writerows([(f"{q:.6f}",) for q in p.tolist()])


if __name__ == "__main__":
    main()
