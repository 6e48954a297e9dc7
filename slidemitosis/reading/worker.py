"""Run a reader process: take jobs from its pipe, and write pixels into shared memory.

It knows numpy, Pillow and a slide library, and neither torch nor the pool that started it.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from slidemitosis.errors import ReadingFailed, SlideMitosisError, UnreadableSlide
from slidemitosis.interrupts import leave_interrupts_to_parent
from slidemitosis.limits import READER_MEMORY, lacking, limit_memory
from slidemitosis.reading.processes import GONE, receive, send
from slidemitosis.reading.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from numpy.typing import NDArray

    from slidemitosis.reading.slots import SlotLayout
    from slidemitosis.reading.windows import Window
    from slidemitosis.slides.slide import Slide


def read_patch(slide: Slide, window: Window, patch: int) -> NDArray[np.uint8]:
    """Read one patch, uint8 (patch, patch, 3) RGB. Raises UnreadableSlide.

    Pixels of another size than the model's are resampled by Pillow's bicubic filter, whose support
    grows with the reduction, so that nothing aliases.
    """
    pixels = slide.read(window.level, window.x, window.y, window.width, window.height)
    if window.box is None:
        return pixels
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((patch, patch), Image.Resampling.BICUBIC, box=window.box))


class ReopeningSlide:
    """A slide that is opened again after an error, since a handle is useless after one."""

    def __init__(self, open_slide: Callable[[], Slide], patch: int) -> None:
        self._open_slide = open_slide
        self._patch = patch
        self._slide: Slide | None = open_slide()

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Read one patch, uint8 (patch, patch, 3) RGB. Raises UnreadableSlide if a second try fails too."""
        try:
            return self._read_once(window)
        except UnreadableSlide:
            return self._read_once(window)

    def _read_once(self, window: Window) -> NDArray[np.uint8]:
        try:
            if self._slide is None:
                self._slide = self._open_slide()
            return read_patch(self._slide, window, self._patch)
        except UnreadableSlide as e:
            self.close()
            if (what := lacking(e)) is not None:  # the figure can be read, by a machine that gives more
                raise ReadingFailed(f"the slide cannot be read on: {what}") from e
            raise

    def close(self) -> None:
        """Close the slide, if one is open."""
        if self._slide is not None:
            self._slide.close()
            self._slide = None


def work(connection: Connection, layout: SlotLayout, name: str) -> None:
    """Take slides and jobs from the pipe until it closes.

    layout, name: of the shared memory for the patches.
    """
    leave_interrupts_to_parent()
    limit_memory(READER_MEMORY)
    try:
        _work(connection, layout, name)
    except Exception as e:
        if lacking(e) is None:
            raise
        sys.exit(1)  # which its parent answers, and says at last


def _work(connection: Connection, layout: SlotLayout, name: str) -> None:
    slots = Slots(layout, name)
    reader: ReopeningSlide | None = None
    failure: SlideMitosisError | None = None
    send(connection, ("ready", None))
    with contextlib.closing(slots):
        while (message := receive(connection)) is not GONE:
            kind, value = message
            if kind == "slide":
                if reader is not None:
                    reader.close()
                reader = failure = None
                try:
                    reader = ReopeningSlide(value, layout.patch) if value else None
                except SlideMitosisError as e:
                    failure = e
                continue
            slot, windows = value
            answer: tuple[str, Any] = ("cannot open", failure)
            if reader is not None:
                try:
                    answer = ("done", _read(reader, slots, slot, windows))
                except ReadingFailed as e:
                    answer = ("cannot open", e)
            if not send(connection, answer):
                break


def _read(
    reader: ReopeningSlide, slots: Slots, slot: int, windows: list[tuple[int, Window]]
) -> tuple[dict[int, str], float]:
    """Read a job's windows into its slot; return why rows could not be read, by row, and the seconds."""
    failures: dict[int, str] = {}
    started = time.perf_counter()
    for row, window in windows:
        slots.set_row(slot, row)
        try:
            slots.put(slot, row, reader.read(window))
        except UnreadableSlide as e:
            failures[row] = str(e)
    return failures, time.perf_counter() - started
