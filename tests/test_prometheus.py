"""A real stripped service: maps at addresses found in its memory are identified and proven without symbols."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.prometheus import NoPrometheus, prometheus
from inspector.errors import InspectError
from inspector.inspection import inspect
from inspector.target import Target, open_target

HEAP = 0xC000000000
HEAP_END = 0xC100000000
MOST = 600


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


@pytest.mark.slow
def test_maps_of_a_stripped_service_are_identified_proven_and_consistent():
    try:
        with prometheus(seconds=12) as pid, open_target(str(pid), memory="direct") as target:
            assert target.image.stripped
            assert len(target.types.map_types) > 500
            proven, unproven = 0, []
            for address in headers_in_the_heap(target)[:MOST]:
                try:
                    inspection = inspect(target, hex(address), entries=0)
                except InspectError:
                    continue  # the words only looked like a header
                proof = inspection.judgement.proof
                if proof.matched < 3:
                    continue  # so few keys could match by chance where no map is
                if inspection.judgement.verdict == "consistent" and proof.matched == proof.checked:
                    proven += 1
                else:
                    unproven.append((hex(address), inspection.ref.type.name, inspection.judgement.verdict, proof))
    except NoPrometheus as reason:
        pytest.skip(str(reason))
    assert unproven == []
    assert proven > 200
