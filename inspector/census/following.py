"""What typed references say: where a walk begins, and which types it finds for the maps that it leads to."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from inspector import watching
from inspector.census.interfaces import Interfaces
from inspector.census.names import Root
from inspector.census.noted import noted_values
from inspector.census.territory import Territory, survey
from inspector.census.walk import Walk
from inspector.control.hold import Unheld
from inspector.errors import InspectError
from inspector.gotypes.gotype import GoType
from inspector.maps.family import Slots
from inspector.maps.readers import recognise_trie
from inspector.memory.protocol import Addresses
from inspector.target.run import Run
from inspector.target.target import Target

logger = logging.getLogger(__name__)

RUNTIME = ("runtime.", "runtime/", "internal/")
"""Packages whose variables are not followed: the runtime's own structures are not always what their types say."""

PATIENCE = 5.0
"""Seconds for which a target is searched for what leads to one map."""


@dataclass(frozen=True)
class References:
    """A walk that has ended, and where it began: root number n is -1 - n there."""

    walk: Walk
    roots: list[Root]

    def by_trust(self, numbers: Sequence[int]) -> Sequence[int]:
        """Numbers of objects that lead to one map: what package variables lead to comes first, and what is only a pair
        of words that looks like an interface last.
        """
        if len(numbers) <= 1:
            return numbers
        visited = self.walk.visited
        return sorted(numbers, key=lambda number: (not self.in_variable(number), visited.step(number).origin < 0))

    def in_variable(self, number: int) -> bool:
        """Whether a path to an object begins at a package variable, however long it is."""
        return self.roots[-1 - self.walk.visited.root(number)].name is not None

    def types_of(self, address: int) -> tuple[GoType, ...]:
        """The types of what leads to a map, the most trustworthy first."""
        numbers = self.by_trust(self.walk.maps.get(address, ()))
        return tuple(dict.fromkeys(self.walk.visited.step(number).type for number in numbers))


def follow_references(run: Run, territory: Territory) -> References:
    """Follow all package variables that the DWARF names, values in interfaces, objects whose type is noted.

    Raises the InspectError family.
    """
    source, roots = run.source(), list[Root]()

    def cells(address: int, go_type: GoType) -> Iterator[Slots]:
        return run.reader_of(go_type).cells(source, address, go_type)

    def begin(root: Root, addresses: Addresses) -> None:
        roots.append(root)
        walk.begin(root.type, addresses, -len(roots))

    walk = Walk(run.types, run.memory, source.regions, cells)
    for variable in run.declarations.variables():
        if not variable.name.startswith(RUNTIME):
            begin(Root(variable.name, variable.type), np.array([variable.address], np.uint64))
    walk.run()
    interfaces = Interfaces(run.types, run.memory, source.regions)
    interfaces.in_variables()
    interfaces.in_heap(territory, run.copied)
    run.types.learn(interfaces.descriptors)
    for address in interfaces.sync_maps:
        sync_map = recognise_trie(source, address)
        if sync_map is not None:
            begin(Root(None, sync_map), np.array([address], np.uint64))
    noted = noted_values(run, territory.heap, walk.leads_to_maps) if territory.heap else {}
    for values, in_array in ((interfaces.values(), False), (noted, True)):
        for go_type, addresses in values.items():
            begin(Root(None, go_type, in_array), addresses)
    walk.run()
    logger.debug("%d variables and types of values lead to %d maps", len(roots), len(walk.maps))
    return References(walk, roots)


@dataclass
class TypesOfReferences:
    """Says which types the references to a map have; a target that stands still is searched once. See Target.led_to."""

    known: dict[int, tuple[GoType, ...]] | None = None

    def __call__(self, target: Target, address: int) -> tuple[GoType, ...]:
        """The types by the map's address, the most trustworthy first; none where no reference was found.

        The search takes PATIENCE seconds at most, and a running process is not held for it. Raises nothing for bad
        memory.
        """
        if self.known is not None:
            return self.known.get(address, ())
        run = Run(target)
        if not run.still:
            run.holder = Unheld()
        watching.begin("Looking for what leads to the map")
        try:
            with run.within(PATIENCE):
                found = follow_references(run, survey(run))
        except InspectError as error:
            logger.debug("nothing is known of what leads to %#x: %s", address, error)
            return ()
        if run.still:
            self.known = {each: found.types_of(each) for each in found.walk.maps}
        return found.types_of(address)
