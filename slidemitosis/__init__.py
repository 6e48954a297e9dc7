"""Classify candidate mitoses on whole-slide images as normal or atypical mitotic figures.

The public names are loaded when they are first used, so that `import slidemitosis` costs nothing
and torch is imported only where a network is needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slidemitosis.candidates import read_candidates as read_candidates
    from slidemitosis.correction import ErrorCounts as ErrorCounts
    from slidemitosis.errors import SlideMitosisError as SlideMitosisError
    from slidemitosis.geometry import Viewer as Viewer
    from slidemitosis.hotspot import Spot as Spot
    from slidemitosis.models import load_model as load_model
    from slidemitosis.pipeline import SlideClassifier as SlideClassifier
    from slidemitosis.pipeline import classify_slide as classify_slide
    from slidemitosis.rating import RateOptions as RateOptions
    from slidemitosis.slides import open_slide as open_slide

__version__ = "0.1.0"

_HOMES = {
    "ErrorCounts": "slidemitosis.correction",
    "RateOptions": "slidemitosis.rating",
    "SlideClassifier": "slidemitosis.pipeline",
    "SlideMitosisError": "slidemitosis.errors",
    "Viewer": "slidemitosis.geometry",
    "Spot": "slidemitosis.hotspot",
    "classify_slide": "slidemitosis.pipeline",
    "load_model": "slidemitosis.models",
    "open_slide": "slidemitosis.slides",
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
