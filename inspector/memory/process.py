"""The memory of a live process, copied with process_vm_readv (/proc/PID/mem where that is denied)."""

from __future__ import annotations

import copy
import ctypes
import errno
import os

import numpy as np
from numpy.typing import NDArray

from inspector.errors import NoSuchTarget, NotPermitted, TargetGone, UnreadableMemory
from inspector.memory import procfs
from inspector.memory.deadline import Deadline
from inspector.memory.protocol import END_OF_USER_SPACE, Addresses, Region, Rows

IOV_MAX = 1024
"""Most ranges the kernel takes in one call."""

IOVEC = np.dtype([("base", np.uint64), ("len", np.uint64)])

_libc = ctypes.CDLL(None, use_errno=True)
_process_vm_readv = _libc.process_vm_readv
_process_vm_readv.restype = ctypes.c_ssize_t
_process_vm_readv.argtypes = [
    ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong,
]  # fmt: skip


class ProcessMemory:
    """Reads a live process without stopping it; callers that need a steady picture stop it around the reads.

    Raises NoSuchTarget or NotPermitted when opened on a process that cannot be read.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.name = "process_vm_readv"
        self._mem: int | None = None
        self._deadline = Deadline()
        self._probe()

    def _probe(self) -> None:
        """Choose the way to read while nothing is at stake yet."""
        regions = procfs.mappings(self.pid)
        if not regions:
            raise NoSuchTarget(f"process {self.pid} has no memory (a kernel thread or a zombie)")
        try:
            self.read(regions[0].start, 8)
        except NotPermitted:
            self._use_proc_mem()

    def _use_proc_mem(self) -> None:
        # seccomp profiles of containers often deny process_vm_readv and still let /proc/PID/mem through.
        try:
            self._mem = os.open(f"/proc/{self.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            raise NotPermitted(
                f"no permission to read the memory of process {self.pid}", procfs.PERMISSION_HINT
            ) from None
        self.name = "proc-mem"

    def close(self) -> None:
        """Give back the file descriptor, if one is open."""
        if self._mem is not None:
            os.close(self._mem)
            self._mem = None

    def within(self, deadline: Deadline) -> ProcessMemory:
        """The same memory, read only as long as a deadline allows: everything then raises NotReadInTime."""
        bound = copy.copy(self)
        bound._deadline = deadline
        return bound

    def read(self, address: int, size: int) -> memoryview:
        """Return `size` bytes at `address`; raises UnreadableMemory, TargetGone."""
        if not 0 <= address < END_OF_USER_SPACE or size < 0:
            raise UnreadableMemory(address, size, "no such address")
        return memoryview(self.read_many(np.array([address], dtype=np.uint64), size)[0].data)

    def read_many(self, addresses: Addresses, size: int) -> Rows:
        """Return rows of shape (len(addresses), size); raises UnreadableMemory, TargetGone."""
        rows = np.empty((len(addresses), size), dtype=np.uint8)
        self.read_into(addresses, np.full(len(addresses), size, np.uint64), rows.reshape(-1))
        return rows

    def read_into(self, addresses: Addresses, sizes: Addresses, into: NDArray[np.uint8]) -> None:
        """Fill `into` with the ranges of `sizes` bytes at `addresses`, one after the other; see read_many."""
        ends = np.cumsum(sizes).astype(np.int64)
        at = 0
        while at < len(into):
            # A transfer may stop anywhere, even inside a range: go on from that byte.
            first = int(np.searchsorted(ends, at, side="right"))
            last = min(first + IOV_MAX, len(addresses))
            skip = np.uint64(at - int(ends[first]) + int(sizes[first]))
            starts, lengths = addresses[first:last].copy(), sizes[first:last].copy()
            starts[0] += skip
            lengths[0] -= skip
            end = min(int(ends[last - 1]), at + self._deadline.ask(len(into) - at))
            # The kernel ends a transfer where our own range ends.
            done = self._transfer(starts, lengths, into[at:end])
            if done == 0:
                raise UnreadableMemory(int(addresses[first]), int(sizes[first]), "it is not mapped in the process")
            at += done

    def regions(self) -> list[Region]:
        """Return the readable mappings as they are now."""
        return procfs.mappings(self.pid)

    def copy(self, remote: NDArray[np.void], local: NDArray[np.void]) -> int:
        """Copy ranges of the process to our own addresses in one system call; returns bytes copied, 0 for a fault.

        `remote` and `local` are up to IOV_MAX IOVECs each, as long as each other. No deadline is asked. Raises
        NotPermitted, TargetGone.
        """
        if self._mem is not None:
            into = (ctypes.c_char * int(local["len"][0])).from_address(int(local["base"][0]))
            try:
                return os.preadv(self._mem, [into], int(remote["base"][0]))
            except OSError:
                return 0
        return self._vm_readv(remote, local)

    def _transfer(self, addresses: Addresses, sizes: NDArray[np.uint64], into: NDArray[np.uint8]) -> int:
        """Copy from as many of the ranges as one system call takes; returns bytes copied, 0 for a fault."""
        if self._mem is not None:
            try:
                return os.preadv(self._mem, [into[: int(sizes[0])].data], int(addresses[0]))
            except OSError:
                return 0
        remote = np.empty(len(addresses), dtype=IOVEC)
        remote["base"], remote["len"] = addresses, sizes
        local = np.array([(into.ctypes.data, into.nbytes)], dtype=IOVEC)
        return self._vm_readv(remote, local)

    def _vm_readv(self, remote: NDArray[np.void], local: NDArray[np.void]) -> int:
        done = _process_vm_readv(self.pid, local.ctypes.data, len(local), remote.ctypes.data, len(remote), 0)
        if done >= 0:
            return int(done)
        code = ctypes.get_errno()
        if code in (errno.EPERM, errno.ENOSYS):
            raise NotPermitted(f"no permission to read process {self.pid}", procfs.PERMISSION_HINT)
        if code == errno.ESRCH:
            raise TargetGone(f"process {self.pid} ended while it was being read")
        return 0
