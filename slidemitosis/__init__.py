"""Classify candidate mitoses on whole-slide images as normal or atypical mitotic figures.

The public names are loaded when they are first used, so that `import slidemitosis` costs nothing
and torch is imported only where a network is needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from slidemitosis._version import __version__

if TYPE_CHECKING:
    from slidemitosis.candidates import Candidates as Candidates
    from slidemitosis.candidates import read_candidates as read_candidates
    from slidemitosis.classify.classifier import SlideClassifier as SlideClassifier
    from slidemitosis.classify.classifier import classify_candidates as classify_candidates
    from slidemitosis.classify.classifier import classify_slide as classify_slide
    from slidemitosis.errors import SlideMitosisError as SlideMitosisError
    from slidemitosis.geometry import PixelSize as PixelSize
    from slidemitosis.geometry import Viewer as Viewer
    from slidemitosis.models.classifier import load_model as load_model
    from slidemitosis.options import ComputeOptions as ComputeOptions
    from slidemitosis.options import ErrorCounts as ErrorCounts
    from slidemitosis.options import RateOptions as RateOptions
    from slidemitosis.options import ReadOptions as ReadOptions
    from slidemitosis.options import Spot as Spot
    from slidemitosis.outputs.result import SlideResult as SlideResult
    from slidemitosis.slides.open import open_slide as open_slide

_NAMES = {
    "candidates": ("Candidates", "read_candidates"),
    "classify.classifier": ("SlideClassifier", "classify_candidates", "classify_slide"),
    "errors": ("SlideMitosisError",),
    "geometry": ("PixelSize", "Viewer"),
    "models.classifier": ("load_model",),
    "options": ("ComputeOptions", "ErrorCounts", "RateOptions", "ReadOptions", "Spot"),
    "outputs.result": ("SlideResult",),
    "slides.open": ("open_slide",),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}
__all__ = ["__version__", *_HOMES]  # noqa: PLE0604 - names alone


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
