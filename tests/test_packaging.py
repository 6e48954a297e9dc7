"""What is handed to packagers says what pyproject.toml says."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from slidemitosis._version import __version__
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

_CONDA_NAMES = {"openslide-bin": "openslide"}
"""Names of packages that conda-forge calls otherwise."""


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return found


def test_the_conda_recipe_has_the_requirements_and_the_version(project: dict[str, Any]) -> None:
    recipe = (REPOSITORY / "packaging/conda/recipe.yaml").read_text()
    run = recipe[recipe.index("\n  run:\n") : recipe.index("\ntests:")]
    conda = dict(re.findall(r"^    - (\S+) >=(\S+)$", run, re.M))
    wanted = dict(re.fullmatch(r"([\w-]+)>=([\d.]+)", d).groups() for d in project["dependencies"])  # type: ignore[union-attr,misc]
    assert conda.pop("python") == project["requires-python"].removeprefix(">=")
    assert set(conda) == {_CONDA_NAMES.get(name, name) for name in wanted}
    assert all(conda[name] == least for name, least in wanted.items() if name not in _CONDA_NAMES)
    assert f'version: "{__version__}"' in recipe
    assert f"version: {__version__}\n" in (REPOSITORY / "CITATION.cff").read_text()


@pytest.mark.parametrize("heavy", ["torch", "timm", "scipy", "matplotlib", "scikit-learn", "pyarrow"])
def test_a_light_installation_has_no_heavy_library(project: dict[str, Any], heavy: str) -> None:
    assert not [d for d in project["dependencies"] if re.match(rf"{heavy}\b", d)]
    assert any(d.startswith(heavy) for extra in project["optional-dependencies"].values() for d in extra)


@pytest.mark.parametrize(
    "file",
    [
        "examples/06_midog25_container/Dockerfile",
        "examples/07_docker/Dockerfile",
        "examples/07_docker/Dockerfile.gpu",
    ],
)
def test_a_container_copies_what_is_there(file: str) -> None:
    lines = re.findall(r"^COPY (.+)$", (REPOSITORY / file).read_text(), re.M)
    sources = [word for line in lines for word in line.split()[:-1]]
    assert {"pyproject.toml", "slidemitosis", "models"} <= set(sources)
    assert not [word for word in sources if not (REPOSITORY / word).exists()]


@pytest.mark.slow
def test_the_wheel_holds_the_models_and_scripts_and_nothing_of_developers(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", tmp_path, REPOSITORY], check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    (source,) = tmp_path.glob("*.tar.gz")
    assert source.stat().st_size > 10_000_000
    names = set(zipfile.ZipFile(wheel).namelist())
    for model in (REPOSITORY / "models").iterdir():
        for path in model.iterdir():
            assert f"slidemitosis/shipped_models/{model.name}/{path.name}" in names
    for script in (REPOSITORY / "qupath_scripts").glob("*.groovy"):
        assert f"slidemitosis/shipped_qupath_scripts/{script.name}" in names
    assert {"slidemitosis/py.typed", "slidemitosis/review/page/review.html"} <= names
    assert not [n for n in names if n.startswith(("tests", "benchmarks")) or "qupath/groovy" in n]
