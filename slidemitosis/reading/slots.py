"""Keep batches of patches in shared memory, each with a note of the row that is being read.

Everything is copied in and out: a numpy view of the memory that outlives an error, in its traceback
say, would keep the memory from being closed.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from typing import TYPE_CHECKING

import numpy as np

from slidemitosis.reading import memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROW = struct.Struct("q")


@dataclass(frozen=True, slots=True)
class SlotLayout:
    """Sizes that the process that reads and the one that classifies agree on."""

    count: int
    batch_size: int
    """Patches in a slot."""
    patch: int
    """Side of a patch, px."""

    @property
    def patch_bytes(self) -> int:
        """Bytes of one patch, uint8 (patch, patch, 3)."""
        return self.patch * self.patch * 3

    @property
    def slot_bytes(self) -> int:
        """Bytes of one slot: the row that is being read, then its patches."""
        return _ROW.size + self.batch_size * self.patch_bytes


class Slots:
    """Shared memory in this layout, made by one process (`name` None) and opened by others by its name."""

    def __init__(self, layout: SlotLayout, name: str | None = None) -> None:
        self.layout = layout
        size = layout.count * layout.slot_bytes
        self._lock: int | None = None
        if name is None:
            self._memory, self._lock = memory.create(size)
        else:
            self._memory = SharedMemory(name)

    @property
    def name(self) -> str:
        """Name under which other processes open the memory."""
        return self._memory.name

    @property
    def _buffer(self) -> memoryview:
        assert self._memory.buf is not None
        return self._memory.buf

    def set_row(self, slot: int, row: int) -> None:
        """Note that this row is being read."""
        _ROW.pack_into(self._buffer, slot * self.layout.slot_bytes, row)

    def row(self, slot: int) -> int:
        """Return the row that is, or was last, being read."""
        (row,) = _ROW.unpack_from(self._buffer, slot * self.layout.slot_bytes)
        return int(row)

    def put(self, slot: int, row: int, pixels: NDArray[np.uint8]) -> None:
        """Write one patch, uint8 (patch, patch, 3)."""
        start = slot * self.layout.slot_bytes + _ROW.size + row * self.layout.patch_bytes
        self._buffer[start : start + self.layout.patch_bytes] = pixels.tobytes()

    def take(self, slot: int, rows: int) -> NDArray[np.uint8]:
        """Return a copy of the first rows, uint8 (rows, patch, patch, 3)."""
        start = slot * self.layout.slot_bytes + _ROW.size
        data = bytearray(self._buffer[start : start + rows * self.layout.patch_bytes])
        return np.frombuffer(data, np.uint8).reshape(rows, self.layout.patch, self.layout.patch, 3)

    def close(self) -> None:
        """Give back this process's hold on the memory."""
        self._memory.close()

    def remove(self) -> None:
        """Close the memory and give it back to the system: once, by the process that made it."""
        self._memory.close()
        self._memory.unlink()
        if self._lock is not None:
            os.close(self._lock)
