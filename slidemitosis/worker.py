"""What runs in a reader process: jobs in, pixels into shared memory.

It knows numpy, Pillow and a slide library, and neither torch nor the pool that started it.
"""

from __future__ import annotations

import contextlib
import signal
import time
from multiprocessing.shared_memory import SharedMemory
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from slidemitosis.errors import SlideMitosisError, UnreadableSlide

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from numpy.typing import NDArray

    from slidemitosis.geometry import Window
    from slidemitosis.slides import Slide


def read_patch(slide: Slide, window: Window, patch: int) -> NDArray[np.uint8]:
    """One patch, uint8 (patch, patch, 3) RGB. Raises UnreadableSlide.

    Pixels of another size than the model's are resampled by Pillow's bicubic filter, whose support
    grows with the reduction, so that nothing aliases.
    """
    pixels = slide.read(window.level, window.x, window.y, window.width, window.height)
    if window.box is None:
        return pixels
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((patch, patch), Image.Resampling.BICUBIC, box=window.box))


def slot_views(
    memory: SharedMemory, slot: int, slot_bytes: int, rows: int, patch: int
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """(the row being read, (1,); the pixels, (rows, patch, patch, 3)) of one slot."""
    start = slot * slot_bytes
    buffer = memory.buf
    assert buffer is not None
    progress = np.frombuffer(buffer, np.int64, 1, start)
    pixels = np.frombuffer(buffer, np.uint8, rows * patch * patch * 3, start + 8)
    return progress, pixels.reshape(rows, patch, patch, 3)


class ReopeningSlide:
    """A slide that is opened again after an error, since a handle is useless after one."""

    def __init__(self, open_slide: Callable[[], Slide], patch: int) -> None:
        self._open_slide = open_slide
        self._patch = patch
        self._slide: Slide | None = open_slide()

    def read_into(self, out: NDArray[np.uint8], window: Window) -> str | None:
        """Write one patch into `out`; the reason if it cannot be read, after a second try."""
        reason = None
        for _ in range(2):
            try:
                if self._slide is None:
                    self._slide = self._open_slide()
                out[...] = read_patch(self._slide, window, self._patch)
            except UnreadableSlide as e:
                reason = str(e)
                self.close()
            else:
                return None
        return reason

    def close(self) -> None:
        """Close the slide, if one is open."""
        if self._slide is not None:
            self._slide.close()
            self._slide = None


def work(
    connection: Connection, open_slide: Callable[[], Slide], memory_name: str, slot_bytes: int, patch: int
) -> None:
    """A worker's life: take jobs from the pipe until it closes."""
    # Ctrl-C reaches every process of the terminal; the parent decides, and ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        reader = ReopeningSlide(open_slide, patch)
    except SlideMitosisError as e:
        _send(connection, ("cannot open", e))
        return
    memory = SharedMemory(memory_name)
    _send(connection, ("ready", None))
    with contextlib.closing(reader):
        while (job := _receive(connection)) is not None:
            slot, first, rows, windows = job
            progress, pixels = slot_views(memory, slot, slot_bytes, rows, patch)
            failures: dict[int, str] = {}
            started = time.perf_counter()
            for row, window in enumerate(windows, first):
                progress[0] = row
                reason = reader.read_into(pixels[row], window)
                if reason is not None:
                    failures[row] = reason
            del progress, pixels
            if not _send(connection, ("done", (failures, time.perf_counter() - started))):
                break
    memory.close()


def _send(connection: Connection, message: tuple[str, Any]) -> bool:
    """False if the parent is gone."""
    try:
        connection.send(message)
    except OSError:
        return False
    return True


def _receive(connection: Connection) -> Any:
    """The next job; None if the parent is gone."""
    try:
        return connection.recv()
    except (EOFError, OSError):
        return None
