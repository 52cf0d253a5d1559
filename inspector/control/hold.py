"""How a target is held still while it is read: one clock, one protocol, one holder for each way.

The clock starts before a holder asks the kernel to stop the first thread, and stops when the last one runs again: what
is reported is what the process felt.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from inspector.control import waiting
from inspector.control.ptrace import RegisterSets
from inspector.control.tracer import Tracer
from inspector.memory.threads import Thread

if TYPE_CHECKING:
    from inspector.control.gdbmi import GdbBridge

WINDOW = 1.0
"""Seconds over which the share of the time that a process is held is kept."""


@dataclass
class Clock:
    """Stops of one request: `stops` are (began, ended) in seconds of time.perf_counter().

    `busy` is how much processor time this process had in the last of them, in seconds. `began` is when the stop began
    that is under way.
    """

    stops: list[tuple[float, float]] = field(default_factory=list)
    busy: float = 0.0
    began: float | None = None

    def so_far(self, now: float) -> float:
        """Seconds that the target was held until now, the stop that is under way among them; for any thread."""
        began = self.began
        return self.total + (max(0.0, now - began) if began is not None else 0.0)

    def add(self, began: float, ended: float, busy: float) -> None:
        """A stop is over."""
        self.stops.append((began, ended))
        self.busy = busy

    @property
    def starved(self) -> bool:
        """Whether the last stop was spent waiting for the most part, because the machine was busy with others."""
        if not self.stops:
            return False
        began, ended = self.stops[-1]
        return self.busy < (ended - began) / 2

    @property
    def total(self) -> float:
        """Seconds that the target was held, all stops together."""
        return sum(ended - began for began, ended in self.stops)

    @property
    def longest(self) -> float:
        """Seconds of the longest stop; 0 without a stop."""
        return max((ended - began for began, ended in self.stops), default=0.0)

    def recent(self, now: float) -> float:
        """Seconds that the target was held in the WINDOW that ends now."""
        held = 0.0
        for began, ended in reversed(self.stops):
            if ended <= now - WINDOW:
                break
            held += ended - max(began, now - WINDOW)
        return held


class Holder(Protocol):
    """A way to hold a target still.

    `still` says that it needs no holding: it does not run (a core), or somebody else holds it until the end.
    `stops` says whether it is still inside `holding`; without that, copies may be torn. `words` say how, for the log.
    `waited` is a sentence for the user if others had to let go of the target first, else empty.
    """

    @property
    def still(self) -> bool: ...
    @property
    def stops(self) -> bool: ...
    @property
    def words(self) -> str: ...
    @property
    def waited(self) -> str: ...

    def holding(self) -> AbstractContextManager[float]:
        """Hold the target for the length of the block; it always runs again afterwards. Raises InspectErrors.

        Yields when the first thread was asked to stop, in seconds of time.perf_counter().
        """
        ...

    def threads(self) -> list[Thread]:
        """The registers of the threads, inside `holding`; raises GdbError."""
        ...

    def free_since(self) -> float:
        """When the target ran again after it was held, in seconds of time.perf_counter(); call it right then."""
        ...


@dataclass(frozen=True)
class Still:
    """Nothing to do: a core, or a process that a debugger or a gdbserver holds already."""

    registers: Callable[[], list[Thread]]
    stops: bool = True
    still: bool = True
    words: str = "standing still"
    waited: str = ""

    def holding(self) -> AbstractContextManager[float]:
        """Do nothing."""
        return nullcontext(time.perf_counter())

    def threads(self) -> list[Thread]:
        """The registers of the threads; raises GdbError."""
        return self.registers()

    def free_since(self) -> float:
        """Now."""
        return time.perf_counter()


@dataclass(frozen=True)
class Unheld:
    """The process runs on while it is read."""

    stops: bool = False
    still: bool = False
    words: str = "never stopped"
    waited: str = ""

    def holding(self) -> AbstractContextManager[float]:
        """Do nothing."""
        return nullcontext(time.perf_counter())

    def threads(self) -> list[Thread]:
        """None: a thread that runs cannot be asked."""
        return []

    def free_since(self) -> float:
        """Now."""
        return time.perf_counter()


@dataclass(frozen=True)
class PtraceHolder:
    """The kernel stops every thread for a thread of ours, and lets go of them whatever happens to us."""

    tracer: Tracer
    stops: bool = True
    still: bool = False
    words: str = "stopped by ptrace"

    @property
    def waited(self) -> str:
        """For whom the tracer had to wait."""
        return self.tracer.waited

    def holding(self) -> AbstractContextManager[float]:
        """See Tracer.holding."""
        return self.tracer.holding()

    def threads(self) -> list[Thread]:
        """The registers of all threads but those that the kernel does not let run; raises HoldLost."""
        return self.tracer.threads()

    def register_sets(self) -> list[RegisterSets]:
        """All registers of those threads, as a core has them; raises HoldLost."""
        return self.tracer.register_sets()

    def free_since(self) -> float:
        """When the tracer had let the last thread go: until we hear of that, others may have the processor."""
        return self.tracer.free_since


@dataclass(frozen=True)
class GdbHolder:
    """gdb attaches, and detaches: only where it has to evaluate something in the process."""

    bridge: GdbBridge
    pid: int
    stops: bool = True
    still: bool = False
    words: str = "stopped by gdb"

    @property
    def waited(self) -> str:
        """For whom gdb had to wait."""
        return self.bridge.waited

    def holding(self) -> AbstractContextManager[float]:
        """See GdbBridge.holding."""
        return self.bridge.holding(self.pid)

    def threads(self) -> list[Thread]:
        """The registers of all threads; raises GdbError."""
        return self.bridge.threads()

    def free_since(self) -> float:
        """Now."""
        return time.perf_counter()


@contextmanager
def timed(holder: Holder, clock: Clock) -> Iterator[float]:
    """Hold a target and note how long it was held; yields when the stop began, in seconds of perf_counter()."""
    began, busy = math.inf, time.process_time()
    try:
        with waiting.held() if holder.stops and not holder.still else nullcontext(), holder.holding() as began:
            clock.began = began if holder.stops and not holder.still else None
            yield began
    finally:
        clock.began = None
        if holder.stops and not holder.still and began != math.inf:
            clock.add(began, holder.free_since(), time.process_time() - busy)
