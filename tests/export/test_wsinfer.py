"""A model for WSInfer and QuPath: its softmax is our P(atypical), in a folder that both programs read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from slidemitosis.cli import main
from slidemitosis.engines.choose import load_engine
from slidemitosis.errors import InvalidOption, OutputError
from slidemitosis.export import wsinfer
from slidemitosis.export.wsinfer import CLASSES, CONFIG, MODEL, README, SUMS, export_wsinfer
from slidemitosis.models.card import write_card
from slidemitosis.models.classifier import build_model, telling_patches
from slidemitosis.models.decision import DecisionPart
from slidemitosis.models.shipped import find_model
from slidemitosis.options import ComputeOptions
from tests.conftest import REPOSITORY, needs_shared
from tests.models.tiny import HEADS, drawn_patches, make_model

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from slidemitosis.models.card import ModelCard

# What `wsinfer run` does with a patch, in a process that knows nothing of us: the transforms of config.json
# by torchvision, the model, softmax. The QuPath extension does the same in Java.
AS_WSINFER = """
import json, sys, warnings
import numpy as np, torch
from PIL import Image
from torchvision import transforms
warnings.filterwarnings("ignore", category=FutureWarning)
folder, patches, out = sys.argv[1:]
config = json.load(open(f"{folder}/config.json"))
steps = [getattr(transforms, t["name"])(**t.get("arguments", {})) for t in config["transform"]]
model = torch.jit.load(f"{folder}/torchscript_model.pt", map_location="cpu").eval()
batch = torch.stack([transforms.Compose(steps)(Image.fromarray(p)) for p in np.load(patches)])
with torch.no_grad():
    np.save(out, torch.nn.functional.softmax(model(batch), dim=1).numpy())
