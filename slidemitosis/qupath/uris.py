"""Find the file that a URI of QuPath names, and where it is after a project was moved; pure.

A project may have been made on another system, so a path is a PurePath of that system.
"""

from __future__ import annotations

import os
import re
from itertools import takewhile
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from urllib.parse import unquote

_DRIVE = re.compile(r"/?[A-Za-z]:(?=/|$)")


def path_of(uri: str) -> PurePath | None:
    """Return the path in a `file:` URI; None for any other URI.

    Java writes `file:/C:/a.svs` and `file:/home/a.svs`, others `file:///C:/a.svs`; a Windows share is
    `file://server/share/a.svs` or `file:////server/share/a.svs`.
    """
    scheme, _, rest = uri.partition(":")
    if scheme.lower() != "file" or not rest.startswith("/"):
        return None
    text = unquote(rest)
    if "\0" in text:
        return None
    share = ""
    if text.startswith("//") and not text.startswith("///"):
        host, _, text = text[2:].partition("/")
        text = f"/{text}"
        share = "" if host.lower() == "localhost" else f"//{host}"
    elif text.startswith("////"):
        share, text = "/", text[3:]
    else:
        text = "/" + text.lstrip("/")
    if share:
        return PureWindowsPath(f"{share}{text}")
    if _DRIVE.match(text):
        return PureWindowsPath(text.removeprefix("/"))
    return PurePosixPath(text)


def here(path: PurePath) -> Path | None:
    """Return `path` as a path of this system; None where it cannot be one, such as C:/a.svs on Linux."""
    usable = Path(path.as_posix())
    return usable if usable.is_absolute() else None


def moved_along(path: PurePath, old: PurePath, new: Path) -> Path | None:
    """Return where `path` is if it was moved together with the folder `old`, which is now `new`.

    As QuPath does. None where the two have no relative path, being of different drives or systems.
    """
    if type(path) is not type(old) or path.anchor.casefold() != old.anchor.casefold():
        return None
    # Names of Windows do not differ by their case alone.
    fold = str.casefold if isinstance(path, PureWindowsPath) else str
    pairs = zip(path.parts, old.parts, strict=False)
    common = sum(1 for _ in takewhile(lambda pair: fold(pair[0]) == fold(pair[1]), pairs))
    up = [".."] * (len(old.parts) - common)
    return Path(os.path.normpath(new.joinpath(*up, *path.parts[common:])))
