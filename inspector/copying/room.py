"""Room for the copy of a process's memory: in memory, or in a file where there is too little of it.

What lies in memory is given to us before the process is held. So the kernel has nothing else to do in the hold than to
copy.
"""

from __future__ import annotations

import logging
import mmap
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inspector.errors import InspectError, TooLarge

if TYPE_CHECKING:
    from inspector.copying.plan import Numbers

logger = logging.getLogger(__name__)

MAP_NORESERVE = 0x4000
MADV_POPULATE_WRITE = 23

SPARE = 1 << 28
"""Bytes that the process may take while we get ready, beside an eighth of what it has."""

LEAVE_FREE = 1 << 28
"""Bytes of the machine's memory that a copy leaves alone, beside an eighth of what there is."""

THOUGHT = 3
"""How many times its bytes an array takes in our memory while it is judged, about."""

SHARE = 4
"""One part in so many of the memory that is free may be taken unless the user says otherwise."""

HARMLESS = 1 << 20
"""Bytes that are taken without asking how much is free, where there is no limit."""

STEP = 1 << 27
"""Bytes of room that are taken at a time: between two steps Ctrl-C works."""


@dataclass(frozen=True)
class Room:
    """Bytes to copy into, from `base` on; `begin` is where in them the copy begins."""

    bytes: NDArray[np.uint8]
    begin: int = 0

    @property
    def size(self) -> int:
        """How many bytes there are for the copy."""
        return len(self.bytes) - self.begin

    @property
    def base(self) -> int:
        """Our own address of the first of them."""
        return int(self.bytes.ctypes.data) + self.begin

    def require(self, size: int) -> None:
        """Raise InspectError where `size` bytes do not fit."""
        if size > self.size:
            raise InspectError(
                f"the process took {size - self.size:,} bytes more than there is room for while it was looked at",
                "try again",
            )


def with_spare(size: int) -> int:
    """How much room is made for so many bytes."""
    return size + size // 8 + SPARE


@contextmanager
def in_memory(size: int) -> Iterator[Room | None]:
    """Room for `size` bytes, and for more if need be; None where the machine, or a limit of ours, has too little."""
    free = free_memory()
    if free - size < LEAVE_FREE + free // 8:
        logger.debug("%d bytes of memory are free, and %d are to be copied", free, size)
        yield None
        return
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
    try:
        memory = mmap.mmap(-1, with_spare(size), flags=flags)
        with suppress(OSError):
            memory.madvise(mmap.MADV_HUGEPAGE)
        _populate(memory, 0, size)
    except (OSError, MemoryError) as error:
        logger.debug("no memory for %d bytes: %s", size, error)
        yield None
        return
    # The mapping goes when the last view of it does.
    yield Room(np.frombuffer(memory, dtype=np.uint8))


@contextmanager
def with_holes(length: int, places: Numbers, sizes: Numbers) -> Iterator[Room | None]:
    """Room for `length` bytes with holes in them; None where the machine, or a limit of ours, has too little.

    Ranges of `sizes` bytes at `places` are given to us at once; anything else there reads as zeros.
    """
    free, left, size = free_memory(), memory_left(), int(sizes.sum())
    # To think about a copy takes memory, too.
    if free - size < LEAVE_FREE + free // 8 or (left is not None and size > left // 2):
        logger.debug("%d bytes of memory are free, %s may be taken, and %d are to be copied", free, left, size)
        yield None
        return
    try:
        with _holes_not_counted(with_spare(length) - size):
            memory = mmap.mmap(-1, with_spare(length), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
        for place, piece in zip(places.tolist(), sizes.tolist(), strict=True):
            _populate(memory, place, piece)
    except (OSError, MemoryError, OverflowError) as error:
        logger.debug("no memory for %d bytes: %s", size, error)
        yield None
        return
    yield Room(np.frombuffer(memory, dtype=np.uint8))


@contextmanager
def _holes_not_counted(size: int) -> Iterator[None]:
    """Raise the limit of what we may take by the holes in what is mapped in the block: they take no memory.

    It is not lowered again, since they are counted as long as they are mapped.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_DATA, (soft + size if hard == resource.RLIM_INFINITY else soft, hard))
    try:
        yield
    except BaseException:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
        raise


def in_file(file: int, begin: int, size: int) -> Room:
    """Room for `size` bytes, and for more if need be, in a file from `begin` on; raises OSError.

    The file grows to all of it, without taking room on the disk.
    """
    length = begin + with_spare(size)
    os.ftruncate(file, length)
    return Room(np.frombuffer(mmap.mmap(file, length), dtype=np.uint8), begin)


@contextmanager
def first_to_be_killed() -> Iterator[None]:
    """Have the kernel end this process rather than another, above all the target, where memory runs out."""
    score = Path("/proc/self/oom_score_adj")
    before = ""
    with suppress(OSError):
        before = score.read_text()
        score.write_text("1000")
    try:
        yield
    finally:
        with suppress(OSError):
            score.write_text(before)


def _populate(memory: mmap.mmap, first: int, size: int) -> None:
    """Have whole pages from `first`, a multiple of their size, given to us."""
    size = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
    for at in range(first, first + size, STEP):
        length = min(STEP, first + size - at)
        try:
            memory.madvise(MADV_POPULATE_WRITE, at, length)
        except OSError:
            # A kernel before 5.14; where memory is short this says so, too.
            np.frombuffer(memory, np.uint8, length, at)[:: mmap.PAGESIZE] = 0


def free_memory() -> int:
    """Bytes that may be taken without anybody else having to go: of the machine, and of our control groups."""
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return min([int(fields["MemAvailable"].split()[0]) << 10, *_free_in_groups()])


def _free_in_groups() -> Iterator[int]:
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, name = line.split(":", 2)
            if not controllers:
                top, limit, used = Path("/sys/fs/cgroup"), "memory.max", "memory.current"
            elif "memory" in controllers.split(","):
                top, limit, used = Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"
            else:
                continue
            group = top / name.lstrip("/")
            for folder in (group, *group.parents):
                if folder.is_relative_to(top):
                    with suppress(OSError, ValueError):  # no limit ("max"), or the group of the whole machine
                        most = int((folder / limit).read_text())
                        yield most - int((folder / used).read_text()) + _reclaimable(folder)


def _reclaimable(group: Path) -> int:
    """Bytes of files that a control group could do without."""
    fields = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    return int(fields.get("inactive_file", 0))


def require_memory(size: int, what: str) -> None:
    """Raise TooLarge where to think about so many bytes would take more memory than may be taken.

    Without a limit that is a share of what is free: a target may claim any size, and must not take all memory.
    """
    left = memory_left()
    if left is None:
        if size <= HARMLESS:
            return
        left = share_of_free()
    if size > left // THOUGHT:
        raise TooLarge(what, size, left)


def share_of_free() -> int:
    """Bytes that are taken at most where nobody has set a limit; looked up once a second, as it is asked often."""
    return _share_of_free(int(time.monotonic()))


@lru_cache(maxsize=1)
def _share_of_free(second: int) -> int:
    return free_memory() // SHARE


def memory_left() -> int | None:
    """Bytes that may still be taken; None without a limit."""
    limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
    return None if limit == resource.RLIM_INFINITY else max(0, limit - memory_taken())


def memory_taken() -> int:
    """Bytes of our own private memory that can be written: what the limit counts."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmData"].split()[0]) << 10
