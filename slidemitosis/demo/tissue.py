"""Draw phantoms: small H&E-like slides with known mitotic figures, for the demo and the tests.

Nothing in a phantom comes from a patient: tissue, nuclei and figures are noise and geometry. The
densities of haematoxylin and of eosin are drawn, and become colours by stain vectors in the manner of
Ruifrok and Johnston (2001). A phantom tests whether files, frames and pixels are handled correctly; it is
not suited to train or to judge a classifier.

Frames: positions are level-0 px, continuous, so that pixel (row 0, column 0) covers 0..1 and its
middle is (0.5, 0.5). Sizes of biological things are um.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from slidemitosis.demo.chromatin import rods
from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Sequence

Plane = NDArray[np.floating[Any]]  # float32 where it is as large as the slide
Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]
Offsets = NDArray[np.complexfloating[Any, Any]]  # dx + i dy

# Kinds are drawn in turn: one that is listed twice is drawn twice as often.
NORMAL_KINDS = ("metaphase", "metaphase", "metaphase", "anaphase", "prometaphase", "prometaphase")
ATYPICAL_KINDS = ("multipolar", "bridge", "lagging", "ring", "asymmetric")

FIGURE_SPACING = 24.0  # um, least distance between the centres of two figures
_REACH = 12.0  # um, largest distance of a cell's edge from its figure's centre
_HAEMATOXYLIN = (0.620, 0.700, 0.350)  # density in red, green, blue of one unit of stain
_EOSIN = (0.130, 0.840, 0.420)
_GLASS = (244.0, 243.0, 244.0)  # RGB where nothing absorbs


@dataclass(frozen=True, slots=True)
class Figure:
    """One drawn mitotic figure."""

    x: float  # centre, level-0 px
    y: float  # centre, level-0 px
    kind: str  # one of NORMAL_KINDS or ATYPICAL_KINDS

    @property
    def atypical(self) -> bool:
        """Whether the figure is an atypical one."""
        return self.kind in ATYPICAL_KINDS


@dataclass(frozen=True, slots=True)
class Phantom:
    """A drawn slide and its figures."""

    pixels: Pixels  # (H, W, 3) RGB, level 0
    figures: tuple[Figure, ...]
    mpp: float  # um/px


@dataclass(frozen=True, slots=True)
class _Ground:
    """Map of the tissue, on a grid with one point per `step` px."""

    width: int  # level-0 px
    height: int  # level-0 px
    step: int  # level-0 px between points
    pitch: float  # um between points
    tissue: Plane  # 0 glass, 1 tissue
    stroma: Plane  # 0 tumour cells, 1 fibres
    course: Plane  # fibres and their nuclei follow the level lines of this field


@dataclass(frozen=True, slots=True)
class _Nucleus:
    """One interphase nucleus: an ellipse."""

    x: float  # centre, level-0 px
    y: float  # centre, level-0 px
    long: float  # semi-axis, um
    short: float  # semi-axis, um
    angle: float  # of the long axis, radians
    dark: float  # 0 vesicular, 1 dense


@dataclass(frozen=True, slots=True)
class _Canvas:
    """The two planes that are painted on, each (H, W), and the means to paint."""

    haem: Plane
    eosin: Plane
    chromatin: Plane  # a texture to cut pieces from
    mpp: float  # um/px
    rng: np.random.Generator


def draw_phantom(
    *,
    width: int = 4096,
    height: int = 3072,
    figures: int = 40,
    atypical: float = 0.25,
    mpp: float = 0.25,
    seed: int = 0,
) -> Phantom:
    """Draw a slide of width x height px with a number of figures; `atypical` is the share of atypical ones.

    The same arguments give the same pixels. The number of atypical figures is figures * atypical, rounded.
    Raises InvalidOption if an argument cannot be used or the figures do not fit on the tissue.
    """
    size = f"{width} x {height} px"
    checks = (
        (min(width, height) >= 64, f"{size} is too small for a phantom; give 64 or more a side"),
        (figures >= 0, f"{figures} figures cannot be drawn; give 0 or more"),
        (0 <= atypical <= 1, f"atypical is {atypical}; give a share from 0 to 1"),
        (0.1 <= mpp <= 1, f"mpp is {mpp} um/px; a phantom can be drawn at 0.1 to 1"),
    )
    for met, message in checks:
        if not met:
            raise InvalidOption(message)
    rng = np.random.default_rng(seed)
    ground = _lay_ground(rng, width, height, mpp)
    placed = _place_figures(rng, ground, figures, round(figures * atypical))
    nuclei = _place_nuclei(rng, ground, placed)
    seeds = [(f.x, f.y, 4.0) for f in placed] + [(n.x, n.y, 0.0) for n in nuclei]
    haem, eosin = _paint_ground(rng, ground, seeds)
    texture = 0.8 * _noise(rng, (512, 512), 1.3 / mpp) + 0.35 * _noise(rng, (512, 512), 0.6 / mpp)
    canvas = _Canvas(haem, eosin, texture, mpp, rng)
    for nucleus in nuclei:
        _paint_nucleus(canvas, nucleus)
    for figure in placed:
        _paint_figure(canvas, figure)
    return Phantom(_colour(rng, haem, eosin), placed, mpp)


def _noise(rng: np.random.Generator, shape: tuple[int, ...], cell: float) -> Plane:
    """Return smooth noise of this shape, float32, of about unit variance, with features of `cell` points."""
    coarse = rng.standard_normal([math.ceil(n / cell) + 4 for n in shape], dtype=np.float32)
    left, top = rng.uniform(1, 2, 2).tolist()
    box = (left, top, left + shape[1] / cell, top + shape[0] / cell)
    fine = Image.fromarray(coarse).resize((shape[1], shape[0]), Image.Resampling.BICUBIC, box=box)
    return np.asarray(fine, np.float32) * 1.35  # interpolation lowers the variance


def _ramp(values: Plane) -> Plane:
    """Return 0 for values below -0.5, 1 above 0.5, and a smooth rise between."""
    t: Plane = np.clip(values + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def _lay_ground(rng: np.random.Generator, width: int, height: int, mpp: float) -> _Ground:
    """Decide where glass, tumour and stroma are; glass lies along the right border."""
    step = max(1, round(0.5 / mpp))
    pitch = step * mpp
    shape = (-(-height // step), -(-width // step))

    def noise(um: float) -> Plane:
        return _noise(rng, shape, um / pitch)

    y, x = (np.arange(n, dtype=np.float32) * pitch for n in shape)
    sway = min(22.0, 0.02 * width * mpp)  # um, how far the outline wanders
    inside = 0.9 * width * mpp - x + sway * (noise(160) + 0.5 * noise(45) + 0.15 * noise(9))
    lumen = noise(75) + 0.25 * noise(14)
    course = noise(210) + 0.25 * noise(60)
    band = np.abs(course + 0.35)  # its zero lines are the middles of the stroma's bands
    stroma = _ramp((0.30 + 0.09 * noise(30) - band) * 9)
    # Here and there the tumour has shrunk away from the stroma.
    shrunk = _ramp((4 * stroma * (1 - stroma) * _ramp((noise(35) - 0.9) * 2) - 0.5) * 4)
    tissue = _ramp(inside / 2) * _ramp((2.15 - lumen) * 12) * (1 - shrunk)
    # The slope keeps the level lines from closing into rings.
    course = course + 0.012 * x + 0.006 * y[:, None]
    return _Ground(width, height, step, pitch, tissue, stroma, course)


def _inside(tissue: Plane, margin: int) -> Mask:
    """Tell for each point whether it and all within `margin` points of it, in a square, are tissue."""
    solid = Image.fromarray((tissue > 0.99).astype(np.uint8))
    return np.array(solid.filter(ImageFilter.MinFilter(2 * margin + 1))).astype(bool)


def _scatter(free: Mask, spacing: Plane, rank: Plane, most: int) -> list[tuple[int, int]]:
    """Take free grid points in order of rank; each keeps later ones `spacing` points away."""
    spots = np.argsort(rank, axis=None, kind="stable")
    spots = spots[free.ravel()[spots]]
    free = free.copy()
    taken: list[tuple[int, int]] = []
    reach = math.ceil(float(spacing.max()))
    span = np.arange(-reach, reach + 1)
    square = span[:, None] ** 2 + span**2
    for spot in spots.tolist():
        r, c = divmod(spot, free.shape[1])
        if not free[r, c]:
            continue
        if len(taken) == most:
            break
        top, left = max(0, r - reach), max(0, c - reach)
        area = free[top : r + reach + 1, left : c + reach + 1]
        inset = square[top - r + reach :, left - c + reach :][: area.shape[0], : area.shape[1]]
        area &= inset >= spacing[r, c] ** 2
        taken.append((r, c))
    return taken


def _place_figures(rng: np.random.Generator, ground: _Ground, count: int, odd: int) -> tuple[Figure, ...]:
    """Put figures on tissue, among the tumour cells while there is room, well apart."""
    skip = max(1, round(2 / ground.pitch))
    grid, um = skip * ground.step, skip * ground.pitch  # px and um between places
    free = _inside(ground.tissue[::skip, ::skip], math.ceil(_REACH / um))
    edge = _REACH / um + 1
    rows, cols = (np.arange(n) for n in free.shape)
    free &= ((rows > edge) & (rows < ground.height / grid - edge))[:, None]
    free &= (cols > edge) & (cols < ground.width / grid - edge)
    rank = rng.random(free.shape, dtype=np.float32) + 4 * (ground.stroma[::skip, ::skip] > 0.02)
    # A place wobbles by half a grid step each way, so the grid's distance is a diagonal longer.
    spacing = np.full(free.shape, FIGURE_SPACING / um + math.sqrt(2))
    spots = _scatter(free, spacing, rank, count)
    if len(spots) < count:
        raise InvalidOption(
            f"only {len(spots)} of {count} figures fit on {ground.width} x {ground.height} px at"
            f" {um / grid:g} um/px; ask for fewer figures or a larger slide"
        )
    kinds = rng.permutation([*np.resize(ATYPICAL_KINDS, odd), *np.resize(NORMAL_KINDS, count - odd)])
    places = (np.array(spots).reshape(-1, 2) + rng.uniform(-0.5, 0.5, (count, 2))) * grid
    return tuple(
        Figure(round(x, 2), round(y, 2), str(kind))
        for (y, x), kind in zip(places.tolist(), kinds, strict=True)
    )


def _place_nuclei(rng: np.random.Generator, ground: _Ground, figures: Sequence[Figure]) -> list[_Nucleus]:
    """Fill the tissue with nuclei, none within a figure's cell."""
    skip = max(1, round(1 / ground.pitch))
    grid, um = skip * ground.step, skip * ground.pitch  # px and um between places
    free = _inside(ground.tissue[::skip, ::skip], 2)
    stroma = ground.stroma[::skip, ::skip] > 0.4
    rank = rng.random(free.shape, dtype=np.float32)
    spacing = np.where(stroma, 13, 9 + 3.5 * rng.random(free.shape, dtype=np.float32)) / um
    for figure in figures:  # they take their room first
        spot = round(figure.y / grid), round(figure.x / grid)
        rank[spot], spacing[spot], free[spot] = -1, (_REACH + 3) / um, True
    down, right = (np.gradient(ground.course[::skip, ::skip], axis=axis) for axis in (0, 1))
    nuclei = []
    for r, c in _scatter(free, spacing, rank, free.size)[len(figures) :]:
        (dx, dy), angle = rng.uniform(-0.3, 0.3, 2).tolist(), float(rng.uniform(0, math.pi))
        if stroma[r, c] and rng.random() < 0.75:  # a fibroblast, along its fibre
            angle = math.atan2(right[r, c], -down[r, c]) + float(rng.normal(0, 0.15))
            low, high = (4.5, 0.25, 0.5), (6.8, 0.32, 0.9)
        elif stroma[r, c] or rng.random() < 0.05:  # a lymphocyte
            low, high = (2.9, 0.85, 0.8), (3.5, 1.0, 1.0)
        else:
            low, high = (4.2, 0.65, 0.0), (5.4, 0.95, float(rng.uniform(0.1, 0.8)))
        long, ratio, dark = rng.uniform(low, high).tolist()
        nuclei.append(_Nucleus((c + dx) * grid, (r + dy) * grid, long, long * ratio, angle, dark))
    return nuclei


