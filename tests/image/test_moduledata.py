"""The module data of each release leads to the types and functions that programs report themselves."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures import Toolchain, build, start
from inspector.errors import UnsupportedTarget
from inspector.goruntime.releases import Release
from inspector.image.moduledata import find_modules
from tests.support.targets import EACH_RECENT, opened_program

BUILDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "stripped": {"ldflags": "-s -w"},
    "pie": {"extra_flags": ["-buildmode=pie"]},
    "stripped-pie": {"ldflags": "-s -w", "extra_flags": ["-buildmode=pie"]},
}


EXTERNAL = "-linkmode=external"
LINKED: dict[str, dict[str, Any]] = {
    "external": {"ldflags": EXTERNAL},
    "external-stripped": {"ldflags": f"{EXTERNAL} -s -w"},
    "external-stripped-pie": {"ldflags": f"{EXTERNAL} -s -w", "extra_flags": ["-buildmode=pie"]},
}


@pytest.mark.parametrize("way", LINKED)
@pytest.mark.parametrize("version", ["1.26.6", "1.27.3"])
def test_types_of_externally_linked_programs_are_found(version, way):
    program = build("descriptors", Toolchain(version), env={"CGO_ENABLED": "1"}, **LINKED[way])
    with start(program) as running, opened_program(running) as opened:
        for told in running.truth["types"]:
            assert opened.types.get(int(told["address"], 16)).name == told["name"]


@pytest.mark.parametrize("way", BUILDS)
@pytest.mark.parametrize("toolchain", EACH_RECENT)
def test_types_lie_where_the_program_says_they_do(toolchain, way):
    with start(build("descriptors", toolchain, **BUILDS[way])) as running, opened_program(running) as program:
        assert program.image.stripped == ("stripped" in way)
        for told in running.truth["types"]:
            address = int(told["address"], 16)
            found = program.types.get(address)
            assert program.types.is_static(address)
            assert (found.name, found.kind, found.size) == (told["name"], told["kind"], told["size"])
        for name, address in running.truth["statics"].items():
            assert program.types.find_type(name).address == int(address, 16)


OTHERS = [("1.25.5", "go1.26.6"), ("1.25.5", "go1.27.3"), ("1.26.6", "go1.25.5"), ("1.26.6", "go1.27.3")]
OTHERS += [("1.27.3", "go1.25.5"), ("1.27.3", "go1.26.6")]


@pytest.mark.parametrize("way", ["plain", "stripped", "stripped-pie"])
@pytest.mark.parametrize(("built", "claimed"), OTHERS)
def test_module_data_of_another_layout_is_not_taken_for_that_of_a_release(built, claimed, way):
    with start(build("descriptors", Toolchain(built), **BUILDS[way])) as running, opened_program(running) as program:
        assert find_modules(program.image, program.memory, program.release)
        with pytest.raises(UnsupportedTarget, match=f"was not found where {claimed} has it"):
            find_modules(program.image, program.memory, Release(claimed))
