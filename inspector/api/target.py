"""A target whose maps are asked for by their names, as mappings."""

from __future__ import annotations

import os

from inspector.api import notebooks
from inspector.api.census import Census, take_census
from inspector.api.mapping import GoMapping
from inspector.census.following import TypesOfReferences
from inspector.gotypes.render import plain
from inspector.gotypes.values import GoMap
from inspector.inspection.one_map import inspect, target_info
from inspector.report.text.words import described
from inspector.settings import MAX_SHARE, MaxStop, MemoryChoice
from inspector.target import opening, remote
from inspector.target import target as opened


class Target(opened.Target):
    """An opened process or core. `target["main.sessions"]` is the map of that name, as it is now."""

    # Without these, Python would ask for target[0], target[1] and so on.
    __iter__ = None
    __contains__ = None

    def __enter__(self) -> Target:
        return self

    def __getitem__(self, which: str | int | GoMap) -> GoMapping:
        """The map of a name or at an address, or one that lies in another: `map` without options."""
        return self.map(which)

    def map(self, which: str | int | GoMap, type_name: str | None = None, max_stop: MaxStop = "usual") -> GoMapping:
        """Copy one map whole, and judge it.

        `which` is a name (docs/names.md), an address, or a GoMap, as elements of other maps may be. `type_name` is
        needed for an address only where nothing proves the type. The process is held while bytes are copied, for at
        most `max_stop` seconds (see MaxStop). Raises the InspectError family.
        """
        if isinstance(which, GoMap):
            type_name, which = type_name or which.type_name, which.address
        text = f"{which:#x}" if isinstance(which, int) else which
        return GoMapping(inspect(self, text, type_name, entries=None, max_stop=max_stop))

    def census(
        self,
        max_stop: MaxStop = "usual",
        *,
        strings: bool = False,
        max_share: float | None = MAX_SHARE,
        budget: float | None = None,
    ) -> Census:
        """All maps of the target, judged and named: see take_census, and there what the limits of stops mean."""
        return take_census(self, max_stop, strings=strings, max_share=max_share, budget=budget)

    def __repr__(self) -> str:
        return f"<{described(target_info(self))}>"

    def _repr_html_(self) -> str:
        info = target_info(self)
        facts = [("program", plain(info.exe)), ("built by", info.go_version), ("read by", info.memory)]
        return notebooks.table(described(info), (), [*facts, *(("note", note) for note in self.notes)])


def open_target(
    target: int | str | os.PathLike[str],
    *,
    exe: str | None = None,
    memory: MemoryChoice = "auto",
    stop: bool = True,
    gdb: str = "gdb",
    max_unpacked: int | None = None,
) -> Target:
    """Open a process by its pid, or a core dump by its path.

    A number and a text of digits are pids; any other text, and every Path, names a core. A compressed core may have
    `max_unpacked` bytes when it is unpacked; None for what the temporary folder has room for.
    Raises the members of the InspectError family that say what is wrong with it.
    """
    found = opening.open_target(target, exe=exe, memory=memory, stop=stop, gdb=gdb, max_unpacked=max_unpacked)
    found.led_to = TypesOfReferences()
    return Target(**vars(found))


def open_remote(
    endpoint: str, *, exe: str | None = None, memory: MemoryChoice = "auto", stop: bool = True, gdb: str = "gdb"
) -> Target:
    """Open the process of the gdbserver that listens at `endpoint`, HOST:PORT.

    gdbserver holds the process until the target is closed. One that it attached to runs then; a program that
    it started stands where it stood, and gdbserver listens again. Raises the InspectError family.
    """
    return Target(**vars(remote.open_remote(endpoint, exe=exe, memory=memory, stop=stop, gdb=gdb)))
