"""From patches to logits: views, pieces that fit the memory, and the choice of a device."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import timm
import torch
from torch import nn

from slidemitosis.engines.torch_engine import (
    HALF,
    TorchEngine,
    choose_device,
    choose_precision,
    dihedral_views,
    halve_weights,
)
from slidemitosis.errors import InvalidOption, WeightsMismatch
from slidemitosis.models.classifier import Classifier
from tests.models.tiny import NETWORK, make_card

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def make_classifier(folder: Path, network: nn.Module) -> Classifier:
    """A classifier around any network; its weights are never read from a file."""
    card = make_card(folder, networks=(replace(NETWORK, resize=32),))
    return Classifier(card, [network]).eval()  # type: ignore[list-item]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    torch.manual_seed(1)
    network = timm.create_model("test_efficientnet", pretrained=False, num_classes=1)
    return make_classifier(tmp_path_factory.getbasetemp(), network)


@pytest.fixture(scope="module")
def patches() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (9, 128, 128, 3), np.uint8)


def engine(model: Classifier, *, piece: int = 8, views: int = 1) -> TorchEngine:
    return TorchEngine(model, piece=piece, views=views, precision="fp32")


def key(patch: torch.Tensor) -> bytes:
    return patch.numpy().tobytes()


def test_the_eight_views_differ_and_the_first_is_the_patch_itself(patches: NDArray[np.uint8]) -> None:
    patch = torch.from_numpy(patches[:1])
    views = [v.contiguous() for v in dihedral_views(patch, 8)]
    assert len({key(v) for v in views}) == len(views) == 8
    assert torch.equal(views[0], patch)
    assert [key(v.contiguous()) for v in dihedral_views(patch, 1)] == [key(patch)]


def test_the_views_of_any_view_are_the_same_eight(patches: NDArray[np.uint8]) -> None:
    patch = torch.from_numpy(patches[:1])
    orbit = {key(v.contiguous()) for v in dihedral_views(patch, 8)}
    for view in dihedral_views(patch, 8):
        assert {key(v.contiguous()) for v in dihedral_views(view, 8)} == orbit


def test_a_view_keeps_each_pixel_whole_and_each_patch_in_its_place() -> None:
    """Turning must move pixels within a patch: never channels, never patches of a batch."""
    batch = torch.randint(0, 256, (2, 4, 4, 3), dtype=torch.uint8)
    for view in dihedral_views(batch, 8):
        for before, after in zip(batch, view, strict=True):
            assert sorted(before.reshape(-1, 3).tolist()) == sorted(after.reshape(-1, 3).tolist())


@pytest.mark.parametrize("views", [0, 2, 4, 7, 9])
def test_another_number_of_views_is_refused(views: int) -> None:
    with pytest.raises(InvalidOption, match=f"1 or 8, not {views}"):
        list(dihedral_views(torch.zeros((1, 2, 2, 3)), views))


def test_eight_views_do_not_care_how_the_patch_was_turned(
    tiny: Classifier, patches: NDArray[np.uint8]
) -> None:
    plain = engine(tiny, views=8)(patches).logit
    for k in range(4):
        for turned in (np.rot90(patches, k, (1, 2)), np.rot90(patches, k, (1, 2))[:, :, ::-1]):
            assert np.allclose(engine(tiny, views=8)(np.ascontiguousarray(turned)).logit, plain, atol=1e-5)
    # The law would hold for a network that sees nothing, so this one must see a turn.
    turned = np.ascontiguousarray(np.rot90(patches, 1, (1, 2)))
    assert not np.allclose(engine(tiny)(turned).logit, engine(tiny)(patches).logit, atol=1e-4)


def test_eight_views_are_the_mean_of_the_logits_of_each(tiny: Classifier, patches: NDArray[np.uint8]) -> None:
    each = [engine(tiny)(v.numpy()).logit for v in dihedral_views(torch.from_numpy(patches), 8)]
    assert np.allclose(engine(tiny, views=8)(patches).logit, np.mean(each, axis=0), atol=1e-5)


@pytest.mark.parametrize("piece", [1, 7, 64])
@pytest.mark.parametrize("views", [1, 8])
def test_the_size_of_a_piece_does_not_change_a_logit(
    tiny: Classifier, patches: NDArray[np.uint8], piece: int, views: int
) -> None:
    with torch.inference_mode():
        one_by_one = np.array(
            [
                np.mean([tiny(v).item() for v in dihedral_views(torch.from_numpy(p[None]), views)])
                for p in patches
            ]
        )
    logits = engine(tiny, piece=piece, views=views)(patches).logit
    assert logits.dtype == np.float32
    assert np.allclose(logits, one_by_one, atol=1e-5)


def test_no_patches_give_no_logits(tiny: Classifier) -> None:
    assert engine(tiny)(np.empty((0, 128, 128, 3), np.uint8)).logit.shape == (0,)


class Cramped(nn.Module):
    """A network whose logit is the mean brightness, with memory for `limit` figures at once."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.limit = limit
        self.sizes: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(x))
        if len(x) > self.limit:
            raise torch.OutOfMemoryError(f"no memory for {len(x)}")
        return x.mean((1, 2, 3), keepdim=False)[:, None] * self.scale


