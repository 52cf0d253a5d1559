"""The compiled kernel of the hash functions (aes.c), where it was built and the processor has AES instructions.

Everything works without it: `aes.py` computes the same with numpy, ten times as slowly.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.hashing.aes import SCHEDULE_SIZE, AesHash, Hashes
from inspector.hashing.ranges import Numbers, check_ranges
from inspector.memory.compiled import NUMPY, Signature, load
from inspector.memory.protocol import Rows

logger = logging.getLogger(__name__)

INTERFACE = 3
"""The version of aes.c that is called here."""

COMPILED = "compiled"

SLOTS = 8
"""Cells of a bucket, slots of a group."""

MANY = 1 << 20
"""From so many hashes on cells that stay free cost more than they gain."""

MOST_CELLS = 1 << 27
"""Cells at most, of four bytes each, that hashes are spread over."""

_pointer, _size, _int = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
FUNCTIONS: dict[str, Signature] = {
    "gmi_usable": ([], _int),
    "gmi_memhash32": ([_pointer, _pointer, _pointer, _pointer, _size], None),
    "gmi_memhash64": ([_pointer, _pointer, _pointer, _pointer, _size], None),
    "gmi_memhash": ([_pointer, _pointer, _size, _pointer, _pointer, _size], None),
    "gmi_memhash_slots": ([_pointer, _pointer, _size, _size, _size, _pointer, ctypes.c_uint64, _pointer, _size], None),
    "gmi_memhash_at": ([_pointer, _pointer, _size, _pointer, _pointer, _pointer, _pointer, _size], None),
    "gmi_repeated": ([_pointer, _pointer, _size, _pointer, _int], _int),
    "gmi_away": ([_pointer, _pointer, _size, _pointer, _int, _int, _pointer, _pointer, _pointer], _size),
}


def kernel_name() -> str:
    """Which kernel hashes keys: "compiled", or "numpy" with why it is not the other one."""
    _, why_not = _loaded()
    return f"{NUMPY} ({why_not})" if why_not else COMPILED


def aes_hash(schedule: bytes) -> AesHash | CompiledAesHash:
    """The hash functions that go with a process's aeskeysched, as fast as they are to be had here."""
    library, _ = _loaded()
    logger.debug("keys are hashed by the kernel %s", kernel_name())
    return AesHash(schedule) if library is None else CompiledAesHash(schedule, library)


def marked_repeated(hashes: Hashes) -> NDArray[np.bool_] | None:
    """(n,) whether each of n hashes occurs at least twice among them; None where the kernel does not say."""
    library, _ = _loaded()
    # Three of four cells are free, where there is room for that: nearly every hash finds its cell at once.
    bits = ((4 if len(hashes) < MANY else 2) * len(hashes)).bit_length()
    if library is None or 1 << bits > MOST_CELLS:
        return None
    hashes, marked = np.ascontiguousarray(hashes), np.zeros(len(hashes), dtype=bool)
    cells = np.zeros(1 << bits, np.uint32)
    arrays = (hashes.ctypes.data, marked.ctypes.data, len(hashes), cells.ctypes.data)
    return marked if library.gmi_repeated(*arrays, bits) else None


def away_from_home(
    hashes: Hashes, places: Numbers, tables: Numbers, first: Numbers, mask: Numbers, h1: int
) -> Numbers | None:
    """The numbers, ascending, of the hashes (k,) that do not lead to the row that their key is in.

    A key's row is its place (k,) / 8. `tables` (2^depth,) says which table the upper bits of a hash lead to. `first`
    (t,) and `mask` (t,) are the first row of each table, and how many it has, less one; the bits from `h1` on choose
    one of them. None where the kernel does not say.
    """
    library, _ = _loaded()
    depth = len(tables).bit_length() - 1
    if library is None or len(tables) != 1 << depth or not 0 <= tables.min() <= tables.max() < len(first) == len(mask):
        return None
    given = [np.ascontiguousarray(hashes, np.uint64)]
    given += [np.ascontiguousarray(each, np.int64) for each in (places, tables, first, mask)]
    assert len(hashes) == len(places)
    key, place, table, start, length = (each.ctypes.data for each in given)
    away = np.empty(len(hashes) + 1, np.int64)
    found = library.gmi_away(key, place, len(hashes), table, 64 - depth, h1, start, length, away.ctypes.data)
    return away[:found].copy()


