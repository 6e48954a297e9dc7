"""A drawn slide through every reader and engine, and the models' files against their hashes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np

from slidemitosis.classify.classifier import classify_slide
from slidemitosis.demo.files import write_candidates, write_slide
from slidemitosis.demo.tissue import draw_phantom
from slidemitosis.doctor.check import Check
from slidemitosis.engines.choose import absent_for_torch
from slidemitosis.errors import SlideMitosisError
from slidemitosis.models.files import check_graph, check_weights
from slidemitosis.models.shipped import list_models
from slidemitosis.options import ComputeOptions, ReadOptions
from slidemitosis.options.read import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from slidemitosis.options.compute import EngineName

_MODEL = "lite0"
_FAR = 1e-4
"""Largest difference of P(atypical) between two engines; about 1e-6 is seen."""
_AGAIN = "pip install --force-reinstall --no-deps slidemitosis"


def check_models() -> Iterator[Check]:
    """Yield whether the files of each shipped model are those that its card names."""
    try:
        cards = list_models()
    except SlideMitosisError as e:
        yield Check("models", "failed", without_paths(str(e)), _AGAIN)
        return
    for card in cards:
        name = f"model {card.name}"
        try:
            for network in card.networks:
                check_weights(card.folder, network)
            if card.graph is not None:
                check_graph(card)
        except SlideMitosisError as e:
            yield Check(name, "failed", without_paths(str(e)), _AGAIN)
        else:
            sha256 = (card.graph or card.networks[0]).sha256
            yield Check(name, "ok", f"version {card.version}, {sha256[:16]}...")
    if not cards:
        yield Check("models", "failed", "none is there", _AGAIN)


def check_classifying() -> Iterator[Check]:
    """Yield whether a drawn slide is classified by each reader and each engine, and alike."""
    with tempfile.TemporaryDirectory() as folder:
        slide, points = Path(folder) / "drawn.svs", Path(folder) / "drawn.geojson"
        phantom = draw_phantom(width=1000, height=800, figures=12, seed=5)
        write_slide(phantom, slide)
        write_candidates(phantom, points)
        first: NDArray[np.float64] | None = None
        for engine, workers, reader in _kinds():
            name = f"test {engine}, {'a reader process' if workers else f'reader {reader}'}"
            compute = ComputeOptions(engine=engine, workers=workers, device="cpu")
            try:
                found = classify_slide(
                    slide, points, model=_MODEL, read=ReadOptions(reader=reader), compute=compute
                )
            except Exception as e:  # noqa: BLE001 - whatever it is, it is what is looked for
                yield Check(
                    name, "failed", f"{type(e).__name__}: {without_paths(str(e).replace(folder, ''))}"
                )
                continue
            p = np.array([np.nan if c.probability is None else c.probability for c in found.candidates])
            first = p if first is None else first
            far = float(np.max(np.abs(p - first)))  # not a number where a figure is not classified
            if far <= _FAR:
                yield Check(name, "ok", f"{len(p)} figures, P as the first to {far:.0e}")
            else:
                yield Check(name, "failed", f"P differs from the first by {far:.2g} of a figure")


def _kinds() -> Iterator[tuple[EngineName, int, Reader]]:
    """Yield engine, number of reader processes and reader of each trial."""
    for reader in get_args(Reader):
        yield "onnx", 0, reader
    yield "onnx", 1, "auto"
    if not absent_for_torch():
        yield "torch", 0, "auto"


def without_paths(text: str) -> str:
    """Return a message without what names the user: the home and the package's folder."""
    package = Path(__file__).resolve().parents[1]
    for folder, short in ((package, "slidemitosis"), (package.parent, ""), (Path.home(), "~")):
        text = text.replace(str(folder), short)
    return text.lstrip("/\\")
