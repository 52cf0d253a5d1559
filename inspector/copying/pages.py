"""Which pages of a process there are: /proc/PID/pagemap (admin-guide/mm/pagemap.rst).

Since Linux 6.7 the kernel gives ranges (PAGEMAP_SCAN), before that one word for each page.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections.abc import Iterator

import numpy as np
from construct import Struct
from numpy.typing import NDArray

from inspector.errors import TargetGone
from inspector.goruntime import scalars as c
from inspector.goruntime.dtypes import dtype_of

PAGE = 4096

PAGEMAP_SCAN = 0xC0606610
"""_IOWR('f', 16, struct pm_scan_arg)"""

IS_FILE, IS_PRESENT, IS_SWAPPED, IS_ZERO = 1 << 2, 1 << 3, 1 << 4, 1 << 5
"""PAGE_IS_FILE and so on (linux/fs.h)."""

PRESENT, SWAPPED, OF_FILE = 1 << 63, 1 << 62, 1 << 61
"""The same in a word of /proc/PID/pagemap."""

scan = Struct(
    *(
        name / c.uint64
        for name in (
            "size", "flags", "start", "end", "walk_end", "vec", "vec_len", "max_pages",
            "category_inverted", "category_mask", "category_anyof_mask", "return_mask",
        )
    )
)  # fmt: skip
"""struct pm_scan_arg: 96 bytes."""

REGION = np.dtype([("start", np.uint64), ("end", np.uint64), ("categories", np.uint64)])
"""struct page_region."""

REGIONS = 4096
"""Ranges that the kernel gives at a time."""

WORDS = 1 << 17
"""Words that are read at a time: of 512 MiB of addresses."""

Ranges = list[tuple[int, int]]
"""[start, end) each."""


class Pages:
    """The pages of a process. Where the kernel has no pagemap every page counts as there. Use as a context manager."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.scans = True
        self._regions = np.zeros(REGIONS, REGION)
        # A row of numpy's: to build the structure anew for each mapping would take most of a short hold.
        self._request = np.zeros(1, dtype_of(scan))
        try:
            self._file: int | None = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._file = None

    def __enter__(self) -> Pages:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def touched(self, start: int, end: int) -> Ranges:
        """The ranges of anonymous memory in [start, end) that may hold anything but zeros; raises TargetGone."""
        if self._file is None:
            return [(start, end)]
        if self.scans:
            try:
                return list(self._scanned(self._file, start, end))
            except OSError as error:
                self._give_up_scanning(error)
        return list(self._counted(self._file, start, end))

    def changed(self, start: int, end: int) -> bool:
        """Whether any page of a private mapping of a file is the process's own; raises TargetGone.

        Where the kernel has no pagemap, that has to be assumed.
        """
        if self._file is None:
            return True
        if self.scans:
            try:
                return self._any_own(self._file, start, end)
            except OSError as error:
                self._give_up_scanning(error)
        return any(
            bool(np.any((words & np.uint64(SWAPPED) != 0) | (words & np.uint64(PRESENT | OF_FILE) == PRESENT)))
            for _, words in self._words(self._file, start, end)
        )

    def _give_up_scanning(self, error: OSError) -> None:
        if error.errno not in (errno.ENOTTY, errno.EINVAL, errno.EPERM):
            raise TargetGone(f"process {self.pid} ended while it was being read") from None
        self.scans = False

    def _scanned(self, file: int, start: int, end: int) -> Iterator[tuple[int, int]]:
        at = start
        while at < end:
            found, at = self._ask(
                file, at, end, len(self._regions), inverted=IS_ZERO, all_of=IS_ZERO, any_of=IS_PRESENT | IS_SWAPPED
            )
            yield from zip(*(self._regions[name][:found].tolist() for name in ("start", "end")), strict=True)

    def _any_own(self, file: int, start: int, end: int) -> bool:
        own, _ = self._ask(file, start, end, 1, inverted=IS_FILE, all_of=IS_FILE, any_of=IS_PRESENT | IS_SWAPPED)
        return own > 0

    def _ask(
        self, file: int, start: int, end: int, most: int, *, inverted: int, all_of: int, any_of: int
    ) -> tuple[int, int]:
        """How many ranges the kernel wrote, and up to where it looked; raises OSError."""
        ask = self._request
        ask["size"], ask["start"], ask["end"] = scan.sizeof(), start, end
        ask["vec"], ask["vec_len"] = self._regions.ctypes.data, most
        ask["category_inverted"], ask["category_mask"], ask["category_anyof_mask"] = inverted, all_of, any_of
        ask["return_mask"] = IS_PRESENT
        found = fcntl.ioctl(file, PAGEMAP_SCAN, ask.data)
        return found, int(ask["walk_end"][0])

    def _counted(self, file: int, start: int, end: int) -> Iterator[tuple[int, int]]:
        for first, words in self._words(file, start, end):
            there = np.concatenate(([False], words & np.uint64(PRESENT | SWAPPED) != 0, [False]))
            edges = np.flatnonzero(np.diff(there.astype(np.int8))) * PAGE + first
            yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)

    def _words(self, file: int, start: int, end: int) -> Iterator[tuple[int, NDArray[np.uint64]]]:
        """Addresses, and the words of the pages from there on."""
        at = start
        while at < end:
            count = min(WORDS, (end - at) // PAGE)
            raw = os.pread(file, count * ctypes.sizeof(ctypes.c_uint64), at // PAGE * 8)
            words = np.frombuffer(raw[: len(raw) // 8 * 8], np.uint64)
            if not len(words):
                raise TargetGone(f"process {self.pid} ended while it was being read")
            yield at, words
            at += len(words) * PAGE