@cache
def _loaded() -> tuple[ctypes.CDLL | None, str]:
    """The library, or why there is none."""
    library, why_not = load(Path(__file__).with_name("aes.c"), INTERFACE, FUNCTIONS)
    if library is not None and not library.gmi_usable():
        return None, "this processor has no AES instructions"
    return library, why_not


class CompiledAesHash:
    """The hash functions of one process: `schedule` is its runtime.aeskeysched, 128 bytes. See AesHash."""

    name = "aeshash"

    def __init__(self, schedule: bytes, library: ctypes.CDLL) -> None:
        if len(schedule) != SCHEDULE_SIZE:
            raise ValueError(f"aeskeysched has {SCHEDULE_SIZE} bytes, not {len(schedule)}")
        self.schedule = np.frombuffer(schedule, np.uint8)
        self.library = library

    def memhash32(self, rows: Rows, seeds: Hashes) -> Hashes:
        """runtime.memhash32 of rows of 4 bytes."""
        return self._rows(self.library.gmi_memhash32, rows, seeds, 4)

    def memhash64(self, rows: Rows, seeds: Hashes) -> Hashes:
        """runtime.memhash64 of rows of 8 bytes."""
        return self._rows(self.library.gmi_memhash64, rows, seeds, 8)

    def memhash_slots(self, slots: Rows, places: Numbers, seed: int) -> Hashes:
        """runtime.memhash32 or memhash64 of words where they lie, all with one seed.

        Of slots (n, 8, 4 or 8) uint8 those at `places` (k,), flat numbers. Raises ValueError for one that is not there.
        """
        rows, width, length = slots.shape
        if width != SLOTS or length not in (4, 8) or slots.strides[2] != 1 or min(slots.strides) < 0:
            raise ValueError(f"rows of {SLOTS} words are hashed in their slots, not {slots.shape} bytes")
        places = np.ascontiguousarray(places, np.int64)
        if len(places) and not 0 <= places.min() <= places.max() < rows * width:
            raise ValueError(f"a place does not lie in the {rows} rows")
        out = np.empty(len(places), np.uint64)
        where = slots.ctypes.data, slots.strides[0], slots.strides[1], length, places.ctypes.data
        self.library.gmi_memhash_slots(self.schedule.ctypes.data, *where, seed, out.ctypes.data, len(places))
        return out

    def memhash(self, rows: Rows, seeds: Hashes) -> Hashes:
        """runtime.memhash (and strhash) of rows of equal length, any length."""
        return self._rows(self.library.gmi_memhash, rows, seeds, rows.shape[1], rows.shape[1])

    def memhash_at(self, data: NDArray[np.uint8], starts: Numbers, lengths: Numbers, seeds: Hashes) -> Hashes:
        """runtime.memhash (and strhash) of ranges of `data`; see AesHash.memhash_at."""
        check_ranges(data, starts, lengths)
        data = np.ascontiguousarray(data, np.uint8)
        starts, lengths = np.ascontiguousarray(starts, np.int64), np.ascontiguousarray(lengths, np.int64)
        return self._call(self.library.gmi_memhash_at, data, [len(data), starts, lengths], seeds, len(starts))

    def _rows(self, function: Callable[..., Any], rows: Rows, seeds: Hashes, length: int, *also: int) -> Hashes:
        if rows.shape[1] != length:
            raise ValueError(f"rows of {length} bytes are hashed, not of {rows.shape[1]}")
        return self._call(function, np.ascontiguousarray(rows, np.uint8), list(also), seeds, len(rows))

    def _call(
        self, function: Callable[..., Any], data: NDArray[np.uint8], also: list[Any], seeds: Hashes, count: int
    ) -> Hashes:
        seeds = np.ascontiguousarray(seeds, dtype=np.uint64)
        if len(seeds) != count:
            raise ValueError(f"{count} keys and {len(seeds)} seeds do not fit each other")
        out = np.empty(count, np.uint64)
        arrays = [each.ctypes.data if isinstance(each, np.ndarray) else each for each in also]
        function(self.schedule.ctypes.data, data.ctypes.data, *arrays, seeds.ctypes.data, out.ctypes.data, count)
        return out
