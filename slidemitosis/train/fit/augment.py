"""Augment figures: the random steps of a recipe, which leave the label as it is, all from one seed.

A step is a function of one image, float32 (3, S, S) RGB in 0..1. Its constructor in `STEPS` has the
values of `AugmentStep` as keyword arguments, and says their units. A step is applied with its probability;
what it then does is drawn anew for every figure.
"""

from __future__ import annotations

import inspect
import io
import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import affine_grid, conv2d, grid_sample, pad
from torchvision.transforms import v2

from slidemitosis.errors import InvalidOption
from slidemitosis.models.colour import stain_jitter
from slidemitosis.toml_tables import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slidemitosis.train.recipe.recipe import AugmentStep

Step = Callable[[torch.Tensor], torch.Tensor]


class Augmentation:
    """The steps of a recipe, in their order; can be pickled for worker processes.

    Raises InvalidOption for an unknown step, an unknown, missing or impossible value, and a
    probability outside 0..1.
    """

    def __init__(self, steps: Sequence[AugmentStep]) -> None:
        self.steps = [(step.probability, _build(step)) for step in steps]

    def __call__(self, patch: torch.Tensor, seed: int) -> torch.Tensor:
        """Augment uint8 (3, S, S) RGB to float32 (3, S, S) in 0..1; `patch` is not written into.

        Every random number comes from `seed` (0 to 2**64 - 1), so that neither the order of the figures nor
        the process matters. torch's generator of the CPU is seeded for it and restored afterwards, which two
        threads of one process must not do at once.
        """
        x = patch.contiguous() / 255
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed: it seeds the accelerators too, and takes thirty times as long.
            torch.default_generator.manual_seed(_mixed(seed))
            for probability, step in self.steps:
                if _uniform(0, 1) < probability:
                    x = step(x)
        return x.clamp(0, 1).contiguous()


def _mixed(seed: int) -> int:
    """Return 32 bits from all 64 (Knuth's hash): torch seeds its CPU generator with the lowest 32 alone."""
    return (seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) >> 32


def _build(step: AugmentStep) -> Step:
    """Return the function of a recipe's step. Raises InvalidOption."""
    where = f"augment step {step.name!r}"
    if step.name not in STEPS:
        raise InvalidOption(f"unknown {where}{nearest(step.name, STEPS)}; known: {', '.join(STEPS)}")
    if not 0 <= step.probability <= 1:
        raise InvalidOption(f"{where}: probability must be from 0 to 1, not {step.probability}")
    known = inspect.signature(STEPS[step.name]).parameters
    listed = ", ".join(known) or "none"
    for key, value in step.values.items():
        if key not in known:
            raise InvalidOption(f"{where}: unknown value {key!r}{nearest(key, known)}; known: {listed}")
        if not isinstance(value, (int, float)):
            raise InvalidOption(f"{where}: {key} must be one number, not {value!r}")
    missing = [k for k, p in known.items() if p.default is p.empty and k not in step.values]
    if missing:
        raise InvalidOption(f"{where} lacks {', '.join(missing)}; its values: {listed}")
    try:
        return STEPS[step.name](**step.values)
    except ValueError as e:
        raise InvalidOption(f"{where}: {e}") from e


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _uniform(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))


def _below(n: int) -> int:
    """Draw one of 0 to n - 1, each equally often."""
    return int(torch.randint(n, ()))


def _flip(*, horizontal: float = 0.5, vertical: float = 0.5) -> v2.Transform:
    """Mirror left to right and top to bottom, each for this share of the figures."""
    return v2.Compose([v2.RandomHorizontalFlip(horizontal), v2.RandomVerticalFlip(vertical)])


def _transpose() -> Step:
    """Swap rows and columns."""
    return _transposed


