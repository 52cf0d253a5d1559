"""Whether a map that a walk found is still where the walk found it.

A process runs between the walk and the copy of a map: entries are deleted, objects are freed, and their memory becomes
something else. So the way from a package variable to a map is followed once more before anything odd is said of it.
"""

from __future__ import annotations

import numpy as np

from inspector.census.walk import ELEM, INSIDE, KEY, WORD, Step, Visited
from inspector.errors import UnreadableMemory
from inspector.maps.family import Slots
from inspector.target.run import Run


class Ways:
    """The ways to what a walk has visited."""

    def __init__(self, run: Run, visited: Visited) -> None:
        self.run, self.visited = run, visited

    def lead_to(self, number: int) -> bool:
        """Whether every pointer on the way to an object holds what it did, and every entry is still in its map.

        Call it while the target is held. Raises NotReadInTime.
        """
        try:
            while number >= 0:
                step = self.visited.step(number)
                if step.origin >= 0 and not self._holds(step):
                    return False
                number = step.origin
        except UnreadableMemory:
            return False
        return True

    def _holds(self, step: Step) -> bool:
        if step.index == INSIDE:
            return True
        if step.index in (ELEM, KEY):
            holder = self.visited.step(step.origin)
            cells = self.run.reader_of(holder.type).cells(self.run.source(), holder.address, holder.type)
            return any(_is_among(step, slots) for slots in cells)
        skipped = step.type.size * max(step.index, 0)
        held = int.from_bytes(self.run.memory.read(step.word, WORD), "little")
        return held == step.address - skipped


def _is_among(step: Step, slots: Slots) -> bool:
    """Whether a key or an element is one of these: what a map keeps apart from its cells may be replaced."""
    values = slots.elem_values if step.index == ELEM else slots.key_values
    return bool(np.any((slots.keys == np.uint64(step.word)) & (values == np.uint64(step.address))))
