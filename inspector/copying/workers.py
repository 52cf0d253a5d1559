"""Copying ranges of a process as fast as the machine does it: large batches, on several processors."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from inspector import watching
from inspector.copying.pages import PAGE
from inspector.copying.plan import Numbers
from inspector.memory.helpers import Helper
from inspector.memory.process import IOV_MAX, IOVEC, ProcessMemory

PIECE = 1 << 22
"""Bytes of a range that are copied as one."""

BATCH = 1 << 24
"""Bytes that are copied in one system call: a few milliseconds, after which a worker looks whether to go on."""

MOST_WORKERS = 4
"""More do not copy faster: memory is the limit."""

PATIENCE = 64
"""Pages in sequence that cannot be read before the rest of their piece is given up."""

LOOK = 0.5
"""Seconds between two looks whether the threads that copy are still there."""

URGENT = -15
"""How a thread that copies while the process is held is scheduled (nice)."""

Vectors = NDArray[np.void]


class Pool:
    """Threads that have begun and wait for work. Raises InspectError where they cannot begin.

    Those that are `urgent` go before others on a busy machine.
    """

    def __init__(self, size: int, urgent: bool = False) -> None:
        self._asked: SimpleQueue[tuple[Future[None], Callable[[], None]] | None] = SimpleQueue()
        self._workers: list[_Worker] = []
        try:
            for _ in range(size):
                worker = _Worker(self._asked, urgent)
                worker.begin()
                self._workers.append(worker)
        except BaseException:
            self.close()
            raise

    def submit(self, work: Callable[[], None]) -> Future[None]:
        """Have the next thread that is free do something."""
        future: Future[None] = Future()
        self._asked.put((future, work))
        return future

    def wait_for(self, futures: list[Future[None]]) -> None:
        """Wait until all of it is done; raises what the first of them raised, MemoryError where threads have ended."""
        pending = set(futures)
        while pending:
            done, pending = wait(pending, LOOK, FIRST_EXCEPTION)
            for future in done:
                future.result()
            if pending and not all(worker.is_alive() for worker in self._workers):
                raise MemoryError("a thread has ended")

    def close(self) -> None:
        """End all threads, when they have done what they are at."""
        for _ in self._workers:
            self._asked.put(None)
        for worker in self._workers:
            worker.join()


class _Worker(Helper):
    """A thread of a pool."""

    def __init__(self, asked: SimpleQueue[tuple[Future[None], Callable[[], None]] | None], urgent: bool) -> None:
        super().__init__()
        self._asked, self._urgent = asked, urgent

    def run(self) -> None:
        """Do what is asked for, until nothing is."""
        if self._urgent:
            _hurry()
        while (asked := self._asked.get()) is not None:
            future, work = asked
            try:
                work()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(None)


@dataclass
class Copying:
    """Copies by `workers` threads, of which ours is one.

    `unreadable` bytes were not there, and are zeros in the copy.
    """

    memory: ProcessMemory
    pool: Pool
    workers: int
    unreadable: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def copy(self, starts: Numbers, sizes: Numbers, places: Numbers, until: float | None, writable: Check) -> bool:
        """Copy ranges of the process to `places`, our own addresses; False where `until` came first.

        `until` is in seconds of time.perf_counter(). `writable` is asked about a place where a copy failed, and raises
        if it is the place's fault. Raises what it raises, TargetGone and NotPermitted. On every way out, also by a
        signal, workers begin nothing new.
        """
        queue = list(_batches(starts, sizes, places))
        watched = watching.current()
        batches = iter(queue)
        late = threading.Event()

        def work() -> None:
            while not self._stopped.is_set():
                with self._lock:
                    batch = next(batches, None)
                if batch is None:
                    return
                if until is not None and time.perf_counter() > until:
                    late.set()
                    return
                self._copy_batch(*batch, writable)
                if watched is not None:
                    # Not under the lock: that a bar lags behind by a batch does no harm.
                    watched.done += int(batch[0]["len"].sum())

        try:
            # A thread that has to be woken takes its time on a busy machine, so we work, too.
            others = min(self.workers, len(queue)) - 1
            futures = [self.pool.submit(work) for _ in range(others)]
            work()
            self.pool.wait_for(futures)
        except BaseException:
            self._stopped.set()
            raise
        return not late.is_set()

    def _copy_batch(self, remote: Vectors, local: Vectors, writable: Check) -> None:
        while len(remote) and not self._stopped.is_set():
            done = self.memory.copy(remote, local)
            # A transfer may end anywhere, even inside a piece.
            ends = np.cumsum(remote["len"])
            if done == int(ends[-1]):
                return
            at = int(np.searchsorted(ends, done, side="right"))
            skip = done - (int(ends[at - 1]) if at else 0)
            remote, local = _from(remote, local, at, skip)
            if not done:
                writable(int(local["base"][0]))
                remote, local = self._skip_unreadable(remote, local)

    def _skip_unreadable(self, remote: Vectors, local: Vectors) -> tuple[Vectors, Vectors]:
        """Leave out the page at the beginning, and those behind it that cannot be read either."""
        size, skip = int(remote["len"][0]), 0
        for tries in range(PATIENCE + 1):
            page = PAGE - (int(remote["base"][0]) + skip) % PAGE
            skip = size if tries == PATIENCE else min(size, skip + page)
            if skip == size or self.memory.copy(*(each[:1] for each in _from(remote, local, 0, skip))):
                break
        with self._lock:
            self.unreadable += skip
        return _from(remote, local, 0, skip)


Check = Callable[[int], None]


def _from(remote: Vectors, local: Vectors, first: int, skip: int) -> tuple[Vectors, Vectors]:
    """What is left behind `skip` bytes of the piece `first`."""
    remote, local = remote[first:].copy(), local[first:].copy()
    for each in (remote, local):
        each["base"][0] += np.uint64(skip)
        each["len"][0] -= np.uint64(skip)
    whole = int(remote["len"][0] == 0)
    return remote[whole:], local[whole:]


def _batches(starts: Numbers, sizes: Numbers, places: Numbers) -> Iterator[tuple[Vectors, Vectors]]:
    """Cut ranges into pieces, and group pieces into what one system call copies: (remote, local) ranges each."""
    counts = (sizes.astype(np.int64) + PIECE - 1) // PIECE
    of = np.repeat(np.arange(len(sizes)), counts)
    offsets = ((np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)) * PIECE).astype(np.uint64)
    remote, local = np.empty(len(of), IOVEC), np.empty(len(of), IOVEC)
    remote["base"], local["base"] = starts[of] + offsets, places[of] + offsets
    remote["len"] = local["len"] = np.minimum(sizes[of] - offsets, np.uint64(PIECE))
    ends = np.cumsum(remote["len"])
    at = 0
    while at < len(remote):
        before = int(ends[at - 1]) if at else 0
        last = int(np.searchsorted(ends, before + BATCH, side="right"))
        last = min(max(last, at + 1), at + IOV_MAX)
        yield remote[at:last], local[at:last]
        at = last


@contextmanager
def copying(memory: ProcessMemory) -> Iterator[Copying]:
    """Workers that copy from a process. When the block is left none of them writes anywhere any more."""
    workers = min(MOST_WORKERS, len(os.sched_getaffinity(0)))
    # The threads begin before the hold.
    pool = Pool(max(1, workers - 1), urgent=True)
    try:
        yield Copying(memory, pool, workers)
    finally:
        pool.close()


@contextmanager
def hurrying() -> Iterator[None]:
    """Go before others on a busy machine, where we may, for the length of the block."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    _hurry()
    try:
        yield
    finally:
        # Towards others anybody may be nice.
        os.setpriority(os.PRIO_PROCESS, 0, before)


def _hurry() -> None:
    # For the thread that calls, not the process: so it is on Linux.
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, URGENT)
