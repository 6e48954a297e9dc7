"""Export a model as a folder that WSInfer and its QuPath extension run, the latter without Python.

The folder has the layout of their models: `config.json` (version 1.0 of wsinfer-zoo's schema) beside
`torchscript_model.pt`. Both programs cut a patch, resize it to the size in `config.json`, divide by 255 and
take the softmax of the model's output. The exported model therefore gives log-probabilities, since their
softmax is the probabilities: P(normal) and P(atypical) as `decision.DecisionPart` states them.
"""

from __future__ import annotations

import json
import warnings
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn.functional import logsigmoid

from slidemitosis.errors import InvalidOption, OutputError
from slidemitosis.export.wsinfer_readme import MADE_BY, wsinfer_readme
from slidemitosis.files import staged_folder, write_text
from slidemitosis.models.classifier import build_model, telling_patches
from slidemitosis.models.decision import log_odds
from slidemitosis.models.files import file_sha256

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from slidemitosis.models.card import ModelCard
    from slidemitosis.models.classifier import Classifier
    from slidemitosis.models.decision import DecisionPart

MODEL, CONFIG, SUMS, README = "torchscript_model.pt", "config.json", "SHA256SUMS", "README.md"
CLASSES = ("Normal", "Atypical")
"""Not the names in `outputs.objects`, since this call ignores the threshold: it is the likelier class."""
_DEPRECATED = r".?torch\.jit\."  # TorchScript is deprecated from torch 2.10 on, but WSInfer reads it
MOST_DIFFERENCE = 1e-5
"""Largest allowed difference between P(atypical) of the written file and torch's; measured are 1 % of it."""


@dataclass(frozen=True, slots=True)
class WsinferFolder:
    """A folder that was written."""

    folder: Path
    sha256: str
    """SHA-256 of the model file, hexadecimal."""
    difference: float
    """Largest difference from torch's P(atypical), on patches of noise and of smooth colours."""


def export_wsinfer(card: ModelCard, out: Path) -> WsinferFolder:
    """Write model, configuration, README and SHA-256 sums into the folder `out`, all of them or none.

    Raises InvalidOption if the model cannot be written as TorchScript or differs from torch by more than
    1e-5; OutputError if `out` cannot be written, or holds such files that are not from this function.
    """
    _check_target(out)
    model = build_model(card)
    with staged_folder(out, last=CONFIG) as stage:
        (stage / "whole").mkdir()  # torch names entries inside the file after the file
        _write_scripted(_scripted(model), stage / MODEL, work=stage / "whole" / MODEL)
        difference = _difference(model, stage / MODEL)
        write_text(stage / CONFIG, json.dumps(wsinfer_config(card), indent=2) + "\n")
        sha256 = file_sha256(stage / MODEL)
        write_text(stage / README, wsinfer_readme(card, classes=CLASSES, sha256=sha256))
        sums = ((file_sha256(stage / name), name) for name in (MODEL, CONFIG, README))
        write_text(stage / SUMS, "".join(f"{digest}  {name}\n" for digest, name in sums))
    return WsinferFolder(out, sha256, difference)


def wsinfer_config(card: ModelCard) -> dict[str, object]:
    """Return the content of `config.json`, by wsinfer-zoo's schemas/model-config.schema.json, version 1.0.

    The model itself normalises, since the networks of an ensemble may do so differently.
    """
    return {
        "spec_version": "1.0",
        "architecture": "+".join(dict.fromkeys(n.architecture for n in card.networks)),
        "num_classes": len(CLASSES),
        "class_names": list(CLASSES),
        "patch_size_pixels": card.patch.side,
        "spacing_um_px": card.patch.mpp,
        "transform": [{"name": "Resize", "arguments": {"size": card.patch.side}}, {"name": "ToTensor"}],
    }