def _window(x: float, y: float, reach: float, shape: tuple[int, ...]) -> tuple[slice, slice, Offsets]:
    """Return rows and columns within `reach` of a place, and the offset dx + i dy of each pixel's middle."""
    top, left = max(0, math.floor(y - reach)), max(0, math.floor(x - reach))
    bottom, right = min(shape[0], math.ceil(y + reach)), min(shape[1], math.ceil(x + reach))
    offset = (np.arange(left, right) + (0.5 - x)) + 1j * (np.arange(top, bottom) + (0.5 - y))[:, None]
    return slice(top, bottom), slice(left, right), offset.astype(np.complex64)


def _cells(
    rng: np.random.Generator, ground: _Ground, seeds: Sequence[tuple[float, float, float]]
) -> tuple[Plane, Plane]:
    """Return the distance (um) to the nearest border between two cells, and each cell's tint, -1..1.

    A seed is a cell's x and y (level-0 px), and by how much (um) it is wider than others.
    """
    near = np.full(ground.tissue.shape, 13, np.float32)
    second, tint = near.copy(), np.zeros_like(near)
    for (x, y, more), shade in zip(seeds, rng.uniform(-1, 1, len(seeds)).tolist(), strict=True):
        reach = (13 + more) / ground.pitch
        rows, cols, offset = _window(x / ground.step, y / ground.step, reach, near.shape)
        distance = np.abs(offset) * ground.pitch - more
        first, behind = near[rows, cols], second[rows, cols]
        np.minimum(behind, np.maximum(first, distance), out=behind)
        tint[rows, cols][distance < first] = shade
        np.minimum(first, distance, out=first)
    return (second - near) / 2, tint


