"""Stopping a real process at instructions of our choice, through the bridge to gdb."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random

from inspector.control.gdbmi import HELD_TIMEOUT, GdbBridge, GdbSilent
from inspector.errors import GdbError

FOR_ALL = ("mapclear", "hashGrow", "(*hmap).newoverflow", "advanceEvacuationMark")
FOR_ONE_KIND = ("mapassign", "mapdelete", "growWork", "evacuate")
"""The functions of package runtime that change a map; those of one kind have fast variants."""

INSTRUCTIONS = 3
PATIENCE = 2.0
"""Seconds until a breakpoint that nothing reaches is given up."""


class SteppingBridge(GdbBridge):
    """The bridge with what the tool itself never does: breakpoints, and running on to them."""

    def __init__(self, executable: int) -> None:
        super().__init__(inherited=(executable,))
        for what in ("write-memory", "write-registers", "insert-breakpoints"):
            self.console(f"set may-{what} on")

    def instructions(self, function: str) -> list[int]:
        """Addresses of a function's instructions, none if the program does not have it."""
        try:
            text = self.console(f"disassemble '{function}'")
        except GdbError:
            return []
        return [int(address, 16) for address in re.findall(r"^\W*(0x[0-9a-f]+) <", text, re.MULTILINE)]

    def run_to(self, addresses: list[int]) -> bool:
        """Let the process run until it reaches one of these instructions; False if it reached none."""
        if self.where() in addresses:
            # gdb would have to step over its own breakpoint, and now and then loses the next stop then.
            self.run("-exec-step-instruction")
        for address in addresses:
            self.command(f"-break-insert *{address}")
        reached = self.run("-exec-continue")
        self.command("-break-delete")
        return reached

    def run(self, command: str) -> bool:
        """Run on and wait until the process stands still; False if we had to stop it."""
        with suppress(GdbSilent):
            self._await_stop(command, PATIENCE)
            return True
        self._await_stop("-exec-interrupt", HELD_TIMEOUT)
        return False

    def _await_stop(self, command: str, patience: float) -> None:
        # The news of the stop may come together with the answer to the command, so that nothing may be skipped.
        self._input.write(f"{command}\n".encode())
        deadline = time.monotonic() + patience
        while True:
            for record in self._next_records(deadline):
                if record["type"] == "notify" and record["message"] == "stopped":
                    return

    def step(self, instructions: int, over: bool) -> bool:
        """Run so many instructions of the stopped thread, calls as one each if it is to step over them."""
        return self.run(f'-interpreter-exec console "{"nexti" if over else "stepi"} {instructions}"')

    def thread_numbers(self) -> list[str]:
        """The numbers that gdb gives the threads, of the stopped one first."""
        told = self.command("-thread-info")
        numbers = [thread["id"] for thread in told["threads"]]
        return sorted(numbers, key=lambda number: number != told["current-thread-id"])

    def select(self, thread: str) -> None:
        """Let what comes next be about another thread."""
        self.command(f"-thread-select {thread}")

    def where(self) -> int:
        """The instruction that the stopped thread is at."""
        return int(self.command("-stack-info-frame")["frame"]["addr"], 16)

    def functions(self) -> list[str]:
        """The functions of the stopped thread's stack, innermost first, without those that were inlined into others."""
        frames = self.command("-stack-list-frames 0 12")["stack"]
        return [frame.get("func", "?") for frame in frames]


@contextmanager
def writing(pid: int, exe: str, fast: str | None) -> Iterator[tuple[SteppingBridge, dict[str, list[int]]]]:
    """Hold a process through the bridge; gives the instructions of the functions that write maps of a fast path."""
    names = [*FOR_ALL, *(f"{name}_{fast}" if fast else name for name in FOR_ONE_KIND)]
    with open(exe, "rb") as file, SteppingBridge(file.fileno()) as bridge:
        bridge.open_executable(file.fileno())
        found = {name: bridge.instructions(f"runtime.{name}") for name in names}
        with bridge.holding(pid):
            # Else the other threads run while one is stepped, and gdb may wait for them in vain.
            bridge.console("set scheduler-locking step")
            yield bridge, {name: addresses for name, addresses in found.items() if addresses}


def some_of(code: dict[str, list[int]], dice: Random) -> list[int]:
    """A few instructions of one function: each function has its turn, however seldom it runs."""
    return dice.choices(code[dice.choice(list(code))], k=INSTRUCTIONS)
