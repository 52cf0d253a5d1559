"""Where in a Swiss map something is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from inspector.maps.liverows import PlacePart
from inspector.maps.slots import Numbers
from inspector.memory.protocol import Addresses


@dataclass(frozen=True)
class Where:
    """A place in a map: table (None in a small map), group, slot, address.

    The number of a table is that of the first directory entry that leads to it, as table.index says. `entry` is a place
    in the directory itself.
    """

    table: int | None = None
    group: int | None = None
    slot: int | None = None
    address: int | None = None
    entry: int | None = None

    def words(self) -> str:
        """See Place.words."""
        parts = [f"directory entry {self.entry}"] if self.entry is not None else []
        parts += [f"table {self.table}"] if self.table is not None else []
        parts += [f"group {self.group}"] if self.group is not None else []
        parts += [f"slot {self.slot}"] if self.slot is not None else []
        parts += [f"at {self.address:#x}"] if self.address is not None else []
        return ", ".join(parts) or "header"

    def columns(self) -> dict[str, str]:
        """See Place.columns."""
        return {
            "table": "-" if self.table is None else str(self.table),
            "group": str(self.group),
            "slot": str(self.slot),
        }

    def form(self) -> dict[str, Any]:
        """See Place.form."""
        return {"table": self.table, "group": self.group, "slot": self.slot}


@dataclass(frozen=True, eq=False)
class Wheres:
    """Places of k slots (see Places): (k,) tables (None in a small map), groups, slots, addresses."""

    tables: Numbers | None
    groups: Numbers
    slots: Numbers
    addresses: Addresses

    def form(self) -> dict[str, PlacePart]:
        """See Places.form."""
        return {"table": self.tables, "group": self.groups, "slot": self.slots}

    def columns(self) -> dict[str, list[str]]:
        """See Places.columns."""
        groups, slots = self.groups.tolist(), self.slots.tolist()
        tables = ["-"] * len(groups) if self.tables is None else list(map(str, self.tables.tolist()))
        return {"table": tables, "group": list(map(str, groups)), "slot": list(map(str, slots))}


def whole(address: int) -> Where:
    """See Reader.whole."""
    return Where(address=address)
