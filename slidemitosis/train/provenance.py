"""Tell what a result was made with: versions, and the state of the source."""

from __future__ import annotations

import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from slidemitosis._version import __version__

_PACKAGES = ("torch", "timm", "torchvision", "numpy", "scikit-learn", "peft", "optuna")


def versions() -> dict[str, str | None]:
    """Return versions of Python, of this package and of those it depends on; None for one that is absent.

    "source" is the commit of a checkout, with "+changes" where files differ from it.
    """
    found: dict[str, str | None] = {
        "python": platform.python_version(),
        "slidemitosis": __version__,
        "source": _commit(Path(__file__).resolve().parent),
    }
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def _commit(folder: Path) -> str | None:
    """Return the commit of the checkout at `folder`; None without git or outside a checkout."""
    git = shutil.which("git")
    if git is None:
        return None

    def ask(*words: str) -> str | None:
        done = subprocess.run([git, "-C", str(folder), *words], capture_output=True, text=True, check=False)  # noqa: S603
        return done.stdout.strip() if done.returncode == 0 else None

    # An installed copy inside somebody else's repository is not that repository's source.
    if ask("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None
    commit = ask("rev-parse", "HEAD")
    return f"{commit}+changes" if commit and ask("status", "--porcelain") else commit
