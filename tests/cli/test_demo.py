"""The cores that come with the program, read by other means than the program's own."""

from __future__ import annotations

import json
import lzma
import struct
from functools import partial
from pathlib import Path

import pytest

from inspector.cli.demo import ABOUT, CORE, EXECUTABLE, packed
from inspector.image.elf import open_image
from tests.support.elfcore import read_core, segments
from tests.support.swiss import DELETED, GROUP_SLOTS, HEADER, TABLE

STRING_TO_INT_GROUP = GROUP_SLOTS + GROUP_SLOTS * (16 + 8)

pytestmark = pytest.mark.pure


def test_the_swiss_demo_has_a_table_that_split_and_one_with_tombstones(tmp_path: Path) -> None:
    core, executable = tmp_path / "core", tmp_path / "executable"
    core.write_bytes(lzma.decompress(packed(CORE, "swiss")))
    executable.write_bytes(lzma.decompress(packed(EXECUTABLE, "swiss")))
    about = json.loads(packed(ABOUT, "swiss"))
    assert (about["variable"], about["type"]) == ("main.sessions", "map[string]int")
    variable = open_image(executable).symbol(about["variable"])
    assert variable is not None
    read = partial(read_core, core, segments(core))

    (header,) = struct.unpack("<Q", read(variable.address, 8))
    used, _, directory, length, global_depth, *_ = HEADER.unpack(read(header, HEADER.size))
    assert (length, global_depth) == (4, 2)
    addresses = struct.unpack("<4Q", read(directory, 32))
    tables = [TABLE.unpack(read(address, TABLE.size)) for address in dict.fromkeys(addresses)]
    assert sorted(depth for _, _, _, depth, *_ in tables) == [1, 2, 2]
    assert sum(table[0] for table in tables) == used
    deleted = 0
    for _, capacity, *_, groups, mask in tables:
        assert capacity == 1024
        memory = read(groups, STRING_TO_INT_GROUP * (mask + 1))
        for at in range(0, len(memory), STRING_TO_INT_GROUP):
            deleted += memory[at : at + GROUP_SLOTS].count(DELETED)
    assert deleted > 0
