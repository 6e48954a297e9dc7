"""Whether the scripts for QuPath are in its folder, and whether they are of this version."""

from __future__ import annotations

from pathlib import Path

from slidemitosis.doctor.check import Check
from slidemitosis.errors import InvalidOption
from slidemitosis.qupath.scripts import FOLDER, MENU, STAMP, default_scripts_folder, list_scripts

_INSTALL = "slidemitosis qupath install"


def check_scripts(home: Path | None = None) -> Check:
    """Return whether QuPath's user folder of this home has the scripts of this version."""
    try:
        folder = default_scripts_folder(home or Path.home())
    except InvalidOption:
        return Check(
            "QuPath", "note", "no user folder of QuPath 0.4 or later is where it usually is", _INSTALL
        )
    of_qupath = folder.parent.name
    # The script of the menu is there only where it was asked for.
    there = [folder / FOLDER / script.name for script in list_scripts() if script.name != MENU]
    if not all(path.is_file() for path in there):
        return Check("QuPath", "note", f"{of_qupath}: the scripts are not there", _INSTALL)
    if not all(path.read_bytes().startswith(STAMP.encode()) for path in there):
        return Check("QuPath", "warning", f"{of_qupath}: the scripts are of another version", _INSTALL)
    return Check("QuPath", "ok", f"{of_qupath}: the scripts are there")
