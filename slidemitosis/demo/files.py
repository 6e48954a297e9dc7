"""Write a phantom as files: a slide, its candidates, and their true labels."""

from __future__ import annotations

import io
import json
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from slidemitosis.demo.tissue import draw_phantom
from slidemitosis.errors import InvalidOption
from slidemitosis.files import csv_lines, make_folder, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from slidemitosis.demo.tissue import Figure, Phantom, Pixels

_TILE = 256  # px


def write_demo(folder: Path) -> tuple[Path, Path]:
    """Write the demo's files into `folder`; return the paths of slide and candidates. Raises OutputError."""
    slide, points = folder / "demo.svs", folder / "demo.geojson"
    make_folder(folder)
    phantom = draw_phantom()
    write_slide(phantom, slide)
    write_candidates(phantom, points)
    write_truth(phantom, folder / "demo.truth.csv")
    return slide, points


def _jpeg(pixels: Pixels, quality: int) -> bytes:
    """Encode one tile or thumbnail as YCbCr 4:2:0, as scanners do."""
    import imagecodecs

    encode = imagecodecs.jpeg8_encode
    return bytes(encode(pixels, quality, colorspace="RGB", outcolorspace="YCBCR", subsampling="420"))


def encoded_tiles(pixels: Pixels, quality: int) -> Iterator[bytes]:
    """Yield encoded 256 px tiles row by row; the last column and row are padded."""
    high, wide = pixels.shape[:2]
    padded = np.pad(pixels, ((0, -high % _TILE), (0, -wide % _TILE), (0, 0)), mode="edge")
    for y in range(0, high, _TILE):
        for x in range(0, wide, _TILE):
            yield _jpeg(np.ascontiguousarray(padded[y : y + _TILE, x : x + _TILE]), quality)


def write_slide(phantom: Phantom, path: Path, *, quality: int = 85) -> None:
    """Write an Aperio-style pyramid of JPEG tiles, downsampled by 1, 4, 16, ... until one tile is enough.

    The same phantom gives the same bytes. `quality`: that of JPEG, 1 to 100. Raises InvalidOption,
    OutputError.
    """
    import tifffile

    if not 1 <= quality <= 100:
        raise InvalidOption(f"quality is {quality}; JPEG takes 1 to 100")
    high, wide = phantom.pixels.shape[:2]
    levels = [phantom.pixels]
    while len(levels) == 1 or max(levels[-1].shape) > _TILE:
        rows, cols = (n // 4 * 4 for n in levels[-1].shape[:2])
        levels.append(np.asarray(Image.fromarray(levels[-1][:rows, :cols]).reduce(4)))
    # Readers expect the thumbnail, in one strip, as the second page of an Aperio slide.
    pages = [(levels[0], True), (levels[-1], False), *((level, True) for level in levels[1:])]
    form: dict[str, Any] = {"dtype": np.uint8, "metadata": None}
    form |= {"compression": "jpeg", "photometric": "ycbcr", "subsampling": (2, 2)}
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as tif:
        for pixels, tiled in pages:
            rows, cols = pixels.shape[:2]
            size = "" if pixels is phantom.pixels else f" -> {cols}x{rows}"
            text = (
                f"Aperio Image Library v12.0.0\r\n{wide}x{high} ({_TILE}x{_TILE}){size} JPEG/YCC Q={quality}"
            )
            text += f"|AppMag = {10 / phantom.mpp:g}|MPP = {phantom.mpp:.6g}"
            data = encoded_tiles(pixels, quality) if tiled else iter([_jpeg(pixels, quality)])
            layout = {"tile": (_TILE, _TILE)} if tiled else {"rowsperstrip": rows}
            tif.write(data, shape=pixels.shape, description=text, **layout, **form)
    write_whole(path, buffer.getvalue())


def _named(phantom: Phantom) -> list[tuple[str, Figure]]:
    """Return each figure with a UUID, the same for the same figures."""
    names = (f"slidemitosis/phantom/{i}/{f.x:.2f}/{f.y:.2f}" for i, f in enumerate(phantom.figures))
    return [(str(uuid.uuid5(uuid.NAMESPACE_URL, n)), f) for n, f in zip(names, phantom.figures, strict=True)]


def write_candidates(phantom: Phantom, path: Path) -> None:
    """Write the figures as QuPath detections of class Mitosis, circles 12.5 um wide, without the truth.

    Coordinates are level-0 px with two decimals; a polygon's centroid is its figure's centre. Raises
    OutputError.
    """
    turns = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    # Rounded about the centre, so that opposite corners stay opposite.
    offsets = np.round(np.stack([np.cos(turns), np.sin(turns)], axis=1) * 6.25 / phantom.mpp, 2).tolist()
    properties = {"objectType": "detection", "classification": {"name": "Mitosis", "color": [0, 200, 0]}}
    features = []
    for name, figure in _named(phantom):
        ring = [[round(figure.x + dx, 2), round(figure.y + dy, 2)] for dx, dy in offsets]
        geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
        features.append({"type": "Feature", "id": name, "geometry": geometry, "properties": properties})
    write_whole(path, json.dumps({"type": "FeatureCollection", "features": features}).encode())


def write_truth(phantom: Phantom, path: Path) -> None:
    """Write a CSV table: id (as in the candidates), x and y in level-0 px, kind, atypical (0 or 1).

    Raises OutputError.
    """
    rows = [[name, f"{f.x:.2f}", f"{f.y:.2f}", f.kind, int(f.atypical)] for name, f in _named(phantom)]
    write_whole(path, "".join(csv_lines([["id", "x", "y", "kind", "atypical"], *rows])).encode())
