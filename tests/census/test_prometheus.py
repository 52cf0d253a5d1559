"""A real stripped service: maps at addresses found in its memory are identified and proven without symbols."""

from __future__ import annotations

import pytest

from fixtures.debian import NoPackage
from fixtures.prometheus import prometheus
from inspector.target.opening import open_target
from tests.support.heap import inspect_heap

MOST = 400


@pytest.mark.slow
def test_maps_of_a_stripped_service_are_identified_proven_and_consistent():
    try:
        with prometheus(seconds=12) as pid, open_target(str(pid), memory="direct") as target:
            assert target.program.image.stripped
            assert len(target.program.types.map_types) > 500
            found = inspect_heap(target, MOST)
    except NoPackage as reason:
        pytest.skip(str(reason))
    assert found.wrong == []
    assert found.proven > 200
