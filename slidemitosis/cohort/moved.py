"""Files that are no longer where a list says: looked for by name in folders that the user names."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from slidemitosis.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def find_moved(search: Sequence[Path]) -> Callable[[Path], Path | str]:
    """A function that gives a file's present place, or one line that says why it has none.

    A file that is where the list says is taken from there. Any other is taken from the folders of `search`
    if exactly one file in them, at whatever depth, has its name. Raises InvalidOption for what is no folder.
    """
    for folder in search:
        if not folder.is_dir():
            raise InvalidOption(f"--search {folder}: not a folder")
    places: dict[str, list[Path]] | None = None

    def find(path: Path) -> Path | str:
        nonlocal places
        if path.exists():
            return path
        if not search:
            return f"{path}: no such file; if it was moved, name the folder that holds it with --search"
        if places is None:
            places = _files(search)
        # A list made on another system may write "C:\\slides\\a.svs".
        name = min(PurePosixPath(str(path)).name, PureWindowsPath(str(path)).name, key=len)
        found = places.get(name, [])
        if len(found) == 1:
            return found[0]
        looked = ", ".join(map(str, search))
        if not found:
            return f"{path}: no such file, and no {name} in {looked}"
        return f"{path}: no such file, and several of its name in {looked}: {', '.join(map(str, found[:3]))}"

    return find


def _files(search: Sequence[Path]) -> dict[str, list[Path]]:
    """Every file below these folders by its name, each once, links not followed into folders."""
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for folder in dict.fromkeys(p.resolve() for p in search):
        for parent, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                path = Path(parent, name)
                if path not in found[name]:
                    found[name].append(path)
    return found