def _paint_ground(
    rng: np.random.Generator, ground: _Ground, seeds: Sequence[tuple[float, float, float]]
) -> tuple[Plane, Plane]:
    """Paint densities of haematoxylin and of eosin without nuclei, each float32 (H, W)."""
    border, tint = _cells(rng, ground, seeds)
    shape = ground.tissue.shape
    grain, cloud, wave, broad = (_noise(rng, shape, um / ground.pitch) for um in (1.1, 6, 25, 130))
    membrane = np.exp(-((border / 0.7) ** 2)) * (0.6 + 0.3 * cloud)
    eosin = 0.21 + 0.035 * tint + 0.022 * grain + 0.022 * cloud + 0.10 * membrane
    haem = 0.12 + 0.025 * tint + 0.018 * grain + 0.018 * cloud + 0.02 * membrane
    # Fibres: a profile of noise along the field whose level lines they follow.
    profile = 0.8 * _noise(rng, (1, 1 << 14), 24)[0] + 0.6 * _noise(rng, (1, 1 << 14), 90)[0]
    where = ground.course * 700 + wave * 40 + cloud * 10 + grain * 2
    fibre = profile[where.astype(np.int32) & ((1 << 14) - 1)]
    cleft = _ramp((fibre + 1.2 - 0.4 * wave) * 1.2)  # 0 in the empty clefts between bundles
    fibre_eosin = (0.32 + 0.07 * fibre + 0.02 * grain) * (0.15 + 0.85 * cleft)
    fibre_haem = (0.06 + 0.015 * fibre) * (0.3 + 0.7 * cleft)
    box = (0.0, 0.0, ground.width / ground.step, ground.height / ground.step)
    size, planes = (ground.width, ground.height), []
    for tumour, fibres in ((haem, fibre_haem), (eosin, fibre_eosin)):
        mixed = (tumour + ground.stroma * (fibres - tumour)) * ground.tissue * (1 + 0.08 * broad)
        image = Image.fromarray(np.maximum(mixed, 0).astype(np.float32))
        planes.append(np.array(image.resize(size, Image.Resampling.BICUBIC, box=box)))
    return planes[0], planes[1]