assert "slidemitosis" not in sys.modules
"""


def as_wsinfer(folder: Path, patches: NDArray[np.uint8], scratch: Path) -> NDArray[np.float32]:
    """P(normal) and P(atypical) of each patch, (B, 2), by a new process that has only the folder."""
    np.save(scratch / "patches.npy", patches)
    words = [sys.executable, "-c", AS_WSINFER, folder, scratch / "patches.npy", scratch / "p.npy"]
    subprocess.run([str(w) for w in words], check=True, cwd=scratch, timeout=600)
    found: NDArray[np.float32] = np.load(scratch / "p.npy")
    return found


def ours(card: ModelCard, patches: NDArray[np.uint8]) -> NDArray[np.float64]:
    """P(atypical) as `classify` states it, by whichever engine the CPU gets."""
    with contextlib.closing(load_engine(card, ComputeOptions(device="cpu"))) as engine:
        return card.decision.probability(engine.submit(patches)().logit)


def softmax_of(folder: Path, x: torch.Tensor) -> NDArray[np.float32]:
    with pytest.warns(FutureWarning, match="deprecated"):
        model = torch.jit.load(folder / MODEL)  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        found: NDArray[np.float32] = model(x).softmax(1).numpy()
    return found


def unit(patches: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(patches).permute(0, 3, 1, 2).contiguous() / 255


@pytest.fixture(scope="module")
def patches() -> NDArray[np.uint8]:
    return np.concatenate([telling_patches(128), drawn_patches(6)])


@pytest.mark.parametrize("name", ["lite0", pytest.param("lite0-ensemble", marks=pytest.mark.slow)])
def test_a_new_process_gets_the_probabilities_of_classify(
    name: str, tmp_path: Path, patches: NDArray[np.uint8]
) -> None:
    card = find_model(name)
    written = export_wsinfer(card, tmp_path / name)
    found = as_wsinfer(written.folder, patches, tmp_path)
    np.testing.assert_allclose(found[:, 1], ours(card, patches), rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
    assert np.ptp(found[:, 1]) > 0.05
    assert written.difference < 1e-5


@pytest.mark.slow
def test_real_figures_get_the_probabilities_of_classify(tmp_path: Path) -> None:
    paths = sorted(needs_shared("data", "ami-br", "patches").glob("*/*.png"))[::200]
    figures = np.stack([np.asarray(Image.open(p).convert("RGB")) for p in paths])
    card = find_model("lite0")
    found = as_wsinfer(export_wsinfer(card, tmp_path / "m").folder, figures, tmp_path)
    want = ours(card, figures)
    np.testing.assert_allclose(found[:, 1], want, rtol=0, atol=1e-4)
    assert np.ptp(want) > 0.5


@pytest.mark.parametrize(
    "network",
    [
        {"heads": HEADS},
        {"crops": (64, 128), "resize": 48, "interpolation": "bicubic", "colours": ("rgb", "hed")},
        {"architecture": "test_vit", "resize": 160, "pooling": "class-and-mean"},
    ],
)
def test_calibration_crops_and_heads_are_in_the_model(
    tmp_path: Path, network: dict[str, Any], patches: NDArray[np.uint8]
) -> None:
    card = replace(
        make_model(tmp_path / "model", **network),
        decision=DecisionPart(training_prior=0.4, target_prior=0.1, temperature=1.7, threshold=0.05),
    )
    written = export_wsinfer(card, tmp_path / "out")
    logit = build_model(card)(torch.from_numpy(patches))[:, 0].numpy()
    for part in (slice(None), slice(3, 4)):  # other numbers of patches than were traced
        found = softmax_of(written.folder, unit(patches[part]))
        np.testing.assert_allclose(found[:, 1], card.decision.probability(logit[part]), rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelCard, Path]:
    folder = tmp_path_factory.mktemp("model")
    card = make_model(folder, heads=HEADS)
    return card, export_wsinfer(card, folder.parent / "out").folder


def test_a_patch_at_the_images_edge_which_qupath_leaves_larger_is_seen_in_its_middle(
    exported: tuple[ModelCard, Path], patches: NDArray[np.uint8]
) -> None:
    _, folder = exported
    x = unit(patches)
    larger = torch.nn.functional.pad(x, (5, 6, 5, 6), value=0.5)
    assert larger.shape[2] == 139  # 128 px at 0.25 um/px, asked of a slide at 0.23
    np.testing.assert_array_equal(softmax_of(folder, larger), softmax_of(folder, x))
    for wrong in (x[:, :, :127, :127], x[:, :2]):
        with pytest.raises(torch.jit.Error, match="patch_size_pixels"):
            softmax_of(folder, wrong)


def test_the_configuration_is_one_of_the_zoos_schema(exported: tuple[ModelCard, Path]) -> None:
    """Version 1.0: the keys that it requires, and the three transforms that it knows."""
    card, folder = exported
    config = json.loads((folder / CONFIG).read_text())
    assert set(config) == {
        *("spec_version", "architecture", "num_classes", "class_names"),
        *("patch_size_pixels", "spacing_um_px", "transform"),
    }
    assert config["spec_version"] == "1.0"
    assert config["num_classes"] == len(config["class_names"]) == len(set(config["class_names"])) == 2
    assert (config["patch_size_pixels"], config["spacing_um_px"]) == (card.patch.side, card.patch.mpp)
    assert [t["name"] for t in config["transform"]] == ["Resize", "ToTensor"]
    assert config["transform"][0]["arguments"] == {"size": card.patch.side}
    assert config["class_names"] == list(CLASSES)


def test_the_sums_are_those_of_the_files(exported: tuple[ModelCard, Path]) -> None:
    _, folder = exported
    lines = [line.split("  ") for line in (folder / SUMS).read_text().splitlines()]
    assert [name for _, name in lines] == [MODEL, CONFIG, README]
    for digest, name in lines:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert sorted(p.name for p in folder.iterdir()) == sorted((MODEL, CONFIG, README, SUMS))


def test_the_file_tells_no_path_and_names_no_device(exported: tuple[ModelCard, Path]) -> None:
    card, folder = exported
    data = (folder / MODEL).read_bytes()
    for path in (REPOSITORY, card.folder, sys.prefix):
        assert str(path).encode() not in data
    assert b"torch.device(" not in data  # it goes where the model is sent


def test_the_readme_says_whose_calls_the_classes_are(exported: tuple[ModelCard, Path]) -> None:
    card, folder = exported
    text = (folder / README).read_text()
    assert f"atypical from {card.decision.threshold:g} on" in text
    assert f">= {card.decision.threshold:g}\n" in text
    assert card.weights_sha256 in text
    assert hashlib.sha256((folder / MODEL).read_bytes()).hexdigest() in text
    assert "{" not in text.replace("findAll {", "").replace("each {", "").replace("count {", "")


def test_an_export_is_replaced_and_a_strangers_files_are_not(tmp_path: Path) -> None:
    card = make_model(tmp_path / "model")
    (card.folder / README).write_text("# mine")
    before = {p.name: p.read_bytes() for p in card.folder.iterdir()}
    with pytest.raises(OutputError, match=r"README\.md: is there already, and is not from `models export"):
        export_wsinfer(card, card.folder)
    assert {p.name: p.read_bytes() for p in card.folder.iterdir()} == before
    first = export_wsinfer(card, tmp_path / "out")
    other = replace(card, decision=replace(card.decision, temperature=2.0))
    assert export_wsinfer(other, tmp_path / "out").sha256 != first.sha256


def test_a_model_that_differs_from_torch_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = make_model(tmp_path / "model")
    other = build_model(replace(card, decision=replace(card.decision, temperature=1.1)))
    real = wsinfer._scripted
    monkeypatch.setattr(wsinfer, "_scripted", lambda _model: real(other))
    with pytest.raises(InvalidOption, match=r"differ by .* nothing was written"):
        export_wsinfer(card, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_exporting_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_card(make_model(tmp_path / "model"))
    monkeypatch.chdir(tmp_path)
    words = ["models", "export", str(tmp_path / "model"), "--format", "wsinfer"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "model-wsinfer" in out
    assert "slidemitosis atypical from P 0.3: see README.md" in out
    assert (tmp_path / "model-wsinfer" / MODEL).is_file()
    assert main([*words, "--out", "elsewhere"]) == 0
    assert (tmp_path / "elsewhere" / CONFIG).is_file()
    assert main([*words[:3], "--out", "elsewhere"]) == 2
    assert "elsewhere: is there already; choose another --out" in capsys.readouterr().err
    assert not (tmp_path / "model" / "graph.onnx").exists()
