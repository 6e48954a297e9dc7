"""Classify candidate mitoses on whole-slide images as normal or atypical mitotic figures.

The public names are loaded when they are first used, so that `import slidemitosis` costs nothing
and torch is imported only where a network is needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slidemitosis.candidates import read_candidates as read_candidates
    from slidemitosis.classify.classifier import SlideClassifier as SlideClassifier
    from slidemitosis.classify.classifier import classify_slide as classify_slide
    from slidemitosis.errors import SlideMitosisError as SlideMitosisError
    from slidemitosis.geometry import Viewer as Viewer
    from slidemitosis.models.classifier import load_model as load_model
    from slidemitosis.rates.correction import ErrorCounts as ErrorCounts
    from slidemitosis.rates.hotspot import Spot as Spot
    from slidemitosis.rates.slide import RateOptions as RateOptions
    from slidemitosis.slides.open import open_slide as open_slide

from slidemitosis._version import __version__

_HOMES = {
    "ErrorCounts": "slidemitosis.rates.correction",
    "RateOptions": "slidemitosis.rates.slide",
    "SlideClassifier": "slidemitosis.classify.classifier",
    "SlideMitosisError": "slidemitosis.errors",
    "Viewer": "slidemitosis.geometry",
    "Spot": "slidemitosis.rates.hotspot",
    "classify_slide": "slidemitosis.classify.classifier",
    "load_model": "slidemitosis.models.classifier",
    "open_slide": "slidemitosis.slides.open",
    "read_candidates": "slidemitosis.candidates",
}
__all__ = [
    "ErrorCounts",
    "RateOptions",
    "SlideClassifier",
    "SlideMitosisError",
    "Spot",
    "Viewer",
    "__version__",
    "classify_slide",
    "load_model",
    "open_slide",
    "read_candidates",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