def _crop(canvas: _Canvas, shape: tuple[int, ...]) -> Plane:
    """Cut a random piece of the chromatin's texture."""
    top, left = (int(canvas.rng.integers(0, 512 - n)) for n in shape)
    return canvas.chromatin[top : top + shape[0], left : left + shape[1]]


def _paint_nucleus(canvas: _Canvas, nucleus: _Nucleus) -> None:
    """Paint one nucleus: a soft ellipse with a membrane, chromatin and nucleoli."""
    rng, long, short, dark = canvas.rng, nucleus.long, nucleus.short, nucleus.dark
    rows, cols, offset = _window(nucleus.x, nucleus.y, (long + 1) / canvas.mpp, canvas.haem.shape)
    offset = offset * (canvas.mpp * cmath.exp(-1j * nucleus.angle))  # um along the axes
    clumps = _crop(canvas, offset.shape)
    u, v = offset.real / long, offset.imag / short + float(rng.normal(0, 0.06)) * (offset.real / long) ** 2
    depth = (1 - np.hypot(u, v)) * short + 0.06 * clumps  # um below the membrane
    stain = 0.24 + 0.52 * dark + 0.24 * np.exp(-(((depth - 0.4) / 0.45) ** 2)) + 0.09 * clumps
    for _ in range(int(rng.integers(0, 3)) if dark < 0.6 else 0):
        a, b, size = rng.uniform((-0.5, -0.5, 0.5), (0.5, 0.5, 0.9)).tolist()
        stain += 0.42 * np.exp(-((np.abs(offset - complex(a * long, b * short)) / size) ** 2))
    body, haem, eosin = _ramp(depth), canvas.haem[rows, cols], canvas.eosin[rows, cols]
    haem += body * (np.maximum(stain, 0.05) - haem)
    eosin += body * (0.14 + 0.02 * clumps - eosin)


