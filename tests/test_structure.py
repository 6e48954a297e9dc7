"""Who may import whom, read from the source."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGE = REPOSITORY / "slidemitosis"
MODULES = {
    ".".join(p.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): p
    for p in sorted(PACKAGE.rglob("*.py"))
    if p != PACKAGE / "__init__.py"
}

GROUND = {
    "_version",
    "distributions",
    "errors",
    "files",
    "geometry",
    "interrupts",
    "labels",
    "limits",
    "options",
    "toml_tables",
}
"""What every room may import; of one another they import little, see GROUND_USES."""
GROUND_USES = {"files": {"errors", "interrupts"}, "options": {"errors", "geometry"}}

# What each room may import besides the ground and itself; what may import anything is left out.
ROOMS = {
    "candidates": set(),
    "slides": set(),
    "models": set(),
    "calibration": {"models"},
    "engines": {"models"},
    "prediction": {"candidates", "engines", "models"},
    "reading": {"candidates", "models", "prediction", "slides"},
    "rates": {"candidates", "models", "prediction", "reading", "slides"},
    "outputs": {"candidates", "models", "prediction", "rates", "reading", "slides"},
    "review": {"candidates", "models", "outputs", "prediction", "rates", "reading", "slides"},
    "report": {"outputs", "reading", "review", "slides"},
    "classify": {
        "candidates",
        "engines",
        "models",
        "outputs",
        "prediction",
        "rates",
        "reading",
        "review",
        "slides",
    },
    "export": {"engines", "models"},
    "qupath": {"candidates", "outputs", "slides"},
    "demo": set(),
    "doctor": {"classify", "demo", "engines", "models", "qupath"},
    "cohort": {
        "candidates",
        "classify",
        "engines",
        "models",
        "outputs",
        "prediction",
        "qupath",
        "rates",
        "reading",
        "report",
        "review",
        "slides",
    },
    "train": {
        "calibration",
        "candidates",
        "engines",
        "models",
        "outputs",
        "prediction",
        "reading",
        "review",
        "slides",
    },
}

# The same for the parts of train: its packages, and the modules beside them.
PARTS_OF_TRAIN: dict[str, set[str]] = {
    "paths": set(),
    "provenance": set(),
    "markdown": set(),
    "readme": {"markdown"},
    "recipe": set(),
    "data": {"recipe"},
    "fit": {"data", "recipe"},
    "evaluate": {"data", "fit", "markdown", "paths", "readme", "recipe"},
    "export": {"fit", "recipe"},
    "decisions": {"data", "evaluate", "export", "fit", "recipe"},
    "calibrate": {"data", "paths"},
    "smoke": {"data", "recipe"},
    "run": {"data", "decisions", "evaluate", "export", "fit", "paths", "provenance", "recipe"},
    "nested": {"data", "decisions", "evaluate", "paths", "run"},
    "command": {"data", "export", "recipe", "run", "smoke"},
    "tune": {"command", "paths", "recipe", "run"},
}

OWNERS = {
    "openslide": {"doctor", "slides"},
    "tiffslide": {"slides"},
    "torch": {"doctor", "engines", "export", "models", "train"},
    "onnxruntime": {"engines"},
    "onnxscript": {"export"},
    "onnx_ir": {"export"},
    "timm": {"models", "train"},
    "filelock": {"cohort"},
    "dask": {"cohort"},
    "dask_jobqueue": {"cohort"},
    "distributed": {"cohort"},
    "peft": {"train"},
    "pyarrow": {"cohort"},
    "optuna": {"train"},
    "matplotlib": {"train"},
    "scipy": {"calibration", "train"},
    "torchvision": {"train"},
    "sklearn": {"train"},
    "msgspec": {"candidates"},
    "pandas": {"outputs"},
    "shtab": {"cli"},
    "tifffile": {"demo", "reading"},
    "imagecodecs": {"demo"},
    "simplejpeg": {"slides"},
    "paquo": {"qupath"},
    "jpype": {"qupath"},
    "defusedxml": {"candidates", "slides"},
    "jinja2": {"report"},
}


def room(module: str) -> str:
    """The room of a module, or the module itself where it lies at the top level."""
    return module.partition(".")[0]


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
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(module: str) -> set[str]:
    """The modules of this package that a module imports."""
    found = {
        i.removeprefix("slidemitosis.") for i in imports_of(MODULES[module]) if i.startswith("slidemitosis.")
    }
    return {m for m in found if m in MODULES}


def test_the_walk_sees_imports_inside_functions() -> None:
    assert "openslide" in set(imports_of(PACKAGE / "slides" / "openslide.py"))
    assert "models.classifier" in ours("engines.choose")


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) in ROOMS])
def test_rooms_import_only_what_they_may(module: str) -> None:
    assert {room(m) for m in ours(module)} - GROUND - {room(module)} <= ROOMS[room(module)]


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) in GROUND])
def test_the_ground_imports_next_to_nothing(module: str) -> None:
    assert {room(m) for m in ours(module)} - {room(module)} <= GROUND_USES.get(room(module), set())


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("train.")])
def test_parts_of_train_import_only_what_they_may(module: str) -> None:
    part = module.split(".")[1]
    used = {m.split(".")[1] for m in ours(module) if m.startswith("train.")}
    assert used - {part} <= PARTS_OF_TRAIN[part]


@pytest.mark.parametrize(
    ("rooms", "ground"), [(ROOMS, GROUND), (PARTS_OF_TRAIN, set())], ids=["all", "train"]
)
def test_rooms_stand_in_one_order(rooms: dict[str, set[str]], ground: set[str]) -> None:
    done = set(ground)
    for name, uses in rooms.items():
        assert uses <= done, f"{name} uses a room that stands after it"
        done.add(name)


def test_no_modules_import_one_another_in_a_circle() -> None:
    uses = {m: ours(m) - {m} for m in MODULES}
    while free := {m for m, others in uses.items() if not others & uses.keys()}:
        uses = {m: others for m, others in uses.items() if m not in free}
    assert not uses


def test_the_top_level_holds_rooms_and_the_ground() -> None:
    modules = {m for m, p in MODULES.items() if p.parent == PACKAGE}
    assert modules == (GROUND - {"options"}) | {"__main__", "prediction"}
    assert {room(m) for m in MODULES} == GROUND | ROOMS.keys() | {"__main__", "cli"}


@pytest.mark.parametrize("name", [m for m, p in MODULES.items() if p.name == "__init__.py"])
def test_each_room_says_what_it_holds(name: str) -> None:
    assert len(ast.get_docstring(ast.parse(MODULES[name].read_text(encoding="utf-8"))) or "") > 40


@pytest.mark.parametrize("library", OWNERS)
def test_heavy_libraries_are_imported_by_their_owners_alone(library: str) -> None:
    users = {room(m) for m, p in MODULES.items() if library in {i.split(".")[0] for i in imports_of(p)}}
    assert users == OWNERS[library]


def test_nothing_imports_the_command_line() -> None:
    assert {m for m in MODULES if any(room(i) == "cli" for i in ours(m))} - {
        m for m in MODULES if room(m) == "cli"
    } == {"__main__"}
