"""Write files and folders whole or not at all, and the lines of CSV tables."""

from __future__ import annotations

import contextlib
import csv
import errno
import functools
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from slidemitosis.errors import OutputError
from slidemitosis.interrupts import interrupts_wait

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator


_STAGE, _EARLIER = ".slidemitosis-", "earlier"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NO_FILES = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def regular(path: Path) -> Path:
    """Return the path of a file that is to be read, or of a folder.

    Raises the system's OSError if nothing is there, and one that says so for a pipe, a socket or a device,
    which may be waited for without end.
    """
    mode = path.stat().st_mode
    kind = next((told for is_kind, told in _NO_FILES if is_kind(mode)), None)
    if kind is not None:
        raise OSError(errno.ESPIPE, f"{kind}, not a file; save what it gives as a file first")
    return path


@contextlib.contextmanager
def writing(what: Path, remedy: str = "; choose another --out") -> Iterator[None]:
    """Raise an OSError of the block as an OutputError that names `what`, the reason and the remedy."""
    try:
        yield
    except OutputError:
        raise
    except OSError as e:
        raise OutputError(f"{what}: cannot be written: {e.strerror or e}{remedy}") from e


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are not there. Raises OutputError."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)


def given_name(folder: Path) -> str:
    """Return a folder's name as it was given, also of a symbolic link; of "." and ".." the folder's own."""
    return folder.name if folder.name not in ("", "..") else folder.resolve().name


@contextlib.contextmanager
def staged_folder(out: Path, *, last: str, gone: Collection[str] = ()) -> Iterator[Path]:
    """Give a temporary folder whose files become `out`'s when the block ends without an error.

    An interrupted or failed run leaves `out` as it was. The file called `last` is the first that is taken
    away and the last that is put there: a folder that holds it holds a whole result, even after a kill.
    Files called `gone` are taken away where none takes their place.
    Raises OutputError, before the block if possible.
    """
    base = out
    with writing(out):
        while not base.exists() and base != base.parent:
            base = base.parent
        if not base.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{base} is not a folder")
        _tidy(base)
        stage, hold = _held_folder(base)
    published = False
    try:
        yield stage
        try:
            # Once it has begun it is done in a moment, and half of it would be neither result.
            with writing(out), interrupts_wait():
                _publish(stage, out, last, gone)
                published = True
        except KeyboardInterrupt as e:
            raise KeyboardInterrupt("the results are written") if published else e from None
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if hold is not None:
            os.close(hold)


def _held_folder(base: Path) -> tuple[Path, int | None]:
    """Make a temporary folder, locked as long as this process lives; return it and what holds the lock.

    Its name then says in which run of which machine. Without a lock, as on Windows, it does not, and is never
    tidied.
    """
    stage = Path(tempfile.mkdtemp(prefix=_STAGE, dir=base))
    if _machine() is None:
        return stage, None
    hold = locked(stage)
    if hold is None:
        return stage, None
    # Only now: whoever finds such a name without a lock knows that its process is dead.
    named = base / f"{_STAGE}{_machine()}-{stage.name.removeprefix(_STAGE)}"
    stage.rename(named)
    return named, hold


def _tidy(base: Path) -> None:
    """Remove temporary folders of processes of this machine, since it was started, that are dead.

    One that a process died in while it replaced earlier results still holds some of these, and stays.
    """
    if _machine() is None:
        return
    for stage in base.glob(f"{_STAGE}{_machine()}-*"):
        hold = locked(stage)
        if hold is not None:
            if not any((stage / _EARLIER).glob("*")):
                shutil.rmtree(stage, ignore_errors=True)
            os.close(hold)


def locked(path: Path) -> int | None:
    """Open a file or folder and lock it, until the descriptor is closed or this process ends; not on Windows.

    Return the descriptor, None where that cannot be, as where another process holds it.
    """
    import fcntl  # noqa: PLC0415 - Windows has none

    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held by another process, or a file system without locks
        os.close(descriptor)
        return None
    return descriptor


@functools.cache
def _machine() -> str | None:
    """Return what tells a machine, since it was started, from every other; None where nothing does."""
    try:
        return _BOOT.read_text(encoding="ascii").strip().replace("-", "")[:16] or None
    except OSError:
        return None


def _publish(stage: Path, out: Path, last: str, gone: Collection[str]) -> None:
    """Move the staged files into `out`; where one cannot be, put back what was there."""
    out.mkdir(parents=True, exist_ok=True)
    earlier = stage / _EARLIER
    earlier.mkdir()
    moves: list[tuple[Path, Path]] = []
    ours = sorted((p for p in stage.iterdir() if p.is_file()), key=lambda p: (p.name == last, p.name))
    try:
        for old in (out / name for name in dict.fromkeys([*(p.name for p in reversed(ours)), *gone])):
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


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; what is written there becomes `path` when the block ends well.

    Nothing is left after an error. Raises the system's OSError as it is.
    """
    # The name of a file has 255 bytes at most.
    name = f".{path.name}.partial" if len(os.fsencode(path.name)) < 240 else ".slidemitosis.partial"
    partial = path.with_name(name)
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write one file whole or not at all. Raises OutputError."""
    with writing(path, remedy=""), whole_file(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 with newlines as they are, the same bytes on every system. Raises OutputError."""
    write_parts(path, (text,))


def write_parts(path: Path, parts: Iterable[str | bytes]) -> None:
    """Write a text that is never in memory as a whole, as `write_text` does; bytes are UTF-8 already."""
    with writing(path), path.open("wb") as file:
        for part in parts:
            file.write(part if isinstance(part, bytes) else part.encode("utf-8", "backslashreplace"))


class _Line:
    """A file for a csv writer, which hands back what is written."""

    def write(self, line: str) -> str:
        return line


_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001 - wide signs count in Japan
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_FIRST = frozenset("'=+-@\t\r\n＝＋－＠")  # noqa: RUF001


def harmless(cell: object) -> object:
    """Return a cell with an apostrophe before it if a spreadsheet would run it as a formula.

    That is a text that begins with = + - @, a tab or a line break, and is no number. `as_meant` undoes it.
    """
    is_formula = isinstance(cell, str) and cell[:1] in _FIRST and _FORMULA.match(cell)
    return f"'{cell}" if is_formula and not _NUMBER.fullmatch(str(cell)) else cell


def as_meant(cell: str) -> str:
    """Return a cell of a CSV without the apostrophe by which `harmless` has made it a text."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell, 1) else cell


def csv_lines(rows: Iterable[Iterable[object]], *, newline: Literal["\n", "\r\n"] = "\n") -> Iterator[str]:
    """Make the lines of a CSV: commas between cells, `newline` at the end, quotes where a cell needs them.

    No cell is a formula to a spreadsheet; see `harmless`.
    """
    # Only a carriage return in the terminator makes Python 3.11 quote a cell that holds one.
    writer = csv.writer(_Line(), lineterminator="\r\n")
    for row in rows:
        line: str = writer.writerow(map(harmless, row))
        yield line.replace("\r\n", newline)
