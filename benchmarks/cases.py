"""Maps of a kind, a size and a state, in real programs of both families, alive or as a core dump."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fixtures import SWISS_RELEASES, USUAL, Toolchain, build, start
from inspector.coredump import write_core
from inspector.target.opening import open_target
from inspector.target.target import Target

Family = Literal["classic", "swiss"]
Kind = Literal["ints", "strs", "structs"]
State = Literal["rest", "growth"]
Where = Literal["live", "core"]

FAMILIES: dict[Family, Toolchain] = {"classic": USUAL, "swiss": SWISS_RELEASES[-1]}
KINDS: dict[Kind, str] = {
    "ints": "map[int64]int64",
    "strs": "map[string]string",
    "structs": "map[int64]main.record",
}
STATES: tuple[State, ...] = ("rest", "growth")
PLACES: tuple[Where, ...] = ("live", "core")

LOAD = 6.5
"""Entries a bucket from which on a classic map grows."""


@dataclass(frozen=True)
class Case:
    """A map to be measured: about `wanted` entries."""

    family: Family
    kind: Kind
    wanted: int
    state: State
    where: Where

    @property
    def variable(self) -> str:
        """The variable that holds the map."""
        return f"main.{self.kind}"

    @property
    def toolchain(self) -> Toolchain:
        """What the program is built with."""
        return FAMILIES[self.family]

    @property
    def filled(self) -> tuple[int, int]:
        """How many entries the map gets, and how many it is made with room for.

        A map at rest is made with room for all. A classic one grows in steps: it gets as many entries as begin the last
        growth before the wanted number, and then as many as bring it half way through. A Swiss map never stands in a
        growth: its tables grow one by one at once, and so it is one that was made without room for anything.
        """
        if self.state == "rest":
            return self.wanted, self.wanted
        if self.family == "swiss":
            return self.wanted, 0
        b = 1
        while LOAD * 2 ** (b + 1) < self.wanted:
            b += 1
        # Each write evacuates two buckets.
        return int(LOAD * 2**b) + 2**b // 4, 0


@dataclass(frozen=True)
class Subject:
    """A map that is there: the target with it, and how others are told of it (the pid, or the core) and its program."""

    target: Target
    exe: Path
    pid: int | None
    core: Path | None
    entries: int

    @property
    def word(self) -> str:
        """What commands call the target."""
        return str(self.pid or self.core)


@contextmanager
def prepared(case: Case, folder: Path) -> Iterator[Subject]:
    """Build and start the program, and write its core into a folder where that is what is asked for."""
    entries, room = case.filled
    exe = build("sized", case.toolchain)
    with start(exe, case.kind, str(entries), str(room)) as running:
        if case.where == "live":
            with open_target(str(running.pid), memory="direct") as target:
                yield Subject(target, exe, running.pid, None, entries)
            return
        core = folder / f"core.{running.pid}"
        with open_target(str(running.pid), memory="direct") as target:
            write_core(target, core)
    try:
        with open_target(str(core), exe=str(exe), memory="direct") as target:
            yield Subject(target, exe, None, core, entries)
    finally:
        core.unlink()
