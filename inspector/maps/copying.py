"""What copying a map takes in every family: what came too late, and what keys and elements point to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from inspector.errors import NotReadInTime
from inspector.gotypes.gotype import GoType, Kind
from inspector.gotypes.reach import KEY_LIMITS, Limits, Reach
from inspector.maps.family import Source
from inspector.maps.windows import SMALL_WINDOW
from inspector.memory.protocol import Rows


class Copier:
    """Copies one map. `unusable` says why parts are missing, `late` names those that a stop was too short for."""

    def __init__(self, source: Source, address: int, go_type: GoType) -> None:
        self.memory, self.regions, self.address, self.type = source.memory, source.regions, address, go_type
        self.types, self.release = source.types, source.release
        self.unusable: dict[str, str] = {}
        self.late: list[str] = []

    @contextmanager
    def in_time(self, what: str, part: str | None = None) -> Iterator[None]:
        """Note what could not be read before the stop had to end; what was read until then is kept."""
        try:
            yield
        except NotReadInTime as error:
            self.late.append(what)
            if part is not None:
                self.unusable[part] = error.message

    def copy_behind(self, reach: Reach, part: GoType, indirect: bool, slots: Rows, limits: Limits) -> None:
        """Copy what keys or elements point to, of which the slots are given."""
        reach.copy(part, reach.behind(slots, part.size) if indirect else slots, limits)

    def copy_behind_keys(self, reach: Reach, indirect: bool, windows: Callable[[int | None], Iterator[Rows]]) -> None:
        """Copy what all keys point to; `windows` gives their slots, so many buckets or groups at a time, or at once."""
        key = self.types.key(self.type)
        if key.kind == Kind.STRING and not indirect:
            # Of most maps with pointers: all slots as one array would take as long as to copy the strings.
            reach.strings(lambda: windows(SMALL_WINDOW))
        else:
            for slots in windows(None):
                self.copy_behind(reach, key, indirect, slots, KEY_LIMITS)
