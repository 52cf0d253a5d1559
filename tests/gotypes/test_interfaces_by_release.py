"""Values that interfaces hold, directly or behind a pointer, against what a program of each release says."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures import Toolchain, build, start
from inspector.gotypes.decode import Decoder
from tests.support.targets import EACH_RECENT, opened_program

CLASSIC_RECENT = [pytest.param(Toolchain(v, "noswissmap"), id=f"go{v}-noswissmap") for v in ("1.24.11", "1.25.5")]


@pytest.mark.parametrize("toolchain", [*EACH_RECENT, *CLASSIC_RECENT])
def test_types_that_interfaces_hold_directly_are_known(toolchain):
    with start(build("descriptors", toolchain)) as running, opened_program(running) as program:
        told = running.truth["types"]
        assert {each["direct"] for each in told} == {True, False}
        for each in told:
            assert program.types.get(int(each["address"], 16)).direct_iface == each["direct"], each["name"]


@pytest.mark.parametrize("toolchain", EACH_RECENT)
def test_values_in_interfaces_are_decoded(toolchain):
    with start(build("descriptors", toolchain)) as running, opened_program(running) as program:
        decoder = Decoder(program.types, program.memory)
        first = int(running.truth["heap"], 16)
        for each in running.truth["types"]:
            interface = program.types.get(int(running.truth["statics"][each["static"]], 16))
            value: Any = decoder.value(interface, program.memory.read(int(each["place"], 16), 16))
            assert value.type_name == each["name"]
            if each["name"] == "*main.node":
                assert value.value.address == first
            if each["name"] == "main.holder":
                assert value.value.fields[0][1].address == first
            if each["name"] == "main.celsius":
                assert value.value in (1.5, 36.6)
