"""Files that are no longer where a list or a project says: looked for by name in folders of the user's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def is_there(place: Path) -> bool:
    """Whether something is at a path that somebody else wrote down, which need not be a usable one."""
    try:
        return place.exists()
    except (OSError, ValueError):  # a name that is too long or holds a null, or a share that is off
        return False


def find_by_name(names: Collection[str], folders: Sequence[Path]) -> dict[str, list[Path]]:
    """Every file of each name in the folders and all theirs, as absolute paths, sorted.

    A file that is reached twice, by folders that overlap or by links, counts once; links are not followed
    into folders. Nothing is walked where there are no names. Raises InvalidOption for what is no folder.
    """
    for folder in folders:
        if not (is_there(folder) and folder.is_dir()):
            raise InvalidOption(f"--search {folder}: not a folder")
    places: dict[str, dict[Path, Path]] = {name: {} for name in names}
    for folder in dict.fromkeys(f.resolve() for f in folders) if places else ():
        for parent, below, files in os.walk(folder):
            below.sort()  # so that of two links to one file it is always the same that is taken
            for name in places.keys() & files:
                place = Path(parent, name)
                if is_there(place):
                    places[name].setdefault(place.resolve(), place)
    return {name: sorted(found.values()) for name, found in places.items()}
