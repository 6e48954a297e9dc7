"""List the scripts for QuPath that come with this package, and copy them to QuPath's user scripts."""

from __future__ import annotations

import hashlib
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from slidemitosis._version import __version__
from slidemitosis.errors import InvalidOption, OutputError
from slidemitosis.files import write_whole

FOLDER = "slidemitosis"
"""Folder among QuPath's user scripts: the name of a menu of its own."""
OLDEST = (0, 4)
"""The oldest QuPath that runs the scripts."""
# The one line that names the Python; the installed copy states it.
_PYTHON = re.compile(r"^@Field String PYTHON = null$", re.M)
_STAMP = re.compile(r"\A// Installed by slidemitosis \S+; SHA-256 of the rest: ([0-9a-f]{64})\n")

Outcome = Literal["installed", "updated", "unchanged", "replaced"]


@dataclass(frozen=True, slots=True)
class InstalledScript:
    """The outcome of installing one script."""

    path: Path
    outcome: Outcome
    """"replaced": a file that was not as installed, which is kept in `backup`."""
    backup: Path | None = None


def shipped_scripts() -> Path:
    """Return the folder of the scripts that come with this package.

    In a wheel it lies inside the package; in a source or editable checkout at the top level.
    """
    package = Path(__file__).resolve().parents[1]
    installed = package / "shipped_qupath_scripts"
    return installed if installed.is_dir() else package.parent / "qupath_scripts"


def list_scripts() -> tuple[Path, ...]:
    """Return every script that comes with this package, sorted by name."""
    return tuple(sorted(shipped_scripts().glob("*.groovy")))


def default_scripts_folder(home: Path) -> Path:
    """Return where the newest QuPath of this home lists user scripts: ~/QuPath/v0.6/scripts.

    QuPath proposes ~/QuPath/v0.6 for its user directory at its first start. Where another was chosen, only
    QuPath knows it. Raises InvalidOption if no such folder is there.
    """
    found = {
        version: folder
        for folder in (home / "QuPath").glob("v*")
        if folder.is_dir() and (version := _version(folder.name)) >= OLDEST
    }
    if not found:
        raise InvalidOption(
            f"{home / 'QuPath'}: holds no user directory of QuPath 0.4 or later; pass --scripts-dir, with "
            "the folder that QuPath opens at Automate > User scripts > Open script directory"
        )
    return found[max(found)] / "scripts"


def check_scripts_folder(folder: Path) -> None:
    """Raise InvalidOption for a folder that does not look like QuPath's script directory.

    It does if it holds scripts, or if it is the folder "scripts" of a user directory of QuPath, which has the
    name of a version.
    """
    holds_scripts = any(folder.glob("*.groovy")) or any(folder.glob("*/*.groovy"))
    is_of_qupath = folder.name == "scripts" and _version(folder.absolute().parent.name) >= OLDEST
    if not (holds_scripts or is_of_qupath):
        raise InvalidOption(
            f"{folder}: does not look like QuPath's script directory: it holds no script, and is not such as "
            "QuPath/v0.6/scripts; see Automate > User scripts > Open script directory in QuPath, or pass "
            "--create if it is the right one"
        )


def _version(name: str) -> tuple[int, ...]:
    """Return (0, 6) for v0.6, and () for what is no version."""
    match = re.fullmatch(r"v(\d+)\.(\d+)", name)
    return tuple(map(int, match.groups())) if match else ()


def check_python(python: str) -> None:
    """Raise InvalidOption unless this Python finds slidemitosis as the scripts will start it."""
    words = [python, "-I", "-m", "slidemitosis", "--version"]
    try:
        done = subprocess.run(words, capture_output=True, check=False)  # noqa: S603 (our own Python)
    except OSError as e:
        raise InvalidOption(f"{python or 'Python'}: cannot be started: {e.strerror}") from e
    if done.returncode != 0:
        raise InvalidOption(
            f"{python}: does not find slidemitosis when QuPath starts it (-I -m slidemitosis); install the "
            "package in it with pip, without --user, and run this again"
        )


def install_scripts(scripts_folder: Path, python: str) -> list[InstalledScript]:
    """Copy the scripts to the folder "slidemitosis" of QuPath's user scripts, and fill in the path of Python.

    A file there that is not as it was installed, because a user has changed it, is kept as a backup. Raises
    OutputError.
    """
    folder = scripts_folder / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise OutputError(f"{folder}: cannot be made: {e.strerror}; choose another --scripts-dir") from e
    return [_install(script, folder / script.name, python) for script in list_scripts()]


def _install(script: Path, target: Path, python: str) -> InstalledScript:
    text = _PYTHON.sub(lambda _: f"@Field String PYTHON = {_groovy_text(python)}", _read(script))
    text = f"// Installed by slidemitosis {__version__}; SHA-256 of the rest: {_sha256(text)}\n{text}"
    if not target.exists():
        write_whole(target, text.encode())
        return InstalledScript(target, "installed")
    there = _read(target)
    if there == text:
        return InstalledScript(target, "unchanged")
    stamp = _STAMP.match(there)
    as_installed = stamp is not None and stamp[1] == _sha256(there[stamp.end() :])
    backup = None if as_installed else _keep(target)
    write_whole(target, text.encode())
    return InstalledScript(target, "updated" if backup is None else "replaced", backup)


def _read(path: Path) -> str:
    """Return a text to compare and to hash: bytes that are not UTF-8 make a difference, not an error."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as e:
        raise OutputError(f"{path}: cannot be read: {e.strerror}; choose another --scripts-dir") from e


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _keep(path: Path) -> Path:
    """Rename a file so that QuPath, which lists *.groovy, does not show it."""
    for end in ("", *range(2, 101)):
        backup = path.with_name(f"{path.name}.bak{end}")
        if not backup.exists():
            try:
                return path.rename(backup)
            except OSError as e:
                raise OutputError(f"{path}: cannot be renamed: {e.strerror}; close it in QuPath") from e
    raise OutputError(f"{path}: has a hundred backups; remove those that are not needed")


def _groovy_text(text: str) -> str:
    """Return a Groovy literal in ASCII, which is the same in whatever encoding a script is read."""
    units = text.replace("\\", "\\\\").replace("'", "\\'").encode("utf-16-be", "surrogatepass")
    codes = [int.from_bytes(units[i : i + 2]) for i in range(0, len(units), 2)]
    return "'" + "".join(chr(c) if 32 <= c < 127 else f"\\u{c:04x}" for c in codes) + "'"
