"""What maps, and groups of maps, keep alive alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from inspector.census.groups import place_of
from inspector.census.model import CensusMap, total
from inspector.census.select import Selection
from inspector.census.territory import Territory, survey
from inspector.errors import Hint, UnreadableMemory, UsageError
from inspector.goroutines.everyone import find_allgs, read_goroutines
from inspector.goruntime.goroutine import DEAD, SCANNED
from inspector.goruntime.scalars import slice_header
from inspector.gotypes.gotype import GoType
from inspector.gotypes.syncmaps import is_sync_map
from inspector.heap.pointers import Followed
from inspector.heap.references import References, Retained, TooManyReferences
from inspector.heap.roots import Root, variables_of, words_elsewhere
from inspector.heap.specials import BadSpecials
from inspector.inspection.one_map import Inspection
from inspector.maps.family import WORD
from inspector.memory.protocol import Addresses
from inspector.settings import MAX_SHARE, MaxStop
from inspector.target.run import Run
from inspector.target.target import Target
from inspector.target.whole import copied_whole

MOST_PROCESSORS = 1 << 16

COUNTED = (
    "Counted are objects of the heap, as large as the allocator made them, that nothing else in use leads to. A word "
    "that may be a pointer counts as one, so this is a lower bound. Memory outside of the Go heap is not counted."
)
"""What is counted, for users."""


@dataclass(frozen=True)
class Keeper:
    """Some maps and what they keep alive alone, together: the maps of a group, or one map.

    `name` is that of the group, or of the map. `address` is that of the only map, None for a group. `bytes` are those
    of the maps themselves.
    """

    name: str | None
    address: int | None
    type: str
    maps: int
    bytes: int
    retained: Retained


@dataclass
class RetainedSearch:
    """Asks groups of maps for what they keep alone, or the maps of the one group that is selected; `ask` fills in.

    `of` are as many as are to be listed, those with the most bytes of their own first, of `total`. `complete` says that
    all memory that may lead to objects was read.
    """

    selection: Selection
    of: list[Keeper] = field(default_factory=list)
    total: int = 0
    complete: bool = True

    def ask(self, run: Run, maps: tuple[CensusMap, ...], types: Mapping[int, GoType]) -> None:
        """See Question. Raises UsageError where the heap is not known, or has too many references."""
        selection = self.selection.resolved(maps)
        selected = selection.matching(maps)
        if selection.group is not None:
            groups = [[one] for one in selected]
        else:
            by_name: dict[str, list[CensusMap]] = defaultdict(list)
            for one in selected:
                by_name[place_of(one).name].append(one)
            groups = sorted(by_name.values(), key=lambda group: -sum(one.bytes.total for one in group))
        self.total = len(groups)
        references = references_of(run, survey(run))
        self.complete = not references.incomplete
        for group in groups[: selection.top]:
            places = [(one.address, header_size(run, types[one.address])) for one in group]
            self.of.append(_keeper(group, references.retained(places), selection.group is not None))


def _keeper(group: list[CensusMap], retained: Retained, single: bool) -> Keeper:
    first = group[0]
    held = total(group).bytes
    if single:
        return Keeper(first.name, first.address, first.type, 1, held, retained)
    place = place_of(first)
    return Keeper(place.name, None, first.type, len(group), held, retained)


def retained_by(
    target: Target,
    inspection: Inspection,
    max_stop: MaxStop = "usual",
    max_share: float | None = MAX_SHARE,
    budget: float | None = None,
) -> tuple[Retained | None, bool, tuple[str, ...]]:
    """What one map keeps alone, None for a nil map; whether all memory was read; and notes.

    The whole process is copied for that, as for a census. Raises the InspectError family.
    """
    if target.read_by_gdb:
        raise UsageError(
            "what a map keeps alone is found in all memory, which gdb cannot transfer", Hint("use {direct}")
        )
    if inspection.snapshot is None:
        return None, True, ()
    run = Run(target, max_stop, max_share, budget)
    with copied_whole(run) as whole:
        run = run.of(whole.target) if whole is not None else run
        references = references_of(run, survey(run))
        place = inspection.ref.address, header_size(run, inspection.ref.type)
        return references.retained([place]), not references.incomplete, tuple(run.notes)


def references_of(run: Run, territory: Territory) -> References:
    """Read all references of a target that stands still; raises UsageError where that cannot be done."""
    if territory.heap is None or not run.still:
        raise UsageError(
            "what maps keep alone can only be found where the heap's metadata is known and the memory stands still",
            "inspect a snapshot of the process, or a core dump",
        )
    roots = [*variables_of(run), *map(Root, territory.stacks)]
    try:
        others = words_elsewhere(run, territory.heap.spans)
        followed = Followed(run, territory.heap)
        return References(territory.heap, run.memory, territory.pointers, roots, others, followed, _stale(run))
    except BadSpecials as reason:
        raise UsageError(
            f"what maps keep alone cannot be found: {reason}", "there is no other way to count what maps keep alone"
        ) from None
    except TooManyReferences:
        raise UsageError(
            "the heap has more references than can be followed", "there is no other way to count what maps keep alone"
        ) from None


def _stale(run: Run) -> Addresses:
    """The addresses of the runtime's own objects in which words were pointers once, and are none now.

    That is each runtime.p, whose write barrier buffer is one (wbBuf; else it leads to the runtime's own objects), and
    each runtime.g that is dead. A stripped program does not tell where the former are.
    """
    parts = [np.empty(0, np.uint64)]
    symbol, allgs = run.image.symbol("runtime.allp"), find_allgs(run)
    if allgs is not None:
        rows = read_goroutines(run, allgs)
        dead = np.isin(rows["atomicstatus"] & ~np.uint32(SCANNED), DEAD)
        parts.append(rows["sched"]["g"][dead].astype(np.uint64))
    if symbol is not None:
        with suppress(UnreadableMemory):
            header = slice_header.parse(run.memory.read(symbol.address, slice_header.sizeof()))
            size = max(0, min(header.len, MOST_PROCESSORS)) * WORD
            parts.append(np.frombuffer(run.memory.read(header.data, size), np.uint64))
    return np.concatenate(parts)


def header_size(run: Run, go_type: GoType) -> int:
    """Bytes of the header of a map of some type."""
    if is_sync_map(go_type):
        return run.types.find_type("sync.Map").size
    return run.family.header_dtype(run.release).itemsize
