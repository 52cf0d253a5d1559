"""The type that the allocator notes of an array of buckets or groups is the map's own, and leaves no other."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures import SWISS_RELEASES, USUAL, build, start
from inspector.inspection.in_use import look_for_heap
from inspector.inspection.one_map import inspect
from inspector.maps.identify import Storage, read_headers
from inspector.target.opening import open_target
from inspector.target.run import Run

PROGRAMS = pytest.mark.parametrize(
    ("program", "toolchain"),
    [
        ("states", USUAL),
        pytest.param("swissstates", SWISS_RELEASES[-1], marks=pytest.mark.slow),
        pytest.param("swissstates", SWISS_RELEASES[0], marks=pytest.mark.slow),
    ],
    ids=["classic", "swiss", "oldest swiss"],
)


@PROGRAMS
def test_the_type_that_the_allocator_noted_is_that_of_the_map(program, toolchain):
    noted = {}
    with start(build(program, toolchain)) as running, open_target(str(running.pid), memory="direct") as target:
        run = Run(target, None)
        look_for_heap(run)
        with run.held():
            source = run.source()
            for told in running.truth["maps"]:
                own = [each for each in source.types.map_types if each.name == told["type"]]
                if not int(told["address"] or "0", 16) or not own:
                    continue
                headers = read_headers(run.family, source, np.array([int(told["address"], 16)], np.uint64))
                storage = Storage(run.family, source, headers)
                assert all(storage.may_have(each.layout)[0] and storage.may_be(each)[0] for each in own), told["name"]
                if len(storage.types) and storage.types[0]:
                    noted[told["name"]] = told["address"], told["type"], own[0].cells_address
        assert len(noted) > 30
        for address, type_name, cells in list(noted.values())[::4]:
            ref = inspect(target, address, entries=0).ref
            assert {each.cells_address for each in (ref.type, *ref.alternatives)} == {cells}
            assert type_name in [each.name for each in (ref.type, *ref.alternatives)]
