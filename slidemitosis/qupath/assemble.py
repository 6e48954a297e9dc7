"""Put the scripts for QuPath together: `python -m slidemitosis.qupath.assemble`, run in a checkout.

QuPath runs a script as one file, and Groovy has no include. So what is a script's own is an action in
`groovy/actions/`, and what scripts share is a part in `groovy/parts/`. The end of an action names its
parts. The whole scripts in `qupath_scripts/` are checked in: no build or installation puts them together.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.files import write_whole
from slidemitosis.qupath.scripts import shipped_scripts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SOURCES = Path(__file__).with_name("groovy")
_NOTE = """\
// Put together from slidemitosis/qupath/groovy: an action, and the parts between ">>>" and "<<<". Change
// only settings here; change anything else there, and run: python -m slidemitosis.qupath.assemble
"""
_IMPORTS = re.compile(r"^(?:import .+\n+)+", re.M)


def write_scripts(folder: Path) -> None:
    """Write every whole script into a folder that exists. Raises OutputError."""
    parts = {path.stem: _read(path) for path in (SOURCES / "parts").glob("*.groovy")}
    for path in (SOURCES / "actions").glob("*.groovy"):
        write_whole(folder / path.name, assemble(_read(path), parts).encode())


def assemble(action: str, parts: Mapping[str, str]) -> str:
    """Return a whole script: an action with the imports of all in place of its own, then the parts.

    action: a text that imports something and ends with `// parts: NAME, NAME`, on one line or, if each begins
    with `//`, on more.
    parts: texts by name. Raises KeyError for a name that is not there.
    """
    own, _, names = action.partition("\n// parts: ")
    taken = {name: parts[name] for name in names.replace("\n//", "").strip().split(", ")}
    imports = f"{_NOTE}\n{_merged_imports([own, *taken.values()])}\n\n"
    sections = [_IMPORTS.sub(lambda _: imports, own)]
    sections += [f"// >>> {name}\n{_IMPORTS.sub('', text)}// <<< {name}\n" for name, text in taken.items()]
    return "\n".join(sections)


def _merged_imports(texts: Iterable[str]) -> str:
    """Return the import lines of some texts, each once and sorted, with the static ones last."""
    found = {line for text in texts for line in text.splitlines() if line.startswith("import ")}
    static = {line for line in found if line.startswith("import static ")}
    return "\n\n".join("\n".join(sorted(lines)) for lines in (found - static, static) if lines)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    write_scripts(shipped_scripts())
