"""A slide with figures, in a project of the stand-in of QuPath; and what paquo takes for a QuPath."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import position_colours, write_aperio
from tests.qupath.figures import SIZE, classified, write_figures

if TYPE_CHECKING:
    from tests.qupath.paquo_qupath import Installation
    from tests.qupath.standin_qupath import QuPath


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    folder = tmp_path / "slides of May, 'new'"
    folder.mkdir()
    return write_aperio(
        folder / 'A 1, "x".svs' if os.name != "nt" else folder / "A 1.svs", [position_colours(*SIZE)]
    )


@pytest.fixture
def project(qupath: QuPath, slide: Path, tmp_path: Path) -> QuPath:
    """QuPath with that slide in a project."""
    qupath.project = tmp_path / "a project"
    qupath.project.mkdir()
    return qupath.add_image(slide, SIZE, objects=write_figures(tmp_path / "figures.geojson"))


@pytest.fixture
def found(project: QuPath, isolated_python: str, slide: Path, tmp_path: Path) -> Path:
    """Results of the project's image, from outside QuPath."""
    return classified(isolated_python, slide, Path(project.images[0]["objects"]), tmp_path / "found")


@pytest.fixture(scope="session")
def standin_installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """A QuPath of stand-ins for paquo; skips where paquo, Java or Groovy is not here."""
    from tests.qupath.paquo_qupath import standin_installation

    return standin_installation(tmp_path_factory.mktemp("paquo"))


@pytest.fixture(params=["0.5.1", "0.7.0", "real"])
def installation(request: pytest.FixtureRequest) -> Installation:
    """QuPath for paquo: the stand-ins of two versions, and the real one that PAQUO_QUPATH_DIR names."""
    from tests.qupath.paquo_qupath import Installation

    if request.param == "real":
        if not os.environ.get("PAQUO_QUPATH_DIR"):
            pytest.skip("PAQUO_QUPATH_DIR names no QuPath")
        return Installation(Path(os.environ["PAQUO_QUPATH_DIR"]))
    standin: Installation = request.getfixturevalue("standin_installation")
    return Installation(standin.folder, request.param)
