"""Save a training the time that memory costs it."""

from __future__ import annotations

import ctypes
import sys

from torch import nn

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Numbers of glibc's parameters M_TRIM_THRESHOLD and M_MMAP_MAX (malloc.h)."""


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, for its next step. Only under Linux with glibc.

    By default glibc gives large blocks back at once, and the system clears each page anew when the next step
    asks for it: a fifth of the time of a step on the CPU.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl, another C library, has none
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, -1)  # never


def compute_out_of_place(network: nn.Module) -> None:
    """Let activations keep their input, of which torch else makes a copy for their gradient.

    ReLU needs its result alone and stays as it is. The values are the same to the last bit.
    """
    for module in network.modules():
        if isinstance(module, nn.Hardtanh | nn.Hardswish | nn.SiLU):
            module.inplace = False
