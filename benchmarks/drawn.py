"""A drawn slide of any number of figures, and a drawn data set to train on: benchmarks bring all they need.

One piece of tissue is drawn and encoded, and repeated. That takes seconds whatever the size; each tile has
bytes of its own in the file, as on a real slide, and about half a figure.
"""

from __future__ import annotations

import csv
from itertools import cycle, islice
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from PIL import Image

from slidemitosis.demo.files import encoded_tiles
from slidemitosis.demo.tissue import draw_phantom

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

SIDE = 2048  # px of the piece
TILE = 256  # px
IN_A_PIECE = 36
"""Figures: of so many in 64 tiles, each tile has about half a one."""
MPP = 0.25
PATCH = 128  # px
SUBTYPE_OF = {
    "metaphase": "NMF metaphase",
    "anaphase": "NMF anaphase-telophase",
    "prometaphase": "NMF prometaphase",
    "multipolar": "AMF multipolar",
    "bridge": "AMF segregation",
    "lagging": "AMF segregation",
    "ring": "AMF other",
    "asymmetric": "AMF bipolar asymmetric",
}


def draw_slide(path: Path, figures: int) -> NDArray[np.float64]:
    """Write an Aperio-style slide of JPEG tiles; return the places of its figures, (N, 2), level-0 px."""
    piece = draw_phantom(width=SIDE, height=SIDE, figures=IN_A_PIECE, mpp=MPP)
    pieces = -(-figures // IN_A_PIECE)
    across = int(np.ceil(np.sqrt(pieces)))
    down = -(-pieces // across)
    size = f"{across * SIDE}x{down * SIDE}"
    text = f"Aperio Image Library v12.0.0\r\n{size} ({TILE}x{TILE}) JPEG/YCC Q=85|AppMag = 40|MPP = {MPP}"
    form = {"dtype": np.uint8, "metadata": None, "compression": "jpeg", "photometric": "ycbcr"}
    with tifffile.TiffWriter(path, bigtiff=True) as tif:
        for factor in (1, 4, 16):
            small = np.asarray(Image.fromarray(piece.pixels).reduce(factor))
            tif.write(
                _repeated(small, across, down),
                shape=(down * len(small), across * len(small), 3),
                tile=(TILE, TILE),
                subsampling=(2, 2),
                description=text,
                **form,
            )
    inside = np.array([(f.x, f.y) for f in piece.figures])
    corners = [(x * SIDE, y * SIDE) for y in range(down) for x in range(across)]
    return np.concatenate([inside + corner for corner in corners])[:figures]


def _repeated(piece: NDArray[np.uint8], across: int, down: int) -> Iterator[bytes]:
    """Yield the encoded tiles, row by row, of a square piece that is repeated; the piece is encoded once."""
    times = max(1, TILE // len(piece))  # of pieces that are smaller than a tile
    tiles = list(encoded_tiles(np.tile(piece, (times, times, 1)), 85))
    side = max(1, len(piece) // TILE)
    rows, columns = -(-down * len(piece) // TILE), -(-across * len(piece) // TILE)
    for y in range(rows):
        yield from islice(cycle(tiles[y % side * side : (y % side + 1) * side]), columns)


def draw_figures(folder: Path, number: int, slides: int) -> Path:
    """Write drawn figures of 128 px as a data set for `train --data csv=`; return its table.

    They are a few hundred, each in eight views: enough to work as long as with real ones, not to learn.
    """
    phantom = draw_phantom(width=4096, height=4096, figures=-(-number // 8), atypical=0.22, mpp=MPP)
    padded = np.pad(phantom.pixels, ((PATCH, PATCH), (PATCH, PATCH), (0, 0)), mode="reflect")
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "figures.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "label", "slide", "subtype", "expert1", "expert2", "expert3"])
        for i in range(number):
            figure = phantom.figures[i // 8]
            left, top = int(figure.x) + PATCH // 2, int(figure.y) + PATCH // 2
            view = np.rot90(padded[top : top + PATCH, left : left + PATCH], i % 4)
            pixels = np.ascontiguousarray(view[:, ::-1] if i % 8 >= 4 else view)
            Image.fromarray(pixels).save(folder / f"{i}.png", compress_level=1)
            label = "AMF" if figure.atypical else "NMF"
            third = "NMF" if i // 8 % 5 == 0 else label  # experts differ now and then
            experts = [label, label, third]
            rows.writerow([f"{i}.png", label, f"slide-{i // 8 % slides}", SUBTYPE_OF[figure.kind], *experts])
    return table
