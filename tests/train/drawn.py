"""Draw figures that a small network can tell apart, a dark bar or three dark spots; read and write tables."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from slidemitosis.labels import AMF_SUBTYPES, NMF_SUBTYPES
from slidemitosis.train.data.figures import Figures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


def plain_figures(atypical: Sequence[int], **known: Any) -> Figures:
    """Return black figures of these labels, of which only what is `known` is told; a patient is a slide."""
    n, none = len(atypical), ("",) * len(atypical)
    columns: dict[str, Any] = {
        "names": tuple(f"{i}.png" for i in range(n)),
        "pixels": np.zeros((n, 8, 8, 3), np.uint8),
        "atypical": np.array(atypical, np.int64),
        "votes": np.empty((n, 0), np.float32),
        "subtypes": ((),) * n,
        "slides": none,
        "patients": known.get("slides", none),
        "domains": none,
        "centres": np.full((n, 2), np.nan),
        "data": ("drawn",) * n,
    }
    return Figures(**columns | known)


def draw_patch(rng: np.random.Generator, *, atypical: bool, side: int = 128) -> NDArray[np.uint8]:
    """Draw one patch, uint8 (side, side, 3): a dark bar if normal, three dark spots if atypical."""
    y, x = np.mgrid[:side, :side] - side / 2 + 0.5
    spots = [(-14.0, -10.0), (14.0, -10.0), (0.0, 14.0)] if atypical else [(0.0, 0.0)]
    dark = np.zeros((side, side))
    for spot in spots:
        at_x, at_y = np.array(spot) + rng.normal(0, 1.5, 2)
        wide = 7.0 if atypical else 16.0
        dark = np.maximum(dark, np.exp(-(((x - at_x) / wide) ** 2) - ((y - at_y) / 7.0) ** 2))
    tissue = rng.normal((225, 190, 215), 6, (side, side, 3))
    pixels = tissue * (1 - dark[..., None]) + np.array([70, 40, 110]) * dark[..., None]
    return pixels.clip(0, 255).astype(np.uint8)


def drawn_figures(n: int = 48, *, slides: int = 8, seed: int = 0, side: int = 128) -> Figures:
    """Draw `n` figures, every third one atypical, with votes, subtypes and slides in turn."""
    rng = np.random.default_rng(seed)
    atypical = np.array([i % 3 == 0 for i in range(n)], np.int64)
    votes = np.repeat(atypical[:, None], 3, axis=1).astype(np.float32)
    votes[::5, 2] = 1 - votes[::5, 2]  # the third expert disagrees on every fifth
    subtypes = tuple(((AMF_SUBTYPES if a else NMF_SUBTYPES)[i // 3 % 4],) for i, a in enumerate(atypical))
    return plain_figures(
        atypical.tolist(),
        names=tuple(f"{seed}-{i}.png" for i in range(n)),
        pixels=np.stack([draw_patch(rng, atypical=bool(a), side=side) for a in atypical]),
        votes=votes,
        subtypes=subtypes,
        slides=tuple(f"slide{i % slides}" for i in range(n)),
        patients=tuple(f"patient{i % slides}" for i in range(n)),
        domains=tuple(("breast", "lung")[i % 2] for i in range(n)),
    )


def write_image(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (128, 128)) -> None:
    """Write an image of one colour, and the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read the rows of a CSV."""
    with path.open(newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows that all have the columns of the first as a CSV."""
    with path.open("w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_figures(folder: Path, figures: Figures, *, test: int = 0) -> Path:
    """Write the figures as a "csv" data set, the last `test` as official test rows; return the CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for i, name in enumerate(figures.names):
        Image.fromarray(figures.pixels[i]).save(folder / name)
        votes = {f"expert{k + 1}": int(v) for k, v in enumerate(figures.votes[i])}
        row = {
            "image": name,
            "label": "AMF" if figures.atypical[i] else "NMF",
            "slide": figures.slides[i],
            "patient": figures.patients[i],
            "domain": figures.domains[i],
            "subtype": figures.subtypes[i][0],
            "split": "test" if i >= len(figures) - test else "train",
        }
        rows.append(row | votes)
    path = folder / "figures.csv"
    write_rows(path, rows)
    return path