class _LogProbabilities(nn.Module):
    """Gives log P(normal), log P(atypical), float32 (B, 2), of RGB in 0..1, float32 (B, 3, side, side)."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model
        d: DecisionPart = model.card.decision
        self.scale = 1 / d.temperature
        self.shift = log_odds(d.target_prior) - log_odds(d.training_prior) / d.temperature

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.model.of_unit(x) * self.scale + self.shift
        return torch.stack([logsigmoid(-z), logsigmoid(z)], dim=1)


class _CentredPatch(nn.Module):
    """Crops an image that is larger than the patch to its middle.

    The QuPath extension does not resize a patch that hangs over the image's edge: if the slide was not
    scanned at the model's um/px, such a patch is larger than asked for, with the figure in its middle.
    """

    def __init__(self, model: Callable[[torch.Tensor], torch.Tensor], side: int) -> None:
        super().__init__()
        self.model = model
        self.side = side

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        height, width = x.size(2), x.size(3)
        if height < self.side or width < self.side or x.size(1) != 3:
            raise ValueError(
                "slidemitosis: the patch is smaller than patch_size_pixels in config.json, or not RGB"
            )
        top, left = (height - self.side) // 2, (width - self.side) // 2
        return self.model(x[:, :, top : top + self.side, left : left + self.side])


def _scripted(model: Classifier) -> torch.jit.ScriptModule:
    side = model.card.patch.side
    example = torch.from_numpy(telling_patches(side)[:2]).permute(0, 3, 1, 2) / 255
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.filterwarnings("ignore", message=_DEPRECATED, category=FutureWarning)
        # The tracer warns of what it takes for constant; `_difference` tests another number of patches.
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
        try:
            traced = torch.jit.trace(  # type: ignore[no-untyped-call]
                _LogProbabilities(model).eval(), (example,), check_trace=False
            )
        except RuntimeError as e:
            reason = " ".join(str(e).split())[:200]
            raise InvalidOption(f"this model cannot be written as TorchScript: {reason}") from e
        return torch.jit.script(_CentredPatch(traced, side).eval())


def _write_scripted(scripted: torch.jit.ScriptModule, target: Path, *, work: Path) -> None:
    """Write TorchScript without its debugging entries, which contain paths of this machine."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_DEPRECATED, category=FutureWarning)
        torch.jit.save(scripted, work)
    with zipfile.ZipFile(work) as whole, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as bare:
        for entry in whole.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                bare.writestr(zipfile.ZipInfo(entry.filename), whole.read(entry))


def _check_target(out: Path) -> None:
    """Raise OutputError if another file would be replaced, such as a model's own README."""
    there = [out / name for name in (MODEL, CONFIG, SUMS, README) if (out / name).exists()]
    if not there:
        return
    try:
        ours = (out / README).read_text(encoding="utf-8").startswith(MADE_BY)
    except (OSError, UnicodeDecodeError):
        ours = False
    if not ours:
        raise OutputError(
            f"{there[0]}: is there already, and is not from `models export --format wsinfer`; "
            "choose another --out"
        )


def _difference(model: Classifier, path: Path) -> float:
    """Return the largest difference of the written file's P(atypical), as WSInfer computes it, from torch's.

    Raises InvalidOption if it is above `MOST_DIFFERENCE`.
    """
    patches = telling_patches(model.card.patch.side)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.filterwarnings("ignore", message=_DEPRECATED, category=FutureWarning)
        written = torch.jit.load(path)  # type: ignore[no-untyped-call]
        outputs = written((torch.from_numpy(patches).permute(0, 3, 1, 2) / 255).contiguous())
        want = model.card.decision.probability(model(torch.from_numpy(patches))[:, 0].numpy())
    difference = float(np.abs(outputs.softmax(1)[:, 1].double().numpy() - want).max())
    # Not "greater than", which is false for NaN.
    if not difference <= MOST_DIFFERENCE:
        raise InvalidOption(
            f"{model.card.folder}: as TorchScript its probabilities differ by {difference:.1e} from torch's, "
            "so nothing was written"
        )
    return difference
