"""Place the windows of pixels that are read for patches, and order them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from slidemitosis.slides.tiles import CACHE_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from slidemitosis.geometry import Bounds, Level, PixelSize

Resampling = Literal["none", "resampled", "downsampled", "upsampled"]
# Scanners that are called 40x differ by this share; within it figures are as large as those trained on.
_ALIKE = 0.1


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """How every patch of one slide is read: from which level and at which scale."""

    level: int
    downsample: float
    """Side of a pixel of the level, level-0 px."""
    scale_x: float
    """Side of a pixel of the patch, level px."""
    scale_y: float
    patch: int
    """Side of a patch, patch px."""

    @property
    def exact(self) -> bool:
        """Whether the level's pixels are taken as they are.

        Resampling by less than half a pixel over the whole patch would only blur it.
        """
        return max(abs(self.scale_x - 1), abs(self.scale_y - 1)) * self.patch < 0.5

    @property
    def resampling(self) -> Resampling:
        """What happens to the level's pixels; "resampled": by less than a tenth, up or down."""
        if self.exact:
            return "none"
        if min(self.scale_x, self.scale_y) < 1 - _ALIKE:
            return "upsampled"
        return "downsampled" if max(self.scale_x, self.scale_y) > 1 + _ALIKE else "resampled"


@dataclass(frozen=True, slots=True)
class Window:
    """The pixels that are read for one patch: whole pixels of one level, and what part of them is the patch.

    A window may hang over the level's edges.
    """

    level: int
    x: int  # level px, left edge of what is read
    y: int  # level px, top edge of what is read
    width: int  # level px
    height: int  # level px
    box: tuple[float, float, float, float] | None
    """Left, top, right, bottom of the patch, in level px from (x, y); None where it is all that is read,
    pixel by pixel."""


def plan_reading(levels: Sequence[Level], mpp: PixelSize, *, model_mpp: float, patch: int) -> ReadPlan:
    """Choose the coarsest level that is not coarser than the model's pixels, else level 0."""
    slack = 1 + 0.5 / patch  # a level this little coarser is still read as it is, see ReadPlan.exact
    best = 0
    for i, level in enumerate(levels):
        fits = max(mpp.x, mpp.y) * level.downsample <= model_mpp * slack
        if fits and level.downsample > levels[best].downsample:
            best = i
    downsample = levels[best].downsample
    return ReadPlan(
        best, downsample, model_mpp / (mpp.x * downsample), model_mpp / (mpp.y * downsample), patch
    )


# Pillow's bicubic filter reaches two output pixels to either side of a centre.
_FILTER_REACH = 2


def place_window(x: float, y: float, plan: ReadPlan) -> Window:
    """Return the window of the patch centred on (x, y), level-0 px.

    Where level pixels are taken as they are, the patch starts at the pixel boundary nearest to half
    a patch left of and above the centre; otherwise it is placed exactly.
    """
    centre_x, centre_y = x / plan.downsample, y / plan.downsample
    if plan.exact:
        half = plan.patch / 2
        left, top = math.floor(centre_x - half + 0.5), math.floor(centre_y - half + 0.5)
        return Window(plan.level, left, top, plan.patch, plan.patch, None)
    x0, width, left_in, right_in = _span(centre_x, plan.patch, plan.scale_x)
    y0, height, top_in, bottom_in = _span(centre_y, plan.patch, plan.scale_y)
    return Window(plan.level, x0, y0, width, height, (left_in, top_in, right_in, bottom_in))


def _span(centre: float, patch: int, scale: float) -> tuple[int, int, float, float]:
    """Return first px, number of px, and start and end of the patch among them, with room for the filter."""
    start = centre - patch * scale / 2
    reach = _FILTER_REACH * max(scale, 1.0)
    first = math.floor(start - reach)
    last = math.ceil(start + patch * scale + reach)
    return first, last - first, start - first, start - first + patch * scale


def padding_share(window: Window, area: Bounds, downsample: float) -> float:
    """Return the share of the patch, 0..1, that lies beyond `area`, which is where the slide has pixels."""
    left, top, right, bottom = window.box or (0, 0, window.width, window.height)
    x0, y0 = area.x / downsample, area.y / downsample
    x1, y1 = (area.x + area.width) / downsample, (area.y + area.height) / downsample
    inside_x = max(0.0, min(window.x + right, x1) - max(window.x + left, x0))
    inside_y = max(0.0, min(window.y + bottom, y1) - max(window.y + top, y0))
    return 1 - inside_x * inside_y / ((right - left) * (bottom - top))


def reading_order(windows: Sequence[Window], tile: tuple[int, int]) -> NDArray[np.int64]:
    """Order the windows, (N,), so that a reader with a cache of tiles decodes each tile once.

    The order goes by the tile of a window's top left corner: strip by strip, within a strip column of tiles
    by column, within a column from top to bottom. A strip has so many rows of tiles that a few of its columns
    fit into the cache. Tiles of the next column that a window reaches into are then still there when that
    column's turn comes, and only tiles between two strips are decoded twice.
    """
    if not windows:
        return np.empty(0, np.int64)
    # Windows beyond the left or upper edge share the first tiles.
    at = np.array([(max(w.y, 0), max(w.x, 0)) for w in windows], dtype=np.int64)
    tiles = at // np.array([tile[1], tile[0]])
    strips = tiles[:, 0] // _strip_rows(tile)
    keys = (at[:, 1], at[:, 0], tiles[:, 0], tiles[:, 1], strips)
    return np.lexsort(keys).astype(np.int64)


def _strip_rows(tile: tuple[int, int]) -> int:
    """Return the rows of tiles of a strip: three columns of them, with two rows more, fit into the cache.

    Three, since tiles need not lie where `tile` says: those of a slide with bounds begin at the bounds.
    """
    fit = CACHE_BYTES // (3 * 3 * tile[0] * tile[1]) - 2
    return min(max(fit, 1), 64)
