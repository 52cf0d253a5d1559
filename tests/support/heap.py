"""Words in a Go heap that look like headers of maps: what a bare address is tried on in other people's programs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from inspector.errors import InspectError
from inspector.goruntime.hmap import hmap
from inspector.inspection.one_map import inspect
from inspector.target.target import Target

HEAP = 0xC000000000
HEAP_END = 0xC100000000
MOST_LOOKS = 2000
FEWEST_KEYS = 3
"""Fewer keys could match by chance where no map is."""


def headers_in_the_heap(target: Target) -> list[int]:
    """Addresses of words that could be hmaps with at least three entries, by their first fields alone."""
    regions = [region for region in target.memory.regions() if HEAP <= region.start < HEAP_END]
    found = []
    for region in regions:
        words = np.frombuffer(target.memory.read(region.start, region.end - region.start), "<u8")
        count, flags, buckets, old = (words[at : len(words) - 6 + at] for at in range(4))
        b = flags >> np.uint64(8) & np.uint64(0xFF)
        likely = (count >= 3) & (count < 1 << 20) & (flags & np.uint64(0xFF) <= 15) & (b <= 20)
        likely &= (
            (buckets >= HEAP) & (buckets < HEAP_END) & (buckets % np.uint64(8) == 0) & (flags >> np.uint64(32) != 0)
        )
        likely &= (old == 0) | ((old >= HEAP) & (old < HEAP_END))
        likely &= count <= np.maximum(8, np.uint64(7) << b)
        found += (region.start + np.flatnonzero(likely) * 8).tolist()
    return found


@dataclass
class Found:
    """Maps that are proven and consistent, how many of them are loaded beyond 6 a bucket, and all others."""

    proven: int = 0
    above_six: int = 0
    types: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


def inspect_heap(target: Target, most: int) -> Found:
    """Inspect what looks like a map in the heap, by address alone, the largest first: they are of many types.

    It goes on until `most` are maps: where the collector has just been, many are what it has left of others.
    """
    found = Found()
    for address in sorted(headers_in_the_heap(target), key=lambda address: -_count(target, address))[:MOST_LOOKS]:
        if found.proven + len(found.wrong) >= most:
            break
        try:
            inspection = inspect(target, hex(address), entries=0)
        except InspectError:
            continue  # the words only looked like a header
        proof = inspection.judgement.proof
        if proof.matched < FEWEST_KEYS:
            continue
        if inspection.judgement.verdict == "consistent" and proof.matched == proof.checked:
            found.proven += 1
            found.types.add(inspection.ref.type.name)
        elif inspection.judgement.verdict != "write-in-progress":  # the program may be writing it just now
            found.wrong.append(f"{address:#x} {inspection.ref.type.name} {inspection.judgement}")
    found.above_six = sum(1 for address in headers_in_the_heap(target) if _load(target, address) > 6)
    return found


def _count(target: Target, address: int) -> int:
    return int.from_bytes(target.memory.read(address, 8), "little")


def _load(target: Target, address: int) -> float:
    declaration = hmap(target.program.release)
    header = declaration.parse(target.memory.read(address, declaration.sizeof()))
    return header.count / (1 << header.B) if header.B >= 3 else 0.0