def _transposed(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(1, 2)


def _dihedral() -> Step:
    """Turn by quarters and mirror: each of the eight views of a square equally often."""
    return _dihedral_view


def _dihedral_view(x: torch.Tensor) -> torch.Tensor:
    x = x.rot90(_below(4), (1, 2))
    return x.flip(2) if _below(2) else x


def _rotate(*, degrees: float) -> Step:
    """Turn about the centre by up to `degrees` either way; 180 for any angle."""
    return _affine(degrees=degrees)


def _affine(*, degrees: float = 0.0, scale: float = 0.0, shift: float = 0.0) -> Step:
    """Turn as `rotate`, magnify and move, in one bilinear resampling.

    `scale`: by 1 / (1 + scale) to 1 + scale, log-uniform. `shift`: px, along each axis, either way.
    Beyond its edges the patch is mirrored.
    """
    _check(min(degrees, scale, shift) >= 0, "degrees, scale and shift must not be negative")
    return partial(_warped, radians=math.radians(degrees), stretch=math.log1p(scale), shift=shift)


def _warped(x: torch.Tensor, *, radians: float, stretch: float, shift: float) -> torch.Tensor:
    # v2.RandomAffine can fill with a constant only.
    angle = _uniform(-radians, radians)
    size = math.exp(_uniform(-stretch, stretch))
    right, down = (2 * _uniform(-shift, shift) / x.shape[-1] for _ in "xy")
    cos, sin = math.cos(angle) * size, math.sin(angle) * size
    theta = torch.tensor([[[cos, -sin, right], [sin, cos, down]]])
    grid = affine_grid(theta, [1, *x.shape], align_corners=False)
    return grid_sample(x[None], grid, mode="bilinear", padding_mode="reflection", align_corners=False)[0]


def _resized_crop(
    *, scale_min: float, scale_max: float = 1.0, ratio_min: float = 3 / 4, ratio_max: float = 4 / 3
) -> Step:
    """Crop `scale_min` to `scale_max` of the area, width / height `ratio_min` to `ratio_max`; back to S."""
    _check(0 < scale_min <= scale_max <= 1, "scale_min and scale_max must be rising shares of the area")
    _check(0 < ratio_min <= ratio_max, "ratio_min must be above 0 and at most ratio_max")
    return partial(_cropped, scale=(scale_min, scale_max), ratio=(ratio_min, ratio_max))


def _cropped(x: torch.Tensor, *, scale: tuple[float, float], ratio: tuple[float, float]) -> torch.Tensor:
    resized: torch.Tensor = v2.RandomResizedCrop(x.shape[-1], scale=scale, ratio=ratio)(x)
    return resized


def _color_jitter(
    *, brightness: float = 0.0, contrast: float = 0.0, saturation: float = 0.0, hue: float = 0.0
) -> v2.Transform:
    """Multiply each by 1 - value to 1 + value, in random order; `hue` is turned, by up to 0.5 either way."""
    return v2.ColorJitter(brightness, contrast, saturation, hue)


def _brightness_contrast(*, brightness: float, contrast: float) -> v2.Transform:
    """Multiply both, as `color_jitter` does."""
    return v2.ColorJitter(brightness, contrast)


def _contrast(*, strength: float) -> v2.Transform:
    """Multiply the distance from the mean grey by 1 - strength to 1 + strength."""
    return v2.ColorJitter(contrast=strength)


def _stain(*, gain: float, offset: float, colour: float = 0.0) -> Step:
    """Scale and shift each stain's optical density by normal numbers of SD `gain` and `offset` (base e).

    `colour`: SD of what is added to the absorption vectors, (R, G, B) of length about 1, of haematoxylin and
    of eosin; see `colour.stain_jitter`.
    """
    _check(min(gain, offset, colour) >= 0, "gain, offset and colour must not be negative")
    return partial(_restained, gain=gain, offset=offset, colour=colour)


def _restained(x: torch.Tensor, *, gain: float, offset: float, colour: float) -> torch.Tensor:
    gains, offsets = gain * torch.randn(1, 3), offset * torch.randn(1, 3)
    turn = None
    if colour:
        turn = colour * torch.randn(1, 3, 3)
        turn[:, 2] = 0  # the residual, which is no dye
    return stain_jitter(x[None], gain=gains, offset=offsets, turn=turn)[0]


def _gaussian_noise(*, sigma_max: float) -> Step:
    """Add independent noise to every pixel and channel, of an SD from 0 to `sigma_max` (RGB in 0..1)."""
    _check(sigma_max >= 0, "sigma_max must not be negative")
    return partial(_noisy, sigma_max=sigma_max)


def _noisy(x: torch.Tensor, *, sigma_max: float) -> torch.Tensor:
    noisy: torch.Tensor = v2.functional.gaussian_noise(x, sigma=_uniform(0, sigma_max))
    return noisy


def _gaussian_blur(*, sigma_min: float, sigma_max: float) -> v2.Transform:
    """Blur with a sigma from `sigma_min` to `sigma_max` px."""
    return v2.GaussianBlur(2 * math.ceil(3 * sigma_max) + 1, sigma=(sigma_min, sigma_max))


def _blur(*, size: float) -> Step:
    """Blur by motion, median or box, over an odd number of px from 3 to `size`, each equally often."""
    _check(size >= 3 and size % 2 == 1, f"size must be an odd number of px from 3, not {size:g}")
    return partial(_blurred, size=int(size))


def _blurred(x: torch.Tensor, *, size: int) -> torch.Tensor:
    side = 3 + 2 * _below((size - 1) // 2)
    return (_motion_blur, _median_blur, _box_blur)[_below(3)](x, side)


def _motion_blur(x: torch.Tensor, side: int) -> torch.Tensor:
    """Average over a line of `side` px at any angle."""
    angle = _uniform(0, math.pi)
    at = torch.arange(side) - side // 2
    across = at[None, :] * math.sin(angle) - at[:, None] * math.cos(angle)
    along = torch.hypot(*torch.meshgrid(at.float(), at.float(), indexing="ij"))
    return _filtered(x, (1 - across.abs()).clamp(min=0) * (along <= side / 2))


def _box_blur(x: torch.Tensor, side: int) -> torch.Tensor:
    return _filtered(x, torch.ones(side, side))


def _filtered(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    kernels = (kernel / kernel.sum()).expand(3, 1, *kernel.shape)
    return conv2d(_mirrored(x, kernel.shape[-1]), kernels, groups=3)[0]


def _median_blur(x: torch.Tensor, side: int) -> torch.Tensor:
    windows = _mirrored(x, side)[0].unfold(1, side, 1).unfold(2, side, 1).reshape(*x.shape, -1)
    # numpy's partition: six times as fast as torch's median.
    middle = windows.shape[-1] // 2
    return torch.from_numpy(np.partition(windows.numpy(), middle, axis=-1)[..., middle])


def _mirrored(x: torch.Tensor, side: int) -> torch.Tensor:
    return pad(x[None], [side // 2] * 4, mode="reflect")


def _jpeg(*, quality_min: float, quality_max: float) -> Step:
    """Compress as JPEG with a quality from `quality_min` to `quality_max`, 1 to 100."""
    quality = (int(quality_min), int(quality_max))
    _check(quality == (quality_min, quality_max), "quality_min and quality_max must be whole numbers")
    _check(1 <= quality[0] <= quality[1] <= 100, "quality_min and quality_max must rise, within 1 to 100")
    return partial(_compressed, low=quality[0], high=quality[1])


def _compressed(x: torch.Tensor, *, low: int, high: int) -> torch.Tensor:
    # Not v2.JPEG: torchvision 0.29 announces that it will remove its JPEG coders.
    pixels = (x * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=low + _below(high - low + 1))
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) / 255


def _grid_dropout(*, ratio: float, unit: float) -> Step:
    """Blacken a square in every cell of a grid, cells of `unit` px, in all `ratio` of the area."""
    _check(0 <= ratio <= 1, "ratio must be a share of the area, from 0 to 1")
    _check(unit >= 2, "unit must be at least 2 px")
    return partial(_holed, hole=math.sqrt(ratio) * unit, unit=unit)


def _holed(x: torch.Tensor, *, hole: float, unit: float) -> torch.Tensor:
    down, right = ((torch.arange(s) + _uniform(0, unit)) % unit < hole for s in x.shape[1:])
    return x.masked_fill(down[:, None] & right, 0)


STEPS: dict[str, Callable[..., Step]] = {
    "flip": _flip,
    "transpose": _transpose,
    "dihedral": _dihedral,
    "rotate": _rotate,
    "affine": _affine,
    "resized_crop": _resized_crop,
    "color_jitter": _color_jitter,
    "brightness_contrast": _brightness_contrast,
    "contrast": _contrast,
    "stain": _stain,
    "gaussian_noise": _gaussian_noise,
    "gaussian_blur": _gaussian_blur,
    "blur": _blur,
    "jpeg": _jpeg,
    "grid_dropout": _grid_dropout,
}
"""Constructors of steps by name; their arguments are the step's values."""
