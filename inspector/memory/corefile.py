"""The memory of a dead process: an ELF core dump, mapped, never loaded.

What the kernel left out (unmodified pages of mapped files, see core(5) coredump_filter) is laid over it
from the executable.
"""

from __future__ import annotations

import os
import struct
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from elftools.elf.constants import P_FLAGS
from elftools.elf.elffile import ELFFile
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from inspector.errors import BadCore, NoSuchTarget, NotPermitted, UnreadableMemory, UnsupportedTarget
from inspector.memory.files import DAMAGE, map_opened, open_file
from inspector.memory.packed import unpack
from inspector.memory.procfs import AT_ENTRY
from inspector.memory.protocol import Addresses, Region, Rows
from inspector.memory.prstatus import prstatus
from inspector.memory.threads import Thread


@dataclass(frozen=True)
class FileMapping:
    """One line of the core's NT_FILE note: [start, end) mapped `path` from `offset` bytes on."""

    start: int
    end: int
    offset: int
    path: str


@dataclass(frozen=True)
class Chunk:
    """[start, end) of the address space lies in `buffer` at `offset`; whether the process could write there."""

    start: int
    end: int
    buffer: NDArray[np.uint8]
    offset: int
    writable: bool = False


class CoreFile:
    """An ELF core of a linux/amd64 process, compressed or not.

    `entry` is AT_ENTRY (0 if the core does not say), `mappings` the files it had mapped, `threads` their registers,
    the one that crashed first, `file` the open core (or what was unpacked of it), `missing` how many bytes the file
    lacks compared with what its headers promise.
    Raises NoSuchTarget, NotPermitted, BadCore or UnsupportedTarget.
    """

    name = "core"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        try:
            with ExitStack() as unless_mapped:
                archive = unless_mapped.enter_context(open_file(self.path))
                self._unpacked = unpack(archive, self.path)
                self.file = self._unpacked.file if self._unpacked else archive
                self._map = map_opened(self.file)
                unless_mapped.pop_all()
        except FileNotFoundError:
            raise NoSuchTarget(
                f"{self.path!r} is neither a process nor a file", "give a pid or the path of a core dump"
            ) from None
        except PermissionError:
            raise NotPermitted(f"no permission to read {self.path}", "cores belong to the crashed user") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise BadCore(f"cannot read {self.path}: {reason}", "give a pid or the path of a core dump") from None
        self.pid: int | None = None
        self.entry = 0
        self.mappings: list[FileMapping] = []
        self.threads: list[Thread] = []
        self.missing = 0
        self._promised: list[Region] = []
        self._chunks: list[Chunk] = []
        self._parse()
        self._index()

    def _parse(self) -> None:
        if self._map[:4] != b"\x7fELF":
            what = "the unpacked file" if self._unpacked else "it"
            raise BadCore(
                f"{self.path} is not a core dump: {what} is not an ELF file",
                "supported are ELF cores, plain or as .zst, .lz4, .xz, .gz or .bz2; unpack other formats yourself",
            )
        try:
            elf = ELFFile(self._map)
            if elf["e_type"] != "ET_CORE":
                raise BadCore(
                    f"{self.path} is an executable, not a core dump",
                    "give the pid of a running process, or a core of it",
                )
            if elf.elfclass != 64 or elf["e_machine"] != "EM_X86_64":
                raise UnsupportedTarget(
                    f"{self.path} is a core of a {elf.elfclass}-bit {elf.get_machine_arch()} process; "
                    "only linux/amd64 is supported",
                    "inspect a core of a program built with GOARCH=amd64",
                )
            self._read_segments(elf)
            # A core cut within its notes lacks everything else too, but says so better than a refusal.
            with suppress(*DAMAGE):
                self._read_notes(elf)
        except DAMAGE:
            raise BadCore(
                f"{self.path} is damaged or cut short: its headers cannot be read", "was it copied whole?"
            ) from None

    def _read_segments(self, elf: Any) -> None:
        buffer = np.frombuffer(self._map, dtype=np.uint8)
        for segment in elf.iter_segments("PT_LOAD"):
            start, offset, size = segment["p_vaddr"], segment["p_offset"], segment["p_filesz"]
            held = max(0, min(size, len(buffer) - offset))
            self.missing += size - held
            if size:
                self._promised.append(Region(start, start + size))
            last = self._chunks[-1] if self._chunks else None
            writable = bool(segment["p_flags"] & P_FLAGS.PF_W)
            joins = last and last.end == start and last.offset + last.end - last.start == offset
            if last and joins and last.writable == writable and held:
                self._chunks[-1] = Chunk(last.start, start + held, buffer, last.offset, writable)
            elif held:
                self._chunks.append(Chunk(start, start + held, buffer, offset, writable))

    def _read_notes(self, elf: Any) -> None:
        for segment in elf.iter_segments("PT_NOTE"):
            for note in segment.iter_notes():
                kind, desc = note["n_type"], note["n_desc"]
                if kind == "NT_AUXV":
                    raw = note["n_descdata"]
                    pairs = dict(struct.iter_unpack("<QQ", raw[: len(raw) // 16 * 16]))
                    self.entry = pairs.get(AT_ENTRY, 0)
                elif kind == "NT_FILE":
                    self.mappings = [
                        FileMapping(e.vm_start, e.vm_end, e.page_offset * desc.page_size, os.fsdecode(name))
                        for e, name in zip(desc.Elf_Nt_File_Entry, desc.filename, strict=False)
                    ]
                elif kind == "NT_PRPSINFO":
                    self.pid = int(desc.pr_pid)
                elif kind == "NT_PRSTATUS":
                    status = prstatus.parse(note["n_descdata"])
                    self.threads.append(Thread.of(status.pid, status.regs))

    def _index(self) -> None:
        self._chunks.sort(key=lambda chunk: chunk.start)
        self._starts = np.array([chunk.start for chunk in self._chunks], dtype=np.uint64)

    def overlay(self, start: int, buffer: NDArray[np.uint8], offset: int, size: int) -> None:
        """Lay a file's bytes over [start, start + size) wherever the core itself has nothing."""
        added, at, end = [], start, start + size
        for chunk in self._chunks:
            if chunk.end <= at or chunk.start >= end:
                continue
            if chunk.start > at:
                added.append(Chunk(at, chunk.start, buffer, offset + at - start))
            at = max(at, chunk.end)
        if at < end:
            added.append(Chunk(at, end, buffer, offset + at - start))
        self._chunks += added
        self._index()

    @property
    def note(self) -> str:
        """A sentence for the person on an archive that is cut short, else nothing."""
        return self._unpacked.note if self._unpacked else ""

    def executable_path(self) -> str | None:
        """The file that held the entry point, as the crashed process knew it; None if the core is silent."""
        for mapping in self.mappings:
            if mapping.start <= self.entry < mapping.end:
                return mapping.path
        return None

    def close(self) -> None:
        """Forget the chunks and what was unpacked; the mapping itself goes when the last view of it does."""
        self.file.close()
        self._chunks = []
        self._index()

    def _chunk_at(self, address: int) -> Chunk | None:
        at = int(np.searchsorted(self._starts, np.uint64(address), side="right")) - 1
        if at < 0 or address >= self._chunks[at].end:
            return None
        return self._chunks[at]

    def read(self, address: int, size: int) -> memoryview:
        """Return `size` bytes at `address`, from several chunks if need be; raises UnreadableMemory."""
        if not 0 <= address < 1 << 64 or size < 0:
            raise UnreadableMemory(address, size, "no such address")
        parts, at, end = [], address, address + size
        while at < end:
            chunk = self._chunk_at(at)
            if chunk is None:
                raise UnreadableMemory(address, size, self._why_missing(at))
            take = min(end, chunk.end) - at
            start = chunk.offset + at - chunk.start
            parts.append(chunk.buffer[start : start + take])
            at += take
        return memoryview(parts[0].data if len(parts) == 1 else b"".join(part.tobytes() for part in parts))

    def _why_missing(self, address: int) -> str:
        if any(region.start <= address < region.end for region in self._promised):
            return "the core file is cut short and ends before it"
        if any(mapping.start <= address < mapping.end for mapping in self.mappings):
            return "the core leaves out mapped files, and the executable does not hold it"
        return "it is not in the core"

    def read_many(self, addresses: Addresses, size: int) -> Rows:
        """Return rows of shape (len(addresses), size); raises UnreadableMemory."""
        rows = np.empty((len(addresses), size), dtype=np.uint8)
        if not size or not len(addresses):
            return rows
        at = np.searchsorted(self._starts, addresses, side="right").astype(np.int64) - 1
        left = np.ones(len(addresses), dtype=bool)
        for index in np.unique(at[at >= 0]):
            chunk = self._chunks[index]
            inside = (at == index) & (addresses < np.uint64(chunk.end))
            inside &= np.uint64(chunk.end) - addresses >= np.uint64(size)
            if inside.any():
                held = chunk.buffer[chunk.offset : chunk.offset + chunk.end - chunk.start]
                places = (addresses[inside] - np.uint64(chunk.start)).astype(np.int64)
                rows[inside] = sliding_window_view(held, size)[places]
                left &= ~inside
        for index in np.flatnonzero(left):
            rows[index] = np.frombuffer(self.read(int(addresses[index]), size), dtype=np.uint8)
        return rows

    def regions(self) -> list[Region]:
        """Return what the core and its overlays hold."""
        files = {mapping.start: mapping.path for mapping in self.mappings}
        return [Region(chunk.start, chunk.end, files.get(chunk.start, ""), chunk.writable) for chunk in self._chunks]
