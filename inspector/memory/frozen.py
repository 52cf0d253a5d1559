"""Copies of parts of a target's memory that outlive the stop, and can be pickled."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from inspector.errors import MissedMemory, UnreadableMemory
from inspector.goruntime.dtypes import grouped
from inspector.memory.protocol import Addresses, Region, Rows

READS_WORTH_AN_INDEX = 512
"""After this many single reads plain lists to search pay off: someone lists every entry."""

NOT_COPIED = "it was not copied while the target was stopped"
TOO_LATE = "the stop had to end before"


@dataclass(frozen=True)
class Block:
    """Ranges copied together: range i is `sizes[i]` bytes from `addresses[i]`, at `offsets[i]` of `data`.

    `data` may be a whole file that is mapped: its ranges alone are pickled.
    """

    addresses: Addresses
    sizes: NDArray[np.uint64]
    offsets: NDArray[np.int64]
    data: NDArray[np.uint8]

    @staticmethod
    def of_rows(addresses: Addresses, rows: Rows) -> Block:
        """Build a block of equally long ranges, one for each row."""
        order = np.argsort(addresses, kind="stable")
        size = rows.shape[1]
        offsets = np.arange(len(addresses), dtype=np.int64) * size
        sizes = np.full(len(addresses), size, dtype=np.uint64)
        return Block(addresses[order], sizes, offsets, np.ascontiguousarray(rows[order]).reshape(-1))

    def __reduce__(self) -> tuple[Any, ...]:
        if int(self.sizes.sum()) == len(self.data):
            return Block, (self.addresses, self.sizes, self.offsets, self.data)
        parts = zip(self.offsets.tolist(), self.sizes.tolist(), strict=True)
        data = np.concatenate([np.empty(0, np.uint8), *(self.data[at : at + size] for at, size in parts)])
        ends = np.cumsum(self.sizes).astype(np.int64)
        return Block, (self.addresses, self.sizes, ends - self.sizes.astype(np.int64), data)


@dataclass(frozen=True)
class _Run:
    """Ranges [start, end) of several blocks, sorted by address: n of them, each in block `owners[i]` at `offsets[i]`.

    `furthest[i]` is which of the ranges 0 to i ends last. One that starts at or before an address holds what is asked
    for there exactly if that one does.
    """

    starts: Addresses
    ends: Addresses
    owners: NDArray[np.int64]
    offsets: NDArray[np.int64]
    furthest: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    @staticmethod
    def of_blocks(blocks: list[Block], first: int) -> _Run:
        """Sort the ranges of blocks, which are numbered from `first` on."""
        starts = np.concatenate([block.addresses for block in blocks])
        ends = starts + np.concatenate([block.sizes for block in blocks])
        owners = np.repeat(np.arange(first, first + len(blocks)), [len(block.addresses) for block in blocks])
        return _Run.sorted(starts, ends, owners, np.concatenate([block.offsets for block in blocks]))

    @staticmethod
    def sorted(starts: Addresses, ends: Addresses, owners: NDArray[np.int64], offsets: NDArray[np.int64]) -> _Run:
        """Sort ranges. Of two that are equal the one of the later block counts."""
        order = np.lexsort((owners, starts))
        ends = ends[order]
        last = ends == np.maximum.accumulate(ends)
        furthest = np.maximum.accumulate(np.where(last, np.arange(len(order)), 0))
        return _Run(starts[order], ends, owners[order], offsets[order], furthest)

    def with_later(self, other: _Run) -> _Run:
        """Both as one."""
        parts = ("starts", "ends", "owners", "offsets")
        return _Run.sorted(*(np.concatenate([getattr(self, part), getattr(other, part)]) for part in parts))

    def find(
        self, addresses: Addresses, size: int | Addresses
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """The block that holds each [address, address + size), the offset into it, and whether there is one.

        `size` is the same for all, or an array with that of each.
        """
        at = np.searchsorted(self.starts, addresses, side="right") - 1
        which = self.furthest[np.maximum(at, 0)]
        skipped = addresses - self.starts[which]
        whole = self.ends[which] - self.starts[which]
        held = (at >= 0) & (skipped <= whole)
        held &= whole - np.where(held, skipped, np.uint64(0)) >= np.asarray(size, np.uint64)
        return self.owners[which], self.offsets[which] + skipped.astype(np.int64), held


@dataclass(frozen=True)
class Piece:
    """Ranges that lie in one block: `which` of those asked for (k,), and at what `starts` (k,) of `data`."""

    data: NDArray[np.uint8]
    which: NDArray[np.int64]
    starts: NDArray[np.int64]


@dataclass
class FrozenMemory:
    """A Memory made of copied blocks. Where they overlap they were copied in one stop, and hold the same bytes.

    `late` says that copying had to end before all was copied: what is not there then raises MissedMemory.
    """

    name: str = "frozen"
    blocks: list[Block] = field(default_factory=list)
    late: bool = False
    _runs: list[_Run] = field(default_factory=list, repr=False, compare=False)
    _sorted: int = field(default=0, repr=False, compare=False)
    _lists: list[tuple[list[int], _Run]] = field(default_factory=list, repr=False, compare=False)
    _reads: int = field(default=0, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name, "blocks": self.blocks, "late": self.late}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def add(self, address: int, data: bytes | memoryview) -> None:
        """Keep one range."""
        rows = np.frombuffer(data, dtype=np.uint8).reshape(1, -1)
        self.add_rows(np.array([address], dtype=np.uint64), rows)

    def add_rows(self, addresses: Addresses, rows: Rows) -> None:
        """Keep equally long ranges, one for each row."""
        if len(addresses) and rows.shape[1]:
            self.add_block(Block.of_rows(addresses, rows))

    def add_block(self, block: Block) -> None:
        """Keep ranges that were copied together."""
        self.blocks.append(block)

    def read(self, address: int, size: int) -> memoryview:
        """Return the copied bytes; raises UnreadableMemory for anything that was not copied."""
        if not 0 <= address < 1 << 64:
            raise UnreadableMemory(address, size, "no such address")
        if not size:
            return memoryview(b"")
        self._sort()
        if self._reads < READS_WORTH_AN_INDEX:
            self._reads += 1
            return memoryview(self.read_many(np.array([address], dtype=np.uint64), size)[0].tobytes())
        if not self._lists:
            self._lists = [(run.starts.tolist(), run) for run in reversed(self._runs)]
        for starts, run in self._lists:
            at = bisect_right(starts, address) - 1
            which = run.furthest[at] if at >= 0 else 0
            if at >= 0 and address + size <= int(run.ends[which]):
                offset = int(run.offsets[which]) + address - starts[which]
                return memoryview(self.blocks[run.owners[which]].data[offset : offset + size].tobytes())
        raise self.missing(address, size)

    def missing(self, address: int, size: int) -> UnreadableMemory:
        """What is raised for bytes that were not copied."""
        return MissedMemory(address, size, TOO_LATE) if self.late else UnreadableMemory(address, size, NOT_COPIED)

    def read_many(self, addresses: Addresses, size: int) -> Rows:
        """Return rows of shape (len(addresses), size); raises UnreadableMemory for the first missing one."""
        rows, held = self.held(addresses, size)
        if not held.all():
            raise self.missing(int(addresses[np.argmin(held)]), size)
        return rows

    def held(self, addresses: Addresses, size: int) -> tuple[Rows, NDArray[np.bool_]]:
        """Return (rows, held): `size` bytes of each address whose bytes were copied, and which those are."""
        if size == 0:
            return np.zeros((len(addresses), 0), dtype=np.uint8), np.ones(len(addresses), dtype=bool)
        self._sort()
        rows = np.empty((len(addresses), size), dtype=np.uint8)
        held = np.zeros(len(addresses), dtype=bool)
        for run in reversed(self._runs):
            left = np.flatnonzero(~held)
            if not len(left):
                break
            owners, offsets, found = run.find(addresses[left], size)
            held[left[found]] = True
            for owner, group in grouped(owners[found]):
                data = self.blocks[owner].data
                places = offsets[found][group]
                # One value is what looking up a key asks for, and a window over the data costs more than it.
                some = (
                    data[places[0] : places[0] + size] if len(group) == 1 else sliding_window_view(data, size)[places]
                )
                rows[left[found][group]] = some
        return rows if held.all() else rows[held], held

    def pieces(self, addresses: Addresses, sizes: NDArray[np.integer[Any]]) -> Iterator[Piece]:
        """Where ranges of different sizes lie, block by block; those that were not copied are in none of the pieces."""
        self._sort()
        left, words = np.arange(len(addresses)), sizes.astype(np.uint64)
        for run in reversed(self._runs):
            if not len(left):
                break
            owners, offsets, found = run.find(addresses[left], words[left])
            held = np.flatnonzero(found)
            for owner, group in grouped(owners[held]):
                yield Piece(self.blocks[owner].data, left[held[group]], offsets[held[group]])
            left = left[~found]

    def _sort(self) -> None:
        """Sort blocks that came since, and join runs, so that each is more than twice as long as the next."""
        if self._sorted == len(self.blocks):
            return
        self._runs.append(_Run.of_blocks(self.blocks[self._sorted :], self._sorted))
        self._sorted, self._reads, self._lists = len(self.blocks), 0, []
        while len(self._runs) > 1 and len(self._runs[-2]) <= 2 * len(self._runs[-1]):
            last = self._runs.pop()
            self._runs[-1] = self._runs[-1].with_later(last)

    def regions(self) -> list[Region]:
        """Return the copied ranges."""
        return [
            Region(int(address), int(address + size))
            for block in self.blocks
            for address, size in zip(block.addresses, block.sizes, strict=True)
        ]
