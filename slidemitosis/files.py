"""Write files whole or not at all, and text tables line by line."""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from slidemitosis.errors import OutputError
from slidemitosis.interrupts import interrupts_wait

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@contextlib.contextmanager
def staged_folder(out: Path, *, last: str) -> Iterator[Path]:
    """A temporary folder whose files become `out`'s when the block ends without an error.

    An interrupted or failed run leaves `out` as it was. The file called `last` is the first that is taken away
    and the last that is put there: a folder that holds it holds a whole result, even after a kill. Raises
    OutputError, before the block if possible.
    """
    base = out
    try:
        while not base.exists() and base != base.parent:
            base = base.parent
        if not base.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{base} is not a folder")
        stage = Path(tempfile.mkdtemp(prefix=".slidemitosis-", dir=base))
    except OSError as e:
        raise OutputError(f"{out}: cannot be written: {e.strerror}; choose another --out") from e
    published = False
    try:
        yield stage
        try:
            # Once it has begun it is done in a moment, and half of it would be neither result.
            with interrupts_wait():
                _publish(stage, out, last)
                published = True
        except KeyboardInterrupt as e:
            raise KeyboardInterrupt("the results are written") if published else e from None
        except OSError as e:
            raise OutputError(f"{out}: cannot be written: {e.strerror}; choose another --out") from e
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _publish(stage: Path, out: Path, last: str) -> None:
    """Move the staged files into `out`; where one cannot be, put back what was there."""
    out.mkdir(parents=True, exist_ok=True)
    earlier = stage / "earlier"
    earlier.mkdir()
    moves: list[tuple[Path, Path]] = []
    ours = sorted((p for p in stage.iterdir() if p.is_file()), key=lambda p: (p.name == last, p.name))
    try:
        for old in (out / new.name for new in reversed(ours)):
            if old.is_dir():
                raise IsADirectoryError(errno.EISDIR, f"{old.name} is a folder there")
            if old.exists():
                _move(old, earlier / old.name, moves)
        for new in ours:
            _move(new, out / new.name, moves)
    except OSError:
        for source, target in reversed(moves):
            target.replace(source)
        raise


def _move(source: Path, target: Path, moves: list[tuple[Path, Path]]) -> None:
    source.replace(target)
    moves.append((source, target))


def write_text(path: Path, text: str) -> None:
    """UTF-8 with newlines as they are, the same bytes on every system. Raises OutputError."""
    write_parts(path, (text,))


def write_parts(path: Path, parts: Iterable[str | bytes]) -> None:
    """`write_text` of a text that is never in memory as a whole; bytes are UTF-8 already."""
    try:
        with path.open("wb") as file:
            for part in parts:
                file.write(part if isinstance(part, bytes) else part.encode("utf-8", "backslashreplace"))
    except OSError as e:
        raise OutputError(f"{path}: cannot be written: {e.strerror}; choose another --out") from e


def write_whole(path: Path, data: bytes) -> None:
    """Write one file whole or not at all. Raises OutputError."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        try:
            partial.write_bytes(data)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as e:
        raise OutputError(f"{path}: cannot be written: {e.strerror or e}") from e
