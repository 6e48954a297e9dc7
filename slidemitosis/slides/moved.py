"""Look by name for slides that are no longer where a list or a QuPath project says."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def is_there(place: Path) -> bool:
    """Tell whether a file or folder is at a path, which comes from a file and may be no usable path."""
    try:
        return place.exists()
    except (OSError, ValueError):  # a name that is too long or holds a null, or an unreachable share
        return False


def place_of(path: Path) -> object:
    """Return what tells a file from every other, whatever name it goes by: another case, a link, or accents
    in another of Unicode's two forms. Where nothing is there, the path is returned.
    """
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return path.absolute()
    return stat.st_dev, stat.st_ino


def as_it_is_there(path: Path) -> Path:
    """Return a path with the accents of its name in the form in which the folder has them.

    A list that was made on a Mac writes them in parts, most other systems in one.
    """
    if is_there(path):
        return path
    name = unicodedata.normalize("NFC", path.name)
    forms = (path.with_name(unicodedata.normalize(form, name)) for form in ("NFC", "NFD")) if name else ()
    return next((p for p in forms if is_there(p)), path)


def find_by_name(names: Collection[str], folders: Sequence[Path]) -> dict[str, list[Path]]:
    """Find all files of each name in folders and their subfolders; return them as absolute paths, sorted.

    A file that is found twice, because folders overlap or by a link, counts once; links to folders are not
    followed. Without names no folder is searched. Raises InvalidOption if one of `folders` is no folder.
    """
    for folder in folders:
        if not (is_there(folder) and folder.is_dir()):
            raise InvalidOption(f"--search {folder}: not a folder")
    places: dict[str, dict[Path, Path]] = {name: {} for name in names}
    for folder in dict.fromkeys(f.resolve() for f in folders) if places else ():
        for parent, below, files in os.walk(folder):
            below.sort()  # so that the same one of two links to a file is always taken
            for name in places.keys() & files:
                place = Path(parent, name)
                if is_there(place):
                    places[name].setdefault(place.resolve(), place)
    return {name: sorted(found.values()) for name, found in places.items()}
