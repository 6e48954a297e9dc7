"""Which libraries are there, and what those that are missing would bring."""

from __future__ import annotations

import importlib.util
import platform
import re
import struct
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from slidemitosis._version import __version__
from slidemitosis.doctor.check import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

_READS = ("openslide-python", "openslide-bin", "tiffslide", "tifffile", "imagecodecs", "simplejpeg", "pillow")
_COMPUTES = ("numpy", "onnxruntime", "shapely")
_SAFE_OPENSLIDE = (4, 0, 1)
"""Earlier ones can be made to write outside their memory by a crafted BIF (CVE-2026-48977)."""

_EXTRAS = {
    "gpu": (("torch", "timm"), "batches on a GPU, and models without an ONNX graph"),
    "train": (
        (
            "torch",
            "timm",
            "torchvision",
            "sklearn",
            "scipy",
            "matplotlib",
            "peft",
            "optuna",
            "onnxscript",
            "pyarrow",
        ),
        "train, tune, evaluate, compare and models export",
    ),
    "qupath": (("paquo",), "QuPath projects without QuPath"),
    "cluster": (("dask_jobqueue", "distributed", "pyarrow"), "cohorts over a cluster, and cohort.parquet"),
    "pandas": (("pandas",), "results as a DataFrame"),
}


def check_libraries() -> Iterator[Check]:
    """Yield the versions of Python and of what reads and computes, and what each extra would bring."""
    bits = 8 * struct.calcsize("P")
    here = f"{platform.system()} {platform.release()}, {platform.machine()}, {bits} bits"
    yield Check("slidemitosis", "ok", f"{__version__}, Python {platform.python_version()}, {here}")
    yield _versions("readers", _READS)
    yield _openslide()
    yield _versions("computing", _COMPUTES)
    for extra, (modules, brings) in _EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        if missing:
            told = f"not there: {', '.join(missing)}; would bring {brings}"
            yield Check(extra, "note", told, f"pip install 'slidemitosis[{extra}]'")
        else:
            yield Check(extra, "ok", f"there: {brings}")


def _versions(name: str, packages: tuple[str, ...]) -> Check:
    found, missing = [], []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    # Other builds of these go by other names: onnxruntime-gpu, or an OpenSlide of the system.
    needed = [m for m in missing if m not in ("onnxruntime", "openslide-bin")]
    if needed:
        return Check(name, "failed", f"not there: {', '.join(needed)}", "pip install --upgrade slidemitosis")
    return Check(name, "ok", ", ".join(found))


def _openslide() -> Check:
    try:
        import openslide
    except (ImportError, OSError) as e:
        return Check("OpenSlide", "failed", f"cannot be loaded: {e}", "pip install --upgrade openslide-bin")
    loaded: str = openslide.__library_version__
    if tuple(map(int, re.findall(r"\d+", loaded)[:3])) < _SAFE_OPENSLIDE:
        told = f"{loaded}: a slide made for it can write outside its memory (CVE-2026-48977, mended in 4.0.1)"
        return Check("OpenSlide", "warning", told, "pip install --upgrade openslide-bin")
    return Check("OpenSlide", "ok", loaded)
