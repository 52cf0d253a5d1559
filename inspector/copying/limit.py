"""How much memory this process may take: a limit that the kernel keeps (RLIMIT_DATA, see getrlimit(2))."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

from inspector.copying.room import SHARE, free_memory, memory_taken
from inspector.errors import Hint, UsageError

LEAST = 1 << 27
"""Bytes: with less nothing can be answered."""


@contextmanager
def limited_memory(size: int | None) -> Iterator[None]:
    """Take no more than `size` bytes on top of what is taken already, for the length of a with block.

    None stands for a share of what is free now. Whatever asks for more gets a MemoryError. Raises UsageError for a size
    that is too small for any answer.
    """
    if size is not None and size < LEAST:
        raise UsageError(
            f"{size:,} bytes of memory are too few for any answer",
            Hint("allow 128m or more: {max_memory}"),
        )
    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = memory_taken() + (max(free_memory() // SHARE, LEAST) if size is None else size)
    if before != resource.RLIM_INFINITY:
        most = min(most, before)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))
