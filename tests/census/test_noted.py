"""Maps that only what the allocator noted leads to: objects of more than 512 bytes with pointers, since Go 1.22."""

from __future__ import annotations

import pytest

from fixtures import SWISS_RELEASES, USUAL, Toolchain, build, start
from tests.support.census import census_of
from tests.support.swiss import STRIPPED

HOLDERS = {
    "page": "(main.page).links",
    "book": "(main.book).index",
    "slice": "[]map[string]bool",
    "library": "(main.library).shelves[4321].books",
}


@pytest.mark.parametrize("toolchain", [USUAL, SWISS_RELEASES[-1]], ids=str)
def test_a_stripped_program_tells_what_holds_an_empty_map_by_the_types_of_large_objects(toolchain: Toolchain) -> None:
    with start(build("noted", toolchain, ldflags=STRIPPED)) as running:
        told = {name: running.map(name) for name in HOLDERS}
        found = {one.address: one for one in census_of(running.pid).maps}
    for name, holder in HOLDERS.items():
        row = found[int(told[name]["address"], 16)]
        assert (row.type, row.holder, row.count) == (told[name]["type"], holder, 0)