def _paint_figure(canvas: _Canvas, figure: Figure) -> None:
    """Paint one figure: a rounded, cleared cell, and dense chromatin without a membrane."""
    rng = canvas.rng
    rows, cols, offset = _window(figure.x, figure.y, _REACH / canvas.mpp, canvas.haem.shape)
    offset = offset * (canvas.mpp * cmath.exp(1j * rng.uniform(0, math.pi)))  # um
    rough, granules = _crop(canvas, offset.shape), _crop(canvas, offset.shape)
    radius, squeeze, phase, strength = rng.uniform((7.2, 0.9, 0, 0.35), (8.6, 1, 6.28, 0.85)).tolist()
    lobes = 0.6 * np.sin(3 * np.angle(offset) + phase)
    depth = radius - np.hypot(offset.real * squeeze, offset.imag) + lobes  # um inside the cell's border
    clear, haem, eosin = strength * _ramp(depth / 3), canvas.haem[rows, cols], canvas.eosin[rows, cols]
    haem += clear * (0.065 + 0.015 * granules - haem)
    eosin += clear * (0.11 + 0.025 * granules - eosin) + 0.06 * np.exp(-((depth / 0.7) ** 2))
    begin, end, thick = rods(rng, figure.kind).astype(np.complex64)[:, :, None, None]
    rod, away = end - begin, offset - begin
    along = np.clip((away * rod.conj()).real / (np.abs(rod) ** 2 + 1e-6), 0, 1)
    gap = np.abs(away - along * rod) - thick.real
    # A soft minimum merges the rods, as light microscopy does.
    near = -np.log(np.exp(-2.5 * gap).sum(axis=0)) / 2.5 + 0.15 + 0.15 * rough  # um outside the chromatin
    blur, stain = rng.uniform((0.9, 0.95), (1.7, 1.4)).tolist()
    body = _ramp(-near / blur)
    haem += body * (stain + 0.08 * granules - haem)
    eosin += body * (0.3 - eosin)


def _colour(rng: np.random.Generator, haem: Plane, eosin: Plane) -> Pixels:
    """Convert densities to RGB, uint8 (H, W, 3), with the grain of a camera."""
    pixels = np.empty((*haem.shape, 3), np.uint8)
    grain = rng.standard_normal(haem.shape, dtype=np.float32) * 1.6
    for channel, (h, e, glass) in enumerate(zip(_HAEMATOXYLIN, _EOSIN, _GLASS, strict=True)):
        light = glass * np.exp(haem * (-h * math.log(10)) + eosin * (-e * math.log(10))) + grain
        pixels[..., channel] = np.clip(light, 0, 255)
    return pixels
