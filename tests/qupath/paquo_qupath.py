"""Run paquo for real, as processes: on stand-ins of QuPath's classes, and on a QuPath that is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY
from tests.qupath import groovy_jars
from tests.qupath.standin_qupath import compile_groovy, groovy_class_path, java

STANDINS = Path(__file__).with_name("paquo_standins")


@dataclass(frozen=True)
class Installation:
    """A folder that paquo takes for an installed QuPath."""

    folder: Path
    version: str | None = None
    """Of the stand-in; None for a real QuPath."""

    def of(self, version: str) -> Installation:
        """The stand-in of another version."""
        return replace(self, version=version)

    @property
    def newest(self) -> Installation:
        """The newest stand-in, or the real QuPath itself."""
        return replace(self, version=self.version and "0.7.0")

    @property
    def keeps_metadata(self) -> bool:
        """Whether detections keep metadata, as from 0.6 on."""
        return not (self.version or self.folder.name).startswith("0.5")

    def run(self, *words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Python with these words."""
        env = {**os.environ, "PAQUO_QUPATH_DIR": str(self.folder), "PYTHONPATH": str(REPOSITORY)}
        if self.version:
            env["STANDIN_QUPATH"] = self.version
        command = [sys.executable, *map(str, words)]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=600, env={**env, **environment}
        )

    def command(self, *words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `slidemitosis qupath` with these words."""
        return self.run("-m", "slidemitosis", "qupath", *words, **environment)

    def write(self, project: Path, records: dict[str, list[dict[str, Any]]]) -> None:
        """Give images of a project objects, by the ids of their entries."""
        told = project.parent / "records.json"
        told.write_text(json.dumps(records))
        done = self.run("-m", "tests.qupath.paquo_records", "write", project, told)
        assert done.returncode == 0, done.stderr

    def read(self, project: Path) -> dict[str, list[dict[str, Any]]]:
        """Return the objects of all images of a project, by the ids of their entries."""
        done = self.run("-m", "tests.qupath.paquo_records", "read", project)
        assert done.returncode == 0, done.stderr
        found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
        return found


def standin_installation(folder: Path) -> Installation:
    """Make an installation of the stand-ins; skips, with the reason, without paquo, Java or Groovy."""
    pytest.importorskip("paquo", reason="paquo is not installed (extra: qupath)")
    libraries = groovy_class_path(groovy_jars.VERSIONS[-1])
    home = Path(java()).resolve().parent.parent
    if not (home / "lib/server/libjvm.so").is_file():
        pytest.skip(f"{home} has no lib/server/libjvm.so, which paquo wants")
    app = folder / "lib/app"
    app.mkdir(parents=True)
    (folder / "lib/runtime").symlink_to(home)
    compiled = folder / "classes"
    compiled.mkdir()
    compile_groovy(sorted(STANDINS.glob("*.groovy")), compiled, libraries)
    with zipfile.ZipFile(app / "qupath-standins.jar", "w") as jar:
        for path in sorted(compiled.rglob("*.class")):
            jar.write(path, path.relative_to(compiled))
    for library in map(Path, libraries.split(os.pathsep)):
        (app / library.name).symlink_to(library)
    return Installation(folder, "0.7.0")
