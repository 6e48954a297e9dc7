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
NEWEST = "v0.7"
"""The name that the newest QuPath that was tried proposes for its user directory."""
USER_DIRECTORY = "Edit > Preferences > Extensions > QuPath user directory"
# The one line that names the Python; the installed copy states it.
_PYTHON = re.compile(r"^@Field String PYTHON = null$", re.M)
STAMP = f"// Installed by slidemitosis {__version__};"
"""How an installed script of this version begins."""
_STAMP = re.compile(r"\A// Installed by slidemitosis \S+; SHA-256 of the rest: ([0-9a-f]{64})\n")

_REMOVED = re.compile(r"^@Field boolean REMOVED = false$", re.M)
MENU = "slidemitosis_menu.groovy"
"""The startup script that adds a menu."""
_FORMER = "startup_before.txt"
"""Beside it once QuPath has run it: the path of the startup script that was there before, or nothing."""

Outcome = Literal["installed", "updated", "unchanged", "replaced", "removed", "kept", "at next start"]


@dataclass(frozen=True, slots=True)
class InstalledScript:
    """The outcome of installing or uninstalling one script."""

    path: Path
    outcome: Outcome
    """"replaced": a file that was not as installed, which is kept in `backup`. "kept": the same, left alone.
    "at next start": the menu, which goes when QuPath runs it the next time."""
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


def default_scripts_folder(home: Path, *, create: bool = False) -> Path:
    """Return where the newest QuPath of this home lists user scripts: ~/QuPath/v0.6/scripts.

    A fresh QuPath has no user directory until one is chosen, for which it proposes ~/QuPath/v0.6. Where
    another was chosen, only QuPath knows it. create: return that of the newest QuPath that was tried where
    none is there. Raises InvalidOption if none is there.
    """
    found = {
        version: folder
        for folder in (home / "QuPath").glob("v*")
        if folder.is_dir() and (version := _version(folder.name)) >= OLDEST
    }
    if not found and not create:
        raise InvalidOption(
            f"{home / 'QuPath'}: holds no user directory of QuPath 0.4 or later; choose one in QuPath at "
            f"{USER_DIRECTORY}, and pass its folder scripts as --scripts-dir, or pass --create, which makes "
            f"{home / 'QuPath' / NEWEST}"
        )
    return found[max(found)] / "scripts" if found else home / "QuPath" / NEWEST / "scripts"


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


def install_scripts(scripts_folder: Path, python: str, *, menu: bool = False) -> list[InstalledScript]:
    """Copy the scripts to the folder "slidemitosis" of QuPath's user scripts, and fill in the path of Python.

    menu: also that which adds a menu; one that is there is brought up to date in any case. A file there that
    is not as it was installed, because a user has changed it, is kept as a backup. Raises OutputError.
    """
    folder = scripts_folder / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise OutputError(f"{folder}: cannot be made: {e.strerror}; choose another --scripts-dir") from e
    wanted = [s for s in list_scripts() if s.name != MENU or menu or (folder / MENU).exists()]
    return [_install(script, folder / script.name, python) for script in wanted]


def uninstall_scripts(scripts_folder: Path) -> list[InstalledScript]:
    """Remove what `install_scripts` has put there; a file that a user has changed is left alone.

    The menu is in QuPath's preferences, which QuPath alone changes: its script stays until QuPath has run it
    once more. Raises OutputError.
    """
    folder = scripts_folder / FOLDER
    found = [folder / script.name for script in list_scripts() if (folder / script.name).exists()]
    outcomes = [_uninstall(path) for path in found]
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    return outcomes


def _uninstall(path: Path) -> InstalledScript:
    text = _read(path)
    if not _is_as_installed(text):
        return InstalledScript(path, "kept")
    if path.name == MENU and path.with_name(_FORMER).exists():
        body = _REMOVED.sub("@Field boolean REMOVED = true", text.partition("\n")[2])
        write_whole(path, _stamped(body).encode())
        return InstalledScript(path, "at next start")
    try:
        path.unlink()
    except OSError as e:
        raise OutputError(f"{path}: cannot be removed: {e.strerror}; close it in QuPath") from e
    return InstalledScript(path, "removed")


def run_menu(qupath: str, scripts_folder: Path) -> None:
    """Let QuPath run the menu's script without its windows, which settles its startup script at once.

    qupath: QuPath's program. Raises InvalidOption where it cannot be started or fails.
    """
    words = [qupath, "script", str((scripts_folder / FOLDER / MENU).absolute())]
    try:
        done = subprocess.run(words, capture_output=True, check=False, text=True, errors="replace")  # noqa: S603
    except OSError as e:
        raise InvalidOption(f"{qupath}: cannot be started: {e.strerror}; pass QuPath's program") from e
    if "slidemitosis: the menu " not in done.stdout + done.stderr:
        raise InvalidOption(
            f"{qupath}: did not run {words[-1]} (code {done.returncode}); run it in QuPath's script editor"
        )


def has_menu(scripts_folder: Path) -> bool:
    """Tell whether QuPath has run the menu's script, so that it runs it at each start."""
    return (scripts_folder / FOLDER / _FORMER).exists()


def _stamped(text: str) -> str:
    return f"{STAMP} SHA-256 of the rest: {_sha256(text)}\n{text}"


def _is_as_installed(text: str) -> bool:
    stamp = _STAMP.match(text)
    return stamp is not None and stamp[1] == _sha256(text[stamp.end() :])


def _install(script: Path, target: Path, python: str) -> InstalledScript:
    text = _PYTHON.sub(lambda _: f"@Field String PYTHON = {_groovy_text(python)}", _read(script))
    text = _stamped(text)
    if not target.exists():
        write_whole(target, text.encode())
        return InstalledScript(target, "installed")
    there = _read(target)
    if there == text:
        return InstalledScript(target, "unchanged")
    backup = None if _is_as_installed(there) else _keep(target)
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
