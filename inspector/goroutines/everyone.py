"""All goroutines of a program: runtime.allgs, found by its symbol, or by what its elements are (runtime/proc.go).

In a stripped executable all writable data is looked through for a slice of pointers to g structs. A g proves itself:
its gobuf leads back to it (newproc1), and its stack is one that stackalloc gives.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.errors import UnreadableMemory
from inspector.goruntime.dtypes import dtype_of
from inspector.goruntime.goroutine import SMALLEST_STACK, g
from inspector.goruntime.scalars import slice_header
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses
from inspector.memory.sets import distinct
from inspector.target.data import places_of
from inspector.target.run import Run

WORD = 8
MOST_GOROUTINES = 1 << 22
LARGEST_STACK = 1 << 30


def find_allgs(run: Run) -> int | None:
    """The address of runtime.allgs, which never moves: no stop is needed. None where it is not found."""
    symbol = run.image.symbol("runtime.allgs")
    if symbol is not None:
        return symbol.address
    longest, found = 0, None
    for start, size in places_of(run, "runtime.allgs", slice_header.sizeof()):
        try:
            words = np.frombuffer(run.memory.read(start, size), "<u8")
        except UnreadableMemory:
            continue
        for at in _likely(run, words).tolist():
            pointers = _elements(run, int(words[at]), int(words[at + 1]))
            # The collector takes snapshots of allgs, which are never longer.
            if len(pointers) > longest and _mostly_goroutines(run, pointers):
                longest, found = len(pointers), start + at * WORD
    return found


def read_goroutines(run: Run, allgs: int) -> NDArray[np.void]:
    """All goroutines that ever were, as rows of runtime.g up to goid; call it while the target is held."""
    declared = dtype_of(g(run.release))
    try:
        header = slice_header.parse(run.memory.read(allgs, slice_header.sizeof()))
    except UnreadableMemory:
        return np.empty(0, declared)
    rows, ok = gather(run.memory, run.regions(), _elements(run, header.data, header.len), declared.itemsize)
    return rows[ok].view(declared)[:, 0]


def _elements(run: Run, data: int, length: int) -> Addresses:
    if not 0 < length <= MOST_GOROUTINES or not run.regions().covers(data, length * WORD):
        return np.empty(0, np.uint64)
    try:
        return np.frombuffer(run.memory.read(data, length * WORD), np.uint64)
    except UnreadableMemory:
        return np.empty(0, np.uint64)


def _likely(run: Run, words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Places among words where a slice may lie whose first element is a goroutine."""
    if len(words) < slice_header.sizeof() // WORD:
        return np.empty(0, np.int64)
    data, length, capacity = words[:-2], words[1:-1], words[2:]
    likely = (data != 0) & (data % np.uint64(WORD) == 0)
    likely &= (length > 0) & (length <= capacity) & (length <= MOST_GOROUTINES)
    places = np.flatnonzero(likely)
    firsts, ok = gather(run.memory, run.regions(), data[places], WORD)
    places = places[ok]
    return places[_are_goroutines(run, firsts[ok].view("<u8")[:, 0])]


def _mostly_goroutines(run: Run, pointers: Addresses) -> bool:
    """Whether a slice leads to goroutines, each once. The newest one may not have been made whole yet."""
    return len(distinct(pointers)) == len(pointers) and 2 * int(_are_goroutines(run, pointers).sum()) > len(pointers)


def _are_goroutines(run: Run, pointers: Addresses) -> NDArray[np.bool_]:
    """Which addresses are those of g structs: sched.g leads back to it, and its stack, if it has one, is one."""
    declared = dtype_of(g(run.release))
    aligned = np.where(pointers % np.uint64(WORD) == 0, pointers, np.uint64(0))
    rows, ok = gather(run.memory, run.regions(), aligned, declared.itemsize)
    found = rows.view(declared)[:, 0]
    low, high = found["stack"]["lo"], found["stack"]["hi"]
    size = high - low
    stack = (low < high) & (size >= SMALLEST_STACK) & (size <= LARGEST_STACK)
    return np.asarray(ok & (found["sched"]["g"] == pointers) & ((low == 0) & (high == 0) | stack))
