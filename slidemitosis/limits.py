"""Tell whether the system gave too little, memory or files, in one line; limit the memory of a process."""

from __future__ import annotations

import errno
import sys

READER_MEMORY = 6 << 30
"""Bytes that a reader process may hold for itself: three times the largest tile or strip that is decoded."""

_OF_MEMORY = (
    "bad_alloc",
    "failed to map segment",
    "cannot allocate memory",
    "failed to allocate memory",
    "out of memory",
    "unable to allocate",
    "can't start new thread",
)
"""What errors of libraries say that have no class of their own for it."""


def lacking(error: BaseException | None) -> str | None:
    """Return what the system gave too little of, and what to do; None where the error is another one."""
    while error is not None:  # libraries wrap what they met
        number, text = getattr(error, "errno", None), str(error).lower()
        if number in (errno.EMFILE, errno.ENFILE) or "too many open files" in text:
            return "too many files are open: allow more (ulimit -n), or use --workers 0"
        is_memory = isinstance(error, MemoryError) or number in (errno.ENOMEM, errno.EAGAIN)
        if is_memory or any(words in text for words in _OF_MEMORY):
            return "the memory is not enough: allow more, or use fewer --workers and a smaller --batch-size"
        error = error.__cause__ or error.__context__
    return None


def limit_memory(most: int) -> None:
    """Let this process get so many bytes of its own and no more, where the system counts them, as Linux does.

    Reserving more then raises MemoryError, instead of taking the memory of the whole machine. A lower limit
    that is there already stays.
    """
    if sys.platform != "linux":
        return
    import resource  # noqa: PLC0415 - Windows has none

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    lower = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([most, *lower]), hard))
