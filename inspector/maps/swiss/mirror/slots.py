"""Control bytes and slots of a number of groups, as objects: places are exact, addresses do not exist."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from inspector.goruntime.swissgroup import DELETED, EMPTY, GROUP_SLOTS, H2_BITS
from inspector.maps.swiss.mirror.maptype import Elem, Key

H2_MASK = (1 << H2_BITS) - 1


def h1(hash_value: int) -> int:
    """h1: the part of a hash that chooses the group."""
    return hash_value >> H2_BITS


def h2(hash_value: int) -> int:
    """h2: the part of a hash that the control byte holds."""
    return hash_value & H2_MASK


@dataclass(slots=True, eq=False)
class Slots:
    """The slots of `count` groups (groupsReference): slot i of group g is number 8 * g + i.

    `ctrl` has their control bytes, `keys` and `elems` what they hold, stale keys included.
    """

    count: int
    ctrl: bytearray = field(init=False)
    keys: list[Key] = field(init=False)
    elems: list[Elem] = field(init=False)

    def __post_init__(self) -> None:
        """All slots are empty (newGroups, ctrlGroup.setEmpty)."""
        size = self.count * GROUP_SLOTS
        self.ctrl, self.keys, self.elems = bytearray([EMPTY]) * size, [None] * size, [None] * size

    def copy(self) -> Slots:
        """The same once more (cloneGroup)."""
        twin = Slots(self.count)
        twin.ctrl[:], twin.keys[:], twin.elems[:] = self.ctrl, self.keys, self.elems
        return twin

    def path(self, hash_value: int) -> Iterator[int]:
        """The groups where a key is looked for, in this order (probeSeq). Each comes once."""
        mask = self.count - 1
        group = h1(hash_value) & mask
        for step in range(1, self.count + 1):
            yield group
            group = group + step & mask

    def find(self, group: int, hash_value: int, key: Key, equal: Callable[[Key, Key], bool]) -> int | None:
        """The slot of a group that holds a key, if one does."""
        control, end = h2(hash_value), (group + 1) * GROUP_SLOTS
        slot = self.ctrl.find(control, end - GROUP_SLOTS, end)
        while slot >= 0:
            if equal(key, self.keys[slot]):
                return slot
            slot = self.ctrl.find(control, slot + 1, end)
        return None

    def first_empty(self, group: int) -> int | None:
        """ctrlGroup.matchEmpty: the first empty slot of a group."""
        return self._first(group, EMPTY)

    def first_free(self, group: int) -> int | None:
        """ctrlGroup.matchEmptyOrDeleted: the first slot of a group that is empty or a tombstone."""
        empty, deleted = self._first(group, EMPTY), self._first(group, DELETED)
        if empty is None or deleted is None:
            return deleted if empty is None else empty
        return min(empty, deleted)

    def _first(self, group: int, control: int) -> int | None:
        slot = self.ctrl.find(control, group * GROUP_SLOTS, (group + 1) * GROUP_SLOTS)
        return slot if slot >= 0 else None

    def full(self) -> Iterator[int]:
        """All slots that hold an entry, in order."""
        return (slot for slot, control in enumerate(self.ctrl) if control < EMPTY)

    def has_entry(self, group: int) -> bool:
        """Whether a slot of a group holds an entry (ctrlGroup.matchFull)."""
        first = group * GROUP_SLOTS
        return any(control < EMPTY for control in self.ctrl[first : first + GROUP_SLOTS])

    def put(self, slot: int, hash_value: int, key: Key, elem: Elem) -> None:
        """Fill a slot."""
        self.ctrl[slot], self.keys[slot], self.elems[slot] = h2(hash_value), key, elem

    def empty_group(self, group: int, zeroed: bool) -> None:
        """Make all slots of a group empty, and zero what they hold or leave it."""
        some = slice(group * GROUP_SLOTS, (group + 1) * GROUP_SLOTS)
        self.ctrl[some] = bytes([EMPTY]) * GROUP_SLOTS
        if zeroed:
            self.keys[some], self.elems[some] = [None] * GROUP_SLOTS, [None] * GROUP_SLOTS
