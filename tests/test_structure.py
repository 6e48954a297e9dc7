"""Who may import whom, read from the source."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest
from conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGE = REPOSITORY / "slidemitosis"
MODULES = {
    ".".join(p.relative_to(PACKAGE).with_suffix("").parts): p
    for p in sorted(PACKAGE.rglob("*.py"))
    if p.name != "__init__.py"
}

# What each room may import of ours, at any depth of its code; rooms that may import anything are left out.
ALLOWED = {
    "errors": set(),
    "geometry": set(),
    "interrupts": set(),
    "tiff": set(),
    "tiles": {"geometry"},
    "direct": {"geometry", "tiff", "tiles"},
    "properties": {"geometry"},
    "slides": {"direct", "errors", "geometry", "properties", "tiles"},
    "settle": {"errors", "geometry"},
    "candidates": {"errors", "candidates"},
    "tables": set(),
    "decision": {"errors"},
    "cards": {"decision", "errors", "tables"},
    "model_files": {"cards", "errors"},
    "colour": set(),
    "networks": {"cards", "errors", "tables"},
    "extras": {"cards"},
    "predictions": {"candidates", "cards"},
    "intervals": set(),
    "correction": {"errors", "intervals"},
    "rates": {"intervals"},
    "pooling": {"correction", "rates"},
    "hotspot": {"errors"},
    "tissue": {"errors"},
    "density": {"candidates", "errors"},
    "rating": {"candidates", "correction", "density", "errors", "hotspot", "rates", "spot_object", "tissue"},
    "rate_fields": set(),
    "spot_object": {"candidates"},
    "outlines": {"candidates"},
    "objects": {"candidates", "cards", "outlines", "predictions"},
    "results": {"errors", "interrupts", "predictions"},
    "moved": {"errors"},
    "qupath_uris": set(),
    "qupath_project": {"errors", "geometry", "moved", "qupath_uris"},
    "qupath_objects": {"candidates", "errors", "objects", "qupath_project", "results"},
    "qupath_scripts": {"errors", "results"},
    "slots": {"errors"},
    "predict": {"cards", "extras", "outputs", "predictions"},
    "stacks": {"errors", "tiff"},
    "patches": {"cards", "engine", "predict", "predictions", "stacks"},
    "worker": {"errors", "geometry", "slides", "slots"},
    "batches": set(),
    "loader": {"batches", "errors", "interrupts", "geometry", "slides", "slots", "worker"},
    "prepare": {"errors", "geometry", "settle", "slides", "candidates", "cards", "objects", "predictions"},
    "convert": {"candidates", "errors", "geometry", "objects", "results", "settle", "slides"},
    "sheet": {"errors", "results", "worker", "prepare"},
    "summary": {"cards", "rate_fields"},
    "stopwatch": set(),
    "stream": {"batches", "errors", "predict"},
    "slide_results": {"objects", "results", "spot_object"},
    "models": {"cards", "colour", "errors", "model_files", "networks"},
    "outputs": {"cards", "errors"},
    "classify": {"errors", "models", "outputs"},
    "graph": {"cards", "errors", "interrupts", "model_files", "outputs"},
    "engine": {"cards", "classify", "errors", "graph", "models", "outputs"},
    "graph_export": {"cards", "errors", "graph", "interrupts", "model_files", "models"},
    # The list, the folder of results and the processes; one slide is the pipeline's.
    "cohort": {
        "candidates",
        "cards",
        "cohort",
        "correction",
        "engine",
        "errors",
        "geometry",
        "interrupts",
        "model_files",
        "moved",
        "pipeline",
        "pooling",
        "prepare",
        "qupath_project",
        "rate_fields",
        "rates",
        "rating",
        "results",
        "slides",
        "tables",
    },
    "wsinfer_readme": set(),
    "wsinfer_export": {"errors", "model_files", "models", "results", "wsinfer_readme"},
    "phantom": {"errors"},
    "phantom_files": {"errors", "phantom", "results"},
    # Also the rooms that read a slide, for figures that are still on one, and that write files whole.
    "train": {
        "cards",
        "classify",
        "colour",
        "decision",
        "engine",
        "errors",
        "extras",
        "geometry",
        "loader",
        "model_files",
        "models",
        "networks",
        "outputs",
        "predictions",
        "results",
        "settle",
        "slides",
        "tables",
        "train",
    },
}

OWNERS = {
    "openslide": {"slides"},
    "tiffslide": {"slides"},
    "torch": {"classify", "colour", "graph_export", "models", "networks", "train", "wsinfer_export"},
    "onnxruntime": {"graph"},
    "onnxscript": {"graph_export"},
    "onnx_ir": {"graph_export"},
    "timm": {"networks", "train"},
    "filelock": {"cohort"},
    "dask": {"cohort"},
    "dask_jobqueue": {"cohort"},
    "distributed": {"cohort"},
    "peft": {"train"},
    "pyarrow": {"cohort"},
    "optuna": {"train"},
    "matplotlib": {"cohort", "train"},
    "scipy": {"intervals", "train"},
    "torchvision": {"train"},
    "sklearn": {"train"},
    "msgspec": {"candidates"},
    "tifffile": {"phantom_files", "stacks"},
    "imagecodecs": {"phantom_files"},
    "simplejpeg": {"tiles"},
    "paquo": {"qupath_objects"},
    "jpype": {"qupath_objects"},
    "defusedxml": {"candidates"},
}


def imports_of(path: Path) -> Iterator[str]:
    """Every module that a file imports where it runs, also inside functions, but not for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            if node.module == "slidemitosis":
                yield from (f"slidemitosis.{alias.name}" for alias in node.names)


def test_the_walk_sees_imports_inside_functions() -> None:
    assert "openslide" in set(imports_of(PACKAGE / "slides.py"))
    assert "slidemitosis.models" in set(imports_of(PACKAGE / "engine.py"))


@pytest.mark.parametrize("module", [m for m in MODULES if m.split(".")[0] in ALLOWED])
def test_rooms_import_only_what_they_may(module: str) -> None:
    room = module.split(".", maxsplit=1)[0]
    ours = {i.split(".")[1] for i in imports_of(MODULES[module]) if i.startswith("slidemitosis.")}
    assert ours <= ALLOWED[room]


@pytest.mark.parametrize("library", OWNERS)
def test_heavy_libraries_are_imported_by_their_owners_alone(library: str) -> None:
    users = {
        m.split(".")[0] for m, p in MODULES.items() if library in {i.split(".")[0] for i in imports_of(p)}
    }
    assert users == OWNERS[library]


def test_nothing_imports_the_command_line() -> None:
    users = {m for m, p in MODULES.items() if any(i.startswith("slidemitosis.cli") for i in imports_of(p))}
    assert {m for m in users if not m.startswith("cli.")} == {"__main__"}
