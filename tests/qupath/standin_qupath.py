"""Run the scripts for QuPath by a real Groovy, on stand-ins of QuPath's classes (tests/qupath/groovy)."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import REPOSITORY
from tests.qupath import groovy_jars

if TYPE_CHECKING:
    from collections.abc import Sequence

SCRIPTS = REPOSITORY / "qupath_scripts"
_BESIDE = Path(__file__).with_name("groovy")
STANDINS = _BESIDE / "standins"
HARNESS = _BESIDE / "harness.groovy"
JARS = "SLIDEMITOSIS_GROOVY_JARS"
"""Environment variable: the folder of the Groovys that QuPath comes with, which `groovy_jars` fetches."""


@functools.cache
def java() -> str:
    """Return the path of Java 11 or later; skips the test, with the reason, where there is none."""
    home = os.environ.get("JAVA_HOME", "")
    named = shutil.which("java", path=str(Path(home) / "bin")) if home else None
    found = named or shutil.which("java")
    if found is None:
        pytest.skip("no Java is here")
    return found


def groovy_class_path(version: str) -> str:
    """Return the class path of a Groovy as QuPath brings it, and of Gson; skips the test without them."""
    folder = os.environ.get(JARS)
    jars = None if folder is None else groovy_jars.class_path(Path(folder), version)
    if jars is None:
        pytest.skip(f"no Groovy {version} is here: python -m tests.qupath.groovy_jars FOLDER, and set {JARS}")
    return os.pathsep.join(map(str, jars))


def _groovy(main: str, *words: str | Path, class_path: str) -> list[str]:
    # A comma between whole and part, as in Germany: nothing that is written may depend on it.
    locale = ("-Duser.language=de", "-Duser.country=DE")
    return [java(), "-XX:TieredStopAtLevel=1", *locale, "-cp", class_path, main, *map(str, words)]


def compile_groovy(sources: Sequence[Path], folder: Path, class_path: str) -> None:
    """Compile Groovy into classes in a folder."""
    compiler = "org.codehaus.groovy.tools.FileSystemCompiler"
    words = _groovy(compiler, "-d", folder, *sources, class_path=class_path)
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


class Groovy:
    """A Groovy with the stand-ins, compiled into `folder`, that plays scenarios one after the other."""

    def __init__(self, folder: Path, version: str = groovy_jars.VERSIONS[0]) -> None:
        libraries = groovy_class_path(version)
        compile_groovy(sorted(STANDINS.rglob("*.groovy")), folder, libraries)
        command = _groovy("groovy.ui.GroovyMain", HARNESS, class_path=f"{libraries}{os.pathsep}{folder}")
        self._errors = folder / "errors.txt"
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )

    def play(self, scenario: Path) -> list[dict[str, Any]]:
        """Return the reports of a scenario's steps."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{scenario}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n", self._errors.read_text()
        report = scenario.with_name(f"{scenario.name}.report")
        found: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))
        return found

    def end(self) -> int:
        """Let Groovy end by itself, as a QuPath without windows does, and return its exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        code = self._process.wait(timeout=60)
        self._process.stdin = None
        return code

    def close(self) -> None:
        """End Groovy, whatever it is doing."""
        self._process.kill()
        self._process.communicate()


@dataclass
class QuPath:
    """A stand-in of QuPath with some images, in a project or not; `run` and `call` add steps."""

    groovy: Groovy
    folder: Path
    version: str = "0.6"
    project: Path | None = None
    settings: dict[str, str] = field(default_factory=dict)
    """Settings at the top of the scripts, as Groovy texts, where they are not as shipped."""
    preferences: dict[str, str] = field(default_factory=dict)
    """QuPath's preferences that are not as it comes."""
    images: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)

    def add_image(
        self,
        slide: Path | str,
        size: tuple[int, int],
        *,
        objects: Path | None = None,
        mpp: float | None = 0.25,
        name: str = "",
        builder: dict[str, Any] | str | None = "uri",
        args: Sequence[str] = (),
        broken: str = "",
        damaged: bool = False,
    ) -> QuPath:
        uri = slide.as_uri() if isinstance(slide, Path) else slide
        self.images.append(
            {
                "entry": str(len(self.images) + 1),
                "name": name or str(slide).rsplit("/", 1)[-1],
                "uris": [uri],
                "width": size[0],
                "height": size[1],
                "mpp": None if mpp is None else [mpp, mpp],
                "objects": None if objects is None else str(objects),
                "args": list(args),
                "broken": broken,
                "damaged": damaged,
            }
        )
        if builder != "uri":
            self.images[-1]["builder"] = builder
        return self

    def run(self, script: str, **how: Any) -> QuPath:
        self.steps.append({"script": str(SCRIPTS / f"{script}.groovy"), "image": 0, **how})
        return self

    def call(self, script: str, function: str, *arguments: Any, **how: Any) -> QuPath:
        """Call a function; `fields`: settings of the script by name. {"file": path} is a file there."""
        return self.run(script, call=function, args=arguments, **how)

    @property
    def written(self) -> Path:
        """The folder in the project that the scripts write to."""
        assert self.project is not None
        return self.project / "slidemitosis"

    def reports(self) -> list[dict[str, Any]]:
        """Do the steps in one Groovy, and return a report of each."""
        scenario = {
            "qupath": self.version,
            "project": None if self.project is None else str(self.project),
            "settings": self.settings,
            "preferences": self.preferences,
            "images": self.images,
            "steps": self.steps,
        }
        told = self.folder / "scenario.json"
        told.write_text(json.dumps(scenario), encoding="utf-8")
        return self.groovy.play(told)


def results(qupath: QuPath) -> list[Any]:
    """Return what the called functions returned, or the reason for which they refused."""
    found = qupath.reports()
    assert {r["error_class"] for r in found} <= {None, "IllegalStateException"}, found
    return [r["error"] or r.get("result") for r in found]


def python_of_this_repository(folder: Path) -> str:
    """Return a Python whose `-I -m slidemitosis` is this repository's: this one, or a script that does so."""
    asked = [sys.executable, "-I", "-c", "import slidemitosis; print(slidemitosis.__file__)"]
    place = subprocess.run(asked, capture_output=True, text=True, check=False, cwd=folder).stdout.strip()
    if place and Path(place).resolve().is_relative_to(REPOSITORY):
        return sys.executable
    entry = folder / "entry.py"
    entry.write_text(
        f"import sys\nsys.path.insert(0, {str(REPOSITORY)!r})\n"
        'if __name__ == "__main__":\n    from slidemitosis.cli import main\n\n    raise SystemExit(main())\n',
        encoding="utf-8",
    )
    command = folder / "python of these tests"
    command.write_text(
        "#!/bin/sh\n"
        'test "$1 $2 $3" = "-I -m slidemitosis" || exit 99\n'
        "shift 3\n"
        f'exec "{sys.executable}" -I "{entry}" "$@"\n',
        encoding="utf-8",
    )
    command.chmod(0o755)
    return str(command)


def classes(report: dict[str, Any]) -> dict[str, str]:
    """Return the classes of a report's objects by id."""
    return {o["id"]: class_of(o) for o in report["objects"]}


def class_of(feature: dict[str, Any]) -> str:
    stated = feature["properties"].get("classification") or {"name": "Unclassified"}
    return ": ".join(stated.get("names") or [stated["name"]])


def polygon(x: float, y: float, half: float = 20) -> dict[str, Any]:
    """Return a square around a centre."""
    corners = [(-half, -half), (half, -half), (half, half), (-half, half), (-half, -half)]
    return {"type": "Polygon", "coordinates": [[[x + dx, y + dy] for dx, dy in corners]]}
