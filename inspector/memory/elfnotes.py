"""The notes of a core: what the kernel says of the process beside its memory (elf.h, linux/elfcore.h)."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from construct import Bytes, Padding, Struct
from numpy.typing import NDArray

from inspector.goruntime import scalars as c
from inspector.goruntime.dtypes import dtype_of
from inspector.memory.elfheaders import END_OF_ADDRESSES, Headers, held

NT_PRSTATUS, NT_FPREGSET, NT_PRPSINFO, NT_AUXV = 1, 2, 3, 6
NT_FILE = 0x46494C45
KINDS = (NT_PRSTATUS, NT_PRPSINFO, NT_AUXV, NT_FILE)
"""Those that are read."""

MOST_NOTES = 1 << 20
"""Notes that are looked at: a thread has about five, and no process has a hundred thousand threads."""

note_header = Struct("n_namesz" / c.uint32, "n_descsz" / c.uint32, "n_type" / c.uint32)
"""Elf64_Nhdr: 12 bytes. The name and the description follow, each filled up to a multiple of 4 bytes."""

prpsinfo = Struct(
    "pr_state" / c.uint8,
    "pr_sname" / Bytes(1),
    "pr_zomb" / c.uint8,
    "pr_nice" / c.uint8,
    "padding" / Padding(4),
    "pr_flag" / c.uint64,
    "pr_uid" / c.uint32,
    "pr_gid" / c.uint32,
    "pr_pid" / c.int32,
    "pr_ppid" / c.int32,
    "pr_pgrp" / c.int32,
    "pr_sid" / c.int32,
    "pr_fname" / Bytes(16),
    "pr_psargs" / Bytes(80),
)
"""struct elf_prpsinfo: 136 bytes."""

file_count = Struct("count" / c.uint64, "page_size" / c.uint64)
file_entry = Struct("start" / c.uint64, "end" / c.uint64, "page_offset" / c.uint64)
"""NT_FILE: a `file_count`, as many `file_entry`, and as many names that end in a zero byte."""

ALIGNMENT = 4


class FileMapping(NamedTuple):
    """One line of the core's NT_FILE note: [start, end) mapped `path` from `offset` bytes on."""

    start: int
    end: int
    offset: int
    path: str


@dataclass(frozen=True)
class FileMappings:
    """What an NT_FILE note lists: n `rows` of file_entry and the `names` of their files. There may be a million."""

    rows: NDArray[np.void]
    names: list[bytes]
    page_size: int = 1

    @staticmethod
    def none() -> FileMappings:
        """No mapping."""
        return FileMappings(np.empty(0, dtype_of(file_entry)), [])

    @staticmethod
    def parse(note: bytes) -> FileMappings:
        """Decode a note; raises ValueError, ConstructError where it is damaged."""
        head = file_count.parse(note)
        entry, start = dtype_of(file_entry), file_count.sizeof()
        if head.count > (len(note) - start) // entry.itemsize:
            raise ValueError(f"the note has no room for {head.count} mappings")
        names = note[start + head.count * entry.itemsize :].split(b"\0")
        count = min(head.count, len(names))
        return FileMappings(np.frombuffer(note, entry, count, start), names[:count], head.page_size)

    def __iter__(self) -> Iterator[FileMapping]:
        columns = (self.rows[name].tolist() for name in ("start", "end", "page_offset"))
        for start, end, at, name in zip(*columns, self.names, strict=True):
            yield FileMapping(start, end, at * self.page_size, os.fsdecode(name))

    def holding(self, address: int) -> str | None:
        """The file that is mapped at an address, the first where there are several."""
        if not 0 <= address < END_OF_ADDRESSES:
            return None
        at = np.flatnonzero((self.rows["start"] <= np.uint64(address)) & (np.uint64(address) < self.rows["end"]))
        return os.fsdecode(self.names[at[0]]) if len(at) else None

    def beginning_at(self, addresses: list[int]) -> list[str]:
        """The files whose mappings begin at addresses, empty names where none begins."""
        starts = np.array(addresses, np.uint64)
        known = np.flatnonzero(np.isin(self.rows["start"], starts)).tolist()
        names = {int(self.rows["start"][at]): os.fsdecode(self.names[at]) for at in known}
        return [names.get(address, "") for address in addresses]


def read_notes(data: mmap.mmap, segments: Headers) -> Iterator[tuple[int, bytes]]:
    """The notes of KINDS in all PT_NOTE segments of a file, each with its type.

    A segment is read up to the first note that is not whole, and no byte counts twice: segments that lie in each other
    are damage, and a file has no more notes than it has bytes for, nor more than MOST_NOTES.
    """
    declared = dtype_of(note_header)
    left, room = MOST_NOTES, len(data)
    for offset, wanted in zip(segments["p_offset"].tolist(), segments["p_filesz"].tolist(), strict=True):
        at, size = held(data, offset, min(wanted, room))
        room -= size
        end = at + size
        while left and at + declared.itemsize <= end:
            left -= 1
            name, length, kind = np.frombuffer(data, declared, 1, at)[0].item()
            start = at + declared.itemsize + _aligned(name)
            if start + length > end:
                break
            if kind in KINDS:
                yield kind, data[start : start + length]
            at = start + _aligned(length)


def _aligned(size: int) -> int:
    return size + -size % ALIGNMENT
