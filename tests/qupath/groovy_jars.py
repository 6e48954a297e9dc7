"""Fetch the Groovys of QuPath by Maven: `python -m tests.qupath.groovy_jars FOLDER`."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

VERSIONS = ("4.0.26", "5.0.4")
"""Of QuPath 0.6 (0.4 and 0.5 come with an earlier 4.0) and 0.7."""
_PLUGIN = "3.7.0"
_GROOVY = "org.apache.groovy"
_GROUPS = {"gson": "com.google.code.gson"}
# QuPath brings these parts of Groovy and no others: not groovy-json, for one. With the SHA-256 of each.
_JARS = (
    ("groovy", "4.0.26", ("ae3196ed31fa11e8506f9c40a6b34fdaff06a8eeda78a8a6ebaeb1a2a0ad35dc")),
    ("groovy-jsr223", "4.0.26", ("5675036562faebfcaf6786bcca24554b4796a4f66ee7cc158f9e70bd6a2d684e")),
    ("groovy-xml", "4.0.26", ("15999fecdac14206c1619e5fccbe210ccf8567faa1ba503a4324a51e4d7a709b")),
    ("groovy", "5.0.4", ("35d6e6a658ebf549c736c06fbaf370521a3a72e3a044f6a868b33a0844d40d6c")),
    ("groovy-jsr223", "5.0.4", ("0dffbb03cfde9c7b6cf03080a8c18827d04f86b83c61a7bf21d2a906498d1395")),
    ("groovy-xml", "5.0.4", ("bad962021645d20a1c7c297d4d18f42f2d07599777381811dfda059d748f562d")),
    ("gson", "2.10.1", ("4241c14a7727c34feea6507ec801318a3d4a90f070e4525681079fb94ee4c593")),
)


def fetch(folder: Path) -> None:
    """Put the jars that are not there yet into a folder. Raises ValueError for one that is another.

    Maven fetches them, from wherever this machine gets its jars; raises CalledProcessError where it cannot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, version, expected in _JARS:
        target = folder / f"{name}-{version}.jar"
        if target.exists():
            continue
        artifact = f"{_GROUPS.get(name, _GROOVY)}:{name}:{version}"
        copy = f"org.apache.maven.plugins:maven-dependency-plugin:{_PLUGIN}:copy"
        words = ["mvn", "-q", "-B", copy, f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"]
        subprocess.run(words, check=True, timeout=300)
        if hashlib.sha256(target.read_bytes()).hexdigest() != expected:
            target.unlink()
            raise ValueError(f"{artifact}: is not the file that was expected")


def class_path(folder: Path, version: str) -> list[Path] | None:
    """Return one Groovy's jars and Gson; None where one is missing."""
    wanted = [(name, of) for name, of, _ in _JARS if of == version or name == "gson"]
    jars = [folder / f"{name}-{of}.jar" for name, of in wanted]
    return jars if all(jar.exists() for jar in jars) else None


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
