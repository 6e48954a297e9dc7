"""Read the figures that persons have reviewed, in folders of results of `classify` and of `cohort`."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING, Any

from slidemitosis.errors import InvalidOption
from slidemitosis.labels import NEGATIVE, POSITIVE
from slidemitosis.review.results import reviewed_slides
from slidemitosis.train.data.on_slides import figures_on_slides
from slidemitosis.train.data.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slidemitosis.models.local import Reviewed
    from slidemitosis.review.results import Figure, ReviewedSlide
    from slidemitosis.train.data.figures import LabelledData

log = logging.getLogger(__name__)

_LABELS = (POSITIVE, NEGATIVE)
_REMEDY = "review all figures of the slide, or a random sample of them"


def read_review(folder: Path) -> LabelledData:
    """Read every figure of a folder of results that persons have called AMF or NMF, whatever led them to it.

    Patches are cut from the slides, where `summary.json` says that they are. Named readers are the experts.
    Figures that are no mitoses, and those of which nobody is sure, are left out. Raises InvalidOption.
    """
    slides = reviewed_slides(folder)
    return _data(folder, [(slide, _labelled(slide.figures)) for slide in slides])


def read_review_sample(folder: Path) -> tuple[LabelledData, Reviewed]:
    """Read the figures that a model can be calibrated on, and whether they are all or a random sample.

    Of a slide with a random sample, only this is taken. Raises InvalidOption, also where the figures of a
    slide were chosen by what the model said of them.
    """
    chosen: list[tuple[ReviewedSlide, list[Figure]]] = []
    how: set[Reviewed] = set()
    for slide in reviewed_slides(folder):
        review = slide.review
        if review is None:
            continue
        if review.chosen == "chosen":
            raise InvalidOption(
                f"{slide.folder}: {review.because}: figures that were chosen by what the model said of them "
                f"mislead a calibration; {_REMEDY}"
            )
        how.add(review.chosen)
        figures = _labelled(slide.figures)
        if review.chosen == "random":
            figures = [f for f in figures if f.verdict is not None and f.verdict.reason == "random"]
        chosen.append((slide, figures))
    return _data(folder, chosen), "random" if "random" in how else "all"


def _labelled(figures: Sequence[Figure]) -> list[Figure]:
    return [f for f in figures if f.verdict is not None and f.verdict.answer in _LABELS]


def _data(folder: Path, slides: Sequence[tuple[ReviewedSlide, Sequence[Figure]]]) -> LabelledData:
    rows = [_row(slide, figure) for slide, figures in slides for figure in figures]
    if not rows:
        raise InvalidOption(f"{folder}: nobody has called a figure AMF or NMF; review some figures first")
    others = sum(f.verdict is not None for slide, _ in slides for f in slide.figures) - len(rows)
    if others:
        log.info("%s: %d answers are no labels, or not of the sample, and are left out", folder, others)
    readers = sorted({name for _, figures in slides for f in figures for name in f.by_reader})
    experts = {name: f"expert{number}" for number, name in enumerate(readers, start=1)}
    cells = [row | _votes(figure, experts) for row, figure in zip(rows, _all(slides), strict=True)]
    content = json.dumps([[c["figure"], c["label"]] for c in cells]).encode()
    table = Table(
        # A folder has no row: messages name the slide.
        path=folder.resolve(),
        columns=tuple(cells[0]),
        rows=tuple(cells),
        lines=tuple(range(1, len(cells) + 1)),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    return figures_on_slides(table, known=("figure",))


def _all(slides: Sequence[tuple[ReviewedSlide, Sequence[Figure]]]) -> list[Figure]:
    return [figure for _, figures in slides for figure in figures]


def _row(slide: ReviewedSlide, figure: Figure) -> dict[str, str]:
    of: dict[str, Any] = slide.summary["slide"]
    assert figure.verdict is not None
    return {
        "figure": figure.id,
        "slide": of["path"],
        "x": repr(figure.x),
        "y": repr(figure.y),
        "label": figure.verdict.answer,
        "mpp": repr(of["mpp_x"]) if of["mpp_source"] == "given" else "",
        "domain": slide.summary.get("options", {}).get("tumour") or "",
    }


def _votes(figure: Figure, experts: dict[str, str]) -> dict[str, str]:
    said = {experts[name]: word for name, word in figure.by_reader.items() if name in experts}
    return {column: said[column] if said.get(column) in _LABELS else "" for column in experts.values()}
