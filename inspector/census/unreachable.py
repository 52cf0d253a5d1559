"""Maps that nothing leads to any more: the last collection kept them, or they were made since.

As for the collector, everything begins with variables, the stacks of goroutines, registers, and what finalizers and
cleanups of objects keep. What only waits to be finalized is unreachable here.
"""

from __future__ import annotations

import numpy as np

from inspector.census.territory import Territory
from inspector.heap.marking import Marking, NotMarked
from inspector.heap.roots import variables_of, words_elsewhere
from inspector.heap.specials import BadSpecials
from inspector.target.run import Run


def find_unreachable(run: Run, territory: Territory, addresses: list[int]) -> set[int] | None:
    """Those of some maps that no variable, no stack and no register leads to.

    None where that is not known: in memory that moves, or without the whole heap's metadata, or the goroutines'.
    """
    heap = territory.heap
    if heap is None or heap.unsound or not run.still or run.missing or not territory.stacks:
        return None
    roots = [root.region for root in variables_of(run)]
    try:
        words = words_elsewhere(run, heap.spans)
        marking = Marking(heap, run.memory, run.regions(), run.target.relieve)
        marking.mark([*roots, *territory.stacks], words)
    except (NotMarked, BadSpecials) as reason:
        run.note(f"it is not known which maps are unreachable: {reason}")
        return None
    every = np.array(addresses, np.uint64)
    return set(every[~marking.reached(every)].tolist())
