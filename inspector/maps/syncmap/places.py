"""Where in a sync.Map something is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from inspector.maps.liverows import PlacePart
from inspector.memory.protocol import Addresses

Part = Literal["trie", "read", "dirty"]
PARTS: tuple[Part, ...] = ("trie", "read", "dirty")
"""What entries are kept in: the trie, since 1.24, or the two maps of before."""


@dataclass(frozen=True)
class Where:
    """A place: the part, the child numbers on the way from the root of a trie, how many entries precede it in a list.

    `path` is empty and `chained` 0 in the two maps.
    """

    part: Part | None = None
    path: tuple[int, ...] = ()
    chained: int = 0
    address: int | None = None

    def words(self) -> str:
        """See Place.words."""
        parts = [f"{self.part} map"] if self.part in ("read", "dirty") else []
        parts += [f"child {'.'.join(map(str, self.path))}"] if self.path else []
        parts += ["root"] if self.part == "trie" and not self.path else []
        parts += [f"number {self.chained} of its list"] if self.chained else []
        parts += [f"at {self.address:#x}"] if self.address is not None else []
        return ", ".join(parts) or "header"

    def columns(self) -> dict[str, str]:
        """See Place.columns."""
        return {"child": ".".join(map(str, self.path))} if self.part == "trie" else {"map": str(self.part)}

    def form(self) -> dict[str, Any]:
        """See Place.form."""
        return {"part": self.part, "path": list(self.path), "chained": self.chained}


@dataclass(frozen=True, eq=False)
class Wheres:
    """Places of k entries (see Places): one after the other, as the path to each has a length of its own."""

    each: list[Where]
    addresses: Addresses

    def form(self) -> dict[str, PlacePart]:
        """See Places.form."""
        return {
            "part": [str(one.part) for one in self.each],
            "path": [list(one.path) for one in self.each],
            "chained": np.array([one.chained for one in self.each], np.int64),
        }

    def columns(self) -> dict[str, list[str]]:
        """See Places.columns."""
        cells = [one.columns() for one in self.each]
        return {name: [each[name] for each in cells] for name in (cells[0] if cells else {})}


def whole(address: int) -> Where:
    """See Reader.whole."""
    return Where(address=address)