def test_a_piece_that_does_not_fit_is_halved_and_stays_halved(
    tmp_path: Path, patches: NDArray[np.uint8]
) -> None:
    network = Cramped(4)
    sized = engine(make_classifier(tmp_path, network), piece=16)
    roomy = engine(make_classifier(tmp_path, Cramped(99)), piece=16)
    many = np.concatenate([patches, patches[::-1]])
    assert np.allclose(sized(many).logit, roomy(many).logit, atol=1e-6)
    assert sized.piece == 4
    assert max(network.sizes) == 16
    network.sizes.clear()
    sized(many)
    assert network.sizes == [4, 4, 4, 4, 2]


def test_no_patch_is_computed_again_after_a_halving(tmp_path: Path, patches: NDArray[np.uint8]) -> None:
    network = Cramped(8)
    sized = engine(make_classifier(tmp_path, network), piece=8)
    sized(patches[:8])
    network.limit = 3
    sized(patches)
    assert sum(n for n in network.sizes if n <= network.limit) == len(patches)


@pytest.mark.parametrize("piece", [1, 5])
def test_one_patch_that_does_not_fit_raises_the_error_of_torch(
    tmp_path: Path, patches: NDArray[np.uint8], piece: int
) -> None:
    sized = engine(make_classifier(tmp_path, Cramped(0)), piece=piece)
    with pytest.raises(torch.OutOfMemoryError, match="no memory for 1"):
        sized(patches)


def test_other_errors_of_a_network_are_not_taken_for_a_lack_of_memory(
    tmp_path: Path, patches: NDArray[np.uint8]
) -> None:
    class Broken(Cramped):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("broken")

    sized = engine(make_classifier(tmp_path, Broken(9)))
    with pytest.raises(RuntimeError, match="broken"):
        sized(patches)
    assert sized.piece == 8


def test_nothing_is_kept_for_gradients(tmp_path: Path, patches: NDArray[np.uint8]) -> None:
    seen: list[bool] = []

    class Watching(Cramped):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(torch.is_grad_enabled())
            return super().forward(x)

    engine(make_classifier(tmp_path, Watching(9)))(patches)
    assert seen == [False, False]


def test_the_cpu_can_always_be_chosen() -> None:
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") in {"cpu", "cuda", "mps"}


@pytest.mark.parametrize(
    "name", ["gpu", "", "cpu:0", "cuda:-1", "cuda:x", "cuda:", "cuda:99", "cuda:\u00b2", "CUDA"]
)
def test_a_device_that_is_not_there_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(InvalidOption, match=f"^device {name!r}") as caught:
        choose_device(name)
    assert "\n" not in str(caught.value)
    assert "use " in str(caught.value)


