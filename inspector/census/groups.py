"""Maps rolled up by where they hang: below a package variable, else in what holds them, else by their type."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from inspector.census.model import CensusMap, Sum, total
from inspector.errors import UsageError
from inspector.gotypes.redaction import typed
from inspector.gotypes.words import number_of
from inspector.naming.grammar import closing
from inspector.settings import shown

HeldBy = Literal["variable", "holder", "nothing-known", "nothing"]

ANY, ANY_KEY = "[*]", "[key *]"
"""What stands in a group's name for all keys, and for all indexes; and where a path leads into the keys themselves."""

UNREACHABLE = "unreachable since the last GC"
"""What is said of maps that nothing leads to any more."""

NEAR_NAMES = 4
_KEY = "[key "
_COMMON = re.compile(r'\["(?:[^"\\]|\\.)*"\]|\[-?\d+\]')
"""The keys and indexes that most names have: they need no grammar."""


class Placed(Protocol):
    """What is known of where a map hangs: a row of a census."""

    @property
    def name(self) -> str | None:
        """A path from a package variable."""
        ...

    @property
    def holder(self) -> str | None:
        """What holds a map without a name."""
        ...

    @property
    def type(self) -> str:
        """The name of its type."""
        ...

    @property
    def unreachable(self) -> bool:
        """Whether nothing leads to it."""
        ...


@dataclass(frozen=True)
class Place:
    """Where maps hang, which is what they are grouped by; `name` says it in words that no other place has."""

    name: str
    held_by: HeldBy


@dataclass(frozen=True)
class Group:
    """The maps of one place. `types` are theirs, those with the most bytes first.

    `ambiguous` says that another type fits as well for some of them. `share` is their part of the bytes of all maps of
    the target, `share_of_heap` that of the heap in use; None where the heap's size is not known.
    """

    name: str
    held_by: HeldBy
    types: tuple[str, ...]
    ambiguous: bool
    sum: Sum
    share: float
    share_of_heap: float | None


def place_of(one: Placed) -> Place:
    """The place of a map with a name (see census/names.py), or with a holder, or only with a type.

    `main.server.sessions["a"].Tags` hangs at `main.server.sessions[*].Tags`, as all maps do that such a path leads to.
    Of a map with several names the one counts that it is listed with. What nothing leads to any more has places apart.
    """
    name, holder, go_type = one.name, one.holder, one.type
    if one.unreachable:
        return Place(f"{UNREACHABLE}: {go_type}", "nothing")
    if name is not None:
        return Place(generalized(name), "variable")
    if holder is None:
        return Place(go_type, "nothing-known")
    if not holder.startswith("("):
        return Place(f"({holder}){ANY}", "holder")
    end = _end(holder, 0)
    return Place(holder[:end] + generalized(holder[end:]), "holder")


def generalized(name: str) -> str:
    """A name with * for each key and index: fields, and types in parentheses, stay as they are."""
    simple = name
    if ".(" not in name:
        simple = _COMMON.sub(ANY, name)
        # Most names have nothing else, and there may be a million of them.
        if simple.count("[") == simple.count(ANY):
            return simple
    parts, at = [], 0
    while at < len(simple):
        opened = simple.find("[", at)
        asserted = simple.find(".(", at)
        if opened < 0 and asserted < 0:
            break
        if opened < 0 or 0 <= asserted < opened:
            end = _end(simple, asserted + 1)
            parts.append(simple[at:end])
        else:
            end = _end(simple, opened)
            parts.append(simple[at:opened] + (ANY_KEY if simple.startswith(_KEY, opened) else ANY))
        at = end
    return "".join(parts) + simple[at:]


def _end(text: str, opened: int) -> int:
    """Where what is in brackets ends; the end of the text where they do not close."""
    try:
        return closing(text, opened) + 1
    except UsageError:
        return len(text)


def find_group(text: str, places: Iterable[tuple[Place, int]]) -> str:
    """The name of the group that a user names: by its own name, or by that of a map in it.

    `places` are those of all maps, with their bytes. Raises UsageError, which names some groups, where there is none.
    """
    sizes: dict[str, int] = defaultdict(int)
    for place, size in places:
        sizes[place.name] += size
    for name in (text, generalized(text)):
        if name in sizes:
            return name
    near = difflib.get_close_matches(text, sizes, NEAR_NAMES)
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))[:NEAR_NAMES]
    hint = f"did you mean {', '.join(near)}?" if near else f"the largest are {', '.join(largest)}"
    raise UsageError(f"no map is in a group {shown(typed(text))}; there are {number_of(len(sizes), 'group')}", hint)


def by_place(maps: Iterable[CensusMap], all_bytes: int, heap_in_use: int | None) -> list[Group]:
    """Group maps by where they hang, the group with the most bytes first.

    `all_bytes` are those of all maps of the target, `heap_in_use` those of its heap; None where they are not known.
    """
    groups: dict[Place, list[CensusMap]] = defaultdict(list)
    for one in maps:
        groups[place_of(one)].append(one)
    found = [_group(place, members, all_bytes, heap_in_use) for place, members in groups.items()]
    return sorted(found, key=lambda group: (-group.sum.bytes, group.name))


def _group(place: Place, maps: list[CensusMap], all_bytes: int, heap_in_use: int | None) -> Group:
    of_type: dict[str, int] = defaultdict(int)
    for one in maps:
        of_type[one.type] += one.bytes.total
    added = total(maps)
    return Group(
        name=place.name,
        held_by=place.held_by,
        types=tuple(sorted(of_type, key=lambda name: (-of_type[name], name))),
        ambiguous=any(one.alternatives for one in maps),
        sum=added,
        share=added.bytes / all_bytes if all_bytes else 0.0,
        share_of_heap=added.bytes / heap_in_use if heap_in_use else None,
    )
