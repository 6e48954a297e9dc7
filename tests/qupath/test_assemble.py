"""The scripts for QuPath, put together from an action and parts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from slidemitosis.qupath.assemble import SOURCES, assemble, write_scripts
from tests.qupath.standin_qupath import SCRIPTS

if TYPE_CHECKING:
    from pathlib import Path


def test_the_scripts_that_are_checked_in_are_what_the_parts_make(tmp_path: Path) -> None:
    write_scripts(tmp_path)
    made, there = ({p.name: p.read_bytes() for p in folder.iterdir()} for folder in (tmp_path, SCRIPTS))
    assert there == made, "run: python -m slidemitosis.qupath.assemble"


def test_every_part_is_taken_and_four_are_in_all_scripts_of_images() -> None:
    taken = [
        set(re.findall(r"^// >>> (\w+)$", p.read_text(encoding="utf-8"), re.M)) for p in SCRIPTS.iterdir()
    ]
    of_images = [parts for parts in taken if "image" in parts]
    assert len(of_images) == len(taken) - 1
    assert set.union(*taken) == {p.stem for p in (SOURCES / "parts").iterdir()}
    assert set.intersection(*of_images) >= {"files", "report", "image", "classes"}


def test_no_function_is_written_twice() -> None:
    sources = [p.read_text(encoding="utf-8") for p in SOURCES.rglob("*.groovy")]
    functions = [name for text in sources for name in re.findall(r"^\w[\w<>, ]* (\w+)\(", text, re.M)]
    assert len(functions) > 80
    assert sorted(functions) == sorted(set(functions))


def test_imports_come_together_and_the_parts_follow_in_their_order() -> None:
    parts = {
        "files": "import java.nio.file.Files\nimport a.Gson\n\nint read() {}\n",
        "calls": "import static q.QPEx.*\n\nint call() {}\n",
        "other": "int other() {}\n",
    }
    action = "/* What it is. */\n\nimport a.Gson\n\nreported { call() }\n\n// parts: files, calls\n"
    header, _, rest = assemble(action, parts).partition("// Put together from slidemitosis/qupath/groovy: ")
    assert header == "/* What it is. */\n\n"
    assert rest.split("\n\n", maxsplit=1)[1] == (
        "import a.Gson\nimport java.nio.file.Files\n\nimport static q.QPEx.*\n\nreported { call() }\n\n"
        "// >>> files\nint read() {}\n// <<< files\n\n// >>> calls\nint call() {}\n// <<< calls\n"
    )
    with pytest.raises(KeyError, match="none"):
        assemble(action.replace("calls\n", "none\n"), parts)