@pytest.mark.parametrize(
    ("name", "device", "chosen"),
    [
        ("auto", "cpu", "fp32"),
        ("auto", "mps", "fp32"),
        ("auto", "cuda", "fp16"),
        ("auto", "cuda:1", "fp16"),
        ("fp32", "cuda", "fp32"),
        ("bf16", "cuda", "bf16"),
        ("fp32", "cpu", "fp32"),
    ],
)
def test_half_precision_is_for_gpus(name: str, device: str, chosen: str) -> None:
    assert choose_precision(name, device) == chosen


@pytest.mark.parametrize(
    ("name", "device"), [("fp16", "cpu"), ("bf16", "cpu"), ("fp64", "cuda"), ("half", "cpu"), ("", "cpu")]
)
def test_a_precision_that_cannot_be_is_refused_in_one_line(name: str, device: str) -> None:
    with pytest.raises(InvalidOption, match=f"^precision {name!r} .*; use ") as caught:
        choose_precision(name, device)
    assert "\n" not in str(caught.value)


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.cuda
@needs_cuda
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_a_gpu_gives_the_logits_of_the_cpu(
    tiny: Classifier, patches: NDArray[np.uint8], precision: Any
) -> None:
    plain = engine(tiny)(patches).logit
    try:
        found = TorchEngine(tiny.to("cuda"), piece=4, views=1, precision=precision)(patches).logit
    finally:
        tiny.to("cpu")
    assert np.allclose(found, plain, atol=1e-3 if precision == "fp32" else 0.1)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on the CPU")
@pytest.mark.filterwarnings("ignore")  # of torch's own code
def test_a_compiled_network_gives_the_same_outputs(tiny: Classifier, patches: NDArray[np.uint8]) -> None:
    """Also for a last piece of another size."""
    compiled = TorchEngine(tiny, piece=4, views=1, precision="fp32", compiled=True)
    np.testing.assert_allclose(compiled(patches).logit, engine(tiny)(patches).logit, atol=1e-4)
    assert compiled._run is not tiny


class OneRow(nn.Module):
    """Gives one row for all patches, as a network does that means over the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * x.mean((0, 2, 3))[None, :1]


@pytest.mark.parametrize("views", [1, 8])
def test_outputs_of_another_shape_are_never_broadcast(
    tmp_path: Path, patches: NDArray[np.uint8], views: int
) -> None:
    one_row = engine(make_classifier(tmp_path, OneRow()), views=views)
    with pytest.raises(WeightsMismatch, match=r"networks give \(1, 1\), where the card needs \(8, 1\)"):
        one_row(patches)


@pytest.mark.cuda
@needs_cuda
def test_the_outputs_of_a_batch_do_not_wait_for_what_is_queued_after_it(
    tiny: Classifier, patches: NDArray[np.uint8]
) -> None:
    """Else the card would have nothing to do while the outputs are made into predictions."""
    try:
        found = TorchEngine(tiny.to("cuda"), piece=16, views=1, precision="fp32")
        found(patches)
        outputs = found.submit(patches)
        torch.cuda._sleep(4_000_000_000)  # type: ignore[no-untyped-call]  # cycles: about two seconds
        outputs()
        still = not torch.cuda.current_stream().query()
        torch.cuda.synchronize()
    finally:
        tiny.to("cpu")
    assert still


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_weights_that_are_halved_once_give_what_autocast_gives(precision: Any) -> None:
    """Autocast rounds the same weights at every batch; it does so on the CPU as on a GPU."""
    torch.manual_seed(0)
    network = timm.create_model("test_convnext2", pretrained=False, num_classes=2).eval()
    x = torch.rand(2, 3, 64, 64)
    with torch.inference_mode(), torch.autocast("cpu", dtype=HALF[precision]):
        wanted = network(x)
        halve_weights(network, precision)
        assert torch.equal(network(x), wanted)
    kinds = {type(m): next(m.parameters()).dtype for m in network.modules() if [*m.parameters(recurse=False)]}
    assert kinds[nn.Conv2d] == kinds[nn.Linear] == HALF[precision]
    assert torch.float32 in kinds.values()
