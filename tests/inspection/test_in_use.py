"""A bare address is held against the heap's metadata: what the collector freed is not judged, and an inside is told."""

from __future__ import annotations

import re

import pytest

from fixtures import SWISS_RELEASES, USUAL, build, start
from inspector.errors import NotAMap
from inspector.inspection.one_map import inspect
from inspector.target.opening import open_target

FAMILIES = pytest.mark.parametrize("toolchain", [USUAL, SWISS_RELEASES[-1]], ids=["classic", "swiss"])

FREED = "its memory is not in use, because the garbage collector freed it"


@FAMILIES
def test_a_map_that_the_collector_freed_is_refused_and_one_that_is_kept_is_not(toolchain):
    with start(build("freed", toolchain)) as running, open_target(str(running.pid), memory="direct") as target:
        kept, freed = running.truth["kept"], running.truth["freed"]
        assert {inspect(target, address, entries=0).judgement.verdict for address in kept[::20]} == {"consistent"}
        messages = []
        for address in freed[::10]:
            with pytest.raises(NotAMap) as refused:
                inspect(target, address, entries=0)
            messages.append(refused.value.message)
        # The memory of some has been used for something else.
        told = [message for message in messages if message.endswith(FREED)]
        assert len(told) > len(messages) // 2
        typed = next(address for address, message in zip(freed[::10], messages, strict=True) if message in told)
        # Nor does a type make it a map again: it may be anything by now.
        with pytest.raises(NotAMap, match=re.escape(f"{typed} is not judged: {FREED}")):
            inspect(target, typed, "map[string]int", entries=0)


@FAMILIES
def test_an_address_inside_an_object_is_refused_with_the_place_in_it(toolchain):
    with start(build("freed", toolchain)) as running, open_target(str(running.pid), memory="direct") as target:
        header = int(running.truth["kept"][0], 16)
        with pytest.raises(NotAMap, match=re.escape("it lies 16 bytes behind the start of an object in a block of 48")):
            inspect(target, f"{header + 16:#x}", entries=0)
        storage = inspect(target, f"{header:#x}", entries=0).snapshot.header.storage
        with pytest.raises(NotAMap, match=r"an object in a block of \d+ bytes begins there"):
            inspect(target, f"{storage:#x}", entries=0)
