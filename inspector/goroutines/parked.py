"""Goroutines that no thread runs: they wait, or they wait to be run (runtime/runtime2.go, g.atomicstatus).

Functions that write maps are seldom preempted where they are, but they call the allocator and others, and there a
goroutine may be parked for long. The top of its stack is copied while the target is held, and followed afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspector.goroutines.everyone import LARGEST_STACK, read_goroutines
from inspector.goroutines.running import Goroutine
from inspector.goruntime.goroutine import PARKED, SCANNED, SMALLEST_STACK
from inspector.image.unwind import unwind
from inspector.memory.frozen import FrozenMemory
from inspector.memory.gather import gather
from inspector.memory.protocol import Addresses, Rows
from inspector.target.run import Run

TOPS = (4 * SMALLEST_STACK, 2 * SMALLEST_STACK, SMALLEST_STACK)
"""Bytes of a stack that are copied: the allocator's calls and those of map functions need less than the first."""

MOST_PARKED = 1 << 15
"""Goroutines that are looked at; more would be a long stop."""

MOST_BY_GDB = 1 << 10

AT_ONCE = 1 << 11
MOST_FOLLOWED = 256
"""Goroutines whose calls are followed, of those whose stacks hold the address."""

WORD = np.uint64(8)


@dataclass(frozen=True)
class Parked:
    """Goroutines whose stacks hold an address: `rows` (k,) runtime.g, and copies of the tops of their stacks."""

    rows: NDArray[np.void]
    stacks: FrozenMemory

    def goroutines(self, run: Run) -> Iterator[Goroutine]:
        """Each with its calls, as far as its stack was copied; the target may run meanwhile."""
        for row in self.rows[:MOST_FOLLOWED]:
            pc, sp = int(row["sched"]["pc"]), int(row["sched"]["sp"])
            frames = tuple(unwind(run.memory, run.types.functions, pc, sp, self.stacks))
            yield Goroutine(int(row["goid"]), None, frames, frozenset())


def copy_parked(run: Run, allgs: int, address: int) -> Parked:
    """Copy the stacks of parked goroutines that hold an address; call it while the target is held.

    Raises NotReadInTime.
    """
    rows = read_goroutines(run, allgs)
    low, high, sp = rows["stack"]["lo"], rows["stack"]["hi"], rows["sched"]["sp"]
    here = np.isin(rows["atomicstatus"] & np.uint32(~SCANNED & 0xFFFFFFFF), PARKED)
    here &= (low < sp) & (sp < high) & (high - low >= SMALLEST_STACK) & (high - low <= LARGEST_STACK)
    rows, frozen = rows[here][: MOST_BY_GDB if run.target.read_by_gdb else MOST_PARKED], FrozenMemory()
    kept = []
    size = rows["stack"]["hi"] - rows["stack"]["lo"]
    for top, larger in zip(TOPS, (LARGEST_STACK + 1, *TOPS), strict=False):
        some = rows[(size >= top) & (size < larger)]
        for first in range(0, len(some), AT_ONCE):
            part = some[first : first + AT_ONCE]
            starts, tops, holds = _holding(run, part, top, address)
            frozen.add_rows(starts[holds], tops[holds])
            kept.append(part[holds])
    return Parked(np.concatenate(kept) if kept else rows[:0], frozen)


def _holding(run: Run, rows: NDArray[np.void], size: int, address: int) -> tuple[Addresses, Rows, NDArray[np.bool_]]:
    """Where the tops of stacks begin (k,), their bytes (k, size), and which of them hold an address (k,)."""
    starts = np.minimum(rows["sched"]["sp"], rows["stack"]["hi"] - np.uint64(size)) // WORD * WORD
    tops, read = gather(run.memory, run.regions(), starts, size)
    return starts, tops, read & (tops.view("<u8") == np.uint64(address)).any(axis=1)
