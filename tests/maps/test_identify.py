"""Types of maps of which only the addresses are known: many together are identified as each by itself."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures import SWISS_RELEASES, USUAL, build, cached_core
from inspector.census import take_census
from inspector.heap.objects import read_heap
from inspector.maps.identify import identify, identify_all, read_headers, shortlist
from inspector.target.opening import open_target
from inspector.target.run import Run


@pytest.mark.parametrize("toolchain", [USUAL, pytest.param(SWISS_RELEASES[-1], marks=pytest.mark.slow)])
def test_many_maps_get_the_types_that_each_of_them_gets_alone(toolchain):
    with open_target(str(cached_core(build("census", toolchain), "2").path)) as target:
        run = Run(target)
        run.heap = read_heap(run)
        source, family = run.source(), run.family
        addresses = [one.address for one in take_census(target).maps if one.type != "sync.Map"]
        headers = read_headers(family, source, np.array(sorted(addresses), np.uint64))
        lists = shortlist(family, source, headers)
        together = identify_all(family, source, headers, lists)
        alone = [
            identify(family, source, address, types, prove=False).candidates
            for address, types in zip(headers.addresses.tolist(), lists, strict=True)
        ]
    assert together == alone
    assert sum(bool(types) for types in together) > 100
    # Some have several types in the list, and fewer by what their elements can be.
    assert any(len(types) > len(fit) > 0 for types, fit in zip(lists, together, strict=True))
