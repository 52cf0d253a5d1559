"""Package variables and paths behind them, out of DWARF 4 until Go 1.24 and of DWARF 5 since 1.25."""

from __future__ import annotations

import pytest
from elftools.elf.elffile import ELFFile

from fixtures import Toolchain, build, start
from inspector.gotypes.paths import follow
from tests.support.targets import EACH_RECENT, OLDER, RECENT, opened_program

TYPES = {
    "main.first": "*main.node",
    "main.boxed": "[]interface {}",
    "main.channel": "chan int",
    "main.shouters": "[]main.shouter",
}
VERSIONS = [
    *((toolchain, 4 if toolchain in (OLDER, RECENT[0]) else 5) for toolchain in (OLDER, *RECENT)),
    (Toolchain("1.25.5", "nodwarf5"), 4),
]


@pytest.mark.parametrize("pie", [False, True], ids=["fixed", "pie"])
@pytest.mark.parametrize("toolchain", EACH_RECENT)
def test_variables_lie_where_the_program_says_and_have_their_types(toolchain, pie):
    flags = ["-buildmode=pie"] if pie else []
    with start(build("descriptors", toolchain, extra_flags=flags)) as running, opened_program(running) as program:
        declarations = program.declarations
        found = {variable.name: variable for variable in declarations.variables()}
        assert len(found) > 190
        assert declarations.damage == ""
        for name, address in running.truth["variables"].items():
            assert found[name].address == int(address, 16)
        for name, type_name in TYPES.items():
            assert found[name].type.name == type_name


@pytest.mark.parametrize(("toolchain", "version"), [pytest.param(*each, id=each[0].name) for each in VERSIONS])
def test_a_path_leads_through_a_struct_of_which_only_the_dwarf_knows(toolchain, version):
    with start(build("descriptors", toolchain)) as running, opened_program(running) as program:
        with open(running.exe, "rb") as file:
            units = ELFFile(file).get_dwarf_info().iter_CUs()
            assert {unit["version"] for unit in units} == {version}
        declarations = program.declarations
        front = next(each for each in declarations.variables() if each.name == "main.front")
        assert not program.types.is_static(front.type.address)
        way = follow(declarations, front.name, front.address, front.type, ".inside.list[2]")
        assert way.type.name == "*main.node"
        place = way.place(program.memory)
        assert int.from_bytes(program.memory.read(place, 8), "little") == int(running.truth["second"], 16)
