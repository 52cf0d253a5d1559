"""What copying a map takes in every family: what came too late, and what keys and elements point to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from inspector.errors import NotReadInTime
from inspector.gotypes.gotype import GoType
from inspector.gotypes.reach import KEY_LIMITS, VALUE_LIMITS, Limits, Reach
from inspector.maps.family import Source
from inspector.maps.slots import Numbers, pick
from inspector.maps.windows import SMALL_WINDOW, windows
from inspector.memory.protocol import Rows

SlotWindows = Callable[[int | None], Iterator[Rows]]
"""Gives slots (k, size) of keys or elements, those of so many buckets or groups at a time, or all at once."""


class Copier:
    """Copies one map. `unusable` says why parts are missing, `late` names those that a stop was too short for."""

    def __init__(self, source: Source, address: int, go_type: GoType, indirect: tuple[bool, bool]) -> None:
        """`indirect` says whether slots of keys, and of elements, have pointers to them."""
        self.memory, self.regions, self.address, self.type = source.memory, source.regions, address, go_type
        self.types, self.release = source.types, source.release
        self.indirect = indirect
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

    @property
    def leads(self) -> bool:
        """Whether keys or elements point to anything."""
        return any(self.indirect) or self.types.key(self.type).has_pointers or self.types.elem(self.type).has_pointers

    def copy_behind_entries(self, reach: Reach, keys: SlotWindows, shown: tuple[SlotWindows, SlotWindows]) -> None:
        """Copy what all `keys` point to as far as it tells them apart, and all that `shown` keys and elements do.

        The shown keys are `keys` themselves if all are. Else they come first: there may be no room for all.
        """
        key, elem = self.types.key(self.type), self.types.elem(self.type)
        key_indirect, elem_indirect = self.indirect
        all_shown = shown[0] is keys
        if not all_shown:
            self._copy_behind(reach, key, key_indirect, shown[0], VALUE_LIMITS)
        self._copy_behind(reach, key, key_indirect, keys, KEY_LIMITS)
        # Strings are followed in any key: such keys have no more.
        if all_shown and reach.only_strings(key) is None:
            self._copy_behind(reach, key, key_indirect, keys, VALUE_LIMITS)
        self._copy_behind(reach, elem, elem_indirect, shown[1], VALUE_LIMITS)

    def _copy_behind(self, reach: Reach, part: GoType, indirect: bool, windows: SlotWindows, limits: Limits) -> None:
        headers = None if indirect else reach.only_strings(part)
        if headers is None:
            for slots in windows(None):
                reach.copy(part, reach.behind(slots, part.size) if indirect else slots, limits)
        elif headers:
            # Of most maps with pointers: all slots as one array would take as long as to copy the strings.
            reach.strings(lambda: (rows[:, header] for rows in windows(SMALL_WINDOW) for header in headers))


def chosen(slots: Rows, rows: Numbers, columns: Numbers, length: int | None) -> Iterator[Rows]:
    """Some of slots (n, width, size); see SlotWindows."""
    for part in windows(max(len(rows), 1), length=length * slots.shape[1] if length else len(rows)):
        yield pick(slots, rows[part], columns[part])
