"""Steps that change colours: of stains, of the picture as a whole, noise, and JPEG."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch
from torchvision.transforms import v2

from slidemitosis.models.colour import stain_jitter
from slidemitosis.train.fit.augment.jpeg import through_jpeg
from slidemitosis.train.fit.augment.step import Step, below, by_kind, check, numbers, uniform

if TYPE_CHECKING:
    from collections.abc import Callable

    Drawn = dict[str, object]


def color_jitter(
    *, brightness: float = 0.0, contrast: float = 0.0, saturation: float = 0.0, hue: float = 0.0
) -> Step:
    """Multiply each by 1 - value to 1 + value, in random order; `hue` is turned, by up to 0.5 either way."""
    return Step(
        partial(_draw_jitter, jitter=v2.ColorJitter(brightness, contrast, saturation, hue)), _jittered
    )


def brightness_contrast(*, brightness: float, contrast: float) -> Step:
    """Multiply both, as `color_jitter` does."""
    return color_jitter(brightness=brightness, contrast=contrast)


def contrast(*, strength: float) -> Step:
    """Multiply the distance from the mean grey by 1 - strength to 1 + strength."""
    return color_jitter(contrast=strength)


class _Jitter(NamedTuple):
    """The order of four changes, and how far each goes; None: not at all."""

    order: tuple[int, ...]
    factors: tuple[float | None, ...]


def _draw_jitter(_: int, *, jitter: v2.ColorJitter) -> _Jitter:
    drawn = jitter.make_params([])
    names = ("brightness_factor", "contrast_factor", "saturation_factor", "hue_factor")
    return _Jitter(tuple(drawn["fn_idx"].tolist()), tuple(drawn[name] for name in names))


def _jittered(x: torch.Tensor, drawn: list[_Jitter]) -> torch.Tensor:
    """Do the changes in each figure's order: of all figures the first, then of all the second, and so on."""

    def change(kind: int, rows: list[int], part: torch.Tensor) -> torch.Tensor:
        return _CHANGES[kind](part, numbers([drawn[i].factors[kind] for i in rows], x))

    for turn in range(len(_CHANGES)):
        kinds = [d.order[turn] for d in drawn]
        x = by_kind(
            x, [k if d.factors[k] is not None else None for k, d in zip(kinds, drawn, strict=True)], change
        )
    return x


def _brighter(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    return x.mul_(factor).clamp_(0, 1)


def _blended(x: torch.Tensor, other: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    return x.mul_(factor).add_(other * (1 - factor)).clamp_(0, 1)


def _grey(x: torch.Tensor) -> torch.Tensor:
    """Return the brightness, (B, 1, S, S), with torchvision's weights (ITU-R BT.601)."""
    r, g, b = x.unbind(1)
    return (r * 0.2989).add_(g, alpha=0.587).add_(b, alpha=0.114)[:, None]


def _with_contrast(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    return _blended(x, _grey(x).mean(dim=(1, 2, 3), keepdim=True), factor)


def _saturated(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    return _blended(x, _grey(x), factor)


def _with_hue(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Turn the hue by a share of a whole turn, in HSV; torchvision's `adjust_hue` in a third of the time.

    With L the smallest of R, G, B, C their range, and a hue H from 0 to 6, the turned R, G, B are L + C times
    |H - 3| - 1, 2 - |H - 2| and 2 - |H - 4|, each clipped to 0..1: the usual conversion back from HSV without
    its six cases.
    """
    value, lowest = x.amax(1), x.amin(1)  # aminmax takes ten times as long
    extent = value - lowest
    r, g, b = x.unbind(1)
    # The three cases as factors of 0 and 1, which takes less time than to choose.
    is_r = torch.eq(value, r, out=torch.empty_like(value))
    is_g = torch.eq(value, g, out=torch.empty_like(value)).mul_(1 - is_r)
    hue = (g - b).mul_(is_r)
    hue.add_((b - r).add_(extent, alpha=2).mul_(is_g))
    hue.add_((r - g).add_(extent, alpha=4).mul_(is_r.add_(is_g).neg_().add_(1)))
    hue.div_(extent.clamp(min=torch.finfo(x.dtype).tiny)).add_(6 * factor[:, 0])
    hue.sub_((hue * (1 / 6)).floor_(), alpha=6)
    for channel, at in enumerate((3, 2, 4)):
        share = (hue - at).abs_()
        share = share.sub_(1) if channel == 0 else share.neg_().add_(2)
        torch.addcmul(lowest, extent, share.clamp_(0, 1), out=x[:, channel])
    return x


_CHANGES: tuple[Callable[[torch.Tensor, torch.Tensor], torch.Tensor], ...] = (
    _brighter,
    _with_contrast,
    _saturated,
    _with_hue,
)
"""In torchvision's order of ColorJitter."""


def stain(*, gain: float, offset: float, colour: float = 0.0) -> Step:
    """Scale and shift each stain's optical density by normal numbers of SD `gain` and `offset` (base e).

    `colour`: SD of what is added to the absorption vectors, (R, G, B) of length about 1, of haematoxylin and
    of eosin; see `colour.stain_jitter`.
    """
    check(min(gain, offset, colour) >= 0, "gain, offset and colour must not be negative")
    return Step(partial(_draw_stain, gain=gain, offset=offset, colour=colour), _restained)


class _Stain(NamedTuple):
    gain: torch.Tensor  # (1, 3)
    offset: torch.Tensor  # (1, 3)
    turn: torch.Tensor | None  # (1, 3, 3)


def _draw_stain(_: int, *, gain: float, offset: float, colour: float) -> _Stain:
    gains, offsets = gain * torch.randn(1, 3), offset * torch.randn(1, 3)
    turn = None
    if colour:
        turn = colour * torch.randn(1, 3, 3)
        turn[:, 2] = 0  # the residual, which is no dye
    return _Stain(gains, offsets, turn)


def _restained(x: torch.Tensor, drawn: list[_Stain]) -> torch.Tensor:
    gain, offset = (torch.cat([getattr(d, name) for d in drawn]).to(x) for name in ("gain", "offset"))
    turns = [d.turn for d in drawn if d.turn is not None]
    return stain_jitter(x, gain=gain, offset=offset, turn=torch.cat(turns).to(x) if turns else None)


def gaussian_noise(*, sigma_max: float) -> Step:
    """Add independent noise to every pixel and channel, of an SD from 0 to `sigma_max` (RGB in 0..1)."""
    check(sigma_max >= 0, "sigma_max must not be negative")
    return Step(partial(_draw_noise, sigma_max=sigma_max), _noisy)


def _draw_noise(side: int, *, sigma_max: float) -> torch.Tensor:
    """Draw what is added, (3, S, S)."""
    sigma = uniform(0, sigma_max)
    return torch.randn(3, side, side).mul_(sigma)


def _noisy(x: torch.Tensor, drawn: list[torch.Tensor]) -> torch.Tensor:
    return x.add_(torch.stack(drawn).to(x)).clamp_(0, 1)


def jpeg(*, quality_min: float, quality_max: float) -> Step:
    """Compress as JPEG with a quality from `quality_min` to `quality_max`, 1 to 100."""
    quality = (int(quality_min), int(quality_max))
    check(quality == (quality_min, quality_max), "quality_min and quality_max must be whole numbers")
    check(1 <= quality[0] <= quality[1] <= 100, "quality_min and quality_max must rise, within 1 to 100")
    return Step(partial(_draw_quality, low=quality[0], high=quality[1]), through_jpeg)


def _draw_quality(_: int, *, low: int, high: int) -> int:
    return low + below(high - low + 1)
