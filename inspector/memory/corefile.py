"""The memory of a dead process: an ELF core dump, mapped, never loaded.

What the kernel left out (unmodified pages of mapped files, see core(5) coredump_filter) is laid over it
from the executable.
"""

from __future__ import annotations

import mmap
import os
import struct
from bisect import bisect_left
from contextlib import ExitStack, suppress

import numpy as np
from numpy.typing import NDArray

from inspector.errors import BadCore, NotPermitted, UnsupportedTarget
from inspector.memory import elfheaders, elfnotes
from inspector.memory.chunks import Chunk, Chunks
from inspector.memory.descriptors import neither
from inspector.memory.elfnotes import FileMapping, FileMappings
from inspector.memory.files import DAMAGE, map_opened, open_file
from inspector.memory.frozen import Block
from inspector.memory.packed import unpack
from inspector.memory.procfs import AT_ENTRY
from inspector.memory.protocol import Addresses, Region
from inspector.memory.prstatus import prstatus
from inspector.memory.sets import distinct
from inspector.memory.threads import Thread

ELF = b"\x7fELF"
"""How every ELF file begins."""


class _Ranges:
    """Ranges that have nothing in common."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, start: int, end: int) -> bool:
        """Add a range; returns whether it had nothing in common with those that are there."""
        at = bisect_left(self._starts, start)
        if (at and self._ends[at - 1] > start) or (at < len(self._starts) and self._starts[at] < end):
            return False
        if start < end:
            self._starts.insert(at, start)
            self._ends.insert(at, end)
        return True


class CoreFile(Chunks):
    """An ELF core of a linux/amd64 process, compressed or not.

    `entry` is AT_ENTRY (0 if the core does not say), `threads` their registers,
    the one that crashed first, `file` the open core (or what was unpacked of it), `missing` how many bytes the file
    lacks compared with what its headers promise, `impossible` how many bytes of its segments lie within
    others, in memory or in the file, or behind the last address. `max_unpacked` is how many bytes an archive may
    become.
    Raises NoSuchTarget, NotPermitted, BadCore or UnsupportedTarget.
    """

    name = "core"

    def __init__(self, path: str | os.PathLike[str], max_unpacked: int | None = None) -> None:
        super().__init__()
        self.path = os.fspath(path)
        try:
            with ExitStack() as unless_mapped:
                archive = unless_mapped.enter_context(open_file(self.path))
                self._unpacked = unpack(archive, self.path, max_unpacked, ELF)
                self.file = self._unpacked.file if self._unpacked else archive
                self._map = map_opened(self.file)
                unless_mapped.pop_all()
        except FileNotFoundError:
            raise neither(self.path) from None
        except PermissionError:
            raise NotPermitted(f"no permission to read {self.path}", "cores belong to the crashed user") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise BadCore(f"cannot read {self.path}: {reason}", "give a pid or the path of a core dump") from None
        self.pid: int | None = None
        self.entry = 0
        self._files = FileMappings.none()
        self.threads: list[Thread] = []
        self.missing = self.impossible = 0
        self._promised: list[Region] = []
        self._parse()
        self._index()

    def _parse(self) -> None:
        if self._map[:4] != ELF:
            what = "the unpacked file" if self._unpacked else "it"
            raise BadCore(
                f"{self.path} is not a core dump: {what} is not an ELF file",
                "supported are ELF cores, plain or as .zst, .lz4, .xz, .gz or .bz2; unpack other formats yourself",
            )
        try:
            header = elfheaders.read_header(self._map)
            if header.e_type in elfheaders.EXECUTABLE:
                raise BadCore(
                    f"{self.path} is an executable, not a core dump",
                    "give the pid of a running process, or a core of it",
                )
            machine = elfheaders.other_machine(self._map, header)
            if machine is not None:
                raise UnsupportedTarget(
                    f"{self.path} is a core of a {machine} process; only linux/amd64 is supported",
                    "inspect a core of a program built with GOARCH=amd64",
                )
            if header.e_type != elfheaders.ET_CORE:
                raise BadCore(f"{self.path} is an ELF file, but not a core dump", "give the pid of a running process")
            segments = elfheaders.program_headers(self._map, header)
            self._read_segments(segments[segments["p_type"] == elfheaders.PT_LOAD])
            self._read_notes(segments[segments["p_type"] == elfheaders.PT_NOTE])
        except DAMAGE:
            raise BadCore(
                f"{self.path} is damaged or cut short: its headers cannot be read", "was it copied whole?"
            ) from None

    def _read_segments(self, segments: elfheaders.Headers) -> None:
        buffer = np.frombuffer(self._map, dtype=np.uint8)
        segments = segments[np.argsort(segments["p_vaddr"], kind="stable")]
        columns = (segments[name].tolist() for name in ("p_vaddr", "p_offset", "p_filesz", "p_flags"))
        before, taken = 0, _Ranges()
        for start, offset, size, flags in zip(*columns, strict=True):
            _, held = elfheaders.held(self._map, offset, size)
            self.missing += size - held
            if size:
                self._promised.append(Region(start, start + size))
            # What lies twice in a core lies nowhere for sure, but what comes first is as good as any.
            first = min(held, max(0, before - start))
            fits = max(first, min(held, elfheaders.END_OF_ADDRESSES - start))
            if not taken.add(offset + first, offset + fits):
                # No core has a byte of memory twice: a few would else stand for more than can ever be looked through.
                fits = first
            self.impossible += held - (fits - first)
            start, offset, held = start + first, offset + first, fits - first
            before = max(before, start + held)
            last = self._chunks[-1] if self._chunks else None
            writable = bool(flags & elfheaders.PF_W)
            joins = last and last.end == start and last.offset + last.end - last.start == offset
            if last and joins and last.writable == writable and held:
                self._chunks[-1] = Chunk(last.start, start + held, buffer, last.offset, writable)
            elif held:
                self._chunks.append(Chunk(start, start + held, buffer, offset, writable))

    def _read_notes(self, segments: elfheaders.Headers) -> None:
        for kind, note in elfnotes.read_notes(self._map, segments):
            # What is damaged does not cost what the other notes say.
            with suppress(*DAMAGE):
                self._read_note(kind, note)

    def _read_note(self, kind: int, note: bytes) -> None:
        if kind == elfnotes.NT_AUXV:
            pairs = dict(struct.iter_unpack("<QQ", note[: len(note) // 16 * 16]))
            self.entry = pairs.get(AT_ENTRY, 0)
        elif kind == elfnotes.NT_FILE:
            self._files = FileMappings.parse(note)
        elif kind == elfnotes.NT_PRPSINFO:
            self.pid = int(elfnotes.prpsinfo.parse(note).pr_pid)
        elif kind == elfnotes.NT_PRSTATUS:
            status = prstatus.parse(note)
            self.threads.append(Thread.of(status.pid, status.regs))

    @property
    def mappings(self) -> list[FileMapping]:
        """The files that the process had mapped."""
        return list(self._files)

    @property
    def note(self) -> str:
        """A sentence for the person on an archive that is cut short, else nothing."""
        return self._unpacked.note if self._unpacked else ""

    def executable_path(self) -> str | None:
        """The file that held the entry point, as the crashed process knew it; None if the core is silent."""
        return self._files.holding(self.entry)

    def lend(self, addresses: Addresses, size: int) -> tuple[list[Block], NDArray[np.bool_]]:
        """See Lending.lend. Where the core has holes, the executable is what is lent."""
        at = np.searchsorted(self._starts, addresses, side="right").astype(np.int64) - 1
        chunks = [self._chunks[index] for index in distinct(at[at >= 0]).tolist()]
        held, offsets = np.zeros(len(addresses), dtype=bool), np.zeros(len(addresses), np.int64)
        buffers = {id(chunk.buffer): chunk.buffer for chunk in chunks}
        numbers = {key: number for number, key in enumerate(buffers)}
        owners = np.full(len(addresses), -1)
        for chunk in chunks:
            first, last = np.searchsorted(addresses, np.array([chunk.start, max(chunk.end - size + 1, 0)], np.uint64))
            held[first:last] = True
            owners[first:last] = numbers[id(chunk.buffer)]
            offsets[first:last] = (addresses[first:last] - np.uint64(chunk.start)).view(np.int64) + chunk.offset
        follows = np.diff(addresses) == size
        goes_on = follows & (np.diff(offsets) == size) & (np.diff(owners) == 0) & held[:-1]
        held[:-1] &= goes_on | ~follows | ~held[1:]
        rows = [np.flatnonzero(held & (owners == number)) for number in range(len(buffers))]
        return [
            _block(addresses[some], offsets[some], size, buffer)
            for some, buffer in zip(rows, buffers.values(), strict=True)
            if len(some)
        ], held

    def relieve(self) -> None:
        """Let go of the pages that were read: they are in the file still, and count as memory of ours until then."""
        with suppress(OSError, ValueError):
            self._map.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Forget the chunks and what was unpacked; the mapping itself goes when the last view of it does."""
        self.file.close()
        super().close()

    def _why_missing(self, address: int) -> str:
        if any(region.start <= address < region.end for region in self._promised):
            return "the core file is cut short and ends before it"
        if self._files.holding(address) is not None:
            return "the core leaves out mapped files, and the executable does not hold it"
        return "it is not in the core"

    def regions(self) -> list[Region]:
        """Return what the core and its overlays hold."""
        files = self._files.beginning_at([chunk.start for chunk in self._chunks])
        return [
            Region(chunk.start, chunk.end, path, chunk.writable)
            for chunk, path in zip(self._chunks, files, strict=True)
        ]


def _block(addresses: Addresses, offsets: NDArray[np.int64], size: int, buffer: NDArray[np.uint8]) -> Block:
    """Ranges of a buffer; those that follow each other there and in memory become one."""
    heads = np.flatnonzero(np.append(True, (np.diff(addresses) != size) | (np.diff(offsets) != size)))
    sizes = np.diff(np.append(heads, len(addresses))).astype(np.uint64) * np.uint64(size)
    return Block(addresses[heads], sizes, offsets[heads], buffer)
